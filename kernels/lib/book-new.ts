// New orders of every kind, and orders that a recovery puts back (A9).
import {
  BOOK_INSTRUMENT_LAST_TICKS, EVENT_KIND_ACCEPTED, ORDER_BITS_ALL_OR_NONE, ORDER_BITS_POST_ONLY, ORDER_COMMAND_ATTRIBUTES,
  ORDER_COMMAND_DISPLAY_LOTS, ORDER_COMMAND_EXPIRY_NS, ORDER_COMMAND_ORDER_ID, ORDER_COMMAND_OWNER, ORDER_COMMAND_PRICE_TICKS,
  ORDER_COMMAND_QUANTITY_LOTS, ORDER_COMMAND_SHOWN_LOTS, ORDER_COMMAND_STOP_TICKS, ORDER_COMMAND_SYMBOL_INDEX, ORDER_COMMAND_TRAIL_TICKS,
  ORDER_EVENT_OTHER_ID, ORDER_EVENT_OTHER_OWNER, ORDER_EVENT_QUANTITY_LOTS, ORDER_LIMIT_PRICE_MAX, ORDER_LIMIT_PRICE_NONE,
  ORDER_LIMIT_QUANTITY_MAX,
  ORDER_REASON_DISPLAY_INVALID, ORDER_REASON_DUPLICATE_ID, ORDER_REASON_EXPIRY_PASSED, ORDER_REASON_MALFORMED, ORDER_REASON_NO_LIQUIDITY,
  ORDER_REASON_OWNER_UNKNOWN, ORDER_REASON_PRICE_OUT_OF_RANGE, ORDER_REASON_PRICE_POOL_FULL, ORDER_REASON_QUANTITY_NOT_POSITIVE,
  ORDER_REASON_QUANTITY_TOO_LARGE, ORDER_REASON_STOP_INVALID, ORDER_REASON_UNKNOWN_SYMBOL, ORDER_REASON_UNSUPPORTED_COMBINATION,
  ORDER_REASON_WOULD_TAKE, ORDER_TYPE_LIMIT, ORDER_TYPE_MARKET_TO_LIMIT, ORDER_TYPE_STOP, ORDER_TYPE_STOP_LIMIT, ORDER_TYPE_TRAILING_STOP,
  TIME_IN_FORCE_GTD,
} from "../../schemas/order-layout.gen";
import {
  checkAttributes, checkCombination, checkDisplay, checkOrderPool, checkOwner, checkPhase, checkPrice, checkQuantity, checkSlices, checkTrail,
  checkTrigger, hasLimit, isInRange, isLasting, knownSymbol,
} from "./book-check";
import { enter, isStopType } from "./book-enter";
import { emitOrder, emitRejected } from "./book-events";
import { findOrder } from "./book-ids";
import { hasRoom } from "./book-levels";
import { makeLive, setType, sideOf, slicesOf, stand, standStop, takeOrder, timeInForceOf, typeOf } from "./book-orders";
import {
  ALL_OR_NONE, AT_HAND, AT_TIME_NS, ATTR_COLD, ATTRIBUTES, BEST_KEY, coldOf, DISPLAY, DISPLAYED, EXPIRY, HIDDEN, keyOf, LEVEL, LIMIT, NO_KEY,
  ORDER_ID, OWNER, ownerCount, priceOfKey, REGION, SHOWN, STOPS, TRAIL, TRIGGER,
} from "./book-region";
import { crosses } from "./book-take";

/** Where an order would stand: on the stop book by its trigger, else by its limit. */
export function hasRoomFor(symbol: usize, attributes: u32, limit: i32, trigger: i32): bool {
  const side = sideOf(attributes);
  if (isStopType(typeOf(attributes))) return hasRoom(symbol + STOPS, keyOf(trigger, side ^ 1), side ^ 1);
  return hasRoom(symbol + (attributes & ORDER_BITS_ALL_OR_NONE ? ALL_OR_NONE : DISPLAYED), keyOf(limit, side), side);
}

