// Snappy, as it stands in record batches: one raw block, or the Java client's stream of blocks (a header of 16 bytes, then blocks with
// their lengths before them, big-endian). The readable twin is engine/kafka-direct/snappy-twin.ts.
//
//   block   length of what it holds, as a varint; then elements, told apart by the two lowest bits of their first byte:
//           00 literal | 01 copy of 4 to 11 bytes, offset of 11 bits | 10 copy, offset of 16 bits | 11 copy, offset of 32 bits
import { copyForward } from "./copy";

const STREAM_HEADER_BYTES: u32 = 16;
// The bytes 82 53 4e 41 50 50 59 00: a byte that is no ASCII, "SNAPPY", a zero.
const STREAM_MAGIC: u64 = 0x00595050414e5382;
const LENGTH_BYTES_MAX: u32 = 5;
// Three bytes stand for 64 at most: a block that says it holds more is damaged, and need not be given the room.
const EXPANSION_MAX: i64 = 22;

// Where the length of a block ends, after `blockLength`.
let cursor: usize = 0;

/** Bytes that `length` bytes at `from` hold once expanded; -1 when they are damaged. */
export function snappySize(from: usize, length: u32): i64 {
  if (!isStream(from, length)) return blockLength(from, from + <usize>length);
  const end = from + <usize>length;
  let at = from + STREAM_HEADER_BYTES;
  let sum: i64 = 0;
  while (at < end) {
    const blockEnd = endOfBlock(at, end);
    if (!blockEnd) return -1;
    const size = blockLength(at + 4, blockEnd);
    if (size < 0) return -1;
    sum += size;
    at = blockEnd;
  }
  return sum;
}

/** Expands to `to`, where there is room for `capacity` bytes. Returns how many there were, -1 when the bytes are damaged. */
export function expandSnappy(from: usize, length: u32, to: usize, capacity: u32): i32 {
  const limit = to + <usize>capacity;
  if (!isStream(from, length)) {
    const outEnd = expandBlock(from, from + <usize>length, to, limit);
    return outEnd ? <i32>(outEnd - to) : -1;
  }
  const end = from + <usize>length;
  let at = from + STREAM_HEADER_BYTES;
  let out = to;
  while (at < end) {
    const blockEnd = endOfBlock(at, end);
    if (!blockEnd) return -1;
    out = expandBlock(at + 4, blockEnd, out, limit);
    if (!out) return -1;
    at = blockEnd;
  }
  return <i32>(out - to);
}

function isStream(from: usize, length: u32): bool {
  return length >= STREAM_HEADER_BYTES && load<u64>(from) == STREAM_MAGIC;
}

/** End of the block whose length stands at `at`, 0 when it does not lie before `end`. */
function endOfBlock(at: usize, end: usize): usize {
  if (end - at < 4) return 0;
  const length = bswap<u32>(load<u32>(at));
  return length <= <u32>(end - at - 4) ? at + 4 + <usize>length : 0;
}

/** What the block at `from` says it holds, -1 when that is cut off or no number of 32 bits. */
function blockLength(from: usize, end: usize): i64 {
  let value: u64 = 0;
  for (let index: u32 = 0; index < LENGTH_BYTES_MAX; index += 1) {
    const at = from + <usize>index;
    if (at >= end) return -1;
    const byte = <u64>load<u8>(at);
    value |= (byte & 127) << (7 * index);
    if (byte < 128) {
      cursor = at + 1;
      return <i64>value <= <i64>(end - from) * EXPANSION_MAX ? <i64>value : -1;
    }
  }
  return -1;
}

/** Expands one block; returns the end of what was written, 0 when the block is damaged or larger than the room. */
function expandBlock(from: usize, end: usize, to: usize, limit: usize): usize {
  const size = blockLength(from, end);
  if (size < 0 || <u64>size > <u64>(limit - to)) return 0;
  const outEnd = to + <usize>size;
  let at = cursor;
  let out = to;
  while (at < end) {
    const tag = <u32>load<u8>(at);
    at += 1;
    const kind = tag & 3;
    if (kind == 0) {
      let length = tag >> 2;
      if (length >= 60) {
        const bytes = length - 59;
        if (<u32>(end - at) < bytes) return 0;
        length = littleEndian(at, bytes);
        at += <usize>bytes;
      }
      // A length of 2^32 - 1 and one more would be 0.
      if (length >= <u32>(end - at) || length >= <u32>(outEnd - out)) return 0;
      length += 1;
      memory.copy(out, at, <usize>length);
      at += <usize>length;
      out += <usize>length;
      continue;
    }
    const bytes: u32 = kind == 3 ? 4 : kind;
    if (<u32>(end - at) < bytes) return 0;
    let offset = littleEndian(at, bytes);
    at += <usize>bytes;
    let length = (tag >> 2) + 1;
    if (kind == 1) {
      length = ((tag >> 2) & 7) + 4;
      offset |= (tag >> 5) << 8;
    }
    if (offset == 0 || offset > <u32>(out - to) || length > <u32>(outEnd - out)) return 0;
    copyForward(out, out - <usize>offset, length);
    out += <usize>length;
  }
  return out == outEnd ? out : 0;
}

/** A number of 1 to 4 bytes, the lowest first. */
function littleEndian(at: usize, bytes: u32): u32 {
  let value: u32 = 0;
  for (let index: u32 = 0; index < bytes; index += 1) value |= <u32>load<u8>(at + <usize>index) << (8 * index);
  return value;
}
