// The short way of a feed book: adds, which are most of what a feed says, as long as nothing about them is out of the ordinary. Whatever is (another
// action or instrument, a price between ticks, an id that may be there already, a page that is not at hand, no room) ends the run before anything
// was changed, and goes the long way of kernels/feed-book.ts.
import { ORDER_BITS_SIDE_SHIFT, ORDER_LIMIT_QUANTITY_MAX } from "../../schemas/order-layout.gen";
import {
  AT_FREE_ORDER, AT_LIVE, AT_ORDERS, AT_ORDERS_TOP, ATTRIBUTES, BEST_KEY, BEST_LEVEL, DISPLAYED, KEY_BIAS, LEVEL, LEVEL_LOTS, NEXT, ORDER_BYTES, ORDER_ID, orders, ORDER_SHIFT, OWNER, PAGE_BOOK, PAGE_LEVELS, PAGE_SUMMARY,
  PAGE_TICKS_SHIFT, PAGE_WORDS, pageCache, pageCacheMask, PREVIOUS, region, SHOWN, symbolAt,
} from "./book-region";
import { plainHead, PLAIN_HEAD_MASK, symbol, ticksAbove, ticksMax } from "./dbn-record";
import { fillPlace, groupOf, hashOf, likelyPlaces, PLACES, takenPlaces } from "./feed-ids";

/** An add of the buy side, in the word of flags, channel, action and side, less this, leaves a 1 in the highest byte; of the sell side a 0. */
const ADD_WORD: u32 = 0x41410000;
/** Bits that are then clear: other actions and sides, top of book, level. */
const ADD_CLEAR: u32 = 0xfeff0050;

/** Adds applied so far. */
export let addCount: u32 = 0;
let book: usize = 0;
let bookHash: u32 = 0;
let span: u64 = 0;
let bias: u32 = 0;
let free: usize = 0;
let top: usize = 0;
let end: usize = 0;
let ordersEnd: usize = 0;

/** Applies adds from a record on; returns the first record that is none, not whole, or has to go the long way. */
export function takeAdds(from: usize, until: usize): usize {
  const length = <usize>(plainHead & 255) << 2;
  if (length == 0 || until - from < length) return from;
  book = symbolAt(symbol) + DISPLAYED;
  bookHash = (<u32>book >> 6) * 7;
  span = <u64>ticksMax << 1;
  bias = KEY_BIAS - <u32>ticksMax;
  free = <usize>load<u32>(region, AT_FREE_ORDER);
  top = <usize>load<u32>(region, AT_ORDERS_TOP);
  end = until - length;
  ordersEnd = orders + (<usize>load<u32>(region, AT_ORDERS) << ORDER_SHIFT);
  let record = from;
  for (; record <= end; record += length) {
    const word = load<u32>(record, 36) - ADD_WORD;
    if (((load<u64>(record) ^ plainHead) & PLAIN_HEAD_MASK) | <u64>(word & ADD_CLEAR)) break;
    const above = ticksAbove(load<i64>(record, 24));
    if (above > span) break;
    const lots = load<u32>(record, 32);
    if (lots - 1 >= <u32>ORDER_LIMIT_QUANTITY_MAX) break;
    const upward = <u32>above + bias;
    const pageKey = upward >> PAGE_TICKS_SHIFT;
    const page = <usize>load<u32>(pageCache + (<usize>((pageKey + bookHash) & pageCacheMask) << 2));
    if (load<u32>(page, PAGE_BOOK) != <u32>book) break;
    if (load<u32>(page, 4) != pageKey) break;
    const id = load<u64>(record, 16);
    const hash = hashOf(id);
    const group = groupOf(hash);
    if (likelyPlaces(group, hash) != 0) break;
    const taken = takenPlaces(group);
    if (taken >= PLACES) break;
    let order = free;
    if (order != 0) {
      free = <usize>load<u32>(order, NEXT);
    } else {
      order = top;
      if (order == ordersEnd) break;
      top = order + ORDER_BYTES;
    }
    fillPlace(group, taken, hash, order);
    const isBuy = word >> 24;
    const key = upward ^ (0 - isBuy);
    const slot = (key & 511) | ((isBuy ^ 1) << 9);
    const level = <usize>load<u32>(page, PAGE_LEVELS) + (<usize>slot << 4);
    const last = <usize>load<u32>(level, PREVIOUS);
    store<u32>(order, <u32>level, NEXT);
    store<u32>(order, <u32>last, PREVIOUS);
    store<u64>(order, id, ORDER_ID);
    store<u32>(order, lots, SHOWN);
    store<u32>(order, <u32>level, LEVEL);
    store<u32>(order, 0, OWNER);
    store<u32>(order, isBuy ^ 1, ATTRIBUTES);
    store<u32>(last, <u32>order, NEXT);
    store<u32>(level, <u32>order, PREVIOUS);
    store<u64>(level, load<u64>(level, LEVEL_LOTS) + <u64>lots, LEVEL_LOTS);
    const bits = page + (<usize>(slot >> 6) << 3);
    const before = load<u64>(bits, PAGE_WORDS);
    store<u64>(bits, before | (<u64>1 << <u64>slot), PAGE_WORDS);
    if (before == 0) {
      const summary = page + (<usize>(isBuy ^ 1) << 2);
      store<u32>(summary, load<u32>(summary, PAGE_SUMMARY) | (<u32>1 << ((slot >> 6) & 7)), PAGE_SUMMARY);
    }
    const best = book + (<usize>(isBuy ^ 1) << 2);
    if (key < load<u32>(best, BEST_KEY)) {
      store<u32>(best, key, BEST_KEY);
      store<u32>(best, <u32>level, BEST_LEVEL);
    }
  }
  const count = <u32>(record - from) / <u32>length;
  addCount += count;
  store<u32>(region, load<u32>(region, AT_LIVE) + count, AT_LIVE);
  store<u32>(region, <u32>free, AT_FREE_ORDER);
  store<u32>(region, <u32>top, AT_ORDERS_TOP);
  return record;
}
