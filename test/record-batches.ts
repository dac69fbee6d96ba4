/** Record batches for tests: made as Kafka's clients make them, with codecs of their own where Node has none. */
import { gzipSync } from 'node:zlib';
import { CODEC } from '../engine/kafka-direct/codecs.ts';
import { crc32c } from '../engine/kafka-direct/crc32c.ts';

export interface BatchRecord {
  /** Offset, as a difference from the batch's first. */
  readonly offsetDelta: number;
  readonly timeDelta?: number;
  readonly key?: Uint8Array | null;
  readonly value: Uint8Array | null;
  readonly headers?: readonly (readonly [string, Uint8Array | null])[];
}

export interface BatchPlan {
  readonly firstOffset: number;
  readonly records: readonly BatchRecord[];
  /** Difference of the last offset; that of the last record unless compaction took some. */
  readonly lastDelta?: number;
  readonly codec?: number;
  /** Snappy as the Java client frames it. */
  readonly isStream?: boolean;
  readonly isTransactional?: boolean;
  readonly isControl?: boolean;
  readonly isAppendTime?: boolean;
  readonly producerId?: number;
}

export const FIRST_TIME_MS = 1_760_000_000_000;

export function makeBatch(plan: BatchPlan): Buffer {
  const body = Buffer.concat(plan.records.map(makeRecord));
  const packed = compress(body, plan.codec ?? CODEC.none, plan.isStream ?? false);
  const batch = Buffer.alloc(61 + packed.length);
  const flags = (plan.isAppendTime ? 8 : 0) | (plan.isTransactional ? 16 : 0) | (plan.isControl ? 32 : 0);
  batch.writeBigInt64BE(BigInt(plan.firstOffset), 0);
  batch.writeInt32BE(49 + packed.length, 8);
  batch.writeInt8(2, 16);
  batch.writeInt16BE((plan.codec ?? CODEC.none) | flags, 21);
  batch.writeInt32BE(plan.lastDelta ?? plan.records.at(-1)?.offsetDelta ?? 0, 23);
  batch.writeBigInt64BE(BigInt(FIRST_TIME_MS), 27);
  batch.writeBigInt64BE(BigInt(FIRST_TIME_MS + 777), 35);
  batch.writeBigInt64BE(BigInt(plan.producerId ?? -1), 43);
  batch.writeInt32BE(plan.records.length, 57);
  packed.copy(batch, 61);
  return seal(batch);
}

/** Writes the checksum of a batch that is otherwise done. */
export function seal(batch: Buffer): Buffer {
  batch.writeUInt32BE(crc32c(batch.subarray(21)), 17);
  return batch;
}

/** A marker that ends a transaction. */
export function makeMarker(firstOffset: number, producerId: number, isCommit: boolean): Buffer {
  const key = Buffer.from([0, 0, 0, isCommit ? 1 : 0]);
  const records = [{ offsetDelta: 0, key, value: Buffer.alloc(6) }];
  return makeBatch({ firstOffset, records, isTransactional: true, isControl: true, producerId });
}

function makeRecord({ offsetDelta, timeDelta = 0, key = null, value, headers = [] }: BatchRecord): Buffer {
  const parts = [Buffer.from([0]), varint(timeDelta), varint(offsetDelta), piece(key), piece(value), varint(headers.length)];
  for (const [name, content] of headers) parts.push(piece(Buffer.from(name)), piece(content));
  const record = Buffer.concat(parts);
  return Buffer.concat([varint(record.length), record]);
}

function piece(bytes: Uint8Array | null): Buffer {
  return bytes === null ? varint(-1) : Buffer.concat([varint(bytes.length), bytes]);
}

function varint(value: number): Buffer {
  const bytes: number[] = [];
  let rest = value < 0 ? -2n * BigInt(value) - 1n : 2n * BigInt(value);
  for (; rest > 127n; rest >>= 7n) bytes.push(Number(rest & 127n) | 128);
  return Buffer.from([...bytes, Number(rest)]);
}

function compress(bytes: Buffer, codec: number, isStream: boolean): Buffer {
  if (codec === CODEC.gzip) return gzipSync(bytes);
  if (codec === CODEC.snappy) return isStream ? compressSnappyStream(bytes) : compressSnappy(bytes);
  return codec === CODEC.lz4 ? compressLz4(bytes) : bytes;
}

interface Sequence {
  readonly literals: Buffer;
  /** 0: none. */
  readonly length: number;
  readonly offset: number;
}

const MATCH_BYTES = 6;

