/** A record set read in readable TypeScript: what kernels/lib/record-batch.ts and the decoder over it do together. */
import { EngineError } from '../core/errors.ts';
import { CODEC, type LibraryCodecs } from './codecs.ts';
import { crc32c } from './crc32c.ts';
import { SET_BYTES_MAX } from './fetch-kernel.ts';
import { expandLz4 } from './lz4-twin.ts';
import type { AbortedTransaction, BatchTrouble } from './record-decoder.ts';
import { expandSnappy } from './snappy-twin.ts';

export interface TwinRecord {
  readonly offset: number;
  readonly timeMs: number;
  readonly key: Buffer | null;
  readonly value: Buffer | null;
  readonly headers: readonly (readonly [string, Buffer | null])[];
}

export interface TwinReading {
  readonly records: readonly TwinRecord[];
  readonly nextOffset: number;
  readonly cutBytes: number;
  readonly trouble: Pick<BatchTrouble, 'code' | 'offset'> | undefined;
}

export interface TwinOptions {
  readonly fromOffset: number;
  readonly aborted: readonly AbortedTransaction[];
  readonly codecs: LibraryCodecs;
  readonly isChecked: boolean;
}

interface Batch {
  readonly end: number;
  readonly first: number;
  readonly last: number;
  readonly firstTime: bigint;
  readonly appendTime: bigint;
  readonly attributes: number;
  readonly producer: bigint;
  readonly count: number;
  readonly body: Buffer;
}

const PREFIX_BYTES = 12;
const HEADER_BYTES = 61;

export function readRecordSet(bytes: Buffer, options: TwinOptions): TwinReading {
  const records: TwinRecord[] = [];
  const producers = new Set<bigint>();
  const waiting = [...options.aborted].sort((left, right) => Number(left.firstOffset - right.firstOffset));
  let nextOffset = options.fromOffset;
  for (let at = 0; at < bytes.length; ) {
    const batch = readBatch(bytes.subarray(at), options.isChecked);
    if (batch === 'cut') return { records, nextOffset, cutBytes: bytes.length - at, trouble: undefined };
    if (typeof batch === 'string') return { records, nextOffset, cutBytes: 0, trouble: { code: batch, offset: nextOffset } };
    while (waiting[0] && Number(waiting[0].firstOffset) <= batch.last) producers.add(waiting.shift()!.producerId);
    const isAborted = (batch.attributes & 16) !== 0 && producers.has(batch.producer);
    const isControl = (batch.attributes & 32) !== 0;
    if (isControl && isAbortMarker(batch)) producers.delete(batch.producer);
    if (!isControl && !isAborted && batch.count > 0 && batch.last >= nextOffset) {
      const body = expandBody(batch, options.codecs);
      if (!body) return { records, nextOffset, cutBytes: 0, trouble: { code: 'KAFKA_BATCH_CODEC', offset: batch.first } };
      const listed = readRecords(body, batch);
      const wanted = listed.records.filter(({ offset }) => offset >= nextOffset);
      records.push(...wanted);
      nextOffset = (wanted.at(-1)?.offset ?? nextOffset - 1) + 1;
      if (!listed.isWhole) return { records, nextOffset, cutBytes: 0, trouble: { code: 'KAFKA_BATCH_DAMAGED', offset: batch.first } };
    }
    nextOffset = Math.max(nextOffset, batch.last + 1);
    at += batch.end;
  }
  return { records, nextOffset, cutBytes: 0, trouble: undefined };
}

function readBatch(bytes: Buffer, isChecked: boolean): Batch | 'cut' | BatchTrouble['code'] {
  if (bytes.length < PREFIX_BYTES) return 'cut';
  const length = bytes.readInt32BE(8);
  const end = PREFIX_BYTES + length;
  if (end < HEADER_BYTES) return 'KAFKA_BATCH_DAMAGED';
  if (bytes.length > 16 && bytes[16] !== 2) return 'KAFKA_BATCH_FORMAT';
  if (end > bytes.length) return 'cut';
  if (isChecked && crc32c(bytes.subarray(21, end)) !== bytes.readUInt32BE(17)) return 'KAFKA_BATCH_CHECKSUM';
  const first = bytes.readBigInt64BE(0);
  const lastDelta = bytes.readInt32BE(23);
  const attributes = bytes.readUInt16BE(21);
  const count = bytes.readInt32BE(57);
  if (first < 0n || first >= 2n ** 53n || lastDelta < 0 || count < 0 || (attributes & 7) > CODEC.zstd) return 'KAFKA_BATCH_DAMAGED';
  return {
    end,
    first: Number(first),
    last: Number(first) + lastDelta,
    firstTime: bytes.readBigInt64BE(27),
    appendTime: bytes.readBigInt64BE(35),
    attributes,
    producer: bytes.readBigInt64BE(43),
    count,
    body: bytes.subarray(HEADER_BYTES, end),
  };
}

