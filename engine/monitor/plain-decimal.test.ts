import fc from 'fast-check';
import { expect, it } from 'vitest';
import { divideByPowerOfTen, plainDecimal } from './plain-decimal.ts';

const seed = process.env['SEED'] === undefined ? Date.now() & 0x7fffffff : Number(process.env['SEED']);

it.each([
  ['1e-07', '0.0000001'],
  ['1.25e-05', '0.0000125'],
  ['-1.5e+21', '-1500000000000000000000'],
  ['1.5e1', '15'],
  ['12.5', '12.5'],
  ['0', '0'],
])('writes %s as %s', (text, expected) => expect(plainDecimal(text)).toBe(expected));

it('writes any double without exponent, and so that it reads back as the same double', () => {
  fc.assert(
    fc.property(fc.double({ noNaN: true, noDefaultInfinity: true }), (value) => {
      const text = plainDecimal(String(value));
      expect(text).not.toMatch(/e/i);
      expect(Number(text)).toBe(value === 0 ? 0 : value);
    }),
    { seed },
  );
});

it('divides whole numbers exactly', () => {
  fc.assert(
    fc.property(fc.bigInt({ min: -(2n ** 63n), max: 2n ** 63n - 1n }), fc.integer({ min: 0, max: 20 }), (value, decimals) => {
      const text = divideByPowerOfTen(String(value), decimals);
      expect(text).toMatch(/^-?(0|[1-9]\d*)(\.\d*[1-9])?$/);
      const [whole = '', fraction = ''] = text.split('.');
      expect(BigInt(whole + fraction.padEnd(decimals, '0'))).toBe(value);
    }),
    { seed },
  );
});
