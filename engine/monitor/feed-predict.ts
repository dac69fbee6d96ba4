/**
 * Predicts the trades of an order-by-order feed: what comes to rest and goes is told to a matcher, incoming orders are put together from
 * what the venue reports of their trades, and the matcher's trades are compared with the real ones.
 */
import * as L from '../../schemas/order-layout.gen.ts';
import { assert, EngineError } from '../core/errors.ts';
import { appendMessage, BOOK_ACTION, BOOK_FLAG, BOOK_SIDE, type BookMessage, createBookBatch, NO_PRICE } from '../market/book-message.ts';
import { createFeedBook, type FeedOrder } from '../market/feed-book.ts';
import {
  attributesOf,
  type BookInstrument,
  newCommand,
  OPEN_INSTRUMENT,
  type OrderCommand,
  type OrderEvent,
} from '../market/order-command.ts';

/** What the prediction needs of a matcher; the kernel's and the plain book's both fit. */
export interface PredictionMatcher {
  configure(symbolIndex: number, instrument: BookInstrument): void;
  apply(command: OrderCommand): OrderEvent[];
}

/** Why a trade event was not predicted exactly. */
export const MISS = {
  /** Neither side of the trade is said to have taken: crosses, implied trades. Nothing is predicted. */
  noAggressor: 'noAggressor',
  /** It traded with an order that was not shown, or with more than was shown of one. */
  hidden: 'hidden',
  /** The maker is not known, or a size with no known order stands before it. */
  unknownOrder: 'unknownOrder',
  /** The order that should have traded was cancelled within the same event: self-match prevention. */
  makerCancelled: 'makerCancelled',
  /** Another order of the right price traded. */
  priority: 'priority',
  /** It traded at another price. */
  price: 'price',
} as const;
export type Miss = keyof typeof MISS;

export interface MissCount {
  events: number;
  lots: number;
}

export interface Prediction {
  /** Trade events of the venue, and those where every maker, price and quantity was foretold in order. */
  readonly events: number;
  readonly exactEvents: number;
  /** Lots traded in them, and those foretold of the right maker at the right price. */
  readonly lots: number;
  readonly exactLots: number;
  readonly misses: Readonly<Record<Miss, MissCount>>;
  /** Levels that were put right after an event, every order in its place. */
  readonly corrected: number;
}

export interface Predictor {
  /** Takes the next message. */
  take(message: BookMessage): void;
  /** Finishes the event that is still open. */
  finish(): Prediction;
}

interface Fill {
  readonly makerId: bigint;
  readonly priceTicks: number;
  readonly quantityLots: number;
}

/** An order of the matcher. Its id there is our own: venues may use an id again, and the same id in two symbols. */
interface Standing {
  readonly ownId: bigint;
  readonly side: number;
  readonly priceTicks: number;
  leavesLots: number;
}

/** Sizes with no known order have keys above the ids that venues give out. */
const UNKNOWN_BASE = 0xff00_0000_0000_0000n;
const EVENT_MESSAGES_MAX = 65_536;

