/**
 * How long main stands still: of each second the sum of the times between two turns of its duty cycle that are long, less the rest that was asked for
 * and less the time in which other programs had the processor. What is left is our own: a long turn, a pause for garbage collection, a page that is
 * rendered. A sum, since a stall is in it whatever else there is; in the longest of them it hides behind the next one.
 */
import type { Clock } from '../core/clock.ts';

export interface TurnWatch {
  /** Called after each turn and its rest. */
  turned(restedMs: number): void;
}

export interface TurnWatchParts {
  readonly clock: Pick<Clock, 'monotonicUs'>;
  /** Time since some point in which main was ready to run and others ran, us. */
  runDelayUs(): number;
  /** Told the time of each second for which main stood still, in us, once the second is over. */
  onSecond(stillUs: number): void;
}

const SECOND_US = 1_000_000;
/** A shorter one is the work of a turn, or a timer's being late. */
export const LONG_TURN_US = 2000;
/**
 * Reading the run delay costs more than a short turn, so it is not read after each: what a pause is found to owe to others may be too much by the
 * delay of as long before it.
 */
const READ_EVERY_US = 2000;

export function createTurnWatch({ clock, runDelayUs, onSecond }: TurnWatchParts): TurnWatch {
  let lastUs: number | undefined;
  let readUs = 0;
  let delayUs = 0;
  let secondEndsUs = 0;
  let stillUs = 0;
  return {
    turned(restedMs) {
      const nowUs = clock.monotonicUs();
      if (lastUs === undefined) secondEndsUs = nowUs + SECOND_US;
      let pauseUs = lastUs === undefined ? 0 : nowUs - lastUs - restedMs * 1000;
      lastUs = nowUs;
      if (nowUs - readUs >= READ_EVERY_US) {
        const before = delayUs;
        readUs = nowUs;
        delayUs = runDelayUs();
        pauseUs -= delayUs - before;
      }
      if (pauseUs >= LONG_TURN_US) stillUs += pauseUs;
      if (nowUs < secondEndsUs) return;
      onSecond(stillUs);
      stillUs = 0;
      secondEndsUs = nowUs + SECOND_US;
    },
  };
}
