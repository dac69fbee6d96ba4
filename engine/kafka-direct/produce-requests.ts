/**
 * The requests of a producer, byte for byte: Produce, and what transactions and their markers need. All are of flexible versions, the
 * oldest that do, so that every broker since Kafka 2.7 takes them. Answers are given as they are: error codes are the caller's to read.
 *
 * AddPartitionsToTxn is of version 3, the last that is a client's; EndTxn of 3, so that the epoch changes only when the id is initialised.
 */
import { EngineError } from '../core/errors.ts';
import { KAFKA_CODE } from './broker-errors.ts';
import type { WireRequest } from './connection.ts';
import type { Batch } from './produce-queue.ts';
import { createWireWriter, type WireReader, type WireWriter } from './wire.ts';

/** Versions that this lane speaks, by name, for `assertApi`. */
export const PRODUCE_APIS = {
  Produce: { key: 0, version: 9 },
  OffsetFetch: { key: 9, version: 7 },
  FindCoordinator: { key: 10, version: 3 },
  InitProducerId: { key: 22, version: 4 },
  AddPartitionsToTxn: { key: 24, version: 3 },
  AddOffsetsToTxn: { key: 25, version: 3 },
  EndTxn: { key: 26, version: 3 },
  TxnOffsetCommit: { key: 28, version: 3 },
  DescribeConfigs: { key: 32, version: 4 },
} as const;

type ApiName = keyof typeof PRODUCE_APIS;

export interface TransactionIdentity {
  readonly transactionalId: string;
  readonly producerId: bigint;
  readonly epoch: number;
}

/** An answer that is one error code. */
export interface Coded {
  readonly code: number;
  readonly throttleMs: number;
}

export interface ProduceAnswer {
  readonly throttleMs: number;
  codeOf(topic: string, partition: number): number;
}

export interface Coordinator extends Coded {
  readonly brokerId: number;
}

export interface InitialisedProducer extends Coded {
  readonly producerId: bigint;
  readonly epoch: number;
}

export interface GroupOffsets extends Coded {
  /** By partition; one without an offset is left out. */
  readonly offsets: ReadonlyMap<number, number>;
}

function request<Answer>(name: ApiName, write: (writer: WireWriter) => void, read: (reader: WireReader) => Answer): WireRequest<Answer> {
  const writer = createWireWriter();
  write(writer);
  const { key, version } = PRODUCE_APIS[name];
  return { what: name, apiKey: key, version, isFlexible: true, body: [writer.bytes()], read };
}

function writeIdentity(writer: WireWriter, { transactionalId, producerId, epoch }: TransactionIdentity): void {
  writer.compactString(transactionalId);
  writer.int64(producerId);
  writer.int16(epoch);
}

/** Reads a list of topics with their partitions; `readPartition` begins behind the partition's number. */
function readPartitions(reader: WireReader, readPartition: (topic: string, partition: number) => void): void {
  for (let topics = reader.compactCount(); topics > 0; topics -= 1) {
    const topic = reader.compactString() ?? '';
    for (let partitions = reader.compactCount(); partitions > 0; partitions -= 1) {
      readPartition(topic, reader.int32());
      reader.skipTags();
    }
    reader.skipTags();
  }
}

/** The first code that is one, in answers where the caller asks for all or nothing. */
function firstCode(reader: WireReader): number {
  let code: number = KAFKA_CODE.none;
  readPartitions(reader, () => {
    const found = reader.int16();
    if (code === KAFKA_CODE.none) code = found;
  });
  return code;
}

/** Batches of one broker, each of another partition, acknowledged by every replica. Their bytes are sent as they lie. */
export function produceRequest(transactionalId: string | null, batches: readonly Batch[], timeoutMs: number): WireRequest<ProduceAnswer> {
  const byTopic = new Map<string, Batch[]>();
  for (const batch of batches) byTopic.set(batch.topic, [...(byTopic.get(batch.topic) ?? []), batch]);
  const body: Uint8Array[] = [];
  let writer = createWireWriter();
  writer.compactString(transactionalId);
  writer.int16(-1);
  writer.int32(timeoutMs);
  writer.compactCount(byTopic.size);
  for (const [topic, list] of byTopic) {
    writer.compactString(topic);
    writer.compactCount(list.length);
    for (const { partition, bytes } of list) {
      writer.int32(partition);
      writer.compactCount(bytes.length);
      body.push(writer.bytes(), bytes);
      writer = createWireWriter();
      writer.noTags();
    }
    writer.noTags();
  }
  writer.noTags();
  body.push(writer.bytes());
  const { key, version } = PRODUCE_APIS.Produce;
  return { what: 'Produce', apiKey: key, version, isFlexible: true, body, read: readProduce };
}

function readProduce(reader: WireReader): ProduceAnswer {
  const codes = new Map<string, number>();
  readPartitions(reader, (topic, partition) => {
    codes.set(`${partition} ${topic}`, reader.int16());
    // Base offset, append time, first offset of the log.
    reader.skip(24);
    for (let errors = reader.compactCount(); errors > 0; errors -= 1) {
      reader.int32();
      reader.compactString();
      reader.skipTags();
    }
    reader.compactString();
  });
  // A batch that the answer does not name may be stored or not, as on a connection that broke.
  const codeOf = (topic: string, partition: number): number => codes.get(`${partition} ${topic}`) ?? KAFKA_CODE.networkException;
  return { throttleMs: reader.int32(), codeOf };
}

