/** Order-by-order files built from the public layouts: DBN 1 to 3 and ITCH 5.0. */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { gzipSync } from 'node:zlib';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type DbnRecord, dbnHeader, dbnOther, dbnRecord, itchBegin, itchMessage } from '../../../test/feed-frames.ts';
import {
  BOOK_ACTION,
  BOOK_FLAG,
  BOOK_SIDE,
  type BookFeed,
  type BookMessage,
  createBookBatch,
  NO_PRICE,
  readMessage,
} from '../../market/book-message.ts';
import { createFeedBook } from '../../market/feed-book.ts';
import { ITCH_BYTES } from './itch.ts';
import { openBookFeed } from './open.ts';
import type { BookFeedOptions } from './options.ts';

let folder = '';
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'feed-'));
});
afterAll(() => rmSync(folder, { recursive: true }));

function write(name: string, ...parts: Uint8Array[]): string {
  const path = join(folder, name);
  writeFileSync(path, Buffer.concat(parts));
  return path;
}

async function readAll(files: readonly string[], options: BookFeedOptions = {}): Promise<{ feed: BookFeed; messages: BookMessage[] }> {
  const feed = await openBookFeed(files, options);
  const batch = createBookBatch(3);
  const messages: BookMessage[] = [];
  while ((await feed.read(batch)) > 0) for (let index = 0; index < batch.count; index += 1) messages.push(readMessage(batch, index));
  return { feed, messages };
}

const ADD: DbnRecord = {
  instrument: 5602,
  tsNs: 1_715_126_400_000_000_007n,
  orderId: 11n,
  price: 5_214_250_000_000n,
  size: 3,
  flags: 0x80,
  action: 'A',
  side: 'B',
};

