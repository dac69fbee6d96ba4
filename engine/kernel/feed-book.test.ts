/** The feed book kernel against its readable twin, on seeded records and on the recorded file. */
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { loadProcessConfig } from '../../config/load.ts';
import { dbnOther, dbnRecord } from '../../test/feed-frames.ts';
import { PROJECT_ROOT } from '../core/root.ts';
import { openBytes } from '../ingest/book-feed/byte-source.ts';
import { decodeDbn } from '../ingest/book-feed/dbn-twin.ts';
import { appendMessage, createBookBatch } from '../market/book-message.ts';
import { createFeedBook, type FeedBook, type SymbolBook } from '../market/feed-book.ts';
import type { DbnInstrument } from './dbn-instruments.ts';
import { createDbnFeedBook, type DbnFeedBook } from './feed-book.ts';

const seed = Number(process.env['SEED'] ?? Date.now() & 0x7fffffff);
const INSTRUMENTS: readonly DbnInstrument[] = [
  { id: 5602, symbolIndex: 0, tickNanos: 250_000_000 },
  { id: 7, symbolIndex: 1, tickNanos: 10_000_000 },
  { id: 4_000_000_000, symbolIndex: 2, tickNanos: 50_000_000 },
];

function twinOf(bytes: Uint8Array): { twin: FeedBook; messages: number; counters: readonly number[] } {
  const { messages, counters } = decodeDbn(bytes, INSTRUMENTS, Number.MAX_SAFE_INTEGER);
  const batch = createBookBatch(messages.length);
  for (const message of messages) appendMessage(batch, message);
  const book = createFeedBook();
  book.apply(batch);
  return { twin: book, messages: messages.length, counters };
}

/** Orders in the order of the books: buys, then sells, best price first, each `id side price leaves`. */
function listOf(symbol: SymbolBook): string[] {
  const lines: string[] = [];
  for (const side of [0, 1]) {
    for (const level of symbol.levels(side)) {
      for (let order = level.first; order; order = order.after)
        lines.push(`${order.orderId} ${side} ${level.priceTicks} ${order.leavesLots}`);
    }
  }
  return lines;
}

function expectSame(book: DbnFeedBook, symbolIndex: number, twin: SymbolBook): void {
  const found = book.matcher
    .list(symbolIndex)
    .map(({ orderId, side, priceTicks, leavesLots }) => `${orderId} ${side} ${priceTicks} ${leavesLots}`);
  expect(found).toEqual(listOf(twin));
  for (const side of [0, 1] as const) {
    const levels = twin
      .levels(side)
      .map(({ priceTicks, quantityLots, orderCount }) => ({ priceTicks, quantityLots: BigInt(quantityLots), orders: orderCount }));
    expect(book.matcher.levels(symbolIndex, side)).toEqual(levels);
  }
}

/** The odd number that the id table multiplies ids by; its inverse makes ids that meet in one group of the table, and under one tag. */
const MIX = 0x9e3779b97f4a7c15n;
const UNMIX = 0xf1de83e19937733dn;
const IDS_EACH = 24;

/** Ids of an instrument, none of another: most belong to the last group of a table of 32, more than it has places; two in three share a tag. */
const ids = INSTRUMENTS.map((_, instrument) =>
  Array.from({ length: IDS_EACH }, (_, index) => {
    const group = index % 4 === 3 ? BigInt(index % 3) : 31n;
    const tag = index % 3 === 0 ? BigInt(index) : 5n;
    return BigInt.asUintN(64, ((group << 59n) | (tag << 36n) | BigInt(instrument * IDS_EACH + index)) * UNMIX);
  }),
);

