/** When a recorded row is due. */
import type { Clock } from '../../core/clock.ts';

export interface Pace {
  /** Whether a row's time has come. The first row asked about is due at once, and the others are paced from it. */
  isDue(row: Moment): boolean;
  /** By how many milliseconds of real time a row is overdue; 0 when it is not. */
  lagMs(row: Moment): number;
}

/** An event time. */
export interface Moment {
  readonly seconds: number;
  readonly nanos: number;
}

/** `speed` is a multiple of real time; with `max` every row is due, and none is late. */
export function createPace(speed: number | 'max', clock: Clock): Pace {
  if (speed === 'max') return { isDue: () => true, lagMs: () => 0 };
  let startMs = Number.NaN;
  let firstSeconds = 0;
  let firstNanos = 0;
  const overdueMs = ({ seconds, nanos }: Moment): number => {
    if (Number.isNaN(startMs)) {
      startMs = clock.wallMs();
      firstSeconds = seconds;
      firstNanos = nanos;
    }
    const eventMs = (seconds - firstSeconds) * 1000 + (nanos - firstNanos) / 1e6;
    return clock.wallMs() - startMs - eventMs / speed;
  };
  return { isDue: (row) => overdueMs(row) >= 0, lagMs: (row) => Math.max(0, overdueMs(row)) };
}
