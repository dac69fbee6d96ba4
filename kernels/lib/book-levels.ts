// Pages and levels: where a price stands, which level is the best, which is the next one, and putting orders on and off.
import {
  AT_FREE_PAGE, AT_FREE_PAGE_COUNT, AT_NO_LEVEL, AT_PAGES_TOP, BEST_KEY, BEST_LEVEL, FIRST_PAGE, inversion, LAST_PAGE, LEVEL, LEVEL_LOTS,
  levelsOfPage, NEXT, NO_KEY, PAGE_BOOK, PAGE_HEADER_BYTES, PAGE_KEY, PAGE_LEVELS_SHIFT, PAGE_NEXT, PAGE_PREVIOUS, PAGE_SUMMARY,
  PAGE_TICKS_SHIFT, PAGE_WORDS, pageCache, pageCacheMask, pageOfLevel, PREVIOUS, priceOfKey, REGION, SHOWN, SIDE_SHIFT, sideOfLevel,
} from "./book-region";

const SLOT_MASK: u32 = 511;
const LEVEL_SHIFT: usize = 4;

function slotOfLevel(level: usize): u32 {
  return <u32>(level >> LEVEL_SHIFT) & SLOT_MASK;
}

/** The page of a key: the same number for both sides. */
export function pageKeyOf(key: u32, side: u32): u32 {
  return (key ^ inversion(side)) >> PAGE_TICKS_SHIFT;
}

/** Where a book's pages begin in the page cache: the entry of a page is so many after its key, around the end. */
export function cacheHash(book: usize): u32 {
  return <u32>book >> 3;
}

function cacheEntry(book: usize, pageKey: u32): usize {
  return pageCache + (<usize>((pageKey + cacheHash(book)) & pageCacheMask) << 2);
}

/** The page header of a page that is in use, 0 when it is not. */
export function findPage(book: usize, pageKey: u32): usize {
  const page = <usize>load<u32>(cacheEntry(book, pageKey));
  return load<u64>(page, PAGE_BOOK) == (<u64>book | (<u64>pageKey << 32)) ? page : searchPage(book, pageKey);
}

function searchPage(book: usize, pageKey: u32): usize {
  let page = <usize>load<u32>(book, FIRST_PAGE);
  while (page != 0 && load<u32>(page, PAGE_KEY) < pageKey) page = <usize>load<u32>(page, PAGE_NEXT);
  if (page == 0 || load<u32>(page, PAGE_KEY) != pageKey) return 0;
  store<u32>(cacheEntry(book, pageKey), <u32>page);
  return page;
}

/** Whether an order may come to stand there: the page is in use, or the pool has one left. */
export function hasRoom(book: usize, key: u32, side: u32): bool {
  return load<i32>(REGION, AT_FREE_PAGE_COUNT) != 0 || findPage(book, pageKeyOf(key, side)) != 0;
}

/** The page header of a page, which is taken from the pool if need be: there is room. */
function needPage(book: usize, pageKey: u32): usize {
  const found = findPage(book, pageKey);
  return found != 0 ? found : takePage(book, pageKey);
}

function takePage(book: usize, pageKey: u32): usize {
  let page = <usize>load<u32>(REGION, AT_FREE_PAGE);
  if (page != 0) {
    store<u32>(REGION, load<u32>(page, PAGE_NEXT), AT_FREE_PAGE);
  } else {
    page = <usize>load<u32>(REGION, AT_PAGES_TOP);
    store<u32>(REGION, <u32>(page + PAGE_HEADER_BYTES), AT_PAGES_TOP);
    setUpPage(page);
  }
  store<i32>(REGION, load<i32>(REGION, AT_FREE_PAGE_COUNT) - 1, AT_FREE_PAGE_COUNT);
  store<u32>(page, <u32>book, PAGE_BOOK);
  store<u32>(page, pageKey, PAGE_KEY);
  let before: usize = 0;
  let after = <usize>load<u32>(book, FIRST_PAGE);
  while (after != 0 && load<u32>(after, PAGE_KEY) < pageKey) {
    before = after;
    after = <usize>load<u32>(after, PAGE_NEXT);
  }
  joinPages(book, before, page);
  joinPages(book, page, after);
  store<u32>(cacheEntry(book, pageKey), <u32>page);
  return page;
}

/** Its levels point to themselves, as they do whenever a page goes back to the pool. */
function setUpPage(page: usize): void {
  const first = levelsOfPage(page);
  memory.fill(page, 0, PAGE_HEADER_BYTES);
  for (let level = first, end = first + (<usize>1 << PAGE_LEVELS_SHIFT); level < end; level += 1 << LEVEL_SHIFT) {
    store<u64>(level, <u64>level | (<u64>level << 32));
    store<i64>(level, 0, LEVEL_LOTS);
  }
}

function joinPages(book: usize, before: usize, after: usize): void {
  store<u32>(before != 0 ? before + PAGE_NEXT : book + FIRST_PAGE, <u32>after);
  store<u32>(after != 0 ? after + PAGE_PREVIOUS : book + LAST_PAGE, <u32>before);
}