const price = fc.oneof(
  { weight: 12, arbitrary: fc.integer({ min: 508, max: 515 }).map((ticks) => BigInt(ticks) * 250_000_000n) },
  { weight: 4, arbitrary: fc.constantFrom(-700n, 90_000n).map((ticks) => ticks * 250_000_000n) },
  // Between ticks, out of range, at the ends of what is in range for one of the instruments, none.
  { weight: 1, arbitrary: fc.constantFrom(1n, 250_000_001n, 2n ** 62n, -(2n ** 63n), 2n ** 63n - 1n) },
  { weight: 1, arbitrary: fc.constantFrom(0x3fffffffn * 10_000_000n, -0x3fffffffn * 10_000_000n, 0x40000000n * 10_000_000n) },
);
const record = fc
  .record({
    instrument: fc.constantFrom(0, 0, 0, 1, 2),
    tsNs: fc.constant(1n),
    id: fc.nat({ max: IDS_EACH - 1 }),
    price,
    size: fc.oneof({ weight: 30, arbitrary: fc.integer({ min: 1, max: 9 }) }, { weight: 1, arbitrary: fc.constantFrom(0, 0x40000001) }),
    flags: fc.oneof({ weight: 30, arbitrary: fc.constantFrom(0, 0x80, 0x20) }, { weight: 1, arbitrary: fc.constantFrom(0x40, 0x10) }),
    action: fc.oneof(
      { weight: 120, arbitrary: fc.constantFrom('A', 'A', 'A', 'A', 'C', 'M', 'T', 'F') },
      { weight: 1, arbitrary: fc.constantFrom('R', 'N', 'x', 'a') },
    ),
    side: fc.oneof({ weight: 30, arbitrary: fc.constantFrom('A', 'B') }, { weight: 1, arbitrary: fc.constantFrom('N', 'b', 'C') }),
  })
  .map(({ instrument, id, ...fields }) => ({ ...fields, instrument: INSTRUMENTS[instrument]!.id, orderId: ids[instrument]![id]! }));
const piece = fc.oneof(
  {
    weight: 40,
    arbitrary: fc.tuple(record, fc.constantFrom(false, false, false, true)).map(([fields, isLong]) => dbnRecord(fields, isLong)),
  },
  { weight: 1, arbitrary: fc.integer({ min: 4, max: 40 }).map((words) => dbnOther(0x12, words, { instrument: 5602 })) },
);

