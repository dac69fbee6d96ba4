/**
 * Reads a topic by consumer group into a bounded queue. librdkafka reads in its own threads; here one read at a time is under way, which
 * waits in a thread of the pool and never on main.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import { messageOf } from '../core/errors.ts';
import { clientTrouble, connectClient, topicMetadata } from '../sinks/kafka/client.ts';
import type { Consumer, Message, RdkafkaError } from '../sinks/kafka/rdkafka.ts';
import { beginReading, createRebalance, endReading, waitForAssignment } from './kafka-group.ts';
import { checkOffsets, highOffsets } from './kafka-offsets.ts';
import { createMessageQueue, type MessageQueue } from './kafka-queue.ts';
import {
  assignmentChanged,
  consumerSettings,
  createState,
  fatal,
  type ReaderContext,
  type ReaderOptions,
  topicMissing,
  wentBack,
} from './kafka-state.ts';
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
const LEAVING_READS = 5;
/** A coordinator that has not answered a member on its way out for so many reads is not waited for. */
const ANSWER_READS = 100;
const ANSWER_TIMEOUT_MS = ANSWER_READS * READ_WAIT_MS;
const DISCONNECT_TIMEOUT_MS = 3000;

export interface ReaderHealth {
  readonly isUp: boolean;
  readonly detail: string;
}

export interface KafkaReader {
  readonly queue: MessageQueue;
  /**
   * Connects and joins the group.
   * @throws EngineError KAFKA_UNREACHABLE, KAFKA_TOPIC_MISSING
   */
  join(): Promise<void>;
  /**
   * The partitions that the group has given out, once it has.
   * @throws EngineError KAFKA_ASSIGNMENT (retryable) after a while without any
   */
  assignment(): Promise<readonly number[]>;
  /**
   * Begins to read what is assigned. Partitions in `offsets` begin there, others at the group's committed offset, else at the earliest.
   * @throws EngineError KAFKA_OFFSET_GONE, KAFKA_UNREACHABLE and KAFKA_ASSIGNMENT_CHANGED (both retryable)
   */
  begin(offsets: SourcePosition['offsets']): Promise<void>;
  /** Keeps reading where there is room. Call it often; it returns at once. */
  pump(): void;
  /** What the group has given this member, read or not; undefined while it has given nothing or taken it back. */
  readonly assigned: readonly number[] | undefined;
  /** Those that are being read. */
  readonly partitions: readonly number[];
  /** The group wants the partitions back: store what is open, then `end`. */
  readonly isRevoked: boolean;
  /** True when everything before `nextOffset` has been taken from the queue and the partition ended there when last asked. */
  isAtEnd(partition: number, nextOffset: number | undefined): boolean;
  /** Tells the group how far this member is; failures are counted, since the engine's own offsets are in the database. */
  commit(offsets: SourcePosition['offsets']): void;
  readonly commitFailures: number;
  readonly health: ReaderHealth;
  /** The failure that ended reading, until it is asked for. */
  takeFailure(): Error | undefined;
  /** Ends reading and forgets what was read ahead; gives back what the group wants back. The member stays in its group. */
  end(): void;
  /** Leaves the group. */
  close(): Promise<void>;
}

