/** What holds for any orders of ours on any flow. */
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { runs } from '../../../test/bar-arbitraries.ts';
import { BOOK_ACTION, BOOK_FLAG, type BookBatch, createBookBatch, readMessage } from '../../market/book-message.ts';
import { openSeededFlow } from '../twin/seeded-flow.ts';
import type { FlowStyle } from '../twin/seeded-publisher.ts';
import { createDepthMarket, type DepthMarket } from './depth-market.ts';
import { createOrderExchange, type OrderPaperExchange } from './exchange.ts';
import { isBetter, type Side, type World } from './market.ts';
import { filledLots, LOT_NANOS, TICK_NANOS } from './paper-harness.ts';
import type { PaperOrder } from './paper-order.ts';
import { parsePaperSettings, type QueueModel } from './settings.ts';

/** An order of ours, sent before message `at` of the flow at a distance from the best price of its side. */
interface Plan {
  readonly at: number;
  readonly side: Side;
  /** Above 0: better than the best; large: through the other side. */
  readonly offsetTicks: number;
  readonly lots: number;
  readonly timeInForce: 'gtc' | 'ioc';
  /** Messages after which it is cancelled. */
  readonly patience: number;
}

const COMMANDS = 800;
const anyPlan: fc.Arbitrary<Plan> = fc.record({
  at: fc.integer({ min: 100, max: COMMANDS }),
  side: fc.constantFrom<Side>(0, 1),
  offsetTicks: fc.integer({ min: -4, max: 3 }),
  lots: fc.integer({ min: 1, max: 30 }),
  timeInForce: fc.constantFrom('gtc', 'gtc', 'gtc', 'ioc'),
  patience: fc.integer({ min: 1, max: 800 }),
});
const anyPlans = fc.array(anyPlan, { minLength: 1, maxLength: 25 });
const anyStyle = fc.constantFrom<FlowStyle>('executions', 'trades');

async function flowOf(seed: number, style: FlowStyle): Promise<BookBatch> {
  const batch = createBookBatch(COMMANDS * 8);
  await openSeededFlow({ seed, commands: COMMANDS, style }).read(batch);
  return batch;
}

interface Outcome {
  readonly exchange: OrderPaperExchange;
  readonly orders: readonly PaperOrder[];
}

/** Plays the flow with the planned orders, each from an account of its own or all from one. */
function play(
  batch: BookBatch,
  plans: readonly Plan[],
  model: QueueModel,
  isOneAccount: boolean,
  each?: (orders: readonly PaperOrder[]) => void,
): Outcome {
  const settings = parsePaperSettings({ model, assumedAheadLots: 5 });
  const exchange = createOrderExchange({
    settings,
    symbolOf: () => ({ tickNanos: TICK_NANOS, lotNanos: LOT_NANOS }),
    onReport: () => undefined,
  });
  const orders: PaperOrder[] = [];
  const shared = exchange.openAccount();
  let isBetween = true;
  for (let index = 0; index < batch.count; index += 1) {
    const nowNs = batch.tsNs[index]! - 1n;
    for (const plan of isBetween ? plans : []) {
      const best = exchange.market(0).bestTicks(plan.side);
      if (plan.at === index && best !== undefined)
        orders.push(enter(exchange, isOneAccount ? shared : exchange.openAccount(), plan, { best, nowNs }));
      if (plan.at + plan.patience === index) for (const order of orders) if (order.state === 'resting') exchange.cancel(order, nowNs);
    }
    exchange.advance(nowNs);
    exchange.apply(batch, index);
    isBetween = (batch.flags[index]! & BOOK_FLAG.last) !== 0;
    if (isBetween) each?.(orders);
  }
  return { exchange, orders };
}

function enter(exchange: OrderPaperExchange, world: World, plan: Plan, at: { best: number; nowNs: bigint }): PaperOrder {
  const priceTicks = at.best + (plan.side === 0 ? plan.offsetTicks : -plan.offsetTicks);
  const { side, lots: quantityLots, timeInForce } = plan;
  const order = exchange.submit(
    world,
    { symbolIndex: 0, side, type: 'limit', priceTicks, quantityLots, timeInForce, isPostOnly: false },
    at.nowNs,
  );
  exchange.advance(at.nowNs);
  return order;
}

/** The public book: every price with lots, and the number of orders. */
function bookOf(exchange: OrderPaperExchange): unknown {
  const market = exchange.market(0);
  const nobody = exchange.openAccount();
  const levels = [0, 1].flatMap((side) => Array.from({ length: 2000 }, (_, place) => market.lotsAt(nobody, side as Side, 9000 + place)));
  return { levels, orders: market.orderCount };
}

/** Lots that the flow's messages say traded on a side at `priceTicks` or a worse price, from `fromNs` to `toNs`. */
function tradedLots(batch: BookBatch, side: Side, priceTicks: number, during: { fromNs: bigint; toNs: bigint }): number {
  let lots = 0;
  for (let index = 0; index < batch.count; index += 1) {
    const message = readMessage(batch, index);
    const isMaker = message.action === BOOK_ACTION.execute || message.action === BOOK_ACTION.fill;
    if (!isMaker || message.side !== side || message.tsNs < during.fromNs || message.tsNs > during.toNs) continue;
    if (!isBetter(side, message.priceTicks, priceTicks)) lots += message.quantityLots;
  }
  return lots;
}

