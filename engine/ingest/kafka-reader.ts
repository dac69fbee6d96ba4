/**
 * Reads a topic by consumer group into a bounded queue. librdkafka reads in its own threads; here one read at a time is under way, which
 * waits in a thread of the pool and never on main.
 */
import { SYSTEM_PAUSE } from '../core/clock.ts';
import type { Fetcher } from '../kafka-direct/fetcher.ts';
import type { OffsetPolicy } from '../kafka-direct/offset-jumps.ts';
import { awaitTopic, clientTrouble, connectClient, disconnectConsumer } from '../sinks/kafka/client.ts';
import type { Message, RdkafkaError } from '../sinks/kafka/rdkafka.ts';
import { createGapWatch, isOffsetGone } from './kafka-gone.ts';
import { beginReading, createRebalance, endReading, staleReadEnds, waitForAssignment } from './kafka-group.ts';
import { leave } from './kafka-leave.ts';
import { checkOffsets, groupOffsets } from './kafka-offsets.ts';
import { createProbe } from './kafka-probe.ts';
import { createMessageQueue, type MessageQueue } from './kafka-queue.ts';
import { createRescue } from './kafka-rescue.ts';
import {
  assignmentChanged,
  consumerSettings,
  createState,
  fatal,
  READ_WAIT_MS,
  type ReaderContext,
  type ReaderOptions,
  topicMissing,
  wentBack,
} from './kafka-state.ts';
import type { SourcePosition } from './source.ts';

/** A few batches; the client keeps more. Messages that wait here for long outlive main's young generation, and cost it garbage collection. */
export const READ_AHEAD_MESSAGES = 4096;
const READ_AHEAD_BYTES = 16_777_216;
/** Messages of one read. */
export const READ_BATCH = 1024;
/** A queue full for this long pauses the partitions, so that the member can still answer its group. */
const PAUSE_AFTER_MS = 1000;
const RETRY_MS = 500;
const CONNECT_TIMEOUT_MS = 15_000;

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
   * Begins to read what is assigned. Partitions in `offsets` begin there, others at the group's committed offset, else at the earliest. The
   * policy for offsets that are gone is that of the options unless given.
   * @throws EngineError KAFKA_OFFSET_GONE, KAFKA_UNREACHABLE and KAFKA_ASSIGNMENT_CHANGED (both retryable)
   */
  begin(offsets: SourcePosition['offsets'], policy?: OffsetPolicy): Promise<void>;
  /** Where partitions went on that jumped over offsets since the last call, and of which nothing from before is left in the queue. */
  takeJumps(): ReadonlyMap<number, number>;
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
  const { topic } = options;
  const queue = createMessageQueue();
  let member = createMember(options, queue);
  let earlierCommitFailures = 0;
  const rescue = createRescue(options, {
    context: () => member.context,
    async tryAnother() {
      const next = createMember(options, queue);
      await connect(next.context);
      const { context } = member;
      if (context.state.isStopped || context.state.assigned !== undefined) {
        await disconnectConsumer(next.context.consumer);
        return;
      }
      context.state.isStopped = true;
      earlierCommitFailures += context.state.commitFailures;
      next.context.state.onAssigned = context.state.onAssigned;
      member = next;
      begin(member);
      await leave(context);
    },
  });
  const pump = (): void => {
    member.pump();
    options.fetcher?.pump();
    rescue();
  };

  return {
    queue,
    pump,
    async join() {
      if (!member.context.state.isStopped) return;
      await connect(member.context);
      begin(member);
    },
    async assignment() {
      pump();
      return await waitForAssignment(member.context);
    },
    async begin(offsets, policy = options.onOffsetGone ?? 'stop') {
      const { context } = member;
      const { state, consumer } = context;
      const before = state.assigned;
      const assigned = new Map([...offsets].filter(([partition]) => before?.includes(partition)));
      const others = (before ?? []).filter((partition) => !assigned.has(partition));
      for (const [partition, offset] of await groupOffsets(consumer, topic, others)) assigned.set(partition, offset);
      const jumps = await checkOffsets(consumer, { topic, offsets: assigned, policy });
      // A session that builds open buckets again reads twice.
      if (state.isReading) endReading(context);
      await staleReadEnds(context);
      // Nobody reads yet, so what the group took back meanwhile is given back already, and what it gives out next is another session's.
      if (before === undefined || member.context.state.assigned !== before) {
        throw assignmentChanged(options, before, member.context.state.assigned);
      }
      state.policy = policy;
      for (const jump of jumps) {
        assigned.set(jump.partition, BigInt(jump.to));
        state.jumped.set(jump.partition, jump.to);
        options.onJump?.(jump);
      }
      beginReading(context, assigned);
      pump();
    },
    takeJumps() {
      const { jumped } = member.context.state;
      const taken = new Map([...jumped].filter(([partition]) => queue.countOf(partition) === 0));
      for (const partition of taken.keys()) jumped.delete(partition);
      return taken;
    },
    get assigned() {
      return member.context.state.assigned;
    },
    get partitions() {
      const { state } = member.context;
      return state.isReading ? (state.assigned ?? []) : [];
    },
    get isRevoked() {
      return member.context.state.isRevoked;
    },
    isAtEnd(partition, nextOffset) {
      const { state } = member.context;
      if (state.trouble !== '' || state.isRevoked || !state.isReading) return false;
      if (options.fetcher) return options.fetcher.isAtEnd(partition, nextOffset);
      if (state.isPaused || queue.countOf(partition) > 0) return false;
      const end = state.ends.get(partition);
      return end !== undefined && (nextOffset ?? end) === end;
    },
    commit: (offsets) => commit(member.context, offsets),
    get commitFailures() {
      return earlierCommitFailures + member.context.state.commitFailures;
    },
    get health() {
      return healthOf(member.context);
    },
    takeFailure() {
      const { state } = member.context;
      const { failure } = state;
      state.failure = undefined;
      return failure ?? options.fetcher?.takeFailure();
    },
    end() {
      endReading(member.context);
      pump();
    },
    async close() {
      const { context } = member;
      context.state.isStopped = true;
      endReading(context);
      await Promise.all([leave(context), options.fetcher?.close()]);
    },
  };
}

