// The short way: plain limit orders in continuous trading, their moves and cancels. `quick` either does the whole command, with the same outcome as
// the long way, or nothing: whatever is not plain about the command, its order or its symbol is left to the long way, refusals included.
// Conditions that most commands meet are asked one by one, each with a way out of its own: a condition in two parts would be worked out as a number first.
import {
  BOOK_INSTRUMENT_LOT_STEP, BOOK_INSTRUMENT_LOWER_TICKS, BOOK_INSTRUMENT_MAX_LOTS, BOOK_INSTRUMENT_MIN_LOTS, BOOK_INSTRUMENT_PHASE,
  BOOK_INSTRUMENT_TICK_STEP, BOOK_INSTRUMENT_UPPER_TICKS, COMMAND_KIND_CANCEL, COMMAND_KIND_MOVE, COMMAND_KIND_NEW, EVENT_KIND_ACCEPTED,
  EVENT_KIND_CANCELLED, EVENT_KIND_REPLACED, EVENT_KIND_TOP, ORDER_BITS_POST_ONLY, ORDER_BITS_SELF_MATCH_SHIFT,
  ORDER_BITS_TIME_IN_FORCE_SHIFT, ORDER_COMMAND_ATTRIBUTES, ORDER_COMMAND_DISPLAY_LOTS, ORDER_COMMAND_KIND, ORDER_COMMAND_ORDER_ID,
  ORDER_COMMAND_OWNER, ORDER_COMMAND_PRICE_TICKS, ORDER_COMMAND_QUANTITY_LOTS, ORDER_COMMAND_SYMBOL_INDEX, ORDER_EVENT_OTHER_OWNER,
  ORDER_EVENT_PRICE_TICKS, ORDER_EVENT_QUANTITY_LOTS, ORDER_REASON_REMAINDER, ORDER_REASON_REQUESTED, ORDER_REASON_SELF_MATCH,
  PHASE_CONTINUOUS, TIME_IN_FORCE_DAY, TIME_IN_FORCE_IOC,
} from "../../schemas/order-layout.gen";
import { notedOrder } from "./book-ahead";
import { checkOrderPool, checkOwner } from "./book-check";
import { emitGone, emitOrder, emitTop, eventMask, isWanted, saveTop } from "./book-events";
import { findOrder } from "./book-ids";
import { link, unlinkFrom } from "./book-levels";
import { drop, makeLive, release, sideOf, takeOrder, timeInForceOf } from "./book-orders";
import {
  AT_FREE_PAGE_COUNT, AT_HAND, AT_TIME_NS, ATTR_COLD, ATTRIBUTES, BEST_KEY, coldOf, DISPLAYED, HIDDEN, keyOf, LEVEL, LIMIT, ORDER_ID, OWNER,
  PAGE_BOOK, pageOfLevel, REGION, SHOWN, STOPS, SYMBOL_EXPIRY, SYMBOL_TRADED, symbolAt, symbolCount, TRIGGER,
} from "./book-region";
import { hasWholes, settle } from "./book-settle";
import { isTakerStopped, take } from "./book-take";

/** Side, time in force and self-match: all that a plain order says. */
const PLAIN_BITS: u32 = 1 | (7 << ORDER_BITS_TIME_IN_FORCE_SHIFT) | (3 << ORDER_BITS_SELF_MATCH_SHIFT);

/** Events that are told beside trades and the end of takers. */
const TOLD_OF_MOVE: u32 = (1 << EVENT_KIND_REPLACED) | (1 << EVENT_KIND_TOP);
const TOLD_OF_CANCEL: u32 = (1 << EVENT_KIND_CANCELLED) | (1 << EVENT_KIND_TOP);

