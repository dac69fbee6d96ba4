// Record batches of format 2, from which records are listed where they lie. The readable twin is engine/kafka-direct/batch-twin.ts.
//
//   batch    0 first offset i64 | 8 bytes that follow i32 | 12 leader epoch i32 | 16 format i8 | 17 CRC32C of all from 21 on u32
//           21 attributes i16 | 23 last offset, as a difference i32 | 27 first time ms i64 | 35 latest time i64 | 43 producer i64
//           51 producer epoch i16 | 53 sequence i32 | 57 records i32 | 61 records, perhaps compressed             (big-endian)
//   record  bytes that follow | attributes u8 | time, as a difference | offset, as a difference | key | value | headers and their count
//           (all numbers varints; lengths of -1 mean null)
//   entry (48 B, one for each record listed, the machine's own byte order)
//            0 offset f64 | 8 time ms f64 | 16 value at u32 | 20 its length i32, -1 null | 24 key at u32 | 28 its length i32, -1 null
//           32 headers at u32 | 36 their bytes u32 | 40 their count i32 | 44 i32 1 when a header says that the value is packed ticks
//
// Every read is checked against the end of the batch before it is made.
import { crc32c } from "./crc32c";

export const ENTRY_BYTES: i32 = 48;
export const BATCH_HEADER_BYTES: u32 = 61;

/** Answers of `openBatch`: what is wrong with a batch begins at BATCH_DAMAGED. */
export const BATCH_CUT: i32 = 0;
export const BATCH_PLAIN: i32 = 1;
export const BATCH_COMPRESSED: i32 = 2;
export const BATCH_CONTROL: i32 = 3;
export const BATCH_EMPTY: i32 = 4;
export const BATCH_DAMAGED: i32 = 16;
export const BATCH_LENGTH: i32 = 16;
export const BATCH_FORMAT: i32 = 17;
export const BATCH_CHECKSUM: i32 = 18;
export const BATCH_VALUES: i32 = 19;

const LENGTH_PREFIX_BYTES: u32 = 12;
const FORMAT: u32 = 2;
const ATTRIBUTE_CODEC: u32 = 7;
const ATTRIBUTE_APPEND_TIME: u32 = 8;
const ATTRIBUTE_TRANSACTIONAL: u32 = 16;
const ATTRIBUTE_CONTROL: u32 = 32;
const OFFSET_LIMIT: i64 = 9007199254740992;

// The header that says that a value is packed ticks: "encoding" and "tickwright-packed-1", as words of the bytes as they lie.
const PACKED_KEY: u64 = 0x676e69646f636e65;
const PACKED_VALUE_FIRST: u64 = 0x676972776b636974;
const PACKED_VALUE_SECOND: u64 = 0x656b6361702d7468;
const PACKED_VALUE_LAST: u32 = 0x00312d64;
const PACKED_KEY_BYTES: i32 = 8;
const PACKED_VALUE_BYTES: i32 = 19;

// The batch that is open.
let firstOffset: i64 = 0;
let lastOffset: i64 = 0;
let firstTime: i64 = 0;
let appendTime: i64 = 0;
let attributes: u32 = 0;
let producer: i64 = 0;
let recordCount: i32 = 0;
let batchEnd: usize = 0;
let bodyAt: usize = 0;

// How far its records are listed.
let cursor: usize = 0;
let recordsEnd: usize = 0;
let recordsLeft: i32 = 0;
let previousOffset: i64 = 0;
let isBroken: bool = false;
// What a record's end was found to be, so that reading a number never goes beyond it.
let limit: usize = 0;
let isPacked: bool = false;

export function batchFirstOffset(): f64 {
  return <f64>firstOffset;
}

export function batchLastOffset(): f64 {
  return <f64>lastOffset;
}

export function batchProducer(): i64 {
  return producer;
}

export function batchIsTransactional(): bool {
  return (attributes & ATTRIBUTE_TRANSACTIONAL) != 0;
}

/** 0 none, 1 gzip, 2 snappy, 3 lz4, 4 zstd. */
export function batchCodec(): i32 {
  return <i32>(attributes & ATTRIBUTE_CODEC);
}

