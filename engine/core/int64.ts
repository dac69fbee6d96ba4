/**
 * 64-bit integers as two 32-bit halves in an Int32Array, so that no BigInt is made per tick.
 * `index` is the index of the low half; numbers are whole.
 */

const TWO_32 = 4294967296;

/** Writes a whole number, |value| < 2^53. */
export function writeInt64(view: Int32Array, index: number, value: number): void {
  const low = value % TWO_32;
  view[index] = low;
  view[index + 1] = Math.floor(value / TWO_32);
}

/** Writes `seconds * 10^9 + nanos`, exactly; seconds < 2^34, 0 <= nanos < 10^9. */
export function writeNanos(view: Int32Array, index: number, seconds: number, nanos: number): void {
  const high = Math.floor(seconds / 65536) * 1e9;
  const low = (seconds % 65536) * 1e9 + nanos;
  const sum = (high % 65536) * 65536 + low;
  view[index] = sum % TWO_32;
  view[index + 1] = Math.floor(high / 65536) + Math.floor(sum / TWO_32);
}

/** Reads a 64-bit integer as a number; exact only below 2^53. */
export function readInt64(view: Int32Array, index: number): number {
  return view[index + 1]! * TWO_32 + (view[index]! >>> 0);
}
