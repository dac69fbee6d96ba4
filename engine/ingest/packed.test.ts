import fc from 'fast-check';
import { expect, it } from 'vitest';
import { REFUSAL } from '../../schemas/records.ts';
import {
  createSymbolReader,
  decodePacked,
  encodePacked,
  PACKED_RECORDS_MAX,
  type PackedSymbol,
  type PackedTick,
  readPackedHeader,
} from './packed.ts';

const A: PackedSymbol = { symbol: 'A', kind: 'trade', priceDecimals: 2, lotDecimals: 0 };
const Q: PackedSymbol = { symbol: 'EUR/USD', kind: 'quote', priceDecimals: 5, lotDecimals: 0 };
const TICK: PackedTick = { symbolRef: 0, tsEventNs: 1_763_719_200_123_456_789n, price: 2500.05, quantityLots: 3n, ask: 0 };

it('lays a message out as schemas/packed.md says', () => {
  const bytes = Buffer.from(encodePacked([A], [TICK]));
  expect(bytes.toString('latin1', 0, 4)).toBe('TWKP');
  expect([bytes.readUInt16LE(4), bytes.readUInt16LE(6), bytes.readUInt16LE(8), bytes.readUInt16LE(10)]).toEqual([1, 1, 1, 0]);
  expect([...bytes.subarray(12, 24)]).toEqual([1, 0, 2, 0, 65, 0, 0, 0, 0, 0, 0, 0]);
  expect(bytes.length).toBe(24 + 32);
  expect([bytes.readUInt32LE(24), bytes.readUInt32LE(28), bytes.readBigInt64LE(32)]).toEqual([0, 0, TICK.tsEventNs]);
  expect([bytes.readDoubleLE(40), bytes.readBigInt64LE(48)]).toEqual([2500.05, 3n]);
});

it('gives back what was encoded', () => {
  const value = fc.record({
    symbolRef: fc.nat(1),
    tsEventNs: fc.bigInt(-(2n ** 63n), 2n ** 63n - 1n),
    price: fc.double(),
    quantityLots: fc.bigInt(-(2n ** 63n), 2n ** 63n - 1n),
    ask: fc.double(),
  });
  fc.assert(
    fc.property(fc.array(value, { minLength: 1, maxLength: 50 }), (ticks) => {
      const decoded = decodePacked(encodePacked([A, Q], ticks));
      expect(decoded?.header.symbols).toEqual([A, Q]);
      const expected = ticks.map((tick) => ({ ...tick, ...(tick.symbolRef === 1 ? { quantityLots: 0n } : { ask: 0 }) }));
      expect(decoded?.records.map(({ tick }) => tick)).toEqual(expected);
    }),
    process.env['SEED'] === undefined ? {} : { seed: Number(process.env['SEED']) },
  );
});

it('takes no message of another length than its counts give it', () => {
  const message = encodePacked([A, Q], [TICK, { ...TICK, symbolRef: 1 }]);
  for (let length = 0; length < message.length; length += 1) expect(readPackedHeader(message.subarray(0, length))).toBeUndefined();
  expect(readPackedHeader(new Uint8Array([...message, 0]))).toBeUndefined();
  expect(readPackedHeader(message)?.recordCount).toBe(2);
});

it('reads a header alike whether or not its symbols are known already', () => {
  const symbolAt = createSymbolReader();
  const anySymbol = fc.record({ symbol: fc.constantFrom('A', 'B', 'ÄÖ', 'EUR/USD'), lotDecimals: fc.nat(2) });
  fc.assert(
    fc.property(fc.array(anySymbol, { minLength: 1, maxLength: 6 }), fc.nat(80), fc.nat(255), (symbols, at, byte) => {
      const message = encodePacked(
        symbols.map((symbol) => ({ ...A, ...symbol })),
        [TICK],
      );
      expect(readPackedHeader(message, symbolAt)).toEqual(readPackedHeader(message));
      if (at < message.length) message[at] = byte;
      expect(readPackedHeader(message, symbolAt)).toEqual(readPackedHeader(message));
    }),
    process.env['SEED'] === undefined ? {} : { seed: Number(process.env['SEED']) },
  );
  const [first, second] = [
    readPackedHeader(encodePacked([A, Q], [TICK]), symbolAt),
    readPackedHeader(encodePacked([Q, A], [TICK]), symbolAt),
  ];
  expect(second?.symbols[1]).toBe(first?.symbols[0]);
});

it.each([
  ['another magic', 0, 0],
  ['another version', 4, 2],
  ['no symbols', 6, 0],
  ['no records', 8, 0],
  ['a header field that is not zero', 10, 1],
  ['an empty name', 12, 0],
  ['an unknown kind', 13, 2],
  ['too many decimals', 14, 16],
  ['a control character in a name', 16, 7],
  ['a name that is not UTF-8', 16, 0xff],
  ['padding that is not zero', 20, 1],
])('takes no message with %s', (_, at, byte) => {
  const message = encodePacked([A], [TICK]);
  message[at] = byte;
  expect(decodePacked(message)).toBeUndefined();
});

it('refuses one record and keeps the others', () => {
  const message = encodePacked([A], [TICK, TICK, TICK]);
  message[24 + 32] = 1;
  message[24 + 64 + 4] = 1;
  expect(decodePacked(message)?.records.map(({ refusal }) => refusal)).toEqual([0, REFUSAL.malformed, REFUSAL.malformed]);
});

it('encodes nothing that could not be decoded', () => {
  expect(() => encodePacked([A], [])).toThrow('0 records: expected 1 to 512');
  expect(() => encodePacked([], [TICK])).toThrow('0 symbols');
  expect(() =>
    encodePacked(
      [A],
      Array.from({ length: PACKED_RECORDS_MAX + 1 }, () => TICK),
    ),
  ).toThrow('513 records');
  expect(() => encodePacked([A], [{ ...TICK, symbolRef: 1 }])).toThrow('symbol 1: there are 1');
  expect(() => encodePacked([{ ...A, symbol: '' }], [TICK])).toThrow('a name of 1 to 40 bytes');
});
