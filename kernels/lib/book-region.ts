// The map of a book region: where everything lies that the matcher knows. All of it is in the region, nothing in the module, so that several
// instances may look at one region, one at a time. It begins at the same address in every memory, so that its header is not looked up.
//
//   header 256 B │ symbols 320 B each │ commands │ events │ owners │ page headers 256 B each │ page cache │ ids │ orders 32 B each │ cold 32 B each │ levels
//
//   order (hot)  0 next │ 4 previous │ 8 id u64 │ 16 shown lots │ 20 level, 0 off the books │ 24 owner │ 28 attributes, ATTR_COLD
//   order (cold) 0 hidden lots │ 4 display lots │ 8 limit │ 12 trail │ 16 expiry i64 │ 24 next of the queue │ 28 trigger when off the books
//   level        0 first order │ 4 last order │ 8 shown lots i64; an empty one points to itself
//   page header  0 book │ 4 price key >> 9 │ 8 previous │ 12 next │ 16 summary bits of both sides │ 32 a bit a level, 2 x 8 u64
//   book         0 best key of both sides │ 8 best level of both │ 16 first page │ 20 last page │ 24 symbol │ 28 kind
//   symbol       0 BOOK_INSTRUMENT │ 32.. what changes │ 64 three books │ 256 the top before the command
//
// Orders and levels are linked by address and begin with the same two words, so that linking needs no case for an empty level. A page is
// 2 x 512 levels of 16 B, and begins at a multiple of that: the low bits of a level's address are its side and its place. The key of a price is
// `price + KEY_BIAS`, for bids inverted: on either side the lowest key is the best price.
import { BOOK_INSTRUMENT_SIZE, BOOK_OWNER_SIZE, ORDER_COMMAND_SIZE, ORDER_EVENT_SIZE, ORDER_LIMIT_SLICES_MAX } from "../../schemas/order-layout.gen";

/** Below it the memory is left to the WASM runtime, which leaves it empty: what stands for no order, or no page, at 0 leads nowhere. */
export const REGION: usize = 1024;
export const HEADER_BYTES: usize = 256;
export const AT_FORMAT: usize = 0;
export const AT_SYMBOLS: usize = 4;
export const AT_ORDERS: usize = 8;
export const AT_PAGES: usize = 12;
export const AT_OWNERS: usize = 16;
export const AT_COMMANDS: usize = 20;
export const AT_COMMAND_BASE: usize = 24;
export const AT_EVENT_BASE: usize = 28;
export const AT_EVENT_CAPACITY: usize = 32;
/** Events of the last run. */
export const AT_EVENT_COUNT: usize = 36;
/** Bit k: events of kind k are written. */
export const AT_EVENT_MASK: usize = 40;
/** Orders that are live, in the books or in the queue. */
export const AT_LIVE: usize = 44;
/** First of the free orders, linked by `next`; 0: none, then the next one never used. */
export const AT_FREE_ORDER: usize = 48;
export const AT_ORDERS_TOP: usize = 52;
export const AT_FREE_PAGE: usize = 56;
export const AT_PAGES_TOP: usize = 60;
export const AT_FREE_PAGE_COUNT: usize = 64;
/** Slices of all live icebergs. */
export const AT_SLICES: usize = 68;
/** Triggered orders that have not acted yet. */
export const AT_QUEUE_FIRST: usize = 72;
export const AT_QUEUE_LAST: usize = 76;
export const AT_TIME_NS: usize = 80;
/** A sum that nobody reads: book-ahead.ts. */
export const AT_SEEN: usize = 88;
/** A level that is always empty: the best level of an empty side. */
export const AT_NO_LEVEL: usize = 96;
/** An order that cannot come to rest is worked on here. */
export const AT_HAND: usize = 128;
/** Its cold half. */
export const AT_HAND_COLD: usize = 160;
/** Orders of the commands that are looked ahead to, u32 each: book-ahead.ts. */
export const AT_NOTES: usize = 192;
export const NOTES: usize = 16;

export const NEXT: usize = 0;
export const PREVIOUS: usize = 4;
export const ORDER_ID: usize = 8;
export const SHOWN: usize = 16;
export const LEVEL: usize = 20;
export const OWNER: usize = 24;
export const ATTRIBUTES: usize = 28;
/** The order has something in its cold half: it is an iceberg, expires, or is or was a stop. */
export const ATTR_COLD: u32 = 1 << 16;
export const ATTR_PUBLIC: u32 = 0x7ff;

export const HIDDEN: usize = 0;
export const DISPLAY: usize = 4;
export const LIMIT: usize = 8;
export const TRAIL: usize = 12;
export const EXPIRY: usize = 16;
export const QUEUE_NEXT: usize = 24;
export const TRIGGER: usize = 28;

export const LEVEL_LOTS: usize = 8;

