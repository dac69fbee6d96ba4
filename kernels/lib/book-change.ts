// Commands to one order that is live: cancel, reduce, replace and move (A1 to A5).
import {
  EVENT_KIND_CANCELLED, EVENT_KIND_REPLACED, ORDER_BITS_POST_ONLY, ORDER_COMMAND_ORDER_ID, ORDER_COMMAND_OWNER, ORDER_COMMAND_PRICE_TICKS,
  ORDER_COMMAND_QUANTITY_LOTS, ORDER_COMMAND_STOP_TICKS, ORDER_EVENT_LEAVES_LOTS, ORDER_EVENT_OTHER_LEAVES_LOTS, ORDER_EVENT_OTHER_OWNER,
  ORDER_EVENT_PRICE_TICKS, ORDER_EVENT_QUANTITY_LOTS, ORDER_LIMIT_PRICE_NONE, ORDER_REASON_NOT_OWNER, ORDER_REASON_PRICE_POOL_FULL,
  ORDER_REASON_REQUESTED, ORDER_REASON_UNKNOWN_ORDER, ORDER_REASON_UNSUPPORTED_COMBINATION,
  ORDER_REASON_WOULD_TAKE, ORDER_TYPE_STOP, ORDER_TYPE_STOP_LIMIT,
} from "../../schemas/order-layout.gen";
import { checkOpen, checkOwner, checkPrice, checkQuantity, checkReduction, checkSlices, checkTrigger, hasLimit } from "./book-check";
import { enter } from "./book-enter";
import { displayOf, emitOrder, emitRejected, leavesOf, limitOf, triggerOf } from "./book-events";
import { findOrder } from "./book-ids";
import { hasRoomFor } from "./book-new";
import { pickUp, setLeaves, shrink, sideOf, slicesOf, takeOff, typeOf } from "./book-orders";
import {
  ATTRIBUTES, BOOK_KIND, BOOK_SYMBOL, KIND_DISPLAYED, LEVEL, OWNER, PAGE_BOOK, pageOfLevel,
} from "./book-region";
import { crosses } from "./book-take";

/** The book that an order stands in. */
export function bookOf(order: usize): usize {
  return <usize>load<u32>(pageOfLevel(<usize>load<u32>(order, LEVEL)), PAGE_BOOK);
}

/** A1's checks: 0, or the reason. */
function checkOrder(symbol: usize, command: usize, order: usize): i32 {
  if (order == 0 || <usize>load<u32>(bookOf(order), BOOK_SYMBOL) != symbol) return ORDER_REASON_UNKNOWN_ORDER;
  const owner = load<u32>(command, ORDER_COMMAND_OWNER);
  return owner != 0 && owner != load<u32>(order, OWNER) ? ORDER_REASON_NOT_OWNER : 0;
}

export function cancelOrder(symbol: usize, command: usize): void {
  const order = findOrder(load<u64>(command, ORDER_COMMAND_ORDER_ID));
  const reason = checkOrder(symbol, command, order);
  if (reason != 0) emitRejected(command, reason);
  else takeOff(symbol, order, EVENT_KIND_CANCELLED, ORDER_REASON_REQUESTED);
}

export function reduceOrder(symbol: usize, command: usize): void {
  const order = findOrder(load<u64>(command, ORDER_COMMAND_ORDER_ID));
  const lots = load<i32>(command, ORDER_COMMAND_QUANTITY_LOTS);
  let reason = checkOrder(symbol, command, order);
  if (reason == 0) reason = checkReduction(symbol, lots);
  if (reason != 0) emitRejected(command, reason);
  else if (lots >= leavesOf(order)) takeOff(symbol, order, EVENT_KIND_CANCELLED, ORDER_REASON_REQUESTED);
  else shrinkInPlace(symbol, order, leavesOf(order) - lots);
}

function shrinkInPlace(symbol: usize, order: usize, leaves: i32): void {
  const before = leavesOf(order);
  shrink(order, before - leaves);
  const event = emitOrder(EVENT_KIND_REPLACED, 0, symbol, order);
  store<i32>(event, before, ORDER_EVENT_QUANTITY_LOTS);
}

