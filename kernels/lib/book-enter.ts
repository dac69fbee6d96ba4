// An order that has passed its checks enters: it takes, and what is left stands, waits, or is cancelled (rules O1 to O10). It is off the books, its
// leaves are in SHOWN, its limit and trigger beside it.
import {
  BOOK_INSTRUMENT_LAST_TICKS, BOOK_INSTRUMENT_LOWER_TICKS, BOOK_INSTRUMENT_PHASE, BOOK_INSTRUMENT_UPPER_TICKS, EVENT_KIND_TRIGGERED,
  ORDER_BITS_ALL_OR_NONE, ORDER_BITS_POST_ONLY, ORDER_LIMIT_PRICE_NONE, ORDER_REASON_NO_LIQUIDITY, ORDER_REASON_PRICE_POOL_FULL,
  ORDER_REASON_REMAINDER,
  ORDER_REASON_SELF_MATCH, ORDER_REASON_UNFILLED, ORDER_TYPE_LIMIT, ORDER_TYPE_MARKET, ORDER_TYPE_STOP, ORDER_TYPE_STOP_LIMIT,
  PHASE_CONTINUOUS, TIME_IN_FORCE_FOK, TIME_IN_FORCE_IOC,
} from "../../schemas/order-layout.gen";
import { emitOrder } from "./book-events";
import { hasRoom } from "./book-levels";
import { drop, release, setLeaves, setType, sideOf, sliceOf, stand, standStop, timeInForceOf, typeOf } from "./book-orders";
import {
  AT_QUEUE_FIRST, AT_QUEUE_LAST, ATTRIBUTES, coldOf, DISPLAYED, keyOf, LIMIT, QUEUE_NEXT, REGION, SHOWN, TRIGGER,
} from "./book-region";
import { isTakerStopped, take, wouldFill } from "./book-take";

export function isStopType(type: i32): bool {
  return type >= ORDER_TYPE_STOP;
}

/** Any order enters: the one door for new, replaced and moved orders. */
export function enter(symbol: usize, order: usize): void {
  const type = typeOf(load<u32>(order, ATTRIBUTES));
  if (isStopType(type)) enterStop(symbol, order);
  else if (type == ORDER_TYPE_MARKET) enterMarket(symbol, order);
  else enterLimit(symbol, order);
}

function isContinuous(symbol: usize): bool {
  return load<i32>(symbol, BOOK_INSTRUMENT_PHASE) == PHASE_CONTINUOUS;
}

function enterLimit(symbol: usize, order: usize): void {
  const limit = load<i32>(coldOf(order), LIMIT);
  const attributes = load<u32>(order, ATTRIBUTES);
  const timeInForce = timeInForceOf(attributes);
  const whole = load<i32>(order, SHOWN);
  const isOnlyStanding = !isContinuous(symbol) || (attributes & ORDER_BITS_POST_ONLY) != 0;
  if (isOnlyStanding || ((attributes & ORDER_BITS_ALL_OR_NONE) != 0 && !wouldFill(symbol, order, limit, whole))) {
    stand(symbol, order, limit, sliceOf(order));
    return;
  }
  if (timeInForce == TIME_IN_FORCE_FOK && !wouldFill(symbol, order, limit, whole)) {
    drop(symbol, order, ORDER_REASON_UNFILLED);
    return;
  }
  setLeaves(order, take(symbol, order, limit, whole));
  if (isTakerStopped) drop(symbol, order, ORDER_REASON_SELF_MATCH);
  else if (load<i32>(order, SHOWN) == 0) release(order);
  else if (timeInForce == TIME_IN_FORCE_IOC) drop(symbol, order, ORDER_REASON_REMAINDER);
  else stand(symbol, order, limit, sliceOf(order));
}

function enterMarket(symbol: usize, order: usize): void {
  const isSell = sideOf(load<u32>(order, ATTRIBUTES)) != 0;
  const limit = load<i32>(symbol + (isSell ? BOOK_INSTRUMENT_LOWER_TICKS : BOOK_INSTRUMENT_UPPER_TICKS));
  const whole = load<i32>(order, SHOWN);
  if (timeInForceOf(load<u32>(order, ATTRIBUTES)) == TIME_IN_FORCE_FOK && !wouldFill(symbol, order, limit, whole)) {
    drop(symbol, order, ORDER_REASON_UNFILLED);
    return;
  }
  const left = take(symbol, order, limit, whole);
  setLeaves(order, left);
  if (isTakerStopped) drop(symbol, order, ORDER_REASON_SELF_MATCH);
  else if (left == 0) release(order);
  else drop(symbol, order, left == whole ? ORDER_REASON_NO_LIQUIDITY : ORDER_REASON_REMAINDER);
}

/** A stop that the last price has reached queues, any other waits in the stop book. */
function enterStop(symbol: usize, order: usize): void {
  const trigger = load<i32>(coldOf(order), TRIGGER);
  const last = load<i32>(symbol, BOOK_INSTRUMENT_LAST_TICKS);
  const isSell = sideOf(load<u32>(order, ATTRIBUTES)) != 0;
  const isReached = last != ORDER_LIMIT_PRICE_NONE && (isSell ? last <= trigger : last >= trigger);
  if (isReached && isContinuous(symbol)) enqueue(order);
  else standStop(symbol, order, trigger);
}

/** A triggered order, off the books, waits for its turn. */
export function enqueue(order: usize): void {
  store<u32>(coldOf(order), 0, QUEUE_NEXT);
  const last = <usize>load<u32>(REGION, AT_QUEUE_LAST);
  if (last == 0) store<u32>(REGION, <u32>order, AT_QUEUE_FIRST);
  else store<u32>(coldOf(last), <u32>order, QUEUE_NEXT);
  store<u32>(REGION, <u32>order, AT_QUEUE_LAST);
}

export function isQueued(): bool {
  return load<u32>(REGION, AT_QUEUE_FIRST) != 0;
}

/** The first of the queue acts (S2): there is one. */
export function actFirst(symbol: usize): void {
  const order = <usize>load<u32>(REGION, AT_QUEUE_FIRST);
  const cold = coldOf(order);
  const next = load<u32>(cold, QUEUE_NEXT);
  store<u32>(REGION, next, AT_QUEUE_FIRST);
  if (next == 0) store<u32>(REGION, 0, AT_QUEUE_LAST);
  emitOrder(EVENT_KIND_TRIGGERED, 0, symbol, order);
  store<i32>(cold, 0, TRIGGER);
  const attributes = load<u32>(order, ATTRIBUTES);
  if (typeOf(attributes) != ORDER_TYPE_STOP_LIMIT) {
    setType(order, ORDER_TYPE_MARKET);
    enterMarket(symbol, order);
    return;
  }
  setType(order, ORDER_TYPE_LIMIT);
  const side = sideOf(attributes);
  if (hasRoom(symbol + DISPLAYED, keyOf(load<i32>(cold, LIMIT), side), side)) enterLimit(symbol, order);
  else drop(symbol, order, ORDER_REASON_PRICE_POOL_FULL);
}
