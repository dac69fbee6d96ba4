/**
 * How far each partition of a topic of bars has come. Only a partition that is read to its end closes buckets by time: while there is more to
 * read, symbols may be at very different places in it, and each closes its own buckets by its own bars.
 */

export interface StageWatermarks {
  notePartition(partition: number): void;
  /** A bar of this partition that ends at `endSec` arrived at a wall time. */
  note(partition: number, endSec: number, nowMs: number): void;
  /** For a partition that is caught up: as ingest's. Without silence it goes to the last bar's end less the lateness. */
  advanceIdle(partition: number, nowMs: number, idleMs: number): boolean;
  closeAll(): void;
  list(): (readonly [partition: number, watermarkNs: bigint])[];
  /** Before the partition's symbols are restored. */
  restore(partition: number, watermarkNs: bigint): void;
}

interface PartitionState {
  /** End of the latest bar, seconds; -Infinity before the first. */
  latestSec: number;
  arrivedMs: number;
  /** Everything before is over; whole seconds. */
  overSec: number;
}

const NS_PER_SECOND = 1_000_000_000n;
const ENDED_NS = 2n ** 63n - 1n;

/** What is moved. */
export interface Advanced {
  /** Closes what is open in a partition and ends at or before a second. */
  advance(partition: number, sec: number): void;
  restorePartition(partition: number, sec: number): void;
}

export function createStageWatermarks(latenessMs: number, { advance, restorePartition }: Advanced): StageWatermarks {
  const states = new Map<number, PartitionState>();
  const stateOf = (partition: number): PartitionState => {
    const known = states.get(partition);
    if (known !== undefined) return known;
    const state = { latestSec: Number.NEGATIVE_INFINITY, arrivedMs: Number.NaN, overSec: Number.NEGATIVE_INFINITY };
    states.set(partition, state);
    return state;
  };
  const move = (partition: number, state: PartitionState, sec: number): boolean => {
    if (!(sec > state.overSec)) return false;
    state.overSec = sec;
    advance(partition, sec);
    return true;
  };
  return {
    notePartition: (partition) => void stateOf(partition),
    note(partition, endSec, nowMs) {
      const state = stateOf(partition);
      state.latestSec = Math.max(state.latestSec, endSec);
      state.arrivedMs = nowMs;
    },
    advanceIdle(partition, nowMs, idleMs) {
      const state = stateOf(partition);
      const silentMs = nowMs - state.arrivedMs;
      const passedMs = silentMs >= idleMs ? silentMs : 0;
      const sec = Math.floor(Math.min(state.latestSec * 1000 + passedMs - latenessMs, nowMs) / 1000);
      return move(partition, state, sec);
    },
    closeAll() {
      for (const [partition, state] of states) move(partition, state, Number.POSITIVE_INFINITY);
    },
    list: () =>
      [...states].flatMap(([partition, { overSec }]) => {
        if (overSec === Number.NEGATIVE_INFINITY) return [];
        return [[partition, overSec === Number.POSITIVE_INFINITY ? ENDED_NS : BigInt(overSec) * NS_PER_SECOND] as const];
      }),
    restore(partition, watermarkNs) {
      const sec = watermarkNs === ENDED_NS ? Number.POSITIVE_INFINITY : Number(watermarkNs / NS_PER_SECOND);
      stateOf(partition).overSec = sec;
      restorePartition(partition, sec);
    },
  };
}
