import { expect, it } from 'vitest';
import { readPerfOptions } from './options.ts';
import { planCells } from './plan.ts';

const environment = { WORKERS: '1,2', LOADS: '50,200', REPEATS: '2', PERF_SEED: '7' };

it('has every worker count with every load, an A/A cell for each pair, and the naive twin at each load', () => {
  const cells = planCells(readPerfOptions([], environment));
  const count = (runtime: string, role: string): number => cells.filter((cell) => cell.runtime === runtime && cell.role === role).length;
  expect([count('tickwright', 'measure'), count('tickwright', 'aa'), count('naive', 'measure')]).toEqual([8, 4, 4]);
  expect(new Set(cells.map(({ id }) => id)).size).toBe(cells.length);
});

it('draws the order from the seed', () => {
  const order = (seed: string): string =>
    planCells(readPerfOptions([], { ...environment, PERF_SEED: seed }))
      .map(({ id }) => id)
      .join();
  expect(order('7')).toBe(order('7'));
  expect(order('7')).not.toBe(order('8'));
});

it('puts the bare limits beside a backlog, and none beside a schedule', () => {
  const runtimes = (scenario: string) =>
    new Set(planCells(readPerfOptions(['--scenario', scenario], environment)).map(({ runtime }) => runtime));
  expect(runtimes('catch-up')).toEqual(new Set(['tickwright', 'naive', 'limit-consume', 'limit-copy']));
  expect(runtimes('pipeline')).toEqual(new Set(['tickwright', 'naive']));
});

it('puts a ring with nothing done beside the kernel, and what needs servers not', () => {
  const cells = planCells(readPerfOptions(['--scenario', 'kernel'], environment));
  expect(new Set(cells.map(({ runtime, mode }) => `${runtime} ${mode}`))).toEqual(new Set(['tickwright catch-up', 'limit-ring catch-up']));
  expect(cells.filter(({ role }) => role === 'aa')).toHaveLength(4);
});

it('measures the engine with a bug beside the engine without, and nothing else', () => {
  const cells = planCells(readPerfOptions(['--sabotage', 'stall'], environment));
  expect(new Set(cells.map(({ runtime }) => runtime))).toEqual(new Set(['tickwright', 'sabotaged']));
});

it('has all of it in both encodings when asked, the naive twin in that of the contract only', () => {
  const cells = planCells(readPerfOptions(['--scenario', 'ingest-kafka'], environment));
  const count = (runtime: string, encoding: string): number =>
    cells.filter((cell) => cell.runtime === runtime && cell.encoding === encoding).length;
  expect([count('tickwright', 'json'), count('tickwright', 'packed')]).toEqual([12, 12]);
  expect([count('limit-consume', 'json'), count('limit-consume', 'packed')]).toEqual([4, 4]);
  expect([count('naive', 'json'), count('naive', 'packed')]).toEqual([4, 0]);
  expect(new Set(cells.map(({ id }) => id)).size).toBe(cells.length);
});
