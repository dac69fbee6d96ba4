/**
 * Market data known by sizes, decoded: what a feed tells of price levels, best quotes and trades. The paper exchange reads this where a feed does not
 * tell of each order.
 */
import type { FeedInstrument } from './book-message.ts';

/** What a feed shows: every level and the trades, the best of each side and the trades, or trades alone. */
export type DepthKind = 'levels' | 'quotes' | 'trades';

/** What happened, at the venue's time. `side` is of the orders that rest: 0 buy, 1 sell. Prices in ticks. */
export type DepthMessage = {
  /** ns since the epoch; it never goes back. */
  readonly tsNs: bigint;
  /** Index into `DepthFeed.instruments`. */
  readonly symbolIndex: number;
} & (
  | { readonly kind: 'trade'; readonly side: 0 | 1 | undefined; readonly priceTicks: number; readonly lots: number }
  /** A level has this size now; 0: it is gone. */
  | { readonly kind: 'level'; readonly side: 0 | 1; readonly priceTicks: number; readonly lots: number }
  /** The best of a side is this now. */
  | { readonly kind: 'quote'; readonly side: 0 | 1; readonly priceTicks: number; readonly lots: number }
  /** Nothing is known any more, until levels or quotes come again. */
  | { readonly kind: 'clear' }
  /** What belongs together has been told: trades, then the sizes that they left behind. */
  | { readonly kind: 'settle' }
);

export interface DepthInstrument extends FeedInstrument {
  /** Units in a lot, in billionths. */
  readonly lotNanos: number;
}

/** Why something was not handed on. */
export interface DepthRefusals {
  malformed: number;
  /** A price that is no whole number of ticks, or beyond what an order can have. */
  offTick: number;
  /** A quantity that is no whole number of lots: of a level what is whole is handed on. */
  offLot: number;
}

/** One pass over recorded messages. */
export interface DepthFeed {
  /** The format, such as `binance`. */
  readonly name: string;
  readonly shows: DepthKind;
  /** False: quotes come without sizes. */
  readonly hasSizes: boolean;
  /** Complete before the first message. */
  readonly instruments: readonly DepthInstrument[];
  readonly refused: Readonly<DepthRefusals>;
  /** Times that updates were missing, so that the book was unknown until a snapshot. */
  readonly gaps: number;
  /** In order, several at once. @throws EngineError FEED_FILE, REPLAY_FILE_DAMAGED */
  messages(): AsyncGenerator<readonly DepthMessage[], undefined>;
}
