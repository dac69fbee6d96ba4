/**
 * Order-by-order market data, decoded: what a venue says about each order of its book, in columns. Every feed format becomes this,
 * and what follows a book (engine/market/feed-book.ts, the matcher, the paper exchange) reads nothing else.
 */
import { ORDER_LIMIT } from '../../schemas/order-records.ts';

/** What a message says. */
export const BOOK_ACTION = {
  /** An order came to rest. */
  add: 1,
  /** `quantityLots` go off a resting order; all of it: the order is gone. */
  cancel: 2,
  /** A resting order has another price or size, under the same id. */
  modify: 3,
  /** A resting order goes and `newOrderId` comes, at the end of its level. */
  replace: 4,
  /** A resting order traded: `quantityLots` go off it. */
  execute: 5,
  /** A report of a trade. The book does not change by it. */
  trade: 6,
  /** Names the maker of a trade. The book does not change by it. */
  fill: 7,
  /** All orders of the symbol are gone. */
  clear: 8,
  /** Something about the symbol's trading, in `quantityLots`: FEED_STATUS. */
  status: 9,
} as const;

/** Names of the actions in the order of their codes, for reports. */
export const BOOK_ACTION_NAMES: readonly string[] = Object.keys(BOOK_ACTION);

/** Of the order that rests; of a `trade` it is the side that took. */
export const BOOK_SIDE = { buy: 0, sell: 1, none: 2 } as const;

/** Bits of `flags`. */
export const BOOK_FLAG = {
  /** Nothing more belongs to the same event of the venue: here the book is whole. */
  last: 1,
  /** Part of a snapshot, not something that happened at this time. */
  snapshot: 2,
  /** The price of a report lies between two ticks and is rounded down. Messages that change the book never have it. */
  betweenTicks: 4,
} as const;

/** What a `status` message tells, in `quantityLots`. */
export const FEED_STATUS = { other: 0, halted: 1, quoting: 2, trading: 3 } as const;

/** `priceTicks` of a message that has no price. */
export const NO_PRICE = ORDER_LIMIT.priceNone;

/**
 * Messages 0 to count - 1 in the order of the feed; what lies beyond is of no meaning. A column that its action does not use is 0
 * (`priceTicks`: NO_PRICE, `side`: none).
 */
export interface BookBatch {
  readonly capacity: number;
  count: number;
  /** Time of the venue's event, ns since the epoch. */
  readonly tsNs: BigInt64Array;
  /** BOOK_ACTION */
  readonly action: Uint8Array;
  /** BOOK_SIDE */
  readonly side: Uint8Array;
  /** The resting order; of a `trade` the order that took, or 0 when the feed does not say. */
  readonly orderId: BigUint64Array;
  /** Of a `replace` only. */
  readonly newOrderId: BigUint64Array;
  /** In ticks of the instrument. */
  readonly priceTicks: Int32Array;
  /** Lots: of an add, modify or replace what the order has then, else what goes off it or was traded. */
  readonly quantityLots: Int32Array;
  /** Index into `BookFeed.instruments`. */
  readonly symbolIndex: Int32Array;
  /** BOOK_FLAG */
  readonly flags: Uint8Array;
}

export interface FeedInstrument {
  readonly symbol: string;
  /** One tick in billionths of the currency. */
  readonly tickNanos: number;
}

/** Why a message of a feed was not handed on. */
export const FEED_REFUSAL = {
  /** A message that changes the book at a price that is no whole number of ticks. */
  offTick: 'offTick',
  /** A price outside plus and minus `ORDER_LIMIT.priceMax` ticks. */
  priceOutOfRange: 'priceOutOfRange',
  /** A size of 0 where there must be one, or above `ORDER_LIMIT.quantityMax`. */
  quantityOutOfRange: 'quantityOutOfRange',
  /** Fields that contradict each other or have no meaning in the format. */
  malformed: 'malformed',
} as const;
export type FeedRefusal = keyof typeof FEED_REFUSAL;

/** One pass over recorded messages. One owner, one reader. */
export interface BookFeed {
  /** The format, such as `dbn`. */
  readonly name: string;
  /** Grows while reading where a format names its instruments on the way; an index once given stays. */
  readonly instruments: readonly FeedInstrument[];
  /** Messages that could not be handed on, by reason. */
  readonly refused: Readonly<Record<FeedRefusal, number>>;
  /** Messages of the format that say nothing about a book and were passed over. */
  readonly ignored: number;
  /**
   * Fills the batch from its beginning.
   * @returns the number of messages, 0 at the end
   * @throws EngineError FEED_FILE when the file is damaged or ends within a message
   */
  read(batch: BookBatch): Promise<number>;
  /** Closes the files; needed only when the end was not reached. */
  close(): Promise<void>;
}

/** An empty batch for up to `capacity` messages. */
export function createBookBatch(capacity: number): BookBatch {
  return {
    capacity,
    count: 0,
    tsNs: new BigInt64Array(capacity),
    action: new Uint8Array(capacity),
    side: new Uint8Array(capacity),
    orderId: new BigUint64Array(capacity),
    newOrderId: new BigUint64Array(capacity),
    priceTicks: new Int32Array(capacity),
    quantityLots: new Int32Array(capacity),
    symbolIndex: new Int32Array(capacity),
    flags: new Uint8Array(capacity),
  };
}

/** One message as an object, for tests and tools; a batch is what moves. */
export interface BookMessage {
  readonly tsNs: bigint;
  readonly action: number;
  readonly side: number;
  readonly orderId: bigint;
  readonly newOrderId: bigint;
  readonly priceTicks: number;
  readonly quantityLots: number;
  readonly symbolIndex: number;
  readonly flags: number;
}

/** Appends a message; fields that are not given are those that are not used. Returns false, and appends nothing, when the batch is full. */
export function appendMessage(batch: BookBatch, message: Partial<BookMessage> & Pick<BookMessage, 'action' | 'tsNs'>): boolean {
  const index = batch.count;
  if (index === batch.capacity) return false;
  batch.tsNs[index] = message.tsNs;
  batch.action[index] = message.action;
  batch.side[index] = message.side ?? BOOK_SIDE.none;
  batch.orderId[index] = message.orderId ?? 0n;
  batch.newOrderId[index] = message.newOrderId ?? 0n;
  batch.priceTicks[index] = message.priceTicks ?? NO_PRICE;
  batch.quantityLots[index] = message.quantityLots ?? 0;
  batch.symbolIndex[index] = message.symbolIndex ?? 0;
  batch.flags[index] = message.flags ?? 0;
  batch.count = index + 1;
  return true;
}

/** The message at `index`, 0 to count - 1. */
export function readMessage(batch: BookBatch, index: number): BookMessage {
  return {
    tsNs: batch.tsNs[index]!,
    action: batch.action[index]!,
    side: batch.side[index]!,
    orderId: batch.orderId[index]!,
    newOrderId: batch.newOrderId[index]!,
    priceTicks: batch.priceTicks[index]!,
    quantityLots: batch.quantityLots[index]!,
    symbolIndex: batch.symbolIndex[index]!,
    flags: batch.flags[index]!,
  };
}
