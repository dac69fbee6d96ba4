// CRC32C, the checksum of Kafka's record batches: eight bytes a step by eight tables, where table t gives what a byte does to the remainder
// when t more bytes follow it. The readable twin is engine/kafka-direct/crc32c.ts.

/** Bytes of the tables: eight of 256 u32. */
export const CRC32C_BYTES: i32 = 8192;

// Castagnoli's polynomial with its bits reversed: the lowest bit is the highest power.
const POLYNOMIAL: u32 = 0x82f63b78;
const TABLE_BYTES: usize = 1024;

let tables: usize = 0;

/** Fills the tables at `at`. */
export function placeCrc32c(at: usize): void {
  tables = at;
  for (let byte: u32 = 0; byte < 256; byte += 1) {
    let remainder = byte;
    for (let bit = 0; bit < 8; bit += 1) remainder = remainder & 1 ? (remainder >>> 1) ^ POLYNOMIAL : remainder >>> 1;
    store<u32>(at + (<usize>byte << 2), remainder);
  }
  for (let byte: usize = 0; byte < 256; byte += 1) {
    let remainder = load<u32>(at + (byte << 2));
    for (let table: usize = 1; table < 8; table += 1) {
      remainder = load<u32>(at + (<usize>(remainder & 255) << 2)) ^ (remainder >>> 8);
      store<u32>(at + table * TABLE_BYTES + (byte << 2), remainder);
    }
  }
}

/** CRC32C of `length` bytes at `from`; reads nothing else. */
export function crc32c(from: usize, length: u32): u32 {
  // A local, which the compiler keeps in a register; it reads a global again at each use.
  const base = tables;
  let remainder: u32 = 0xffffffff;
  let at = from;
  const end = from + <usize>length;
  const wideEnd = from + <usize>(length & ~7);
  while (at < wideEnd) {
    const low = load<u32>(at) ^ remainder;
    const high = load<u32>(at, 4);
    remainder =
      load<u32>(entry(base, low), 7 * TABLE_BYTES) ^ load<u32>(entry(base, low >>> 8), 6 * TABLE_BYTES) ^
      load<u32>(entry(base, low >>> 16), 5 * TABLE_BYTES) ^ load<u32>(entry(base, low >>> 24), 4 * TABLE_BYTES) ^
      load<u32>(entry(base, high), 3 * TABLE_BYTES) ^ load<u32>(entry(base, high >>> 8), 2 * TABLE_BYTES) ^
      load<u32>(entry(base, high >>> 16), TABLE_BYTES) ^ load<u32>(entry(base, high >>> 24));
    at += 8;
  }
  while (at < end) {
    remainder = load<u32>(entry(base, remainder ^ load<u8>(at))) ^ (remainder >>> 8);
    at += 1;
  }
  return remainder ^ 0xffffffff;
}

/** Where the first table has the remainder of a word's lowest byte. */
function entry(base: usize, word: u32): usize {
  return base + (<usize>(word & 255) << 2);
}
