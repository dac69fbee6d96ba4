import { expect, it } from 'vitest';
import { describeBound, memoryFiguresOf, slopeOf, utilisationOf } from './engine-figures.ts';
import { cpuSecondsOf, type EngineSample } from './engine-run.ts';

const MIB = 1024 * 1024;

function samplesOf(count: number, residentMib: (second: number) => number): EngineSample[] {
  return Array.from({ length: count }, (_, second) => ({
    atSec: second,
    residentBytes: residentMib(second) * MIB,
    threadCpuSec: new Map([
      [100, second * 0.4],
      [103, second * 0.95],
    ]),
    machineBusySec: second,
  }));
}

it('finds the busiest thread and says that it bounds the rate', () => {
  const use = utilisationOf(
    samplesOf(20, () => 1),
    100,
  );
  expect(use?.threads.map(({ name, share }) => [name, share.toFixed(2)])).toEqual([
    ['thread 3', '0.95'],
    ['main', '0.40'],
  ]);
  expect(describeBound(use)).toBe('the thread 3 thread, busy 95 %');
});

it('says that the machine is busy, or that nothing is', () => {
  const threads = [{ name: 'main', share: 0.5 }];
  expect(describeBound({ threads, machineShare: 0.97 })).toBe('all processors of the machine, busy 97 %');
  expect(describeBound({ threads, machineShare: 0.3 })).toContain('no thread is busy (main 50 %)');
  expect(describeBound(utilisationOf([], 1))).toContain('not known');
});

it('leaves the warm-up out when it judges memory', () => {
  const flat = memoryFiguresOf(samplesOf(100, (second) => (second < 15 ? 10 * second : 200)));
  expect(flat).toMatchObject({ medianMib: 200, maxMib: 200, growth: 0 });
  expect(flat?.slopeMibPerMinute).toBeCloseTo(0);
  expect(flat?.curveMib.slice(0, 3)).toEqual([0, 10, 20]);
});

it('sees memory that grows', () => {
  const growing = memoryFiguresOf(samplesOf(100, (second) => 100 + second));
  expect(growing?.slopeMibPerMinute).toBeCloseTo(60);
  expect(growing?.growth).toBeGreaterThan(0.3);
});

it('does not take the saw of the collector for growth', () => {
  const saw = memoryFiguresOf(samplesOf(600, (second) => 150 + ((second + 100) % 320) / 8));
  expect(saw?.growth).toBeLessThan(0.01);
});

it('fits a line', () => {
  const points = [
    [0, 1],
    [1, 3],
    [2, 5],
  ] as const;
  expect(slopeOf(points)).toBeCloseTo(2);
});

it('reads processor time of a thread whose name holds spaces and brackets', () => {
  expect(cpuSecondsOf('7 (a (b) c) S 1 2 3 4 5 6 7 8 9 10 150 25 0 0 20')).toBe(1.75);
});