export const PAGE_BOOK: usize = 0;
export const PAGE_KEY: usize = 4;
export const PAGE_PREVIOUS: usize = 8;
export const PAGE_NEXT: usize = 12;
export const PAGE_SUMMARY: usize = 16;
export const PAGE_WORDS: usize = 32;

export const BOOK_BYTES: usize = 64;
export const BEST_KEY: usize = 0;
export const BEST_LEVEL: usize = 8;
export const FIRST_PAGE: usize = 16;
export const LAST_PAGE: usize = 20;
export const BOOK_SYMBOL: usize = 24;
export const BOOK_KIND: usize = 28;
export const KIND_DISPLAYED: i32 = 0;
export const KIND_ALL_OR_NONE: i32 = 1;
export const KIND_STOP: i32 = 2;
export const BOOK_KINDS: i32 = 3;

export const SYMBOL_BYTES: usize = 320;
/** Lowest and highest price traded since stops were last looked at, and whether there was a trade. */
export const SYMBOL_LOW: usize = 32;
export const SYMBOL_HIGH: usize = 36;
export const SYMBOL_TRADED: usize = 40;
/** No trailing buy moves by a price at or above the first, no trailing sell by one at or below the second. */
export const SYMBOL_TRAIL_LOW: usize = 44;
export const SYMBOL_TRAIL_HIGH: usize = 48;
export const SYMBOL_INDEX: usize = 52;
/** No order of the symbol expires before this time. */
export const SYMBOL_EXPIRY: usize = 56;
export const DISPLAYED: usize = 64;
export const ALL_OR_NONE: usize = 128;
export const STOPS: usize = 192;
export const TOP_BEFORE: usize = 256;

export const NO_KEY: u32 = 0xffffffff;
export const KEY_BIAS: u32 = 0x40000000;
export const PAGE_TICKS_SHIFT: u32 = 9;
export const PAGE_LEVELS_SHIFT: usize = 14;
const LEVELS_MASK: usize = (1 << PAGE_LEVELS_SHIFT) - 1;
export const SIDE_SHIFT: usize = 13;
const PAGE_HEADER_SHIFT: usize = 8;
export const PAGE_HEADER_BYTES: usize = 256;
export const ORDER_SHIFT: usize = 5;
export const ORDER_BYTES: usize = 32;
const SPARE_EVENTS: i32 = 64;
/** Events that the area holds beyond what the largest command can make. */
export const SPARE_CAPACITY: i32 = 4096;

export let symbolCount: u32 = 0;
export const SYMBOLS: usize = REGION + HEADER_BYTES;
export let ownerCount: u32 = 0;
export let owners: usize = 0;
export let pageHeaders: usize = 0;
export let pageCache: usize = 0;
export let pageCacheMask: u32 = 0;
export let ids: usize = 0;
export let idMask: u32 = 0;
/** The highest bits of the hash of an id are its home. */
export let idShift: u64 = 0;
export let orders: usize = 0;
export let colds: usize = 0;
export let levels: usize = 0;
/** The page header of a page whose levels would begin at 0. */
let headerOfNull: usize = 0;
export let regionEnd: usize = 0;

function aligned(address: usize): usize {
  return (address + 127) & ~127;
}

/** The least power of two that is at least `count`. */
function powerOfTwo(count: u32): u32 {
  let power: u32 = 16;
  while (power < count) power <<= 1;
  return power;
}

/** The most events that one command makes: each live order ends once and is triggered once, each slice is traded and refreshed once. */
export function eventsOfCommand(): i32 {
  return 2 * (load<i32>(REGION, AT_LIVE) + load<i32>(REGION, AT_SLICES)) + <i32>symbolCount + SPARE_EVENTS;
}

