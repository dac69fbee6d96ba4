/**
 * The reader as a member of its group. The group may take partitions back, because a broker was away or a member came. Those that
 * return, and that no other member had meanwhile, are read on. One that was read here and is given to another member is a failure: its
 * open buckets are in this engine, and the other would build them a second time. The engine ends, and the next start goes on from
 * stored offsets.
 */
import { EngineError } from '../core/errors.ts';
import { RDKAFKA_ERROR, type TopicPartition } from '../sinks/kafka/rdkafka.ts';
import { type ConsumerCallbacks, type ReaderContext, revoked } from './kafka-state.ts';

const COMMITTED_TIMEOUT_MS = 10_000;
const RETRY_MS = 500;
const ASSIGN_TIMEOUT_MS = 45_000;

/** The context comes by function, since the consumer in it is made with what this returns. */
export function createRebalance(context: () => ReaderContext): ConsumerCallbacks['onRebalance'] {
  return (error, list) => {
    const { options, state, consumer, fail } = context();
    const partitions = list.map(({ partition }) => partition);
    if (error.code !== RDKAFKA_ERROR.assignPartitions) {
      takeBack(context());
      return;
    }
    const missing = [...state.readOffsets.keys()].filter((partition) => !partitions.includes(partition));
    if (state.isStopped) consumer.assign([]);
    else if (missing.length > 0) fail(revoked(options, missing));
    else if (state.readOffsets.size > 0) assignAgain(context(), partitions);
    else assign(context(), partitions);
  };
}

/**
 * Waits for the first assignment.
 * @throws EngineError KAFKA_ASSIGNMENT (retryable)
 */
export function waitForAssignment({ options, state }: ReaderContext): Promise<void> {
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

/** What was read ahead and not handed over is read again, if the partition comes back. */
function takeBack({ state, queue, consumer }: ReaderContext): void {
  consumer.unassign();
  state.assigned = [];
  if (state.isStopped) return;
  state.isSuspended = true;
  state.generation += 1;
  for (let index = queue.count - 1; index >= 0; index -= 1) {
    const message = queue.at(index);
    if (message) state.readOffsets.set(message.partition, message.offset);
  }
  queue.clear();
}

function assign({ options, state, consumer }: ReaderContext, partitions: readonly number[]): void {
  consumer.assign(
    partitions.map((partition): TopicPartition => {
      const offset = state.readOffsets.get(partition) ?? state.from?.offsets.get(partition);
      // Without an offset it begins at the group's committed one.
      return offset === undefined ? { topic: options.topic, partition } : { topic: options.topic, partition, offset: Number(offset) };
    }),
  );
  state.assigned = [...partitions].sort((left, right) => left - right);
  state.isPaused = false;
  state.isSuspended = false;
  state.onAssigned();
}

/** Another member that had a partition meanwhile would have committed further than this one has. */
function assignAgain(context: ReaderContext, partitions: readonly number[]): void {
  const { options, state, consumer, fail } = context;
  const { generation } = state;
  const known = [...state.readOffsets.keys()].map((partition) => ({ topic: options.topic, partition }));
  consumer.committed(known, COMMITTED_TIMEOUT_MS, (error, offsets) => {
    if (state.isStopped || state.generation !== generation) return;
    if (error) {
      state.trouble = error.message;
      setTimeout(() => {
        if (!state.isStopped && state.generation === generation) assignAgain(context, partitions);
      }, RETRY_MS).unref();
      return;
    }
    const ownOffset = (partition: number): number => state.committed.get(partition) ?? state.readOffsets.get(partition) ?? 0;
    const moved = offsets.filter(({ partition, offset = 0 }) => offset > ownOffset(partition)).map(({ partition }) => partition);
    if (moved.length > 0) fail(revoked(options, moved));
    else assign(context, partitions);
  });
}
