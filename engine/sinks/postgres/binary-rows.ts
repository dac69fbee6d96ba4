/** Rows in the binary format of COPY, written into a buffer that grows. Every value is its length (i32) and its bytes, big-endian. */

/** Type numbers of pg_type, as an array names that of its elements. */
export const ELEMENT_TYPE = { int4: 23, int8: 20, float8: 701, numeric: 1700 } as const;

export interface BinaryRows {
  /** Bytes written since the last `take`. */
  readonly length: number;
  beginRow(columnCount: number): void;
  null(): void;
  int4(value: number): void;
  int8(value: bigint): void;
  float8(value: number): void;
  /** A whole number of any size. */
  numeric(value: bigint): void;
  text(bytes: Uint8Array): void;
  /** The head of a one-dimensional array; exactly `count` elements of that type follow, then `endArray`. */
  beginArray(elementType: number, count: number, hasNulls: boolean): void;
  endArray(): void;
  /** What was written, as a copy; empties the buffer. */
  take(): Buffer;
}

const FIRST_BYTES = 65_536;
const NULL_LENGTH = -1;
/** The largest single value that is not text: a numeric of 39 decimal digits, or the head of an array. */
const VALUE_BYTES_MAX = 64;
const NUMERIC_POSITIVE = 0;
const NUMERIC_NEGATIVE = 0x4000;
const NUMERIC_BASE = 10_000;
const BASE_TO_THE_THIRD = 1_000_000_000_000n;

export function createBinaryRows(): BinaryRows {
  let bytes = Buffer.allocUnsafeSlow(FIRST_BYTES);
  let view = new DataView(bytes.buffer);
  let at = 0;
  let arrayAt = 0;

  const reserve = (count: number): void => {
    if (at + count <= bytes.length) return;
    const larger = Buffer.allocUnsafeSlow(Math.max(bytes.length * 2, at + count));
    larger.set(bytes.subarray(0, at));
    bytes = larger;
    view = new DataView(bytes.buffer);
  };
  const putInt32 = (value: number): void => {
    view.setInt32(at, value);
    at += 4;
  };

  return {
    get length() {
      return at;
    },
    beginRow(columnCount) {
      reserve(VALUE_BYTES_MAX);
      view.setInt16(at, columnCount);
      at += 2;
    },
    null() {
      reserve(VALUE_BYTES_MAX);
      putInt32(NULL_LENGTH);
    },
    int4(value) {
      reserve(VALUE_BYTES_MAX);
      putInt32(4);
      putInt32(value);
    },
    int8(value) {
      reserve(VALUE_BYTES_MAX);
      putInt32(8);
      view.setBigInt64(at, value);
      at += 8;
    },
    float8(value) {
      reserve(VALUE_BYTES_MAX);
      putInt32(8);
      view.setFloat64(at, value);
      at += 8;
    },
    numeric(value) {
      reserve(VALUE_BYTES_MAX);
      const digits = digitsOf(value < 0n ? -value : value);
      putInt32(8 + 2 * digits.length);
      // Count of digits, weight of the first, sign, digits behind the point.
      view.setInt16(at, digits.length);
      view.setInt16(at + 2, digits.length - 1);
      view.setUint16(at + 4, value < 0n ? NUMERIC_NEGATIVE : NUMERIC_POSITIVE);
      view.setUint16(at + 6, 0);
      at += 8;
      for (let index = digits.length - 1; index >= 0; index -= 1, at += 2) view.setInt16(at, digits[index]!);
    },
    text(value) {
      reserve(4 + value.length);
      putInt32(value.length);
      bytes.set(value, at);
      at += value.length;
    },
    beginArray(elementType, count, hasNulls) {
      reserve(VALUE_BYTES_MAX);
      arrayAt = at;
      at += 4;
      putInt32(1);
      putInt32(hasNulls ? 1 : 0);
      putInt32(elementType);
      putInt32(count);
      // The lower bound.
      putInt32(1);
    },
    endArray() {
      view.setInt32(arrayAt, at - arrayAt - 4);
    },
    take() {
      const taken = Buffer.from(bytes.subarray(0, at));
      at = 0;
      return taken;
    },
  };
}

/** Digits to the base 10,000 of a number that is not negative, the lowest first; none for 0. */
function digitsOf(value: bigint): number[] {
  const digits: number[] = [];
  let rest = value;
  // Three digits at a time: one division of a long number for each three of a short one.
  for (; rest >= BASE_TO_THE_THIRD; rest /= BASE_TO_THE_THIRD) {
    let three = Number(rest % BASE_TO_THE_THIRD);
    for (let count = 0; count < 3; count += 1, three = Math.floor(three / NUMERIC_BASE)) digits.push(three % NUMERIC_BASE);
  }
  for (let last = Number(rest); last > 0; last = Math.floor(last / NUMERIC_BASE)) digits.push(last % NUMERIC_BASE);
  return digits;
}