/** Works out where everything lies from the capacities in the header. */
export function placeRegion(): void {
  symbolCount = load<u32>(REGION, AT_SYMBOLS);
  ownerCount = load<u32>(REGION, AT_OWNERS);
  const orderCount = load<u32>(REGION, AT_ORDERS);
  const pageCount = load<u32>(REGION, AT_PAGES);
  const eventCapacity = 2 * (orderCount + 1 + <u32>ORDER_LIMIT_SLICES_MAX) + symbolCount + SPARE_EVENTS + SPARE_CAPACITY;
  store<u32>(REGION, eventCapacity, AT_EVENT_CAPACITY);
  let next = aligned(SYMBOLS + <usize>symbolCount * SYMBOL_BYTES);
  store<u32>(REGION, <u32>next, AT_COMMAND_BASE);
  next = aligned(next + <usize>load<u32>(REGION, AT_COMMANDS) * ORDER_COMMAND_SIZE);
  store<u32>(REGION, <u32>next, AT_EVENT_BASE);
  next = aligned(next + <usize>eventCapacity * ORDER_EVENT_SIZE);
  owners = next;
  next = aligned(next + <usize>ownerCount * BOOK_OWNER_SIZE);
  pageHeaders = next;
  next = aligned(next + <usize>pageCount * PAGE_HEADER_BYTES);
  pageCache = next;
  pageCacheMask = powerOfTwo(4 * pageCount) - 1;
  next = aligned(next + (<usize>(pageCacheMask + 1) << 2));
  ids = next;
  idMask = powerOfTwo(2 * orderCount) - 1;
  idShift = clz(<u64>idMask);
  next = aligned(next + (<usize>(idMask + 1) << 3)); // an entry is four bytes; a feed's table (feed-ids.ts) takes all of it
  orders = next;
  next = aligned(next + (<usize>orderCount << ORDER_SHIFT));
  colds = next;
  next = aligned(next + (<usize>orderCount << ORDER_SHIFT));
  levels = (next + LEVELS_MASK) & ~LEVELS_MASK;
  headerOfNull = pageHeaders - ((levels >> PAGE_LEVELS_SHIFT) << PAGE_HEADER_SHIFT);
  regionEnd = levels + (<usize>pageCount << PAGE_LEVELS_SHIFT);
}

/** Empties everything but the capacities. Levels are set up when their page is first taken, and orders when they are. */
export function emptyRegion(): void {
  const eventMask = load<u32>(REGION, AT_EVENT_MASK);
  memory.fill(SYMBOLS, 0, <usize>load<u32>(REGION, AT_COMMAND_BASE) - SYMBOLS);
  memory.fill(owners, 0, orders - owners);
  memory.fill(REGION + AT_EVENT_COUNT, 0, HEADER_BYTES - AT_EVENT_COUNT);
  store<u32>(REGION, eventMask, AT_EVENT_MASK);
  store<u32>(REGION, <u32>orders, AT_ORDERS_TOP);
  store<u32>(REGION, <u32>pageHeaders, AT_PAGES_TOP);
  store<u32>(REGION, load<u32>(REGION, AT_PAGES), AT_FREE_PAGE_COUNT);
  const none = REGION + AT_NO_LEVEL;
  store<u32>(none, <u32>none, NEXT);
  store<u32>(none, <u32>none, PREVIOUS);
  for (let index: u32 = 0; index < symbolCount; index++) {
    const symbol = symbolAt(index);
    store<u32>(symbol, index, SYMBOL_INDEX);
    store<i64>(symbol, i64.MAX_VALUE, SYMBOL_EXPIRY);
    store<i32>(symbol, i32.MIN_VALUE, SYMBOL_TRAIL_LOW);
    store<i32>(symbol, i32.MAX_VALUE, SYMBOL_TRAIL_HIGH);
    for (let kind = 0; kind < BOOK_KINDS; kind++) {
      const book = bookAt(symbol, kind);
      store<u64>(book, u64.MAX_VALUE, BEST_KEY);
      store<u32>(book, <u32>none, BEST_LEVEL);
      store<u32>(book, <u32>none, BEST_LEVEL + 4);
      store<u32>(book, <u32>symbol, BOOK_SYMBOL);
      store<i32>(book, kind, BOOK_KIND);
    }
  }
}

export function symbolAt(index: u32): usize {
  return SYMBOLS + <usize>index * SYMBOL_BYTES;
}

export function bookAt(symbol: usize, kind: i32): usize {
  return symbol + BOOK_INSTRUMENT_SIZE + <usize>kind * BOOK_BYTES;
}

export function ownerAt(owner: u32): usize {
  return owners + <usize>owner * BOOK_OWNER_SIZE;
}

/** The page header of a level. */
export function pageOfLevel(level: usize): usize {
  return headerOfNull + ((level >> PAGE_LEVELS_SHIFT) << PAGE_HEADER_SHIFT);
}

/** Where the levels of a page header's page are. */
export function levelsOfPage(page: usize): usize {
  return (page - headerOfNull) << (PAGE_LEVELS_SHIFT - PAGE_HEADER_SHIFT);
}

/** The side of its book that a level is on. */
export function sideOfLevel(level: usize): u32 {
  return <u32>(level >> SIDE_SHIFT) & 1;
}

/** Turns prices of a side into its keys and back: 0 for asks, all bits for bids. */
export function inversion(side: u32): u32 {
  return side - 1;
}

export function keyOf(price: i32, side: u32): u32 {
  return (<u32>price + KEY_BIAS) ^ inversion(side);
}

export function priceOfKey(key: u32, side: u32): i32 {
  return <i32>((key ^ inversion(side)) - KEY_BIAS);
}

/** The cold half of an order. */
export function coldOf(order: usize): usize {
  return order == REGION + AT_HAND ? REGION + AT_HAND_COLD : colds + (order - orders);
}