describe('DBN', () => {
  it.each([1, 2, 3] as const)('version %i: header, records with and without send times, other records', async (version) => {
    for (const hasSendTimes of [false, true]) {
      const header = dbnHeader({ version, hasSendTimes, symbols: { 5602: 'ESM4', 77: 'ESU4' } });
      const records = [
        dbnRecord(ADD, hasSendTimes),
        dbnOther(0x17, 20, { instrument: 5602 }),
        dbnRecord({ ...ADD, orderId: 12n, price: 5_214_500_000_000n, side: 'A', flags: 0xa0 }, hasSendTimes),
        dbnRecord({ ...ADD, instrument: 77, orderId: 13n, price: 5_270_000_000_000n }, hasSendTimes),
        dbnRecord({ ...ADD, action: 'C', size: 1 }, hasSendTimes),
      ];
      const { feed, messages } = await readAll([write(`v${version}.dbn`, header, ...records)]);
      // So few prices agree on a quarter and on ten by chance; a cent is the coarsest that is believed.
      expect(feed.instruments).toEqual([
        { symbol: 'ESM4', tickNanos: 10_000_000 },
        { symbol: 'ESU4', tickNanos: 10_000_000 },
      ]);
      expect(feed.ignored).toBe(1);
      const first = {
        tsNs: ADD.tsNs,
        action: BOOK_ACTION.add,
        side: BOOK_SIDE.buy,
        orderId: 11n,
        newOrderId: 0n,
        priceTicks: 521_425,
        quantityLots: 3,
      };
      expect(messages).toEqual([
        { ...first, symbolIndex: 0, flags: BOOK_FLAG.last },
        { ...first, orderId: 12n, side: BOOK_SIDE.sell, priceTicks: 521_450, symbolIndex: 0, flags: BOOK_FLAG.last | BOOK_FLAG.snapshot },
        { ...first, orderId: 13n, priceTicks: 527_000, symbolIndex: 1, flags: BOOK_FLAG.last },
        { ...first, action: BOOK_ACTION.cancel, quantityLots: 1, symbolIndex: 0, flags: BOOK_FLAG.last },
      ]);
    }
  });

  it('takes the tick from a definition, from the option, or from many prices', async () => {
    const records = Array.from({ length: 200 }, (_, index) =>
      dbnRecord({ ...ADD, orderId: BigInt(index + 1), price: BigInt(20_000 + index) * 250_000_000n }),
    );
    const plain = write('many.dbn', dbnHeader({ version: 3, symbols: { 5602: 'ESM4' } }), ...records);
    const defined = write(
      'defined.dbn',
      dbnHeader({ version: 2, schema: 65535, symbols: { 5602: 'ESM4' } }),
      dbnOther(0x13, 100, { instrument: 5602, tick: 50_000_000n }),
    );
    const tickOf = async (files: string[], options = {}): Promise<number | undefined> =>
      (await readAll(files, options)).feed.instruments[0]?.tickNanos;
    expect(await tickOf([plain])).toBe(250_000_000);
    expect(await tickOf([defined, plain])).toBe(50_000_000);
    expect(await tickOf([defined, plain], { tickSize: '0.125' })).toBe(125_000_000);
    const { feed, messages } = await readAll([plain], { tickSize: '0.5' });
    expect([feed.refused.offTick, messages.length]).toEqual([100, 100]);
  });

  it('reads one symbol out of several, and an instrument that was numbered anew as the same', async () => {
    const first = write(
      'day1.dbn',
      dbnHeader({ version: 1, symbols: { 5602: 'ESM4', 77: 'NQM4' } }),
      dbnRecord(ADD),
      dbnRecord({ ...ADD, instrument: 77, orderId: 12n }),
    );
    const second = write(
      'day2.dbn',
      dbnHeader({ version: 1, symbols: { 90: 'ESM4' } }),
      dbnRecord({ ...ADD, instrument: 90, orderId: 13n }),
    );
    const { feed, messages } = await readAll([first, second], { symbol: 'ESM4' });
    expect(messages.map(({ orderId, symbolIndex }) => [orderId, feed.instruments[symbolIndex]?.symbol])).toEqual([
      [11n, 'ESM4'],
      [13n, 'ESM4'],
    ]);
  });

  it('names what is wrong with a file', async () => {
    const header = dbnHeader({ version: 3, symbols: { 5602: 'ESM4' } });
    const failing = async (pattern: RegExp, ...parts: Uint8Array[]): Promise<void> => {
      await expect(readAll([write('wrong.dbn', ...parts)], { format: 'dbn' })).rejects.toThrow(pattern);
    };
    await failing(/wrong\.dbn: ends within a record/, header, dbnRecord(ADD).subarray(0, 40));
    await failing(/wrong\.dbn: ends within its DBN header/, header.subarray(0, 60));
    await failing(/begins with 'DBN' 4; expected DBN, version 1 to 3/, Buffer.from('DBN\x04\0\0\0\0'));
    await failing(/a record of type 160 and 52 bytes cannot be/, header, dbnOther(0xa0, 13, { instrument: 5602 }));
    await failing(
      /the DBN header needs byte \d+ and says that it has 108/,
      Buffer.concat([header.subarray(0, 4), Buffer.from([100, 0, 0, 0]), header.subarray(8)]),
    );
    await expect(openBookFeed([write('what.bin', Buffer.from('hello'))])).rejects.toThrow(
      /what\.bin: neither DBN, nor ITCH 5\.0, nor a LOBSTER/,
    );
    await expect(openBookFeed([join(folder, 'none')])).rejects.toThrow(/ENOENT/);
    await expect(readAll([write('right.dbn', header, dbnRecord(ADD))], { tickSize: '0' })).rejects.toThrow(/tick size '0'/);
  });
});

const NOON = 43_200_000_000_000n;
const at = (nanos: bigint): ReturnType<typeof itchBegin> => itchBegin(3, NOON + nanos);
const directory = itchMessage('R', [
  ...at(0n),
  ['a8', 'AAPL'],
  ['a1', 'Q'],
  ['a1', 'N'],
  ['n4', 100],
  ['a1', 'N'],
  ['a1', 'C'],
  ['a2', 'Z'],
  ['a1', 'P'],
  ['a1', 'N'],
  ['a1', ' '],
  ['a1', '1'],
  ['a1', 'N'],
  ['n4', 0],
  ['a1', 'N'],
]);
const addOrder = (nanos: bigint, fields: { id: bigint; side: string; shares: number; price: number }): Buffer =>
  itchMessage('A', [...at(nanos), ['n8', fields.id], ['a1', fields.side], ['n4', fields.shares], ['a8', 'AAPL'], ['n4', fields.price]]);

