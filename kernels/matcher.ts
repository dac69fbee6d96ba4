// The price-time matcher: commands in, events out, over a book region (kernels/lib/book-region.ts). The rules are those of
// docs/reference/matching.md; the plain book that obeys the same ones is engine/market/book-oracle.ts.
//
// Plain limit orders in continuous trading, their moves and cancels go a short way of their own; whatever is not plain about a command,
// its order or its symbol sends it the long way, where every rule stands. Both ways do the same.
import { LAYOUT_HASH } from "../schemas/layout.gen";
import {
  BOOK_INSTRUMENT_LAST_TICKS, BOOK_INSTRUMENT_LOWER_TICKS, BOOK_INSTRUMENT_PHASE, BOOK_INSTRUMENT_UPPER_TICKS, COMMAND_KIND_BAND,
  COMMAND_KIND_CANCEL, COMMAND_KIND_MASS_CANCEL, COMMAND_KIND_MOVE, COMMAND_KIND_NEW, COMMAND_KIND_PHASE, COMMAND_KIND_REDUCE,
  COMMAND_KIND_REPLACE, COMMAND_KIND_RESTORE, COMMAND_KIND_TIME, EVENT_KIND_PHASE, EVENT_KIND_TOP, MASS_SCOPE_BY_OWNER, MASS_SCOPE_BY_SIDE,
  MASS_SCOPE_BY_SYMBOL, ORDER_COMMAND_ATTRIBUTES, ORDER_COMMAND_DISPLAY_LOTS, ORDER_COMMAND_KIND, ORDER_COMMAND_PRICE_TICKS,
  ORDER_COMMAND_QUANTITY_LOTS, ORDER_COMMAND_SIZE, ORDER_COMMAND_STOP_TICKS, ORDER_COMMAND_SYMBOL_INDEX, ORDER_COMMAND_TS_NS,
  ORDER_EVENT_QUANTITY_LOTS, ORDER_LAYOUT_HASH, ORDER_LIMIT_PRICE_NONE, ORDER_LIMIT_SLICES_MAX, ORDER_REASON_MALFORMED, ORDER_REASON_UNKNOWN_SYMBOL,
  PHASE_CLOSED,  PHASE_CONTINUOUS, PHASE_HALTED,
} from "../schemas/order-layout.gen";
import { uncross } from "./lib/book-auction";
import { BLOCK_BYTES, firstNote, lookAhead, lookAtNext, nextNote, NO_NOTE } from "./lib/book-ahead";
import { cancelOrder, moveOrder, reduceOrder, replaceOrder } from "./lib/book-change";
import { isInRange, knownSymbol } from "./lib/book-check";
import { closeEvents, emit, emitRejected, emitTop, hasAmpleEventRoom, hasEventRoom, isWanted, openEvents, placeEvents, saveTop } from "./lib/book-events";
import { newOrder, restoreOrder } from "./lib/book-new";
import { slicesOf } from "./lib/book-orders";
import { quick } from "./lib/book-quick";
import {
  AT_COMMAND_BASE, AT_COMMANDS, AT_EVENT_BASE, AT_EVENT_CAPACITY, AT_EVENT_COUNT, AT_EVENT_MASK, AT_FORMAT, AT_ORDERS, AT_OWNERS, AT_PAGES,
  AT_SEEN, AT_SLICES, AT_SYMBOLS, AT_TIME_NS, emptyRegion, owners, placeRegion, REGION, regionEnd, SYMBOL_INDEX, symbolAt, symbolCount, SYMBOL_BYTES,
} from "./lib/book-region";
import { cancelAll, endDay, expire, listLevels, listOrders } from "./lib/book-sweep";
import { isSettled, settle } from "./lib/book-settle";
import { noteTrade } from "./lib/book-take";

export {
  AT_COMMAND_BASE, AT_COMMANDS, AT_EVENT_BASE, AT_EVENT_CAPACITY, AT_EVENT_COUNT, AT_EVENT_MASK, AT_FORMAT, AT_ORDERS, AT_OWNERS, AT_PAGES,
  AT_SYMBOLS, REGION, SYMBOL_BYTES,
};

const MASS_BITS: i32 = 1 | MASS_SCOPE_BY_SIDE | MASS_SCOPE_BY_SYMBOL | MASS_SCOPE_BY_OWNER;

export function layoutHash(): i32 {
  return LAYOUT_HASH;
}