function limitOfCommand(symbol: usize, command: usize): i32 {
  const attributes = load<u32>(command, ORDER_COMMAND_ATTRIBUTES);
  const type = typeOf(attributes);
  if (hasLimit(type)) return load<i32>(command, ORDER_COMMAND_PRICE_TICKS);
  if (type != ORDER_TYPE_MARKET_TO_LIMIT) return 0;
  const opposite = sideOf(attributes) ^ 1;
  const key = load<u32>(symbol + DISPLAYED + (<usize>opposite << 2), BEST_KEY);
  return key == NO_KEY ? ORDER_LIMIT_PRICE_NONE : priceOfKey(key, opposite);
}

function triggerOfCommand(symbol: usize, command: usize): i32 {
  const attributes = load<u32>(command, ORDER_COMMAND_ATTRIBUTES);
  const type = typeOf(attributes);
  if (type == ORDER_TYPE_STOP || type == ORDER_TYPE_STOP_LIMIT) return load<i32>(command, ORDER_COMMAND_STOP_TICKS);
  if (type != ORDER_TYPE_TRAILING_STOP) return 0;
  const trail = load<i32>(command, ORDER_COMMAND_TRAIL_TICKS);
  const last = load<i32>(symbol, BOOK_INSTRUMENT_LAST_TICKS);
  return sideOf(attributes) == 0 ? last + trail : last - trail;
}

/** C2 and C3. */
function checkIdentity(command: usize): i32 {
  const id = load<u64>(command, ORDER_COMMAND_ORDER_ID);
  if (id == 0) return ORDER_REASON_MALFORMED;
  if (findOrder(id) != 0) return ORDER_REASON_DUPLICATE_ID;
  return checkAttributes(load<u32>(command, ORDER_COMMAND_ATTRIBUTES));
}

/** C6 to C9: the numbers of the order. */
function checkNumbers(symbol: usize, command: usize): i32 {
  const attributes = load<u32>(command, ORDER_COMMAND_ATTRIBUTES);
  const type = typeOf(attributes);
  const lots = load<i32>(command, ORDER_COMMAND_QUANTITY_LOTS);
  let reason = checkQuantity(symbol, lots);
  if (reason == 0 && hasLimit(type)) reason = checkPrice(symbol, load<i32>(command, ORDER_COMMAND_PRICE_TICKS));
  if (reason == 0 && (type == ORDER_TYPE_STOP || type == ORDER_TYPE_STOP_LIMIT)) {
    reason = checkTrigger(symbol, load<i32>(command, ORDER_COMMAND_STOP_TICKS));
  }
  if (reason == 0 && type == ORDER_TYPE_TRAILING_STOP) {
    reason = checkTrail(symbol, sideOf(attributes), load<i32>(command, ORDER_COMMAND_TRAIL_TICKS));
  }
  return reason != 0 ? reason : checkDisplay(symbol, lots, load<i32>(command, ORDER_COMMAND_DISPLAY_LOTS));
}

/** C12 to C14: the books. */
function checkPlace(symbol: usize, command: usize): i32 {
  const attributes = load<u32>(command, ORDER_COMMAND_ATTRIBUTES);
  const limit = limitOfCommand(symbol, command);
  if (limit == ORDER_LIMIT_PRICE_NONE) return ORDER_REASON_NO_LIQUIDITY;
  if (isLasting(attributes)) {
    const reason = checkOrderPool();
    if (reason != 0) return reason;
    if (!hasRoomFor(symbol, attributes, limit, triggerOfCommand(symbol, command))) return ORDER_REASON_PRICE_POOL_FULL;
  }
  return attributes & ORDER_BITS_POST_ONLY && crosses(symbol, sideOf(attributes), limit) ? ORDER_REASON_WOULD_TAKE : 0;
}