/** Does a plain command with what was noted for it; false: nothing has been done. */
export function quick(command: usize, note: usize): bool {
  const index = load<u32>(command, ORDER_COMMAND_SYMBOL_INDEX);
  if (index >= symbolCount) return false;
  const symbol = symbolAt(index);
  if (load<i32>(symbol, BOOK_INSTRUMENT_PHASE) != PHASE_CONTINUOUS) return false;
  if (load<i64>(REGION, AT_TIME_NS) >= load<i64>(symbol, SYMBOL_EXPIRY)) return false;
  if (load<i32>(REGION, AT_FREE_PAGE_COUNT) == 0) return false;
  if (hasWholes(symbol)) return false;
  const kind = load<i32>(command, ORDER_COMMAND_KIND);
  if (kind == COMMAND_KIND_NEW) return quickNew(symbol, command);
  const id = load<u64>(command, ORDER_COMMAND_ORDER_ID);
  let order = notedOrder(note);
  if (<u32>(load<u64>(order, ORDER_ID) != id) | <u32>(id == 0)) order = findOrder(id);
  if (order == 0) return false;
  const owner = load<u32>(command, ORDER_COMMAND_OWNER);
  if (owner != 0) {
    if (owner != load<u32>(order, OWNER)) return false;
  }
  if (load<u32>(order, ATTRIBUTES) & (ATTR_COLD | ORDER_BITS_POST_ONLY)) return false;
  if (kind == COMMAND_KIND_MOVE) return quickMove(symbol, command, order);
  return kind == COMMAND_KIND_CANCEL && quickCancel(symbol, order);
}

/** C7; the band lies within the bounds of prices. */
function isOutsideBand(symbol: usize, price: i32): bool {
  const lower = load<i32>(symbol, BOOK_INSTRUMENT_LOWER_TICKS);
  return <u32>(price - lower) > <u32>(load<i32>(symbol, BOOK_INSTRUMENT_UPPER_TICKS) - lower);
}

/** C6; the instrument's bounds lie within those of quantities. */
function isPlainQuantity(symbol: usize, lots: i32): bool {
  if (lots < load<i32>(symbol, BOOK_INSTRUMENT_MIN_LOTS) || lots > load<i32>(symbol, BOOK_INSTRUMENT_MAX_LOTS)) return false;
  const step = load<i32>(symbol, BOOK_INSTRUMENT_LOT_STEP);
  return step == 1 || lots % step == 0;
}

/** A plain order stands or, when it meets an opposite one, takes what it can: there are no all-or-none orders. */
function standOrTake(symbol: usize, order: usize, price: i32): void {
  const side = sideOf(load<u32>(order, ATTRIBUTES));
  const key = keyOf(price, side);
  // A key of the other side is the same number upside down.
  if (load<u32>(symbol + (<usize>(side ^ 1) << 2), DISPLAYED + BEST_KEY) > ~key) link(order, symbol + DISPLAYED, side, key);
  else takeAndStand(symbol, order, price);
}

/** A plain order takes what it can; what is left of it stands, or goes if it came to take only. */
function takeAndStand(symbol: usize, order: usize, price: i32): void {
  const attributes = load<u32>(order, ATTRIBUTES);
  const left = take(symbol, order, price, load<i32>(order, SHOWN));
  store<i32>(order, left, SHOWN);
  if (isTakerStopped) {
    setAside(order, price);
    drop(symbol, order, ORDER_REASON_SELF_MATCH);
  } else if (left == 0) {
    release(order);
  } else if (timeInForceOf(attributes) == TIME_IN_FORCE_IOC) {
    setAside(order, price);
    drop(symbol, order, ORDER_REASON_REMAINDER);
  } else {
    const side = sideOf(attributes);
    link(order, symbol + DISPLAYED, side, keyOf(price, side));
  }
  settlePlain(symbol);
}

/** Nothing waits to trade whole, and nothing is triggered: only stops may follow from a trade. */
function settlePlain(symbol: usize): void {
  if (load<u64>(symbol, STOPS + BEST_KEY) == u64.MAX_VALUE) store<i32>(symbol, 0, SYMBOL_TRADED);
  else settle(symbol);
}

/** Off the books, with its limit beside it. */
function setAside(order: usize, price: i32): void {
  const cold = coldOf(order);
  store<i32>(cold, 0, HIDDEN);
  store<i32>(cold, price, LIMIT);
  store<i32>(cold, 0, TRIGGER);
  store<u32>(order, 0, LEVEL);
}

