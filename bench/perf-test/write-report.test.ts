import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { HistogramLogReader } from 'hdr-histogram-js';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { createPrng } from '../../engine/core/prng.ts';
import { syntheticCell, syntheticFrame, syntheticLatency, WRONG } from '../../test/perf-cells.ts';
import { readManifest, startManifest } from '../manifest.ts';
import type { PerfTest } from './report-model.ts';
import { type PerfManifest, viewReport } from './report-view.ts';
import { listRuns, renderRunIndex } from './run-index.ts';
import { finishPerfTest, writeReport } from './write-report.ts';

const STARTED_AT_MS = Date.UTC(2026, 0, 2, 3, 4, 5, 678);
let folder: string;

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'report-'));
});
afterEach(() => rmSync(folder, { recursive: true }));

function makeManifest(change: Partial<PerfTest>): PerfManifest {
  const perfTest = { ...syntheticFrame(), cells: [], ...change };
  return finishPerfTest(startManifest('perf-test', false, STARTED_AT_MS), { durationSec: 90, perfTest, failures: [] });
}

/** Four cells, for tests that do not need a whole run. */
function fewCells(): PerfTest['cells'] {
  return [1, 2, 3].map((repeat) => syntheticCell({ repeat })).concat(syntheticCell({ role: 'aa' }));
}

