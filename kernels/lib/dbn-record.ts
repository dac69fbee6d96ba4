// One record of Databento's binary encoding: DBN 1, 2 and 3 have the same order-by-order record. What was read of the last record stands in the
// variables below. The readable form is engine/ingest/book-feed/dbn-twin.ts.
//
//   record, little-endian, 56 B, or 64 with a send time after it
//   0 length in words of 4 B | 1 type | 2 publisher u16 | 4 instrument u32 | 8 event time ns u64 | 16 order u64 | 24 price i64, 1e-9
//   32 size u32 | 36 flags | 37 channel | 38 action | 39 side | 40 receive time u64 | 48 send delta i32 | 52 sequence u32
//
//   instruments (32 B): 0 id u32 | 4 symbol index i32 | 8 tick in 1e-9 i64 | 16 inverse of the tick's odd part modulo 2^64 u64
//                      24 most ticks whose price is an i64, at most ORDER_LIMIT_PRICE_MAX i32 | 28 times that two divides the tick u32; sorted by id
//   counters (i32 each): 0 off tick | 1 price out of range | 2 quantity out of range | 3 malformed | 4 nothing about a book; they only grow
import { ORDER_LIMIT_PRICE_MAX, ORDER_LIMIT_PRICE_NONE, ORDER_LIMIT_QUANTITY_MAX } from "../../schemas/order-layout.gen";

export const HEADER_BYTES: u32 = 16;

export const ACTION_ADD: i32 = 1;
export const ACTION_CANCEL: i32 = 2;
export const ACTION_MODIFY: i32 = 3;
export const ACTION_TRADE: i32 = 6;
export const ACTION_FILL: i32 = 7;
export const ACTION_CLEAR: i32 = 8;

export const SIDE_NONE: i32 = 2;

/** What became of a record: it is a message, or it was counted, or the file cannot be read on. */
export const READ_MESSAGE: i32 = 0;
export const READ_COUNTED: i32 = 1;
export const READ_INSTRUMENT: i32 = 2;
export const READ_BROKEN: i32 = 3;

const TYPE_MBO: u32 = 0xa0;
const MBO_BYTES: u32 = 56;
const PRICE_UNDEFINED: i64 = 0x7fffffffffffffff;
// Beyond it no i64 is made of the quotient.
const QUOTIENT_MAX: f64 = 1073741826.0;
const UNKNOWN: i32 = 255;

const DBN_LAST: u32 = 0x80;
const DBN_TOP: u32 = 0x40;
const DBN_SNAPSHOT: u32 = 0x20;
const DBN_LEVEL: u32 = 0x10;
const FLAG_LAST: u32 = 1;
const FLAG_SNAPSHOT: u32 = 2;
const FLAG_BETWEEN: u32 = 4;

const COUNT_OFF_TICK: usize = 0;
const COUNT_PRICE: usize = 1;
const COUNT_QUANTITY: usize = 2;
const COUNT_MALFORMED: usize = 3;
const COUNT_IGNORED: usize = 4;

export let action: i32 = 0;
export let side: i32 = 0;
export let ticks: i32 = 0;
export let lots: i32 = 0;
export let marks: u32 = 0;
/** The symbol index of the record's instrument. */
export let symbol: i32 = -1;

let instruments: usize = 0;
let instrumentCount: i32 = 0;
let counters: usize = 0;
// The instrument of the last record: most files have one, and neighbours are mostly alike.
let lastId: i64 = -1;
let lastTick: i64 = 1;
let lastInverse: f64 = 1.0;
let lastOddInverse: u64 = 1;
let lastTwos: u64 = 0;
/** Added to a price, so that all that are in range are multiples of the tick from 0 on. */
let lastBias: i64 = 0;
/** What the first 8 bytes of a record of the current instrument and the last length have under PLAIN_HEAD_MASK; a length of 0 until there is one. */
export let plainHead: u64 = 0;
export const PLAIN_HEAD_MASK: u64 = 0xffffffff0000ffff;
/** The most ticks of the current instrument. */
export let ticksMax: i32 = 0;

/** Says where the instruments and the counters are. */
export function placeInstruments(instrumentsAt: usize, count: i32, countersAt: usize): void {
  instruments = instrumentsAt;
  instrumentCount = count;
  counters = countersAt;
  lastId = -1;
  plainHead = 0;
}

/**
 * A price in ticks of the current instrument, plus `ticksMax`; more than twice `ticksMax` when it is no whole number of them or out of range.
 * A multiple of an odd number times its inverse modulo 2^64 is the quotient, and all other numbers give more than the largest quotient; turning
 * it right by the twos of the tick moves bits that should be zero to the top.
 */
