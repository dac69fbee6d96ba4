import fc from 'fast-check';
import { expect, it } from 'vitest';
import { allocateSymbols, openSymbols, SYMBOL_NAME_BYTES_MAX } from './instruments.ts';

/** fast-check prints the seed of a failure; SEED replays it. */
const SEEDED = process.env['SEED'] === undefined ? {} : { seed: Number(process.env['SEED']) };

const name = fc
  .string({ unit: 'grapheme', minLength: 1, maxLength: SYMBOL_NAME_BYTES_MAX })
  .filter((text) => new TextEncoder().encode(text).length <= SYMBOL_NAME_BYTES_MAX && !text.startsWith('\ufeff'));
const entry = fc.record({
  name,
  partition: fc.nat(1023),
  shard: fc.nat(63),
  localIndex: fc.nat(65535),
  priceDecimals: fc.nat(15),
  lotDecimals: fc.nat(15),
  isQuote: fc.boolean(),
});

it('gives back every entry as it was written, through another view of the same memory', () => {
  fc.assert(
    fc.property(fc.array(entry, { minLength: 1, maxLength: 20 }), (entries) => {
      const buffer = allocateSymbols(20);
      const writer = openSymbols(buffer);
      for (const [index, value] of entries.entries()) writer.write(index, value);
      const reader = openSymbols(buffer);
      expect(entries.map((_, index) => reader.read(index))).toEqual(entries);
    }),
    SEEDED,
  );
});

it('knows nothing of an index that is not in use or beyond the capacity', () => {
  const symbols = openSymbols(allocateSymbols(3));
  expect(symbols.capacity).toBe(3);
  expect([0, 2, 3, -1].map((index) => symbols.read(index))).toEqual([undefined, undefined, undefined, undefined]);
});

it('keeps a name of 40 bytes apart from its neighbours', () => {
  const symbols = openSymbols(allocateSymbols(3));
  const plain = { partition: 1, shard: 2, localIndex: 3, priceDecimals: 4, lotDecimals: 5, isQuote: true };
  for (const index of [0, 1, 2]) symbols.write(index, { ...plain, name: String(index).repeat(SYMBOL_NAME_BYTES_MAX) });
  expect(symbols.read(1)).toEqual({ ...plain, name: '1'.repeat(40) });
});
