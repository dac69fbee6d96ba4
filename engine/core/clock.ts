/** Time comes from here and nowhere else. */
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
