// The checks of orders, C3 to C12 of docs/reference/matching.md: each returns 0 or the reason.
import {
  BOOK_INSTRUMENT_LAST_TICKS, BOOK_INSTRUMENT_LOT_STEP, BOOK_INSTRUMENT_LOWER_TICKS, BOOK_INSTRUMENT_MAX_LOTS, BOOK_INSTRUMENT_MIN_LOTS,
  BOOK_INSTRUMENT_PHASE, BOOK_INSTRUMENT_TICK_STEP, BOOK_INSTRUMENT_UPPER_TICKS, BOOK_OWNER_FLAGS, BOOK_OWNER_MAX_NOTIONAL,
  BOOK_OWNER_MAX_OPEN_ORDERS, BOOK_OWNER_MAX_ORDER_LOTS, BOOK_OWNER_OPEN_ORDERS, ORDER_BITS_ALL_OR_NONE, ORDER_BITS_POST_ONLY,
  ORDER_LIMIT_PRICE_MAX, ORDER_LIMIT_PRICE_NONE, ORDER_LIMIT_QUANTITY_MAX, ORDER_LIMIT_SLICES_MAX, ORDER_REASON_DISPLAY_INVALID,
  ORDER_REASON_HALTED, ORDER_REASON_MALFORMED, ORDER_REASON_NOT_IN_CALL, ORDER_REASON_OFF_LOT, ORDER_REASON_OFF_TICK,
  ORDER_REASON_ORDER_POOL_FULL, ORDER_REASON_OUTSIDE_BAND, ORDER_REASON_OWNER_BLOCKED, ORDER_REASON_OWNER_NOTIONAL_LIMIT,
  ORDER_REASON_OWNER_ORDER_LIMIT, ORDER_REASON_OWNER_QUANTITY_LIMIT, ORDER_REASON_OWNER_UNKNOWN, ORDER_REASON_PRICE_OUT_OF_RANGE,
  ORDER_REASON_QUANTITY_NOT_POSITIVE, ORDER_REASON_QUANTITY_TOO_LARGE, ORDER_REASON_QUANTITY_TOO_SMALL, ORDER_REASON_SESSION_CLOSED,
  ORDER_REASON_STOP_INVALID, ORDER_REASON_UNSUPPORTED_COMBINATION, ORDER_TYPE_LIMIT, ORDER_TYPE_MARKET, ORDER_TYPE_MARKET_TO_LIMIT,
  ORDER_TYPE_STOP_LIMIT, ORDER_TYPE_TRAILING_STOP, OWNER_FLAG_IS_BLOCKED, PHASE_CALL, PHASE_CLOSED, PHASE_HALTED, TIME_IN_FORCE_FOK,
  TIME_IN_FORCE_GTD, TIME_IN_FORCE_IOC,
} from "../../schemas/order-layout.gen";
import { isStopType } from "./book-enter";
import { slicesOf, timeInForceOf, typeOf } from "./book-orders";
import { AT_LIVE, AT_ORDERS, AT_SLICES, ATTR_PUBLIC, ownerAt, ownerCount, REGION, symbolAt, symbolCount } from "./book-region";

/** The symbol of an index, 0 when it is not set up. */
export function knownSymbol(index: i32): usize {
  if (<u32>index >= symbolCount) return 0;
  const symbol = symbolAt(<u32>index);
  return load<i32>(symbol, BOOK_INSTRUMENT_TICK_STEP) == 0 ? 0 : symbol;
}

export function isInRange(price: i32): bool {
  return price >= -ORDER_LIMIT_PRICE_MAX && price <= ORDER_LIMIT_PRICE_MAX;
}

function isMultiple(value: i32, step: i32): bool {
  return step == 1 || value % step == 0;
}

export function hasLimit(type: i32): bool {
  return type == ORDER_TYPE_LIMIT || type == ORDER_TYPE_STOP_LIMIT;
}

/** Neither IOC nor FOK, nor market: it stays if it does not trade. */
export function isLasting(attributes: u32): bool {
  return timeInForceOf(attributes) < TIME_IN_FORCE_IOC && typeOf(attributes) != ORDER_TYPE_MARKET;
}

