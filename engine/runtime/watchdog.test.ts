import { expect, it } from 'vitest';
import { createManualClock } from '../core/clock.ts';
import { createWatchdog, untilReady } from './watchdog.ts';

function rig() {
  const clock = createManualClock(0);
  const worker = { value: 1, isStopped: false };
  const check = createWatchdog([{ name: 'shard-0', read: () => worker.value, isStopped: () => worker.isStopped }], clock);
  /** Looks every 100 ms; returns the first failure. */
  const watch = (ms: number, turn: () => void = () => undefined): Error | undefined => {
    for (let at = 0; at < ms; at += 100) {
      clock.advanceMs(100);
      turn();
      const failure = check();
      if (failure) return failure;
    }
    return undefined;
  };
  return { clock, worker, check, watch };
}

it('says nothing while the worker moves', () => {
  const { worker, watch } = rig();
  expect(
    watch(60_000, () => {
      worker.value += 1;
    }),
  ).toBeUndefined();
});

it('names a worker that has not moved, in less than two seconds', () => {
  const { watch } = rig();
  expect(watch(2000)).toMatchObject({ code: 'WORKER_WEDGED', message: expect.stringContaining('shard-0') });
});

it('does not blame a worker for a time in which main itself stood still', () => {
  const { clock, check, worker, watch } = rig();
  clock.advanceMs(30_000);
  expect(check()).toBeUndefined();
  expect(
    watch(1000, () => {
      worker.value += 1;
    }),
  ).toBeUndefined();
});

it('does not ask one that has ended', () => {
  const { worker, watch } = rig();
  worker.isStopped = true;
  expect(watch(10_000)).toBeUndefined();
});

it('gives one that starts more time, but not for ever', () => {
  const { worker, watch } = rig();
  worker.value = 0;
  expect(watch(9000)).toBeUndefined();
  expect(watch(2000)).toMatchObject({ code: 'WORKER_WEDGED' });
});

it('ends the wait for a worker that stands still before it is ready', async () => {
  const { clock, check } = rig();
  const pause = async (ms: number): Promise<void> => clock.advanceMs(ms);
  const never = new Promise<void>(() => undefined);
  await expect(untilReady(never, check, pause)).rejects.toMatchObject({ code: 'WORKER_WEDGED' });
  await untilReady(Promise.resolve(), () => undefined, pause);
});
