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
  let remainder: u32 = 0xffffffff;
  let at = from;
  const end = from + <usize>length;
  const wideEnd = from + <usize>(length & ~7);
  while (at < wideEnd) {
    const low = load<u32>(at) ^ remainder;
    const high = load<u32>(at, 4);
    remainder =
      entry(7, low) ^ entry(6, low >>> 8) ^ entry(5, low >>> 16) ^ entry(4, low >>> 24) ^
      entry(3, high) ^ entry(2, high >>> 8) ^ entry(1, high >>> 16) ^ entry(0, high >>> 24);
    at += 8;
  }
  while (at < end) {
    remainder = entry(0, remainder ^ load<u8>(at)) ^ (remainder >>> 8);
    at += 1;
  }
  return remainder ^ 0xffffffff;
}

function entry(table: usize, word: u32): u32 {
  return load<u32>(tables + table * TABLE_BYTES + (<usize>(word & 255) << 2));
}
