// Orders: taking one from the pool and giving it back, and where it stands. An order off the books has LEVEL 0 and all its leaves in SHOWN.
import {
  BOOK_OWNER_OPEN_ORDERS, EVENT_KIND_CANCELLED, EVENT_KIND_REFRESHED, ORDER_BITS_ALL_OR_NONE, ORDER_BITS_TIME_IN_FORCE_SHIFT,
  ORDER_BITS_TYPE_SHIFT, ORDER_EVENT_QUANTITY_LOTS, ORDER_TYPE_TRAILING_STOP, TIME_IN_FORCE_GTD,
} from "../../schemas/order-layout.gen";
import { displayOf, emitGone, emitOrder, hiddenOf, leavesOf } from "./book-events";
import { addId, removeId } from "./book-ids";
import { link, unlink } from "./book-levels";
import {
  ALL_OR_NONE, AT_FREE_ORDER, AT_HAND, AT_LIVE, AT_ORDERS_TOP, AT_SLICES, ATTR_COLD, ATTRIBUTES, coldOf, DISPLAYED, EXPIRY, HIDDEN, ids, keyOf, LEVEL,
  LEVEL_LOTS, LIMIT, NEXT, ORDER_BYTES, ORDER_ID, orders, OWNER, ownerAt, PREVIOUS, REGION, SHOWN, STOPS, SYMBOL_EXPIRY, SYMBOL_TRAIL_HIGH, SYMBOL_TRAIL_LOW,
  TRAIL, TRIGGER,
} from "./book-region";

const TYPE_MASK: u32 = 7;
const TIME_IN_FORCE_MASK: u32 = 7;

export function sideOf(attributes: u32): u32 {
  return attributes & 1;
}

export function typeOf(attributes: u32): i32 {
  return <i32>((attributes >> ORDER_BITS_TYPE_SHIFT) & TYPE_MASK);
}

export function timeInForceOf(attributes: u32): i32 {
  return <i32>((attributes >> ORDER_BITS_TIME_IN_FORCE_SHIFT) & TIME_IN_FORCE_MASK);
}

/** The order is of another type from now on. */
export function setType(order: usize, type: i32): void {
  const others = load<u32>(order, ATTRIBUTES) & ~(TYPE_MASK << ORDER_BITS_TYPE_SHIFT);
  store<u32>(order, others | (<u32>type << ORDER_BITS_TYPE_SHIFT), ATTRIBUTES);
}

/** A free order: there is one. */
export function takeOrder(): usize {
  const free = <usize>load<u32>(REGION, AT_FREE_ORDER);
  if (free != 0) {
    store<u32>(REGION, load<u32>(free, NEXT), AT_FREE_ORDER);
    return free;
  }
  const top = <usize>load<u32>(REGION, AT_ORDERS_TOP);
  store<u32>(REGION, <u32>(top + ORDER_BYTES), AT_ORDERS_TOP);
  return top;
}

/** Forgets all orders of the region, none of which has an owner or a cold half; the books are empty. */
export function emptyOrders(): void {
  memory.fill(ids, 0, orders - ids);
  store<i32>(REGION, 0, AT_LIVE);
  store<u32>(REGION, 0, AT_FREE_ORDER);
  store<u32>(REGION, <u32>orders, AT_ORDERS_TOP);
}

/** Slices that an iceberg's leaves make. */
export function slicesOf(leaves: i32, display: i32): i32 {
  return display == 0 ? 0 : <i32>((<i64>leaves + <i64>display - 1) / <i64>display);
}

/** Counts the slices again of an order that had `before` leaves. */
export function countSlices(order: usize, before: i32): void {
  const display = displayOf(order);
  if (display == 0 || order == REGION + AT_HAND) return;
  const change = slicesOf(leavesOf(order), display) - slicesOf(before, display);
  store<i32>(REGION, load<i32>(REGION, AT_SLICES) + change, AT_SLICES);
}

