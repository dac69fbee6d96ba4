/** A growing list of `bar` records, reused from epoch to epoch. */
import { BAR_SIZE } from '../../../schemas/layout.gen.ts';
import { EngineError } from '../../core/errors.ts';

export const BAR_WORDS = BAR_SIZE >> 2;
const FIRST_CAPACITY = 1024;
/** Half a GiB: an epoch that needs more means a FLUSH_MS far too long for the rate. */
const CAPACITY_MAX = 4_194_304;

export interface RecordList {
  readonly length: number;
  /** Views of the same bytes; replaced when the list grows, so they are fetched anew after `append`. Record `i` starts at word `i * 32`. */
  readonly i32: Int32Array;
  readonly f64: Float64Array;
  readonly i64: BigInt64Array;
  /** Copies `count` records from `source`, the first at word `sourceIndex`. @throws EngineError EPOCH_TOO_LARGE */
  append(source: Int32Array, sourceIndex: number, count: number): void;
  clear(): void;
}

export function createRecordList(): RecordList {
  let capacity = FIRST_CAPACITY;
  let length = 0;
  let i32 = new Int32Array(capacity * BAR_WORDS);
  let f64 = new Float64Array(i32.buffer);
  let i64 = new BigInt64Array(i32.buffer);

  const grow = (needed: number): void => {
    if (needed > CAPACITY_MAX) {
      throw new EngineError('EPOCH_TOO_LARGE', `one epoch has ${needed} records, at most ${CAPACITY_MAX}; lower FLUSH_MS`);
    }
    while (capacity < needed) capacity *= 2;
    const larger = new Int32Array(capacity * BAR_WORDS);
    larger.set(i32.subarray(0, length * BAR_WORDS));
    i32 = larger;
    f64 = new Float64Array(i32.buffer);
    i64 = new BigInt64Array(i32.buffer);
  };

  return {
    get length() {
      return length;
    },
    get i32() {
      return i32;
    },
    get f64() {
      return f64;
    },
    get i64() {
      return i64;
    },
    append(source, sourceIndex, count) {
      if (length + count > capacity) grow(length + count);
      i32.set(source.subarray(sourceIndex, sourceIndex + count * BAR_WORDS), length * BAR_WORDS);
      length += count;
    },
    clear() {
      length = 0;
    },
  };
}
