// Kafka's record batch, format 2, of bars. All numbers are big-endian, but for the varints of records.
//
//   0 base offset 8 │ 8 bytes that follow 4 │ 12 leader epoch 4 │ 16 format 1 │ 17 CRC32C of all that follows 4 │ 21 attributes 2
//   23 last offset delta 4 │ 27 first timestamp 8 │ 35 last timestamp 8 │ 43 producer id 8 │ 51 producer epoch 2 │ 53 sequence 4 │ 57 records 4
//   61 records: length, attributes 1, timestamp delta, offset delta, key length, key, value length, value, count of headers
import { crc32c } from "./crc32c";
import { writeLz4 } from "./lz4-write";
import { NAME_LENGTH, PAYLOAD_BYTES_MAX, writePayload } from "./encode-payload";

export const BATCH_HEADER_BYTES: i32 = 61;
/** A payload, a key of at most 40 bytes, and the numbers between. */
export const RECORD_BYTES_MAX: i32 = PAYLOAD_BYTES_MAX + 64;

const FORMAT: u8 = 2;
const CRC_FROM: usize = 21;
/** Attributes of a batch that belongs to a transaction, and of one whose records are compressed by LZ4; big-endian. */
const TRANSACTIONAL: u16 = 0x1000;
const LZ4: u16 = 0x0300;

let producerId: i64 = -1;
let producerEpoch: i32 = -1;
let attributes: u16 = 0;
/** Where records are compressed; 0: they are not. */
let packed: usize = 0;
let packedMax: u32 = 0;

/** Says whose batches the next ones are. */
export function setProducer(id: i64, epoch: i32, isTransactional: i32): void {
  producerId = id;
  producerEpoch = epoch;
  attributes = isTransactional != 0 ? TRANSACTIONAL : 0;
}

/** From now on records of at most `bytesMax` bytes are compressed where that makes them shorter, by way of `at`. At 0 none are. */
export function setPacking(at: usize, bytesMax: u32): void {
  packed = at;
  packedMax = bytesMax;
}

/** Compresses the records of the batch at `start` that end at `end`, where that makes them shorter; returns where they end then. */
export function packBatch(start: usize, end: usize): usize {
  const records = start + <usize>BATCH_HEADER_BYTES;
  const length = <u32>(end - records);
  store<u16>(start, attributes, 21);
  if (packed == 0 || length > packedMax) return end;
  const written = writeLz4(records, length, packed);
  if (written == 0) return end;
  memory.copy(records, packed, <usize>written);
  store<u16>(start, attributes | LZ4, 21);
  return records + <usize>written;
}

/** A number of two bytes as a varint: 64 to 8191, as are the lengths of every payload and of every record. */
function writeVarint2(p: usize, value: i32): void {
  const zigzag = <u32>value << 1;
  store<u16>(p, <u16>((zigzag & 127) | 128 | ((zigzag >> 7) << 8)));
}

/** A number that is not negative, as a varint. */
function writeVarint(p: usize, value: i32): usize {
  let zigzag = <u32>value << 1;
  while (zigzag > 127) {
    store<u8>(p++, <u8>((zigzag & 127) | 128));
    zigzag >>= 7;
  }
  store<u8>(p, <u8>zigzag);
  return p + 1;
}

/** A record without headers, whose timestamp is the batch's. Lengths stand before what they count: each takes two bytes, filled in behind. */
export function writeRecord(start: usize, name: usize, bar: usize, offsetDelta: i32): usize {
  let p = start + 2;
  store<u16>(p, 0);
  p = writeVarint(p + 2, offsetDelta);
  const keyBytes = load<i32>(name, NAME_LENGTH);
  p = writeVarint(p, keyBytes);
  v128.store(p, v128.load(name, 4));
  v128.store(p, v128.load(name, 20), 16);
  store<u64>(p, load<u64>(name, 36), 32);
  p += <usize>keyBytes;
  const payload = p + 2;
  p = writePayload(payload, name, bar);
  writeVarint2(payload - 2, <i32>(p - payload));
  store<u8>(p, 0);
  p += 1;
  writeVarint2(start, <i32>(p - start) - 2);
  return p;
}

/** Writes the header of a batch of `bytes` bytes at `start`, whose records and attributes are there already. */
export function closeBatch(start: usize, bytes: i32, records: i32, sequence: i32, timestampMs: i64): void {
  const timestamp = bswap<u64>(<u64>timestampMs);
  store<u64>(start, 0);
  store<u32>(start, bswap<u32>(<u32>(bytes - 12)), 8);
  store<i32>(start, -1, 12);
  store<u8>(start, FORMAT, 16);
  store<u32>(start, bswap<u32>(<u32>(records - 1)), 23);
  store<u64>(start, timestamp, 27);
  store<u64>(start, timestamp, 35);
  store<u64>(start, bswap<u64>(<u64>producerId), 43);
  store<u16>(start, bswap<u16>(<u16>producerEpoch), 51);
  store<u32>(start, bswap<u32>(<u32>sequence), 53);
  store<u32>(start, bswap<u32>(<u32>records), 57);
  store<u32>(start, bswap<u32>(crc32c(start + CRC_FROM, bytes - <i32>CRC_FROM)), 17);
}
