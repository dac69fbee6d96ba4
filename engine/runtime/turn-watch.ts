/**
 * How long main stands still: of each second the longest time between two turns of its duty cycle, less the rest that was asked for. Whatever holds
 * main up is in it: a long turn, a pause for garbage collection, a page that is rendered, a processor that others have.
 */
import type { Clock } from '../core/clock.ts';

export interface TurnWatch {
  /** Called after each turn and its rest. */
  turned(restedMs: number): void;
}

const SECOND_US = 1_000_000;

/** @param onSecond told the longest pause of each second, in us, once the second is over */
export function createTurnWatch(clock: Pick<Clock, 'monotonicUs'>, onSecond: (longestUs: number) => void): TurnWatch {
  let lastUs: number | undefined;
  let secondEndsUs = 0;
  let longestUs = 0;
  return {
    turned(restedMs) {
      const nowUs = clock.monotonicUs();
      if (lastUs === undefined) secondEndsUs = nowUs + SECOND_US;
      else longestUs = Math.max(longestUs, nowUs - lastUs - restedMs * 1000);
      lastUs = nowUs;
      if (nowUs < secondEndsUs) return;
      onSecond(longestUs);
      longestUs = 0;
      secondEndsUs = nowUs + SECOND_US;
    },
  };
}
