/**
 * Reading by librdkafka behind offsets that the topic no longer holds. The client reports such a partition once, without saying which it is,
 * and then brings nothing more of it; where messages came with it the report is lost. So a partition that stands still is looked at, by itself
 * and while the others are read: one that cannot be asked about, or has lost nothing, holds up nobody.
 */
import { EngineError, messageOf } from '../core/errors.ts';
import type { OffsetJump } from '../kafka-direct/offset-jumps.ts';
import { RDKAFKA_ERROR, type RdkafkaError } from '../sinks/kafka/rdkafka.ts';
import { checkOffsets } from './kafka-offsets.ts';
import type { ReaderContext } from './kafka-state.ts';

/** A partition that brings nothing for so long is looked at, ms: after a report, without one, and at its end or once it was found in order. */
const REPORTED_MS = 1000;
const SILENCE_MS = 5000;
const REST_MS = 30_000;
const CODES: ReadonlySet<number> = new Set([RDKAFKA_ERROR.offsetReset, RDKAFKA_ERROR.logTruncation, RDKAFKA_ERROR.offsetOutOfRange]);

export interface GapWatch {
  /**
   * Call it before each read, while none is under way: looks at a partition that stands still, and reads on behind what was found to be gone. The
   * reader fails with KAFKA_OFFSET_GONE by the policy.
   */
  step(): void;
  /** The client has reported offsets that are gone. */
  report(): void;
}

export function isOffsetGone({ code }: RdkafkaError): boolean {
  return CODES.has(code);
}

interface Stand {
  readonly next: number;
  readonly end: number | undefined;
  readonly sinceMs: number;
  /** It was looked at as it stands, and nothing was wrong. */
  isInOrder: boolean;
}

export function createGapWatch({ options, state, consumer, fail }: ReaderContext): GapWatch {
  const { topic } = options;
  const stands = new Map<number, Stand>();
  /** What was found since the last step. */
  const found: OffsetJump[] = [];
  let { generation } = state;
  let isReported = false;
  let isLooking = false;

  const isOutOfDate = (): boolean => generation !== state.generation || !state.isReading || state.isStopped;
  const standOf = (partition: number, next: number): Stand => {
    const end = state.ends.get(partition);
    const known = stands.get(partition);
    if (known && known.next === next && known.end === end) return known;
    const stand = { next, end, sinceMs: options.clock.wallMs(), isInOrder: false };
    stands.set(partition, stand);
    return stand;
  };
  const patienceMs = ({ next, end, isInOrder }: Stand): number => {
    if (isInOrder) return REST_MS;
    if (isReported) return REPORTED_MS;
    return end === next ? REST_MS : SILENCE_MS;
  };
  const look = async (partition: number, stand: Stand): Promise<void> => {
    const asked = state.generation;
    isLooking = true;
    try {
      const [jump] = await checkOffsets(consumer, { topic, offsets: new Map([[partition, BigInt(stand.next)]]), policy: state.policy });
      if (asked !== state.generation) return;
      if (jump) found.push(jump);
      else stands.set(partition, { ...stand, sinceMs: options.clock.wallMs(), isInOrder: true });
    } catch (error) {
      if (asked !== state.generation || isOutOfDate()) return;
      // Who leads it cannot be asked: again after the same silence.
      if (error instanceof EngineError && error.retryable) stands.delete(partition);
      else fail(error instanceof Error ? error : new Error(messageOf(error)));
    } finally {
      isLooking = false;
    }
  };
  const follow = (): void => {
    const jumps = found.splice(0).filter(({ partition, from }) => state.readOffsets.get(partition) === from);
    if (jumps.length === 0) return;
    isReported = false;
    for (const jump of jumps) {
      state.readOffsets.set(jump.partition, jump.to);
      state.jumped.set(jump.partition, jump.to);
      options.onJump?.(jump);
    }
    // What the client has fetched of the other partitions is fetched again, from where they are.
    consumer.assign([...state.readOffsets].map(([partition, offset]) => ({ topic, partition, offset })));
  };

  return {
    step() {
      if (isOutOfDate() || state.isPaused) {
        generation = state.generation;
        stands.clear();
        found.length = 0;
        return;
      }
      follow();
      if (isLooking) return;
      for (const [partition, next] of state.readOffsets) {
        const stand = standOf(partition, next);
        if (options.clock.wallMs() - stand.sinceMs < patienceMs(stand)) continue;
        void look(partition, stand);
        return;
      }
    },
    report() {
      isReported = true;
      for (const stand of stands.values()) stand.isInOrder = false;
    },
  };
}
