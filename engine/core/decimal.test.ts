import fc from 'fast-check';
import { expect, it } from 'vitest';
import { canonicalDecimal, DECIMAL_STATUS, formatScaled, parsePrice, parseScaled, writeScaled } from './decimal.ts';

const words = new Int32Array(2);
const asBigInt = new BigInt64Array(words.buffer);
const seed = Number(process.env['SEED'] ?? Date.now() & 0x7fffffff);

function scaled(text: string, decimals: number): bigint | number {
  const status = writeScaled(words, 0, text, { start: 0, end: text.length, decimals });
  return status === DECIMAL_STATUS.exact ? asBigInt[0]! : status;
}

it('turns decimal text into whole lots and back without loss', () => {
  const value = fc.bigInt({ min: -(2n ** 63n) + 1n, max: 2n ** 63n - 1n });
  fc.assert(
    fc.property(value, fc.integer({ min: 0, max: 17 }), (lots, decimals) => {
      expect(scaled(formatScaled(lots, decimals), decimals)).toBe(lots);
    }),
    { seed },
  );
});

it('reads the digits that a float would lose', () => {
  expect(scaled('90071992.54740993', 8)).toBe(9_007_199_254_740_993n);
  expect(scaled('0.1', 8)).toBe(10_000_000n);
  expect(scaled('0.29', 2)).toBe(29n);
});

it('accepts superfluous zeros, signs, missing halves and exponents', () => {
  for (const [text, lots] of [
    ['1.5000', 15n],
    ['001.5', 15n],
    ['+1.5', 15n],
    ['-1.5', -15n],
    ['.5', 5n],
    ['5.', 50n],
    ['1.5e2', 1500n],
    ['150E-2', 15n],
    ['-0', 0n],
  ] as const) {
    expect(scaled(text, 1)).toBe(lots);
  }
});

it('tells what is not whole, not a number, or too large', () => {
  expect(scaled('1.05', 1)).toBe(DECIMAL_STATUS.offUnit);
  expect(scaled('1e-3', 2)).toBe(DECIMAL_STATUS.offUnit);
  expect(scaled('9223372036854775807', 0)).toBe(2n ** 63n - 1n);
  expect(scaled('9223372036854775808', 0)).toBe(DECIMAL_STATUS.tooLarge);
  expect(scaled('10', 18)).toBe(DECIMAL_STATUS.tooLarge);
  expect(scaled('12345678901234567890', 0)).toBe(DECIMAL_STATUS.tooLarge);
  for (const text of ['', '.', '-', '+', '1,5', '1.2.3', ' 1', '1 ', '0x10', 'NaN', 'Infinity', '1e', '1e9999', 'e5', '--1']) {
    expect(scaled(text, 2), text).toBe(DECIMAL_STATUS.malformed);
  }
});

it('reads only the piece of text it is given', () => {
  expect(parsePrice('a,611.78,b', 2, 8)).toBe(611.78);
  expect(parsePrice('a,,b', 2, 2)).toBeNaN();
  expect(parsePrice('12x', 0, 3)).toBeNaN();
  expect(parseScaled('x86399999.5y', { start: 1, end: 11, decimals: 6 })).toBe(86_399_999_500_000);
  expect(parseScaled('1.5', { start: 0, end: 3, decimals: 0 })).toBeNaN();
  expect(parseScaled('-7', { start: 0, end: 2, decimals: 0 })).toBe(-7);
});

it('gives equal numbers one text and unequal numbers two', () => {
  for (const [left, right] of [
    ['61837.63000000', '61837.63'],
    ['0', '-0.00'],
    ['1e-7', '0.0000001'],
    ['1.5e3', '01500'],
    ['.5', '0.50'],
    ['100', '1e2'],
  ] as const) {
    expect(canonicalDecimal(left)).toBe(canonicalDecimal(right));
    expect(canonicalDecimal(left)).toBeDefined();
  }
  expect(canonicalDecimal('100')).toBe('100');
  expect(canonicalDecimal('-0.10')).toBe('-0.1');
  expect(canonicalDecimal('9007199254740993')).not.toBe(canonicalDecimal('9007199254740992'));
  expect(canonicalDecimal('abc')).toBeUndefined();
  expect(canonicalDecimal('')).toBeUndefined();
});

it('writes every double back to itself through its canonical text', () => {
  fc.assert(
    fc.property(fc.double({ min: 1e-9, max: 1e12, noNaN: true }), (value) => {
      expect(Number(canonicalDecimal(String(value)))).toBe(value);
    }),
    { seed },
  );
});