export function createKafkaReader(options: ReaderOptions): KafkaReader {
  const context = createContext(options);
  const { state, queue, consumer } = context;
  const { topic } = options;
  const pump = createPump(context);

  return {
    queue,
    pump,
    async join() {
      if (!state.isStopped) return;
      await connectClient(consumer, options.brokers, CONNECT_TIMEOUT_MS);
      try {
        if (!(await topicMetadata(consumer, topic, CONNECT_TIMEOUT_MS))) throw topicMissing(options);
      } catch (error) {
        await disconnect(consumer);
        throw error;
      }
      state.isStopped = false;
      state.trouble = '';
      consumer.subscribe([topic]);
      pump();
    },
    async assignment() {
      pump();
      return await waitForAssignment(context);
    },
    async begin(offsets) {
      const before = state.assigned;
      const assigned = new Map([...offsets].filter(([partition]) => before?.includes(partition)));
      await checkOffsets(consumer, topic, assigned);
      // Nobody reads yet, so what the group took back meanwhile is given back already, and what it gives out next is another session's.
      if (before === undefined || state.assigned !== before) throw assignmentChanged(options, before, state.assigned);
      beginReading(context, assigned);
      pump();
    },
    get assigned() {
      return state.assigned;
    },
    get partitions() {
      return state.isReading ? (state.assigned ?? []) : [];
    },
    get isRevoked() {
      return state.isRevoked;
    },
    isAtEnd(partition, nextOffset) {
      if (state.trouble !== '' || state.isPaused || state.isRevoked || !state.isReading || queue.countOf(partition) > 0) return false;
      const end = state.ends.get(partition);
      return end !== undefined && (nextOffset ?? end) === end;
    },
    commit: (offsets) => commit(context, offsets),
    get commitFailures() {
      return state.commitFailures;
    },
    get health() {
      const trouble = state.trouble === '' && state.assigned === undefined ? 'waiting for the group to give out partitions' : state.trouble;
      const count = state.assigned?.length ?? 0;
      return { isUp: trouble === '', detail: trouble === '' ? `reading ${count} partitions` : trouble };
    },
    takeFailure() {
      const { failure } = state;
      state.failure = undefined;
      return failure;
    },
    end() {
      endReading(context);
      pump();
    },
    async close() {
      state.isStopped = true;
      endReading(context);
      await leave(context);
    },
  };
}

function createContext(options: ReaderOptions): ReaderContext {
  const state = createState();
  const onCommitFailure = (): void => {
    state.commitFailures += 1;
  };
  const settings = consumerSettings(options, { onRebalance: createRebalance(() => context), onCommitFailure });
  const consumer = new options.library.KafkaConsumer(settings, { 'auto.offset.reset': 'earliest' });
  const context: ReaderContext = {
    options,
    state,
    queue: createMessageQueue(),
    consumer,
    fail(error) {
      state.failure ??= error;
      state.isStopped = true;
      state.trouble = error.message;
    },
  };
  const probe = createProbe(context);
  consumer.on('partition.eof', ({ partition, offset }) => state.ends.set(partition, offset));
  consumer.on('event.error', (error) => {
    const trouble = clientTrouble(error);
    if (trouble === 'fatal') context.fail(fatal(options, error));
    else if (trouble !== 'other' && !state.isStopped) probe(error.message);
  });
  return context;
}

/** After a lost connection ends of partitions are not announced anew, so they are asked for until the brokers answer. */
function createProbe({ options, state, consumer }: ReaderContext): (trouble: string) => void {
  let isProbing = false;
  const ask = async (): Promise<void> => {
    if (state.isStopped) return;
    try {
      for (const [partition, high] of await highOffsets(consumer, options.topic, state.assigned ?? [])) state.ends.set(partition, high);
      isProbing = false;
      if (!state.isStopped) state.trouble = '';
    } catch (error) {
      if (state.isStopped) return;
      state.trouble = messageOf(error);
      setTimeout(ask, PROBE_MS).unref();
    }
  };
  return (trouble) => {
    state.trouble = trouble;
    if (isProbing) return;
    isProbing = true;
    setTimeout(ask, PROBE_MS).unref();
  };
}