/** A client with its own state, and what keeps it reading. */
interface Member {
  readonly context: ReaderContext;
  readonly pump: () => void;
}

function createMember(options: ReaderOptions, queue: MessageQueue): Member {
  const context = createContext(options, queue);
  return { context, pump: createPump(context) };
}

/** @throws EngineError KAFKA_UNREACHABLE, KAFKA_TOPIC_MISSING */
async function connect({ options, consumer }: ReaderContext): Promise<void> {
  await connectClient(consumer, options, CONNECT_TIMEOUT_MS);
  try {
    const asked = { timeoutMs: CONNECT_TIMEOUT_MS, pause: options.pause ?? SYSTEM_PAUSE };
    if (!(await awaitTopic(consumer, options.topic, asked))) throw topicMissing(options);
  } catch (error) {
    await disconnectConsumer(consumer);
    throw error;
  }
}

function begin({ context, pump }: Member): void {
  context.state.isStopped = false;
  context.state.trouble = '';
  context.consumer.subscribe([context.options.topic]);
  pump();
}

function healthOf({ state, options }: ReaderContext): ReaderHealth {
  const waiting = state.assigned === undefined ? 'waiting for the group to give out partitions' : '';
  const trouble = state.trouble || waiting || fetchTrouble(state.isReading ? options.fetcher : undefined);
  return { isUp: trouble === '', detail: trouble === '' ? `reading ${state.assigned?.length ?? 0} partitions` : trouble };
}

function fetchTrouble(fetcher: Fetcher | undefined): string {
  if (!fetcher) return '';
  return [...fetcher.stopped.values()].join('; ') || fetcher.trouble;
}

function createContext(options: ReaderOptions, queue: MessageQueue): ReaderContext {
  const state = createState();
  const onCommitFailure = (): void => {
    state.commitFailures += 1;
  };
  const settings = consumerSettings(options, { onRebalance: createRebalance(() => context), onCommitFailure });
  const consumer = new options.library.KafkaConsumer(settings, { 'auto.offset.reset': 'error' });
  const context: ReaderContext = {
    options,
    state,
    queue,
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

function createPump(context: ReaderContext): () => void {
  const { options, state, queue, consumer, fail } = context;
  const isHeldBack = createBackPressure(context);
  const gaps = createGapWatch(context);
  let isReading = false;
  /** True while reads bring something: then they do not wait, and take batches. */
  let isBusy = false;

  const onError = (error: RdkafkaError): void => {
    if (error.isFatal) {
      fail(fatal(options, error));
      return;
    }
    isBusy = false;
    if (isOffsetGone(error)) {
      gaps.report();
      resume();
      return;
    }
    state.trouble = error.message;
    setTimeout(() => {
      state.trouble = '';
      resume();
    }, RETRY_MS).unref();
  };
  const resume = (): void => {
    isReading = false;
    pump();
  };
  const onMessages = (messages: readonly Message[]): void => {
    if (options.fetcher) return;
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
    // A fetcher has offsets of its own.
    if (!options.fetcher) gaps.step();
    isReading = true;
    const { generation } = state;
    let end = (): void => undefined;
    const done = new Promise<void>((resolve) => {
      end = resolve;
    });
    state.read = { generation, done };
    const isBatch = isBusy && !state.isPaused;
    consumer.setDefaultConsumeTimeout(isBatch ? 0 : READ_WAIT_MS);
    consumer.consume(isBatch ? READ_BATCH : 1, (error, messages) => {
      state.read = undefined;
      end();
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
  if (options.fetcher) return () => false;
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
