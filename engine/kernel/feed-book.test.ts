/** The feed book kernel against its readable twin, on seeded records and on the recorded file. */
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { loadProcessConfig } from '../../config/load.ts';
import { dbnRecord } from '../../test/feed-frames.ts';
import { PROJECT_ROOT } from '../core/root.ts';
import { openBytes } from '../ingest/book-feed/byte-source.ts';
import { decodeDbn } from '../ingest/book-feed/dbn-twin.ts';
import { appendMessage, createBookBatch } from '../market/book-message.ts';
import { createFeedBook, type SymbolBook } from '../market/feed-book.ts';
import type { DbnInstrument } from './dbn-instruments.ts';
import { createDbnFeedBook, type DbnFeedBook } from './feed-book.ts';

const seed = Number(process.env['SEED'] ?? Date.now() & 0x7fffffff);
const INSTRUMENTS: readonly DbnInstrument[] = [
  { id: 5602, symbolIndex: 0, tickNanos: 250_000_000 },
  { id: 7, symbolIndex: 1, tickNanos: 10_000_000 },
];

function twinOf(bytes: Uint8Array): ReturnType<typeof createFeedBook> {
  const { messages } = decodeDbn(bytes, INSTRUMENTS, Number.MAX_SAFE_INTEGER);
  const batch = createBookBatch(messages.length);
  for (const message of messages) appendMessage(batch, message);
  const book = createFeedBook();
  book.apply(batch);
  return book;
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

const record = fc.record({
  instrument: fc.constantFrom(...INSTRUMENTS.map(({ id }) => id)),
  tsNs: fc.constant(1n),
  orderId: fc.bigInt({ min: 1n, max: 15n }),
  price: fc.oneof(fc.integer({ min: 100, max: 106 }), fc.constantFrom(-700, 90_000)).map((ticks) => BigInt(ticks) * 250_000_000n),
  size: fc.integer({ min: 1, max: 9 }),
  flags: fc.constant(0x80),
  action: fc.oneof(
    { weight: 60, arbitrary: fc.constantFrom('A', 'A', 'A', 'C', 'M', 'T', 'F') },
    { weight: 1, arbitrary: fc.constant('R') },
  ),
  side: fc.constantFrom('A', 'B'),
});

describe('feed book kernel', () => {
  it(`has the orders, places and counts of its twin, however the bytes are cut (SEED=${seed})`, () => {
    fc.assert(
      fc.property(fc.array(record, { maxLength: 120 }), fc.integer({ min: 1, max: 300 }), (records, chunk) => {
        // An id belongs to one instrument, as a venue's do.
        const bytes = Buffer.concat(
          records.map((fields) => dbnRecord({ ...fields, orderId: fields.orderId + (fields.instrument === 7 ? 100n : 0n) })),
        );
        const book = createDbnFeedBook({ symbols: 2, orders: 64, pages: 16 });
        for (const instrument of INSTRUMENTS) book.add(instrument);
        for (let at = 0; at < bytes.length; at += chunk) book.take(bytes.subarray(at, at + chunk));
        const twin = twinOf(bytes);
        const faults = { unknownOrder: 0, duplicateId: 0, tooMuchTaken: 0, sideChanged: 0 };
        for (const { symbolIndex } of INSTRUMENTS) {
          const symbol = twin.symbol(symbolIndex);
          expectSame(book, symbolIndex, symbol);
          for (const name of ['unknownOrder', 'duplicateId', 'tooMuchTaken', 'sideChanged'] as const) faults[name] += symbol.faults[name];
        }
        expect(book.counters).toMatchObject({ ...faults, noRoom: 0 });
        expect([book.messages, book.orders]).toEqual([records.length, twin.symbol(0).orders.size + twin.symbol(1).orders.size]);
      }),
      { seed, numRuns: 150 },
    );
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
      expectSame(book, 0, twinOf(records).symbol(0));
      expect(Object.values(book.counters).every((count) => count === 0)).toBe(true);
    },
  );
});
