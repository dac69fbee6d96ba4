// LZ4 frames, as they stand in record batches. The readable twin is engine/kafka-direct/lz4-twin.ts.
//
//   frame   magic u32 | flags u8 | largest block u8 | [size u64] | [dictionary u32] | header checksum u8
//           blocks: length u32, the highest bit set when stored as it is | bytes | [checksum u32]
//           end: 0 u32 | [checksum u32]
//   block   sequences: token u8, whose halves are lengths | [more length] | literals | offset u16 | [more length]
//
// Its own checksums are passed over: the batch has one over all of it.
import { copyForward } from "./copy";

const MAGIC: u32 = 0x184d2204;
const FLAG_DICTIONARY: u32 = 1;
const FLAG_CONTENT_CHECKSUM: u32 = 4;
const FLAG_CONTENT_SIZE: u32 = 8;
const FLAG_BLOCK_CHECKSUM: u32 = 16;
const VERSION_MASK: u32 = 0xc0;
const VERSION: u32 = 0x40;
const STORED: u32 = 0x80000000;
const MATCH_MIN: u32 = 4;

let blocksAt: usize = 0;
let blockMax: u32 = 0;
let blockTail: u32 = 0;
let frameTail: u32 = 0;

/** No fewer bytes than `length` bytes at `from` hold once expanded; -1 when they are damaged. */
export function lz4Size(from: usize, length: u32): i64 {
  const end = from + <usize>length;
  if (!readHeader(from, end)) return -1;
  let at = blocksAt;
  let sum: i64 = 0;
  while (end - at >= 4) {
    const word = load<u32>(at);
    at += 4;
    if (word == 0) return <u32>(end - at) == frameTail ? sum : -1;
    const bytes = word & ~STORED;
    if (<u64>bytes + <u64>blockTail > <u64>(end - at)) return -1;
    // 255 is the most that one byte of a block can stand for.
    const most = word & STORED ? <u64>bytes : <u64>bytes * 255;
    sum += <i64>(most < <u64>blockMax ? most : <u64>blockMax);
    at += <usize>(bytes + blockTail);
  }
  return -1;
}

/** Expands to `to`, where there is room for `capacity` bytes. Returns how many there were, -1 when the bytes are damaged. */
export function expandLz4(from: usize, length: u32, to: usize, capacity: u32): i32 {
  const end = from + <usize>length;
  const limit = to + <usize>capacity;
  if (!readHeader(from, end)) return -1;
  let at = blocksAt;
  let out = to;
  while (end - at >= 4) {
    const word = load<u32>(at);
    at += 4;
    if (word == 0) return <u32>(end - at) == frameTail ? <i32>(out - to) : -1;
    const bytes = word & ~STORED;
    if (<u64>bytes + <u64>blockTail > <u64>(end - at)) return -1;
    let blockLimit = out + <usize>blockMax;
    if (blockLimit > limit) blockLimit = limit;
    if (word & STORED) {
      if (bytes > <u32>(blockLimit - out)) return -1;
      memory.copy(out, at, <usize>bytes);
      out += <usize>bytes;
    } else {
      // Blocks may refer to those before them.
      out = expandBlock(at, at + <usize>bytes, to, out, blockLimit);
      if (!out) return -1;
    }
    at += <usize>(bytes + blockTail);
  }
  return -1;
}

function readHeader(from: usize, end: usize): bool {
  if (end - from < 7 || load<u32>(from) != MAGIC) return false;
  const flags = <u32>load<u8>(from, 4);
  const descriptor = <u32>load<u8>(from, 5);
  if ((flags & VERSION_MASK) != VERSION || (flags & (FLAG_DICTIONARY | 2)) != 0) return false;
  const sizeCode = descriptor >> 4;
  if (sizeCode < 4 || sizeCode > 7 || (descriptor & 15) != 0) return false;
  blockMax = <u32>1 << (8 + 2 * sizeCode);
  blockTail = flags & FLAG_BLOCK_CHECKSUM ? 4 : 0;
  frameTail = flags & FLAG_CONTENT_CHECKSUM ? 4 : 0;
  blocksAt = from + (flags & FLAG_CONTENT_SIZE ? 15 : 7);
  return blocksAt <= end;
}

/** Expands one block to `to`; matches reach back to `first`. Returns the end of what was written, 0 when the block is damaged. */
function expandBlock(from: usize, end: usize, first: usize, to: usize, limit: usize): usize {
  let at = from;
  let out = to;
  while (at < end) {
    const token = <u32>load<u8>(at);
    at += 1;
    let literals = token >> 4;
    if (literals == 15) {
      while (true) {
        if (at >= end) return 0;
        const more = <u32>load<u8>(at);
        at += 1;
        literals += more;
        if (more != 255) break;
      }
    }
    if (literals > <u32>(end - at) || literals > <u32>(limit - out)) return 0;
    memory.copy(out, at, <usize>literals);
    at += <usize>literals;
    out += <usize>literals;
    // A block ends with literals.
    if (at == end) return out;
    if (end - at < 2) return 0;
    const offset = <u32>load<u16>(at);
    at += 2;
    let length = (token & 15) + MATCH_MIN;
    if (length == 15 + MATCH_MIN) {
      while (true) {
        if (at >= end) return 0;
        const more = <u32>load<u8>(at);
        at += 1;
        length += more;
        if (more != 255) break;
      }
    }
    if (offset == 0 || offset > <u32>(out - first) || length > <u32>(limit - out)) return 0;
    copyForward(out, out - <usize>offset, length);
    out += <usize>length;
  }
  return 0;
}