describe('paper orders', () => {
  it('never change the market', async () => {
    await fc.assert(
      fc.asyncProperty(fc.nat(), anyStyle, anyPlans, fc.boolean(), async (seed, style, plans, isOneAccount) => {
        const batch = await flowOf(seed, style);
        expect(bookOf(play(batch, plans, 'exact', isOneAccount).exchange)).toEqual(bookOf(play(batch, [], 'exact', isOneAccount).exchange));
      }),
      runs(8),
    );
  });

  it('that wait get no more than was traded at their price or through it while they stood', async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.nat(),
        anyStyle,
        anyPlans,
        fc.constantFrom<QueueModel>('exact', 'ahead', 'trades'),
        async (seed, style, plans, model) => {
          const batch = await flowOf(seed, style);
          const { orders } = play(batch, plans, model, false);
          for (const order of orders) {
            let lots = 0;
            for (const fill of order.fills) {
              if (fill.cause !== 'turn' && fill.cause !== 'through') continue;
              lots += fill.quantityLots;
              expect(fill.priceTicks).toBe(order.priceTicks);
              expect(lots).toBeLessThanOrEqual(
                tradedLots(batch, order.side, order.priceTicks, { fromNs: order.arrivedNs!, toNs: fill.tsNs }),
              );
            }
            expect(filledLots(order)).toBe(order.quantityLots - order.leavesLots);
          }
        },
      ),
      runs(8),
    );
  });

  it('of one account share what was traded: two never get the same lot', async () => {
    await fc.assert(
      fc.asyncProperty(fc.nat(), anyStyle, anyPlans, async (seed, style, plans) => {
        const batch = await flowOf(seed, style);
        // All on one side, so that they compete for the same trades.
        const { orders } = play(
          batch,
          plans.map((plan) => ({ ...plan, side: 0 as const, timeInForce: 'gtc' as const })),
          'exact',
          true,
        );
        const byTime = new Map<bigint, { lots: number; best: number }>();
        for (const order of orders) {
          for (const fill of order.fills) {
            if (fill.cause !== 'turn' && fill.cause !== 'through') continue;
            const sum = byTime.get(fill.tsNs) ?? { lots: 0, best: order.priceTicks };
            byTime.set(fill.tsNs, { lots: sum.lots + fill.quantityLots, best: Math.max(sum.best, order.priceTicks) });
          }
        }
        for (const [tsNs, { lots, best }] of byTime) {
          expect(lots).toBeLessThanOrEqual(tradedLots(batch, 0, best, { fromNs: tsNs, toNs: tsNs }));
        }
      }),
      runs(8),
    );
  });

  it('are filled no sooner by trades than behind, than in proportion, than ahead', async () => {
    await fc.assert(
      fc.asyncProperty(fc.nat(), anyStyle, anyPlans, async (seed, style, plans) => {
        const batch = await flowOf(seed, style);
        const timelines = (['trades', 'behind', 'proportional', 'ahead'] as const).map((model) => {
          const timeline: number[][] = [];
          play(batch, plans, model, false, (orders) => timeline.push(orders.map(filledLots)));
          return timeline;
        });
        for (let model = 1; model < timelines.length; model += 1) {
          for (const [moment, filled] of timelines[model]!.entries()) {
            for (const [place, lots] of filled.entries()) expect(lots).toBeGreaterThanOrEqual(timelines[model - 1]![moment]![place]!);
          }
        }
      }),
      runs(6),
    );
  });

  it('stand in a queue that is never longer than what the market shows ahead', async () => {
    await fc.assert(
      fc.asyncProperty(fc.nat(), anyStyle, anyPlans, async (seed, style, plans) => {
        const batch = await flowOf(seed, style);
        for (const model of ['exact', 'behind', 'proportional', 'ahead'] as const) {
          const { exchange, orders } = play(batch, plans, model, false);
          for (const { state, queue, world, side, priceTicks } of orders) {
            expect(queue.aheadLots).toBeGreaterThanOrEqual(0);
            if (state === 'resting') expect(queue.aheadLots).toBeLessThanOrEqual(exchange.market(0).lotsAt(world, side, priceTicks));
          }
        }
      }),
      runs(8),
    );
  });
});

describe('a market of sizes', () => {
  const createMarket = (kind: 'levels' | 'quotes'): DepthMarket =>
    createDepthMarket(kind, {
      traded: () => undefined,
      withdrawn: () => undefined,
      sentBack: () => undefined,
      changed: () => undefined,
      settled: () => undefined,
    });

  it('keeps its prices in order, whatever comes', () => {
    const change = fc.record({
      side: fc.constantFrom<Side>(0, 1),
      priceTicks: fc.integer({ min: -9, max: 9 }),
      lots: fc.integer({ min: 0, max: 5 }),
    });
    fc.assert(
      fc.property(fc.array(change, { maxLength: 60 }), (changes) => {
        const market = createMarket('levels');
        const expected = [new Map<number, number>(), new Map<number, number>()] as const;
        const world: World = { account: 0 };
        for (const { side, priceTicks, lots } of changes) {
          market.level(side, priceTicks, lots, 1n);
          if (lots === 0) expected[side].delete(priceTicks);
          else expected[side].set(priceTicks, lots);
        }
        expect(market.bestTicks(0)).toBe(expected[0].size === 0 ? undefined : Math.max(...expected[0].keys()));
        expect(market.bestTicks(1)).toBe(expected[1].size === 0 ? undefined : Math.min(...expected[1].keys()));
        const taken: number[] = [];
        const all = market.take(world, 1, Number.POSITIVE_INFINITY, 1e6, (priceTicks) => taken.push(priceTicks));
        expect(all).toBe([...expected[1].values()].reduce((sum, lots) => sum + lots, 0));
        expect(taken).toEqual([...expected[1].keys()].sort((one, other) => one - other));
        expect(market.available(world, 1, Number.POSITIVE_INFINITY, 1e6)).toBe(0);
      }),
      runs(300),
    );
  });
});