export function orderLayoutHash(): i32 {
  return ORDER_LAYOUT_HASH;
}

/** Takes the region whose capacities stand in its header; returns where it ends. */
export function open(): usize {
  placeRegion();
  placeEvents();
  return regionEnd;
}

/** Empties the open region. */
export function clear(): void {
  emptyRegion();
}

/** Where the host writes a BOOK_INSTRUMENT. */
export function instrumentAddress(symbolIndex: u32): usize {
  return symbolAt(symbolIndex);
}

/** Where the host writes a BOOK_OWNER. */
export function ownerAddress(owner: u32): usize {
  return owners + (<usize>owner << 5);
}

/** Lists a symbol's orders over the events of the last run, as the commands that restore them; returns how many. */
export function list(symbolIndex: u32): i32 {
  return listOrders(symbolAt(symbolIndex), <usize>load<u32>(REGION, AT_EVENT_BASE));
}

/** Lists the levels of a side of a displayed book over the events of the last run: i32 price, i32 orders, i64 lots; returns how many. */
export function levels(symbolIndex: u32, side: u32): i32 {
  return listLevels(symbolAt(symbolIndex), side, <usize>load<u32>(REGION, AT_EVENT_BASE));
}

/**
 * Works on `count` commands at `at` in the command area; returns how many it did. It stops before one whose events might not fit: the host takes what is there and
 * calls again. The events of the run begin anew at the event base.
 */
export function run(at: usize, count: i32): i32 {
  openEvents();
  const end = at + <usize>count * ORDER_COMMAND_SIZE;
  const isAlone = count == 1;
  let next = at;
  let seen: u32 = 0;
  while (next < end) {
    const blockEnd = min(end, next + BLOCK_BYTES);
    seen += isAlone ? lookAtNext(blockEnd) : lookAhead(next, blockEnd);
    next = runBlock(next, blockEnd, isAlone ? NO_NOTE : firstNote());
    if (next < blockEnd) break;
  }
  store<u32>(REGION, seen, AT_SEEN);
  closeEvents();
  return <i32>((next - at) / ORDER_COMMAND_SIZE);
}

/** Works on the commands from `next` to `end` with their notes; returns the first that it did not do. */
function runBlock(next: usize, end: usize, note: usize): usize {
  for (; next < end; note = nextNote(note)) {
    if (!hasAmpleEventRoom()) {
      if (!hasEventRoom(slicesOfCommand(next))) return next;
    }
    step(next, note);
    next += ORDER_COMMAND_SIZE;
  }
  return next;
}

/** The most slices that a command may add to those of the region, as far as the region admits them. */
function slicesOfCommand(command: usize): i32 {
  const slices = load<i32>(REGION, AT_SLICES);
  const display = load<i32>(command, ORDER_COMMAND_DISPLAY_LOTS);
  const isReplace = load<i32>(command, ORDER_COMMAND_KIND) == COMMAND_KIND_REPLACE;
  if (display <= 0 && !(isReplace && slices != 0)) return 0;
  const lots = max(load<i32>(command, ORDER_COMMAND_QUANTITY_LOTS), 0);
  return min(slicesOf(lots, isReplace ? 1 : display), ORDER_LIMIT_SLICES_MAX - slices);
}

function step(command: usize, note: usize): void {
  const ts = load<i64>(command, ORDER_COMMAND_TS_NS);
  if (ts > load<i64>(REGION, AT_TIME_NS)) store<i64>(REGION, ts, AT_TIME_NS);
  if (quick(command, note)) return;
  const kind = load<i32>(command, ORDER_COMMAND_KIND);
  const isMass = kind == COMMAND_KIND_MASS_CANCEL;
  if (kind == COMMAND_KIND_RESTORE) restoreOrder(command);
  else if (kind == COMMAND_KIND_TIME || (isMass && !(load<i32>(command, ORDER_COMMAND_ATTRIBUTES) & MASS_SCOPE_BY_SYMBOL))) stepAll(command);
  else stepOne(command, kind);
}

/** A command to one symbol. */
function stepOne(command: usize, kind: i32): void {
  const symbol = knownSymbol(load<i32>(command, ORDER_COMMAND_SYMBOL_INDEX));
  if (symbol == 0) {
    work(symbol, command, kind);
    return;
  }
  saveTop(symbol);
  expire(symbol);
  work(symbol, command, kind);
  if (!isSettled(symbol)) settle(symbol);
  emitTop(symbol);
}