export function batchRecordCount(): i32 {
  return recordCount;
}

export function batchEndAt(): usize {
  return batchEnd;
}

/** The records of the batch as they lie, compressed or not. */
export function batchBodyAt(): usize {
  return bodyAt;
}

export function batchBodyBytes(): u32 {
  return <u32>(batchEnd - bodyAt);
}

/** True when a record of the open batch is not what its lengths say, or the records are not as many as the batch says. */
export function isBatchBroken(): bool {
  return isBroken;
}

export function recordsLeftInBatch(): i32 {
  return recordsLeft;
}

/** Opens the batch at `at`, whose bytes end before `end` or beyond it. Returns what it is. */
export function openBatch(at: usize, end: usize, isChecked: bool): i32 {
  const given = <u32>(end - at);
  recordsLeft = 0;
  isBroken = false;
  if (given < LENGTH_PREFIX_BYTES) return BATCH_CUT;
  const length = bswap<u32>(load<u32>(at, 8));
  if (<i32>length < <i32>(BATCH_HEADER_BYTES - LENGTH_PREFIX_BYTES)) return BATCH_LENGTH;
  // The format stands where older formats have it too, so that a batch of theirs is told apart before its end has come.
  if (given > 16 && load<u8>(at, 16) != FORMAT) return BATCH_FORMAT;
  if (length > given - LENGTH_PREFIX_BYTES) return BATCH_CUT;
  batchEnd = at + <usize>(LENGTH_PREFIX_BYTES + length);
  if (isChecked && crc32c(at + 21, length - 9) != bswap<u32>(load<u32>(at, 17))) return BATCH_CHECKSUM;
  return readBatchHeader(at);
}

function readBatchHeader(at: usize): i32 {
  firstOffset = bswap<i64>(load<i64>(at));
  const lastDelta = <i32>bswap<u32>(load<u32>(at, 23));
  lastOffset = firstOffset + <i64>lastDelta;
  attributes = <u32>bswap<u16>(load<u16>(at, 21));
  firstTime = bswap<i64>(load<i64>(at, 27));
  appendTime = bswap<i64>(load<i64>(at, 35));
  producer = bswap<i64>(load<i64>(at, 43));
  recordCount = <i32>bswap<u32>(load<u32>(at, 57));
  bodyAt = at + BATCH_HEADER_BYTES;
  if (firstOffset < 0 || firstOffset >= OFFSET_LIMIT || lastDelta < 0 || recordCount < 0) return BATCH_VALUES;
  if ((attributes & ATTRIBUTE_CODEC) > 4) return BATCH_VALUES;
  if (attributes & ATTRIBUTE_CONTROL) return BATCH_CONTROL;
  // Compaction keeps the header of a batch none of whose records are left.
  if (recordCount == 0) return BATCH_EMPTY;
  if (attributes & ATTRIBUTE_CODEC) return BATCH_COMPRESSED;
  openRecords(bodyAt, batchBodyBytes());
  return BATCH_PLAIN;
}

/** Begins to list the open batch's records, which lie plain at `at`. */
export function openRecords(at: usize, length: u32): void {
  cursor = at;
  recordsEnd = at + <usize>length;
  recordsLeft = recordCount;
  previousOffset = firstOffset - 1;
  isBroken = false;
}

/**
 * Lists up to `capacity` of the open batch's next records at `entries`, without those before offset `from`. Returns how many. When a record
 * is damaged the listing ends before it, and `isBatchBroken` is true.
 */
export function listRecords(entries: usize, capacity: i32, from: f64): i32 {
  let count = 0;
  const firstWanted = <i64>from;
  while (count < capacity && recordsLeft > 0) {
    if (!readRecord(entries + <usize>count * ENTRY_BYTES)) {
      isBroken = true;
      recordsLeft = 0;
      break;
    }
    recordsLeft -= 1;
    if (previousOffset >= firstWanted) count += 1;
  }
  if (recordsLeft == 0 && !isBroken && cursor != recordsEnd) isBroken = true;
  return count;
}

