// Decodes order-by-order records of Databento's binary encoding (DBN 1, 2 and 3 have the same one) into the columns of a book batch.
// The readable form is engine/ingest/book-feed/dbn-twin.ts.
//
//   record, little-endian, 56 B, or 64 with a send time after it
//   0 length in words of 4 B | 1 type | 2 publisher u16 | 4 instrument u32 | 8 event time ns u64 | 16 order u64 | 24 price i64, 1e-9
//   32 size u32 | 36 flags | 37 channel | 38 action | 39 side | 40 receive time u64 | 48 send delta i32 | 52 sequence u32
//
//   columns at `target`, `capacity` values each: time i64 | order u64 | price i32 | size i32 | symbol i32 | action u8 | side u8 | flags u8
//   instruments (16 B): 0 id u32 | 4 symbol index i32 | 8 tick in 1e-9 i64; sorted by id
//   counters (i32 each): see COUNT_* below; they only grow
import { LAYOUT_HASH } from "../schemas/layout.gen";

const TYPE_MBO: u8 = 0xa0;
const MBO_BYTES: u32 = 56;
const HEADER_BYTES: u32 = 16;
const PRICE_NONE: i32 = -0x80000000;
const PRICE_MAX: i64 = 0x3fffffff;
// Beyond it no i64 is made of the quotient.
const QUOTIENT_MAX: f64 = 1073741826.0;
const QUANTITY_MAX: u32 = 0x40000000;
const PRICE_UNDEFINED: i64 = 0x7fffffffffffffff;

const ACTION_ADD: u8 = 1;
const ACTION_CANCEL: u8 = 2;
const ACTION_MODIFY: u8 = 3;
const ACTION_TRADE: u8 = 6;
const ACTION_FILL: u8 = 7;
const ACTION_CLEAR: u8 = 8;

const UNKNOWN: u8 = 255;

const DBN_LAST: u8 = 0x80;
const DBN_TOP: u8 = 0x40;
const DBN_SNAPSHOT: u8 = 0x20;
const DBN_LEVEL: u8 = 0x10;
const FLAG_LAST: u8 = 1;
const FLAG_SNAPSHOT: u8 = 2;
const FLAG_BETWEEN: u8 = 4;

/** Why a call ended: all whole records are used up, the columns are full, an instrument is not known, a record cannot be. */
const STOP_DRAINED: i32 = 0;
const STOP_FULL: i32 = 1;
const STOP_INSTRUMENT: i32 = 2;
const STOP_BROKEN: i32 = 3;

let instruments: usize = 0;
let instrumentCount: i32 = 0;
let counters: usize = 0;
let consumed: u32 = 0;
let stop: i32 = 0;

// The instrument of the last record: most files have one, and neighbours are mostly alike.
let lastId: u32 = 0;
let lastSymbol: i32 = -1;
let lastTick: i64 = 1;
let lastInverse: f64 = 1.0;

export function layoutHash(): i32 {
  return LAYOUT_HASH;
}

/** Says where the instruments and the counters are. To be called again when an instrument was added. */
export function place(instrumentsAt: usize, count: i32, countersAt: usize): void {
  instruments = instrumentsAt;
  instrumentCount = count;
  counters = countersAt;
  lastSymbol = -1;
}

/** Bytes of the last call that are done with. */
export function consumedBytes(): u32 {
  return consumed;
}

/** Why the last call ended: STOP_*. */
export function stopReason(): i32 {
  return stop;
}

/**
 * Decodes records from `source` until one of the reasons to stop; returns how many messages were written.
 * The record that stopped it is not consumed.
 */
