// Writes LZ4 frames as record batches hold them: blocks of 64 KiB that do not refer to each other, no checksums but the header's. The format is
// drawn in lz4.ts; the readable twin is engine/kafka-direct/lz4-write-twin.ts.
//
// A block is gone through once. A table has the last place of each four bytes that were looked at, by a hash of them; what is found there is
// compared, so that a place of other bytes, or the zero of an empty entry, does no harm. Where nothing is found for long, steps grow.

/** u16 places in a block, by hash. */
export const LZ4_TABLE_BYTES: i32 = 16_384;
const HASH_SHIFT: u32 = 19;
const HASH_FACTOR: u32 = 2654435761;
const BLOCK_BYTES: u32 = 65_536;
/** A frame may be longer than what it holds by this before it is given up, beside a block and the lengths of its literals. */
export const LZ4_SLACK_BYTES: i32 = 66_560;

const MAGIC: u32 = 0x184d2204;
/** Version 1, blocks apart, of 64 KiB at most; and the second byte of the xxHash32 of these two. */
const FLAGS: u8 = 0x60;
const DESCRIPTOR: u8 = 0x40;
const HEADER_CHECKSUM: u8 = 0x82;
const STORED: u32 = 0x80000000;
const MATCH_MIN: u32 = 4;
/** No match begins nearer to the end of a block, and the last bytes of it are literals. */
const LAST_START: usize = 12;
const LAST_LITERALS: usize = 5;

let table: usize = 0;

/** Says where the table is. */
export function placeLz4(at: usize): void {
  table = at;
}

/**
 * Writes a frame of `length` bytes at `from` to `to`, where `length` and LZ4_SLACK_BYTES have room. Returns its length, 0 when it would not be
 * shorter than what it holds.
 */
export function writeLz4(from: usize, length: u32, to: usize): u32 {
  const end = from + <usize>length;
  const limit = to + <usize>length;
  store<u32>(to, MAGIC);
  store<u8>(to, FLAGS, 4);
  store<u8>(to, DESCRIPTOR, 5);
  store<u8>(to, HEADER_CHECKSUM, 6);
  let out = to + 7;
  for (let at = from; at < end; at += <usize>BLOCK_BYTES) {
    const rest = <u32>(end - at);
    const bytes = rest < BLOCK_BYTES ? rest : BLOCK_BYTES;
    const written = <u32>(writeBlock(at, bytes, out + 4) - (out + 4));
    if (written < bytes) {
      store<u32>(out, written);
      out += <usize>(4 + written);
    } else {
      store<u32>(out, bytes | STORED);
      memory.copy(out + 4, at, <usize>bytes);
      out += <usize>(4 + bytes);
    }
    if (out + 4 >= limit) return 0;
  }
  store<u32>(out, 0);
  out += 4;
  return out < limit ? <u32>(out - to) : 0;
}

/** Writes the block of `length` bytes at `from` to `to`; returns the end of what was written. */
function writeBlock(from: usize, length: u32, to: usize): usize {
  const end = from + <usize>length;
  let out = to;
  let anchor = from;
  memory.fill(table, 0, <usize>LZ4_TABLE_BYTES);
  for (let at = from + 1; at + LAST_START <= end; ) {
    const four = load<u32>(at);
    const entry = table + (<usize>((four * HASH_FACTOR) >> HASH_SHIFT) << 1);
    const candidate = from + <usize>load<u16>(entry);
    store<u16>(entry, <u16>(at - from));
    if (load<u32>(candidate) != four) {
      at += 1 + ((at - anchor) >> 6);
      continue;
    }
    const matchEnd = endOfMatch(candidate, at, end - LAST_LITERALS);
    const token = out;
    out = writeLiterals(token, anchor, <u32>(at - anchor));
    store<u16>(out, <u16>(at - candidate));
    out = writeMatchLength(token, out + 2, <u32>(matchEnd - at) - MATCH_MIN);
    at = matchEnd;
    anchor = matchEnd;
  }
  return writeLiterals(out, anchor, <u32>(end - anchor));
}

/** How far the bytes behind the first four at `at` are those behind `candidate`. */
function endOfMatch(candidate: usize, at: usize, limit: usize): usize {
  let left = candidate + <usize>MATCH_MIN;
  let right = at + <usize>MATCH_MIN;
  while (right + 8 <= limit) {
    const difference = load<u64>(left) ^ load<u64>(right);
    if (difference != 0) return right + <usize>(ctz(difference) >> 3);
    left += 8;
    right += 8;
  }
  while (right < limit && load<u8>(left) == load<u8>(right)) {
    left += 1;
    right += 1;
  }
  return right;
}

/** A token with its upper half, and `count` literals; returns their end. */
function writeLiterals(token: usize, from: usize, count: u32): usize {
  store<u8>(token, <u8>((count < 15 ? count : 15) << 4));
  const out = count < 15 ? token + 1 : writeMore(token + 1, count - 15);
  memory.copy(out, from, <usize>count);
  return out + <usize>count;
}

/** The lower half of a token, and the rest of it at `out`; returns its end. */
function writeMatchLength(token: usize, out: usize, extra: u32): usize {
  store<u8>(token, <u8>(<u32>load<u8>(token) | (extra < 15 ? extra : 15)));
  return extra < 15 ? out : writeMore(out, extra - 15);
}

/** A length in bytes of 255 and one of less. */
function writeMore(out: usize, length: u32): usize {
  let rest = length;
  for (; rest >= 255; rest -= 255) store<u8>(out++, 255);
  store<u8>(out, <u8>rest);
  return out + 1;
}
