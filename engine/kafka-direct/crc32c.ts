/** CRC32C, a byte a step: the readable twin of kernels/lib/crc32c.ts, and what checks a few bytes where no kernel is at hand. */

/** Castagnoli's polynomial with its bits reversed: the lowest bit is the highest power. */
const POLYNOMIAL = 0x82f63b78;

/** What a byte does to the remainder. */
const REMAINDERS = Uint32Array.from({ length: 256 }, (_, byte) => {
  let remainder = byte;
  for (let bit = 0; bit < 8; bit += 1) remainder = remainder & 1 ? (remainder >>> 1) ^ POLYNOMIAL : remainder >>> 1;
  return remainder;
});

/** The checksum, 0 to 2^32 - 1. */
export function crc32c(bytes: Uint8Array): number {
  let remainder = 0xffffffff;
  for (const byte of bytes) remainder = REMAINDERS[(remainder ^ byte) & 255]! ^ (remainder >>> 8);
  return (remainder ^ 0xffffffff) >>> 0;
}