function checkNew(symbol: usize, command: usize): i32 {
  if (symbol == 0) return ORDER_REASON_UNKNOWN_SYMBOL;
  const attributes = load<u32>(command, ORDER_COMMAND_ATTRIBUTES);
  const expiry = load<i64>(command, ORDER_COMMAND_EXPIRY_NS);
  let reason = checkIdentity(command);
  if (reason == 0) reason = checkCombination(attributes, load<i32>(command, ORDER_COMMAND_DISPLAY_LOTS), expiry);
  if (reason == 0) reason = checkPhase(symbol, attributes);
  if (reason == 0) reason = checkNumbers(symbol, command);
  if (reason != 0) return reason;
  if (timeInForceOf(attributes) == TIME_IN_FORCE_GTD && expiry <= load<i64>(REGION, AT_TIME_NS)) return ORDER_REASON_EXPIRY_PASSED;
  const price = hasLimit(typeOf(attributes)) ? load<i32>(command, ORDER_COMMAND_PRICE_TICKS) : ORDER_LIMIT_PRICE_NONE;
  const lots = load<i32>(command, ORDER_COMMAND_QUANTITY_LOTS);
  reason = checkOwner(symbol, load<u32>(command, ORDER_COMMAND_OWNER), lots, price, true);
  return reason != 0 ? reason : checkPlace(symbol, command);
}

/** Writes the order of a command that has passed: off the books, in one piece. */
function writeOrder(order: usize, command: usize): void {
  const attributes = load<u32>(command, ORDER_COMMAND_ATTRIBUTES);
  const type = typeOf(attributes);
  const display = load<i32>(command, ORDER_COMMAND_DISPLAY_LOTS);
  const isGtd = timeInForceOf(attributes) == TIME_IN_FORCE_GTD;
  const isCold = display != 0 || isGtd || isStopType(type);
  store<u64>(order, load<u64>(command, ORDER_COMMAND_ORDER_ID), ORDER_ID);
  store<i32>(order, load<i32>(command, ORDER_COMMAND_QUANTITY_LOTS), SHOWN);
  store<u32>(order, 0, LEVEL);
  store<u32>(order, load<u32>(command, ORDER_COMMAND_OWNER), OWNER);
  store<u32>(order, attributes | (isCold ? ATTR_COLD : 0), ATTRIBUTES);
  const cold = coldOf(order);
  store<i32>(cold, 0, HIDDEN);
  store<i32>(cold, display, DISPLAY);
  store<i32>(cold, type == ORDER_TYPE_TRAILING_STOP ? load<i32>(command, ORDER_COMMAND_TRAIL_TICKS) : 0, TRAIL);
  store<i64>(cold, isGtd ? load<i64>(command, ORDER_COMMAND_EXPIRY_NS) : 0, EXPIRY);
}

/** A `new` command, whatever it asks for. */
export function newOrder(symbol: usize, command: usize): void {
  const reason = checkNew(symbol, command);
  if (reason != 0) {
    emitRejected(command, reason);
    return;
  }
  const attributes = load<u32>(command, ORDER_COMMAND_ATTRIBUTES);
  const order = isLasting(attributes) ? takeOrder() : REGION + AT_HAND;
  writeOrder(order, command);
  const cold = coldOf(order);
  store<i32>(cold, limitOfCommand(symbol, command), LIMIT);
  store<i32>(cold, triggerOfCommand(symbol, command), TRIGGER);
  const event = emitOrder(EVENT_KIND_ACCEPTED, 0, symbol, order);
  store<i32>(event, load<i32>(order, SHOWN), ORDER_EVENT_QUANTITY_LOTS);
  store<i64>(event, load<i64>(cold, EXPIRY), ORDER_EVENT_OTHER_ID);
  store<i32>(event, load<i32>(cold, TRAIL), ORDER_EVENT_OTHER_OWNER);
  if (typeOf(attributes) == ORDER_TYPE_MARKET_TO_LIMIT) setType(order, ORDER_TYPE_LIMIT);
  if (order != REGION + AT_HAND) makeLive(order);
  enter(symbol, order);
}

