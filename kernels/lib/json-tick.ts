// Decodes `{"symbol":"S","event_ts":N,"ltp":N,"vol":N}` into a tick record.
//
// The kernel answers 1 only where it is sure; all else (escapes, exponents, long numbers, repeated or missing fields, faults) is
// 0 and goes to engine/ingest/json-tick.ts, which is complete, and which the parity test holds this file against.
//
// Reads may run up to 32 bytes past the message, which must be readable. What lies there never decides: the cursor only moves
// forward, every byte that counts lies before it, and in the end it must stand exactly at the end of the message.
import {
  TICK_ASK,
  TICK_CLOSE,
  TICK_KIND,
  TICK_KIND_TRADE,
  TICK_LOW,
  TICK_PRICE,
  TICK_QUANTITY_LOTS,
  TICK_SYMBOL_INDEX,
  TICK_TRADE_COUNT,
  TICK_TS_EVENT_NS,
} from "../../schemas/layout.gen";
import { findName } from "./symbol-table";

const QUOTE: u32 = 34;
const COMMA: u32 = 44;
const MINUS: u32 = 45;
const POINT: u32 = 46;
const COLON: u32 = 58;
const BACKSLASH: u32 = 92;
const OPEN_BRACE: u32 = 123;
const CLOSE_BRACE: u32 = 125;

// The text of keys as little-endian words: the bytes as they lie in the message.
const TEXT_OPEN_SYMBOL: u64 = 0x6c6f626d7973227b; // {"symbol
const TEXT_AFTER_SYMBOL: u32 = 0x223a226c; // l":"
const TEXT_EVENT: u64 = 0x5f746e657665222c; // ,"event_
const TEXT_EVENT_END: u32 = 0x3a227374; // ts":
const TEXT_LTP: u32 = 0x746c222c; // ,"lt
const TEXT_LTP_END: u32 = 0x3a227074; // tp":
const TEXT_VOL: u32 = 0x6f76222c; // ,"vo
const TEXT_VOL_END: u32 = 0x3a226c6f; // ol":
const KEY_SYMBOL: u64 = 0x00006c6f626d7973;
const KEY_EVENT_TS: u64 = 0x73745f746e657665;
const KEY_LTP: u32 = 0x0070746c;
const KEY_VOL: u32 = 0x006c6f76;
const LITERAL_TRUE: u32 = 0x65757274;
const LITERAL_NULL: u32 = 0x6c6c756e;
const LITERAL_ALSE: u32 = 0x65736c61;

const SEEN_SYMBOL: i32 = 1;
const SEEN_EVENT_TS: i32 = 2;
const SEEN_LTP: i32 = 4;
const SEEN_VOL: i32 = 8;
const SEEN_ALL: i32 = 15;

// An integer below 2^53 divided by a power of ten up to 10^22 is rounded once, hence correctly.
const MANTISSA_LIMIT: u64 = 9007199254740992;
const DIGITS_MAX: i32 = 19;

let powers: usize = 0;

// What the last `readNumber` read.
let cursor: usize = 0;
let mantissa: u64 = 0;
let fraction: i32 = -1;

/** Fills 23 f64 at `at` with 10^0 to 10^22, all exact. */
export function placePowers(at: usize): void {
  powers = at;
  let power: f64 = 1.0;
  for (let exponent: usize = 0; exponent < 23; exponent += 1) {
    store<f64>(at + (exponent << 3), power);
    power *= 10.0;
  }
}

/** Decodes the message of `length` bytes at `start` into `record`. Returns 1, or 0 when JavaScript must look at it. */
export function decodeJsonTick(start: usize, length: i32, record: usize): i32 {
  if (decodeUsual(start, length, record)) return 1;
  return decodeGeneral(start, start + <usize>length, record);
}