function quickMove(symbol: usize, command: usize, order: usize): bool {
  const price = load<i32>(command, ORDER_COMMAND_PRICE_TICKS);
  const level = <usize>load<u32>(order, LEVEL);
  const page = pageOfLevel(level);
  if (<usize>load<u32>(page, PAGE_BOOK) != symbol + DISPLAYED) return false;
  if (isOutsideBand(symbol, price)) return false;
  const step = load<i32>(symbol, BOOK_INSTRUMENT_TICK_STEP);
  if (step != 1) {
    if (price % step != 0) return false;
  }
  const isTold = (eventMask & TOLD_OF_MOVE) != 0;
  if (isTold) tellMove(symbol, order, price);
  unlinkFrom(order, level, page);
  standOrTake(symbol, order, price);
  if (isTold) {
    if (isWanted(EVENT_KIND_TOP)) emitTop(symbol);
  }
  return true;
}

function tellMove(symbol: usize, order: usize, price: i32): void {
  saveTop(symbol);
  const event = emitOrder(EVENT_KIND_REPLACED, 0, symbol, order);
  store<i32>(event, price, ORDER_EVENT_PRICE_TICKS);
  store<i32>(event, load<i32>(order, SHOWN), ORDER_EVENT_QUANTITY_LOTS);
  store<i32>(event, 1, ORDER_EVENT_OTHER_OWNER);
}

function quickCancel(symbol: usize, order: usize): bool {
  const level = <usize>load<u32>(order, LEVEL);
  const page = pageOfLevel(level);
  if (<usize>load<u32>(page, PAGE_BOOK) != symbol + DISPLAYED) return false;
  const isTold = (eventMask & TOLD_OF_CANCEL) != 0;
  if (isTold) {
    saveTop(symbol);
    emitGone(EVENT_KIND_CANCELLED, ORDER_REASON_REQUESTED, symbol, order);
  }
  unlinkFrom(order, level, page);
  release(order);
  if (isTold) {
    if (isWanted(EVENT_KIND_TOP)) emitTop(symbol);
  }
  return true;
}

function quickNew(symbol: usize, command: usize): bool {
  const attributes = load<u32>(command, ORDER_COMMAND_ATTRIBUTES);
  const price = load<i32>(command, ORDER_COMMAND_PRICE_TICKS);
  const lots = load<i32>(command, ORDER_COMMAND_QUANTITY_LOTS);
  const owner = load<u32>(command, ORDER_COMMAND_OWNER);
  const id = load<u64>(command, ORDER_COMMAND_ORDER_ID);
  const timeInForce = timeInForceOf(attributes);
  const isBrief = timeInForce == TIME_IN_FORCE_IOC;
  if ((attributes & ~PLAIN_BITS) != 0 || (timeInForce > TIME_IN_FORCE_DAY && !isBrief)) return false;
  if (id == 0 || load<i32>(command, ORDER_COMMAND_DISPLAY_LOTS) != 0 || findOrder(id) != 0) return false;
  if (!isPlainQuantity(symbol, lots) || isOutsideBand(symbol, price) || checkOrderPool() != 0) return false;
  const step = load<i32>(symbol, BOOK_INSTRUMENT_TICK_STEP);
  if (step != 1 && price % step != 0) return false;
  if (owner != 0 && checkOwner(symbol, owner, lots, price, true) != 0) return false;
  if (isWanted(EVENT_KIND_TOP)) saveTop(symbol);
  const order = isBrief ? REGION + AT_HAND : takeOrder();
  store<u64>(order, id, ORDER_ID);
  store<i32>(order, lots, SHOWN);
  store<u32>(order, owner, OWNER);
  store<u32>(order, attributes, ATTRIBUTES);
  if (isWanted(EVENT_KIND_ACCEPTED)) tellAccepted(symbol, order, price);
  if (isBrief) {
    takeAndStand(symbol, order, price);
  } else {
    makeLive(order);
    standOrTake(symbol, order, price);
  }
  if (isWanted(EVENT_KIND_TOP)) emitTop(symbol);
  return true;
}

function tellAccepted(symbol: usize, order: usize, price: i32): void {
  setAside(order, price);
  const event = emitOrder(EVENT_KIND_ACCEPTED, 0, symbol, order);
  store<i32>(event, load<i32>(order, SHOWN), ORDER_EVENT_QUANTITY_LOTS);
}
