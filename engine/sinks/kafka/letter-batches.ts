/** Messages that are few, such as dead letters, as record batches: by partition of their key, as many to a batch as its topic takes. */
import { EngineError } from '../../core/errors.ts';
import {
  BATCH_HEADER_BYTES,
  type BatchOptions,
  type BatchRecord,
  encodeRecordBatch,
  recordBytesMax,
} from '../../kafka-direct/produce-batch.ts';
import type { Batch } from '../../kafka-direct/produce-queue.ts';
import { murmur2Part } from '../../market/murmur2.ts';

const SEQUENCES = 2 ** 31;

export interface LetterTarget {
  readonly topic: string;
  readonly partitions: number;
  readonly batchBytesMax: number;
}

export interface LetterBatches {
  /** Takes a message; what waited of its partition goes first when both do not fit one batch. @throws EngineError KAFKA_MESSAGE */
  put(target: LetterTarget, record: BatchRecord, nowMs: number): void;
  /** Sends what waits. */
  flush(nowMs: number): void;
}

interface Line {
  readonly topic: string;
  readonly partition: number;
  records: BatchRecord[];
  bytes: number;
  sequence: number;
}

/** @param send takes each batch, those of a partition in their order */
export function createLetterBatches(how: Pick<BatchOptions, 'identity' | 'compression'>, send: (batch: Batch) => void): LetterBatches {
  const lines = new Map<string, Line>();

  const lineOf = (topic: string, partition: number): Line => {
    const key = `${partition} ${topic}`;
    const known = lines.get(key);
    if (known) return known;
    const line: Line = { topic, partition, records: [], bytes: BATCH_HEADER_BYTES, sequence: 0 };
    lines.set(key, line);
    return line;
  };
  const sendLine = (line: Line, timestampMs: number): void => {
    const { topic, partition, records, sequence } = line;
    if (records.length === 0) return;
    send({ topic, partition, recordCount: records.length, bytes: encodeRecordBatch(records, { ...how, sequence, timestampMs }) });
    line.sequence = (sequence + records.length) % SEQUENCES;
    line.records = [];
    line.bytes = BATCH_HEADER_BYTES;
  };

  return {
    put({ topic, partitions, batchBytesMax }, record, nowMs) {
      const bytes = recordBytesMax(record);
      if (BATCH_HEADER_BYTES + bytes > batchBytesMax) {
        const size = `message of ${record.value.length} bytes to ${topic}: with key and headers up to ${BATCH_HEADER_BYTES + bytes} bytes`;
        throw new EngineError('KAFKA_MESSAGE', `${size}, the topic takes ${batchBytesMax}; raise its max.message.bytes or send less`);
      }
      const line = lineOf(topic, murmur2Part(record.key, partitions));
      if (line.bytes + bytes > batchBytesMax) sendLine(line, nowMs);
      line.records.push(record);
      line.bytes += bytes;
    },
    flush(nowMs) {
      for (const line of lines.values()) sendLine(line, nowMs);
    },
  };
}
