// Taking: rules T1 to T3. The taker is off the books; what is left of it is in the caller's hands.
import {
  BOOK_INSTRUMENT_LAST_TICKS, EVENT_KIND_CANCELLED, ORDER_BITS_SELF_MATCH_SHIFT, ORDER_EVENT_LEAVES_LOTS, ORDER_EVENT_OTHER_LEAVES_LOTS,
  ORDER_EVENT_PRICE_TICKS, ORDER_EVENT_QUANTITY_LOTS, ORDER_REASON_SELF_MATCH, SELF_MATCH_ALLOW, SELF_MATCH_CANCEL_BOTH,
  SELF_MATCH_CANCEL_NEWEST, SELF_MATCH_CANCEL_OLDEST,
} from "../../schemas/order-layout.gen";
import { emitTrade, hiddenOf } from "./book-events";
import { bestLevel, keyOfLevel, worseLevel } from "./book-levels";
import { fill, sideOf, takeOff } from "./book-orders";
import {
  ALL_OR_NONE, AT_SLICES, ATTRIBUTES, BEST_KEY, BEST_LEVEL, DISPLAYED, keyOf, LEVEL_LOTS, NEXT, NO_KEY, OWNER, priceOfKey, REGION, SHOWN,
  SYMBOL_HIGH, SYMBOL_LOW, SYMBOL_TRADED,
} from "./book-region";

const SELF_MATCH_MASK: u32 = 3;
/** No order has this owner. */
const NOBODY: u32 = 0xffffffff;

/** Set by `take`: the taker met an order of its own and goes. */
export let isTakerStopped: bool = false;

/** Owner whose makers the taker may not trade with. */
let selfOwner: u32 = NOBODY;
let selfCode: i32 = 0;

function setSelf(taker: usize): void {
  const owner = load<u32>(taker, OWNER);
  selfCode = <i32>((load<u32>(taker, ATTRIBUTES) >> ORDER_BITS_SELF_MATCH_SHIFT) & SELF_MATCH_MASK);
  selfOwner = owner == 0 || selfCode == SELF_MATCH_ALLOW ? NOBODY : owner;
  isTakerStopped = false;
}

/** Trades happened at a price: it is the last one, and stops will look at it. */
export function noteTrade(symbol: usize, price: i32): void {
  store<i32>(symbol, price, BOOK_INSTRUMENT_LAST_TICKS);
  const isFirst = load<i32>(symbol, SYMBOL_TRADED) == 0;
  store<i32>(symbol, 1, SYMBOL_TRADED);
  store<i32>(symbol, isFirst ? price : min(price, load<i32>(symbol, SYMBOL_LOW)), SYMBOL_LOW);
  store<i32>(symbol, isFirst ? price : max(price, load<i32>(symbol, SYMBOL_HIGH)), SYMBOL_HIGH);
}

/** The best price of the displayed orders that a taker of `side` would meet is at its limit or better. */
export function crosses(symbol: usize, side: u32, limit: i32): bool {
  const makerSide = side ^ 1;
  return load<u32>(symbol + DISPLAYED + (<usize>makerSide << 2), BEST_KEY) <= keyOf(limit, makerSide);
}

/** Takes at `limit` or better; returns what is left of `leaves`. */
export function take(symbol: usize, taker: usize, limit: i32, leaves: i32): i32 {
  const side = sideOf(load<u32>(taker, ATTRIBUTES)) ^ 1;
  const limitKey = keyOf(limit, side);
  const best = symbol + DISPLAYED + (<usize>side << 2);
  let whole = bestLevel(symbol + ALL_OR_NONE, side);
  setSelf(taker);
  while (leaves > 0 && !isTakerStopped) {
    const shownKey = load<u32>(best, BEST_KEY);
    const wholeKey = whole == 0 ? NO_KEY : keyOfLevel(whole);
    const key = min(shownKey, wholeKey);
    if (key > limitKey) break;
    const price = priceOfKey(key, side);
    const before = leaves;
    if (shownKey == key) leaves = takeLevel(symbol, taker, <usize>load<u32>(best, BEST_LEVEL), price, leaves);
    if (wholeKey == key) {
      const worse = worseLevel(whole);
      leaves = takeWholes(symbol, taker, whole, price, leaves);
      whole = worse;
    }
    if (leaves != before) noteTrade(symbol, price);
  }
  return leaves;
}

function takeLevel(symbol: usize, taker: usize, level: usize, price: i32, leaves: i32): i32 {
  while (leaves > 0) {
    const maker = <usize>load<u32>(level, NEXT);
    if (maker == level) break;
    if (load<u32>(maker, OWNER) == selfOwner) {
      meetSelf(symbol, maker);
      if (isTakerStopped) break;
      continue;
    }
    const lots = min(leaves, load<i32>(maker, SHOWN));
    leaves -= lots;
    trade(symbol, taker, maker, price, lots, leaves);
  }
  return leaves;
}

