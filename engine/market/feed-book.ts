/**
 * Follows an order-by-order feed: the resting orders of each symbol, level by level in their order of time, as the venue says they are.
 * Nothing matches here. Plain objects; the kernel of the feed bench is the fast one.
 */
import { assert } from '../core/errors.ts';
import { BOOK_ACTION, BOOK_SIDE, type BookBatch } from './book-message.ts';

export interface FeedOrder {
  readonly orderId: bigint;
  readonly level: FeedLevel;
  leavesLots: number;
  /** Neighbours in the level, by time. */
  before: FeedOrder | undefined;
  after: FeedOrder | undefined;
}

export interface FeedLevel {
  readonly side: number;
  readonly priceTicks: number;
  /** Lots of all orders. */
  quantityLots: number;
  orderCount: number;
  first: FeedOrder | undefined;
  last: FeedOrder | undefined;
}

/** What did not fit. The book stays as it was, but for what the name says. */
export const FEED_FAULT = {
  /** A cancel, modify, replace or execution of an id that does not rest, with no unknown size at its price to take it from. */
  unknownOrder: 'unknownOrder',
  /** An add or replace under an id that rests; the old order goes. */
  duplicateId: 'duplicateId',
  /** More taken off an order than it had; the order goes. */
  tooMuchTaken: 'tooMuchTaken',
  /** A modify that names the other side; the order changes sides. */
  sideChanged: 'sideChanged',
} as const;
export type FeedFault = keyof typeof FEED_FAULT;

/** The book of one symbol. */
export interface SymbolBook {
  readonly orders: ReadonlyMap<bigint, FeedOrder>;
  readonly faults: Readonly<Record<FeedFault, number>>;
  /** Messages that took from sizes with no known order. */
  readonly fromUnknownSize: number;
  /** Levels of a side, best price first. */
  levels(side: number): FeedLevel[];
  level(side: number, priceTicks: number): FeedLevel | undefined;
  best(side: number): FeedLevel | undefined;
}

export interface FeedBook {
  /** Applies messages `from` to `to` - 1; all of them unless told. */
  apply(batch: BookBatch, from?: number, to?: number): void;
  /** The book of a symbol, empty when nothing was heard of it. */
  symbol(symbolIndex: number): SymbolBook;
  /** How many symbols were heard of: indices below it. */
  readonly symbolCount: number;
}

/**
 * An empty book. Sizes with no known order (adds with id 0) count as one order of their level that stands first; messages about ids that do not rest
 * are taken from it.
 */
export function createFeedBook(): FeedBook {
  const symbols: MutableBook[] = [];
  const bookOf = (symbolIndex: number): MutableBook => {
    while (symbols.length <= symbolIndex) symbols.push(createSymbolBook());
    return symbols[symbolIndex]!;
  };
  return {
    get symbolCount() {
      return symbols.length;
    },
    symbol: bookOf,
    apply(batch, from = 0, to = batch.count) {
      for (let index = from; index < to; index += 1) bookOf(batch.symbolIndex[index]!).take(batch, index);
    },
  };
}

interface MutableBook extends SymbolBook {
  take(batch: BookBatch, index: number): void;
}