/** C3: only bits and codes that exist. */
export function checkAttributes(attributes: u32): i32 {
  const isKnown =
    (attributes & ~ATTR_PUBLIC) == 0 && typeOf(attributes) <= ORDER_TYPE_TRAILING_STOP && timeInForceOf(attributes) <= TIME_IN_FORCE_FOK;
  return isKnown ? 0 : ORDER_REASON_MALFORMED;
}

/** C4. */
export function checkCombination(attributes: u32, displayLots: i32, expiryNs: i64): i32 {
  const type = typeOf(attributes);
  const isBrief = timeInForceOf(attributes) >= TIME_IN_FORCE_IOC;
  const isWhole = (attributes & ORDER_BITS_ALL_OR_NONE) != 0;
  const isPostOnly = (attributes & ORDER_BITS_POST_ONLY) != 0;
  const isPlainOnly = isWhole || isPostOnly;
  let isRefused = isPlainOnly && (type != ORDER_TYPE_LIMIT || isBrief);
  isRefused = isRefused || (isWhole && (isPostOnly || displayLots != 0));
  isRefused = isRefused || (displayLots != 0 && (isBrief || !hasLimit(type)));
  isRefused = isRefused || (isStopType(type) && isBrief);
  const isGtd = timeInForceOf(attributes) == TIME_IN_FORCE_GTD;
  isRefused = isRefused || (isGtd && (expiryNs == 0 || type == ORDER_TYPE_MARKET));
  return isRefused ? ORDER_REASON_UNSUPPORTED_COMBINATION : 0;
}

/** C5 for whatever enters. */
export function checkOpen(symbol: usize): i32 {
  const phase = load<i32>(symbol, BOOK_INSTRUMENT_PHASE);
  if (phase == PHASE_CLOSED) return ORDER_REASON_SESSION_CLOSED;
  return phase == PHASE_HALTED ? ORDER_REASON_HALTED : 0;
}

/** C5 for a new order. */
export function checkPhase(symbol: usize, attributes: u32): i32 {
  if (load<i32>(symbol, BOOK_INSTRUMENT_PHASE) != PHASE_CALL) return checkOpen(symbol);
  const type = typeOf(attributes);
  const isPatient =
    timeInForceOf(attributes) < TIME_IN_FORCE_IOC &&
    type != ORDER_TYPE_MARKET &&
    type != ORDER_TYPE_MARKET_TO_LIMIT &&
    (attributes & (ORDER_BITS_POST_ONLY | ORDER_BITS_ALL_OR_NONE)) == 0;
  return isPatient ? 0 : ORDER_REASON_NOT_IN_CALL;
}

/** C6. */
export function checkQuantity(symbol: usize, lots: i32): i32 {
  if (lots < 1) return ORDER_REASON_QUANTITY_NOT_POSITIVE;
  if (lots > ORDER_LIMIT_QUANTITY_MAX || lots > load<i32>(symbol, BOOK_INSTRUMENT_MAX_LOTS)) return ORDER_REASON_QUANTITY_TOO_LARGE;
  if (lots < load<i32>(symbol, BOOK_INSTRUMENT_MIN_LOTS)) return ORDER_REASON_QUANTITY_TOO_SMALL;
  return isMultiple(lots, load<i32>(symbol, BOOK_INSTRUMENT_LOT_STEP)) ? 0 : ORDER_REASON_OFF_LOT;
}

/** C6 of a reduction. */
export function checkReduction(symbol: usize, lots: i32): i32 {
  if (lots < 1) return ORDER_REASON_QUANTITY_NOT_POSITIVE;
  return isMultiple(lots, load<i32>(symbol, BOOK_INSTRUMENT_LOT_STEP)) ? 0 : ORDER_REASON_OFF_LOT;
}

