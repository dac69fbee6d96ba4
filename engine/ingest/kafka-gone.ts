/**
 * Reading by librdkafka behind offsets that the topic no longer holds. The client reports such a partition once and then brings nothing more
 * of it, and the report is lost where messages came with it. So a partition that stands still is looked at too.
 */
import type { OffsetJump } from '../kafka-direct/offset-jumps.ts';
import { RDKAFKA_ERROR, type RdkafkaError } from '../sinks/kafka/rdkafka.ts';
import { checkOffsets } from './kafka-offsets.ts';
import type { ReaderContext } from './kafka-state.ts';

/** A partition that has more, as far as is known, and brings nothing for so long is looked at, ms. */
const SILENCE_MS = 5000;
/** The same of one that was at its end. */
const SILENCE_AT_END_MS = 30_000;
const CODES: ReadonlySet<number> = new Set([RDKAFKA_ERROR.offsetReset, RDKAFKA_ERROR.logTruncation, RDKAFKA_ERROR.offsetOutOfRange]);

export interface GapWatch {
  /** Call it before each read: true when a partition has been silent for so long that it should be looked at. */
  isDue(): boolean;
  /**
   * Looks where the partitions begin and end, and reads on behind what is gone. No read may be under way.
   * @throws EngineError KAFKA_OFFSET_GONE, KAFKA_UNREACHABLE (retryable)
   */
  look(): Promise<void>;
}

export function isOffsetGone({ code }: RdkafkaError): boolean {
  return CODES.has(code);
}

interface Stand {
  readonly next: number;
  readonly end: number | undefined;
  readonly sinceMs: number;
}

export function createGapWatch({ options, state, consumer }: ReaderContext): GapWatch {
  const stands = new Map<number, Stand>();

  /** How long a partition has stood where it is. */
  const silenceMs = (partition: number, next: number): number => {
    const nowMs = options.clock.wallMs();
    const end = state.ends.get(partition);
    const known = stands.get(partition);
    if (known && known.next === next && known.end === end) return nowMs - known.sinceMs;
    stands.set(partition, { next, end, sinceMs: nowMs });
    return 0;
  };
  const follow = (jumps: readonly OffsetJump[]): void => {
    for (const jump of jumps) {
      state.readOffsets.set(jump.partition, jump.to);
      state.jumped.set(jump.partition, jump.to);
      options.onJump?.(jump);
    }
    // What the client has fetched of the other partitions is fetched again, from where they are.
    consumer.assign([...state.readOffsets].map(([partition, offset]) => ({ topic: options.topic, partition, offset })));
    state.isPaused = false;
  };

  return {
    isDue() {
      if (!state.isReading || state.isPaused) {
        stands.clear();
        return false;
      }
      let isAny = false;
      for (const [partition, next] of state.readOffsets) {
        const limitMs = state.ends.get(partition) === next ? SILENCE_AT_END_MS : SILENCE_MS;
        if (silenceMs(partition, next) >= limitMs) isAny = true;
      }
      return isAny;
    },
    async look() {
      const { generation } = state;
      stands.clear();
      const offsets = new Map([...state.readOffsets].map(([partition, offset]) => [partition, BigInt(offset)]));
      const jumps = await checkOffsets(consumer, { topic: options.topic, offsets, policy: state.policy });
      const isStillRead = generation === state.generation && state.isReading && !state.isStopped && !state.isRevoked;
      if (isStillRead && jumps.length > 0) follow(jumps);
    },
  };
}
