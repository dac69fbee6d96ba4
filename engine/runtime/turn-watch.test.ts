import { expect, it } from 'vitest';
import { createManualClock } from '../core/clock.ts';
import { createTurnWatch } from './turn-watch.ts';

it('tells the longest pause of each second, less the rest that was asked for', () => {
  const clock = createManualClock(0);
  const seconds: number[] = [];
  const watch = createTurnWatch(clock, (longestUs) => seconds.push(longestUs));
  watch.turned(1);
  for (let turn = 1; turn <= 3000; turn += 1) {
    // Each turn takes 1 ms and rests for another; one in each 500 stands still for 5 ms more.
    clock.advanceMs(turn % 500 === 250 ? 7 : 2);
    watch.turned(1);
  }
  expect(seconds.length).toBeGreaterThanOrEqual(5);
  expect(new Set(seconds)).toEqual(new Set([6000]));
});

it('does not count what was before the first turn, and begins anew each second', () => {
  const clock = createManualClock(0);
  const seconds: number[] = [];
  const watch = createTurnWatch(clock, (longestUs) => seconds.push(longestUs));
  clock.advanceMs(10_000);
  watch.turned(0);
  clock.advanceMs(400);
  watch.turned(0);
  clock.advanceMs(600);
  watch.turned(0);
  clock.advanceMs(1000);
  watch.turned(1);
  expect(seconds).toEqual([600_000, 999_000]);
});
