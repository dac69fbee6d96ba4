/** What is asked of the brokers about offsets. */
import { EngineError } from '../core/errors.ts';
import { jumpOf, type OffsetJump, type OffsetPolicy } from '../kafka-direct/offset-jumps.ts';
import type { Consumer, WatermarkOffsets } from '../sinks/kafka/rdkafka.ts';
import type { SourcePosition } from './source.ts';

const QUERY_TIMEOUT_MS = 5000;

export interface OffsetCheck {
  readonly topic: string;
  readonly offsets: SourcePosition['offsets'];
  readonly policy: OffsetPolicy;
}

/**
 * Checks that partitions can be read from these offsets; the jumps of those that go on elsewhere.
 * @throws EngineError KAFKA_OFFSET_GONE by the policy, or where the topic never held the offset; KAFKA_UNREACHABLE (retryable)
 */
export async function checkOffsets(consumer: Consumer, { topic, offsets, policy }: OffsetCheck): Promise<OffsetJump[]> {
  const jumps: OffsetJump[] = [];
  for (const [partition, offset] of offsets) {
    const jump = jumpOf({ topic, partition, offset: Number(offset) }, await queryOffsets(consumer, topic, partition), policy);
    if (jump) jumps.push(jump);
  }
  return jumps;
}

/**
 * The offset after the last message, by partition.
 * @throws EngineError KAFKA_UNREACHABLE (retryable)
 */
export async function highOffsets(consumer: Consumer, topic: string, partitions: readonly number[]): Promise<Map<number, number>> {
  const ends = new Map<number, number>();
  for (const partition of [...partitions]) ends.set(partition, (await queryOffsets(consumer, topic, partition)).highOffset);
  return ends;
}

/**
 * Where partitions are begun that nobody says it of: at the group's committed offset, else at the earliest.
 * @throws EngineError KAFKA_UNREACHABLE (retryable)
 */
export async function groupOffsets(consumer: Consumer, topic: string, partitions: readonly number[]): Promise<Map<number, bigint>> {
  if (partitions.length === 0) return new Map();
  const committed = await committedOffsets(consumer, topic, partitions);
  const offsets = new Map<number, bigint>();
  for (const partition of partitions) {
    const offset = committed.get(partition) ?? -1;
    const isKnown = offset >= 0;
    offsets.set(partition, BigInt(isKnown ? offset : (await queryOffsets(consumer, topic, partition)).lowOffset));
  }
  return offsets;
}

function committedOffsets(consumer: Consumer, topic: string, partitions: readonly number[]): Promise<Map<number, number | undefined>> {
  const list = partitions.map((partition) => ({ topic, partition }));
  return new Promise((resolve, reject) => {
    consumer.committed(list, QUERY_TIMEOUT_MS, (error, offsets) => {
      const text = `topic ${topic}: no committed offsets in ${QUERY_TIMEOUT_MS} ms`;
      if (error) reject(new EngineError('KAFKA_UNREACHABLE', `${text}: ${error.message}`, { cause: error, retryable: true }));
      else resolve(new Map(offsets.map(({ partition, offset }) => [partition, offset])));
    });
  });
}

function queryOffsets(consumer: Consumer, topic: string, partition: number): Promise<WatermarkOffsets> {
  return new Promise((resolve, reject) => {
    consumer.queryWatermarkOffsets(topic, partition, QUERY_TIMEOUT_MS, (error, offsets) => {
      const text = `topic ${topic} partition ${partition}: no offsets in ${QUERY_TIMEOUT_MS} ms`;
      if (error) reject(new EngineError('KAFKA_UNREACHABLE', `${text}: ${error.message}`, { cause: error, retryable: true }));
      else resolve(offsets);
    });
  });
}
