// What goes through the books of a symbol in order: expiry, mass cancel, and the listing. "In order": displayed, all-or-none, stop; in each the
// buys, then the sells.
import {
  COMMAND_KIND_RESTORE, EVENT_KIND_CANCELLED, EVENT_KIND_EXPIRED, MASS_SCOPE_BY_OWNER, MASS_SCOPE_BY_SIDE, ORDER_COMMAND_ATTRIBUTES,
  ORDER_COMMAND_DISPLAY_LOTS, ORDER_COMMAND_EXPIRY_NS, ORDER_COMMAND_KIND, ORDER_COMMAND_ORDER_ID, ORDER_COMMAND_OWNER,
  ORDER_COMMAND_PRICE_TICKS, ORDER_COMMAND_QUANTITY_LOTS, ORDER_COMMAND_SHOWN_LOTS, ORDER_COMMAND_SIZE, ORDER_COMMAND_STOP_TICKS,
  ORDER_COMMAND_SYMBOL_INDEX, ORDER_COMMAND_TRAIL_TICKS, ORDER_COMMAND_TS_NS, ORDER_REASON_MASS_CANCELLED, ORDER_REASON_SESSION_END,
  ORDER_REASON_TIME_PASSED, TIME_IN_FORCE_DAY, TIME_IN_FORCE_GTD,
} from "../../schemas/order-layout.gen";
import { displayOf, leavesOf, limitOf, triggerOf } from "./book-events";
import { firstOrder, nextOrder, priceOfLevel, worseLevel, bestLevel } from "./book-levels";
import { sideOf, takeOff, timeInForceOf } from "./book-orders";
import {
  AT_TIME_NS, ATTR_COLD, ATTR_PUBLIC, ATTRIBUTES, BOOK_KINDS, bookAt, coldOf, DISPLAYED, EXPIRY, KIND_STOP, LEVEL_LOTS, NEXT, ORDER_ID, OWNER,
  REGION, SHOWN, SYMBOL_EXPIRY, SYMBOL_INDEX, TRAIL,
} from "./book-region";

/** A listing of levels: i32 price, i32 orders, i64 lots. */
const LEVEL_ROW_BYTES: usize = 16;
const QUEUES: i32 = 2 * BOOK_KINDS;

/** The first order of the `index`-th of the six sides, in order; 0 when it is empty. */
function firstOf(symbol: usize, index: i32): usize {
  const kind = index >> 1;
  return firstOrder(bookAt(symbol, kind), <u32>(kind == KIND_STOP ? (index & 1) ^ 1 : index & 1));
}

function timeInForceOfOrder(order: usize): i32 {
  return timeInForceOf(load<u32>(order, ATTRIBUTES));
}

/** Expires the GTD orders of a symbol that are due. */
export function expire(symbol: usize): void {
  const now = load<i64>(REGION, AT_TIME_NS);
  if (now < load<i64>(symbol, SYMBOL_EXPIRY)) return;
  let earliest = i64.MAX_VALUE;
  for (let index = 0; index < QUEUES; index++) {
    for (let order = firstOf(symbol, index); order != 0; ) {
      const next = nextOrder(order);
      if (timeInForceOfOrder(order) == TIME_IN_FORCE_GTD) {
        const expiry = load<i64>(coldOf(order), EXPIRY);
        if (expiry <= now) takeOff(symbol, order, EVENT_KIND_EXPIRED, ORDER_REASON_TIME_PASSED);
        else earliest = min(earliest, expiry);
      }
      order = next;
    }
  }
  store<i64>(symbol, earliest, SYMBOL_EXPIRY);
}

/** Expires the DAY orders of a symbol. */
export function endDay(symbol: usize): void {
  for (let index = 0; index < QUEUES; index++) {
    for (let order = firstOf(symbol, index); order != 0; ) {
      const next = nextOrder(order);
      if (timeInForceOfOrder(order) == TIME_IN_FORCE_DAY) takeOff(symbol, order, EVENT_KIND_EXPIRED, ORDER_REASON_SESSION_END);
      order = next;
    }
  }
}

