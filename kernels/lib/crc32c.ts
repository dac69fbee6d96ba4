// CRC32C, the checksum of Kafka's record batches. The readable twin is engine/kafka-direct/crc32c.ts.
//
// Bytes are the coefficients of a polynomial over GF(2), and the checksum its remainder by Castagnoli's, P. Few bytes go through tables, eight
// a step: table t gives what a byte does to the remainder when t more bytes follow it.
//
// Many are made fewer first. P divides x^209 + x^144 + x^54 + x^39 + x^14 + 1, and squaring such a sum squares each of its terms, so P also
// divides it with every exponent times 128. A word of 128 bits may therefore be taken out, if it is added to the words 65, 155, 170, 195 and
// 209 places behind it instead (209 less each exponent): what is left in the end are the last 209 words, for the tables. No six terms of a
// lower degree will do, and fewer terms begin at degrees of thousands.
//
//   area ─ eight tables of 256 u32 │ the 209 words before a run of words, as they were when taken out │ those of the run

/** Words that are left, and how far each word that is taken out reaches. */
const LEFT: usize = 209;
const REACH_1: usize = 65;
const REACH_2: usize = 155;
const REACH_3: usize = 170;
const REACH_4: usize = 195;
const WORD: usize = 16;
const LEFT_BYTES: usize = LEFT * WORD;
/** Words of a run: all of its area stays in the nearest cache. */
const RUN: usize = 512;
/** From so many bytes on taking out words is the shorter way. */
const MANY: u32 = 5120;

const TABLE_BYTES: usize = 1024;
const TABLES_BYTES: usize = 8 * TABLE_BYTES;
/** Bytes of the area. */
export const CRC32C_BYTES: i32 = <i32>(TABLES_BYTES + LEFT_BYTES + RUN * WORD);

// Castagnoli's polynomial with its bits reversed: the lowest bit is the highest power.
const POLYNOMIAL: u32 = 0x82f63b78;

let tables: usize = 0;

/** Fills the tables of the area at `at`. */
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
  if (length < MANY) return follow(0xffffffff, from, length) ^ 0xffffffff;
  const words = <usize>(length >>> 4);
  const left = takeOut(from, words - LEFT);
  const remainder = follow(0, left, <u32>LEFT_BYTES);
  return follow(remainder, from + words * WORD, length & 15) ^ 0xffffffff;
}

/** Where a remainder comes to over `length` more bytes. */
function follow(remainder: u32, from: usize, length: u32): u32 {
  // A local, which the compiler keeps in a register; it reads a global again at each use.
  const base = tables;
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
  return remainder;
}

/** Where the first table has the remainder of a word's lowest byte. */
function entry(base: usize, word: u32): usize {
  return base + (<usize>(word & 255) << 2);
}

/** Takes the `count` words at `from` out, and returns where the LEFT words behind them stand, with what those were added. */
function takeOut(from: usize, count: usize): usize {
  const before = tables + TABLES_BYTES;
  const run = before + LEFT_BYTES;
  memory.fill(before, 0, LEFT_BYTES);
  // The remainder begins as ones: they reach the first word, and no other.
  store<u32>(before, 0xffffffff);
  let at = from;
  const end = from + count * WORD;
  while (at < end) {
    const bytes = min(end - at, RUN * WORD);
    takeRun(at, run, bytes);
    memory.copy(before, before + bytes, LEFT_BYTES);
    at += bytes;
  }
  memory.copy(run, at, LEFT_BYTES);
  addReach(run, REACH_1);
  addReach(run, REACH_2);
  addReach(run, REACH_3);
  addReach(run, REACH_4);
  addReach(run, LEFT);
  return run;
}

function takeRun(from: usize, run: usize, bytes: usize): void {
  const end = run + bytes;
  const pairsEnd = run + (bytes & ~(2 * WORD - 1));
  let at = from;
  let p = run;
  while (p < pairsEnd) {
    v128.store(p, v128.xor(v128.load(at), reaching(p)));
    v128.store(p, v128.xor(v128.load(at, WORD), reaching(p + WORD)), WORD);
    at += 2 * WORD;
    p += 2 * WORD;
  }
  if (p < end) v128.store(p, v128.xor(v128.load(at), reaching(p)));
}

/** The sum of the words taken out that reach the one at `p`. */
function reaching(p: usize): v128 {
  const near = v128.xor(v128.load(p - REACH_1 * WORD), v128.load(p - REACH_2 * WORD));
  const far = v128.xor(v128.load(p - REACH_3 * WORD), v128.load(p - REACH_4 * WORD));
  return v128.xor(v128.xor(near, far), v128.load(p - LEFT * WORD));
}

/** Adds words before the run to those of the first `reach` of the run that they reach; none of the run is taken out. */
function addReach(run: usize, reach: usize): void {
  const end = run + reach * WORD;
  for (let p = run; p < end; p += WORD) v128.store(p, v128.xor(v128.load(p), v128.load(p - reach * WORD)));
}