/** Sets what is left of an order that is off the books. */
export function setLeaves(order: usize, leaves: i32): void {
  const before = load<i32>(order, SHOWN);
  store<i32>(order, leaves, SHOWN);
  if (load<u32>(order, ATTRIBUTES) & ATTR_COLD) countSlices(order, before);
}

/** The order has its id, owner, attributes and leaves: it is live from now on. */
export function makeLive(order: usize): void {
  addId(order);
  countOwner(load<u32>(order, OWNER), 1);
  if (load<u32>(order, ATTRIBUTES) & ATTR_COLD) countSlices(order, 0);
}

function countOwner(owner: u32, change: i32): void {
  if (owner == 0) return;
  const record = ownerAt(owner);
  store<i32>(record, load<i32>(record, BOOK_OWNER_OPEN_ORDERS) + change, BOOK_OWNER_OPEN_ORDERS);
}

/** An order that is off the books is live no longer. */
export function release(order: usize): void {
  if (order == REGION + AT_HAND) return;
  if (load<u32>(order, ATTRIBUTES) & ATTR_COLD) {
    const leaves = leavesOf(order);
    store<i32>(order, 0, SHOWN);
    store<i32>(coldOf(order), 0, HIDDEN);
    countSlices(order, leaves);
  }
  removeId(order);
  countOwner(load<u32>(order, OWNER), -1);
  store<u64>(order, 0, ORDER_ID);
  store<u32>(order, load<u32>(REGION, AT_FREE_ORDER), NEXT);
  store<u32>(REGION, <u32>order, AT_FREE_ORDER);
}

/** An order that is off the books is cancelled with what is left of it. */
export function drop(symbol: usize, order: usize, reason: i32): void {
  emitGone(EVENT_KIND_CANCELLED, reason, symbol, order);
  release(order);
}

/** An order that stands in a book goes: cancelled or expired. */
export function takeOff(symbol: usize, order: usize, kind: i32, reason: i32): void {
  emitGone(kind, reason, symbol, order);
  unlink(order);
  release(order);
}

/** Takes an order off its book to act anew: its limit and trigger are kept beside it, its leaves are in one piece. */
export function pickUp(order: usize, limit: i32, trigger: i32): void {
  unlink(order);
  const cold = coldOf(order);
  store<i32>(cold, limit, LIMIT);
  store<i32>(cold, trigger, TRIGGER);
  if (load<u32>(order, ATTRIBUTES) & ATTR_COLD) {
    store<i32>(order, leavesOf(order), SHOWN);
    store<i32>(cold, 0, HIDDEN);
  }
  store<u32>(order, 0, LEVEL);
}

function watchExpiry(symbol: usize, order: usize): void {
  if (timeInForceOf(load<u32>(order, ATTRIBUTES)) != TIME_IN_FORCE_GTD) return;
  store<i64>(symbol, min(load<i64>(symbol, SYMBOL_EXPIRY), load<i64>(coldOf(order), EXPIRY)), SYMBOL_EXPIRY);
}

/** Puts a limit order with its leaves at the end of its level, in the displayed or the all-or-none book. An iceberg shows `slice` of them. */
export function stand(symbol: usize, order: usize, limit: i32, slice: i32): void {
  const attributes = load<u32>(order, ATTRIBUTES);
  const side = sideOf(attributes);
  if (attributes & ATTR_COLD) {
    const leaves = load<i32>(order, SHOWN);
    store<i32>(order, slice, SHOWN);
    store<i32>(coldOf(order), leaves - slice, HIDDEN);
    watchExpiry(symbol, order);
  }
  link(order, symbol + (attributes & ORDER_BITS_ALL_OR_NONE ? ALL_OR_NONE : DISPLAYED), side, keyOf(limit, side));
}

