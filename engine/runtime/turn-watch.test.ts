import { expect, it } from 'vitest';
import { createManualClock } from '../core/clock.ts';
import { createTurnWatch } from './turn-watch.ts';

function watched() {
  const clock = createManualClock(0);
  const seconds: number[] = [];
  const others = { us: 0 };
  const watch = createTurnWatch({ clock, runDelayUs: () => others.us, onSecond: (longestUs) => seconds.push(longestUs) });
  return { clock, seconds, others, watch };
}

it('tells how long main stood still in each second, less the rest that was asked for', () => {
  const { clock, seconds, watch } = watched();
  watch.turned(1);
  for (let turn = 1; turn <= 3000; turn += 1) {
    // Each turn takes 1 ms and rests for another; one in each 250 stands still for 5 ms more.
    clock.advanceMs(turn % 250 === 125 ? 7 : 2);
    watch.turned(1);
  }
  const stalls = seconds.map((us) => us / 6000);
  expect(seconds.length).toBeGreaterThanOrEqual(5);
  expect(stalls.every((count) => count === 1 || count === 2)).toBe(true);
});

it('leaves out the time in which others had the processor, and keeps a stall among such times', () => {
  const { clock, seconds, others, watch } = watched();
  watch.turned(0);
  for (let turn = 1; turn <= 600; turn += 1) {
    // Others run for 40 ms in every tenth turn, and once in each hundred turns main stands still for 5 ms beside.
    const taken = turn % 10 === 5 ? 40 : 0;
    others.us += taken * 1000;
    clock.advanceMs(2 + taken + (turn % 100 === 5 ? 5 : 0));
    watch.turned(1);
  }
  const stalls = seconds.map((us) => us / 6000);
  expect(seconds.length).toBeGreaterThanOrEqual(3);
  expect(stalls.every((count) => count === 1 || count === 2)).toBe(true);
});

it('does not count what was before the first turn, and begins anew each second', () => {
  const { clock, seconds, watch } = watched();
  clock.advanceMs(10_000);
  watch.turned(0);
  clock.advanceMs(400);
  watch.turned(0);
  clock.advanceMs(600);
  watch.turned(0);
  clock.advanceMs(1000);
  watch.turned(1);
  expect(seconds).toEqual([1_000_000, 999_000]);
});
