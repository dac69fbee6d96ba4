import { describe, expect, it } from 'vitest';
import type { DepthKind } from '../../market/depth-message.ts';
import { createDepthExchange, type DepthPaperExchange } from './exchange.ts';
import type { Side } from './market.ts';
import { filledLots, LOT_NANOS, TICK_NANOS } from './paper-harness.ts';
import { PAPER_REASON, type PaperOrder } from './paper-order.ts';
import { parsePaperSettings } from './settings.ts';

function createDepth(
  kind: DepthKind,
  settings: object,
): { exchange: DepthPaperExchange; send(side: Side, priceTicks: number, lots: number): PaperOrder } {
  const exchange = createDepthExchange(kind, {
    settings: parsePaperSettings(settings),
    symbolOf: () => ({ tickNanos: TICK_NANOS, lotNanos: LOT_NANOS }),
    onReport: () => undefined,
  });
  const world = exchange.openAccount();
  return {
    exchange,
    send(side, priceTicks, quantityLots) {
      const order = exchange.submit(
        world,
        { symbolIndex: 0, side, type: 'limit', priceTicks, quantityLots, timeInForce: 'gtc', isPostOnly: false },
        0n,
      );
      exchange.advance(0n);
      return order;
    },
  };
}

describe('sizes of levels and trades', () => {
  /** Ten lots stand, ours come, ten more follow; then six are withdrawn. */
  function withdrawn(model: string): PaperOrder {
    const { exchange, send } = createDepth('levels', { model });
    const market = exchange.market(0);
    market.level(0, 100, 10, 1n);
    market.settle();
    const order = send(0, 100, 3);
    market.level(0, 100, 20, 2n);
    market.settle();
    market.level(0, 100, 14, 3n);
    market.settle();
    return order;
  }

  it('what is withdrawn comes from ahead, from behind, or from both in proportion', () => {
    expect(withdrawn('trades').queue.aheadLots).toBe(10);
    expect(withdrawn('behind').queue.aheadLots).toBe(10);
    expect(withdrawn('proportional').queue).toMatchObject({ aheadLots: 7, withdrawnAheadLots: 3 });
    expect(withdrawn('ahead').queue.aheadLots).toBe(4);
  });

  it('what a trade took is not withdrawn as well', () => {
    const { exchange, send } = createDepth('levels', { model: 'ahead' });
    const market = exchange.market(0);
    market.level(0, 100, 10, 1n);
    const order = send(0, 100, 3);
    market.trade(0, 100, 4, 2n);
    market.level(0, 100, 6, 2n);
    market.settle();
    expect(order.queue).toMatchObject({ aheadLots: 6, withdrawnAheadLots: 0, tradedAtLots: 4 });
    market.trade(0, 100, 7, 3n);
    market.level(0, 100, 0, 3n);
    market.settle();
    expect(order.fills).toMatchObject([{ quantityLots: 1, cause: 'turn' }]);
  });

  it('a level smaller than the queue ahead was left by it, except for who looks at trades alone', () => {
    for (const [model, aheadLots] of [
      ['behind', 2],
      ['trades', 10],
    ] as const) {
      const { exchange, send } = createDepth('levels', { model });
      const market = exchange.market(0);
      market.level(1, 100, 10, 1n);
      const order = send(1, 100, 3);
      market.level(1, 100, 2, 2n);
      market.settle();
      expect(order.queue.aheadLots).toBe(aheadLots);
    }
  });

  it('a fraction ahead is a whole lot to wait for', () => {
    const { exchange, send } = createDepth('levels', { model: 'proportional' });
    const market = exchange.market(0);
    market.level(0, 100, 1, 1n);
    const order = send(0, 100, 3);
    market.level(0, 100, 3, 2n);
    market.settle();
    market.level(0, 100, 2, 3n);
    market.settle();
    market.trade(0, 100, 2, 4n);
    market.settle();
    expect(filledLots(order)).toBe(1);
  });

  it('a trade without a side hit the side whose best price it reached', () => {
    const { exchange, send } = createDepth('levels', { model: 'behind' });
    const market = exchange.market(0);
    market.level(0, 100, 1, 1n);
    market.level(1, 102, 1, 1n);
    const orders = [send(0, 100, 5), send(1, 102, 5)];
    market.trade(undefined, 100, 3, 2n);
    market.trade(undefined, 101, 9, 2n);
    market.settle();
    expect(orders.map(filledLots)).toEqual([2, 0]);
  });
});

describe('best quotes and trades', () => {
  it('the queue at a price that is not the best begins with the first size seen there', () => {
    const { exchange, send } = createDepth('quotes', { model: 'behind' });
    const market = exchange.market(0);
    market.quote(0, 100, 10, 1n);
    const order = send(0, 99, 3);
    expect(order.queue.aheadAtEntryLots).toBeUndefined();
    market.quote(0, 99, 7, 2n);
    market.settle();
    expect(order.queue).toMatchObject({ aheadAtEntryLots: 7, aheadLots: 7 });
    market.trade(0, 99, 9, 3n);
    market.settle();
    expect(filledLots(order)).toBe(2);
  });

  it('a quote of the other side at our price or through it is ours, once', () => {
    const { exchange, send } = createDepth('quotes', { model: 'behind' });
    const market = exchange.market(0);
    market.quote(0, 98, 10, 1n);
    market.quote(1, 101, 10, 1n);
    const order = send(0, 99, 30);
    market.quote(1, 99, 12, 2n);
    market.settle();
    market.quote(1, 99, 12, 3n);
    market.settle();
    expect(filledLots(order)).toBe(12);
    market.quote(1, 99, 15, 4n);
    market.settle();
    expect(order.fills.map((fill) => [fill.quantityLots, fill.cause])).toEqual([
      [12, 'crossed'],
      [3, 'crossed'],
    ]);
  });
});

describe('trades alone', () => {
  it('as many lots as assumed must trade at the price first; a trade through it is ours at once', () => {
    const { exchange, send } = createDepth('trades', { model: 'assumed', assumedAheadLots: 10 });
    const market = exchange.market(0);
    const order = send(0, 100, 20);
    market.trade(0, 100, 8, 1n);
    market.settle();
    expect(order.queue.aheadLots).toBe(2);
    market.trade(0, 100, 5, 2n);
    market.settle();
    market.trade(0, 99, 4, 3n);
    market.settle();
    expect(order.fills.map((fill) => [fill.quantityLots, fill.cause])).toEqual([
      [3, 'turn'],
      [4, 'through'],
    ]);
  });

  it('nothing is shown, so nothing can be taken', () => {
    const { exchange } = createDepth('trades', { model: 'assumed' });
    exchange.market(0).trade(0, 100, 8, 1n);
    const order = exchange.submit(
      exchange.openAccount(),
      { symbolIndex: 0, side: 0, type: 'market', priceTicks: 0, quantityLots: 1, timeInForce: 'ioc', isPostOnly: false },
      2n,
    );
    exchange.advance(2n);
    expect(order).toMatchObject({ state: 'cancelled', reason: PAPER_REASON.noLiquidity });
  });
});

it('a model that needs more than the feed shows is refused', () => {
  expect(() => createDepth('levels', { model: 'exact' })).toThrow('queue model exact: needs order-by-order data, the feed shows levels');
  expect(() => createDepth('trades', { model: 'behind' })).toThrow('queue model behind: needs sizes of levels, the feed shows trades only');
});
