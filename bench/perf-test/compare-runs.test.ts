import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import { syntheticCell, syntheticFrame, WRONG } from '../../test/perf-cells.ts';
import { type Manifest, startManifest } from '../manifest.ts';
import { compareRuns, judgeDifference, listMismatches } from './compare-runs.ts';
import { findRun } from './find-run.ts';
import { renderComparison } from './render-comparison.ts';
import type { CellResult, PerfTest } from './report-model.ts';
import type { PerfManifest } from './report-view.ts';
import { finishPerfTest } from './write-report.ts';

/** A catch-up run of one cell with the given ticks a second. */
function runOf(rates: readonly number[], change: Partial<PerfTest> = {}, twins: readonly number[] = []): PerfManifest {
  const cell = (rate: number, index: number, role: CellResult['role']): CellResult => ({
    ...syntheticCell({ mode: 'catch-up', repeat: index + 1, role }),
    latency: {},
    cpuUsPerTick: null,
    achieved: rate * 10,
    duration_sec: 10,
  });
  const cells = [...rates.map((rate, index) => cell(rate, index, 'measure')), ...twins.map((rate, index) => cell(rate, index, 'aa'))];
  const start = startManifest('perf-test', false, 0);
  return finishPerfTest(start, { durationSec: 1, perfTest: { ...syntheticFrame(), cells, ...change }, failures: [] });
}

const estimate = (median: number, low: number | null, high: number | null) => ({ median, low, high, count: 5 });

it('calls a difference better or worse only beyond the interval and the noise', () => {
  expect(judgeDifference(estimate(1.2, 1.1, 1.3), 0.05, true)).toBe('better');
  expect(judgeDifference(estimate(1.2, 1.1, 1.3), 0.05, false)).toBe('worse');
  expect(judgeDifference(estimate(0.8, 0.7, 0.9), null, true)).toBe('worse');
  expect(judgeDifference(estimate(1.2, 0.99, 1.3), 0.05, true)).toBe('noise');
  expect(judgeDifference(estimate(1.2, 1.1, 1.3), 0.2, true)).toBe('noise');
  expect(judgeDifference(estimate(3, null, null), 0, true)).toBe('noise');
});

it('finds a run that is faster, and calls the same run noise', () => {
  const before = runOf([100, 101, 102, 103, 104], {}, [101]);
  const after = runOf([150, 151, 152, 153, 154]);
  const [faster] = compareRuns(before, after).measures;
  expect(faster).toMatchObject({ measure: 'throughput', difference: 'better', before: { median: 102 }, after: { median: 152 } });
  expect(faster?.noise).toBeCloseTo(0.00995, 4);
  expect(compareRuns(after, before).measures[0]?.difference).toBe('worse');
  expect(compareRuns(before, before).measures[0]?.difference).toBe('noise');
});

it('calls a difference noise that two equal cells of either run show too', () => {
  const before = runOf([100, 101, 102, 103, 104]);
  const restless = runOf([110, 111, 112, 113, 114], {}, [140]);
  expect(compareRuns(before, restless).measures[0]).toMatchObject({ difference: 'noise', ratio: { median: 112 / 102 } });
  expect(compareRuns(restless, before).measures[0]?.difference).toBe('noise');
});

it('claims nothing of two repeats', () => {
  const [measure] = compareRuns(runOf([100, 101]), runOf([900, 901])).measures;
  expect(measure).toMatchObject({ difference: 'noise', ratio: { low: null } });
  expect(renderComparison({ measures: [measure!], left: [] })).toContain('fewer than 3 repeats');
});

it('leaves void cells out and says so, and groups that only one run has', () => {
  const good = runOf([100, 101, 102]);
  const cells = good.perfTest.cells.map((cell) => ({ ...cell, verdict: WRONG }));
  const other = { ...good, perfTest: { ...good.perfTest, cells: [...cells, syntheticCell({ runtime: 'naive' })] } };
  const { measures, left } = compareRuns(good, other);
  expect(measures).toEqual([]);
  expect(left).toEqual([
    'tickwright, catch-up, 50 symbols, 1 worker: 3 of 3 VOID in the second run, left out',
    'naive, live, 50 symbols, 1 worker: only in the second run',
  ]);
});

it('names each setting and part of the machine that differs', () => {
  const before = runOf([100]);
  const machine = { ...before.machine, cores: before.machine.cores + 6 };
  const settings = { ...before.perfTest.settings, stageSec: 3, encoding: 'packed' as const };
  const after: Manifest = { ...before, machine, perfTest: { ...before.perfTest, settings } };
  expect(listMismatches(before, after)).toEqual([
    `machine.cores: ${before.machine.cores} and ${machine.cores}`,
    'settings.stageSec: 20 and 3',
    'settings.encoding: "json" and "packed"',
  ]);
  expect(listMismatches(before, before)).toEqual([]);
  expect(listMismatches(before, { ...before, kind: 'bench' })).toEqual(['kind: "perf-test" and "bench"']);
});

it('sees another backlog as another setting, unless one of the runs does not know of it', () => {
  const before = runOf([100]);
  const withBacklog = (backlogTicks: number): Manifest => ({
    ...before,
    perfTest: { ...before.perfTest, settings: { ...before.perfTest.settings, backlogTicks } },
  });
  expect(listMismatches(withBacklog(1000), withBacklog(2000))).toEqual(['settings.backlogTicks: 1000 and 2000']);
  expect([listMismatches(before, withBacklog(2000)), listMismatches(withBacklog(2000), before)]).toEqual([[], []]);
});

it('sees an engine of another queue or flush interval as another setting', () => {
  const before = runOf([100]);
  const cells = before.perfTest.cells.map((cell) => ({ ...cell, queue: 1024, flushMs: 50 }));
  const after = { ...before, perfTest: { ...before.perfTest, cells } };
  expect(listMismatches(before, after)).toEqual(['queue: [65536] and [1024]', 'flushMs: [100] and [50]']);
});

it('finds a run by its path, its folder and its name, and refuses what is not there', () => {
  const folder = mkdtempSync(join(tmpdir(), 'runs-'));
  try {
    const manifest = runOf([100]);
    mkdirSync(join(folder, 'one-pipeline'));
    writeFileSync(join(folder, 'one-pipeline/report.json'), JSON.stringify(manifest));
    writeFileSync(join(folder, 'two-bench.json'), JSON.stringify({ ...manifest, kind: 'bench', perfTest: undefined }));
    for (const text of ['one-pipeline', join(folder, 'one-pipeline'), join(folder, 'one-pipeline/report.json')])
      expect(findRun(text, folder)).toMatchObject({ name: 'one-pipeline', manifest: { kind: 'perf-test' } });
    expect(findRun('two-bench', folder)).toMatchObject({ name: 'two-bench', manifest: { kind: 'bench' } });
    expect(() => findRun('three', folder)).toThrow(/^three: expected a manifest/);
  } finally {
    rmSync(folder, { recursive: true });
  }
});
