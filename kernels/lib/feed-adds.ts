// The short way of a feed book: adds, which are most of what a feed says, as long as nothing about them is out of the ordinary. Whatever is (another
// action or instrument, a price between ticks, an id that may be there already, a page that is not at hand, no room) ends the run before anything
// was changed, and goes the long way of kernels/feed-book.ts. What each add needs and none changes stands in variables of the module, as a
// function with that many of its own would move them about.
import { ORDER_LIMIT_QUANTITY_MAX } from "../../schemas/order-layout.gen";
import {
  AT_FREE_ORDER, AT_LIVE, AT_ORDERS, AT_ORDERS_TOP, ATTRIBUTES, BEST_KEY, BEST_LEVEL, DISPLAYED, KEY_BIAS, LEVEL, LEVEL_LOTS, NEXT, ORDER_BYTES,
  ORDER_ID, ORDER_SHIFT, orders, OWNER, PAGE_BOOK, PAGE_KEY, levelsOfPage, PAGE_SUMMARY, PAGE_TICKS_SHIFT, PAGE_WORDS, pageCache, pageCacheMask, PREVIOUS,
  REGION, SHOWN, symbolAt,
} from "./book-region";
import { cacheHash } from "./book-levels";
import { PLAIN_HEAD_MASK, plainHead, symbol, ticksAbove, ticksMax } from "./dbn-record";
import { fillPlace, groupOf, hashOf, likelyPlaces, PLACES, takenPlaces } from "./feed-ids";

/** The word of flags, channel, action and side of an add, less this, has a 1 in the highest byte for a buy and a 0 for a sell. */
const ADD_WORD: u32 = 0x41410000;
/** Bits that are then clear: other actions and sides, top of book, level. */
const ADD_CLEAR: u32 = 0xfeff0050;
/** A level's place on its page: the low bits of its key, above them the side. */
const SLOT_MASK: u32 = 511;
const SIDE_SHIFT: u32 = 9;
const LEVEL_SHIFT: usize = 4;
const WORD_SHIFT: u32 = 6;
const WORDS_MASK: u32 = 7;

/** Adds that went the short way so far. */
export let addCount: u32 = 0;
/** Where the last record that is whole can begin. */
let lastRecord: usize = 0;
let book: usize = 0;
let bookHash: u32 = 0;
let span: u64 = 0;
let bias: u32 = 0;
let freeOrder: usize = 0;
let ordersTop: usize = 0;
let ordersEnd: usize = 0;

/** Applies adds from `from` on; returns the first record that is none, is not whole at `end`, or has to go the long way. */
export function takeAdds(from: usize, end: usize): usize {
  const length = <usize>(plainHead & 255) << 2;
  if (length == 0 || end - from < length) return from;
  lastRecord = end - length;
  begin();
  let record = from;
  for (; record <= lastRecord; record += length) {
    const word = load<u32>(record, 36) - ADD_WORD;
    if (((load<u64>(record) ^ plainHead) & PLAIN_HEAD_MASK) | <u64>(word & ADD_CLEAR)) break;
    const above = ticksAbove(load<i64>(record, 24));
    if (above > span) break;
    const lots = load<u32>(record, 32);
    if (lots - 1 >= <u32>ORDER_LIMIT_QUANTITY_MAX) break;
    // The key of a sell; a buy's is the same with all bits turned.
    const upward = <u32>above + bias;
    const pageKey = upward >> PAGE_TICKS_SHIFT;
    const page = <usize>load<u32>(pageCache + (<usize>((pageKey + bookHash) & pageCacheMask) << 2));
    if (load<u32>(page, PAGE_BOOK) != <u32>book) break;
    if (load<u32>(page, PAGE_KEY) != pageKey) break;
    const id = load<u64>(record, 16);
    const hash = hashOf(id);
    const group = groupOf(hash);
    if (likelyPlaces(group, hash) != 0) break;
    const taken = takenPlaces(group);
    if (taken >= PLACES) break;
    let order = freeOrder;
    if (order != 0) {
      freeOrder = <usize>load<u32>(order, NEXT);
    } else {
      order = ordersTop;
      if (order == ordersEnd) break;
      ordersTop = order + ORDER_BYTES;
    }
    fillPlace(group, taken, hash, order);
    const isBuy = word >> 24;
    const side = isBuy ^ 1;
    const key = upward ^ (0 - isBuy);
    const slot = (key & SLOT_MASK) | (side << SIDE_SHIFT);
    const level = levelsOfPage(page) + (<usize>slot << LEVEL_SHIFT);
    const last = <usize>load<u32>(level, PREVIOUS);
    store<u32>(order, <u32>level, NEXT);
    store<u32>(order, <u32>last, PREVIOUS);
    store<u64>(order, id, ORDER_ID);
    store<u32>(order, lots, SHOWN);
    store<u32>(order, <u32>level, LEVEL);
    store<u32>(order, 0, OWNER);
    store<u32>(order, side, ATTRIBUTES);
    store<u32>(last, <u32>order, NEXT);
    store<u32>(level, <u32>order, PREVIOUS);
    store<u64>(level, load<u64>(level, LEVEL_LOTS) + <u64>lots, LEVEL_LOTS);
    if (last != level) continue;
    const bits = page + (<usize>(slot >> WORD_SHIFT) << 3);
    store<u64>(bits, load<u64>(bits, PAGE_WORDS) | (<u64>1 << <u64>slot), PAGE_WORDS);
    const summary = page + (<usize>side << 2);
    store<u32>(summary, load<u32>(summary, PAGE_SUMMARY) | (<u32>1 << ((slot >> WORD_SHIFT) & WORDS_MASK)), PAGE_SUMMARY);
    const best = book + (<usize>side << 2);
    if (key >= load<u32>(best, BEST_KEY)) continue;
    store<u32>(best, key, BEST_KEY);
    store<u32>(best, <u32>level, BEST_LEVEL);
  }
  ended(<u32>(record - from) / <u32>length);
  return record;
}

function begin(): void {
  book = symbolAt(symbol) + DISPLAYED;
  bookHash = cacheHash(book);
  span = <u64>ticksMax << 1;
  bias = KEY_BIAS - <u32>ticksMax;
  freeOrder = <usize>load<u32>(REGION, AT_FREE_ORDER);
  ordersTop = <usize>load<u32>(REGION, AT_ORDERS_TOP);
  ordersEnd = orders + (<usize>load<u32>(REGION, AT_ORDERS) << ORDER_SHIFT);
}

function ended(count: u32): void {
  addCount += count;
  store<u32>(REGION, load<u32>(REGION, AT_LIVE) + count, AT_LIVE);
  store<u32>(REGION, <u32>freeOrder, AT_FREE_ORDER);
  store<u32>(REGION, <u32>ordersTop, AT_ORDERS_TOP);
}
