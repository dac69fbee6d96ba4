// Writes events. What an event says of its order is in docs/reference/matching.md; an event that the mask leaves out is written to the next free
// place and overwritten, so that its fields need no case.
import {
  EVENT_KIND_REJECTED, EVENT_KIND_TOP, EVENT_KIND_TRADE, ORDER_COMMAND_ATTRIBUTES, ORDER_COMMAND_DISPLAY_LOTS, ORDER_COMMAND_KIND,
  ORDER_COMMAND_ORDER_ID, ORDER_COMMAND_OWNER, ORDER_COMMAND_PRICE_TICKS, ORDER_COMMAND_QUANTITY_LOTS, ORDER_COMMAND_STOP_TICKS,
  ORDER_COMMAND_SYMBOL_INDEX, ORDER_EVENT_ATTRIBUTES, ORDER_EVENT_DISPLAY_LOTS, ORDER_EVENT_KIND, ORDER_EVENT_LEAVES_LOTS,
  ORDER_EVENT_ORDER_ID, ORDER_EVENT_OTHER_ID, ORDER_EVENT_OTHER_LEAVES_LOTS, ORDER_EVENT_OTHER_OWNER, ORDER_EVENT_OWNER,
  ORDER_EVENT_PRICE_TICKS, ORDER_EVENT_QUANTITY_LOTS, ORDER_EVENT_SIZE, ORDER_EVENT_SYMBOL_INDEX, ORDER_EVENT_TS_NS, ORDER_LIMIT_PRICE_NONE,
} from "../../schemas/order-layout.gen";
import { priceOfLevel } from "./book-levels";
import {
  AT_EVENT_BASE, AT_EVENT_CAPACITY, AT_EVENT_COUNT, AT_EVENT_MASK, AT_TIME_NS, ATTR_COLD, ATTR_PUBLIC, ATTRIBUTES, BEST_KEY, BEST_LEVEL,
  BOOK_KIND, coldOf, DISPLAY, DISPLAYED, eventsOfCommand, HIDDEN, KIND_STOP, LEVEL, LEVEL_LOTS, LIMIT, NO_KEY, ORDER_ID, OWNER, PAGE_BOOK,
  pageOfLevel, priceOfKey, REGION, SHOWN, SPARE_CAPACITY, SYMBOL_INDEX, TOP_BEFORE, TRIGGER,
} from "./book-region";

const REASON_SHIFT: i32 = 8;

/** Where the first event of a run goes, and the next one. */
let firstEvent: usize = 0;
let nextEvent: usize = 0;
/** Events written from here on are too many for one command. */
let eventsEnd: usize = 0;
/** Up to here there is room for the largest command. */
let ampleEnd: usize = 0;
export let eventMask: u32 = 0;

/** To be called once the region is placed. */
export function placeEvents(): void {
  firstEvent = <usize>load<u32>(REGION, AT_EVENT_BASE);
  eventsEnd = firstEvent + <usize>load<u32>(REGION, AT_EVENT_CAPACITY) * ORDER_EVENT_SIZE;
  ampleEnd = firstEvent + <usize>SPARE_CAPACITY * ORDER_EVENT_SIZE;
}

export function openEvents(): void {
  nextEvent = firstEvent;
  eventMask = load<u32>(REGION, AT_EVENT_MASK);
}

/** Whether anything that one command can make still fits. */
export function hasAmpleEventRoom(): bool {
  return nextEvent <= ampleEnd;
}

/** Whether all that a command can make that adds so many slices still fits. */
export function hasEventRoom(slices: i32): bool {
  return nextEvent + <usize>(eventsOfCommand() + 2 * slices) * ORDER_EVENT_SIZE <= eventsEnd;
}

export function closeEvents(): void {
  store<i32>(REGION, <i32>((nextEvent - firstEvent) / ORDER_EVENT_SIZE), AT_EVENT_COUNT);
}

export function isWanted(kind: i32): bool {
  return (eventMask & (<u32>1 << kind)) != 0;
}