function freePage(page: usize): void {
  const book = <usize>load<u32>(page, PAGE_BOOK);
  joinPages(book, <usize>load<u32>(page, PAGE_PREVIOUS), <usize>load<u32>(page, PAGE_NEXT));
  store<u32>(page, 0, PAGE_BOOK);
  store<u32>(page, load<u32>(REGION, AT_FREE_PAGE), PAGE_NEXT);
  store<u32>(REGION, <u32>page, AT_FREE_PAGE);
  store<i32>(REGION, load<i32>(REGION, AT_FREE_PAGE_COUNT) + 1, AT_FREE_PAGE_COUNT);
}

/** Empties a book at once: its levels point to themselves and its pages go back to the pool. What becomes of its orders is the caller's matter. */
export function emptyBook(book: usize): void {
  for (let page = <usize>load<u32>(book, FIRST_PAGE); page != 0; page = <usize>load<u32>(book, FIRST_PAGE)) {
    for (let side: u32 = 0; side < 2; side++) {
      for (let words = summaryOf(page, side); words != 0; words &= words - 1) {
        const index = <u32>ctz(words);
        for (let bits = wordOf(page, side, index); bits != 0; bits &= bits - 1) {
          const level = levelAt(page, side, (index << 6) | <u32>ctz(bits));
          store<u64>(level, <u64>level | (<u64>level << 32));
          store<i64>(level, 0, LEVEL_LOTS);
        }
        store<u64>(page + (<usize>side << 6) + (<usize>index << 3), 0, PAGE_WORDS);
      }
    }
    store<u64>(page, 0, PAGE_SUMMARY);
    freePage(page);
  }
  store<u64>(book, u64.MAX_VALUE, BEST_KEY);
  store<u32>(book, <u32>(REGION + AT_NO_LEVEL), BEST_LEVEL);
  store<u32>(book, <u32>(REGION + AT_NO_LEVEL), BEST_LEVEL + 4);
}

/** The key of a level: less is better. */
export function keyOfLevel(level: usize): u32 {
  const side = sideOfLevel(level);
  const first = ((load<u32>(pageOfLevel(level), PAGE_KEY) << PAGE_TICKS_SHIFT) ^ inversion(side)) & ~SLOT_MASK;
  return first | slotOfLevel(level);
}

export function priceOfLevel(level: usize): i32 {
  return priceOfKey(keyOfLevel(level), sideOfLevel(level));
}

/** Puts an order, whose shown lots are set, at the end of the level of a key: there is room. */
export function link(order: usize, book: usize, side: u32, key: u32): void {
  const page = needPage(book, pageKeyOf(key, side));
  const slot = key & SLOT_MASK;
  const level = levelAt(page, side, slot);
  const last = <usize>load<u32>(level, PREVIOUS);
  store<u64>(order, <u64>level | (<u64>last << 32));
  store<u32>(last, <u32>order, NEXT);
  store<u32>(level, <u32>order, PREVIOUS);
  store<i64>(level, load<i64>(level, LEVEL_LOTS) + <i64>load<i32>(order, SHOWN), LEVEL_LOTS);
  store<u32>(order, <u32>level, LEVEL);
  const word = page + (<usize>side << 6) + (<usize>(slot >> 6) << 3);
  const bits = load<u64>(word, PAGE_WORDS);
  store<u64>(word, bits | (<u64>1 << <u64>(slot & 63)), PAGE_WORDS);
  if (bits == 0) {
    const summary = page + (<usize>side << 2);
    store<u32>(summary, load<u32>(summary, PAGE_SUMMARY) | (<u32>1 << (slot >> 6)), PAGE_SUMMARY);
  }
  const best = book + (<usize>side << 2);
  if (key < load<u32>(best, BEST_KEY)) {
    store<u32>(best, key, BEST_KEY);
    store<u32>(best, <u32>level, BEST_LEVEL);
  }
}

/** Takes an order off its level. Its `LEVEL` stays as it was. */
export function unlink(order: usize): void {
  const level = <usize>load<u32>(order, LEVEL);
  unlinkFrom(order, level, pageOfLevel(level));
}

/** The same with its level and page at hand. */
export function unlinkFrom(order: usize, level: usize, page: usize): void {
  const next = <usize>load<u32>(order, NEXT);
  const previous = <usize>load<u32>(order, PREVIOUS);
  store<u32>(previous, <u32>next, NEXT);
  store<u32>(next, <u32>previous, PREVIOUS);
  store<i64>(level, load<i64>(level, LEVEL_LOTS) - <i64>load<i32>(order, SHOWN), LEVEL_LOTS);
  const side = sideOfLevel(level);
  const slot = slotOfLevel(level);
  // Only the level stands on both sides of the last order. Without branches, as half the levels hold one order and half hold more.
  const isEmpty = <u64>(next == previous);
  const word = page + (<usize>side << 6) + (<usize>(slot >> 6) << 3);
  const bits = load<u64>(word, PAGE_WORDS) & ~(isEmpty << <u64>(slot & 63));
  store<u64>(word, bits, PAGE_WORDS);
  const best = <usize>load<u32>(page, PAGE_BOOK) + (<usize>side << 2);
  if (<u32>isEmpty & (<u32>(load<u32>(best, BEST_LEVEL) == <u32>level) | <u32>(bits == 0))) levelEmptied(page, side, level);
}

