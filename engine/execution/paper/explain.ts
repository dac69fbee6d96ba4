/** Why an order of ours traded, or did not: the sentence behind the figures. */
import { NO_RANK, PAPER_REASON, type PaperFill, type PaperOrder, type PaperReason } from './paper-order.ts';
import type { QueueModel } from './settings.ts';

const REASON_NAMES = new Map<PaperReason, string>(
  Object.entries(PAPER_REASON).map(([name, reason]): [PaperReason, string] => [reason, name]),
);

export function nameOfReason(reason: PaperReason): string {
  return REASON_NAMES.get(reason) ?? String(reason);
}

const lots = (count: number): string => `${Number.isInteger(count) ? count : count.toFixed(2)} lot${count === 1 ? '' : 's'}`;

/** One fill in words. */
export function explainFill(fill: PaperFill): string {
  const what = `${lots(fill.quantityLots)} at ${fill.priceTicks} ticks, ${fill.liquidity}: `;
  if (fill.cause === 'took') return `${what}taken of what was shown on arrival`;
  if (fill.cause === 'crossed') return `${what}an order of the other side came to rest at this price or through it`;
  const ahead = `${aheadAtEntry(fill.aheadAtEntryLots)} ahead at entry, ${lots(fill.aheadLots)} then`;
  const traded = `${lots(fill.tradedAtLots)} had traded at the price and ${lots(fill.tradedThroughLots)} beyond it`;
  return `${what}${fill.cause === 'turn' ? 'its turn came' : 'a trade went through its price'}; ${ahead}; ${traded}`;
}

/** An order in words: where it stands or stood, what traded there, the latency it met. */
export function explainOrder(order: PaperOrder, model: QueueModel): string {
  const { queue } = order;
  const filled = order.quantityLots - order.leavesLots;
  const head = `${order.state}${order.reason === undefined ? '' : ` (${order.reason} ${nameOfReason(order.reason)})`}, ${filled} of ${lots(order.quantityLots)} filled`;
  if (order.arrivedNs === undefined) return `${head}: has not reached the venue`;
  const way = `reached the venue ${order.arrivedNs - order.sentNs} ns after it was sent`;
  if (order.state === 'refused') return `${head}: ${way}`;
  if (queue.rank === NO_RANK) return `${head}: ${way}; it never waited in a queue`;
  const place = `queue by ${model}: ${aheadAtEntry(queue.aheadAtEntryLots)} ahead at entry, ${lots(queue.aheadLots)} now, ${lots(queue.withdrawnAheadLots)} withdrawn ahead`;
  const traded = `${lots(queue.tradedAtLots)} traded at its price, ${lots(queue.tradedThroughLots)} beyond it`;
  const outOfTurn = queue.outOfTurnLots === 0 ? '' : `, ${lots(queue.outOfTurnLots)} of them while others still stood before it`;
  return `${head}: ${way}; ${place}; ${traded}${outOfTurn}`;
}

function aheadAtEntry(count: number | undefined): string {
  return count === undefined ? 'an unknown number of lots' : lots(count);
}
