/**
 * The reader as a member of its group. Partitions that the group gives out are not read before the engine begins to: their open buckets
 * have to be loaded first. Those that it wants back stay this member's until the engine has stored their open buckets and releases them;
 * the group waits for that.
 */
import { SYSTEM_PAUSE } from '../core/clock.ts';
import { assert, EngineError } from '../core/errors.ts';
import { type Consumer, RDKAFKA_ERROR, type TopicPartition } from '../sinks/kafka/rdkafka.ts';
import type { ConsumerCallbacks, ReaderContext, ReaderState, ReadUnderWay } from './kafka-state.ts';
import type { SourcePosition } from './source.ts';

const ASSIGN_TIMEOUT_MS = 45_000;

/** The context comes by function, since the consumer in it is made with what this returns. */
export function createRebalance(context: () => ReaderContext): ConsumerCallbacks['onRebalance'] {
  return (error, list) => {
    const { state, consumer, options } = context();
    if (state.isStopped) {
      answerLeaving(consumer);
      return;
    }
    if (error.code !== RDKAFKA_ERROR.assignPartitions) {
      if (state.isReading) {
        state.isRevoked = true;
        options.fetcher?.hold();
      } else {
        state.assigned = undefined;
        state.isAnswered = true;
        consumer.unassign();
      }
      return;
    }
    state.assigned = list.map(({ partition }) => partition).sort((left, right) => left - right);
    // With nothing to read no session begins, and nobody else would answer.
    state.isAnswered = list.length === 0;
    if (state.isAnswered) consumer.assign([]);
    state.onAssigned(state.assigned);
  };
}

/** A client that is leaving wants an answer before it can close, and refuses it once it is closing. */
function answerLeaving(consumer: Consumer): void {
  try {
    consumer.unassign();
  } catch {
    // Closing: it no longer waits for the answer.
  }
}

/**
 * Waits until the group has given out partitions, none perhaps.
 * @throws EngineError KAFKA_ASSIGNMENT (retryable)
 */
export function waitForAssignment({ options, state }: ReaderContext): Promise<readonly number[]> {
  return new Promise((resolve, reject) => {
    if (state.assigned !== undefined) {
      resolve(state.assigned);
      return;
    }
    const late = new AbortController();
    const giveUp = (): void => {
      const text = `topic ${options.topic}, group ${options.group}: no partitions assigned in ${ASSIGN_TIMEOUT_MS} ms`;
      reject(new EngineError('KAFKA_ASSIGNMENT', text, { retryable: true }));
    };
    (options.pause ?? SYSTEM_PAUSE)(ASSIGN_TIMEOUT_MS, late.signal).then(giveUp, () => undefined);
    state.onAssigned = (assigned) => {
      late.abort();
      resolve(assigned);
    };
  });
}

/** Waits for a read that is out of date: it would take the first messages of a new assignment with it, and be forgotten with them. */
export async function staleReadEnds({ state }: ReaderContext): Promise<void> {
  while (isOutOfDate(state.read, state)) await state.read.done;
}

function isOutOfDate(read: ReadUnderWay | undefined, { generation }: ReaderState): read is ReadUnderWay {
  return read !== undefined && read.generation !== generation;
}

/** Reads the assigned partitions from the given offsets; all of them are given. */
export function beginReading({ options, state, consumer }: ReaderContext, offsets: SourcePosition['offsets']): void {
  assert(!state.isReading && !isOutOfDate(state.read, state), 'reading begins once the reading before it has ended');
  const numbers = new Map([...offsets].map(([partition, offset]) => [partition, Number(offset)]));
  const list = [...numbers].map(([partition, offset]): TopicPartition => ({ topic: options.topic, partition, offset }));
  state.readOffsets.clear();
  for (const [partition, offset] of numbers) state.readOffsets.set(partition, offset);
  state.ends.clear();
  state.isPaused = options.fetcher !== undefined;
  state.isReading = true;
  state.isAnswered = true;
  consumer.assign(list);
  if (options.fetcher === undefined) return;
  // The member keeps its assignment, commits and heartbeats; what librdkafka has fetched until it takes note is thrown away.
  consumer.pause(list);
  options.fetcher.begin(numbers, state.policy);
}

/**
 * Ends reading. What was read ahead is forgotten. Partitions that the group wants back are given back; others stay assigned, and can be
 * read again from other offsets.
 */
export function endReading({ options, state, queue, consumer }: ReaderContext): void {
  const wasReading = state.isReading;
  const held = (state.assigned ?? []).map((partition): TopicPartition => ({ topic: options.topic, partition }));
  options.fetcher?.end();
  queue.clear();
  state.jumped.clear();
  state.generation += 1;
  state.isReading = false;
  if (state.isRevoked) state.assigned = undefined;
  state.isRevoked = false;
  if (!consumer.isConnected()) return;
  // A pause outlives the assignment, and would hold up a partition that comes back.
  if (wasReading && state.isPaused && options.fetcher === undefined) consumer.resume(held);
  if (wasReading) consumer.unassign();
  else if (!state.isAnswered) {
    // A session that failed before it read anything. Without an answer the client would never hear that it has been put out of its group, and
    // sessions would go on taking the lanes from whoever has them now.
    state.isAnswered = true;
    consumer.assign([]);
  }
}