describe('feed book kernel', () => {
  it('is tried with ids that meet in its table', () => {
    expect(BigInt.asUintN(64, MIX * UNMIX)).toBe(1n);
  });

  it(`has the orders, places and counts of its twin, however the bytes are cut (SEED=${seed})`, () => {
    fc.assert(
      fc.property(fc.array(piece, { maxLength: 250 }), fc.integer({ min: 1, max: 2000 }), fc.boolean(), (pieces, chunk, isInPlace) => {
        const bytes = Buffer.concat(pieces);
        const book = createDbnFeedBook({ symbols: 3, orders: 128, pages: 32 });
        for (const instrument of INSTRUMENTS) book.add(instrument);
        if (isInPlace) {
          book.input.set(bytes);
          let at = 0;
          for (let to = 0; to < bytes.length; at = book.follow(at, to)) to = Math.min(to + chunk, bytes.length);
          expect(at).toBe(bytes.length);
        } else for (let at = 0; at < bytes.length; at += chunk) book.take(bytes.subarray(at, at + chunk));
        const { twin, messages, counters } = twinOf(bytes);
        const faults = { unknownOrder: 0, duplicateId: 0, tooMuchTaken: 0, sideChanged: 0 };
        let orders = 0;
        for (const { symbolIndex } of INSTRUMENTS) {
          const symbol = twin.symbol(symbolIndex);
          expectSame(book, symbolIndex, symbol);
          orders += symbol.orders.size;
          for (const name of ['unknownOrder', 'duplicateId', 'tooMuchTaken', 'sideChanged'] as const) faults[name] += symbol.faults[name];
        }
        const [offTick, priceOutOfRange, quantityOutOfRange, malformed, ignored] = counters;
        expect(book.counters).toEqual({ offTick, priceOutOfRange, quantityOutOfRange, malformed, ignored, ...faults, noRoom: 0 });
        expect([book.messages, book.orders]).toEqual([messages, orders]);
      }),
      { seed, numRuns: 300 },
    );
  });

  it('forgets at a clear what it knew of ids, and takes them anew', () => {
    const of = (action: string, index: number): Buffer =>
      dbnRecord({ instrument: 5602, tsNs: 1n, orderId: ids[0]![index]!, price: 10n ** 9n, size: 1, flags: 0, action, side: 'B' });
    const adds = ids[0]!.map((_, index) => of('A', index));
    const book = createDbnFeedBook({ symbols: 1, orders: 128, pages: 1 });
    book.add(INSTRUMENTS[0]!);
    book.take(Buffer.concat([...adds, of('R', 0), ...adds, ...adds]));
    expect([book.orders, book.counters.duplicateId]).toEqual([IDS_EACH, IDS_EACH]);
    book.take(Buffer.concat(ids[0]!.map((_, index) => of('C', index))));
    expect([book.orders, book.counters.unknownOrder]).toEqual([0, 0]);
  });

  it('refuses an instrument whose symbol it has no book for', () => {
    const book = createDbnFeedBook({ symbols: 2, orders: 100, pages: 4 });
    for (const symbolIndex of [2, -1, 0.5]) {
      expect(() => book.add({ id: 7, symbolIndex, tickNanos: 1 })).toThrow(`instrument 7 has symbol index ${symbolIndex}: expected 0 to 1`);
    }
  });

  it('follows no more bytes than its input has', () => {
    const book = createDbnFeedBook({ symbols: 1, orders: 2, pages: 1, inputBytes: 100 });
    expect(book.input.length).toBe(100);
    expect(() => book.follow(0, 101)).toThrow('DBN: bytes 0 to 101 of the input cannot be followed; it has 100');
    expect(() => book.follow(2, 1)).toThrow('DBN: bytes 2 to 1');
  });

  it('counts orders that there is no room for, and names records that cannot be', () => {
    const add = (orderId: bigint, price = 1_000_000_000n): Buffer =>
      dbnRecord({ instrument: 5602, tsNs: 1n, orderId, price, size: 1, flags: 0, action: 'A', side: 'B' });
    const book = createDbnFeedBook({ symbols: 1, orders: 2, pages: 1 });
    expect(() => book.take(add(1n))).toThrow('DBN: instrument 5602 is not known');
    const other = createDbnFeedBook({ symbols: 1, orders: 2, pages: 1 });
    other.add(INSTRUMENTS[0]!);
    other.take(Buffer.concat([add(1n), add(2n, 900_000_000_000_000n), add(3n), add(4n)]));
    expect([other.orders, other.counters.noRoom]).toEqual([2, 2]);
    expect(() => other.take(Buffer.alloc(56))).toThrow('DBN: a record that cannot be');
  });

  const path = join(PROJECT_ROOT, loadProcessConfig().config.DATA_DIR, 'dbn/es-2024-05-08-two-seconds.mbo.dbn.zst');
  it.skipIf(!existsSync(path))(
    `leads to the book of the recorded ES file${existsSync(path) ? '' : ' (skipped: DATA_DIR is absent)'}`,
    async () => {
      const source = await openBytes(path);
      const pieces: Buffer[] = [];
      for (let piece = await source.next(); piece !== undefined; piece = await source.next()) pieces.push(Buffer.from(piece));
      const file = Buffer.concat(pieces);
      const records = file.subarray(8 + file.readUInt32LE(4));
      const book = createDbnFeedBook({ symbols: 1, orders: 20_000, pages: 200 });
      book.add(INSTRUMENTS[0]!);
      for (let time = 0; time < 3; time += 1) book.take(records);
      expect([book.messages, book.orders]).toEqual([3 * 13_796, 13_598]);
      expectSame(book, 0, twinOf(records).twin.symbol(0));
      expect(Object.values(book.counters).every((count) => count === 0)).toBe(true);
    },
  );
});