export function createPredictor(matcher: PredictionMatcher): Predictor {
  const prediction = {
    events: 0,
    exactEvents: 0,
    lots: 0,
    exactLots: 0,
    misses: {
      noAggressor: { events: 0, lots: 0 },
      hidden: { events: 0, lots: 0 },
      unknownOrder: { events: 0, lots: 0 },
      makerCancelled: { events: 0, lots: 0 },
      priority: { events: 0, lots: 0 },
      price: { events: 0, lots: 0 },
    } satisfies Record<Miss, MissCount>,
    corrected: 0,
  };
  const real = createFeedBook();
  const one = createBookBatch(1);
  const books: Map<bigint, Standing>[] = [];
  let pending: BookMessage[] = [];
  /** Keys of what stands in the matcher, by our id. */
  const keys = new Map<bigint, bigint>();
  let lastOwnId = 0n;

  const bookOf = (symbolIndex: number): Map<bigint, Standing> => {
    while (books.length <= symbolIndex) {
      matcher.configure(books.length, OPEN_INSTRUMENT);
      books.push(new Map());
    }
    return books[symbolIndex]!;
  };
  const send = (command: OrderCommand): OrderEvent[] => {
    const events = matcher.apply(command);
    const refused = events.find((event) => event.kind === L.EVENT_KIND_REJECTED);
    if (!refused) return events;
    throw new EngineError(
      'FEED_PREDICT',
      `order ${command.orderId} of the feed: the matcher refuses it, reason ${refused.reason}; more --orders or --pages?`,
    );
  };
  /** Makes the matcher's order what the venue says it is. */
  const putRight = (message: BookMessage, id: bigint, order: FeedOrder | undefined): void => {
    const book = bookOf(message.symbolIndex);
    const key = keyOf(id, message);
    const held = book.get(key);
    const common = { symbolIndex: message.symbolIndex, orderId: held?.ownId ?? 0n, tsNs: message.tsNs };
    const isThere = order !== undefined && held?.side === order.level.side && held.priceTicks === order.level.priceTicks;
    if (held && isThere && order.leavesLots <= held.leavesLots) {
      const by = held.leavesLots - order.leavesLots;
      if (by > 0) send(newCommand({ ...common, kind: L.COMMAND_KIND_REDUCE, quantityLots: by }));
      held.leavesLots = order.leavesLots;
      return;
    }
    if (held) {
      send(newCommand({ ...common, kind: L.COMMAND_KIND_CANCEL }));
      keys.delete(held.ownId);
      book.delete(key);
    }
    if (!order) return;
    const { side, priceTicks } = order.level;
    // Put there without matching: what the venue lets rest rests, whatever else is believed of the book.
    const attributes = attributesOf({ side });
    lastOwnId += 1n;
    const orderId = lastOwnId;
    send(newCommand({ ...common, orderId, kind: L.COMMAND_KIND_RESTORE, priceTicks, quantityLots: order.leavesLots, attributes }));
    keys.set(orderId, key);
    book.set(key, { ownId: orderId, side, priceTicks, leavesLots: order.leavesLots });
  };
  const apply = (message: BookMessage): void => {
    one.count = 0;
    appendMessage(one, message);
    const symbol = real.symbol(message.symbolIndex);
    if (message.action === BOOK_ACTION.clear) {
      const book = bookOf(message.symbolIndex);
      for (const { ownId } of book.values()) {
        send(newCommand({ kind: L.COMMAND_KIND_CANCEL, symbolIndex: message.symbolIndex, orderId: ownId, tsNs: message.tsNs }));
        keys.delete(ownId);
      }
      book.clear();
    }
    real.apply(one);
    if (message.action > BOOK_ACTION.execute) return;
    const known = symbol.orders.get(message.orderId);
    putRight(message, message.orderId, known);
    // What nobody knows the order of was taken from the size that stands first.
    if (!known) putRight(message, 0n, firstUnknown(real.symbol(message.symbolIndex).level(message.side, message.priceTicks)?.first));
    if (message.action === BOOK_ACTION.replace) putRight(message, message.newOrderId, symbol.orders.get(message.newOrderId));
  };
  /** Lets the matcher match an incoming order; its trades as fills. */
  const predict = (event: TradeEvent): Fill[] => {
    lastOwnId += 1n;
    const book = bookOf(event.symbolIndex);
    const events = send(
      newCommand({
        symbolIndex: event.symbolIndex,
        orderId: lastOwnId,
        tsNs: event.tsNs,
        priceTicks: event.limitTicks,
        quantityLots: event.lots,
        attributes: attributesOf({ side: event.side, timeInForce: L.TIME_IN_FORCE_IOC }),
      }),
    );
    const fills: Fill[] = [];
    for (const { kind, otherId, priceTicks, quantityLots } of events) {
      if (kind !== L.EVENT_KIND_TRADE) continue;
      const makerId = keys.get(otherId);
      const held = makerId === undefined ? undefined : book.get(makerId);
      assert(makerId !== undefined && held !== undefined, `the maker ${otherId} was put into the matcher`);
      fills.push({ makerId, priceTicks, quantityLots });
      held.leavesLots -= quantityLots;
      if (held.leavesLots > 0) continue;
      book.delete(makerId);
      keys.delete(otherId);
    }
    return fills;
  };
  const settle = (): void => {
    const messages = pending;
    pending = [];
    const predicted: { event: TradeEvent; fills: Fill[]; shown: Map<bigint, number> }[] = [];
    for (const event of tradeEventsOf(messages)) {
      const book = bookOf(event.symbolIndex);
      const shown = new Map(event.fills.map(({ makerId }) => [makerId, book.get(makerId)?.leavesLots ?? 0]));
      predicted.push({ event, shown, fills: event.side === BOOK_SIDE.none ? [] : predict(event) });
    }
    const cancelled = new Set(messages.filter(({ action }) => action === BOOK_ACTION.cancel).map(({ orderId }) => orderId));
    const wrong = predicted.filter(({ event, fills, shown }) => !judge(prediction, { event, fills, shown, cancelled }));
    for (const message of messages) apply(message);
    for (const { event, fills } of wrong) {
      if (event.side === BOOK_SIDE.none) continue;
      const makers = [...fills, ...event.fills];
      for (const priceTicks of new Set(makers.map((fill) => fill.priceTicks))) correct(event, { priceTicks, makers });
    }
  };
  /** Puts the orders of a level where they are in the venue's book. */
  const correct = (event: TradeEvent, { priceTicks, makers }: { priceTicks: number; makers: readonly Fill[] }): void => {
    const side = 1 - event.side;
    const symbol = real.symbol(event.symbolIndex);
    const at = { ...event.message, side, priceTicks };
    const orders: FeedOrder[] = [];
    for (let order = symbol.level(side, priceTicks)?.first; order; order = order.after) orders.push(order);
    const ids = new Set([
      ...orders.map(({ orderId }) => orderId),
      ...makers.map(({ makerId }) => (makerId >= UNKNOWN_BASE ? 0n : makerId)),
    ]);
    for (const id of ids) if (bookOf(event.symbolIndex).get(keyOf(id, at))?.priceTicks === priceTicks) putRight(at, id, undefined);
    for (const order of orders) putRight(at, order.orderId, order);
    prediction.corrected += 1;
  };
  return {
    take(message) {
      const isOpen = pending.length > 0;
      const isTrade = message.action >= BOOK_ACTION.execute && message.action <= BOOK_ACTION.fill;
      if (isOpen && (message.tsNs !== pending[0]!.tsNs || message.symbolIndex !== pending[0]!.symbolIndex)) settle();
      if (pending.length === 0 && !isTrade) {
        apply(message);
        return;
      }
      pending.push(message);
      if (message.flags & BOOK_FLAG.last || pending.length === EVENT_MESSAGES_MAX) settle();
    },
    finish() {
      settle();
      return prediction;
    },
  };
}

