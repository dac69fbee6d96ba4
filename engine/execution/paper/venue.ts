/**
 * Our orders at one symbol of a venue. The market goes by as it was recorded; beside it each of our orders keeps its place in the queue and
 * trades when its turn comes. Orders of one account share what reaches them; accounts know nothing of each other.
 */
import { EngineError } from '../../core/errors.ts';
import type { Ground } from './knowledge.ts';
import { createLadder } from './levels.ts';
import { isBetter, type MarketListener, type MarketView, opposite, type Side } from './market.ts';
import { type FillCause, PAPER_REASON, type PaperOrder, type PaperReason } from './paper-order.ts';
import { enterQueue, noteTrade, noteWithdrawal, settleQueue } from './queue.ts';
import type { PaperSettings, QueueModel } from './settings.ts';

export interface VenueFill {
  readonly priceTicks: number;
  readonly quantityLots: number;
  readonly liquidity: 'maker' | 'taker';
  readonly cause: FillCause;
}

/** What came of an order; the order's state is already the new one. */
export interface VenueHooks {
  accepted(order: PaperOrder, tsNs: bigint): void;
  replaced(order: PaperOrder, tsNs: bigint): void;
  filled(order: PaperOrder, fill: VenueFill, tsNs: bigint): void;
  /** It left, or a request about it was refused. */
  ended(order: PaperOrder, reason: PaperReason, tsNs: bigint): void;
  refused(order: PaperOrder, reason: PaperReason, tsNs: bigint): void;
}

export interface Venue<Market extends MarketView> {
  readonly market: Market;
  /** The order reaches the venue. */
  arrive(order: PaperOrder, tsNs: bigint): void;
  cancel(order: PaperOrder, tsNs: bigint): void;
  /** New price and new leaves; the place is kept at the same price when the leaves are not larger. */
  replace(order: PaperOrder, to: { priceTicks: number; leavesLots: number }, tsNs: bigint): void;
  readonly restingCount: number;
}

const NS_PER_MS = 1_000_000n;
/** Models that need to know what of a market; those not named need nothing. */
const NEEDS_LEVELS: readonly QueueModel[] = ['trades', 'behind', 'proportional', 'ahead'];

/** True when the feed shows what the model looks at. */
export function modelFits(model: QueueModel, source: Ground): boolean {
  if (model === 'exact') return source === 'orders';
  return !NEEDS_LEVELS.includes(model) || (source !== 'trades' && source !== 'bareQuotes');
}

/** @throws EngineError PAPER_MODEL when the feed does not show what the model looks at */
export function assertModelFits(model: QueueModel, source: Ground): void {
  if (modelFits(model, source)) return;
  if (model === 'exact') {
    const shown = source === 'bareQuotes' ? 'quotes without sizes' : source;
    throw new EngineError(
      'PAPER_MODEL',
      `queue model exact: needs order-by-order data, the feed shows ${shown}; levels take trades to ahead, any feed takes assumed`,
    );
  }
  const what = source === 'bareQuotes' ? 'sizes, the feed shows quotes without them' : 'sizes of levels, the feed shows trades only';
  throw new EngineError('PAPER_MODEL', `queue model ${model}: needs ${what}; take assumed`);
}

