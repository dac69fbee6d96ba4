// What follows from trades: stops trigger, trailing stops move, all-or-none orders are looked at again (rules S1 to S3).
import {
  BOOK_INSTRUMENT_LAST_TICKS, BOOK_INSTRUMENT_PHASE, EVENT_KIND_CANCELLED, ORDER_REASON_PRICE_POOL_FULL, ORDER_TYPE_TRAILING_STOP,
  PHASE_CONTINUOUS,
} from "../../schemas/order-layout.gen";
import { limitOf, triggerOf } from "./book-events";
import { actFirst, enqueue, enter, isQueued } from "./book-enter";
import { firstOrder, hasRoom, nextOrder } from "./book-levels";
import { drop, pickUp, standStop, typeOf } from "./book-orders";
import {
  ALL_OR_NONE, ATTRIBUTES, BEST_KEY, coldOf, keyOf, NO_KEY, SHOWN, STOPS, SYMBOL_HIGH, SYMBOL_LOW, SYMBOL_TRADED, SYMBOL_TRAIL_HIGH,
  SYMBOL_TRAIL_LOW, TRAIL,
} from "./book-region";
import { wouldFill } from "./book-take";

const BUYS: u32 = 1; // the side of the stop book where buys wait
const SELLS: u32 = 0;

/** Something stands in the all-or-none book. */
export function hasWholes(symbol: usize): bool {
  return load<u64>(symbol, ALL_OR_NONE + BEST_KEY) != u64.MAX_VALUE;
}

/** Nothing traded, triggered, or waits to trade whole: there is nothing to settle. */
export function isSettled(symbol: usize): bool {
  return load<i32>(symbol, SYMBOL_TRADED) == 0 && !isQueued() && !hasWholes(symbol);
}

/** Until nothing moves; each turn ends an order or has nothing left to do. */
export function settle(symbol: usize): void {
  if (load<i32>(symbol, BOOK_INSTRUMENT_PHASE) != PHASE_CONTINUOUS) {
    store<i32>(symbol, 0, SYMBOL_TRADED);
    return;
  }
  while (true) {
    lookAtStops(symbol);
    if (isQueued()) actFirst(symbol);
    else if (!takeWhole(symbol)) return;
  }
}

function lookAtStops(symbol: usize): void {
  if (load<i32>(symbol, SYMBOL_TRADED) == 0) return;
  store<i32>(symbol, 0, SYMBOL_TRADED);
  if (load<u64>(symbol, STOPS + BEST_KEY) == u64.MAX_VALUE) return;
  const low = load<i32>(symbol, SYMBOL_LOW);
  const high = load<i32>(symbol, SYMBOL_HIGH);
  const last = load<i32>(symbol, BOOK_INSTRUMENT_LAST_TICKS);
  trigger(symbol, BUYS, high);
  trigger(symbol, SELLS, low);
  if (low < load<i32>(symbol, SYMBOL_TRAIL_LOW)) trail(symbol, BUYS, low);
  if (high > load<i32>(symbol, SYMBOL_TRAIL_HIGH)) trail(symbol, SELLS, high);
  trigger(symbol, BUYS, last);
  trigger(symbol, SELLS, last);
}

/** The stops of a side that a price reaches leave the book and queue, nearest first. */
function trigger(symbol: usize, side: u32, price: i32): void {
  const book = symbol + STOPS;
  const reached = keyOf(price, side);
  while (true) {
    const key = load<u32>(book + (<usize>side << 2), BEST_KEY);
    if (key == NO_KEY || key > reached) return;
    const order = firstOrder(book, side);
    pickUp(order, limitOf(order), triggerOf(order));
    enqueue(order);
  }
}

/**
 * The trailing stops of a side follow a new extreme of the price. They only come nearer to the market, so to levels that this walk,
 * nearest first, has passed. On the way it works out from which price on the next one has to look.
 */
function trail(symbol: usize, side: u32, price: i32): void {
  store<i32>(symbol + (side == BUYS ? SYMBOL_TRAIL_LOW : SYMBOL_TRAIL_HIGH), side == BUYS ? i32.MIN_VALUE : i32.MAX_VALUE);
  for (let order = firstOrder(symbol + STOPS, side); order != 0; ) {
    const next = nextOrder(order);
    if (typeOf(load<u32>(order, ATTRIBUTES)) == ORDER_TYPE_TRAILING_STOP) follow(symbol, order, side, price);
    order = next;
  }
}

function follow(symbol: usize, order: usize, side: u32, price: i32): void {
  const before = triggerOf(order);
  const distance = load<i32>(coldOf(order), TRAIL);
  const after = side == BUYS ? min(before, price + distance) : max(before, price - distance);
  if (after == before) {
    if (side == BUYS) store<i32>(symbol, max(load<i32>(symbol, SYMBOL_TRAIL_LOW), before - distance), SYMBOL_TRAIL_LOW);
    else store<i32>(symbol, min(load<i32>(symbol, SYMBOL_TRAIL_HIGH), before + distance), SYMBOL_TRAIL_HIGH);
    return;
  }
  pickUp(order, 0, after);
  if (hasRoom(symbol + STOPS, keyOf(after, side), side)) standStop(symbol, order, after);
  else drop(symbol, order, ORDER_REASON_PRICE_POOL_FULL);
}

/** The first all-or-none order, buys before sells, that would fill now takes; false when there is none. */
function takeWhole(symbol: usize): bool {
  if (!hasWholes(symbol)) return false;
  for (let side: u32 = 0; side < 2; side++) {
    for (let order = firstOrder(symbol + ALL_OR_NONE, side); order != 0; order = nextOrder(order)) {
      const limit = limitOf(order);
      if (!wouldFill(symbol, order, limit, load<i32>(order, SHOWN))) continue;
      pickUp(order, limit, 0);
      enter(symbol, order);
      return true;
    }
  }
  return false;
}