/** Sizes with no known order have one key for each price of each side. */
function keyOf(id: bigint, { side, priceTicks }: { readonly side: number; readonly priceTicks: number }): bigint {
  return id === 0n ? UNKNOWN_BASE + (BigInt(side & 1) << 32n) + BigInt(priceTicks >>> 0) : id;
}

function firstUnknown(first: FeedOrder | undefined): FeedOrder | undefined {
  return first?.orderId === 0n ? first : undefined;
}

/** An incoming order as the reports of its trades show it: all it traded, down to its worst price. */
interface TradeEvent {
  readonly message: BookMessage;
  readonly symbolIndex: number;
  readonly tsNs: bigint;
  /** Of the order that took; none: not told. */
  readonly side: number;
  lots: number;
  limitTicks: number;
  readonly fills: Fill[];
}

/** Groups the trades of one event of the venue by incoming order. */
function tradeEventsOf(messages: readonly BookMessage[]): TradeEvent[] {
  const events: TradeEvent[] = [];
  const hasReports = messages.some(({ action }) => action === BOOK_ACTION.fill);
  for (const message of messages) {
    const { action, side, priceTicks, quantityLots } = message;
    if (action === BOOK_ACTION.fill) {
      events.at(-1)?.fills.push({ makerId: message.orderId, priceTicks, quantityLots });
      continue;
    }
    if (action !== BOOK_ACTION.trade && action !== BOOK_ACTION.execute) continue;
    const takes = side === BOOK_SIDE.none ? side : action === BOOK_ACTION.execute ? 1 - side : side;
    const last = events.at(-1);
    const isSame = last !== undefined && last.side === takes && (hasReports ? last.message.orderId === message.orderId : true);
    const event = isSame ? last : startEvent(message, takes);
    if (!isSame) events.push(event);
    event.lots += quantityLots;
    if (priceTicks !== NO_PRICE)
      event.limitTicks = takes === BOOK_SIDE.buy ? Math.max(event.limitTicks, priceTicks) : Math.min(event.limitTicks, priceTicks);
    if (action === BOOK_ACTION.execute) event.fills.push({ makerId: message.orderId, priceTicks, quantityLots });
    // A report without a maker that is named later is a trade with an order that was not shown.
    else if (!hasReports) event.fills.push({ makerId: 0n, priceTicks, quantityLots });
  }
  return events;
}