/** C7. */
export function checkPrice(symbol: usize, price: i32): i32 {
  if (!isInRange(price)) return ORDER_REASON_PRICE_OUT_OF_RANGE;
  if (!isMultiple(price, load<i32>(symbol, BOOK_INSTRUMENT_TICK_STEP))) return ORDER_REASON_OFF_TICK;
  const isInside = price >= load<i32>(symbol, BOOK_INSTRUMENT_LOWER_TICKS) && price <= load<i32>(symbol, BOOK_INSTRUMENT_UPPER_TICKS);
  return isInside ? 0 : ORDER_REASON_OUTSIDE_BAND;
}

/** C8 of stop and stopLimit. */
export function checkTrigger(symbol: usize, trigger: i32): i32 {
  return isInRange(trigger) && isMultiple(trigger, load<i32>(symbol, BOOK_INSTRUMENT_TICK_STEP)) ? 0 : ORDER_REASON_STOP_INVALID;
}

/** C8 of a trailing stop. */
export function checkTrail(symbol: usize, side: u32, trailTicks: i32): i32 {
  const last = load<i32>(symbol, BOOK_INSTRUMENT_LAST_TICKS);
  if (trailTicks < 1 || trailTicks > ORDER_LIMIT_PRICE_MAX || last == ORDER_LIMIT_PRICE_NONE) return ORDER_REASON_STOP_INVALID;
  return isInRange(side == 0 ? last + trailTicks : last - trailTicks) ? 0 : ORDER_REASON_STOP_INVALID;
}

/** C9. */
export function checkDisplay(symbol: usize, lots: i32, displayLots: i32): i32 {
  if (displayLots == 0) return 0;
  const isWithin = displayLots >= 1 && displayLots <= lots && isMultiple(displayLots, load<i32>(symbol, BOOK_INSTRUMENT_LOT_STEP));
  return isWithin ? checkSlices(0, slicesOf(lots, displayLots)) : ORDER_REASON_DISPLAY_INVALID;
}

/** C9: the region's slices when an order's become others. */
export function checkSlices(before: i32, after: i32): i32 {
  return load<i32>(REGION, AT_SLICES) - before + after <= ORDER_LIMIT_SLICES_MAX ? 0 : ORDER_REASON_DISPLAY_INVALID;
}

/** C11; the count of live orders only for a new one. `price` is the order's own, or none. */
export function checkOwner(symbol: usize, owner: u32, lots: i32, price: i32, isNew: bool): i32 {
  if (owner == 0) return 0;
  if (owner >= ownerCount) return ORDER_REASON_OWNER_UNKNOWN;
  const record = ownerAt(owner);
  if (load<i32>(record, BOOK_OWNER_FLAGS) & OWNER_FLAG_IS_BLOCKED) return ORDER_REASON_OWNER_BLOCKED;
  const maxOpenOrders = load<i32>(record, BOOK_OWNER_MAX_OPEN_ORDERS);
  if (isNew && maxOpenOrders != 0 && load<i32>(record, BOOK_OWNER_OPEN_ORDERS) >= maxOpenOrders) return ORDER_REASON_OWNER_ORDER_LIMIT;
  const maxOrderLots = load<i32>(record, BOOK_OWNER_MAX_ORDER_LOTS);
  if (maxOrderLots != 0 && lots > maxOrderLots) return ORDER_REASON_OWNER_QUANTITY_LIMIT;
  const maxNotional = load<i64>(record, BOOK_OWNER_MAX_NOTIONAL);
  if (maxNotional == 0) return 0;
  const reference = price == ORDER_LIMIT_PRICE_NONE ? load<i32>(symbol, BOOK_INSTRUMENT_LAST_TICKS) : price;
  if (reference == ORDER_LIMIT_PRICE_NONE) return 0;
  return abs<i64>(<i64>reference) * <i64>lots > maxNotional ? ORDER_REASON_OWNER_NOTIONAL_LIMIT : 0;
}

/** C12, the order itself. */
export function checkOrderPool(): i32 {
  return load<i32>(REGION, AT_LIVE) < load<i32>(REGION, AT_ORDERS) ? 0 : ORDER_REASON_ORDER_POOL_FULL;
}