function createPump(context: ReaderContext): () => void {
  const { options, state, queue, consumer, fail } = context;
  const isHeldBack = createBackPressure(context);
  let isReading = false;
  /** True while reads bring something: then they do not wait, and take batches. */
  let isBusy = false;

  const onError = (error: RdkafkaError): void => {
    if (error.isFatal) {
      fail(fatal(options, error));
      return;
    }
    state.trouble = error.message;
    isBusy = false;
    setTimeout(() => {
      isReading = false;
      state.trouble = '';
      pump();
    }, RETRY_MS).unref();
  };

  const onMessages = (messages: readonly Message[]): void => {
    for (const message of messages) {
      const expected = state.readOffsets.get(message.partition);
      if (expected !== undefined && message.offset < expected) {
        fail(wentBack(options, message, expected));
        return;
      }
      state.readOffsets.set(message.partition, message.offset + 1);
      queue.push(message);
    }
    isBusy = messages.length > 0;
  };

  const pump = (): void => {
    if (isReading || state.isStopped || state.isRevoked || isHeldBack()) return;
    isReading = true;
    const { generation } = state;
    const isBatch = isBusy && !state.isPaused;
    consumer.setDefaultConsumeTimeout(isBatch ? 0 : READ_WAIT_MS);
    consumer.consume(isBatch ? READ_BATCH : 1, (error, messages) => {
      if (state.isStopped) return;
      if (error) {
        onError(error);
        return;
      }
      isReading = false;
      if (generation === state.generation) onMessages(messages);
      pump();
    });
  };
  return pump;
}

/** Returns whether nothing may be read now. A queue that stays full pauses the partitions; reads then only answer the group. */
function createBackPressure({ options, state, queue, consumer }: ReaderContext): () => boolean {
  const toPartitions = () => (state.assigned ?? []).map((partition) => ({ topic: options.topic, partition }));
  let fullSinceMs: number | undefined;
  return () => {
    if (queue.count < READ_AHEAD_MESSAGES && queue.bytes < READ_AHEAD_BYTES) {
      fullSinceMs = undefined;
      if (state.isPaused && queue.count <= READ_AHEAD_MESSAGES / 2 && queue.bytes <= READ_AHEAD_BYTES / 2) {
        consumer.resume(toPartitions());
        state.isPaused = false;
      }
      return false;
    }
    const nowMs = options.clock.wallMs();
    fullSinceMs ??= nowMs;
    if (!state.isPaused && nowMs - fullSinceMs >= PAUSE_AFTER_MS) {
      consumer.pause(toPartitions());
      state.isPaused = true;
    }
    return !state.isPaused;
  };
}

function commit({ options, state, consumer }: ReaderContext, offsets: SourcePosition['offsets']): void {
  const list = [...offsets].map(([partition, offset]) => ({ topic: options.topic, partition, offset: Number(offset) }));
  if (list.length === 0) return;
  try {
    consumer.commit(list);
  } catch {
    // Not connected: the next epoch's commit covers this one.
    state.commitFailures += 1;
  }
}

/**
 * Leaves the group, then disconnects. What the group asks comes with reads, and a client that closes with a question unanswered waits for
 * ever: so it reads for a moment between the two, and until its coordinator has answered a question of its own.
 *
 * Disconnecting waits for every answer that the coordinator owes. It cannot be called off, and it holds a thread of the pool, without which
 * no process ends. So a client whose coordinator is silent is not disconnected: the end of the process ends it, and its session times out.
 */
async function leave({ consumer, options }: ReaderContext): Promise<void> {
  if (!consumer.isConnected()) return;
  consumer.unsubscribe();
  consumer.setDefaultConsumeTimeout(READ_WAIT_MS);
  let isAnswered: boolean | undefined;
  // Requests to a coordinator are answered in order: with this one, every commit before it.
  consumer.committed([{ topic: options.topic, partition: 0 }], ANSWER_TIMEOUT_MS, (error) => {
    isAnswered = !error;
  });
  for (let reads = 0; reads < LEAVING_READS || (isAnswered === undefined && reads < ANSWER_READS); reads += 1) {
    await new Promise<void>((resolve) => {
      consumer.consume(1, () => resolve());
    });
  }
  if (isAnswered) await Promise.race([disconnect(consumer), sleep(DISCONNECT_TIMEOUT_MS)]);
}

function disconnect(consumer: Consumer): Promise<void> {
  if (!consumer.isConnected()) return Promise.resolve();
  return new Promise((resolve) => consumer.disconnect(resolve));
}
