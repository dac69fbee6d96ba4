/**
 * Reads a topic by consumer group into a bounded queue. librdkafka reads in its own threads; here one read at a time is under way, which
 * waits in a thread of the pool and never on main.
 *
 * A partition that is taken away after something was read from it is a failure: its open buckets are in this engine, and another member
 * would build them a second time. The engine ends, and the next start goes on from stored offsets.
 */
import type { Clock } from '../core/clock.ts';
import { EngineError, messageOf } from '../core/errors.ts';
import { connectClient, topicMetadata } from '../sinks/kafka/client.ts';
import {
  type Consumer,
  type Message,
  RDKAFKA_ERROR,
  type Rdkafka,
  type RdkafkaError,
  type RdkafkaSettings,
  type TopicPartition,
} from '../sinks/kafka/rdkafka.ts';
import { checkOffsets, highOffsets } from './kafka-offsets.ts';
import { createMessageQueue, type MessageQueue } from './kafka-queue.ts';
import type { SourcePosition } from './source.ts';

const READ_AHEAD_MESSAGES = 16_384;
const READ_AHEAD_BYTES = 16_777_216;
/** Messages of one read. */
const READ_BATCH = 1024;
/** How long a read waits for the first message; the rest of a batch is only what is there already. */
const READ_WAIT_MS = 20;
/** A queue full for this long pauses the partitions, so that the member can still answer its group. */
const PAUSE_AFTER_MS = 1000;
const RETRY_MS = 500;
const PROBE_MS = 1000;
const CONNECT_TIMEOUT_MS = 15_000;
const ASSIGN_TIMEOUT_MS = 45_000;

export interface ReaderOptions {
  readonly library: Rdkafka;
  readonly brokers: string;
  readonly topic: string;
  readonly group: string;
  readonly clock: Clock;
}

export interface ReaderHealth {
  readonly isUp: boolean;
  readonly detail: string;
}

export interface KafkaReader {
  readonly queue: MessageQueue;
  /**
   * Joins the group and waits for the first assignment. Partitions in `from` begin there, others at the group's committed offset, else at the earliest.
   * @throws EngineError KAFKA_UNREACHABLE, KAFKA_TOPIC_MISSING, KAFKA_OFFSET_GONE, KAFKA_ASSIGNMENT
   */
  start(from: SourcePosition | undefined): Promise<void>;
  /** Keeps reading where there is room. Call it often; it returns at once. */
  pump(): void;
  readonly partitions: readonly number[];
  /** True when everything before `nextOffset` has been taken from the queue and the partition ended there when last asked. */
  isAtEnd(partition: number, nextOffset: number | undefined): boolean;
  /** Tells the group how far this member is, for monitoring; failures are counted. */
  commit(offsets: SourcePosition['offsets']): void;
  readonly commitFailures: number;
  readonly health: ReaderHealth;
  /** The failure that ended reading, until it is asked for. */
  takeFailure(): Error | undefined;
  /** Ends reading and forgets what was read ahead; offsets can still be committed. */
  stop(): void;
  close(): Promise<void>;
}

interface State {
  readonly assigned: number[];
  readonly ends: Map<number, number>;
  /** Offset after the last message read, by partition. */
  readonly readOffsets: Map<number, number>;
  isReading: boolean;
  isBusy: boolean;
  isPaused: boolean;
  isStopped: boolean;
  /** Detail of what is wrong with the connection; empty when nothing is. */
  trouble: string;
  isProbing: boolean;
  fullSinceMs: number | undefined;
  failure: Error | undefined;
  commitFailures: number;
  onAssigned: () => void;
}

