/** Time comes from here and nowhere else. */
import { setImmediate as nextTurn, setTimeout as sleep } from 'node:timers/promises';

export interface Clock {
  /** Milliseconds since the Unix epoch, with a fraction. */
  wallMs(): number;
  /** Microseconds of a clock that never goes back, the same in every thread of the process. */
  monotonicUs(): number;
}

export const SYSTEM_CLOCK: Clock = {
  wallMs: () => performance.timeOrigin + performance.now(),
  monotonicUs: () => Number(process.hrtime.bigint() / 1000n),
};

/**
 * Microseconds since this thread began, with a fraction. Other threads count from elsewhere. Half as dear as `monotonicUs`, for loops that wait for a
 * point in time; leaves 16 bytes of garbage.
 */
export function threadUs(): number {
  return performance.now() * 1000;
}

/** Rests for so many ms; 0 only lets others have their turn. Rejects when the signal is aborted. */
export type Pause = (ms: number, signal?: AbortSignal) => Promise<unknown>;

export const SYSTEM_PAUSE: Pause = (ms, signal) => (ms === 0 ? nextTurn() : sleep(ms, undefined, signal === undefined ? {} : { signal }));

/** A clock that stands still until told otherwise. */
export interface ManualClock extends Clock {
  advanceMs(ms: number): void;
}

export function createManualClock(startMs: number): ManualClock {
  let nowMs = startMs;
  return {
    wallMs: () => nowMs,
    monotonicUs: () => Math.round(nowMs * 1000),
    advanceMs: (ms) => {
      nowMs += ms;
    },
  };
}