export function decode(source: usize, bytes: u32, target: usize, capacity: i32): i32 {
  const orders = target + (<usize>capacity << 3);
  const prices = orders + (<usize>capacity << 3);
  const quantities = prices + (<usize>capacity << 2);
  const symbols = quantities + (<usize>capacity << 2);
  const actions = symbols + (<usize>capacity << 2);
  const sides = actions + <usize>capacity;
  const marks = sides + <usize>capacity;
  let at: u32 = 0;
  let count = 0;
  stop = STOP_DRAINED;
  while (bytes - at >= HEADER_BYTES) {
    const record = source + at;
    const length = <u32>load<u8>(record) << 2;
    if (length < HEADER_BYTES) {
      stop = STOP_BROKEN;
      break;
    }
    if (length > bytes - at) break;
    if (count == capacity) {
      stop = STOP_FULL;
      break;
    }
    if (load<u8>(record, 1) != TYPE_MBO) {
      bump(4);
      at += length;
      continue;
    }
    if (length < MBO_BYTES) {
      stop = STOP_BROKEN;
      break;
    }
    if ((load<u32>(record, 4) != lastId || lastSymbol < 0) && !find(load<u32>(record, 4))) {
      stop = STOP_INSTRUMENT;
      break;
    }
    at += length;
    const flags = load<u8>(record, 36);
    const action = actionOf(load<u8>(record, 38));
    if (action == UNKNOWN) {
      bump(3);
      continue;
    }
    if (action == 0 || (flags & (DBN_TOP | DBN_LEVEL))) {
      bump(4);
      continue;
    }
    const side = sideOf(load<u8>(record, 39));
    const rests = action <= ACTION_MODIFY;
    if (side == UNKNOWN || (rests && side == 2)) {
      bump(3);
      continue;
    }
    let quantity = load<u32>(record, 32);
    let ticks = PRICE_NONE;
    let mark = (flags & DBN_LAST ? FLAG_LAST : <u8>0) | (flags & DBN_SNAPSHOT ? FLAG_SNAPSHOT : <u8>0);
    if (action == ACTION_CLEAR) {
      quantity = 0;
    } else {
      if (quantity - 1 >= QUANTITY_MAX) {
        bump(2);
        continue;
      }
      const price = load<i64>(record, 24);
      if (price == PRICE_UNDEFINED) {
        if (rests) {
          bump(1);
          continue;
        }
      } else {
        const quotient = <f64>price * lastInverse;
        if (abs<f64>(quotient) > QUOTIENT_MAX) {
          bump(1);
          continue;
        }
        // Right to within one, and the product tells which: whole ticks at or below the price.
        let whole = <i64>floor<f64>(quotient + 0.5);
        if (whole * lastTick > price) whole -= 1;
        if (whole > PRICE_MAX || whole < -PRICE_MAX) {
          bump(1);
          continue;
        }
        if (whole * lastTick != price) {
          if (rests) {
            bump(0);
            continue;
          }
          mark |= FLAG_BETWEEN;
        }
        ticks = <i32>whole;
      }
    }
    store<i64>(target + (<usize>count << 3), load<i64>(record, 8));
    store<i64>(orders + (<usize>count << 3), action == ACTION_CLEAR ? 0 : load<i64>(record, 16));
    store<i32>(prices + (<usize>count << 2), ticks);
    store<i32>(quantities + (<usize>count << 2), <i32>quantity);
    store<i32>(symbols + (<usize>count << 2), lastSymbol);
    store<u8>(actions + <usize>count, action);
    store<u8>(sides + <usize>count, action == ACTION_CLEAR ? <u8>2 : side);
    store<u8>(marks + <usize>count, mark);
    count += 1;
  }
  consumed = at;
  return count;
}

/** 0: says nothing about the book. */
function actionOf(letter: u8): u8 {
  if (letter == 0x41) return ACTION_ADD;
  if (letter == 0x43) return ACTION_CANCEL;
  if (letter == 0x4d) return ACTION_MODIFY;
  if (letter == 0x54) return ACTION_TRADE;
  if (letter == 0x46) return ACTION_FILL;
  if (letter == 0x52) return ACTION_CLEAR;
  return letter == 0x4e ? 0 : UNKNOWN;
}

function sideOf(letter: u8): u8 {
  if (letter == 0x42) return 0;
  if (letter == 0x41) return 1;
  return letter == 0x4e ? 2 : UNKNOWN;
}

/** Counters: 0 off tick, 1 price out of range, 2 quantity out of range, 3 malformed, 4 nothing about a book. */
function bump(index: usize): void {
  const at = counters + (index << 2);
  store<i32>(at, load<i32>(at) + 1);
}

/** Makes `id` the current instrument; false when it is not among those placed. */
function find(id: u32): bool {
  let low = 0;
  let high = instrumentCount;
  while (low < high) {
    const middle = (low + high) >> 1;
    if (load<u32>(instruments + (<usize>middle << 4)) < id) low = middle + 1;
    else high = middle;
  }
  const at = instruments + (<usize>low << 4);
  if (low == instrumentCount || load<u32>(at) != id) return false;
  lastId = id;
  lastSymbol = load<i32>(at, 4);
  lastTick = load<i64>(at, 8);
  lastInverse = 1.0 / <f64>lastTick;
  return true;
}
