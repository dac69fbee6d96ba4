// Fields of PostgreSQL's binary COPY: each a big-endian length (-1 for NULL) and a big-endian value. Writers return the
// address after the field and may store up to 24 bytes beyond it.

const LENGTH_8: u32 = 0x08000000;
const LENGTH_4: u32 = 0x04000000;
const LENGTH_NULL: u32 = 0xffffffff;
const NUMERIC_NEGATIVE: u16 = 0x0040;
/** Bytes of a numeric before its digits: ndigits, weight, sign, dscale. */
const NUMERIC_HEADER: i32 = 8;
const BASE: u64 = 10000;
const BASE_SQUARED: u64 = 100000000;

export function writeNull(p: usize): usize {
  store<u32>(p, LENGTH_NULL);
  return p + 4;
}

export function write4(p: usize, value: u32): usize {
  store<u32>(p, LENGTH_4);
  store<u32>(p, bswap<u32>(value), 4);
  return p + 8;
}

export function write8(p: usize, value: u64): usize {
  store<u32>(p, LENGTH_8);
  store<u64>(p, bswap<u64>(value), 4);
  return p + 12;
}

/** Two 8-byte fields from two adjacent values of a record: one shuffle turns both. */
export function writePair(p: usize, from: usize): usize {
  const value = v128.load(from);
  const turned = v128.shuffle<u8>(value, value, 7, 6, 5, 4, 3, 2, 1, 0, 15, 14, 13, 12, 11, 10, 9, 8);
  store<u32>(p, LENGTH_8);
  v128.store_lane<u64>(p, turned, 0, 4);
  store<u32>(p, LENGTH_8, 12);
  v128.store_lane<u64>(p, turned, 1, 16);
  return p + 24;
}

/** Prices in table order (open, high, low, close) from a record that holds open, close, high, low. */
export function writePrices(p: usize, from: usize): usize {
  const openClose = v128.load(from);
  const highLow = v128.load(from, 16);
  const outer = v128.shuffle<u8>(openClose, openClose, 7, 6, 5, 4, 3, 2, 1, 0, 15, 14, 13, 12, 11, 10, 9, 8);
  const inner = v128.shuffle<u8>(highLow, highLow, 7, 6, 5, 4, 3, 2, 1, 0, 15, 14, 13, 12, 11, 10, 9, 8);
  store<u32>(p, LENGTH_8);
  v128.store_lane<u64>(p, outer, 0, 4);
  store<u32>(p, LENGTH_8, 12);
  v128.store_lane<u64>(p, inner, 0, 16);
  store<u32>(p, LENGTH_8, 24);
  v128.store_lane<u64>(p, inner, 1, 28);
  store<u32>(p, LENGTH_8, 36);
  v128.store_lane<u64>(p, outer, 1, 40);
  return p + 48;
}

/** Puts the base-10000 digits of low below `at`, least significant last, without leading zeros; returns the first's address. */
function digitsOf64(at: usize, value: u64): usize {
  while (value != 0) {
    const quotient = value / BASE;
    at -= 2;
    store<u16>(at, bswap<u16>(<u16>(value - quotient * BASE)));
    value = quotient;
  }
  return at;
}

/** As `digitsOf64` for high x 2^64 + low: divides four 32-bit limbs by 10^8 until what is left fits 64 bits. */
function digitsOf128(at: usize, high: u64, low: u64): usize {
  while (high != 0) {
    const limb3 = high >> 32;
    const quotient3 = limb3 / BASE_SQUARED;
    const limb2 = ((limb3 - quotient3 * BASE_SQUARED) << 32) | (high & 0xffffffff);
    const quotient2 = limb2 / BASE_SQUARED;
    const limb1 = ((limb2 - quotient2 * BASE_SQUARED) << 32) | (low >> 32);
    const quotient1 = limb1 / BASE_SQUARED;
    const limb0 = ((limb1 - quotient1 * BASE_SQUARED) << 32) | (low & 0xffffffff);
    const quotient0 = limb0 / BASE_SQUARED;
    const rest = limb0 - quotient0 * BASE_SQUARED;
    at -= 4;
    store<u16>(at, bswap<u16>(<u16>(rest / BASE)));
    store<u16>(at, bswap<u16>(<u16>(rest % BASE)), 2);
    high = (quotient3 << 32) | quotient2;
    low = (quotient1 << 32) | quotient0;
  }
  return digitsOf64(at, low);
}

/** A signed 128-bit integer as `numeric` with scale 0. `scratch` is 64 bytes. */
export function writeNumeric(p: usize, high: i64, low: u64, scratch: usize): usize {
  const isNegative = high < 0;
  let magnitudeHigh = <u64>high;
  if (isNegative) {
    low = 0 - low;
    magnitudeHigh = ~magnitudeHigh + u64(low == 0);
  }
  let end = scratch + 40;
  const start = magnitudeHigh == 0 ? digitsOf64(end, low) : digitsOf128(end, magnitudeHigh, low);
  const weight = max(<i32>((end - start) >> 1) - 1, 0);
  while (end > start && load<u16>(end - 2) == 0) end -= 2;
  const bytes = <i32>(end - start);
  store<u32>(p, bswap<u32>(<u32>(NUMERIC_HEADER + bytes)));
  store<u16>(p, bswap<u16>(<u16>(bytes >> 1)), 4);
  store<u16>(p, bswap<u16>(<u16>weight), 6);
  store<u16>(p, isNegative ? NUMERIC_NEGATIVE : 0, 8);
  store<u16>(p, 0, 10);
  v128.store(p, v128.load(start), 12);
  store<u64>(p, load<u64>(start, 16), 28);
  return p + 4 + <usize>(NUMERIC_HEADER + bytes);
}