export function ticksAbove(price: i64): u64 {
  return rotr<u64>(<u64>(price + lastBias) * lastOddInverse, lastTwos);
}

/** Reads the record of so many bytes. */
export function readRecord(record: usize, length: u32): i32 {
  if (<u32>load<u8>(record, 1) != TYPE_MBO) return counted(COUNT_IGNORED);
  if (length < MBO_BYTES) return READ_BROKEN;
  const id = load<u32>(record, 4);
  if (<i64>id != lastId && !findInstrument(id)) return READ_INSTRUMENT;
  plainHead = load<u64>(record) & PLAIN_HEAD_MASK;
  // Flags, channel, action and side are one word.
  const word = load<u32>(record, 36);
  action = actionOf((word >> 16) & 255);
  side = sideOf(word >> 24);
  marks = (word & DBN_LAST ? FLAG_LAST : 0) | (word & DBN_SNAPSHOT ? FLAG_SNAPSHOT : 0);
  if (action == UNKNOWN) return counted(COUNT_MALFORMED);
  if (action == 0 || (word & (DBN_TOP | DBN_LEVEL))) return counted(COUNT_IGNORED);
  const rests = action <= ACTION_MODIFY;
  if (side == UNKNOWN || (rests && side == SIDE_NONE)) return counted(COUNT_MALFORMED);
  if (action == ACTION_CLEAR) {
    side = SIDE_NONE;
    ticks = ORDER_LIMIT_PRICE_NONE;
    lots = 0;
    return READ_MESSAGE;
  }
  const size = load<u32>(record, 32);
  if (size - 1 >= <u32>ORDER_LIMIT_QUANTITY_MAX) return counted(COUNT_QUANTITY);
  lots = <i32>size;
  const price = load<i64>(record, 24);
  const above = ticksAbove(price);
  if (above <= <u64>ticksMax << 1) {
    ticks = <i32>above - ticksMax;
    return READ_MESSAGE;
  }
  if (price == PRICE_UNDEFINED) {
    ticks = ORDER_LIMIT_PRICE_NONE;
    return rests ? counted(COUNT_PRICE) : READ_MESSAGE;
  }
  const quotient = <f64>price * lastInverse;
  if (abs<f64>(quotient) > QUOTIENT_MAX) return counted(COUNT_PRICE);
  // Right to within one, and the product tells which: whole ticks at or below the price.
  let whole = <i64>floor<f64>(quotient + 0.5);
  if (whole * lastTick > price) whole -= 1;
  if (whole > <i64>ORDER_LIMIT_PRICE_MAX || whole < -<i64>ORDER_LIMIT_PRICE_MAX) return counted(COUNT_PRICE);
  ticks = <i32>whole;
  if (whole * lastTick != price) {
    if (rests) return counted(COUNT_OFF_TICK);
    marks |= FLAG_BETWEEN;
  }
  return READ_MESSAGE;
}

/** 0: says nothing about the book. */
function actionOf(letter: u32): i32 {
  if (letter == 0x41) return ACTION_ADD;
  if (letter == 0x43) return ACTION_CANCEL;
  if (letter == 0x4d) return ACTION_MODIFY;
  if (letter == 0x54) return ACTION_TRADE;
  if (letter == 0x46) return ACTION_FILL;
  if (letter == 0x52) return ACTION_CLEAR;
  return letter == 0x4e ? 0 : UNKNOWN;
}

function sideOf(letter: u32): i32 {
  if (letter == 0x42) return 0;
  if (letter == 0x41) return 1;
  return letter == 0x4e ? SIDE_NONE : UNKNOWN;
}

function counted(index: usize): i32 {
  const at = counters + (index << 2);
  store<i32>(at, load<i32>(at) + 1);
  return READ_COUNTED;
}

/** Makes `id` the current instrument; false when it is not among those placed. */
function findInstrument(id: u32): bool {
  let low = 0;
  let high = instrumentCount;
  while (low < high) {
    const middle = (low + high) >> 1;
    if (load<u32>(instruments + (<usize>middle << 5)) < id) low = middle + 1;
    else high = middle;
  }
  const at = instruments + (<usize>low << 5);
  if (low == instrumentCount || load<u32>(at) != id) return false;
  lastId = <i64>id;
  symbol = load<i32>(at, 4);
  lastTick = load<i64>(at, 8);
  lastInverse = 1.0 / <f64>lastTick;
  lastOddInverse = load<u64>(at, 16);
  ticksMax = load<i32>(at, 24);
  lastTwos = <u64>load<u32>(at, 28);
  lastBias = <i64>ticksMax * lastTick;
  return true;
}