/** Cancels the orders of a symbol that a mass cancel names. */
export function cancelAll(symbol: usize, command: usize): void {
  const scope = load<i32>(command, ORDER_COMMAND_ATTRIBUTES);
  const owner = load<u32>(command, ORDER_COMMAND_OWNER);
  for (let index = 0; index < QUEUES; index++) {
    for (let order = firstOf(symbol, index); order != 0; ) {
      const next = nextOrder(order);
      const isOther =
        ((scope & MASS_SCOPE_BY_OWNER) != 0 && load<u32>(order, OWNER) != owner) ||
        ((scope & MASS_SCOPE_BY_SIDE) != 0 && sideOf(load<u32>(order, ATTRIBUTES)) != <u32>(scope & 1));
      if (!isOther) takeOff(symbol, order, EVENT_KIND_CANCELLED, ORDER_REASON_MASS_CANCELLED);
      order = next;
    }
  }
}

/** Writes the orders of a symbol to `out`, each as the command that restores it; returns how many. */
export function listOrders(symbol: usize, out: usize): i32 {
  let count = 0;
  for (let index = 0; index < QUEUES; index++) {
    for (let order = firstOf(symbol, index); order != 0; order = nextOrder(order)) {
      writeRestore(symbol, order, out + <usize>count * ORDER_COMMAND_SIZE);
      count++;
    }
  }
  return count;
}

function writeRestore(symbol: usize, order: usize, out: usize): void {
  const attributes = load<u32>(order, ATTRIBUTES);
  const isCold = (attributes & ATTR_COLD) != 0;
  const display = displayOf(order);
  const shown = load<i32>(order, SHOWN);
  store<i32>(out, COMMAND_KIND_RESTORE, ORDER_COMMAND_KIND);
  store<i32>(out, load<i32>(symbol, SYMBOL_INDEX), ORDER_COMMAND_SYMBOL_INDEX);
  store<u64>(out, load<u64>(order, ORDER_ID), ORDER_COMMAND_ORDER_ID);
  store<i64>(out, load<i64>(REGION, AT_TIME_NS), ORDER_COMMAND_TS_NS);
  store<i32>(out, limitOf(order), ORDER_COMMAND_PRICE_TICKS);
  store<i32>(out, leavesOf(order), ORDER_COMMAND_QUANTITY_LOTS);
  store<i32>(out, triggerOf(order), ORDER_COMMAND_STOP_TICKS);
  store<i32>(out, display, ORDER_COMMAND_DISPLAY_LOTS);
  store<i32>(out, isCold ? load<i32>(coldOf(order), TRAIL) : 0, ORDER_COMMAND_TRAIL_TICKS);
  store<i32>(out, display == 0 ? shown : min(display, shown), ORDER_COMMAND_SHOWN_LOTS);
  store<i64>(out, isCold ? load<i64>(coldOf(order), EXPIRY) : 0, ORDER_COMMAND_EXPIRY_NS);
  store<u32>(out, load<u32>(order, OWNER), ORDER_COMMAND_OWNER);
  store<u32>(out, attributes & ATTR_PUBLIC, ORDER_COMMAND_ATTRIBUTES);
}

/** Writes the levels of a side of the displayed book to `out`, best first; returns how many. */
export function listLevels(symbol: usize, side: u32, out: usize): i32 {
  let count = 0;
  for (let level = bestLevel(symbol + DISPLAYED, side); level != 0; level = worseLevel(level)) {
    let orders = 0;
    for (let order = <usize>load<u32>(level, NEXT); order != level; order = <usize>load<u32>(order, NEXT)) orders++;
    const row = out + <usize>count * LEVEL_ROW_BYTES;
    store<i32>(row, priceOfLevel(level));
    store<i32>(row, orders, 4);
    store<i64>(row, load<i64>(level, LEVEL_LOTS), 8);
    count++;
  }
  return count;
}
