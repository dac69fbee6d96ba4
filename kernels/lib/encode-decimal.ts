// The shortest decimal that reads back as a given double, and the closest to it among those: what JSON.stringify prints.
// Method: R. Giulietti, "The Schubfach way to render doubles" (2020). The host fills a table of 128-bit powers of ten:
// entry for 10^k is ceil(10^k / 2^(floor(log2(10^k)) - 127)), low half first.

/** Powers in the table: 10^-292 to 10^324. */
export const POWER_MIN: i32 = -292;
export const POWER_MAX: i32 = 324;

const FRACTION_BITS = 52;
const FRACTION_MASK: u64 = 0x000fffffffffffff;
const HIDDEN_BIT: u64 = 0x0010000000000000;
/** Exponent of the unit of the significand, of a double whose exponent field is 0. */
const EXPONENT_BIAS: i32 = 1075;

/** The answer of `shortestDecimal`: significand x 10^exponent; the significand may end in zeros. */
export let decimalSignificand: u64 = 0;
export let decimalExponent: i32 = 0;

/** High half of the 128-bit product. */
export function multiplyHigh(a: u64, b: u64): u64 {
  const aLow = a & 0xffffffff, aHigh = a >> 32;
  const bLow = b & 0xffffffff, bHigh = b >> 32;
  const cross = aLow * bHigh;
  const middle = aHigh * bLow + ((aLow * bLow) >> 32) + (cross & 0xffffffff);
  return aHigh * bHigh + (middle >> 32) + (cross >> 32);
}

/** floor(x * power / 2^127), with the lowest bit set when anything was cut off: comparisons stay right. */
function scaledToOdd(powerLow: u64, powerHigh: u64, x: u64): u64 {
  const carryIn = multiplyHigh(powerLow, x);
  const low = powerHigh * x;
  const sum = low + carryIn;
  const high = multiplyHigh(powerHigh, x) + u64(sum < low);
  return high | u64(sum > 1);
}

function floorLog2OfPower10(exponent: i32): i32 {
  return (exponent * 1741647) >> 19;
}

/** Sets decimalSignificand and decimalExponent for a positive finite double given by its bits. */
export function shortestDecimal(bits: u64, powers: usize): void {
  const fraction = bits & FRACTION_MASK;
  const biased = <i32>(bits >> FRACTION_BITS);
  let c = fraction;
  let q = 1 - EXPONENT_BIAS;
  if (biased != 0) {
    c |= HIDDEN_BIT;
    q = biased - EXPONENT_BIAS;
    if (q <= 0 && q > -53 && ctz(c) >= <u64>(-q)) {
      decimalSignificand = c >> <u64>(-q);
      decimalExponent = 0;
      return;
    }
  }
  // The neighbour below is nearer when the significand is a power of two.
  const isLowerNear = fraction == 0 && biased > 1;
  const open = c & 1;
  const k = (q * 1262611 - (isLowerNear ? 524031 : 0)) >> 22;
  const shift = <u64>(q + floorLog2OfPower10(-k) + 1);
  const entry = powers + (<usize>(-k - POWER_MIN) << 4);
  const powerLow = load<u64>(entry), powerHigh = load<u64>(entry, 8);
  const center = c << 2;
  const lower = scaledToOdd(powerLow, powerHigh, (center - 2 + u64(isLowerNear)) << shift) + open;
  const value = scaledToOdd(powerLow, powerHigh, center << shift);
  const upper = scaledToOdd(powerLow, powerHigh, (center + 2) << shift) - open;

  const s = value >> 2;
  if (s >= 10) {
    const tens = s / 10;
    const isDownIn = lower <= 40 * tens;
    const isUpIn = 40 * tens + 40 <= upper;
    if (isDownIn != isUpIn) {
      decimalSignificand = tens + u64(isUpIn);
      decimalExponent = k + 1;
      return;
    }
  }
  const isDownIn = lower <= 4 * s;
  const isUpIn = 4 * s + 4 <= upper;
  const middle = 4 * s + 2;
  const isRoundedUp = isDownIn != isUpIn ? isUpIn : value > middle || (value == middle && (s & 1) != 0);
  decimalSignificand = s + u64(isRoundedUp);
  decimalExponent = k;
}
