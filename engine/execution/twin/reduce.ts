/**
 * What a feed that shows less would have told of the same market: levels with trades, best quotes with trades, or trades alone. Trades are told as
 * they happen, sizes with the event or, as many venues do, once in a while: then a moment is what lies between two tellings.
 */
import { BOOK_ACTION, BOOK_FLAG, BOOK_SIDE, type BookBatch } from '../../market/book-message.ts';
import type { DepthKind, DepthMessage } from '../../market/depth-message.ts';
import { createFeedBook } from '../../market/feed-book.ts';
import type { Side } from '../paper/market.ts';

export interface ReducerOptions {
  readonly shows: DepthKind;
  /** Time between two tellings of sizes; 0: with each event of the venue. */
  readonly everyNs: bigint;
  /** Orders whose part of what was told is kept. */
  readonly watched: ReadonlySet<bigint>;
}

/** A watched order in what was last told. */
export interface ToldOrder {
  readonly symbolIndex: number;
  readonly side: Side;
  readonly priceTicks: number;
  readonly lots: number;
}

export interface Reducer {
  /** Sizes that are to be told before the event of message `index`, at their time. To be asked before `apply`. */
  due(batch: BookBatch, index: number): DepthMessage[];
  /** Takes message `index`; gives what is told with it. */
  apply(batch: BookBatch, index: number): DepthMessage[];
  told(orderId: bigint): ToldOrder | undefined;
}

/** What a symbol has to tell. */
interface News {
  readonly levels: Set<number>;
  readonly orders: Set<bigint>;
  readonly quotes: [string, string];
  toldNs: bigint;
  /** An event has ended since sizes were told. */
  isUntold: boolean;
}

export function createReducer({ shows, everyNs, watched }: ReducerOptions): Reducer {
  const book = createFeedBook();
  const news = new Map<number, News>();
  const told = new Map<bigint, ToldOrder>();

  const newsOf = (symbolIndex: number): News => {
    const known = news.get(symbolIndex) ?? { levels: new Set(), orders: new Set(), quotes: ['', ''], toldNs: 0n, isUntold: false };
    news.set(symbolIndex, known);
    return known;
  };

  /** Levels that the message may change: that of its order and that it names. */
  const note = (batch: BookBatch, index: number): void => {
    const { levels, orders } = newsOf(batch.symbolIndex[index]!);
    const symbol = book.symbol(batch.symbolIndex[index]!);
    for (const id of [batch.orderId[index]!, batch.newOrderId[index]!]) {
      const order = symbol.orders.get(id);
      if (order !== undefined) levels.add(keyOf(order.level.side, order.level.priceTicks));
      if (watched.has(id)) orders.add(id);
    }
    if (batch.side[index]! !== BOOK_SIDE.none) levels.add(keyOf(batch.side[index]!, batch.priceTicks[index]!));
    if (batch.action[index] !== BOOK_ACTION.clear) return;
    for (const side of [0, 1]) for (const { priceTicks } of symbol.levels(side)) levels.add(keyOf(side, priceTicks));
  };

  function* sizes(symbolIndex: number, tsNs: bigint): Generator<DepthMessage> {
    const symbol = book.symbol(symbolIndex);
    const { levels, quotes } = newsOf(symbolIndex);
    for (const key of shows === 'levels' ? levels : []) {
      const side = sideOf(key);
      const priceTicks = (key - side) / 2;
      yield { kind: 'level', tsNs, symbolIndex, side, priceTicks, lots: symbol.level(side, priceTicks)?.quantityLots ?? 0 };
    }
    for (const side of shows === 'quotes' ? ([0, 1] as const) : []) {
      const best = symbol.best(side);
      const text = `${best?.priceTicks} ${best?.quantityLots}`;
      if (text === quotes[side]) continue;
      quotes[side] = text;
      yield { kind: 'quote', tsNs, symbolIndex, side, priceTicks: best?.priceTicks ?? 0, lots: best?.quantityLots ?? 0 };
    }
  }

  /** Remembers the part that watched orders have in what is told now. */
  const remember = (symbolIndex: number): void => {
    const { orders } = newsOf(symbolIndex);
    for (const id of orders) {
      const order = book.symbol(symbolIndex).orders.get(id);
      if (order === undefined) told.delete(id);
      else told.set(id, { symbolIndex, side: order.level.side === 0 ? 0 : 1, priceTicks: order.level.priceTicks, lots: order.leavesLots });
    }
    orders.clear();
  };

  const tell = (symbolIndex: number, tsNs: bigint): DepthMessage[] => {
    const state = newsOf(symbolIndex);
    remember(symbolIndex);
    const messages = [...sizes(symbolIndex, tsNs), { kind: 'settle', tsNs, symbolIndex } as const];
    state.levels.clear();
    state.toldNs = tsNs;
    state.isUntold = false;
    return messages;
  };

  return {
    due(batch, index) {
      const symbolIndex = batch.symbolIndex[index]!;
      const { toldNs, isUntold } = newsOf(symbolIndex);
      return isUntold && toldNs + everyNs <= batch.tsNs[index]! ? tell(symbolIndex, toldNs + everyNs) : [];
    },
    told: (orderId) => told.get(orderId),
    apply(batch, index) {
      const symbolIndex = batch.symbolIndex[index]!;
      const tsNs = batch.tsNs[index]!;
      note(batch, index);
      const messages = tradeOf(batch, index);
      book.apply(batch, index, index + 1);
      note(batch, index);
      const state = newsOf(symbolIndex);
      if ((batch.flags[index]! & BOOK_FLAG.last) === 0) return messages;
      if (tsNs - state.toldNs >= everyNs) return [...messages, ...tell(symbolIndex, tsNs)];
      state.isUntold = true;
      return messages;
    },
  };
}

/** The trade that a message tells of. Who took is named by a trade, who rested by an execution. */
function tradeOf(batch: BookBatch, index: number): DepthMessage[] {
  const action = batch.action[index]!;
  const isBetween = (batch.flags[index]! & BOOK_FLAG.betweenTicks) !== 0;
  if ((action !== BOOK_ACTION.trade && action !== BOOK_ACTION.execute) || isBetween) return [];
  const named = batch.side[index]!;
  const isOfTaker = action === BOOK_ACTION.trade;
  const side = named === BOOK_SIDE.none ? undefined : (named === BOOK_SIDE.buy) === isOfTaker ? 1 : 0;
  return [
    {
      kind: 'trade',
      tsNs: batch.tsNs[index]!,
      symbolIndex: batch.symbolIndex[index]!,
      side,
      priceTicks: batch.priceTicks[index]!,
      lots: batch.quantityLots[index]!,
    },
  ];
}

/** One number for a side and a price; prices may be negative. */
function keyOf(side: number, priceTicks: number): number {
  return priceTicks * 2 + side;
}

function sideOf(key: number): Side {
  return key % 2 === 0 ? 0 : 1;
}