export function createVenue<Market extends MarketView>(
  createMarket: (listener: MarketListener) => Market,
  settings: Pick<PaperSettings, 'model' | 'assumedAheadLots' | 'staleAfterMs'>,
  hooks: VenueHooks,
): Venue<Market> {
  const { model, assumedAheadLots } = settings;
  const staleAfterNs = BigInt(settings.staleAfterMs) * NS_PER_MS;
  const ladders = [createLadder<PaperOrder[]>(0), createLadder<PaperOrder[]>(1)] as const;
  /** Orders whose place may have moved in this moment. */
  const touched = new Set<PaperOrder>();
  let restingCount = 0;
  let mayCross = false;

  const market = createMarket({
    traded(change) {
      const ladder = ladders[change.side];
      for (let place = ladder.prices.length - 1; place >= 0; place -= 1) {
        const priceTicks = ladder.prices[place]!;
        if (isBetter(change.side, change.priceTicks, priceTicks)) return;
        for (const order of ladder.get(priceTicks) ?? []) {
          noteTrade(order, model, change);
          touched.add(order);
        }
      }
    },
    withdrawn(change) {
      for (const order of ladders[change.side].get(change.priceTicks) ?? []) noteWithdrawal(order, model, change);
    },
    sentBack(change, rank) {
      for (const order of ladders[change.side].get(change.priceTicks) ?? [])
        if (rank > order.queue.rank) noteWithdrawal(order, model, change);
    },
    changed(side, priceTicks) {
      if (ladders[opposite(side)].prices.length > 0) mayCross = true;
      if (model !== 'exact') for (const order of ladders[side].get(priceTicks) ?? []) touched.add(order);
    },
    settled(tsNs) {
      if (touched.size > 0) settleTouched(tsNs);
      if (mayCross) settleCrossed(tsNs);
      mayCross = false;
    },
  });

  function settleTouched(tsNs: bigint): void {
    const orders = touched.size === 1 ? [...touched] : [...touched].sort(byTurn);
    touched.clear();
    let last: PaperOrder | undefined;
    let usedLots = 0;
    for (const order of orders) {
      if (order.state !== 'resting') continue;
      // What one order of an account got, the next of the same account and side cannot get too.
      if (last === undefined || last.world.account !== order.world.account || last.side !== order.side) usedLots = 0;
      last = order;
      const reached = settleQueue(order, model, market);
      const lots = Math.min(order.leavesLots, reached.atLots + reached.throughLots - usedLots);
      if (lots <= 0) continue;
      usedLots += lots;
      fill(
        order,
        { priceTicks: order.priceTicks, quantityLots: lots, liquidity: 'maker', cause: reached.throughLots > 0 ? 'through' : 'turn' },
        tsNs,
      );
    }
  }

  /** Orders that came to rest at our price or through it would have traded with us. A book that is crossed by itself is in an auction. */
  function settleCrossed(tsNs: bigint): void {
    const bid = market.bestTicks(0);
    const ask = market.bestTicks(1);
    if (bid !== undefined && ask !== undefined && bid >= ask) return;
    for (const side of [0, 1] as const) {
      const facing = side === 0 ? ask : bid;
      const own = ladders[side].best();
      if (facing === undefined || own === undefined || isBetter(side, facing, own)) continue;
      for (const order of crossing(side, facing)) {
        const lots = market.take(order.world, opposite(side), order.priceTicks, order.leavesLots, () => undefined);
        if (lots > 0) fill(order, { priceTicks: order.priceTicks, quantityLots: lots, liquidity: 'maker', cause: 'crossed' }, tsNs);
      }
    }
  }

  /** Our orders of a side that reach `facing`, best price first, in order of arrival. */
  function crossing(side: Side, facing: number): PaperOrder[] {
    const ladder = ladders[side];
    return [...ladder.prices]
      .reverse()
      .filter((priceTicks) => !isBetter(side, facing, priceTicks))
      .flatMap((priceTicks) => [...(ladder.get(priceTicks) ?? [])]);
  }

  function fill(order: PaperOrder, part: VenueFill, tsNs: bigint): void {
    order.leavesLots -= part.quantityLots;
    if (order.leavesLots === 0) {
      leave(order);
      order.state = 'filled';
    }
    hooks.filled(order, part, tsNs);
  }

  function rest(order: PaperOrder): void {
    enterQueue(order, model, market, assumedAheadLots);
    const ladder = ladders[order.side];
    (ladder.get(order.priceTicks) ?? ladder.open(order.priceTicks, [])).push(order);
    restingCount += 1;
  }

  /** Takes an order off our book if it stands there. */
  function leave(order: PaperOrder): void {
    const level = ladders[order.side].get(order.priceTicks);
    const place = level?.indexOf(order) ?? -1;
    if (level === undefined || place < 0) return;
    level.splice(place, 1);
    if (level.length === 0) ladders[order.side].drop(order.priceTicks);
    restingCount -= 1;
  }

  function end(order: PaperOrder, state: 'cancelled' | 'refused', reason: PaperReason, tsNs: bigint): void {
    order.state = state;
    order.reason = reason;
    hooks.ended(order, reason, tsNs);
  }

  /** Why an order cannot come in now; undefined when it can. */
  function refusal(order: PaperOrder, priceTicks: number, tsNs: bigint): PaperReason | undefined {
    const limit = order.type === 'market' ? worstLimit(order.side) : priceTicks;
    const facing = market.available(order.world, opposite(order.side), limit, 1);
    if (order.isPostOnly && facing > 0) return PAPER_REASON.wouldTake;
    const isTaker = facing > 0 || order.type === 'market' || order.timeInForce !== 'gtc';
    return isTaker && staleAfterNs > 0n && tsNs - market.lastNs > staleAfterNs ? PAPER_REASON.staleMarket : undefined;
  }

  /** Takes what is there, then rests or goes. */
  function work(order: PaperOrder, tsNs: bigint): void {
    const limit = order.type === 'market' ? worstLimit(order.side) : order.priceTicks;
    const facing = opposite(order.side);
    if (order.timeInForce === 'fok' && market.available(order.world, facing, limit, order.leavesLots) < order.leavesLots) {
      end(order, 'cancelled', PAPER_REASON.unfilled, tsNs);
      return;
    }
    const parts: [number, number][] = [];
    const lots = market.take(order.world, facing, limit, order.leavesLots, (priceTicks, part) => {
      const last = parts.at(-1);
      if (last !== undefined && last[0] === priceTicks) last[1] += part;
      else parts.push([priceTicks, part]);
    });
    for (const [priceTicks, quantityLots] of parts) fill(order, { priceTicks, quantityLots, liquidity: 'taker', cause: 'took' }, tsNs);
    if (order.leavesLots === 0) return;
    if (order.type === 'limit' && order.timeInForce === 'gtc') {
      rest(order);
      return;
    }
    end(order, 'cancelled', lots === 0 && order.type === 'market' ? PAPER_REASON.noLiquidity : PAPER_REASON.remainder, tsNs);
  }

  return {
    market,
    get restingCount() {
      return restingCount;
    },
    arrive(order, tsNs) {
      const reason = refusal(order, order.priceTicks, tsNs);
      order.arrivedNs = tsNs;
      if (reason !== undefined) {
        end(order, 'refused', reason, tsNs);
        return;
      }
      order.state = 'resting';
      hooks.accepted(order, tsNs);
      work(order, tsNs);
    },
    cancel(order, tsNs) {
      if (order.state !== 'resting') {
        hooks.refused(order, PAPER_REASON.unknownOrder, tsNs);
        return;
      }
      leave(order);
      end(order, 'cancelled', PAPER_REASON.requested, tsNs);
    },
    replace(order, to, tsNs) {
      if (order.state !== 'resting') {
        hooks.refused(order, PAPER_REASON.unknownOrder, tsNs);
        return;
      }
      const isInPlace = to.priceTicks === order.priceTicks && to.leavesLots <= order.leavesLots;
      const reason = isInPlace ? undefined : refusal(order, to.priceTicks, tsNs);
      if (reason !== undefined) {
        hooks.refused(order, reason, tsNs);
        return;
      }
      if (!isInPlace) leave(order);
      order.quantityLots += to.leavesLots - order.leavesLots;
      order.leavesLots = to.leavesLots;
      order.priceTicks = to.priceTicks;
      hooks.replaced(order, tsNs);
      if (!isInPlace) work(order, tsNs);
    },
  };
}

/** The limit of an order that takes any price. */
function worstLimit(side: Side): number {
  return side === 0 ? Number.POSITIVE_INFINITY : Number.NEGATIVE_INFINITY;
}

/** By account and side, then the better price, then the earlier arrival. */
function byTurn(one: PaperOrder, other: PaperOrder): number {
  if (one.world.account !== other.world.account) return one.world.account - other.world.account;
  if (one.side !== other.side) return one.side - other.side;
  if (one.priceTicks !== other.priceTicks) return isBetter(one.side, one.priceTicks, other.priceTicks) ? -1 : 1;
  return one.queue.rank - other.queue.rank;
}