function startEvent(message: BookMessage, side: number): TradeEvent {
  return { message, symbolIndex: message.symbolIndex, tsNs: message.tsNs, side, lots: 0, limitTicks: message.priceTicks, fills: [] };
}

interface Judged {
  readonly event: TradeEvent;
  readonly fills: readonly Fill[];
  /** What the matcher believed of each real maker before the event. */
  readonly shown: ReadonlyMap<bigint, number>;
  readonly cancelled: ReadonlySet<bigint>;
}

type MutablePrediction = { -readonly [K in keyof Prediction]: Prediction[K] };

/** Counts an event; true when it was foretold exactly. */
function judge(prediction: MutablePrediction, judged: Judged): boolean {
  const { event, fills } = judged;
  const realFills = event.fills;
  const right = new Map<string, number>();
  for (const { makerId, priceTicks, quantityLots } of fills) {
    const key = `${makerId} ${priceTicks}`;
    right.set(key, (right.get(key) ?? 0) + quantityLots);
  }
  let exactLots = 0;
  for (const fill of realFills) {
    const key = `${fill.makerId} ${fill.priceTicks}`;
    const lots = fill.makerId === 0n ? 0 : Math.min(right.get(key) ?? 0, fill.quantityLots);
    right.set(key, (right.get(key) ?? 0) - lots);
    exactLots += lots;
  }
  const isExact =
    exactLots === event.lots && fills.length === realFills.length && realFills.every((fill, index) => isSameFill(fill, fills[index]));
  prediction.events += 1;
  prediction.lots += event.lots;
  prediction.exactLots += exactLots;
  if (isExact) {
    prediction.exactEvents += 1;
    return true;
  }
  const miss = prediction.misses[reasonOf(judged)];
  miss.events += 1;
  miss.lots += event.lots - exactLots;
  return false;
}

function isSameFill(fill: Fill, predicted: Fill | undefined): boolean {
  return predicted?.makerId === fill.makerId && predicted.priceTicks === fill.priceTicks && predicted.quantityLots === fill.quantityLots;
}

function reasonOf({ event, fills, shown, cancelled }: Judged): Miss {
  if (event.side === BOOK_SIDE.none) return MISS.noAggressor;
  const taken = new Map<bigint, number>();
  for (const { makerId, quantityLots } of event.fills) taken.set(makerId, (taken.get(makerId) ?? 0) + quantityLots);
  for (const { makerId } of event.fills) {
    if (makerId === 0n) return MISS.hidden;
    const lots = shown.get(makerId) ?? 0;
    if (lots > 0 && (taken.get(makerId) ?? 0) > lots) return MISS.hidden;
  }
  const wrong = fills.find((fill, index) => fill.makerId !== event.fills[index]?.makerId);
  if (wrong && wrong.makerId >= UNKNOWN_BASE) return MISS.unknownOrder;
  if (event.fills.some(({ makerId }) => (shown.get(makerId) ?? 0) === 0)) return MISS.unknownOrder;
  if (wrong && cancelled.has(wrong.makerId) && !taken.has(wrong.makerId)) return MISS.makerCancelled;
  const isPrice = event.fills.some((fill, index) => fills[index] !== undefined && fills[index].priceTicks !== fill.priceTicks);
  return isPrice ? MISS.price : MISS.priority;
}
