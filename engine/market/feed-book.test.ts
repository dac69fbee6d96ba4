import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { createFlow } from '../../test/flow-messages.ts';
import { appendMessage, BOOK_ACTION, BOOK_SIDE, type BookMessage, createBookBatch } from './book-message.ts';
import { createFeedBook, type FeedBook, type FeedLevel } from './feed-book.ts';

const seed = Number(process.env['SEED'] ?? Date.now() & 0x7fffffff);

function follow(messages: readonly Partial<BookMessage>[]): FeedBook {
  const batch = createBookBatch(messages.length);
  for (const message of messages)
    appendMessage(batch, { tsNs: 0n, action: BOOK_ACTION.add, side: BOOK_SIDE.buy, priceTicks: 10, quantityLots: 5, ...message });
  const book = createFeedBook();
  book.apply(batch);
  return book;
}

/** `id:leaves` of a level in order of time. */
function queue(level: FeedLevel | undefined): string[] {
  const ids: string[] = [];
  for (let order = level?.first; order; order = order.after) ids.push(`${order.orderId}:${order.leavesLots}`);
  return ids;
}

interface Plain {
  id: bigint;
  side: number;
  priceTicks: number;
  leaves: number;
}

/** The same rules on one list of orders, in order of time. */
function applyPlainly(orders: Plain[], message: Partial<BookMessage>): Plain[] {
  const { action, orderId: id = 0n, newOrderId = 0n, side = 0, priceTicks = 0, quantityLots = 0 } = message;
  const at = orders.findIndex((order) => order.id === id);
  const found = orders[at];
  const without = orders.filter((order) => order.id !== id);
  if (action === BOOK_ACTION.add) return [...without, { id, side, priceTicks, leaves: quantityLots }];
  if (action === BOOK_ACTION.clear) return [];
  if (!found) return orders;
  if (action === BOOK_ACTION.cancel || action === BOOK_ACTION.execute) {
    if (quantityLots >= found.leaves) return without;
    return orders.with(at, { ...found, leaves: found.leaves - quantityLots });
  }
  if (action === BOOK_ACTION.replace)
    return [...without.filter((order) => order.id !== newOrderId), { id: newOrderId, side, priceTicks, leaves: quantityLots }];
  if (action !== BOOK_ACTION.modify) return orders;
  const keepsPlace = found.side === side && found.priceTicks === priceTicks && quantityLots <= found.leaves;
  return keepsPlace ? orders.with(at, { ...found, leaves: quantityLots }) : [...without, { id, side, priceTicks, leaves: quantityLots }];
}

const message = fc.record({
  action: fc.oneof({ weight: 60, arbitrary: fc.constantFrom(1, 1, 1, 2, 3, 4, 5, 6, 7, 9) }, { weight: 1, arbitrary: fc.constant(8) }),
  side: fc.constantFrom(0, 1),
  orderId: fc.bigInt({ min: 1n, max: 12n }),
  newOrderId: fc.bigInt({ min: 1n, max: 12n }),
  // Levels beside each other and far away, so that the next best is found both ways.
  priceTicks: fc.oneof(fc.integer({ min: 100, max: 106 }), fc.constantFrom(-1000, 5000)),
  quantityLots: fc.integer({ min: 1, max: 9 }),
});

describe('feed book', () => {
  it(`has the orders, levels and queues of one plain list, whatever comes (SEED=${seed})`, () => {
    fc.assert(
      fc.property(fc.array(message, { maxLength: 80 }), (messages) => {
        const symbol = follow(messages).symbol(0);
        let plain: Plain[] = [];
        for (const one of messages) plain = applyPlainly(plain, one);
        expect(symbol.orders.size).toBe(plain.length);
        for (const side of [BOOK_SIDE.buy, BOOK_SIDE.sell]) {
          const own = plain.filter((order) => order.side === side);
          const prices = [...new Set(own.map((order) => order.priceTicks))].sort((left, right) =>
            side === BOOK_SIDE.buy ? right - left : left - right,
          );
          const levels = symbol.levels(side);
          expect(levels.map((level) => level.priceTicks)).toEqual(prices);
          expect(symbol.best(side)?.priceTicks).toBe(prices[0]);
          for (const level of levels) {
            const there = own.filter((order) => order.priceTicks === level.priceTicks);
            expect(queue(level)).toEqual(there.map(({ id, leaves }) => `${id}:${leaves}`));
            expect([level.orderCount, level.quantityLots]).toEqual([there.length, there.reduce((sum, { leaves }) => sum + leaves, 0)]);
          }
        }
      }),
      { seed, numRuns: 500 },
    );
  });

  it('finds nothing wrong with a flow that a book matched, and each symbol has its own orders', () => {
    const { messages } = createFlow({ seed, commands: 2000, symbols: 3, style: 'fills' });
    const book = follow(messages);
    expect(book.symbolCount).toBe(3);
    const faults = { unknownOrder: 0, duplicateId: 0, tooMuchTaken: 0, sideChanged: 0 };
    for (let index = 0; index < 3; index += 1) expect(book.symbol(index).faults).toEqual(faults);
  });

  it('takes from a size with no known order, which stands first, what is told of unknown ids at its price', () => {
    const unknown = { action: BOOK_ACTION.cancel, orderId: 9n };
    const before = follow([{ orderId: 1n }, { orderId: 0n, quantityLots: 4 }, { orderId: 0n, quantityLots: 3 }]);
    expect(queue(before.symbol(0).level(0, 10))).toEqual(['0:7', '1:5']);
    const book = follow([
      { orderId: 1n },
      { orderId: 0n, quantityLots: 7 },
      { ...unknown, quantityLots: 2 },
      { ...unknown, priceTicks: 11 },
      { ...unknown, quantityLots: 6 },
    ]);
    expect(queue(book.symbol(0).level(0, 10))).toEqual(['1:5']);
    expect([book.symbol(0).fromUnknownSize, book.symbol(0).faults]).toEqual([
      2,
      { unknownOrder: 1, duplicateId: 0, tooMuchTaken: 1, sideChanged: 0 },
    ]);
  });

  it('counts what does not fit', () => {
    const { faults, orders } = follow([
      { orderId: 1n },
      { orderId: 1n, priceTicks: 11 },
      { orderId: 2n },
      { action: BOOK_ACTION.modify, orderId: 2n, side: BOOK_SIDE.sell, priceTicks: 12 },
      { action: BOOK_ACTION.modify, orderId: 3n },
      { action: BOOK_ACTION.replace, orderId: 3n, newOrderId: 4n },
      { action: BOOK_ACTION.execute, orderId: 1n, quantityLots: 6 },
    ]).symbol(0);
    expect(faults).toEqual({ unknownOrder: 2, duplicateId: 1, tooMuchTaken: 1, sideChanged: 1 });
    expect([...orders.values()].map(({ orderId, level }) => [orderId, level.side, level.priceTicks])).toEqual([[2n, 1, 12]]);
  });
});