function checkRestore(symbol: usize, command: usize): i32 {
  if (symbol == 0) return ORDER_REASON_UNKNOWN_SYMBOL;
  const attributes = load<u32>(command, ORDER_COMMAND_ATTRIBUTES);
  const display = load<i32>(command, ORDER_COMMAND_DISPLAY_LOTS);
  let reason = checkIdentity(command);
  if (reason == 0) reason = checkCombination(attributes, display, load<i64>(command, ORDER_COMMAND_EXPIRY_NS));
  if (reason != 0) return reason;
  const type = typeOf(attributes);
  if (!isLasting(attributes) || type == ORDER_TYPE_MARKET_TO_LIMIT) return ORDER_REASON_UNSUPPORTED_COMBINATION;
  const lots = load<i32>(command, ORDER_COMMAND_QUANTITY_LOTS);
  if (lots < 1) return ORDER_REASON_QUANTITY_NOT_POSITIVE;
  if (lots > ORDER_LIMIT_QUANTITY_MAX) return ORDER_REASON_QUANTITY_TOO_LARGE;
  const limit = load<i32>(command, ORDER_COMMAND_PRICE_TICKS);
  const trigger = load<i32>(command, ORDER_COMMAND_STOP_TICKS);
  if (hasLimit(type) && !isInRange(limit)) return ORDER_REASON_PRICE_OUT_OF_RANGE;
  if (isStopType(type) && !isInRange(trigger)) return ORDER_REASON_STOP_INVALID;
  const trail = load<i32>(command, ORDER_COMMAND_TRAIL_TICKS);
  if (type == ORDER_TYPE_TRAILING_STOP && (trail < 1 || trail > ORDER_LIMIT_PRICE_MAX)) return ORDER_REASON_STOP_INVALID;
  const shown = load<i32>(command, ORDER_COMMAND_SHOWN_LOTS);
  if (display < 0 || (display > 0 && (shown < 1 || shown > min(display, lots)))) return ORDER_REASON_DISPLAY_INVALID;
  if (display > 0 && checkSlices(0, slicesOf(lots, display)) != 0) return ORDER_REASON_DISPLAY_INVALID;
  const owner = load<u32>(command, ORDER_COMMAND_OWNER);
  if (owner != 0 && owner >= ownerCount) return ORDER_REASON_OWNER_UNKNOWN;
  const full = checkOrderPool();
  if (full != 0) return full;
  return hasRoomFor(symbol, attributes, limit, trigger) ? 0 : ORDER_REASON_PRICE_POOL_FULL;
}

/** A9: the order goes to the end of its level, as it was. */
export function restoreOrder(command: usize): void {
  const symbol = knownSymbol(load<i32>(command, ORDER_COMMAND_SYMBOL_INDEX));
  const reason = checkRestore(symbol, command);
  if (reason != 0) {
    emitRejected(command, reason);
    return;
  }
  const order = takeOrder();
  writeOrder(order, command);
  const cold = coldOf(order);
  const type = typeOf(load<u32>(order, ATTRIBUTES));
  const limit = hasLimit(type) ? load<i32>(command, ORDER_COMMAND_PRICE_TICKS) : 0;
  store<i32>(cold, limit, LIMIT);
  store<i32>(cold, 0, TRIGGER);
  makeLive(order);
  const isIceberg = load<i32>(cold, DISPLAY) != 0;
  if (isStopType(type)) standStop(symbol, order, load<i32>(command, ORDER_COMMAND_STOP_TICKS));
  else stand(symbol, order, limit, isIceberg ? load<i32>(command, ORDER_COMMAND_SHOWN_LOTS) : load<i32>(order, SHOWN));
}
