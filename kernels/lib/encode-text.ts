// Numbers as text. Writers take the address to write to and return the address after the last byte; they may store up to
// 24 bytes beyond it, which the next writer overwrites: an output area needs that much slack.
import { decimalExponent, decimalSignificand, shortestDecimal } from "./encode-decimal";

const ASCII_ZEROS: u64 = 0x3030303030303030;
const TEN_8: u64 = 100000000;
const TEN_16: u64 = 10000000000000000;
/** Decimals of up to 15 digits and doubles correspond one to one; beyond that `k / scale == value` does not prove the shortest. */
const FIFTEEN_DIGITS: f64 = 1e15;
const DOT: i32 = 46;
const MINUS: i32 = 45;
const PLUS: i32 = 43;
const LETTER_E: i32 = 101;
/** `0.000000`, first character in the lowest byte. */
const ZERO_POINT: u64 = 0x3030303030302e30;
/** `null` */
const NULL_WORD: u32 = 0x6c6c756e;

let scratch: usize = 0;
let powers: usize = 0;
let gridScale: f64 = 0;
let gridDecimals: i32 = -1;

/** Where text is put together (64 bytes), and the table of powers of ten. */
export function openText(scratchAt: usize, powersAt: usize): void {
  scratch = scratchAt;
  powers = powersAt;
}

/** Sets the grid that values most likely lie on: multiples of 1 / scale. A scale that is no power of ten from 1 to 10^15: none. */
export function useGrid(scale: f64): void {
  if (scale == gridScale) return;
  gridScale = scale;
  gridDecimals = -1;
  let power: f64 = 1;
  for (let decimals = 0; decimals <= 15; decimals++, power *= 10) if (power == scale) gridDecimals = decimals;
}

/** The eight decimal digits of value < 10^8 as bytes 0 to 9, most significant in the lowest byte. */
function digits8(value: u64): u64 {
  const upper = value / 10000;
  const fours = upper | ((value - upper * 10000) << 32);
  const hundreds = ((fours * 10486) >> 20) & 0x0000007f0000007f;
  const pairs = hundreds | ((fours - hundreds * 100) << 16);
  const tens = ((pairs * 103) >> 10) & 0x000f000f000f000f;
  return tens | ((pairs - tens * 10) << 8);
}

function writeBelow8(p: usize, value: u64): usize {
  const digits = digits8(value);
  const lead = min<u64>(ctz(digits) >> 3, 7);
  store<u64>(p, (digits | ASCII_ZEROS) >> (lead << 3));
  return p + 8 - <usize>lead;
}

export function writeUnsigned(p: usize, value: u64): usize {
  if (value < TEN_8) return writeBelow8(p, value);
  if (value >= TEN_16) {
    const top = value / TEN_16;
    const rest = value - top * TEN_16;
    p = writeBelow8(p, top);
    const upper = rest / TEN_8;
    store<u64>(p, digits8(upper) | ASCII_ZEROS);
    store<u64>(p, digits8(rest - upper * TEN_8) | ASCII_ZEROS, 8);
    return p + 16;
  }
  const upper = value / TEN_8;
  p = writeBelow8(p, upper);
  store<u64>(p, digits8(value - upper * TEN_8) | ASCII_ZEROS);
  return p + 8;
}

export function writeSigned(p: usize, value: i64): usize {
  if (value >= 0) return writeUnsigned(p, <u64>value);
  store<u8>(p, MINUS);
  return writeUnsigned(p + 1, 0 - <u64>value);
}

function copy24(to: usize, from: usize): void {
  v128.store(to, v128.load(from));
  store<u64>(to, load<u64>(from, 16), 16);
}

/** significand x 10^exponent as JavaScript prints it; 0 < significand < 10^17. */
function writeDecimal(p: usize, significand: u64, exponent: i32): usize {
  // Seventeen digits lie at scratch + 7; those that lead and trail as zeros are counted off.
  const upper = significand / TEN_8;
  const lowerDigits = digits8(significand - upper * TEN_8);
  store<u64>(scratch, lowerDigits | ASCII_ZEROS, 16);
  let lead = 9 + <i32>(ctz(lowerDigits) >> 3);
  let trail = <i32>(clz(lowerDigits) >> 3);
  if (upper != 0) {
    const top = upper / TEN_8;
    const upperDigits = digits8(upper - top * TEN_8);
    store<u64>(scratch, upperDigits | ASCII_ZEROS, 8);
    if (lowerDigits == 0) trail = 8 + <i32>(clz(upperDigits) >> 3);
    lead = 1 + <i32>(ctz(upperDigits) >> 3);
    if (top != 0) {
      store<u8>(scratch, 48 + <u32>top, 7);
      lead = 0;
    }
  }
  const digits = scratch + 7 + <usize>lead;
  const count = 17 - lead - trail;
  const point = 17 - lead + exponent;
  if (point > 21 || point < -5) return writeExponential(p, digits, count, point - 1);
  if (point <= 0) {
    store<u64>(p, ZERO_POINT);
    copy24(p + 2 + <usize>(-point), digits);
    return p + 2 + <usize>(count - point);
  }
  copy24(p, digits);
  if (count > point) {
    store<u8>(p + <usize>point, DOT);
    copy24(p + <usize>point + 1, digits + <usize>point);
    return p + <usize>count + 1;
  }
  for (let i = count; i < point; i++) store<u8>(p + <usize>i, 48);
  return p + <usize>point;
}

function writeExponential(p: usize, digits: usize, count: i32, exponent: i32): usize {
  store<u8>(p, load<u8>(digits));
  p += 1;
  if (count > 1) {
    store<u8>(p, DOT);
    copy24(p + 1, digits + 1);
    p += <usize>count;
  }
  store<u8>(p, LETTER_E);
  store<u8>(p, exponent < 0 ? MINUS : PLUS, 1);
  return writeUnsigned(p + 2, <u64>abs(exponent));
}

/** A double as JSON.stringify prints it; a value that lies on the grid is spared the general method. */
export function writeDouble(p: usize, value: f64): usize {
  const bits = reinterpret<u64>(value);
  if ((bits & 0x7ff0000000000000) == 0x7ff0000000000000) {
    store<u32>(p, NULL_WORD);
    return p + 4;
  }
  if (value == 0) {
    store<u8>(p, 48);
    return p + 1;
  }
  if (value < 0) {
    store<u8>(p, MINUS);
    p += 1;
  }
  const magnitude = abs(value);
  if (gridDecimals >= 0) {
    const units = nearest(magnitude * gridScale);
    if (units < FIFTEEN_DIGITS && units / gridScale == magnitude) return writeDecimal(p, <u64>units, -gridDecimals);
  }
  shortestDecimal(bits & 0x7fffffffffffffff, powers);
  return writeDecimal(p, decimalSignificand, decimalExponent);
}
