/** Recorded order-by-order files against what is known of them. */
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { loadProcessConfig } from '../../../config/load.ts';
import { PROJECT_ROOT } from '../../core/root.ts';
import {
  appendMessage,
  BOOK_ACTION,
  BOOK_ACTION_NAMES,
  BOOK_SIDE,
  type BookFeed,
  type BookMessage,
  createBookBatch,
  readMessage,
} from '../../market/book-message.ts';
import { createFeedBook, type FeedBook } from '../../market/feed-book.ts';
import { parseBookRow } from './lobster.ts';
import { openBookFeed } from './open.ts';

const folder = join(PROJECT_ROOT, loadProcessConfig().config.DATA_DIR);
const isThere = existsSync(join(folder, 'dbn'));
const ES = join(folder, 'dbn/es-2024-05-08-two-seconds.mbo.dbn.zst');
const AAPL = join(folder, 'lobster/AAPL_2012-06-21_34200000_57600000');

interface Followed {
  readonly feed: BookFeed;
  readonly book: FeedBook;
  readonly messages: BookMessage[];
  readonly actions: Record<string, number>;
}

async function follow(files: readonly string[], capacity = 1000): Promise<Followed> {
  const feed = await openBookFeed(files);
  const book = createFeedBook();
  const batch = createBookBatch(capacity);
  const messages: BookMessage[] = [];
  const actions: Record<string, number> = {};
  while ((await feed.read(batch)) > 0) {
    book.apply(batch);
    for (let index = 0; index < batch.count; index += 1) {
      messages.push(readMessage(batch, index));
      const name = BOOK_ACTION_NAMES[batch.action[index]! - 1] ?? '?';
      actions[name] = (actions[name] ?? 0) + 1;
    }
  }
  return { feed, book, messages, actions };
}

const sum = (values: readonly number[]): number => values.reduce((total, value) => total + value, 0);

describe.skipIf(!isThere)(`recorded feeds${isThere ? '' : ' (skipped: DATA_DIR is absent)'}`, () => {
  it.each([100, 8192, 50_000])('follows the ES file to the book that is known, in batches of %i', async (capacity) => {
    const { feed, book, messages, actions } = await follow([ES], capacity);
    const es = book.symbol(0);
    const [bids, asks] = [es.levels(BOOK_SIDE.buy), es.levels(BOOK_SIDE.sell)];
    expect(actions).toEqual({ add: 13_678, cancel: 80, modify: 27, trade: 5, fill: 5, clear: 1 });
    expect([es.orders.size, sum(bids.map((level) => level.orderCount)), sum(asks.map((level) => level.orderCount))]).toEqual([
      13_598, 8335, 5263,
    ]);
    expect([bids.length, asks.length]).toEqual([976, 571]);
    expect([sum(bids.map((level) => level.quantityLots)), sum(asks.map((level) => level.quantityLots))]).toEqual([26_220, 19_752]);
    expect(feed.instruments).toEqual([{ symbol: 'ESM4', tickNanos: 250_000_000 }]);
    expect([es.best(BOOK_SIDE.buy)?.priceTicks, es.best(BOOK_SIDE.sell)?.priceTicks]).toEqual([5214 * 4, 5214 * 4 + 1]);
    expect([es.faults, feed.refused, feed.ignored]).toEqual([
      { unknownOrder: 0, duplicateId: 0, tooMuchTaken: 0, sideChanged: 0 },
      { offTick: 0, priceOutOfRange: 0, quantityOutOfRange: 0, malformed: 0 },
      0,
    ]);
    // The fill after each trade names the maker: it rests at the price of the trade, first of its level.
    const trades = messages.flatMap((message, index) => (message.action === BOOK_ACTION.trade ? [index] : []));
    expect(trades.length).toBe(5);
    for (const index of trades) {
      const [trade, fill] = [messages[index]!, messages[index + 1]!];
      expect(fill).toMatchObject({
        action: BOOK_ACTION.fill,
        priceTicks: trade.priceTicks,
        quantityLots: trade.quantityLots,
        side: 1 - trade.side,
      });
    }
  });

  it.each(['test_data.mbo.dbn', 'test_data.mbo.dbn.zst'])('reads %s', async (name) => {
    const { feed, messages } = await follow([join(folder, 'dbn', name)]);
    expect(feed.instruments).toEqual([{ symbol: 'ESH1', tickNanos: 10_000_000 }]);
    const common = { action: BOOK_ACTION.cancel, side: BOOK_SIDE.sell, newOrderId: 0n, quantityLots: 1, symbolIndex: 0, flags: 1 };
    expect(messages).toEqual([
      { ...common, tsNs: 1609160400000429831n, orderId: 647784973705n, priceTicks: 372_275 },
      { ...common, tsNs: 1609160400000431665n, orderId: 647784973631n, priceTicks: 372_300 },
    ]);
  });

  it('takes tick sizes from definitions, and other records as nothing about a book', async () => {
    const { feed } = await follow([join(folder, 'dbn/test_data.definition.dbn.zst'), join(folder, 'dbn/test_data.trades.dbn')]);
    expect([feed.ignored, feed.instruments]).toEqual([4, []]);
  });

  it('LOBSTER: a message applied to the published row gives the next row, 998 of 998', async () => {
    const { messages } = await follow([`${AAPL}_message_10.csv`]);
    const rows = readFileSync(`${AAPL}_orderbook_10.csv`, 'utf8').trim().split('\n');
    expect([messages.length, rows.length]).toEqual([999, 999]);
    const heard = createFeedBook();
    const one = createBookBatch(1);
    const hear = (book: FeedBook, message: BookMessage): void => {
      one.count = 0;
      appendMessage(one, message);
      book.apply(one);
    };
    let equal = 0;
    for (let index = 1; index < rows.length; index += 1) {
      hear(heard, messages[index - 1]!);
      const book = standing(rows[index - 1]!, heard);
      hear(book, messages[index]!);
      if (rowOf(book, rows[index]) === rows[index]) equal += 1;
    }
    expect(equal).toBe(998);
  });

  it('LOBSTER: carried on from the first row alone, 112 rows are equal', async () => {
    const feed = await openBookFeed([`${AAPL}_message_10.csv`, `${AAPL}_orderbook_10.csv`]);
    const rows = readFileSync(`${AAPL}_orderbook_10.csv`, 'utf8').trim().split('\n');
    const book = createFeedBook();
    const batch = createBookBatch(1);
    let snapshots = 0;
    let equal = 0;
    for (let row = -1; (await feed.read(batch)) > 0; ) {
      book.apply(batch);
      if (readMessage(batch, 0).flags & 2) snapshots += 1;
      else row += 1;
      if (row >= 1 && rowOf(book) === rows[row]) equal += 1;
    }
    expect([snapshots, feed.instruments]).toEqual([19, [{ symbol: 'AAPL', tickNanos: 10_000_000 }]]);
    expect(equal).toBe(112);
  });
});