export function findCoordinatorRequest(key: string, kind: 'group' | 'transaction'): WireRequest<Coordinator> {
  return request(
    'FindCoordinator',
    (writer) => {
      writer.compactString(key);
      writer.int8(kind === 'group' ? 0 : 1);
      writer.noTags();
    },
    (reader) => {
      const throttleMs = reader.int32();
      const code = reader.int16();
      reader.compactString();
      return { throttleMs, code, brokerId: reader.int32() };
    },
  );
}

/** Ends whatever transaction the id has open, and gives it another epoch. Without an id: a producer of its own. */
export function initProducerRequest(transactionalId: string | null, timeoutMs: number): WireRequest<InitialisedProducer> {
  return request(
    'InitProducerId',
    (writer) => {
      writer.compactString(transactionalId);
      writer.int32(timeoutMs);
      writer.int64(-1n);
      writer.int16(-1);
      writer.noTags();
    },
    (reader) => ({ throttleMs: reader.int32(), code: reader.int16(), producerId: reader.int64(), epoch: reader.int16() }),
  );
}

export function addPartitionsRequest(identity: TransactionIdentity, topics: ReadonlyMap<string, readonly number[]>): WireRequest<Coded> {
  return request(
    'AddPartitionsToTxn',
    (writer) => {
      writeIdentity(writer, identity);
      writer.compactCount(topics.size);
      for (const [topic, partitions] of topics) {
        writer.compactString(topic);
        writer.compactCount(partitions.length);
        for (const partition of partitions) writer.int32(partition);
        writer.noTags();
      }
      writer.noTags();
    },
    (reader) => ({ throttleMs: reader.int32(), code: firstCode(reader) }),
  );
}

export function addOffsetsRequest(identity: TransactionIdentity, group: string): WireRequest<Coded> {
  return request(
    'AddOffsetsToTxn',
    (writer) => {
      writeIdentity(writer, identity);
      writer.compactString(group);
      writer.noTags();
    },
    (reader) => ({ throttleMs: reader.int32(), code: reader.int16() }),
  );
}

export interface OffsetsToCommit {
  readonly group: string;
  readonly topic: string;
  readonly offsets: ReadonlyMap<number, number>;
}

/** Offsets of a group that nobody joins: without a generation and a member. */
export function commitOffsetsRequest(identity: TransactionIdentity, { group, topic, offsets }: OffsetsToCommit): WireRequest<Coded> {
  return request(
    'TxnOffsetCommit',
    (writer) => {
      writer.compactString(identity.transactionalId);
      writer.compactString(group);
      writer.int64(identity.producerId);
      writer.int16(identity.epoch);
      writer.int32(-1);
      writer.compactString('');
      writer.compactString(null);
      writer.compactCount(1);
      writer.compactString(topic);
      writer.compactCount(offsets.size);
      for (const [partition, offset] of offsets) {
        writer.int32(partition);
        writer.int64(BigInt(offset));
        writer.int32(-1);
        writer.compactString(null);
        writer.noTags();
      }
      writer.noTags();
      writer.noTags();
    },
    (reader) => ({ throttleMs: reader.int32(), code: firstCode(reader) }),
  );
}

export function endTransactionRequest(identity: TransactionIdentity, isCommitted: boolean): WireRequest<Coded> {
  return request(
    'EndTxn',
    (writer) => {
      writeIdentity(writer, identity);
      writer.int8(isCommitted ? 1 : 0);
      writer.noTags();
    },
    (reader) => ({ throttleMs: reader.int32(), code: reader.int16() }),
  );
}

/** Committed offsets of a group; those that an open transaction is moving are answered with `unstableOffsetCommit`. */
export function fetchOffsetsRequest(group: string, topic: string, partitions: readonly number[]): WireRequest<GroupOffsets> {
  return request(
    'OffsetFetch',
    (writer) => {
      writer.compactString(group);
      writer.compactCount(1);
      writer.compactString(topic);
      writer.compactCount(partitions.length);
      for (const partition of partitions) writer.int32(partition);
      writer.noTags();
      writer.int8(1);
      writer.noTags();
    },
    readGroupOffsets,
  );
}

function readGroupOffsets(reader: WireReader): GroupOffsets {
  const throttleMs = reader.int32();
  const offsets = new Map<number, number>();
  let code: number = KAFKA_CODE.none;
  readPartitions(reader, (topic, partition) => {
    const offset = Number(reader.int64());
    reader.int32();
    reader.compactString();
    const found = reader.int16();
    if (code === KAFKA_CODE.none) code = found;
    if (!Number.isSafeInteger(offset))
      throw new EngineError('KAFKA_PROTOCOL', `offset of ${topic}/${partition}: ${offset}, at most 2^53 - 1`);
    if (offset >= 0) offsets.set(partition, offset);
  });
  const groupCode = reader.int16();
  return { throttleMs, code: code === KAFKA_CODE.none ? groupCode : code, offsets };
}