export function createKafkaReader(options: ReaderOptions): KafkaReader {
  const { topic, clock } = options;
  const queue = createMessageQueue();
  const state: State = {
    assigned: [],
    ends: new Map(),
    readOffsets: new Map(),
    isReading: false,
    isBusy: false,
    isPaused: false,
    isStopped: true,
    trouble: 'not connected yet',
    isProbing: false,
    fullSinceMs: undefined,
    failure: undefined,
    commitFailures: 0,
    onAssigned: () => undefined,
  };
  let from: SourcePosition | undefined;

  const toPartitions = (): TopicPartition[] => state.assigned.map((partition) => ({ topic, partition }));

  const fail = (error: Error): void => {
    state.failure ??= error;
    state.isStopped = true;
    state.trouble = error.message;
  };

  const onRebalance = (error: { readonly code: number }, list: readonly TopicPartition[]): void => {
    if (error.code === RDKAFKA_ERROR.assignPartitions) {
      consumer.assign(list.map(({ partition }) => startOf(partition)));
      state.assigned.splice(0, state.assigned.length, ...list.map(({ partition }) => partition).sort((a, b) => a - b));
      state.isPaused = false;
      state.onAssigned();
      return;
    }
    const touched = list.map(({ partition }) => partition).filter((partition) => state.readOffsets.has(partition));
    consumer.unassign();
    state.assigned.splice(0);
    if (state.isStopped) return;
    queue.clear();
    if (touched.length > 0) fail(revoked(options, touched));
  };

  const startOf = (partition: number): TopicPartition => {
    const offset = state.readOffsets.get(partition) ?? from?.offsets.get(partition);
    return offset === undefined ? { topic, partition } : { topic, partition, offset: Number(offset) };
  };

  const consumer: Consumer = new options.library.KafkaConsumer(
    consumerSettings(options, onRebalance, () => (state.commitFailures += 1)),
    {
      'auto.offset.reset': 'earliest',
    },
  );
  consumer.on('partition.eof', ({ partition, offset }) => state.ends.set(partition, offset));
  consumer.on('event.error', (error) => {
    if (error.code === RDKAFKA_ERROR.fatal) fail(fatal(options, error));
    else if (error.code === RDKAFKA_ERROR.allBrokersDown || error.code === RDKAFKA_ERROR.transport) {
      state.trouble = error.message;
      probe();
    }
  });

  /** After a lost connection ends of partitions are not announced anew, so they are asked for until the brokers answer. */
  const probe = (): void => {
    if (state.isProbing) return;
    state.isProbing = true;
    const ask = async (): Promise<void> => {
      if (state.isStopped) return;
      try {
        for (const [partition, high] of await highOffsets(consumer, topic, state.assigned)) state.ends.set(partition, high);
        state.trouble = '';
        state.isProbing = false;
      } catch (error) {
        state.trouble = messageOf(error);
        setTimeout(ask, PROBE_MS).unref();
      }
    };
    setTimeout(ask, PROBE_MS).unref();
  };

  const onReadError = (error: RdkafkaError): void => {
    if (error.isFatal) {
      fail(fatal(options, error));
      return;
    }
    state.trouble = error.message;
    state.isBusy = false;
    probe();
    // Reading stays marked as under way, so that the pump of a busy engine does not ask at once again.
    state.isReading = true;
    setTimeout(() => {
      state.isReading = false;
      pump();
    }, RETRY_MS).unref();
  };

  const onRead = (error: RdkafkaError | null, messages: readonly Message[] | undefined): void => {
    state.isReading = false;
    if (state.isStopped) return;
    if (error) {
      onReadError(error);
      return;
    }
    for (const message of messages ?? []) {
      const expected = state.readOffsets.get(message.partition);
      if (expected !== undefined && message.offset < expected) {
        fail(wentBack(options, message, expected));
        return;
      }
      state.readOffsets.set(message.partition, message.offset + 1);
      queue.push(message);
    }
    state.isBusy = (messages?.length ?? 0) > 0;
    pump();
  };

  /** True when nothing may be read now. Decides about pausing on the way. */
  const isHeldBack = (): boolean => {
    const isFull = queue.count >= READ_AHEAD_MESSAGES || queue.bytes >= READ_AHEAD_BYTES;
    if (!isFull) {
      state.fullSinceMs = undefined;
      if (state.isPaused && queue.count <= READ_AHEAD_MESSAGES / 2 && queue.bytes <= READ_AHEAD_BYTES / 2) {
        consumer.resume(toPartitions());
        state.isPaused = false;
      }
      return false;
    }
    state.fullSinceMs ??= clock.wallMs();
    if (!state.isPaused && clock.wallMs() - state.fullSinceMs >= PAUSE_AFTER_MS) {
      consumer.pause(toPartitions());
      state.isPaused = true;
    }
    return !state.isPaused;
  };

  const pump = (): void => {
    if (state.isReading || state.isStopped || isHeldBack()) return;
    state.isReading = true;
    const isBusy = state.isBusy && !state.isPaused;
    consumer.setDefaultConsumeTimeout(isBusy ? 0 : READ_WAIT_MS);
    consumer.consume(isBusy ? READ_BATCH : 1, onRead);
  };

  return {
    queue,
    pump,
    async start(position) {
      from = position;
      await connectClient(consumer, options.brokers, CONNECT_TIMEOUT_MS);
      try {
        if (!(await topicMetadata(consumer, topic, CONNECT_TIMEOUT_MS))) throw topicMissing(options);
        if (position) await checkOffsets(consumer, topic, position.offsets);
        state.isStopped = false;
        state.trouble = '';
        const assigned = waitForAssignment(options, state);
        consumer.subscribe([topic]);
        pump();
        await assigned;
      } catch (error) {
        state.isStopped = true;
        await disconnect(consumer);
        throw error;
      }
    },
    get partitions() {
      return state.assigned;
    },
    isAtEnd(partition, nextOffset) {
      if (state.trouble !== '' || state.isPaused || state.isStopped || queue.countOf(partition) > 0) return false;
      const end = state.ends.get(partition);
      return end !== undefined && (nextOffset ?? end) === end;
    },
    commit(offsets) {
      const list = [...offsets].map(([partition, offset]) => ({ topic, partition, offset: Number(offset) }));
      if (list.length === 0) return;
      try {
        consumer.commit(list);
      } catch {
        // Only monitors read these offsets; the engine's own are in the database.
        state.commitFailures += 1;
      }
    },
    get commitFailures() {
      return state.commitFailures;
    },
    get health() {
      return { isUp: state.trouble === '', detail: state.trouble === '' ? 'reading' : state.trouble };
    },
    takeFailure() {
      const { failure } = state;
      state.failure = undefined;
      return failure;
    },
    stop() {
      state.isStopped = true;
      state.trouble = 'stopped';
      queue.clear();
    },
    async close() {
      state.isStopped = true;
      await disconnect(consumer);
    },
  };
}