/** The best level of its side, or the last of its word, has gone. */
function levelEmptied(page: usize, side: u32, level: usize): void {
  const index = slotOfLevel(level) >> 6;
  if (wordOf(page, side, index) == 0) {
    const summary = page + (<usize>side << 2);
    store<u32>(summary, load<u32>(summary, PAGE_SUMMARY) & ~(<u32>1 << index), PAGE_SUMMARY);
  }
  const best = <usize>load<u32>(page, PAGE_BOOK) + (<usize>side << 2);
  if (load<u32>(best, BEST_LEVEL) == <u32>level) {
    const next = bestFrom(page, side);
    store<u32>(best, <u32>(next != 0 ? next : REGION + AT_NO_LEVEL), BEST_LEVEL);
    store<u32>(best, next != 0 ? keyOfLevel(next) : NO_KEY, BEST_KEY);
  }
  if (load<u64>(page, PAGE_SUMMARY) == 0) freePage(page);
}

function levelAt(page: usize, side: u32, slot: u32): usize {
  return levelsOfPage(page) + (<usize>side << SIDE_SHIFT) + (<usize>slot << LEVEL_SHIFT);
}

function summaryOf(page: usize, side: u32): u32 {
  return load<u32>(page + (<usize>side << 2), PAGE_SUMMARY);
}

function wordOf(page: usize, side: u32, index: u32): u64 {
  return load<u64>(page + (<usize>side << 6) + (<usize>index << 3), PAGE_WORDS);
}

/** The page with the next worse prices of a side, or the next better ones. */
function worsePage(page: usize, side: u32): usize {
  return <usize>load<u32>(page + (side != 0 ? PAGE_NEXT : PAGE_PREVIOUS));
}

function betterPage(page: usize, side: u32): usize {
  return <usize>load<u32>(page + (side != 0 ? PAGE_PREVIOUS : PAGE_NEXT));
}

/** The best level that has orders, on this page or a worse one; 0: none. */
function bestFrom(page: usize, side: u32): usize {
  while (page != 0 && summaryOf(page, side) == 0) page = worsePage(page, side);
  if (page == 0) return 0;
  const index = <u32>ctz(summaryOf(page, side));
  return levelAt(page, side, (index << 6) | <u32>ctz(wordOf(page, side, index)));
}

/** The next worse level of the same book and side that has orders; 0: none. The level itself may be empty, but its page is in use. */
export function worseLevel(level: usize): usize {
  const page = pageOfLevel(level);
  const side = sideOfLevel(level);
  const slot = slotOfLevel(level);
  const index = slot >> 6;
  const bits = wordOf(page, side, index) & ((<u64>-1 << <u64>(slot & 63)) << 1);
  if (bits != 0) return levelAt(page, side, (index << 6) | <u32>ctz(bits));
  const words = summaryOf(page, side) & (<u32>-2 << index);
  if (words == 0) return bestFrom(worsePage(page, side), side);
  const worse = <u32>ctz(words);
  return levelAt(page, side, (worse << 6) | <u32>ctz(wordOf(page, side, worse)));
}

/** The next better level of the same book and side that has orders; 0: none. */
export function betterLevel(level: usize): usize {
  let page = pageOfLevel(level);
  const side = sideOfLevel(level);
  const slot = slotOfLevel(level);
  let index = slot >> 6;
  const bits = wordOf(page, side, index) & ((<u64>1 << <u64>(slot & 63)) - 1);
  if (bits != 0) return levelAt(page, side, (index << 6) | (63 - <u32>clz(bits)));
  let words = summaryOf(page, side) & ((<u32>1 << index) - 1);
  while (words == 0) {
    page = betterPage(page, side);
    if (page == 0) return 0;
    words = summaryOf(page, side);
  }
  index = 31 - <u32>clz(words);
  return levelAt(page, side, (index << 6) | (63 - <u32>clz(wordOf(page, side, index))));
}

/** The best level of a side that has orders; 0: none. */
export function bestLevel(book: usize, side: u32): usize {
  const best = book + (<usize>side << 2);
  return load<u32>(best, BEST_KEY) == NO_KEY ? 0 : <usize>load<u32>(best, BEST_LEVEL);
}

/** The first order of a side, 0 when it is empty. */
export function firstOrder(book: usize, side: u32): usize {
  const level = bestLevel(book, side);
  return level != 0 ? <usize>load<u32>(level, NEXT) : 0;
}

/** The order after one that stands, in the order of its side; 0 after the last. */
export function nextOrder(order: usize): usize {
  const next = <usize>load<u32>(order, NEXT);
  const level = <usize>load<u32>(order, LEVEL);
  if (next != level) return next;
  const worse = worseLevel(level);
  return worse != 0 ? <usize>load<u32>(worse, NEXT) : 0;
}