/** Exactly the usual keys in the usual order, no white space, 19 digits of time, price and volume of few digits. */
function decodeUsual(start: usize, length: i32, record: usize): bool {
  const end = start + <usize>length;
  if (load<u64>(start) != TEXT_OPEN_SYMBOL || load<u32>(start, 7) != TEXT_AFTER_SYMBOL) return false;
  let p = start + 11;
  const nameLength = nameEnd(p, end);
  const symbolIndex = findName(p, nameLength);
  if (symbolIndex < 0) return false;
  p += <usize>nameLength + 1;
  if (load<u64>(p) != TEXT_EVENT || load<u32>(p, 8) != TEXT_EVENT_END) return false;
  const high = load<u64>(p, 12);
  const low = load<u64>(p, 20);
  const last = load<u32>(p, 28);
  if (!isEightDigits(high) || !isEightDigits(low)) return false;
  const a = (last & 255) - 48;
  const b = ((last >> 8) & 255) - 48;
  const c = ((last >> 16) & 255) - 48;
  if (a > 9 || b > 9 || c > 9 || (high & 255) > 56 || (high & 255) == 48) return false;
  const tsEventNs = (<i64>eightDigits(high) * 100000000 + <i64>eightDigits(low)) * 1000 + <i64>(a * 100 + b * 10 + c);
  p += 31;
  if (load<u32>(p) != TEXT_LTP || load<u32>(p, 3) != TEXT_LTP_END) return false;
  p += 7;
  // Up to eight digits before the point and seven after it, each in one word; leading zeros are left to the general way. A ninth
  // digit is none of the bytes expected next.
  const whole = load<u64>(p);
  const wholeDigits = digitRun(whole);
  if (wholeDigits == 0 || ((whole & 255) == 48 && wholeDigits > 1)) return false;
  let price = <f64>digitsValue(whole, wholeDigits);
  p += <usize>wholeDigits;
  if (load<u8>(p) == POINT) {
    const part = load<u64>(p, 1);
    const partDigits = digitRun(part);
    if (partDigits == 0 || partDigits == 8) return false;
    // Both halves are integers, and so is their sum, below 10^15: only the division rounds.
    const power = load<f64>(powers + (<usize>partDigits << 3));
    price = (price * power + <f64>digitsValue(part, partDigits)) / power;
    p += <usize>partDigits + 1;
  }
  if (load<u32>(p) != TEXT_VOL || load<u32>(p, 3) != TEXT_VOL_END) return false;
  const volume = load<u64>(p, 7);
  const volumeDigits = digitRun(volume);
  if (volumeDigits == 0 || ((volume & 255) == 48 && volumeDigits > 1)) return false;
  p += <usize>volumeDigits + 7;
  if (load<u8>(p) != CLOSE_BRACE || p + 1 != end) return false;
  writeTrade(record, symbolIndex, tsEventNs, price, <i64>digitsValue(volume, volumeDigits));
  return true;
}

/** Any order of keys, white space, and other fields with plain values. */
function decodeGeneral(start: usize, end: usize, record: usize): i32 {
  let p = skipSpace(start, end);
  if (load<u8>(p) != OPEN_BRACE) return 0;
  let seen = 0;
  let symbolIndex = -1;
  let tsEventNs: u64 = 0;
  let price: f64 = 0.0;
  let quantity: u64 = 0;
  do {
    p = skipSpace(p + 1, end);
    if (load<u8>(p) != QUOTE) return 0;
    const key = p + 1;
    const keyLength = plainStringLength(key, end);
    if (keyLength < 0) return 0;
    p = skipSpace(key + <usize>keyLength + 1, end);
    if (load<u8>(p) != COLON) return 0;
    p = skipSpace(p + 1, end);
    const field = fieldOf(key, keyLength);
    if (seen & field) return 0;
    seen |= field;
    if (field == SEEN_SYMBOL) {
      if (load<u8>(p) != QUOTE) return 0;
      const nameLength = nameEnd(p + 1, end);
      symbolIndex = findName(p + 1, nameLength);
      if (symbolIndex < 0) return 0;
      p += <usize>nameLength + 2;
    } else if (field) {
      if (!readNumber(p)) return 0;
      p = cursor;
      if (field == SEEN_EVENT_TS) {
        if (fraction >= 0 || mantissa == 0) return 0;
        tsEventNs = mantissa;
      } else if (field == SEEN_LTP) {
        price = toPrice();
      } else {
        if (fraction >= 0 || mantissa > MANTISSA_LIMIT) return 0;
        quantity = mantissa;
      }
    } else {
      p = skipPlainValue(p, end);
      if (!p) return 0;
    }
    p = skipSpace(p, end);
  } while (load<u8>(p) == COMMA && p < end);
  if (load<u8>(p) != CLOSE_BRACE || skipSpace(p + 1, end) != end || seen != SEEN_ALL) return 0;
  writeTrade(record, symbolIndex, <i64>tsEventNs, price, <i64>quantity);
  return 1;
}

/** Writes every field but the stamp, so that nothing of an earlier record stays. */
function writeTrade(record: usize, symbolIndex: i32, tsEventNs: i64, price: f64, quantityLots: i64): void {
  store<i32>(record, TICK_KIND_TRADE, TICK_KIND);
  store<i32>(record, symbolIndex, TICK_SYMBOL_INDEX);
  store<i64>(record, tsEventNs, TICK_TS_EVENT_NS);
  store<f64>(record, price, TICK_PRICE);
  store<f64>(record, 0.0, TICK_ASK);
  store<f64>(record, 0.0, TICK_LOW);
  store<f64>(record, 0.0, TICK_CLOSE);
  store<i64>(record, quantityLots, TICK_QUANTITY_LOTS);
  store<i32>(record, 0, TICK_TRADE_COUNT);
}

