import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { basename, join } from 'node:path';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { syntheticCell, syntheticFrame } from '../../test/perf-cells.ts';
import { finishManifest, type Manifest, type RatioEntry, startManifest, writeManifest } from '../manifest.ts';
import { runCompare, runGate } from './commands.ts';
import type { PerfTest } from './report-model.ts';
import { finishPerfTest, writeReport } from './write-report.ts';

let folder: string;

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'commands-'));
});
afterEach(() => rmSync(folder, { recursive: true }));

/** Keeps a perf-test of three cells of that rate, ours and the naive twin's, and returns its name. */
function keepPerfTest(second: number, ratePerSec: number, change: Partial<PerfTest> = {}): string {
  const cells = [1, 2, 3].flatMap((repeat) => [
    syntheticCell({ mode: 'catch-up', repeat }, { ratePerSec }),
    syntheticCell({ mode: 'catch-up', repeat, runtime: 'naive' }, { ratePerSec: 10_000 }),
  ]);
  const start = { ...startManifest('perf-test', false, second * 1000), isDirty: false };
  const manifest = finishPerfTest(start, { durationSec: 1, perfTest: { ...syntheticFrame(), cells, ...change }, failures: [] });
  return basename(writeReport(manifest, folder).folder);
}

function keepBench(second: number, ratio: number, change: Partial<Manifest> = {}): string {
  const entry: RatioEntry = {
    ...{ work: 'ring', against: 'twin', unit: 'x/s', rounds: 5, ratio, low: ratio * 0.99, high: ratio * 1.01 },
    ...{ workRate: 10, againstRate: 5, atLeast: null, isReached: null },
  };
  const start = { ...startManifest('bench', false, second * 1000), isDirty: false };
  const manifest = finishManifest(start, { durationSec: 1, ratios: [entry], reports: [], failures: [] });
  return basename(writeManifest({ ...manifest, ...change }, folder), '.json');
}

it('lays two perf-tests side by side and says what is better, worse and noise', () => {
  const text = runCompare([keepPerfTest(1, 100_000), keepPerfTest(2, 200_000)], folder);
  expect(text).toMatch(/^before: 19700101T000001Z-.*-pipeline\nafter: {2}19700101T000002Z-/);
  expect(text).toMatch(/tickwright, catch-up, 50 symbols, 1 worker\n.*\n {2}throughput +ticks\/s .* 2 \(1\.\d+ to 2\.\d+\) +- +better\n/);
  expect(text).toMatch(/naive, catch-up, 50 symbols, 1 worker\n.*\n {2}throughput +ticks\/s .* noise\n/);
  expect(text).toContain('neither run has an A/A pair');
});

it('refuses runs of other settings by name, and compares them when told to', () => {
  const settings = { ...syntheticFrame().settings, stageSec: 3 };
  const names = [keepPerfTest(1, 100_000), keepPerfTest(2, 100_000, { settings })];
  expect(() => runCompare(names, folder)).toThrow(/differ.*--anyway.*\n {2}settings\.stageSec: 20 and 3$/s);
  expect(runCompare([...names, '--anyway'], folder)).toContain('\nDIFFERENT settings.stageSec: 20 and 3\n');
});

it('lays two benches side by side by their ratios, of other machines too when told to', () => {
  const machine = {
    ...finishManifest(startManifest('bench', false, 0), { durationSec: 1, ratios: [], reports: [], failures: [] }).machine,
    cpu: 'another',
  };
  const names = [keepBench(1, 4), keepBench(2, 2, { machine })];
  expect(() => runCompare(names, folder)).toThrow(/machine\.cpu/);
  expect(runCompare([...names, '--anyway'], folder)).toMatch(
    /ring +twin +x\/s .* WORSE\n\n0 better, 1 worse, 0 within noise, of 1 ratio in both; 0 only before/,
  );
});

it('says how it is used', () => {
  expect(() => runCompare(['one'], folder)).toThrow(/^perf-compare one: expected A B/);
  expect(() => runCompare(['a', 'b', 'c'], folder)).toThrow(/expected A B/);
  expect(() => runGate(['--what'], folder)).toThrow(/--what/);
  expect(() => runGate(['a'], folder)).toThrow(/^perf-gate a: expected nothing, or --accept/);
});

it('gates benches and perf-tests alike: 0 until a ratio is worse, then 1, then 0 again once that is accepted', () => {
  keepBench(1, 4);
  keepPerfTest(1, 100_000);
  expect(runGate([], folder)).toMatchObject({ exitCode: 0 });
  expect(runGate(['--accept'], folder).text).toMatch(/accepted: .*-bench, .*-pipeline\n$/);
  expect(runGate(['--accept'], folder).text).toMatch(/nothing new to accept\n$/);
  keepPerfTest(2, 100_000);
  expect(runGate([], folder).exitCode).toBe(0);
  keepPerfTest(3, 50_000);
  const worse = runGate([], folder);
  expect(worse.exitCode).toBe(1);
  expect(worse.text).toMatch(/tickwright, catch-up, 50 symbols, 1 worker +naive, 1 worker +ticks\/s .* WORSE\n/);
  runGate(['--accept'], folder);
  expect(runGate([], folder).exitCode).toBe(0);
  expect(JSON.parse(readFileSync(join(folder, 'accepted.json'), 'utf8')).accepted).toHaveLength(3);
});

it('accepts runs by name, and none that is not there or is a quick look', () => {
  const [first, quick] = [keepBench(1, 4), keepBench(2, 4, { isQuick: true })];
  keepBench(3, 4);
  expect(runGate(['--accept', first], folder).text).toBe(`accepted: ${first}\n`);
  expect(() => runGate(['--accept', 'gone'], folder)).toThrow(/^gone: expected names of runs/);
  expect(() => runGate(['--accept', quick], folder)).toThrow(/quick look/);
});
