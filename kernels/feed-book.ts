// Follows an order-by-order DBN feed in a book region (kernels/lib/book-region.ts) without matching: records in, resting orders out. The region is
// a matcher's, so that the matcher lists what stands there. The readable form is engine/market/feed-book.ts; sizes with no known order do
// not occur in DBN and are not followed here.
//
//   counters after those of lib/dbn-record.ts (i32 each): 5 unknown order | 6 duplicate id | 7 too much taken | 8 side changed | 9 no room
import { LAYOUT_HASH } from "../schemas/layout.gen";
import { ORDER_BITS_SIDE_SHIFT, ORDER_LAYOUT_HASH } from "../schemas/order-layout.gen";
import { emptyBook, firstOrder, hasRoom, keyOfLevel, link, unlink } from "./lib/book-levels";
import { emptyOrders, shrink, sideOf, takeOrder } from "./lib/book-orders";
import {
  AT_FREE_ORDER, AT_LIVE, AT_ORDERS, ATTRIBUTES, DISPLAYED, keyOf, LEVEL, NEXT, ORDER_ID, OWNER, placeRegion, REGION, SHOWN, symbolAt, symbolCount,
} from "./lib/book-region";
import {
  action, ACTION_ADD, ACTION_CANCEL, ACTION_CLEAR, ACTION_MODIFY, HEADER_BYTES, lots, placeInstruments, READ_BROKEN, READ_COUNTED, READ_MESSAGE, readRecord,
  side, symbol, ticks,
} from "./lib/dbn-record";
import { addCount, takeAdds } from "./lib/feed-adds";
import { addFeedOrder, findFeedOrder, placeFeedIds, removeFoundOrder } from "./lib/feed-ids";

const STOP_DRAINED: i32 = 0;

const COUNT_UNKNOWN: usize = 5;
const COUNT_DUPLICATE: usize = 6;
const COUNT_TOO_MUCH: usize = 7;
const COUNT_SIDE: usize = 8;
const COUNT_NO_ROOM: usize = 9;

let faults: usize = 0;
let consumed: u32 = 0;
let stop: i32 = 0;

export function layoutHash(): i32 {
  return LAYOUT_HASH;
}

export function orderLayoutHash(): i32 {
  return ORDER_LAYOUT_HASH;
}

/** Takes a region that a matcher has made. */
export function open(): void {
  placeRegion();
  placeFeedIds();
}

/** To be called again when an instrument was added. */
export function place(instrumentsAt: usize, count: i32, countersAt: usize): void {
  placeInstruments(instrumentsAt, count, countersAt);
  faults = countersAt;
}

/** Bytes of the last call that are done with. */
export function consumedBytes(): u32 {
  return consumed;
}

/** Why the last call ended: 0 all whole records are used up; else READ_INSTRUMENT or READ_BROKEN. */
export function stopReason(): i32 {
  return stop;
}

/** Orders that rest in the region. */
export function liveOrders(): i32 {
  return load<i32>(REGION, AT_LIVE);
}

/** Applies the records from `source` on; returns how many messages there were. The record that stopped it is not consumed. */
export function follow(source: usize, bytes: u32): i32 {
  const end = source + bytes;
  const addsBefore = addCount;
  let others = 0;
  stop = STOP_DRAINED;
  let record = takeAdds(source, end);
  while (end - record >= HEADER_BYTES) {
    const length = <usize>load<u8>(record) << 2;
    if (length < HEADER_BYTES) {
      stop = READ_BROKEN;
      break;
    }
    if (length > end - record) break;
    const read = readRecord(record, <u32>length);
    if (read > READ_COUNTED) {
      stop = read;
      break;
    }
    if (read == READ_MESSAGE) {
      apply(load<u64>(record, 16));
      others += 1;
    }
    record = takeAdds(record + length, end);
  }
  consumed = <u32>(record - source);
  return <i32>(addCount - addsBefore) + others;
}

function apply(id: u64): void {
  const key = keyOf(ticks, side);
  if (action == ACTION_ADD) add(id, lots, side, key);
  else if (action == ACTION_CANCEL) cancel(id, lots);
  else if (action == ACTION_MODIFY) modify(id, lots, side, key);
  else if (action == ACTION_CLEAR) clearSymbol();
}

function count(index: usize): void {
  const at = faults + (index << 2);
  store<i32>(at, load<i32>(at) + 1);
}

/** Takes the order that was found last off the book. */
function remove(id: u64, order: usize): void {
  unlink(order);
  removeFoundOrder(id);
  store<u32>(order, load<u32>(REGION, AT_FREE_ORDER), NEXT);
  store<u32>(REGION, <u32>order, AT_FREE_ORDER);
  store<i32>(REGION, load<i32>(REGION, AT_LIVE) - 1, AT_LIVE);
}

function add(id: u64, lots: i32, side: u32, key: u32): void {
  const old = findFeedOrder(id);
  if (old != 0) {
    count(COUNT_DUPLICATE);
    remove(id, old);
  }
  put(id, lots, side, key);
}

/** Puts an order, whose id is not there, at the end of its level. */
function put(id: u64, lots: i32, side: u32, key: u32): void {
  const book = symbolAt(symbol) + DISPLAYED;
  const live = load<u32>(REGION, AT_LIVE);
  if (live == load<u32>(REGION, AT_ORDERS) || !hasRoom(book, key, side)) {
    count(COUNT_NO_ROOM);
    return;
  }
  const order = takeOrder();
  store<u64>(order, id, ORDER_ID);
  store<i32>(order, lots, SHOWN);
  // Owner, nobody, and attributes are one word.
  store<u64>(order, <u64>side << (32 + ORDER_BITS_SIDE_SHIFT), OWNER);
  store<u32>(REGION, live + 1, AT_LIVE);
  addFeedOrder(id, order);
  link(order, book, side, key);
}

function cancel(id: u64, lots: i32): void {
  const order = findFeedOrder(id);
  if (order == 0) {
    count(COUNT_UNKNOWN);
    return;
  }
  const shown = load<i32>(order, SHOWN);
  if (lots > shown) count(COUNT_TOO_MUCH);
  if (lots >= shown) remove(id, order);
  else shrink(order, lots);
}

function modify(id: u64, lots: i32, side: u32, key: u32): void {
  const order = findFeedOrder(id);
  if (order == 0) {
    count(COUNT_UNKNOWN);
    return;
  }
  const isSameSide = sideOf(load<u32>(order, ATTRIBUTES)) == side;
  if (!isSameSide) count(COUNT_SIDE);
  const shown = load<i32>(order, SHOWN);
  if (isSameSide && keyOfLevel(load<u32>(order, LEVEL)) == key && lots <= shown) {
    if (lots < shown) shrink(order, shown - lots);
    return;
  }
  remove(id, order);
  put(id, lots, side, key);
}

/** Takes every order of the record's symbol off the book. All orders of the region go at once. */
function clearSymbol(): void {
  const book = symbolAt(symbol) + DISPLAYED;
  if (symbolCount == 1) {
    emptyBook(book);
    emptyOrders();
    return;
  }
  for (let from: u32 = 0; from < 2; from++) {
    for (let order = firstOrder(book, from); order != 0; order = firstOrder(book, from)) {
      const id = load<u64>(order, ORDER_ID);
      remove(id, findFeedOrder(id));
    }
  }
}