/** The all-or-none orders of a level, each only if the whole of it fits. */
function takeWholes(symbol: usize, taker: usize, level: usize, price: i32, leaves: i32): i32 {
  let maker = <usize>load<u32>(level, NEXT);
  while (maker != level && leaves > 0 && !isTakerStopped) {
    const next = <usize>load<u32>(maker, NEXT);
    const lots = load<i32>(maker, SHOWN);
    if (lots <= leaves) {
      if (load<u32>(maker, OWNER) == selfOwner) {
        meetSelf(symbol, maker);
      } else {
        leaves -= lots;
        trade(symbol, taker, maker, price, lots, leaves);
      }
    }
    maker = next;
  }
  return leaves;
}

/** One trade of a maker that stands; `leaves` are the taker's after it. In an auction the taker is the buyer, and stands too. */
export function trade(symbol: usize, taker: usize, maker: usize, price: i32, lots: i32, leaves: i32): void {
  const event = emitTrade(symbol, taker, maker);
  store<i32>(event, price, ORDER_EVENT_PRICE_TICKS);
  store<i32>(event, lots, ORDER_EVENT_QUANTITY_LOTS);
  store<i32>(event, leaves, ORDER_EVENT_LEAVES_LOTS);
  store<i32>(event, load<i32>(maker, SHOWN) + hiddenOf(maker) - lots, ORDER_EVENT_OTHER_LEAVES_LOTS);
  fill(symbol, maker, lots);
}

function meetSelf(symbol: usize, maker: usize): void {
  if (selfCode != SELF_MATCH_CANCEL_NEWEST) takeOff(symbol, maker, EVENT_KIND_CANCELLED, ORDER_REASON_SELF_MATCH);
  isTakerStopped = selfCode == SELF_MATCH_CANCEL_NEWEST || selfCode == SELF_MATCH_CANCEL_BOTH;
}

/** Whether `take` would give the whole of `leaves`; nothing changes. */
export function wouldFill(symbol: usize, taker: usize, limit: i32, leaves: i32): bool {
  const side = sideOf(load<u32>(taker, ATTRIBUTES)) ^ 1;
  const limitKey = keyOf(limit, side);
  let shown = bestLevel(symbol + DISPLAYED, side);
  let whole = bestLevel(symbol + ALL_OR_NONE, side);
  let left: i64 = leaves;
  setSelf(taker);
  const isPlain = selfOwner == NOBODY && load<i32>(REGION, AT_SLICES) == 0;
  while (left > 0) {
    const shownKey = shown == 0 ? NO_KEY : keyOfLevel(shown);
    const wholeKey = whole == 0 ? NO_KEY : keyOfLevel(whole);
    const key = min(shownKey, wholeKey);
    if (key > limitKey) return false;
    if (shownKey == key) {
      left = isPlain ? left - load<i64>(shown, LEVEL_LOTS) : leftAfterLevel(shown, left);
      if (left < 0) left = 0;
      shown = worseLevel(shown);
    }
    if (left > 0 && !isTakerStopped && wholeKey == key) {
      left = leftAfterWholes(whole, left);
      whole = worseLevel(whole);
    }
    if (isTakerStopped) return left <= 0;
  }
  return true;
}

/** What a level would leave, shown parts before hidden ones. */
function leftAfterLevel(level: usize, left: i64): i64 {
  let hidden: i64 = 0;
  for (let maker = <usize>load<u32>(level, NEXT); maker != level && left > 0; maker = <usize>load<u32>(maker, NEXT)) {
    if (load<u32>(maker, OWNER) == selfOwner) {
      if (selfCode == SELF_MATCH_CANCEL_OLDEST) continue;
      isTakerStopped = true;
      return left;
    }
    left -= <i64>load<i32>(maker, SHOWN);
    hidden += <i64>hiddenOf(maker);
  }
  return left - hidden;
}

function leftAfterWholes(level: usize, left: i64): i64 {
  for (let maker = <usize>load<u32>(level, NEXT); maker != level && left > 0; maker = <usize>load<u32>(maker, NEXT)) {
    const lots = <i64>load<i32>(maker, SHOWN);
    if (lots > left) continue;
    if (load<u32>(maker, OWNER) == selfOwner) {
      if (selfCode == SELF_MATCH_CANCEL_OLDEST) continue;
      isTakerStopped = true;
      return left;
    }
    left -= lots;
  }
  return left;
}