/** What an order shows of its leaves when it comes to a level. */
export function sliceOf(order: usize): i32 {
  const display = displayOf(order);
  const leaves = load<i32>(order, SHOWN);
  return display == 0 ? leaves : min(display, leaves);
}

/** Puts a stop at the end of the level of its trigger. A buy is on the side whose best is the lowest. */
export function standStop(symbol: usize, order: usize, trigger: i32): void {
  const attributes = load<u32>(order, ATTRIBUTES);
  const side = sideOf(attributes) ^ 1;
  if (typeOf(attributes) == ORDER_TYPE_TRAILING_STOP) {
    const trail = load<i32>(coldOf(order), TRAIL);
    if (side == 1) store<i32>(symbol, max(load<i32>(symbol, SYMBOL_TRAIL_LOW), trigger - trail), SYMBOL_TRAIL_LOW);
    else store<i32>(symbol, min(load<i32>(symbol, SYMBOL_TRAIL_HIGH), trigger + trail), SYMBOL_TRAIL_HIGH);
  }
  watchExpiry(symbol, order);
  link(order, symbol + STOPS, side, keyOf(trigger, side));
}

/** Takes traded lots off an order that stands; the event is written. When its slice is used up the next one comes, or it is gone. */
export function fill(symbol: usize, order: usize, lots: i32): void {
  const shown = load<i32>(order, SHOWN) - lots;
  if (load<u32>(order, ATTRIBUTES) & ATTR_COLD) {
    fillCold(symbol, order, lots);
  } else if (shown == 0) {
    unlink(order);
    release(order);
  } else {
    takeLots(order, lots);
  }
}

function takeLots(order: usize, lots: i32): void {
  const level = <usize>load<u32>(order, LEVEL);
  store<i32>(order, load<i32>(order, SHOWN) - lots, SHOWN);
  store<i64>(level, load<i64>(level, LEVEL_LOTS) - <i64>lots, LEVEL_LOTS);
}

/** Takes lots off an order that stands and has more, hidden ones first. */
export function shrink(order: usize, lots: i32): void {
  const before = leavesOf(order);
  const fromHidden = min(hiddenOf(order), lots);
  if (fromHidden != 0) store<i32>(coldOf(order), hiddenOf(order) - fromHidden, HIDDEN);
  takeLots(order, lots - fromHidden);
  if (load<u32>(order, ATTRIBUTES) & ATTR_COLD) countSlices(order, before);
}

function fillCold(symbol: usize, order: usize, lots: i32): void {
  const before = leavesOf(order);
  takeLots(order, lots);
  countSlices(order, before);
  if (load<i32>(order, SHOWN) != 0) return;
  const hidden = hiddenOf(order);
  if (hidden == 0) {
    unlink(order);
    release(order);
    return;
  }
  const slice = min(displayOf(order), hidden);
  store<i32>(order, slice, SHOWN);
  store<i32>(coldOf(order), hidden - slice, HIDDEN);
  moveToEnd(order);
  const event = emitOrder(EVENT_KIND_REFRESHED, 0, symbol, order);
  store<i32>(event, slice, ORDER_EVENT_QUANTITY_LOTS);
}

/** From its place to the end of its level, which counts its shown lots anew. */
function moveToEnd(order: usize): void {
  const next = <usize>load<u32>(order, NEXT);
  const previous = <usize>load<u32>(order, PREVIOUS);
  store<u32>(previous, <u32>next, NEXT);
  store<u32>(next, <u32>previous, PREVIOUS);
  const level = <usize>load<u32>(order, LEVEL);
  const last = <usize>load<u32>(level, PREVIOUS);
  store<u32>(order, <u32>level, NEXT);
  store<u32>(order, <u32>last, PREVIOUS);
  store<u32>(last, <u32>order, NEXT);
  store<u32>(level, <u32>order, PREVIOUS);
  store<i64>(level, load<i64>(level, LEVEL_LOTS) + <i64>load<i32>(order, SHOWN), LEVEL_LOTS);
}