describe('ITCH 5.0', () => {
  it('has messages of the lengths that the layout gives', () => {
    expect(directory.length - 2).toBe(ITCH_BYTES['R']);
    expect(addOrder(0n, { id: 1n, side: 'B', shares: 1, price: 1 }).length - 2).toBe(ITCH_BYTES['A']);
  });

  it('gives every message side, price and size, and leads to the book that rests', async () => {
    const file = Buffer.concat([
      itchMessage('S', [...itchBegin(0, NOON), ['a1', 'O']]),
      directory,
      itchMessage('H', [...at(1n), ['a8', 'AAPL'], ['a1', 'T'], ['a1', ' '], ['a4', '']]),
      addOrder(2n, { id: 21n, side: 'B', shares: 300, price: 1_500_000 }),
      itchMessage('F', [...at(3n), ['n8', 22n], ['a1', 'S'], ['n4', 200], ['a8', 'AAPL'], ['n4', 1_500_100], ['a4', 'GSCO']]),
      itchMessage('E', [...at(4n), ['n8', 21n], ['n4', 100], ['n8', 900n]]),
      itchMessage('C', [...at(5n), ['n8', 22n], ['n4', 50], ['n8', 901n], ['a1', 'Y'], ['n4', 1_500_050]]),
      itchMessage('X', [...at(6n), ['n8', 21n], ['n4', 20]]),
      itchMessage('U', [...at(7n), ['n8', 21n], ['n8', 23n], ['n4', 500], ['n4', 1_499_900]]),
      itchMessage('D', [...at(8n), ['n8', 22n]]),
      itchMessage('P', [...at(9n), ['n8', 0n], ['a1', 'B'], ['n4', 7], ['a8', 'AAPL'], ['n4', 1_500_049], ['n8', 902n]]),
      itchMessage('Q', [...at(10n), ['n8', 1000n], ['a8', 'AAPL'], ['n4', 1_500_000], ['n8', 903n], ['a1', 'O']]),
      itchMessage('B', [...at(11n), ['n8', 902n]]),
      itchMessage('D', [...at(12n), ['n8', 99n]]),
      itchMessage('E', [...at(13n), ['n8', 98n], ['n4', 1], ['n8', 904n]]),
    ]);
    for (const [name, bytes] of [
      ['05302019.NASDAQ_ITCH50', file],
      ['05302019.NASDAQ_ITCH50.gz', gzipSync(file)],
    ] as const) {
      const { feed, messages } = await readAll([write(name, bytes)], { tickSize: '0.01' });
      expect(feed.instruments).toEqual([{ symbol: 'AAPL', tickNanos: 10_000_000 }]);
      const midnight = BigInt(Date.parse('2019-05-30T04:00:00Z')) * 1_000_000n;
      const message = (nanos: bigint, fields: Partial<BookMessage>): BookMessage => ({
        tsNs: midnight + NOON + nanos,
        action: 0,
        side: BOOK_SIDE.none,
        orderId: 0n,
        newOrderId: 0n,
        priceTicks: NO_PRICE,
        quantityLots: 0,
        symbolIndex: 0,
        flags: BOOK_FLAG.last,
        ...fields,
      });
      const between = BOOK_FLAG.last | BOOK_FLAG.betweenTicks;
      expect(messages).toEqual([
        message(1n, { action: BOOK_ACTION.status, quantityLots: 3 }),
        message(2n, { action: BOOK_ACTION.add, orderId: 21n, side: BOOK_SIDE.buy, quantityLots: 300, priceTicks: 15_000 }),
        message(3n, { action: BOOK_ACTION.add, orderId: 22n, side: BOOK_SIDE.sell, quantityLots: 200, priceTicks: 15_001 }),
        message(4n, { action: BOOK_ACTION.execute, orderId: 21n, side: BOOK_SIDE.buy, quantityLots: 100, priceTicks: 15_000 }),
        message(5n, {
          action: BOOK_ACTION.execute,
          orderId: 22n,
          side: BOOK_SIDE.sell,
          quantityLots: 50,
          priceTicks: 15_000,
          flags: between,
        }),
        message(6n, { action: BOOK_ACTION.cancel, orderId: 21n, side: BOOK_SIDE.buy, quantityLots: 20, priceTicks: 15_000 }),
        message(7n, {
          action: BOOK_ACTION.replace,
          orderId: 21n,
          newOrderId: 23n,
          side: BOOK_SIDE.buy,
          quantityLots: 500,
          priceTicks: 14_999,
        }),
        message(8n, { action: BOOK_ACTION.cancel, orderId: 22n, side: BOOK_SIDE.sell, quantityLots: 150, priceTicks: 15_001 }),
        message(9n, { action: BOOK_ACTION.trade, quantityLots: 7, priceTicks: 15_000, flags: between }),
        message(10n, { action: BOOK_ACTION.trade, quantityLots: 1000, priceTicks: 15_000 }),
        message(13n, { action: BOOK_ACTION.execute, orderId: 98n, quantityLots: 1 }),
      ]);
      // A delete of an order that nobody knows takes off an unknown size; the system event and the broken trade say nothing about a book.
      expect([feed.refused.malformed, feed.ignored]).toEqual([1, 3]);
      const book = createFeedBook();
      const batch = createBookBatch(100);
      const again = await openBookFeed([join(folder, name)], { tickSize: '0.01' });
      await again.read(batch);
      book.apply(batch);
      expect([...book.symbol(0).orders.values()].map(({ orderId, leavesLots, level }) => [orderId, leavesLots, level.priceTicks])).toEqual([
        [23n, 500, 14_999],
      ]);
      expect(book.symbol(0).faults.unknownOrder).toBe(1);
    }
  });

  it('refuses what cannot be and goes on with the next message', async () => {
    const file = Buffer.concat([
      directory,
      itchMessage('A', [...at(1n), ['n8', 1n]]),
      itchMessage('z', [...at(1n)]),
      addOrder(2n, { id: 2n, side: 'B', shares: 0, price: 1_500_000 }),
      addOrder(3n, { id: 3n, side: 'B', shares: 1, price: 1_500_050 }),
      addOrder(4n, { id: 4n, side: 'B', shares: 1, price: 1_500_000 }),
    ]);
    const { feed, messages } = await readAll([write('some.itch', file)], { tickSize: '0.01' });
    expect(feed.refused).toEqual({ malformed: 2, quantityOutOfRange: 1, offTick: 1, priceOutOfRange: 0 });
    expect(messages.map(({ orderId, tsNs }) => [orderId, tsNs])).toEqual([[4n, NOON + 4n]]);
    await expect(readAll([write('cut.itch', file.subarray(0, file.length - 1))])).rejects.toThrow(/cut\.itch: ends within a message/);
  });

  it('reads one symbol out of several', async () => {
    const other = itchMessage('A', [...itchBegin(4, NOON), ['n8', 5n], ['a1', 'S'], ['n4', 1], ['a8', 'MSFT'], ['n4', 300_000]]);
    const file = write('two.itch', directory, addOrder(1n, { id: 4n, side: 'B', shares: 1, price: 1_500_000 }), other);
    expect((await readAll([file], { symbol: 'MSFT', date: '2024-01-05' })).messages).toMatchObject([
      { orderId: 5n, symbolIndex: 0, priceTicks: 300_000 },
    ]);
    expect((await readAll([file])).feed.instruments.map(({ symbol }) => symbol)).toEqual(['AAPL', 'MSFT']);
  });
});
