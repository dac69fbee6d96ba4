import { describe, expect, it } from 'vitest';
import { createFlow } from '../../test/flow-messages.ts';
import { createMatcher } from '../kernel/matcher.ts';
import { BOOK_ACTION, BOOK_FLAG, BOOK_SIDE, type BookMessage, NO_PRICE } from '../market/book-message.ts';
import { createBookOracle } from '../market/book-oracle.ts';
import { createPredictor, type Prediction } from './feed-predict.ts';

const seed = Number(process.env['SEED'] ?? Date.now() & 0x7fffffff);
const SHAPE = { symbols: 4, orders: 4096, pages: 256, owners: 1, commandCapacity: 16 };

const UNUSED: BookMessage = {
  tsNs: 0n,
  action: 0,
  side: BOOK_SIDE.none,
  orderId: 0n,
  newOrderId: 0n,
  priceTicks: NO_PRICE,
  quantityLots: 0,
  symbolIndex: 0,
  flags: 0,
};

/** Messages, each with a time of its own unless it says one. */
function predict(messages: readonly Partial<BookMessage>[]): Prediction {
  const predictor = createPredictor(createMatcher(SHAPE));
  for (const [index, message] of messages.entries()) predictor.take({ ...UNUSED, tsNs: BigInt(index), flags: BOOK_FLAG.last, ...message });
  return predictor.finish();
}

const add = (orderId: bigint, priceTicks: number, quantityLots = 5): Partial<BookMessage> => ({
  action: BOOK_ACTION.add,
  side: BOOK_SIDE.sell,
  orderId,
  priceTicks,
  quantityLots,
});
const execute = (orderId: bigint, priceTicks: number, quantityLots: number): Partial<BookMessage> => ({
  ...add(orderId, priceTicks, quantityLots),
  action: BOOK_ACTION.execute,
});

describe.each(['fills', 'executions'] as const)('a seeded flow that the plain book matched, told by %s', (style) => {
  it(`is foretold exactly, every event and every lot (SEED=${seed})`, () => {
    const flow = createFlow({ seed, commands: 3000, symbols: 3, style });
    expect(flow.takers).toBeGreaterThan(300);
    for (const matcher of [createMatcher(SHAPE), createBookOracle(SHAPE)]) {
      const predictor = createPredictor(matcher);
      for (const message of flow.messages) predictor.take(message);
      const { events, exactEvents, lots, exactLots, corrected } = predictor.finish();
      expect({ events, exactEvents, lots, exactLots, corrected }).toEqual({
        events: flow.takers,
        exactEvents: flow.takers,
        lots: flow.lots,
        exactLots: flow.lots,
        corrected: 0,
      });
    }
  });
});

describe('what is not foretold has a reason', () => {
  it('priority: the second order of a level traded', () => {
    const prediction = predict([add(1n, 100), add(2n, 100), execute(2n, 100, 3), execute(1n, 100, 5)]);
    expect(prediction).toMatchObject({ events: 2, exactEvents: 1, lots: 8, exactLots: 5, corrected: 1 });
    expect(prediction.misses.priority).toEqual({ events: 1, lots: 3 });
  });

  it('price: it traded behind the best', () => {
    const { misses, exactEvents } = predict([add(1n, 100), add(2n, 101), execute(2n, 101, 3)]);
    expect([misses.price, exactEvents]).toEqual([{ events: 1, lots: 3 }, 0]);
  });

  it('unknown order: nobody heard of the maker, or an unknown size stands before it', () => {
    expect(predict([add(1n, 100), execute(9n, 100, 3)]).misses.unknownOrder).toEqual({ events: 1, lots: 3 });
    const standing = { ...add(0n, 100, 2), flags: BOOK_FLAG.snapshot };
    const { misses, exactLots } = predict([standing, add(1n, 100), execute(1n, 100, 3)]);
    expect([misses.unknownOrder, exactLots]).toEqual([{ events: 1, lots: 2 }, 1]);
  });

  it('hidden: a report without a maker, or more than an order showed', () => {
    const report: Partial<BookMessage> = { action: BOOK_ACTION.trade, side: BOOK_SIDE.buy, priceTicks: 100, quantityLots: 4 };
    const { misses, exactLots } = predict([add(1n, 100), { ...report, tsNs: 7n, flags: 0 }, { ...execute(1n, 100, 2), tsNs: 7n }]);
    expect([misses.hidden, exactLots]).toEqual([{ events: 1, lots: 4 }, 2]);
    expect(predict([add(1n, 100, 5), execute(1n, 100, 6)]).misses.hidden.events).toBe(1);
  });

  it('maker cancelled: the first order went within the same event', () => {
    const trade: Partial<BookMessage> = {
      action: BOOK_ACTION.trade,
      side: BOOK_SIDE.buy,
      orderId: 50n,
      priceTicks: 100,
      quantityLots: 1,
      tsNs: 9n,
      flags: 0,
    };
    const { misses, corrected } = predict([
      add(1n, 100),
      add(2n, 100),
      trade,
      { ...add(2n, 100, 1), action: BOOK_ACTION.fill, tsNs: 9n, flags: 0 },
      { ...add(1n, 100, 5), action: BOOK_ACTION.cancel, tsNs: 9n, flags: 0 },
      { ...add(2n, 100, 4), action: BOOK_ACTION.modify, tsNs: 9n },
    ]);
    expect([misses.makerCancelled, corrected]).toEqual([{ events: 1, lots: 1 }, 1]);
  });

  it('no aggressor: nothing is predicted of a cross', () => {
    const cross: Partial<BookMessage> = { action: BOOK_ACTION.trade, priceTicks: 100, quantityLots: 4 };
    const { misses, corrected } = predict([add(1n, 100), cross, execute(1n, 100, 5)]);
    expect([misses.noAggressor, corrected]).toEqual([{ events: 1, lots: 4 }, 0]);
  });
});

it('names the option when the matcher has no room', () => {
  const predictor = createPredictor(createMatcher({ ...SHAPE, orders: 1 }));
  predictor.take({ ...UNUSED, ...add(1n, 100) });
  expect(() => predictor.take({ ...UNUSED, ...add(2n, 100) })).toThrow(/reason 23; more --orders or --pages\?/);
});