/** A command to all symbols. */
function stepAll(command: usize): void {
  for (let index: u32 = 0; index < symbolCount; index++) {
    const symbol = knownSymbol(index);
    if (symbol == 0) continue;
    saveTop(symbol);
    expire(symbol);
  }
  const isMass = load<i32>(command, ORDER_COMMAND_KIND) == COMMAND_KIND_MASS_CANCEL;
  const isMalformed = isMass && (load<i32>(command, ORDER_COMMAND_ATTRIBUTES) & ~MASS_BITS) != 0;
  if (isMalformed) emitRejected(command, ORDER_REASON_MALFORMED);
  for (let index: u32 = 0; isMass && !isMalformed && index < symbolCount; index++) {
    const symbol = knownSymbol(index);
    if (symbol != 0) cancelAll(symbol, command);
  }
  for (let index: u32 = 0; index < symbolCount; index++) {
    const symbol = knownSymbol(index);
    if (symbol != 0 && !isSettled(symbol)) settle(symbol);
  }
  for (let index: u32 = 0; index < symbolCount; index++) {
    const symbol = knownSymbol(index);
    if (symbol != 0) emitTop(symbol);
  }
}

function work(symbol: usize, command: usize, kind: i32): void {
  if (kind == COMMAND_KIND_NEW) newOrder(symbol, command);
  else if (kind == COMMAND_KIND_MOVE) moveOrder(symbol, command);
  else if (kind == COMMAND_KIND_CANCEL) cancelOrder(symbol, command);
  else if (kind == COMMAND_KIND_REPLACE) replaceOrder(symbol, command);
  else if (kind == COMMAND_KIND_REDUCE) reduceOrder(symbol, command);
  else if (kind == COMMAND_KIND_MASS_CANCEL) massCancel(symbol, command);
  else if (kind == COMMAND_KIND_PHASE) changePhase(symbol, command);
  else if (kind == COMMAND_KIND_BAND) changeBand(symbol, command);
  else emitRejected(command, ORDER_REASON_MALFORMED);
}

function massCancel(symbol: usize, command: usize): void {
  if (load<i32>(command, ORDER_COMMAND_ATTRIBUTES) & ~MASS_BITS) emitRejected(command, ORDER_REASON_MALFORMED);
  else if (symbol == 0) emitRejected(command, ORDER_REASON_UNKNOWN_SYMBOL);
  else cancelAll(symbol, command);
}

/** A7; the settling that follows is the command's last step. */
function changePhase(symbol: usize, command: usize): void {
  const phase = load<i32>(command, ORDER_COMMAND_QUANTITY_LOTS);
  if (symbol == 0 || phase < PHASE_CLOSED || phase > PHASE_HALTED) {
    emitRejected(command, symbol == 0 ? ORDER_REASON_UNKNOWN_SYMBOL : ORDER_REASON_MALFORMED);
    return;
  }
  store<i32>(symbol, phase, BOOK_INSTRUMENT_PHASE);
  const event = emit(EVENT_KIND_PHASE, 0, load<i32>(symbol, SYMBOL_INDEX));
  store<i32>(event, phase, ORDER_EVENT_QUANTITY_LOTS);
  if (phase == PHASE_CONTINUOUS || phase == PHASE_CLOSED) uncross(symbol);
  if (phase == PHASE_CLOSED) endDay(symbol);
  const last = load<i32>(symbol, BOOK_INSTRUMENT_LAST_TICKS);
  if (phase == PHASE_CONTINUOUS && last != ORDER_LIMIT_PRICE_NONE) noteTrade(symbol, last);
}

/** A8. */
function changeBand(symbol: usize, command: usize): void {
  const lower = load<i32>(command, ORDER_COMMAND_PRICE_TICKS);
  const upper = load<i32>(command, ORDER_COMMAND_STOP_TICKS);
  const isMalformed = lower > upper || !isInRange(lower) || !isInRange(upper);
  if (symbol == 0 || isMalformed) {
    emitRejected(command, symbol == 0 ? ORDER_REASON_UNKNOWN_SYMBOL : ORDER_REASON_MALFORMED);
    return;
  }
  store<i32>(symbol, lower, BOOK_INSTRUMENT_LOWER_TICKS);
  store<i32>(symbol, upper, BOOK_INSTRUMENT_UPPER_TICKS);
}