/** Reads a number without sign or exponent, below 2^63 and within 19 digits, into `mantissa` and `fraction` (-1 without a point). */
function readNumber(from: usize): bool {
  let p = from;
  let value: u64 = 0;
  let digit = <u32>load<u8>(p) - 48;
  if (digit > 9) return false;
  if (digit == 0 && <u32>load<u8>(p, 1) - 48 <= 9) return false;
  while (digit <= 9) {
    value = value * 10 + <u64>digit;
    p += 1;
    digit = <u32>load<u8>(p) - 48;
    if (<i32>(p - from) > DIGITS_MAX) return false;
  }
  fraction = -1;
  if (digit == POINT - 48) {
    p += 1;
    const first = p;
    digit = <u32>load<u8>(p) - 48;
    while (digit <= 9) {
      value = value * 10 + <u64>digit;
      p += 1;
      digit = <u32>load<u8>(p) - 48;
      if (<i32>(p - from) > DIGITS_MAX + 1) return false;
    }
    fraction = <i32>(p - first);
    if (fraction == 0) return false;
    if (value >= MANTISSA_LIMIT) return false;
  }
  // What follows is no part of a number; an exponent fails here or at the delimiter that the caller expects.
  if (digit == 101 - 48 || digit == 69 - 48 || value > <u64>i64.MAX_VALUE) return false;
  mantissa = value;
  cursor = p;
  return true;
}

/** The number last read, correctly rounded. An integer is converted with one rounding as it is. */
function toPrice(): f64 {
  return fraction > 0 ? <f64>mantissa / load<f64>(powers + (<usize>fraction << 3)) : <f64>mantissa;
}

function skipSpace(from: usize, end: usize): usize {
  let p = from;
  while (p < end) {
    const byte = <u32>load<u8>(p);
    if (byte != 32 && byte != 10 && byte != 13 && byte != 9) break;
    p += 1;
  }
  return p;
}

/** Bytes up to the closing quote, -1 when there is none, or when a byte is an escape, a control byte or not ASCII. */
function plainStringLength(from: usize, end: usize): i32 {
  let p = from;
  while (p < end) {
    const byte = <u32>load<u8>(p);
    if (byte == QUOTE) return <i32>(p - from);
    if (byte < 32 || byte > 126 || byte == BACKSLASH) return -1;
    p += 1;
  }
  return -1;
}

/** Bytes up to the closing quote, whatever they are: only an interned name is believed. 0 when there is no quote before the end. */
function nameEnd(from: usize, end: usize): i32 {
  let p = from;
  while (p < end) {
    const quotes = load<u64>(p) ^ 0x2222222222222222;
    const found = (quotes - 0x0101010101010101) & ~quotes & 0x8080808080808080;
    if (found) {
      p += <usize>(ctz(found) >> 3);
      return p < end ? <i32>(p - from) : 0;
    }
    p += 8;
  }
  return 0;
}

function fieldOf(key: usize, length: i32): i32 {
  if (length == 6) return (load<u64>(key) & 0x0000ffffffffffff) == KEY_SYMBOL ? SEEN_SYMBOL : 0;
  if (length == 8) return load<u64>(key) == KEY_EVENT_TS ? SEEN_EVENT_TS : 0;
  if (length != 3) return 0;
  const word = load<u32>(key) & 0x00ffffff;
  return word == KEY_LTP ? SEEN_LTP : word == KEY_VOL ? SEEN_VOL : 0;
}

/** The address after a plain string, number, true, false or null; 0 for anything else. */
function skipPlainValue(from: usize, end: usize): usize {
  const byte = <u32>load<u8>(from);
  if (byte == QUOTE) {
    const length = plainStringLength(from + 1, end);
    return length < 0 ? 0 : from + <usize>length + 2;
  }
  const word = load<u32>(from);
  if (word == LITERAL_TRUE || word == LITERAL_NULL) return from + 4;
  if (byte == 102 && load<u32>(from, 1) == LITERAL_ALSE) return from + 5;
  return readNumber(byte == MINUS ? from + 1 : from) ? cursor : 0;
}

/** True when all eight bytes are ASCII digits. */
function isEightDigits(word: u64): bool {
  const highNibbles = word & 0xf0f0f0f0f0f0f0f0;
  const carried = (word + 0x0606060606060606) & 0xf0f0f0f0f0f0f0f0;
  return (highNibbles | (carried >> 4)) == 0x3333333333333333;
}

/** How many bytes, from the lowest, are ASCII digits: 0 to 8. */
function digitRun(word: u64): i32 {
  const digits = word ^ 0x3030303030303030;
  const others = (((digits & 0x7f7f7f7f7f7f7f7f) + 0x7676767676767676) | digits) & 0x8080808080808080;
  return others ? <i32>(ctz(others) >> 3) : 8;
}

/** The value of the `count` lowest bytes, 1 to 8 ASCII digits. Zeros are shifted in before them. */
function digitsValue(word: u64, count: i32): u32 {
  return eightValues((word ^ 0x3030303030303030) << (<u64>(8 - count) << 3));
}

/** The value of eight ASCII digits. */
function eightDigits(word: u64): u32 {
  return eightValues(word ^ 0x3030303030303030);
}

/** The number of eight decimal places, one a byte, the first in the lowest: pairs, then fours, then all. */
function eightValues(digits: u64): u32 {
  const pairs = digits * 10 + (digits >> 8);
  const high = (pairs & 0x000000ff000000ff) * 0x000f424000000064;
  const low = ((pairs >> 16) & 0x000000ff000000ff) * 0x0000271000000001;
  return <u32>((high + low) >> 32);
}
