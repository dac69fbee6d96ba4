/** What the parts of the Kafka reader share, how its consumer is set up, and the failures that end it. */
import type { KafkaAccess } from '../../config/kafka-access.ts';
import type { Clock, Pause } from '../core/clock.ts';
import { EngineError } from '../core/errors.ts';
import type { Fetcher } from '../kafka-direct/fetcher.ts';
import type { OffsetJump, OffsetPolicy } from '../kafka-direct/offset-jumps.ts';
import { connectionSettings } from '../sinks/kafka/client.ts';
import type { Consumer, Message, Rdkafka, RdkafkaError, RdkafkaSettings, TopicPartition } from '../sinks/kafka/rdkafka.ts';
import type { MessageQueue } from './kafka-queue.ts';

/** How long a read waits for the first message, ms; the rest of a batch is only what is there already. */
export const READ_WAIT_MS = 20;

export interface ReaderOptions extends KafkaAccess {
  readonly library: Rdkafka;
  readonly topic: string;
  readonly group: string;
  /** Name of a member that comes back under it; empty: none. */
  readonly engineId: string;
  /** How long the group waits for a member that is gone without a word, ms. */
  readonly sessionMs: number;
  readonly clock: Clock;
  /** By default the timers of the thread. */
  readonly pause?: Pause;
  /** Fetches what is assigned, in the place of librdkafka, which then is the member of the group and nothing else. */
  readonly fetcher?: Fetcher;
  /** What becomes of a partition whose next offset the topic no longer holds; `stop` unless given. */
  readonly onOffsetGone?: OffsetPolicy;
  /** Told of each jump over offsets that are gone. */
  readonly onJump?: (jump: OffsetJump) => void;
}

export interface ReaderState {
  /** What the group has given this member, in ascending order; undefined while it has given nothing or taken it back. */
  assigned: readonly number[] | undefined;
  /** True from `begin` until `release`: partitions are being read. */
  isReading: boolean;
  /** The group wants the partitions back; they are this member's until `release`. */
  isRevoked: boolean;
  /** False from when the group gives out partitions until the client is told where to read: until then it hears nothing more of its group. */
  isAnswered: boolean;
  /** Offset at which a partition ended when last asked. */
  readonly ends: Map<number, number>;
  /** Offset after the last message read, by partition; where it begins before the first. */
  readonly readOffsets: Map<number, number>;
  /** What becomes of offsets that are gone, in this reading. */
  policy: OffsetPolicy;
  /** Where partitions go on that jumped, until their source is told. */
  readonly jumped: Map<number, number>;
  /** Moves on when reading ends: what a read under way then brings is out of date. */
  generation: number;
  /** The read that is under way; there is one at a time. */
  read: ReadUnderWay | undefined;
  isPaused: boolean;
  isStopped: boolean;
  /** What is wrong with the connection; empty when nothing is. */
  trouble: string;
  failure: Error | undefined;
  commitFailures: number;
  onAssigned: (assigned: readonly number[]) => void;
}

export interface ReadUnderWay {
  readonly generation: number;
  readonly done: Promise<void>;
}

export interface ReaderContext {
  readonly options: ReaderOptions;
  readonly state: ReaderState;
  readonly queue: MessageQueue;
  readonly consumer: Consumer;
  /** Ends reading for good. */
  fail(error: Error): void;
}

export function createState(): ReaderState {
  return {
    assigned: undefined,
    isReading: false,
    isRevoked: false,
    isAnswered: true,
    ends: new Map(),
    readOffsets: new Map(),
    policy: 'stop',
    jumped: new Map(),
    generation: 0,
    read: undefined,
    isPaused: false,
    isStopped: true,
    trouble: 'not connected yet',
    failure: undefined,
    commitFailures: 0,
    onAssigned: () => undefined,
  };
}

export interface ConsumerCallbacks {
  readonly onRebalance: (error: { readonly code: number }, list: readonly TopicPartition[]) => void;
  readonly onCommitFailure: () => void;
}

export function consumerSettings(options: ReaderOptions, callbacks: ConsumerCallbacks): RdkafkaSettings {
  return {
    ...connectionSettings(options),
    'client.id': 'tickwright',
    'group.id': options.group,
    ...(options.engineId === '' ? {} : { 'group.instance.id': options.engineId }),
    // Heartbeats do not depend on main.
    'session.timeout.ms': options.sessionMs,
    'heartbeat.interval.ms': Math.min(1000, Math.floor(options.sessionMs / 4)),
    'enable.auto.commit': false,
    'enable.auto.offset.store': false,
    'enable.partition.eof': true,
    // The end of a partition is announced by the next answer, so an answer must not wait long for more.
    'fetch.wait.max.ms': 50,
    'queued.max.messages.kbytes': 16_384,
    // How long a full queue of the client is left alone. Its default of a second is longer than what is in it lasts.
    'fetch.queue.backoff.ms': 10,
    'reconnect.backoff.max.ms': 2000,
    rebalance_cb: callbacks.onRebalance,
    offset_commit_cb: (error: RdkafkaError | null) => {
      if (error) callbacks.onCommitFailure();
    },
  };
}

export function assignmentChanged(
  { topic, group }: ReaderOptions,
  wanted: readonly number[] | undefined,
  given: readonly number[] | undefined,
): EngineError {
  const text = (list: readonly number[] | undefined): string => (list === undefined ? 'none yet' : list.join(', '));
  const message = `topic ${topic}: partitions ${text(wanted)} were to be read, group ${group} has given out ${text(given)} since`;
  return new EngineError('KAFKA_ASSIGNMENT_CHANGED', message, { retryable: true });
}

export function topicMissing({ topic, brokers }: ReaderOptions): EngineError {
  return new EngineError('KAFKA_TOPIC_MISSING', `topic ${topic}: the brokers at ${brokers} have no such topic`);
}

export function wentBack({ topic }: ReaderOptions, message: Message, expected: number): EngineError {
  const where = `topic ${topic} partition ${message.partition}`;
  const text = `${where}: offset ${message.offset}, expected ${expected} or later: the topic was made anew`;
  return new EngineError('KAFKA_OFFSETS_WENT_BACK', text);
}

export function fatal({ topic }: ReaderOptions, cause: RdkafkaError): EngineError {
  return new EngineError('KAFKA_FATAL', `topic ${topic}: ${cause.message}`, { cause });
}