/** Literals and matches that make up the bytes; the last has no match. */
function sequences(bytes: Buffer): Sequence[] {
  const seen = new Map<string, number>();
  const found: Sequence[] = [];
  let literalsAt = 0;
  for (let at = 0; at + MATCH_BYTES < bytes.length; ) {
    const word = bytes.toString('latin1', at, at + MATCH_BYTES);
    const before = seen.get(word);
    seen.set(word, at);
    if (before === undefined || at - before > 65_535) {
      at += 1;
      continue;
    }
    let length = MATCH_BYTES;
    while (at + length + MATCH_BYTES < bytes.length && bytes[before + length] === bytes[at + length]) length += 1;
    found.push({ literals: bytes.subarray(literalsAt, at), length, offset: at - before });
    at += length;
    literalsAt = at;
  }
  return [...found, { literals: bytes.subarray(literalsAt), length: 0, offset: 0 }];
}

export function compressSnappy(bytes: Buffer): Buffer {
  const size: number[] = [];
  let rest = bytes.length;
  for (; rest > 127; rest >>>= 7) size.push((rest & 127) | 128);
  const parts: Buffer[] = [Buffer.from([...size, rest])];
  for (const { literals, length, offset } of sequences(bytes)) {
    if (literals.length > 60) parts.push(Buffer.from([61 << 2, (literals.length - 1) & 255, (literals.length - 1) >> 8]), literals);
    else if (literals.length > 0) parts.push(Buffer.from([(literals.length - 1) << 2]), literals);
    for (let left = length; left > 0; ) {
      const part = left > 64 && left < 68 ? 60 : Math.min(left, 64);
      if (part >= 4 && part <= 11 && offset < 2048) parts.push(Buffer.from([1 | ((part - 4) << 2) | ((offset >> 8) << 5), offset & 255]));
      else if (part % 2 === 0) parts.push(Buffer.from([2 | ((part - 1) << 2), offset & 255, offset >> 8]));
      else parts.push(Buffer.from([3 | ((part - 1) << 2), offset & 255, offset >> 8, 0, 0]));
      left -= part;
    }
  }
  return Buffer.concat(parts);
}

/** Blocks of 100 bytes, so that a few records make several. */
function compressSnappyStream(bytes: Buffer): Buffer {
  const parts: Buffer[] = [Buffer.from([0x82, ...Buffer.from('SNAPPY'), 0, 0, 0, 0, 1, 0, 0, 0, 1])];
  for (let at = 0; at < bytes.length; at += 100) {
    const block = compressSnappy(bytes.subarray(at, at + 100));
    const length = Buffer.alloc(4);
    length.writeUInt32BE(block.length);
    parts.push(length, block);
  }
  return Buffer.concat(parts);
}

/** A frame of one block as it is and one compressed, with a content size and checksums that nobody looks at. */
export function compressLz4(bytes: Buffer): Buffer {
  const half = Math.min(bytes.length >> 1, 65_536);
  const header = Buffer.alloc(15);
  header.writeUInt32LE(0x184d2204, 0);
  header.set([0x40 | 16 | 8 | 4, 4 << 4], 4);
  header.writeBigUInt64LE(BigInt(bytes.length), 6);
  const parts: Buffer[] = [header];
  const block = (content: Buffer, isStored: boolean): void => {
    const length = Buffer.alloc(4);
    length.writeUInt32LE(content.length + (isStored ? 2 ** 31 : 0));
    parts.push(length, content, Buffer.from('sum.'));
  };
  if (half > 0) block(bytes.subarray(0, half), true);
  for (let at = half; at < bytes.length; at += 65_536) block(compressLz4Block(bytes.subarray(at, at + 65_536)), false);
  return Buffer.concat([...parts, Buffer.alloc(4), Buffer.from('sum.')]);
}

function compressLz4Block(bytes: Buffer): Buffer {
  const parts: Buffer[] = [];
  for (const { literals, length, offset } of sequences(bytes)) {
    const match = length === 0 ? 0 : length - 4;
    parts.push(Buffer.from([(Math.min(15, literals.length) << 4) | Math.min(15, match), ...lengthBytes(literals.length)]), literals);
    if (length > 0) parts.push(Buffer.from([offset & 255, offset >> 8, ...lengthBytes(match)]));
  }
  return Buffer.concat(parts);
}

function lengthBytes(length: number): number[] {
  if (length < 15) return [];
  return [...Array.from({ length: Math.floor((length - 15) / 255) }, () => 255), (length - 15) % 255];
}
