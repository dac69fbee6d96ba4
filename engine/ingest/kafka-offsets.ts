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

function queryOffsets(consumer: Consumer, topic: string, partition: number): Promise<WatermarkOffsets> {
  return new Promise((resolve, reject) => {
    consumer.queryWatermarkOffsets(topic, partition, QUERY_TIMEOUT_MS, (error, offsets) => {
      const text = `topic ${topic} partition ${partition}: no offsets in ${QUERY_TIMEOUT_MS} ms`;
      if (error) reject(new EngineError('KAFKA_UNREACHABLE', `${text}: ${error.message}`, { cause: error, retryable: true }));
      else resolve(offsets);
    });
  });
}
