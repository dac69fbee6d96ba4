/** What is asked of the brokers about offsets. */
import { EngineError } from '../core/errors.ts';
import type { Consumer, WatermarkOffsets } from '../sinks/kafka/rdkafka.ts';
import type { SourcePosition } from './source.ts';

const QUERY_TIMEOUT_MS = 5000;

/**
 * Checks that a partition can be read from where it is to begin.
 * @throws EngineError KAFKA_OFFSET_GONE when the topic no longer holds the offset or never did, KAFKA_UNREACHABLE (retryable)
 */
export async function checkOffsets(consumer: Consumer, topic: string, offsets: SourcePosition['offsets']): Promise<void> {
  for (const [partition, offset] of offsets) {
    const { lowOffset, highOffset } = await queryOffsets(consumer, topic, partition);
    if (offset < lowOffset || offset > highOffset) {
      const why = offset < lowOffset ? 'older messages have been deleted' : 'the topic is not the one that was read before';
      throw new EngineError(
        'KAFKA_OFFSET_GONE',
        `topic ${topic} partition ${partition}: offset ${offset}, expected ${lowOffset} to ${highOffset}: ${why}`,
      );
    }
  }
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
 * Where partitions are begun that nobody says it of: at the group's committed offset where the topic holds it, else at the earliest.
 * @throws EngineError KAFKA_UNREACHABLE (retryable)
 */
export async function groupOffsets(consumer: Consumer, topic: string, partitions: readonly number[]): Promise<Map<number, bigint>> {
  if (partitions.length === 0) return new Map();
  const committed = await committedOffsets(consumer, topic, partitions);
  const offsets = new Map<number, bigint>();
  for (const partition of partitions) {
    const { lowOffset, highOffset } = await queryOffsets(consumer, topic, partition);
    const offset = committed.get(partition);
    offsets.set(partition, BigInt(offset !== undefined && offset >= lowOffset && offset <= highOffset ? offset : lowOffset));
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
