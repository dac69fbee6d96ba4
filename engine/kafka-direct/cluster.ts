/**
 * A client of a cluster, for a fetcher as for a producer: its brokers, who leads which partition, who coordinates what. Metadata is asked for
 * again when somebody said that it is stale.
 */
import type { Clock, Pause } from '../core/clock.ts';
import { EngineError, messageOf } from '../core/errors.ts';
import { KAFKA_CODE, nameOfCode } from './broker-errors.ts';
import { type Brokers, type BrokersOptions, createBrokers } from './brokers.ts';
import { type Coordinate, createCoordinators } from './coordinators.ts';
import { type Leader, METADATA, metadataRequest, type TopicLeaders } from './metadata.ts';

/** Between two looks at metadata. */
const REFRESH_REST_MS = 50;

export interface ClusterOptions extends BrokersOptions {
  readonly clock: Clock;
  readonly pause: Pause;
}

export interface Cluster {
  readonly brokers: Brokers;
  /**
   * Looks topics up once, and makes none.
   * @throws EngineError KAFKA_UNREACHABLE (retryable) when no broker answers, KAFKA_TOPIC_MISSING, KAFKA_API_MISSING, KAFKA_REFUSED, KAFKA_CLOSED
   */
  look(topics: readonly string[]): Promise<void>;
  /**
   * Looks topics up until each has a leader for every partition; brokers that make topics by themselves make a missing one.
   * @throws EngineError KAFKA_UNREACHABLE (retryable), KAFKA_API_MISSING, KAFKA_REFUSED, KAFKA_CLOSED
   */
  lookUp(topics: readonly string[], patienceMs: number): Promise<void>;
  /** Looks the known topics up again, once. One look at a time; never rejects. */
  refresh(): Promise<void>;
  /** As last heard of; undefined where there is none now. */
  leaderOf(topic: string, partition: number): Leader | undefined;
  /** Partitions of a topic that was looked up; 0 for another. */
  partitionsOf(topic: string): number;
  /**
   * Asks a coordinator until it answers something that is not passing. What `isSafeAgain` says no to is not asked again once it may have been taken.
   * @throws EngineError KAFKA_CLOSED; KAFKA_REFUSED (retryable) where brokers will not say who it is; KAFKA_UNREACHABLE (retryable) where it may not be
   * asked again
   */
  readonly coordinate: Coordinate;
  close(): Promise<void>;
}

export function createCluster(options: ClusterOptions): Cluster {
  const { clock, pause } = options;
  const brokers = createBrokers({ ...options, apis: { Metadata: METADATA, ...options.apis } });
  const topics = new Map<string, TopicLeaders['leaders']>();
  let refreshing: Promise<void> | undefined;

  const ask = async (names: readonly string[], isCreating: boolean): Promise<readonly TopicLeaders[]> => {
    const metadata = await brokers.askAny((connection) => connection.ask(metadataRequest(names, isCreating)));
    brokers.learn(metadata.brokers);
    for (const { name, leaders } of metadata.topics) {
      // A topic that is unknown for a moment keeps its partitions: keys would move otherwise.
      topics.set(name, leaders.length > 0 ? leaders : (topics.get(name) ?? []).map(() => undefined));
    }
    const missing = metadata.topics.find((topic) => topic.code !== KAFKA_CODE.none);
    if (missing) brokers.trouble = `topic ${missing.name}: ${nameOfCode(missing.code)}`;
    return metadata.topics;
  };
  const isLed = (name: string): boolean => {
    const leaders = topics.get(name);
    return leaders !== undefined && leaders.length > 0 && !leaders.includes(undefined);
  };
  /** Asks once; false when nobody answers. */
  const isAnswered = async (names: readonly string[]): Promise<boolean> => {
    try {
      await ask(names, true);
      return true;
    } catch (error) {
      if (!(error instanceof EngineError) || !error.retryable) throw error;
      brokers.trouble = messageOf(error);
      return false;
    }
  };

  return {
    brokers,
    async look(names) {
      for (const { name, code, leaders } of await ask(names, false)) {
        if (code === KAFKA_CODE.topicAuthorizationFailed)
          throw new EngineError('KAFKA_REFUSED', `topic ${name}: this client may not see it`);
        if (code === KAFKA_CODE.unknownTopicOrPartition || leaders.length === 0) {
          throw new EngineError('KAFKA_TOPIC_MISSING', `topic ${name}: the brokers at ${options.brokers} have no such topic`);
        }
      }
    },
    async lookUp(names, patienceMs) {
      const endUs = clock.monotonicUs() + patienceMs * 1000;
      for (;;) {
        const hasAnswer = await isAnswered(names);
        const missing = names.filter((name) => !isLed(name));
        if (hasAnswer && missing.length === 0) return;
        if (clock.monotonicUs() >= endUs) {
          const what = hasAnswer
            ? `topics ${missing.join(', ')}: not all partitions have a leader`
            : `brokers ${options.brokers}: no answer`;
          throw new EngineError('KAFKA_UNREACHABLE', `${what} after ${patienceMs} ms: ${brokers.trouble}`, { retryable: true });
        }
        await pause(REFRESH_REST_MS, brokers.closing).catch(() => undefined);
      }
    },
    refresh() {
      refreshing ??= ask([...topics.keys()], true)
        .catch((error: unknown) => {
          brokers.trouble = messageOf(error);
        })
        .then(() => pause(REFRESH_REST_MS, brokers.closing))
        .catch(() => undefined)
        .then(() => {
          refreshing = undefined;
        });
      return refreshing;
    },
    leaderOf: (topic, partition) => topics.get(topic)?.[partition],
    partitionsOf: (topic) => topics.get(topic)?.length ?? 0,
    coordinate: createCoordinators({ brokers, pause, look: () => ask([], false) }),
    close: () => brokers.close(),
  };
}