function consumerSettings(
  options: ReaderOptions,
  onRebalance: (error: { readonly code: number }, list: readonly TopicPartition[]) => void,
  onCommitFailure: () => void,
): RdkafkaSettings {
  return {
    'metadata.broker.list': options.brokers,
    'client.id': 'tickwright',
    'group.id': options.group,
    // A member that was killed keeps its partitions for this long. Heartbeats do not depend on main.
    'session.timeout.ms': 10_000,
    'heartbeat.interval.ms': 1000,
    'enable.auto.commit': false,
    'enable.auto.offset.store': false,
    'enable.partition.eof': true,
    // The end of a partition is announced by the next answer, so an answer must not wait long for more.
    'fetch.wait.max.ms': 50,
    'queued.max.messages.kbytes': 16_384,
    'reconnect.backoff.max.ms': 2000,
    rebalance_cb: onRebalance,
    offset_commit_cb: (error: RdkafkaError | null) => {
      if (error) onCommitFailure();
    },
  };
}

function waitForAssignment(options: ReaderOptions, state: State): Promise<void> {
  return new Promise((resolve, reject) => {
    const timer = setTimeout(() => {
      const text = `topic ${options.topic}, group ${options.group}: no partitions assigned in ${ASSIGN_TIMEOUT_MS} ms`;
      reject(new EngineError('KAFKA_ASSIGNMENT', text, { retryable: true }));
    }, ASSIGN_TIMEOUT_MS);
    state.onAssigned = () => {
      clearTimeout(timer);
      resolve();
    };
  });
}

function disconnect(consumer: Consumer): Promise<void> {
  if (!consumer.isConnected()) return Promise.resolve();
  return new Promise((resolve) => consumer.disconnect(resolve));
}

function topicMissing({ topic, brokers }: ReaderOptions): EngineError {
  return new EngineError('KAFKA_TOPIC_MISSING', `topic ${topic}: the brokers at ${brokers} have no such topic`);
}

function revoked({ topic, group }: ReaderOptions, partitions: readonly number[]): EngineError {
  return new EngineError(
    'KAFKA_PARTITIONS_REVOKED',
    `topic ${topic}, group ${group}: partitions ${partitions.join(', ')} were given to another member while their bars are open here`,
  );
}

function wentBack({ topic }: ReaderOptions, message: Message, expected: number): EngineError {
  return new EngineError(
    'KAFKA_OFFSETS_WENT_BACK',
    `topic ${topic} partition ${message.partition}: offset ${message.offset}, expected ${expected} or later: the topic was made anew`,
  );
}

function fatal({ topic }: ReaderOptions, cause: RdkafkaError): EngineError {
  return new EngineError('KAFKA_FATAL', `topic ${topic}: ${cause.message}`, { cause });
}