/** An event without more than kind, reason, symbol and time; returns its address. */
export function emit(kind: i32, reason: i32, symbolIndex: i32): usize {
  const event = nextEvent;
  nextEvent += isWanted(kind) ? <usize>ORDER_EVENT_SIZE : 0;
  v128.store(event, i64x2.splat(0));
  v128.store(event, i64x2.splat(0), 16);
  v128.store(event, i64x2.splat(0), 32);
  v128.store(event, i64x2.splat(0), 48);
  store<i32>(event, kind | (reason << REASON_SHIFT), ORDER_EVENT_KIND);
  store<i32>(event, symbolIndex, ORDER_EVENT_SYMBOL_INDEX);
  store<i64>(event, load<i64>(REGION, AT_TIME_NS), ORDER_EVENT_TS_NS);
  return event;
}

export function hiddenOf(order: usize): i32 {
  return load<u32>(order, ATTRIBUTES) & ATTR_COLD ? load<i32>(coldOf(order), HIDDEN) : 0;
}

export function leavesOf(order: usize): i32 {
  return load<i32>(order, SHOWN) + hiddenOf(order);
}

/** Shown slice of an iceberg, 0 for other orders. */
export function displayOf(order: usize): i32 {
  return load<u32>(order, ATTRIBUTES) & ATTR_COLD ? load<i32>(coldOf(order), DISPLAY) : 0;
}

function isStopLevel(level: usize): bool {
  return load<i32>(<usize>load<u32>(pageOfLevel(level), PAGE_BOOK), BOOK_KIND) == KIND_STOP;
}

/** The limit of an order, 0 when it has none. */
export function limitOf(order: usize): i32 {
  const level = <usize>load<u32>(order, LEVEL);
  return level == 0 || isStopLevel(level) ? load<i32>(coldOf(order), LIMIT) : priceOfLevel(level);
}

/** The trigger of an order, 0 when it has none. */
export function triggerOf(order: usize): i32 {
  const level = <usize>load<u32>(order, LEVEL);
  if (level == 0) return load<i32>(coldOf(order), TRIGGER);
  return isStopLevel(level) ? priceOfLevel(level) : 0;
}

/** An event with what the order is now; returns its address for what more it says. */
export function emitOrder(kind: i32, reason: i32, symbol: usize, order: usize): usize {
  const event = emit(kind, reason, load<i32>(symbol, SYMBOL_INDEX));
  if (!isWanted(kind)) return event;
  store<u64>(event, load<u64>(order, ORDER_ID), ORDER_EVENT_ORDER_ID);
  store<i32>(event, limitOf(order), ORDER_EVENT_PRICE_TICKS);
  store<i32>(event, leavesOf(order), ORDER_EVENT_LEAVES_LOTS);
  store<i32>(event, triggerOf(order), ORDER_EVENT_OTHER_LEAVES_LOTS);
  store<u32>(event, load<u32>(order, OWNER), ORDER_EVENT_OWNER);
  store<i32>(event, displayOf(order), ORDER_EVENT_DISPLAY_LOTS);
  store<u32>(event, load<u32>(order, ATTRIBUTES) & ATTR_PUBLIC, ORDER_EVENT_ATTRIBUTES);
  return event;
}

/** An order leaves with what is left of it. */
export function emitGone(kind: i32, reason: i32, symbol: usize, order: usize): void {
  const event = emitOrder(kind, reason, symbol, order);
  store<i32>(event, leavesOf(order), ORDER_EVENT_QUANTITY_LOTS);
  store<i32>(event, 0, ORDER_EVENT_LEAVES_LOTS);
}