/** A book with the sizes of a row: orders that were heard of stand behind what is left of each size, which nobody knows. */
function standing(row: string, heard: FeedBook): FeedBook {
  const book = createFeedBook();
  const batch = createBookBatch(10_000);
  for (const { direction, price, size } of parseBookRow(row)) {
    const at = { tsNs: 0n, action: BOOK_ACTION.add, side: direction === 1 ? BOOK_SIDE.buy : BOOK_SIDE.sell, priceTicks: price / 100 };
    const orders: BookMessage[] = [];
    for (let order = heard.symbol(0).level(at.side, at.priceTicks)?.first; order; order = order.after) {
      orders.push({ ...at, orderId: order.orderId, quantityLots: order.leavesLots, newOrderId: 0n, symbolIndex: 0, flags: 0 });
    }
    // More was heard of than stands: orders went while their level was out of view, and nobody knows which.
    if (sum(orders.map((order) => order.quantityLots)) > size) orders.length = 0;
    const unknown = size - sum(orders.map((order) => order.quantityLots));
    if (unknown > 0) appendMessage(batch, { ...at, quantityLots: unknown });
    for (const order of orders) appendMessage(batch, order);
  }
  book.apply(batch);
  return book;
}

/** The ten best levels as the book file writes them. With `next`, a tenth level that is not known is taken from there, as it came into view. */
function rowOf(book: FeedBook, next?: string): string {
  const sides = [BOOK_SIDE.sell, BOOK_SIDE.buy].map((side) => {
    const levels = book.symbol(0).levels(side).slice(0, 10);
    const cells = levels.map((level) => [level.priceTicks * 100, level.quantityLots]);
    const fields = next?.split(',').map(Number);
    if (cells.length === 9 && fields) cells.push(fields.slice(side === BOOK_SIDE.sell ? 36 : 38).slice(0, 2));
    while (cells.length < 10) cells.push([side === BOOK_SIDE.sell ? 9_999_999_999 : -9_999_999_999, 0]);
    return cells;
  });
  return Array.from({ length: 10 }, (_, index) => [sides[0]![index], sides[1]![index]].join()).join();
}
