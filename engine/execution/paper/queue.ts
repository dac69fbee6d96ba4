/** The place of an order of ours in its queue, by each model. A moment is told lot by lot, then settled. */
import { type BookChange, isBetter, type MarketView } from './market.ts';
import type { PaperOrder } from './paper-order.ts';
import type { QueueModel } from './settings.ts';

/** Puts an order at the end of the queue at its price. */
export function enterQueue(order: PaperOrder, model: QueueModel, market: MarketView, assumedAheadLots: number): void {
  const { queue } = order;
  const shown = market.lotsAt(order.world, order.side, order.priceTicks);
  const isShown = market.isComplete(order.side, order.priceTicks);
  queue.rank = market.takeRank();
  queue.shownLots = shown;
  queue.aheadAtEntryLots = model === 'assumed' ? assumedAheadLots : isShown ? shown : undefined;
  queue.aheadLots = queue.aheadAtEntryLots ?? 0;
  queue.momentAtLots = 0;
  queue.momentThroughLots = 0;
  queue.momentProvenLots = 0;
}

/** Lots that traded on the order's side at its price or a worse one. */
export function noteTrade(order: PaperOrder, model: QueueModel, change: BookChange): void {
  const { queue } = order;
  const { lots } = change;
  const isHidden = change.orderId === order.world.hiddenId;
  // A real order that is not there in this world proves nothing: what it got must come to ours by the queue.
  if (change.orderId !== 0n && !isHidden && (change.rank > queue.rank || change.priceTicks !== order.priceTicks))
    queue.momentProvenLots += lots;
  if (change.priceTicks !== order.priceTicks) {
    queue.momentThroughLots += lots;
    queue.tradedThroughLots += lots;
    return;
  }
  queue.tradedAtLots += lots;
  if (model !== 'exact' || isHidden || change.rank > queue.rank) queue.momentAtLots += lots;
  // Who stood there before the recording began was never counted as ahead.
  else if (change.rank >= 0) queue.aheadLots = Math.max(0, queue.aheadLots - lots);
}

/** Lots that were withdrawn at the order's price by an order of the feed; only the exact model knows where that one stood. */
export function noteWithdrawal(order: PaperOrder, model: QueueModel, change: BookChange): void {
  const { queue } = order;
  if (model !== 'exact' || change.rank >= queue.rank || change.orderId === order.world.hiddenId) return;
  const part = Math.min(change.lots, queue.aheadLots);
  queue.aheadLots -= part;
  queue.withdrawnAheadLots += part;
}

/** What of a moment's trades reached the order: at its price, and at worse prices. */
export interface Reached {
  readonly atLots: number;
  readonly throughLots: number;
}
const NOTHING: Reached = { atLots: 0, throughLots: 0 };

/** Ends the moment for one order: its place moves on; returns the lots that came to it, whatever its size. */
export function settleQueue(order: PaperOrder, model: QueueModel, market: MarketView): Reached {
  const { queue } = order;
  const atLots = queue.momentAtLots;
  const throughLots = queue.momentThroughLots;
  const provenLots = queue.momentProvenLots;
  queue.momentAtLots = 0;
  queue.momentThroughLots = 0;
  queue.momentProvenLots = 0;
  if (model !== 'exact') return settleEstimate(order, model, market, { atLots, throughLots });
  if (atLots + throughLots === 0) return NOTHING;
  if (queue.aheadLots === 0 && !isSomebodyBetter(order, market)) return { atLots, throughLots };
  queue.outOfTurnLots += atLots + throughLots - provenLots;
  return { atLots: Math.min(atLots, provenLots), throughLots: Math.max(0, provenLots - atLots) };
}

/** True when an order of the feed at a better price is still there: a trade by price and time would have gone to it. */
function isSomebodyBetter(order: PaperOrder, market: MarketView): boolean {
  const best = market.bestFor(order.world, order.side);
  return best !== undefined && isBetter(order.side, best, order.priceTicks);
}

/**
 * With sizes of levels only: trades at the price take what stands ahead, then come to us. What the level lost beyond its trades was
 * withdrawn, and the model says from where. Ahead is never more than the level shows, except for `trades`, which looks at trades alone.
 */
function settleEstimate(order: PaperOrder, model: QueueModel, market: MarketView, moment: Reached): Reached {
  const { queue } = order;
  // Where nothing is known of the queue, nobody can say that it was our turn.
  const isUnknown = queue.aheadAtEntryLots === undefined;
  const reachedLots = isUnknown ? 0 : Math.max(0, Math.floor(moment.atLots - queue.aheadLots));
  queue.aheadLots = moment.throughLots > 0 ? 0 : Math.max(0, queue.aheadLots - moment.atLots);
  if (model !== 'assumed' && market.isComplete(order.side, order.priceTicks)) {
    const shown = market.lotsAt(order.world, order.side, order.priceTicks);
    if (queue.aheadAtEntryLots === undefined) {
      // The feed shows this level for the first time: all of it is taken to have been there before us.
      queue.aheadAtEntryLots = shown;
      queue.aheadLots = shown;
    } else if (model !== 'trades') withdraw(order, model, queue.shownLots - moment.atLots, shown);
    queue.shownLots = shown;
  }
  return { atLots: reachedLots, throughLots: moment.throughLots };
}

/** `restLots` would be there had nobody withdrawn or come; `shownLots` are. */
function withdraw(order: PaperOrder, model: QueueModel, restLots: number, shownLots: number): void {
  const { queue } = order;
  const before = queue.aheadLots;
  const gone = restLots - shownLots;
  if (gone > 0) {
    if (model === 'ahead') queue.aheadLots -= gone;
    // A share of what is gone, as large as our share of what was there: the place within the queue stays the same in proportion.
    else if (model === 'proportional') queue.aheadLots -= (gone * queue.aheadLots) / restLots;
  }
  queue.aheadLots = Math.max(0, Math.min(queue.aheadLots, shownLots));
  queue.withdrawnAheadLots += before - queue.aheadLots;
}