it('leaves a folder named by time, commit and scenario, whose manifest reads back as it was', () => {
  const manifest = makeManifest({ cells: fewCells() });
  const { folder: run } = writeReport(manifest, folder);
  expect(run).toBe(join(folder, `20260102T030405Z-${manifest.commit}-pipeline`));
  expect(readManifest(join(run, 'report.json'))).toEqual(manifest);
  expect(readdirSync(run).sort()).toEqual(['hdr', 'report.html', 'report.json', 'report.md']);
  expect(readFileSync(join(run, 'report.json'), 'utf8')).toMatch(/"atSec": \[1, 2, 3, /);
  expect(listRuns(folder).map(({ name }) => name)).toEqual([run.slice(folder.length + 1)]);
  expect(readFileSync(join(folder, 'README.md'), 'utf8')).toBe(renderRunIndex(folder));
});

it('writes histogram logs that an HdrHistogram reader reads back, value by value', () => {
  const cells = fewCells();
  const { folder: run } = writeReport(makeManifest({ cells }), folder);
  const files = readdirSync(join(run, 'hdr'));
  expect(files).toHaveLength(cells.length * 4);
  for (const cell of cells) {
    for (const [stage, latency] of Object.entries(cell.latency)) {
      const reader = new HistogramLogReader(readFileSync(join(run, 'hdr', `${cell.id}-${stage}.hlog`), 'utf8'));
      const histogram = reader.nextIntervalHistogram();
      expect(histogram?.totalCount).toBe(latency.count);
      for (const [percentile, value] of [
        [50, latency.p50Us],
        [90, latency.p90Us],
        [99, latency.p99Us],
        [99.9, latency.p999Us],
      ] as const)
        expect(histogram?.getValueAtPercentile(percentile)).toBe(value);
      expect(histogram?.startTimeStampMsec).toBe(STARTED_AT_MS);
      expect(histogram?.endTimeStampMsec).toBe(STARTED_AT_MS + cell.duration_sec * 1000);
      expect(reader.nextIntervalHistogram()).toBeNull();
    }
  }
});

it('keeps the histograms of workers in the log of their stage, each with its name as the tag', () => {
  const [first, ...rest] = fewCells();
  const prng = createPrng(3);
  const workers = { 'shard-0': syntheticLatency(prng, 300), 'shard-1': syntheticLatency(prng, 900) };
  const cells = [{ ...first!, workerLatency: { tickToBar: workers } }, ...rest];
  const { folder: run } = writeReport(makeManifest({ cells }), folder);
  const reader = new HistogramLogReader(readFileSync(join(run, 'hdr', `${first!.id}-tickToBar.hlog`), 'utf8'));
  expect(reader.nextIntervalHistogram()?.totalCount).toBe(first!.latency['tickToBar']?.count);
  for (const [worker, { count, p99Us }] of Object.entries(workers)) {
    const histogram = reader.nextIntervalHistogram();
    expect([histogram?.tag, histogram?.totalCount, histogram?.getValueAtPercentile(99)]).toEqual([worker, count, p99Us]);
  }
  expect(reader.nextIntervalHistogram()).toBeNull();
  expect(readFileSync(join(run, 'report.md'), 'utf8')).toMatch(/## Latency by worker[^#]*\| tickToBar \| shard-1 \| 2,000 \|/);
});

it('refuses a figure that no reader could read back, and leaves no folder', () => {
  const [first, ...rest] = fewCells();
  const manifest = makeManifest({ cells: [{ ...first!, duration_sec: Number.NaN }, ...rest] });
  expect(() => writeReport(manifest, folder)).toThrow(/report\.json: perfTest\.cells\[0\]\.duration_sec: .*number/);
  expect(readdirSync(folder)).toEqual([]);
});

it('says RIGHT with what was compared when every cell agrees with the oracle', () => {
  const { summary, folder: run } = writeReport(makeManifest({ cells: fewCells() }), folder);
  expect(summary).toMatch(/^RIGHT: 4 of 4 cells agree with the oracle in 16,000 bars and 16,000 messages\n/);
  expect(summary).not.toContain('VOID');
  const markdown = readFileSync(join(run, 'report.md'), 'utf8');
  expect(markdown).toContain('**RIGHT: 4 of 4 cells');
  for (const section of ['Throughput', 'Latency', 'Noise', 'Per-Stage Results', 'Versions', 'Notes'])
    expect(markdown).toContain(`\n## ${section}\n`);
  // The contract's columns, four decimals, and - for what is missing.
  expect(markdown).toContain(
    '| Source ticks/s | Source p95(s) | Dropped | Queue peak | Builder ticks/s | Builder bars/s | Builder p95(s) | 3m bars/s | Agg p95(s) |',
  );
  expect(markdown).toMatch(/\| 0\.0002 \| 0\.0000 \| 512\.0000 \| [\d.]+ \| [\d.]+ \| 0\.1234 \| - \| - \|/);
});

it('says VOID loudly, with each reason, and marks the cell in every form', () => {
  const [first, ...rest] = fewCells();
  const manifest = makeManifest({ cells: [{ ...first!, verdict: WRONG }, ...rest] });
  const { summary, folder: run } = writeReport(manifest, folder);
  expect(summary).toMatch(/^\*{78}\nVOID: 1 of 4 cells came out wrong\n {2}tickwright_live_w1_s50_r1_measure: bars_1s SIM0007/);
  expect(summary).toMatch(/VOID > tickwright +live +50 +1 +2 of 3, 1 VOID/);
  expect(summary.trimEnd().endsWith('*'.repeat(78))).toBe(true);
  expect(readFileSync(join(run, 'report.md'), 'utf8')).toMatch(/\*\*VOID: 1 of 4 cells came out wrong\*\*/);
  const html = readFileSync(join(run, 'report.html'), 'utf8');
  expect(html).toContain('<div class="banner void"');
  expect(html).toContain('<tr class="void"><td>tickwright_live_w1_s50_r1_measure');
  expect(readFileSync(join(folder, 'README.md'), 'utf8')).toContain('**VOID**: 1 of tickwright, 4 cells');
});

it('is not right when a cell did not run or nothing was judged', () => {
  const missing = [{ id: 'tickwright_live_w2', reason: 'the broker was gone' }];
  const without = viewReport(makeManifest({ cells: fewCells(), missing })).verdict;
  expect(without).toMatchObject({ state: 'incomplete', reasons: ['tickwright_live_w2 did not run: the broker was gone'] });
  const unjudged = fewCells().map((cell) => ({ ...cell, verdict: { ...cell.verdict, barsCompared: 0, messagesCompared: 0 } }));
  expect(viewReport(makeManifest({ cells: unjudged })).verdict.state).toBe('incomplete');
  expect(viewReport(makeManifest({ cells: [] })).verdict.reasons).toEqual(['no cell ran']);
});

it('is void when something failed though every cell is right', () => {
  const manifest = { ...makeManifest({ cells: fewCells() }), failures: [{ name: 'sabotaged', reason: 'flush p99 is 3.0 times as long' }] };
  expect(viewReport(manifest).verdict).toEqual({
    state: 'void',
    headline: 'VOID: 1 failure',
    reasons: ['sabotaged: flush p99 is 3.0 times as long'],
  });
});

it('says whose processor time was not measured', () => {
  const notes = (cpuUsPerTick: Record<string, number>): string =>
    viewReport(makeManifest({ cells: fewCells().map((cell) => ({ ...cell, cpuUsPerTick })) })).notes.join('\n');
  expect(notes({ engine: 3, harness: 1 })).toContain('that of engine, over ticks that came out right');
  expect(notes({ engine: 3, harness: 1 })).toContain('NOT MEASURED, and so not in it: postgres and kafka.');
  expect(notes({ engine: 3, postgres: 1, kafka: 1 })).not.toContain('NOT MEASURED');
});

it('keeps text from outside text', () => {
  const [first, ...rest] = fewCells();
  const evil = { ...WRONG, differences: ['</script><script>alert(1)</script> | `x` *y*'] };
  const { folder: run } = writeReport(makeManifest({ cells: [{ ...first!, verdict: evil, notes: ['<img src=x>'] }, ...rest] }), folder);
  const html = readFileSync(join(run, 'report.html'), 'utf8');
  expect(html).not.toContain('<script>alert');
  expect(html).not.toContain('<img');
  const markdown = readFileSync(join(run, 'report.md'), 'utf8');
  expect(markdown).toContain('&lt;/script>&lt;script>alert(1)&lt;/script> \\| \\`x\\` \\*y\\*');
});

it('makes a page that refers to nothing outside itself', () => {
  const { folder: run } = writeReport(makeManifest({ cells: fewCells() }), folder);
  const html = readFileSync(join(run, 'report.html'), 'utf8');
  expect(html).not.toMatch(/https?:|\bsrc=|\bhref=|url\(|@import/);
  expect(html).toContain('Permission is hereby granted');
  expect(existsSync(join(run, 'report.html'))).toBe(true);
});

it('leaves what else lies in the folder of the run, and replaces its own', () => {
  const first = writeReport(makeManifest({ cells: fewCells() }), folder).folder;
  writeFileSync(join(first, 'journal.json'), '{}');
  writeFileSync(join(first, 'hdr/old.hlog'), '');
  expect(writeReport(makeManifest({ cells: fewCells().slice(0, 1) }), folder).folder).toBe(first);
  expect(readFileSync(join(first, 'journal.json'), 'utf8')).toBe('{}');
  expect(readdirSync(join(first, 'hdr'))).toHaveLength(4);
  expect(readManifest(join(first, 'report.json')).perfTest?.cells).toHaveLength(1);
});

it('passes over a folder that holds no report yet', () => {
  const { folder: run } = writeReport(makeManifest({ cells: fewCells() }), folder);
  rmSync(join(run, 'report.json'));
  expect(listRuns(folder)).toEqual([]);
  expect(renderRunIndex(folder)).toContain('Nothing is kept yet.');
});

it('says of which commit a run is that was measured before it was folded into another', () => {
  const { commit } = makeManifest({});
  writeReport(makeManifest({ cells: fewCells() }), folder);
  const isMarked = (): boolean => renderRunIndex(folder).includes('its commit is a part of 0123456789ab |');
  expect(isMarked()).toBe(false);
  writeFileSync(join(folder, 'folded.json'), JSON.stringify({ ffffffffffff: '0123456789ab' }));
  expect(isMarked()).toBe(false);
  writeFileSync(join(folder, 'folded.json'), JSON.stringify({ [commit]: '0123456789ab' }));
  expect(isMarked()).toBe(true);
  writeFileSync(join(folder, 'folded.json'), '[]');
  expect(() => renderRunIndex(folder)).toThrow('expected {commit: commit}');
});
