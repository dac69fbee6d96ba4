/** Orders of ours at a paper exchange: what was asked, what came of it, and what is known of their place in the queue. */
import { ORDER_REASON } from '../../../schemas/order-records.ts';
import type { FeeLine } from '../fees/fees.ts';
import type { Side, World } from './market.ts';

/** Why a request was refused or an order left without trading: the matcher's numbers, and from 100 on those only a paper exchange has. */
export const PAPER_REASON = {
  unknownSymbol: ORDER_REASON.unknownSymbol,
  duplicateId: ORDER_REASON.duplicateId,
  offTick: ORDER_REASON.offTick,
  malformed: ORDER_REASON.malformed,
  unsupportedCombination: ORDER_REASON.unsupportedCombination,
  quantityNotPositive: ORDER_REASON.quantityNotPositive,
  quantityTooLarge: ORDER_REASON.quantityTooLarge,
  priceOutOfRange: ORDER_REASON.priceOutOfRange,
  wouldTake: ORDER_REASON.wouldTake,
  unknownOrder: ORDER_REASON.unknownOrder,
  noLiquidity: ORDER_REASON.noLiquidity,
  requested: ORDER_REASON.requested,
  remainder: ORDER_REASON.remainder,
  unfilled: ORDER_REASON.unfilled,
  staleMarket: 100,
} as const;
export type PaperReason = (typeof PAPER_REASON)[keyof typeof PAPER_REASON];

/** What an order of ours asks for; prices in ticks, quantities in lots. */
export interface PaperRequest {
  readonly symbolIndex: number;
  readonly side: Side;
  readonly type: 'limit' | 'market';
  /** Of a limit order. */
  readonly priceTicks: number;
  readonly quantityLots: number;
  readonly timeInForce: 'gtc' | 'ioc' | 'fok';
  readonly isPostOnly: boolean;
}

/** What let an order trade. */
export const FILL_CAUSE = {
  /** It took lots that were shown when it arrived. */
  took: 'took',
  /** A trade at its price came to its place in the queue. */
  turn: 'turn',
  /** A trade at a worse price: whoever made it would have come to us first. */
  through: 'through',
  /** An order of the other side came to rest at its price or through it. */
  crossed: 'crossed',
} as const;
export type FillCause = keyof typeof FILL_CAUSE;

/** What is known of an order's place, all in lots. Estimates may be fractions. */
export interface QueuePlace {
  /** Place by arrival among the feed's own orders; NO_RANK for an order that never waited. */
  rank: number;
  /** Undefined while the feed has not shown the level. */
  aheadAtEntryLots: number | undefined;
  aheadLots: number;
  /** Size of the level at the last look. */
  shownLots: number;
  /** Traded at its price, and at worse prices, since it entered. */
  tradedAtLots: number;
  tradedThroughLots: number;
  /** Withdrawn by orders known (exact) or guessed to stand ahead. */
  withdrawnAheadLots: number;
  /** Traded at its price or worse although somebody still stood ahead: not ours by price and time. */
  outOfTurnLots: number;
  /** Of the moment that is being told. */
  momentAtLots: number;
  momentThroughLots: number;
  /** Of both: what orders that stand behind ours are known to have traded, so that the taker must have come by our place. */
  momentProvenLots: number;
}

export interface PaperFill {
  readonly priceTicks: number;
  readonly quantityLots: number;
  readonly liquidity: 'maker' | 'taker';
  readonly cause: FillCause;
  /** Time at the venue, and when we hear of it. */
  readonly tsNs: bigint;
  readonly localNs: bigint;
  readonly aheadAtEntryLots: number | undefined;
  readonly aheadLots: number;
  readonly tradedAtLots: number;
  readonly tradedThroughLots: number;
  readonly fees: readonly FeeLine[];
}

export interface PaperOrder extends PaperRequest {
  readonly id: bigint;
  readonly world: World;
  /** Ours, when it was sent; the venue's, when it came there. */
  readonly sentNs: bigint;
  arrivedNs: bigint | undefined;
  priceTicks: number;
  quantityLots: number;
  leavesLots: number;
  state: 'sent' | 'resting' | 'filled' | 'cancelled' | 'refused';
  reason: PaperReason | undefined;
  readonly queue: QueuePlace;
  readonly fills: PaperFill[];
}

export const NO_RANK = -1;

export function createQueuePlace(): QueuePlace {
  return {
    rank: NO_RANK,
    aheadAtEntryLots: undefined,
    aheadLots: 0,
    shownLots: 0,
    tradedAtLots: 0,
    tradedThroughLots: 0,
    withdrawnAheadLots: 0,
    outOfTurnLots: 0,
    momentAtLots: 0,
    momentThroughLots: 0,
    momentProvenLots: 0,
  };
}

export function isDone(order: PaperOrder): boolean {
  return order.state !== 'sent' && order.state !== 'resting';
}