export function emitRejected(command: usize, reason: i32): void {
  const event = emit(EVENT_KIND_REJECTED, reason, load<i32>(command, ORDER_COMMAND_SYMBOL_INDEX));
  store<u64>(event, load<u64>(command, ORDER_COMMAND_ORDER_ID), ORDER_EVENT_ORDER_ID);
  store<i32>(event, load<i32>(command, ORDER_COMMAND_PRICE_TICKS), ORDER_EVENT_PRICE_TICKS);
  store<i32>(event, load<i32>(command, ORDER_COMMAND_QUANTITY_LOTS), ORDER_EVENT_QUANTITY_LOTS);
  store<i32>(event, load<i32>(command, ORDER_COMMAND_STOP_TICKS), ORDER_EVENT_OTHER_LEAVES_LOTS);
  store<u32>(event, load<u32>(command, ORDER_COMMAND_OWNER), ORDER_EVENT_OWNER);
  store<i32>(event, load<i32>(command, ORDER_COMMAND_KIND), ORDER_EVENT_OTHER_OWNER);
  store<i32>(event, load<i32>(command, ORDER_COMMAND_DISPLAY_LOTS), ORDER_EVENT_DISPLAY_LOTS);
  store<i32>(event, load<i32>(command, ORDER_COMMAND_ATTRIBUTES), ORDER_EVENT_ATTRIBUTES);
}

/** A trade; the caller stores the leaves of both. In an auction the taker is the buyer. */
export function emitTrade(symbol: usize, taker: usize, maker: usize): usize {
  const event = nextEvent;
  nextEvent += isWanted(EVENT_KIND_TRADE) ? <usize>ORDER_EVENT_SIZE : 0;
  store<i64>(event, <i64>EVENT_KIND_TRADE | (<i64>load<u32>(symbol, SYMBOL_INDEX) << 32), ORDER_EVENT_KIND);
  store<u64>(event, load<u64>(taker, ORDER_ID), ORDER_EVENT_ORDER_ID);
  store<u64>(event, load<u64>(maker, ORDER_ID), ORDER_EVENT_OTHER_ID);
  store<i64>(event, load<i64>(REGION, AT_TIME_NS), ORDER_EVENT_TS_NS);
  store<u32>(event, load<u32>(taker, OWNER), ORDER_EVENT_OWNER);
  store<u32>(event, load<u32>(maker, OWNER), ORDER_EVENT_OTHER_OWNER);
  store<u64>(event, <u64>(load<u32>(taker, ATTRIBUTES) & ATTR_PUBLIC) << 32, ORDER_EVENT_DISPLAY_LOTS);
  return event;
}

function bestPrice(symbol: usize, side: u32): i32 {
  const key = load<u32>(symbol + DISPLAYED + (<usize>side << 2), BEST_KEY);
  return key == NO_KEY ? ORDER_LIMIT_PRICE_NONE : priceOfKey(key, side);
}

function bestLots(symbol: usize, side: u32): i64 {
  return load<i64>(<usize>load<u32>(symbol + DISPLAYED + (<usize>side << 2), BEST_LEVEL), LEVEL_LOTS);
}

/** Remembers what the top is before a command. */
export function saveTop(symbol: usize): void {
  store<u64>(symbol, load<u64>(symbol, DISPLAYED + BEST_KEY), TOP_BEFORE);
  store<i64>(symbol, bestLots(symbol, 0), TOP_BEFORE + 8);
  store<i64>(symbol, bestLots(symbol, 1), TOP_BEFORE + 16);
}

/** Tells the top if it is not what it was before the command. */
export function emitTop(symbol: usize): void {
  const buyLots = bestLots(symbol, 0);
  const sellLots = bestLots(symbol, 1);
  const isSame =
    load<u64>(symbol, DISPLAYED + BEST_KEY) == load<u64>(symbol, TOP_BEFORE) &&
    buyLots == load<i64>(symbol, TOP_BEFORE + 8) &&
    sellLots == load<i64>(symbol, TOP_BEFORE + 16);
  if (isSame) return;
  const event = emit(EVENT_KIND_TOP, 0, load<i32>(symbol, SYMBOL_INDEX));
  store<i32>(event, bestPrice(symbol, 0), ORDER_EVENT_PRICE_TICKS);
  store<i64>(event, buyLots, ORDER_EVENT_ORDER_ID);
  store<i32>(event, bestPrice(symbol, 1), ORDER_EVENT_OTHER_LEAVES_LOTS);
  store<i64>(event, sellLots, ORDER_EVENT_OTHER_ID);
}
