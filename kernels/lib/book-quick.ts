// The short way: plain limit orders in continuous trading, their moves and cancels. `quick` either does the whole command, with the same outcome as
// the long way, or nothing: whatever is not plain about the command, its order or its symbol is left to the long way, refusals included.
import {
  BOOK_INSTRUMENT_LOT_STEP, BOOK_INSTRUMENT_LOWER_TICKS, BOOK_INSTRUMENT_MAX_LOTS, BOOK_INSTRUMENT_MIN_LOTS, BOOK_INSTRUMENT_PHASE,
  BOOK_INSTRUMENT_TICK_STEP, BOOK_INSTRUMENT_UPPER_TICKS, COMMAND_KIND_CANCEL, COMMAND_KIND_MOVE, COMMAND_KIND_NEW, EVENT_KIND_ACCEPTED,
  EVENT_KIND_CANCELLED, EVENT_KIND_REPLACED, EVENT_KIND_TOP, ORDER_BITS_POST_ONLY, ORDER_BITS_SELF_MATCH_SHIFT,
  ORDER_BITS_TIME_IN_FORCE_SHIFT, ORDER_COMMAND_ATTRIBUTES, ORDER_COMMAND_DISPLAY_LOTS, ORDER_COMMAND_KIND, ORDER_COMMAND_ORDER_ID,
  ORDER_COMMAND_OWNER, ORDER_COMMAND_PRICE_TICKS, ORDER_COMMAND_QUANTITY_LOTS, ORDER_COMMAND_SYMBOL_INDEX, ORDER_EVENT_OTHER_OWNER,
  ORDER_EVENT_PRICE_TICKS, ORDER_EVENT_QUANTITY_LOTS, ORDER_REASON_REQUESTED, PHASE_CONTINUOUS, TIME_IN_FORCE_DAY, TIME_IN_FORCE_IOC,
} from "../../schemas/order-layout.gen";
import { checkOrderPool, checkOwner } from "./book-check";
import { enter } from "./book-enter";
import { emitGone, emitOrder, emitTop, isWanted, saveTop } from "./book-events";
import { findOrder } from "./book-ids";
import { link, unlink } from "./book-levels";
import { makeLive, release, takeOrder } from "./book-orders";
import {
  ALL_OR_NONE, AT_FREE_PAGE_COUNT, AT_HAND, AT_TIME_NS, ATTR_COLD, ATTRIBUTES, BEST_KEY, BOOK_SYMBOL, coldOf, DISPLAYED, HIDDEN, keyOf, LEVEL,
  LIMIT, ORDER_ID, OWNER, PAGE_BOOK, pageOfLevel, region, SHOWN, SYMBOL_EXPIRY, symbolAt, symbolCount, TRIGGER,
} from "./book-region";
import { isSettled, settle } from "./book-settle";

/** Side, time in force and self-match: all that a plain order says. */
const PLAIN_BITS: u32 = 1 | (7 << ORDER_BITS_TIME_IN_FORCE_SHIFT) | (3 << ORDER_BITS_SELF_MATCH_SHIFT);
const TIME_IN_FORCE_MASK: u32 = 7;

/** Does a plain command; false: nothing has been done. */
export function quick(command: usize): bool {
  const index = load<u32>(command, ORDER_COMMAND_SYMBOL_INDEX);
  if (index >= symbolCount) return false;
  const symbol = symbolAt(index);
  const isOpen =
    load<i32>(symbol, BOOK_INSTRUMENT_PHASE) == PHASE_CONTINUOUS &&
    load<i64>(region, AT_TIME_NS) < load<i64>(symbol, SYMBOL_EXPIRY) &&
    load<i32>(region, AT_FREE_PAGE_COUNT) != 0;
  if (!isOpen) return false;
  const kind = load<i32>(command, ORDER_COMMAND_KIND);
  const order = findOrder(load<u64>(command, ORDER_COMMAND_ORDER_ID));
  if (kind == COMMAND_KIND_MOVE) return quickMove(symbol, command, order);
  if (kind == COMMAND_KIND_NEW) return quickNew(symbol, command, order);
  return kind == COMMAND_KIND_CANCEL && quickCancel(symbol, command, order);
}

/** C7; the band lies within the bounds of prices. */
function isPlainPrice(symbol: usize, price: i32): bool {
  const step = load<i32>(symbol, BOOK_INSTRUMENT_TICK_STEP);
  return (
    price >= load<i32>(symbol, BOOK_INSTRUMENT_LOWER_TICKS) &&
    price <= load<i32>(symbol, BOOK_INSTRUMENT_UPPER_TICKS) &&
    (step == 1 || price % step == 0)
  );
}

/** C6; the instrument's bounds lie within those of quantities. */
function isPlainQuantity(symbol: usize, lots: i32): bool {
  const step = load<i32>(symbol, BOOK_INSTRUMENT_LOT_STEP);
  return (
    lots >= load<i32>(symbol, BOOK_INSTRUMENT_MIN_LOTS) &&
    lots <= load<i32>(symbol, BOOK_INSTRUMENT_MAX_LOTS) &&
    (step == 1 || lots % step == 0)
  );
}

function isAskedByOwner(command: usize, order: usize): bool {
  const owner = load<u32>(command, ORDER_COMMAND_OWNER);
  return owner == 0 || owner == load<u32>(order, OWNER);
}

/** Whether a taker of `side` would meet anything, in the displayed or the all-or-none book. */
function meets(symbol: usize, side: u32, price: i32): bool {
  const opposite = symbol + (<usize>(side ^ 1) << 2);
  const key = keyOf(price, side ^ 1);
  return min(load<u32>(opposite, DISPLAYED + BEST_KEY), load<u32>(opposite, ALL_OR_NONE + BEST_KEY)) <= key;
}

