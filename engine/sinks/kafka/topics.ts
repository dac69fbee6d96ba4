/** The topics of the contract: their names, partitions and retention, and how they come into being. */
import type { Config } from '../../../config/knobs.ts';
import { EngineError } from '../../core/errors.ts';
import { type AccessOrList, awaitTopic, connectClient, connectionSettings, disconnectProducer, topicMetadata } from './client.ts';
import { type Admin, type NewTopic, RDKAFKA_ERROR, type Rdkafka, type RdkafkaError } from './rdkafka.ts';

const CONNECT_TIMEOUT_MS = 15_000;
const METADATA_TIMEOUT_MS = 10_000;
const CREATE_TIMEOUT_MS = 15_000;

export interface TopicPlan {
  readonly topic: string;
  readonly partitions: number;
  readonly replicationFactor: number;
  readonly retentionMs: number;
  readonly segmentBytes: number;
}

/** A topic that is there with another number of partitions than planned. It is left as it is: changing it would move keys. */
export interface PartitionDifference {
  readonly topic: string;
  readonly partitions: number;
  readonly planned: number;
}

export interface EnsuredTopics {
  readonly created: readonly string[];
  readonly existing: readonly string[];
  readonly differing: readonly PartitionDifference[];
}

export type TopicConfig = Pick<
  Config,
  | 'TOPIC_PREFIX'
  | 'TICKS_TOPIC'
  | 'P_TICKS'
  | 'P_BARS'
  | 'P_DLQ'
  | 'RF'
  | 'SEGMENT_BYTES'
  | 'TICKS_RETENTION_MS'
  | 'BARS1S_RETENTION_MS'
  | 'BARS1M_RETENTION_MS'
  | 'BARS3M_RETENTION_MS'
  | 'BARS5M_RETENTION_MS'
  | 'BARS15M_RETENTION_MS'
  | 'DLQ_RETENTION_MS'
  | 'MATCHER'
  | 'ORDER_JOURNAL'
  | 'P_ORDERS'
  | 'ORDERS_RETENTION_MS'
  | 'P_FILLS'
  | 'FILLS_RETENTION_MS'
>;

export function barsTopic(prefix: string, timeframe: string): string {
  return `${prefix}bars.${timeframe}`;
}

export function deadLetterTopic(prefix: string): string {
  return `${prefix}dlq`;
}

export function ordersTopic(prefix: string): string {
  return `${prefix}orders`;
}

export function fillsTopic(prefix: string): string {
  return `${prefix}fills`;
}

/** Every topic of a run; timeframes without a knob of their own are kept as long as 15m. */
export function planTopics(config: TopicConfig, timeframes: readonly string[]): TopicPlan[] {
  const retentionMs: Readonly<Record<string, number>> = {
    '1s': config.BARS1S_RETENTION_MS,
    '1m': config.BARS1M_RETENTION_MS,
    '3m': config.BARS3M_RETENTION_MS,
    '5m': config.BARS5M_RETENTION_MS,
  };
  const plan = (topic: string, partitions: number, keptMs: number): TopicPlan => ({
    topic,
    partitions,
    replicationFactor: config.RF,
    retentionMs: keptMs,
    segmentBytes: config.SEGMENT_BYTES,
  });
  return [
    plan(config.TOPIC_PREFIX + config.TICKS_TOPIC, config.P_TICKS, config.TICKS_RETENTION_MS),
    ...timeframes.map((name) =>
      plan(barsTopic(config.TOPIC_PREFIX, name), config.P_BARS, retentionMs[name] ?? config.BARS15M_RETENTION_MS),
    ),
    plan(deadLetterTopic(config.TOPIC_PREFIX), config.P_DLQ, config.DLQ_RETENTION_MS),
    ...(config.MATCHER === 'on' && config.ORDER_JOURNAL === 'kafka'
      ? [plan(ordersTopic(config.TOPIC_PREFIX), config.P_ORDERS, config.ORDERS_RETENTION_MS)]
      : []),
    ...(config.MATCHER === 'on' ? [plan(fillsTopic(config.TOPIC_PREFIX), config.P_FILLS, config.FILLS_RETENTION_MS)] : []),
  ];
}

/**
 * Creates what is missing, waits until it is known, and leaves what is there. Run again, it changes nothing.
 * @throws EngineError KAFKA_UNREACHABLE (retryable), KAFKA_TOPIC
 */
export async function ensureTopics(library: Rdkafka, to: AccessOrList, plans: readonly TopicPlan[]): Promise<EnsuredTopics> {
  const settings = { ...connectionSettings(to), 'client.id': 'tickwright-topics' };
  const client = new library.Producer(settings, {});
  const present = new Set((await connectClient(client, to, CONNECT_TIMEOUT_MS)).topics.map((topic) => topic.name));
  const admin = library.AdminClient.create(settings);
  try {
    const missing = plans.filter((plan) => !present.has(plan.topic));
    await Promise.all(missing.map((plan) => createTopic(admin, plan)));
    const differing: PartitionDifference[] = [];
    for (const plan of plans) {
      const found = await awaitTopic(client, plan.topic, { timeoutMs: METADATA_TIMEOUT_MS });
      const partitions = found?.partitions.length ?? (present.has(plan.topic) ? 0 : plan.partitions);
      if (partitions !== plan.partitions) differing.push({ topic: plan.topic, partitions, planned: plan.partitions });
    }
    const existing = plans.filter((plan) => present.has(plan.topic));
    return { created: missing.map((plan) => plan.topic), existing: existing.map((plan) => plan.topic), differing };
  } finally {
    admin.disconnect();
    await disconnectProducer(client, 0);
  }
}

/**
 * Brings the topics of a mock cluster into being: it knows no administration, and makes a topic when its metadata is first asked for.
 * @throws EngineError KAFKA_UNREACHABLE (retryable)
 */
export async function touchTopics(library: Rdkafka, to: AccessOrList, plans: readonly TopicPlan[]): Promise<void> {
  const client = new library.Producer({ ...connectionSettings(to), 'client.id': 'tickwright-topics' }, {});
  await connectClient(client, to, CONNECT_TIMEOUT_MS);
  try {
    for (const plan of plans) await topicMetadata(client, plan.topic, METADATA_TIMEOUT_MS);
  } finally {
    await disconnectProducer(client, 0);
  }
}

function createTopic(admin: Admin, plan: TopicPlan): Promise<void> {
  const topic: NewTopic = {
    topic: plan.topic,
    num_partitions: plan.partitions,
    replication_factor: plan.replicationFactor,
    config: { 'cleanup.policy': 'delete', 'retention.ms': String(plan.retentionMs), 'segment.bytes': String(plan.segmentBytes) },
  };
  return new Promise((resolve, reject) => {
    admin.createTopic(topic, CREATE_TIMEOUT_MS, (error?: RdkafkaError) => {
      // Another process may have been quicker; its partitions are checked like those of any topic that is there.
      if (!error || error.code === RDKAFKA_ERROR.topicExists) resolve();
      else reject(new EngineError('KAFKA_TOPIC', `topic ${plan.topic}, ${plan.partitions} partitions: ${error.message}`, { cause: error }));
    });
  });
}