function isAbortMarker(batch: Batch): boolean {
  const key = readRecords(batch.body, batch).records[0]?.key;
  return key !== undefined && key !== null && key.length >= 4 && key.readUInt16BE(2) === 0;
}

function expandBody({ attributes, body }: Batch, codecs: LibraryCodecs): Buffer | undefined {
  const codec = attributes & 7;
  if (codec === CODEC.none) return body;
  if (codec === CODEC.snappy) return expandSnappy(body);
  if (codec === CODEC.lz4) return expandLz4(body);
  try {
    return Buffer.from(codecs.get(codec)?.(body, SET_BYTES_MAX) ?? []);
  } catch (error) {
    if (!(error instanceof EngineError)) throw error;
    return undefined;
  }
}

/** The batch's records up to the first that is damaged, and whether there is none. */
function readRecords(body: Buffer, batch: Batch): { readonly records: TwinRecord[]; readonly isWhole: boolean } {
  const records: TwinRecord[] = [];
  let at = 0;
  let previous = batch.first - 1;
  while (records.length < batch.count) {
    const length = readVarint(body, at, body.length);
    if (!length || length.value < 0n || length.end + Number(length.value) > body.length) return { records, isWhole: false };
    const end = length.end + Number(length.value);
    const record = readRecord(body.subarray(length.end, end), batch);
    if (!record || record.offset <= previous || record.offset > batch.last) return { records, isWhole: false };
    records.push(record);
    previous = record.offset;
    at = end;
  }
  return { records, isWhole: at === body.length };
}

/** The record that is exactly `bytes`, or undefined. */
function readRecord(bytes: Buffer, batch: Batch): TwinRecord | undefined {
  let at = 1;
  let isDamaged = bytes.length === 0;
  const number = (bits: 32 | 64): bigint => {
    const read = readVarint(bytes, at, bytes.length, bits);
    if (!read) isDamaged = true;
    at = read?.end ?? bytes.length;
    return read?.value ?? -2n;
  };
  const piece = (canBeNull: boolean): Buffer | null => {
    const length = Number(number(32));
    if (length < (canBeNull ? -1 : 0) || at + length > bytes.length) isDamaged = true;
    if (length < 0 || isDamaged) return null;
    at += length;
    return bytes.subarray(at - length, at);
  };
  const timeDelta = number(64);
  const offsetDelta = Number(number(32));
  const key = piece(true);
  const value = piece(true);
  const headerCount = Number(number(32));
  const headers: [string, Buffer | null][] = [];
  for (let index = 0; index < headerCount && !isDamaged; index += 1) {
    const name = piece(false);
    headers.push([String(name), piece(true)]);
  }
  if (isDamaged || offsetDelta < 0 || headerCount < 0 || at !== bytes.length) return undefined;
  const time = batch.attributes & 8 ? batch.appendTime : BigInt.asIntN(64, batch.firstTime + timeDelta);
  return { offset: batch.first + offsetDelta, timeMs: Number(time), key, value, headers };
}

/** A zigzag number of at most `bits` bits from `at`, and where it ends; undefined when it is cut off at `end` or too long. */
function readVarint(bytes: Buffer, at: number, end: number, bits: 32 | 64 = 32): { value: bigint; end: number } | undefined {
  const bytesMax = bits === 32 ? 5 : 10;
  let value = 0n;
  for (let index = 0; index < bytesMax && at + index < end; index += 1) {
    const byte = bytes[at + index]!;
    value |= BigInt(byte & 127) << BigInt(7 * index);
    if (byte < 128) {
      const whole = BigInt.asUintN(bits, value);
      return { value: BigInt.asIntN(bits, whole >> 1n) ^ -(whole & 1n), end: at + index + 1 };
    }
  }
  return undefined;
}