function checkReplace(symbol: usize, command: usize, order: usize): i32 {
  let reason = checkOrder(symbol, command, order);
  if (reason != 0) return reason;
  const type = typeOf(load<u32>(order, ATTRIBUTES));
  const lots = load<i32>(command, ORDER_COMMAND_QUANTITY_LOTS);
  const price = load<i32>(command, ORDER_COMMAND_PRICE_TICKS);
  const display = displayOf(order);
  reason = checkQuantity(symbol, lots);
  if (reason == 0 && hasLimit(type)) reason = checkPrice(symbol, price);
  if (reason == 0 && (type == ORDER_TYPE_STOP || type == ORDER_TYPE_STOP_LIMIT)) {
    reason = checkTrigger(symbol, load<i32>(command, ORDER_COMMAND_STOP_TICKS));
  }
  if (reason == 0 && display != 0) reason = checkSlices(slicesOf(leavesOf(order), display), slicesOf(lots, display));
  return reason != 0 ? reason : checkOwner(symbol, load<u32>(order, OWNER), lots, hasLimit(type) ? price : ORDER_LIMIT_PRICE_NONE, false);
}

/** What an order that gives up its place must pass, while it still stands. */
function checkReentry(symbol: usize, order: usize, limit: i32, trigger: i32): i32 {
  const attributes = load<u32>(order, ATTRIBUTES);
  const reason = checkOpen(symbol);
  if (reason != 0) return reason;
  if (!hasRoomFor(symbol, attributes, limit, trigger)) return ORDER_REASON_PRICE_POOL_FULL;
  return attributes & ORDER_BITS_POST_ONLY && crosses(symbol, sideOf(attributes), limit) ? ORDER_REASON_WOULD_TAKE : 0;
}

/** Off the book and in again with other values: the last in its level. */
function reenter(symbol: usize, order: usize, limit: i32, trigger: i32, leaves: i32): void {
  const event = emitOrder(EVENT_KIND_REPLACED, 0, symbol, order);
  store<i32>(event, limit, ORDER_EVENT_PRICE_TICKS);
  store<i32>(event, trigger, ORDER_EVENT_OTHER_LEAVES_LOTS);
  store<i32>(event, leaves, ORDER_EVENT_LEAVES_LOTS);
  store<i32>(event, leavesOf(order), ORDER_EVENT_QUANTITY_LOTS);
  store<i32>(event, 1, ORDER_EVENT_OTHER_OWNER);
  pickUp(order, limit, trigger);
  setLeaves(order, leaves);
  enter(symbol, order);
}

export function replaceOrder(symbol: usize, command: usize): void {
  const order = findOrder(load<u64>(command, ORDER_COMMAND_ORDER_ID));
  let reason = checkReplace(symbol, command, order);
  if (reason != 0) {
    emitRejected(command, reason);
    return;
  }
  const type = typeOf(load<u32>(order, ATTRIBUTES));
  const leaves = load<i32>(command, ORDER_COMMAND_QUANTITY_LOTS);
  const limit = hasLimit(type) ? load<i32>(command, ORDER_COMMAND_PRICE_TICKS) : 0;
  const isMovable = type == ORDER_TYPE_STOP || type == ORDER_TYPE_STOP_LIMIT;
  const trigger = isMovable ? load<i32>(command, ORDER_COMMAND_STOP_TICKS) : triggerOf(order);
  if (limit == limitOf(order) && trigger == triggerOf(order) && leaves <= leavesOf(order)) {
    shrinkInPlace(symbol, order, leaves);
    return;
  }
  reason = checkReentry(symbol, order, limit, trigger);
  if (reason != 0) emitRejected(command, reason);
  else reenter(symbol, order, limit, trigger, leaves);
}

export function moveOrder(symbol: usize, command: usize): void {
  const order = findOrder(load<u64>(command, ORDER_COMMAND_ORDER_ID));
  const price = load<i32>(command, ORDER_COMMAND_PRICE_TICKS);
  let reason = checkOrder(symbol, command, order);
  if (reason == 0 && load<i32>(bookOf(order), BOOK_KIND) != KIND_DISPLAYED) reason = ORDER_REASON_UNSUPPORTED_COMBINATION;
  if (reason == 0) reason = checkPrice(symbol, price);
  if (reason == 0) reason = checkReentry(symbol, order, price, 0);
  if (reason != 0) emitRejected(command, reason);
  else reenter(symbol, order, price, 0, leavesOf(order));
}
