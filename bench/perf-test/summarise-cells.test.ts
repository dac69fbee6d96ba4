import { expect, it } from 'vitest';
import { syntheticCell, WRONG } from '../../test/perf-cells.ts';
import { cellRatios } from './cell-ratios.ts';
import type { CellResult } from './report-model.ts';
import { measureNoise, summariseCells } from './summarise-cells.ts';

/** Repeats 1, 2, ... of one cell with the given ticks a second. */
function repeats(plan: Partial<CellResult>, rates: readonly number[]): CellResult[] {
  return rates.map((rate, index) => ({ ...syntheticCell({ ...plan, repeat: index + 1 }), achieved: rate * 10, duration_sec: 10, ...plan }));
}

it('groups repeats by runtime, mode, workers and symbols, and takes their medians', () => {
  const cells = [...repeats({ workers: 2 }, [30, 10, 20]), ...repeats({ workers: 1 }, [5, 6, 7])];
  const groups = summariseCells(cells);
  expect(groups.map(({ workers }) => workers)).toEqual([1, 2]);
  expect(groups[1]).toMatchObject({ runtime: 'tickwright', voidCount: 0, throughput: { median: 20, low: 10, high: 30, count: 3 } });
});

it('keeps void cells out of every median and counts them', () => {
  const [first, second, third] = repeats({}, [10, 20, 1_000_000]);
  const [group] = summariseCells([first!, second!, { ...third!, verdict: WRONG }]);
  expect(group).toMatchObject({ voidCount: 1, throughput: { median: 15, count: 2 }, cpuUsPerTick: { count: 2 } });
  expect(group?.cells).toHaveLength(3);
  expect(group?.stages.every(({ p50 }) => p50.count === 2)).toBe(true);
});

it('says what was due, not what the rate is on average, and keeps repeats in order', () => {
  const [first, second] = repeats({ offered: 70, offeredPerSec: 10 }, [7, 7]);
  const [group] = summariseCells([second!, first!]);
  expect(group?.offeredPerSec).toBe(7);
  expect(group?.cells.map(({ repeat }) => repeat)).toEqual([1, 2]);
});

it('makes no rate of a backlog that was taken before it could be measured', () => {
  const [first, second] = repeats({}, [10, 20]);
  const [group] = summariseCells([first!, { ...second!, achieved: 0, builder_ticks_per_sec: null }]);
  expect(group).toMatchObject({ voidCount: 0, throughput: { median: 10, count: 1 } });
});

it('has no figures where every repeat is void', () => {
  const [group] = summariseCells(repeats({ verdict: WRONG }, [10, 20, 30]));
  expect(group).toMatchObject({ voidCount: 3, throughput: undefined, cpuUsPerTick: undefined, stages: [] });
});

it('keeps latencies of saturated cells out, and their throughput in', () => {
  const [first, second] = repeats({}, [10, 20]);
  const [group] = summariseCells([first!, { ...second!, isSaturated: true }]);
  expect(group).toMatchObject({ saturatedCount: 1, throughput: { median: 15, count: 2 } });
  expect(group?.stages.map(({ p50 }) => p50.count)).toEqual([1, 1, 1, 1]);
});

it('counts processor time of the pipeline and its servers, not that of the generator', () => {
  const cell = { ...syntheticCell({}), cpuUsPerTick: { engine: 3, kafka: 4, postgres: 5, generator: 100, harness: 100 } };
  const [group] = summariseCells([cell]);
  expect(group?.cpuUsPerTick?.median).toBe(12);
  expect(group?.cpuByProcess.get('generator')).toBe(100);
});

it('takes noise from pairs of the same cell, void pairs left out, and never averages the second cells', () => {
  const cells = [
    ...repeats({}, [90, 100]),
    ...repeats({ role: 'aa' }, [110, 1_000]).map((cell, index) => (index === 1 ? { ...cell, verdict: WRONG } : cell)),
  ];
  expect(measureNoise(cells).find(({ measure }) => measure === 'throughput')).toEqual({
    measure: 'throughput',
    pairs: 1,
    maxDifference: 0.2,
    medianDifference: 0.2,
  });
  expect(summariseCells(cells)[0]?.throughput?.count).toBe(2);
  expect(measureNoise(repeats({}, [1, 2]))).toEqual([]);
});

it('tells no noise of latency from a saturated pair', () => {
  const [first] = repeats({}, [90]);
  const second = { ...first!, role: 'aa', isSaturated: true } as const;
  expect(measureNoise([first!, second]).map(({ measure }) => measure)).toEqual(['throughput', 'cpuUsPerTick']);
});

it('makes ratios against the twin with as many workers, or with what it has, and against the limits', () => {
  const plan = { mode: 'catch-up', symbols: 50 } as const;
  const cells = [
    ...repeats({ ...plan, workers: 2 }, [80, 90, 100]),
    ...repeats({ ...plan, workers: 1, runtime: 'naive' }, [8, 9, 10]),
    ...repeats({ ...plan, workers: 1, runtime: 'limit-consume' }, [180, 180, 180]),
  ];
  const ratios = cellRatios(cells);
  expect(ratios.map(({ against, unit }) => `${against}: ${unit}`)).toEqual([
    'naive, 1 worker: ticks/s',
    'naive, 1 worker: ticks per CPU second',
    'limit-consume, 1 worker: ticks/s',
  ]);
  expect(ratios[0]).toMatchObject({
    work: 'tickwright, catch-up, 50 symbols, 2 workers',
    ratio: 10,
    workRate: 90,
    againstRate: 9,
    rounds: 3,
  });
  expect(ratios[2]?.ratio).toBe(0.5);
  expect(ratios[0]?.low).toBeLessThan(10);
});

it('makes no ratio of two runtimes that both keep up with one schedule', () => {
  const cells = [...repeats({}, [80, 90, 100]), ...repeats({ runtime: 'naive' }, [80, 90, 100])];
  expect(cellRatios(cells).map(({ unit }) => unit)).toEqual(['ticks per CPU second']);
  const saturated = cells.map((cell) => ({ ...cell, isSaturated: cell.runtime === 'naive' }));
  expect(cellRatios(saturated).map(({ unit }) => unit)).toEqual(['ticks/s', 'ticks per CPU second']);
});

it('orders groups: ours, the twin, other pipelines, limits', () => {
  const cells = ['limit-consume', 'a-peer', 'naive', 'tickwright'].map((runtime) => syntheticCell({ runtime }));
  expect([...new Set(summariseCells(cells).map(({ runtime }) => runtime))]).toEqual(['tickwright', 'naive', 'a-peer', 'limit-consume']);
});