function createSymbolBook(): MutableBook {
  const orders = new Map<bigint, FeedOrder>();
  const sides = [new Map<number, FeedLevel>(), new Map<number, FeedLevel>()] as const;
  const bests: [FeedLevel | undefined, FeedLevel | undefined] = [undefined, undefined];
  const faults: Record<FeedFault, number> = { unknownOrder: 0, duplicateId: 0, tooMuchTaken: 0, sideChanged: 0 };
  let fromUnknownSize = 0;

  const levelsOf = (side: number): Map<number, FeedLevel> => (side === BOOK_SIDE.buy ? sides[0] : sides[1]);
  const levelAt = (side: number, priceTicks: number): FeedLevel => {
    const levels = levelsOf(side);
    const found = levels.get(priceTicks);
    if (found) return found;
    const level: FeedLevel = { side, priceTicks, quantityLots: 0, orderCount: 0, first: undefined, last: undefined };
    levels.set(priceTicks, level);
    const best = bests[side];
    if (!best || isBetter(side, priceTicks, best.priceTicks)) bests[side] = level;
    return level;
  };
  const remove = (order: FeedOrder): void => {
    const { level } = order;
    unlink(order);
    if (order.orderId !== 0n) orders.delete(order.orderId);
    if (level.orderCount > 0) return;
    levelsOf(level.side).delete(level.priceTicks);
    if (bests[level.side] === level) bests[level.side] = nextBest(levelsOf(level.side), level);
  };
  const reduce = (order: FeedOrder, quantityLots: number): void => {
    if (quantityLots > order.leavesLots) faults.tooMuchTaken += 1;
    if (quantityLots >= order.leavesLots) remove(order);
    else {
      order.leavesLots -= quantityLots;
      order.level.quantityLots -= quantityLots;
    }
  };
  /** The order a message is about; when no such order rests, the unknown size at its price. */
  const find = (batch: BookBatch, index: number): FeedOrder | undefined => {
    const known = orders.get(batch.orderId[index]!);
    if (known) return known;
    const first = batch.side[index]! === BOOK_SIDE.none ? undefined : levelsOf(batch.side[index]!).get(batch.priceTicks[index]!)?.first;
    if (first?.orderId === 0n) {
      fromUnknownSize += 1;
      return first;
    }
    faults.unknownOrder += 1;
    return undefined;
  };
  const add = (batch: BookBatch, index: number, orderId: bigint): void => {
    const old = orderId === 0n ? undefined : orders.get(orderId);
    if (old) {
      faults.duplicateId += 1;
      remove(old);
    }
    const level = levelAt(batch.side[index]!, batch.priceTicks[index]!);
    const leavesLots = batch.quantityLots[index]!;
    if (orderId === 0n) {
      addUnknown(level, leavesLots);
      return;
    }
    const order: FeedOrder = { orderId, level, leavesLots, before: undefined, after: undefined };
    orders.set(orderId, order);
    append(order);
  };
  const modify = (batch: BookBatch, index: number): void => {
    const orderId = batch.orderId[index]!;
    const order = orders.get(orderId);
    if (!order) {
      faults.unknownOrder += 1;
      return;
    }
    const { level } = order;
    const quantityLots = batch.quantityLots[index]!;
    if (level.side !== batch.side[index]!) faults.sideChanged += 1;
    if (level.side === batch.side[index]! && level.priceTicks === batch.priceTicks[index]! && quantityLots <= order.leavesLots) {
      level.quantityLots -= order.leavesLots - quantityLots;
      order.leavesLots = quantityLots;
      return;
    }
    remove(order);
    add(batch, index, orderId);
  };
  return {
    orders,
    faults,
    get fromUnknownSize() {
      return fromUnknownSize;
    },
    levels: (side) => [...levelsOf(side).values()].sort((left, right) => (isBetter(side, left.priceTicks, right.priceTicks) ? -1 : 1)),
    level: (side, priceTicks) => levelsOf(side).get(priceTicks),
    best: (side) => bests[side],
    take(batch, index) {
      const action = batch.action[index]!;
      if (action === BOOK_ACTION.add) add(batch, index, batch.orderId[index]!);
      else if (action === BOOK_ACTION.cancel || action === BOOK_ACTION.execute) {
        const order = find(batch, index);
        if (order) reduce(order, batch.quantityLots[index]!);
      } else if (action === BOOK_ACTION.modify) modify(batch, index);
      else if (action === BOOK_ACTION.replace) {
        const order = find(batch, index);
        if (order && order.orderId !== 0n) remove(order);
        if (order) add(batch, index, batch.newOrderId[index]!);
      } else if (action === BOOK_ACTION.clear) {
        orders.clear();
        for (const levels of sides) levels.clear();
        bests.fill(undefined);
      }
    },
  };
}

function isBetter(side: number, left: number, right: number): boolean {
  return side === BOOK_SIDE.buy ? left > right : left < right;
}

function append(order: FeedOrder): void {
  const { level } = order;
  order.before = level.last;
  if (level.last) level.last.after = order;
  else level.first = order;
  level.last = order;
  level.quantityLots += order.leavesLots;
  level.orderCount += 1;
}

function addUnknown(level: FeedLevel, lots: number): void {
  level.quantityLots += lots;
  if (level.first?.orderId === 0n) {
    level.first.leavesLots += lots;
    return;
  }
  const order: FeedOrder = { orderId: 0n, level, leavesLots: lots, before: undefined, after: level.first };
  if (level.first) level.first.before = order;
  else level.last = order;
  level.first = order;
  level.orderCount += 1;
}

function unlink(order: FeedOrder): void {
  const { level } = order;
  assert(level.orderCount > 0, 'an order stands in its level');
  if (order.before) order.before.after = order.after;
  else level.first = order.after;
  if (order.after) order.after.before = order.before;
  else level.last = order.before;
  level.quantityLots -= order.leavesLots;
  level.orderCount -= 1;
}

/** How many ticks are looked at one by one behind a level that emptied, before all levels are. */
const NEAR_TICKS = 64;

function nextBest(levels: ReadonlyMap<number, FeedLevel>, { side, priceTicks }: FeedLevel): FeedLevel | undefined {
  const step = side === BOOK_SIDE.buy ? -1 : 1;
  for (let away = 1; away <= NEAR_TICKS; away += 1) {
    const level = levels.get(priceTicks + step * away);
    if (level) return level;
  }
  let best: FeedLevel | undefined;
  for (const level of levels.values()) if (!best || isBetter(side, level.priceTicks, best.priceTicks)) best = level;
  return best;
}
