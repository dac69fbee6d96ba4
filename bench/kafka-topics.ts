/** Topics that a bench makes for itself on the broker that KAFKA_BROKER names, and deletes again. */
import type { Rdkafka } from '../engine/sinks/kafka/rdkafka.ts';
import { ensureTopics } from '../engine/sinks/kafka/topics.ts';

const TIMEOUT_MS = 15_000;
const RETENTION_MS = 3_600_000;
const SEGMENT_BYTES = 268_435_456;

/** Waits until the brokers know of them. */
export async function makeTopics(library: Rdkafka, brokers: string, topics: readonly string[], partitions: number): Promise<void> {
  const plan = { partitions, replicationFactor: 1, retentionMs: RETENTION_MS, segmentBytes: SEGMENT_BYTES };
  await ensureTopics(
    library,
    brokers,
    topics.map((topic) => ({ ...plan, topic })),
  );
}

export async function deleteTopics(library: Rdkafka, brokers: string, topics: readonly string[]): Promise<void> {
  const admin = library.AdminClient.create({ 'metadata.broker.list': brokers });
  await Promise.all(topics.map((topic) => new Promise<void>((resolve) => admin.deleteTopic(topic, TIMEOUT_MS, () => resolve()))));
  admin.disconnect();
}
