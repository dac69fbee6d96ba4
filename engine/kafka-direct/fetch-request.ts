/** The Fetch API, version 12: the last that names topics by name, and one that every broker since 2.7 has. */
import type { WireRequest } from './connection.ts';
import type { AbortedTransaction } from './record-decoder.ts';
import { createWireWriter, type WireReader } from './wire.ts';

export const FETCH = { key: 1, version: 12 } as const;

export interface FetchPartition {
  readonly partition: number;
  readonly offset: number;
  /** Of its leader, as metadata gave it; -1: not known. A broker that has another one refuses. */
  readonly leaderEpoch: number;
  readonly bytesMax: number;
}

export interface FetchRequest {
  readonly topic: string;
  readonly partitions: readonly FetchPartition[];
  /** How long the broker may wait until there is a byte, ms. */
  readonly waitMs: number;
  /** Of the whole answer; one batch may be larger than this and than a partition's. */
  readonly bytesMax: number;
  /** Whether what is not committed is left out. */
  readonly isCommittedOnly: boolean;
}

export interface FetchedPartition {
  readonly partition: number;
  /** An error code of Kafka, 0 for none. */
  readonly error: number;
  /** Offset behind what readers may see: the last stable one where only what is committed is read. */
  readonly endOffset: number;
  readonly startOffset: number;
  readonly aborted: readonly AbortedTransaction[];
  /** The records as they came, cut into chunks anywhere. */
  readonly chunks: readonly Uint8Array[];
}

export interface FetchAnswer {
  readonly throttleMs: number;
  /** Of the request as a whole, 0 for none. */
  readonly error: number;
  readonly partitions: readonly FetchedPartition[];
}

const READER = -1;
const NO_SESSION = 0;
const FULL_EPOCH = -1;
const READ_COMMITTED = 1;

export function fetchRequest(request: FetchRequest): WireRequest<FetchAnswer> {
  return {
    what: `Fetch of ${request.topic}`,
    apiKey: FETCH.key,
    version: FETCH.version,
    isFlexible: true,
    body: [fetchBody(request)],
    read: (answer) => readAnswer(answer, request.isCommittedOnly),
  };
}

function fetchBody({ topic, partitions, waitMs, bytesMax, isCommittedOnly }: FetchRequest): Uint8Array {
  const writer = createWireWriter();
  for (const value of [READER, waitMs, 1, bytesMax]) writer.int32(value);
  writer.int8(isCommittedOnly ? READ_COMMITTED : 0);
  writer.int32(NO_SESSION);
  writer.int32(FULL_EPOCH);
  writer.compactCount(1);
  writer.compactString(topic);
  writer.compactCount(partitions.length);
  for (const wanted of partitions) {
    writer.int32(wanted.partition);
    writer.int32(wanted.leaderEpoch);
    writer.int64(BigInt(wanted.offset));
    // The epoch of the last record and the start of the log are for followers.
    writer.int32(-1);
    writer.int64(-1n);
    writer.int32(wanted.bytesMax);
    writer.noTags();
  }
  writer.noTags();
  // No topics of a session to be forgotten, no rack.
  writer.compactCount(0);
  writer.compactString('');
  writer.noTags();
  return writer.bytes();
}

function readAnswer(answer: WireReader, isCommittedOnly: boolean): FetchAnswer {
  const throttleMs = answer.int32();
  const error = answer.int16();
  answer.int32();
  const partitions: FetchedPartition[] = [];
  for (let topics = answer.compactCount(); topics > 0; topics -= 1) {
    answer.compactString();
    for (let count = answer.compactCount(); count > 0; count -= 1) partitions.push(readPartition(answer, isCommittedOnly));
    answer.skipTags();
  }
  answer.skipTags();
  return { throttleMs, error, partitions };
}

function readPartition(answer: WireReader, isCommittedOnly: boolean): FetchedPartition {
  const partition = answer.int32();
  const error = answer.int16();
  const highWatermark = Number(answer.int64());
  const lastStable = Number(answer.int64());
  const startOffset = Number(answer.int64());
  const aborted: AbortedTransaction[] = [];
  for (let count = answer.compactCount(); count > 0; count -= 1) {
    aborted.push({ producerId: answer.int64(), firstOffset: answer.int64() });
    answer.skipTags();
  }
  // A replica that would rather be read from: only a rack makes it one.
  answer.int32();
  const chunks = answer.take(Math.max(0, answer.compactCount()));
  answer.skipTags();
  return { partition, error, endOffset: isCommittedOnly ? lastStable : highWatermark, startOffset, aborted, chunks };
}