/** What every command ends with. */
function finish(symbol: usize): void {
  if (!isSettled(symbol)) settle(symbol);
  if (isWanted(EVENT_KIND_TOP)) emitTop(symbol);
}

function quickMove(symbol: usize, command: usize, order: usize): bool {
  if (order == 0) return false;
  const attributes = load<u32>(order, ATTRIBUTES);
  const price = load<i32>(command, ORDER_COMMAND_PRICE_TICKS);
  const page = pageOfLevel(<usize>load<u32>(order, LEVEL));
  const isPlain =
    <usize>load<u32>(page, PAGE_BOOK) == symbol + DISPLAYED &&
    (attributes & (ATTR_COLD | ORDER_BITS_POST_ONLY)) == 0 &&
    isAskedByOwner(command, order) &&
    isPlainPrice(symbol, price);
  if (!isPlain) return false;
  if (isWanted(EVENT_KIND_TOP)) saveTop(symbol);
  if (isWanted(EVENT_KIND_REPLACED)) emitMoved(symbol, order, price);
  const side = attributes & 1;
  unlink(order);
  if (meets(symbol, side, price)) enterPlain(symbol, order, price);
  else link(order, symbol + DISPLAYED, side, keyOf(price, side));
  finish(symbol);
  return true;
}

function emitMoved(symbol: usize, order: usize, price: i32): void {
  const event = emitOrder(EVENT_KIND_REPLACED, 0, symbol, order);
  store<i32>(event, price, ORDER_EVENT_PRICE_TICKS);
  store<i32>(event, load<i32>(order, SHOWN), ORDER_EVENT_QUANTITY_LOTS);
  store<i32>(event, 1, ORDER_EVENT_OTHER_OWNER);
}

/** A plain order takes what it can. */
function enterPlain(symbol: usize, order: usize, price: i32): void {
  setAside(order, price);
  enter(symbol, order);
}

/** Off the books, with its limit beside it. */
function setAside(order: usize, price: i32): void {
  const cold = coldOf(order);
  store<i32>(cold, 0, HIDDEN);
  store<i32>(cold, price, LIMIT);
  store<i32>(cold, 0, TRIGGER);
  store<u32>(order, 0, LEVEL);
}

function quickCancel(symbol: usize, command: usize, order: usize): bool {
  if (order == 0) return false;
  const book = <usize>load<u32>(pageOfLevel(<usize>load<u32>(order, LEVEL)), PAGE_BOOK);
  const isPlain =
    <usize>load<u32>(book, BOOK_SYMBOL) == symbol && (load<u32>(order, ATTRIBUTES) & ATTR_COLD) == 0 && isAskedByOwner(command, order);
  if (!isPlain) return false;
  if (isWanted(EVENT_KIND_TOP)) saveTop(symbol);
  if (isWanted(EVENT_KIND_CANCELLED)) emitGone(EVENT_KIND_CANCELLED, ORDER_REASON_REQUESTED, symbol, order);
  unlink(order);
  release(order);
  finish(symbol);
  return true;
}

function quickNew(symbol: usize, command: usize, live: usize): bool {
  const attributes = load<u32>(command, ORDER_COMMAND_ATTRIBUTES);
  const price = load<i32>(command, ORDER_COMMAND_PRICE_TICKS);
  const lots = load<i32>(command, ORDER_COMMAND_QUANTITY_LOTS);
  const owner = load<u32>(command, ORDER_COMMAND_OWNER);
  const timeInForce = <i32>((attributes >> ORDER_BITS_TIME_IN_FORCE_SHIFT) & TIME_IN_FORCE_MASK);
  const isBrief = timeInForce == TIME_IN_FORCE_IOC;
  const isPlain =
    live == 0 &&
    load<u64>(command, ORDER_COMMAND_ORDER_ID) != 0 &&
    (attributes & ~PLAIN_BITS) == 0 &&
    (timeInForce <= TIME_IN_FORCE_DAY || isBrief) &&
    load<i32>(command, ORDER_COMMAND_DISPLAY_LOTS) == 0 &&
    isPlainQuantity(symbol, lots) &&
    isPlainPrice(symbol, price) &&
    (owner == 0 || checkOwner(symbol, owner, lots, price, true) == 0) &&
    (isBrief || checkOrderPool() == 0);
  if (!isPlain) return false;
  if (isWanted(EVENT_KIND_TOP)) saveTop(symbol);
  const order = isBrief ? region + AT_HAND : takeOrder();
  store<u64>(order, load<u64>(command, ORDER_COMMAND_ORDER_ID), ORDER_ID);
  store<i32>(order, lots, SHOWN);
  store<u32>(order, owner, OWNER);
  store<u32>(order, attributes, ATTRIBUTES);
  if (isWanted(EVENT_KIND_ACCEPTED)) emitAccepted(symbol, order, price);
  if (!isBrief) makeLive(order);
  const side = attributes & 1;
  if (isBrief || meets(symbol, side, price)) enterPlain(symbol, order, price);
  else link(order, symbol + DISPLAYED, side, keyOf(price, side));
  finish(symbol);
  return true;
}

function emitAccepted(symbol: usize, order: usize, price: i32): void {
  setAside(order, price);
  const event = emitOrder(EVENT_KIND_ACCEPTED, 0, symbol, order);
  store<i32>(event, load<i32>(order, SHOWN), ORDER_EVENT_QUANTITY_LOTS);
}
