/**
 * Kafka's record batch, format 2, in readable TypeScript, for messages that are few: dead letters, and the twin of the produce kernel. The
 * bytes are drawn in kernels/lib/produce-batch.ts.
 */
import { CODEC } from './codecs.ts';
import { crc32c } from './crc32c.ts';
import { compressLz4 } from './lz4-write-twin.ts';

export const BATCH_HEADER_BYTES = 61;
const FORMAT = 2;
const CRC_FROM = 21;
const TRANSACTIONAL = 0x10;

export interface BatchHeader {
  readonly name: string;
  readonly value: Buffer;
}

export interface BatchRecord {
  readonly key: Buffer;
  readonly value: Buffer;
  readonly headers: readonly BatchHeader[];
}

/** Whose batch it is, so that brokers can tell a repeated one and a missing one. */
export interface ProducerIdentity {
  readonly producerId: bigint;
  readonly epoch: number;
  readonly isTransactional: boolean;
}

/** `lz4`: where that makes the records of a batch shorter. */
export type Compression = 'none' | 'lz4';

/** Records of more bytes than this are not compressed. */
export const PACKED_BYTES_MAX = 1_048_576;

export interface BatchOptions {
  readonly identity: ProducerIdentity;
  /** Of the first record, 0 to 2^31 - 1. */
  readonly sequence: number;
  /** Of every record, ms since the Unix epoch. */
  readonly timestampMs: number;
  /** `none` unless given. */
  readonly compression?: Compression;
}

/** A batch of at least one record. */
export function encodeRecordBatch(records: readonly BatchRecord[], options: BatchOptions): Buffer {
  const plain = Buffer.concat(records.map((record, index) => encodeRecord(record, index)));
  const packed = options.compression === 'lz4' && plain.length <= PACKED_BYTES_MAX ? compressLz4(plain) : undefined;
  const batch = Buffer.concat([Buffer.alloc(BATCH_HEADER_BYTES), packed ?? plain]);
  const timestamp = BigInt(options.timestampMs);
  batch.writeInt32BE(batch.length - 12, 8);
  batch.writeInt32BE(-1, 12);
  batch.writeInt8(FORMAT, 16);
  batch.writeInt16BE((options.identity.isTransactional ? TRANSACTIONAL : 0) | (packed ? CODEC.lz4 : CODEC.none), 21);
  batch.writeInt32BE(records.length - 1, 23);
  batch.writeBigInt64BE(timestamp, 27);
  batch.writeBigInt64BE(timestamp, 35);
  batch.writeBigInt64BE(options.identity.producerId, 43);
  batch.writeInt16BE(options.identity.epoch, 51);
  batch.writeInt32BE(options.sequence, 53);
  batch.writeInt32BE(records.length, 57);
  batch.writeUInt32BE(crc32c(batch.subarray(CRC_FROM)), 17);
  return batch;
}

/** The most that a record takes in a batch. */
export function recordBytesMax({ key, value, headers }: BatchRecord): number {
  const headerBytes = headers.reduce((sum, header) => sum + 10 + Buffer.byteLength(header.name) + header.value.length, 0);
  return 32 + key.length + value.length + headerBytes;
}

function encodeRecord({ key, value, headers }: BatchRecord, offsetDelta: number): Buffer {
  const body = Buffer.concat([
    Buffer.of(0, 0),
    varint(offsetDelta),
    sized(key),
    sized(value),
    varint(headers.length),
    ...headers.flatMap((header) => [sized(Buffer.from(header.name)), sized(header.value)]),
  ]);
  return sized(body);
}

function sized(bytes: Buffer): Buffer {
  return Buffer.concat([varint(bytes.length), bytes]);
}

/** A number that is not negative, as a varint: seven bits a byte, lowest first, the sign in the lowest bit. */
function varint(value: number): Buffer {
  const bytes: number[] = [];
  let rest = value * 2;
  for (; rest > 127; rest = Math.floor(rest / 128)) bytes.push((rest % 128) + 128);
  bytes.push(rest);
  return Buffer.from(bytes);
}
