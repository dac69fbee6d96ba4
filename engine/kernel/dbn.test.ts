/** The DBN kernel against its readable twin, on seeded records that are right, wrong and cut off. */
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { type DbnRecord, dbnOther, dbnRecord } from '../../test/feed-frames.ts';
import { decodeDbn } from '../ingest/book-feed/dbn-twin.ts';
import { createBookBatch, readMessage } from '../market/book-message.ts';
import { createDbnDecoder, DBN_STOP } from './dbn.ts';
import type { DbnInstrument } from './dbn-instruments.ts';

const seed = Number(process.env['SEED'] ?? Date.now() & 0x7fffffff);

const INSTRUMENTS: readonly DbnInstrument[] = [
  { id: 5602, symbolIndex: 0, tickNanos: 250_000_000 },
  { id: 7, symbolIndex: 1, tickNanos: 10_000_000 },
  { id: 4_000_000_000, symbolIndex: 2, tickNanos: 1 },
  { id: 9, symbolIndex: 3, tickNanos: 1_000_000_000_000 },
];
const I64_MAX = 0x7fff_ffff_ffff_ffffn;

const price = fc.oneof(
  { weight: 8, arbitrary: fc.bigInt({ min: -100_000n, max: 100_000n }).map((ticks) => ticks * 250_000_000n) },
  { weight: 2, arbitrary: fc.bigInt({ min: -(2n ** 63n), max: I64_MAX }) },
  // About the bound of a price in ticks, for each of the ticks.
  {
    weight: 2,
    arbitrary: fc
      .tuple(fc.constantFrom(...INSTRUMENTS), fc.bigInt({ min: -3n, max: 3n }), fc.bigInt({ min: -1n, max: 1n }))
      .map(([{ tickNanos }, ticks, rest]) => (0x3fffffffn + ticks) * BigInt(tickNanos) + rest)
      .filter((value) => value <= I64_MAX),
  },
  { weight: 1, arbitrary: fc.constantFrom(I64_MAX, I64_MAX - 1n, -(2n ** 63n), 0n, -1n) },
);
const record: fc.Arbitrary<DbnRecord> = fc.record({
  instrument: fc.constantFrom(...INSTRUMENTS.map(({ id }) => id)),
  tsNs: fc.bigInt({ min: 0n, max: 2n ** 62n }),
  orderId: fc.bigInt({ min: 0n, max: 2n ** 64n - 1n }),
  price,
  size: fc.oneof(fc.integer({ min: 1, max: 500 }), fc.constantFrom(0, 0x40000000, 0x40000001, 0xffffffff)),
  flags: fc.oneof(fc.constantFrom(0, 0x80, 0x20, 0xa0), fc.integer({ min: 0, max: 255 })),
  action: fc.oneof(
    { weight: 9, arbitrary: fc.constantFrom('A', 'C', 'M', 'T', 'F', 'R', 'N') },
    { weight: 1, arbitrary: fc.constantFrom('x', '\0', 'a') },
  ),
  side: fc.oneof({ weight: 9, arbitrary: fc.constantFrom('A', 'B', 'N') }, { weight: 1, arbitrary: fc.constantFrom('b', '\0') }),
});
const piece = fc.oneof(
  { weight: 12, arbitrary: fc.tuple(record, fc.boolean()).map(([fields, hasSendTime]) => dbnRecord(fields, hasSendTime)) },
  { weight: 1, arbitrary: fc.integer({ min: 4, max: 255 }).map((words) => dbnOther(0x12, words, { instrument: 1 })) },
);

describe('the DBN kernel', () => {
  it('gives what its twin gives, whatever the records and however they are staged', () => {
    fc.assert(
      fc.property(
        fc.array(piece, { maxLength: 60 }),
        fc.integer({ min: 1, max: 400 }),
        fc.integer({ min: 1, max: 9 }),
        (pieces, chunk, capacity) => {
          const bytes = Buffer.concat(pieces);
          const expected = decodeDbn(bytes, INSTRUMENTS, Number.MAX_SAFE_INTEGER);
          const decoder = createDbnDecoder();
          for (const instrument of INSTRUMENTS) decoder.add(instrument);
          const found: unknown[] = [];
          const batch = createBookBatch(capacity);
          for (let at = 0; at < bytes.length; ) {
            at += decoder.stage.put(bytes.subarray(at, at + chunk));
            for (let stop: number = DBN_STOP.full; stop === DBN_STOP.full; ) {
              batch.count = 0;
              stop = decoder.decode(batch);
              for (let index = 0; index < batch.count; index += 1) found.push(readMessage(batch, index));
            }
          }
          expect(found).toEqual(expected.messages);
          expect([...decoder.counters]).toEqual(expected.counters);
          expect(decoder.stage.end - decoder.stage.start).toBe(bytes.length - expected.consumed);
        },
      ),
      { seed, numRuns: 300 },
    );
  });

  it('stops before a record that cannot be and before an instrument that is not known, like its twin', () => {
    const good = dbnRecord({ instrument: 7, tsNs: 1n, orderId: 2n, price: 10_000_000n, size: 1, flags: 0x80, action: 'A', side: 'B' });
    const unknown = dbnRecord({ instrument: 8, tsNs: 1n, orderId: 2n, price: 10_000_000n, size: 1, flags: 0x80, action: 'A', side: 'B' });
    const endings = [
      [unknown, DBN_STOP.instrument],
      [dbnOther(0x12, 3, { instrument: 1 }).fill(3, 0, 1), DBN_STOP.broken],
      [Buffer.alloc(64), DBN_STOP.broken],
      [dbnOther(0xa0, 13, { instrument: 7 }), DBN_STOP.broken],
    ] as const;
    for (const [ending, stop] of endings) {
      const bytes = Buffer.concat([good, ending, Buffer.alloc(16)]);
      const decoder = createDbnDecoder();
      for (const instrument of INSTRUMENTS) decoder.add(instrument);
      decoder.stage.put(bytes);
      const batch = createBookBatch(10);
      expect(decoder.decode(batch)).toBe(stop);
      const expected = decodeDbn(bytes, INSTRUMENTS, 10);
      expect([batch.count, decoder.stage.start, expected.stop, expected.consumed, expected.messages.length]).toEqual([1, 56, stop, 56, 1]);
    }
  });
});