/** Reads the record at the cursor into `entry` and moves on. Returns false when it is damaged. */
function readRecord(entry: usize): bool {
  limit = recordsEnd;
  const length = readLength();
  if (length < 0 || <usize>length > recordsEnd - cursor) return false;
  limit = cursor + <usize>length;
  if (length == 0) return false;
  cursor += 1;
  const timeDelta = readLong();
  const offsetDelta = readLength();
  const offset = firstOffset + <i64>offsetDelta;
  if (offsetDelta < 0 || offset <= previousOffset || offset > lastOffset) return false;
  const keyLength = readLength();
  if (keyLength < -1 || !has(keyLength)) return false;
  store<u32>(entry, <u32>cursor, 24);
  store<i32>(entry, keyLength, 28);
  if (keyLength > 0) cursor += <usize>keyLength;
  const valueLength = readLength();
  if (valueLength < -1 || !has(valueLength)) return false;
  store<u32>(entry, <u32>cursor, 16);
  store<i32>(entry, valueLength, 20);
  if (valueLength > 0) cursor += <usize>valueLength;
  const headerCount = readLength();
  const headersAt = cursor;
  isPacked = false;
  if (headerCount < 0) return false;
  for (let index = 0; index < headerCount; index += 1) {
    if (!readHeader()) return false;
  }
  if (cursor != limit) return false;
  const time = attributes & ATTRIBUTE_APPEND_TIME ? appendTime : firstTime + timeDelta;
  store<f64>(entry, <f64>offset);
  store<f64>(entry, <f64>time, 8);
  store<u32>(entry, <u32>headersAt, 32);
  store<u32>(entry, <u32>(cursor - headersAt), 36);
  store<i32>(entry, headerCount, 40);
  store<i32>(entry, isPacked ? 1 : 0, 44);
  previousOffset = offset;
  return true;
}

function readHeader(): bool {
  const keyLength = readLength();
  if (keyLength < 0 || !has(keyLength)) return false;
  const key = cursor;
  cursor += <usize>keyLength;
  const valueLength = readLength();
  if (valueLength < -1 || !has(valueLength)) return false;
  if (valueLength == PACKED_VALUE_BYTES && keyLength == PACKED_KEY_BYTES && load<u64>(key) == PACKED_KEY) {
    const isSame = load<u64>(cursor) == PACKED_VALUE_FIRST && load<u64>(cursor, 8) == PACKED_VALUE_SECOND;
    const last = <u32>load<u16>(cursor, 16) | (<u32>load<u8>(cursor, 18) << 16);
    if (isSame && last == PACKED_VALUE_LAST) isPacked = true;
  }
  if (valueLength > 0) cursor += <usize>valueLength;
  return true;
}

/** True when so many bytes are left of the record; a length of null needs none. */
function has(length: i32): bool {
  return length <= 0 || <usize>length <= limit - cursor;
}

/** The next number of 32 bits; i32.MIN_VALUE, which is no length, when it is cut off or too long. */
function readLength(): i32 {
  if (cursor >= limit) return i32.MIN_VALUE;
  let byte = <u32>load<u8>(cursor);
  cursor += 1;
  let value = byte & 127;
  let shift: u32 = 7;
  while (byte > 127) {
    if (cursor >= limit || shift > 28) return i32.MIN_VALUE;
    byte = <u32>load<u8>(cursor);
    cursor += 1;
    value |= (byte & 127) << shift;
    shift += 7;
  }
  return <i32>(value >>> 1) ^ -(<i32>(value & 1));
}

/** The next number of 64 bits. One that is cut off or too long leaves the cursor where what follows cannot be read. */
function readLong(): i64 {
  let value: u64 = 0;
  let shift: u64 = 0;
  while (cursor < limit && shift < 70) {
    const byte = <u64>load<u8>(cursor);
    cursor += 1;
    value |= (byte & 127) << shift;
    if (byte < 128) return <i64>(value >>> 1) ^ -(<i64>(value & 1));
    shift += 7;
  }
  cursor = limit;
  return 0;
}
