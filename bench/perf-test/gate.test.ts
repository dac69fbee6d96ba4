import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { PROJECT_ROOT } from '../../engine/core/root.ts';
import { finishManifest, type Manifest, type RatioEntry, startManifest, writeManifest } from '../manifest.ts';
import { acceptRuns, compareRatios, gateRuns, newestRuns, readAccepted } from './gate.ts';
import { isPassed, renderGate } from './render-comparison.ts';
import { listRuns, renderRunIndex } from './run-index.ts';

const MINUTE_MS = 60_000;
let folder: string;

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'gate-'));
});
afterEach(() => rmSync(folder, { recursive: true }));

function ratioOf(work: string, ratio: number, spread = 0.02): RatioEntry {
  const [low, high] = [ratio * (1 - spread), ratio * (1 + spread)];
  return { work, against: 'twin', unit: 'x/s', rounds: 5, ratio, low, high, workRate: 10, againstRate: 5, atLeast: null, isReached: null };
}

/** Keeps a bench run of that minute and returns its name. */
function keepRun(minute: number, ratios: readonly RatioEntry[], change: Partial<Manifest> = {}): string {
  const start = { ...startManifest('bench', false, minute * MINUTE_MS), isDirty: false };
  const manifest = finishManifest(start, { durationSec: 1, ratios, reports: [], failures: [] });
  const path = writeManifest({ ...manifest, ...change }, folder);
  return path.slice(folder.length + 1, -'.json'.length);
}

it('passes within noise and fails when the whole spread of a ratio is lower', () => {
  keepRun(1, [ratioOf('bars', 4), ratioOf('ring', 2)]);
  acceptRuns(folder);
  keepRun(2, [ratioOf('bars', 3.9), ratioOf('ring', 2.5)]);
  const same = gateRuns(folder);
  expect(same[0]?.ratios.map(({ difference }) => difference)).toEqual(['noise', 'better']);
  expect(isPassed(same)).toBe(true);
  keepRun(3, [ratioOf('bars', 3.6)]);
  const worse = gateRuns(folder);
  expect(isPassed(worse)).toBe(false);
  expect(renderGate(worse)).toMatch(/bars +twin .* WORSE\n\nFAILED: 0 better, 1 worse, 0 within noise, of 1 ratio\n/);
});

it('calls spreads that meet, small differences and few rounds noise', () => {
  expect(compareRatios(ratioOf('a', 4, 0.2), ratioOf('a', 3, 0.2))).toBe('noise');
  expect(compareRatios(ratioOf('a', 4, 0.001), ratioOf('a', 3.9, 0.001))).toBe('noise');
  expect(compareRatios(ratioOf('a', 4), { ...ratioOf('a', 1), rounds: 2 })).toBe('noise');
  expect(compareRatios(ratioOf('a', 4), ratioOf('a', 1))).toBe('worse');
});

it('takes each ratio from the last accepted run that has it', () => {
  const first = keepRun(1, [ratioOf('bars', 4), ratioOf('ring', 9)]);
  acceptRuns(folder);
  const second = keepRun(2, [ratioOf('ring', 2)]);
  expect(acceptRuns(folder)).toEqual([second]);
  keepRun(3, [ratioOf('bars', 4), ratioOf('ring', 2), ratioOf('feed', 1)]);
  const [gated] = gateRuns(folder);
  expect(gated?.ratios.map(({ accepted, difference }) => [accepted?.run, difference])).toEqual([
    [first, 'noise'],
    [second, 'noise'],
    [undefined, 'new'],
  ]);
  expect(renderGate([gated!])).toContain('1 NOT COMPARED');
});

it('compares only with the same kind of machine', () => {
  const machine = finishManifest(startManifest('bench', false, 0), { durationSec: 1, ratios: [], reports: [], failures: [] }).machine;
  keepRun(1, [ratioOf('bars', 40)], { machine: { ...machine, cpu: 'another' } });
  acceptRuns(folder);
  keepRun(2, [ratioOf('bars', 4)]);
  expect(gateRuns(folder)[0]?.ratios[0]?.difference).toBe('new');
});

it('passes quick looks and runs without ratios over, and fails a run with a bench that failed', () => {
  const name = keepRun(1, [ratioOf('bars', 4)]);
  keepRun(2, [ratioOf('bars', 1)], { isQuick: true });
  keepRun(3, []);
  expect(newestRuns(listRuns(folder)).map((run) => run.name)).toEqual([name]);
  keepRun(4, [], { failures: [{ name: 'ring', reason: 'no thread' }] });
  const gated = gateRuns(folder);
  expect(isPassed(gated)).toBe(false);
  expect(renderGate(gated)).toContain('FAULT: ring failed: no thread');
});

it('accepts no run of a changed tree and none that failed, and writes nothing then', () => {
  keepRun(1, [ratioOf('bars', 4)], { isDirty: true });
  expect(() => acceptRuns(folder)).toThrow(/a tree that no commit holds/);
  keepRun(2, [ratioOf('bars', 4)], { failures: [{ name: 'ring', reason: 'no thread' }] });
  expect(() => acceptRuns(folder)).toThrow(/ring failed: no thread/);
  expect(readAccepted(folder)).toEqual([]);
});

it('refuses an accepted run that is gone, and a list that is none', () => {
  writeFileSync(join(folder, 'accepted.json'), '{"accepted": ["gone-bench"]}');
  expect(() => gateRuns(folder)).toThrow(/accepted\.json: no run gone-bench/);
  writeFileSync(join(folder, 'accepted.json'), '{"accepted": 3}');
  expect(() => gateRuns(folder)).toThrow(/accepted\.json: expected/);
});

it('holds the kept runs to what is accepted, and their index is current', () => {
  const kept = join(PROJECT_ROOT, 'perf_runs');
  expect(gateRuns(kept).length).toBeGreaterThan(0);
  const index = readFileSync(join(kept, 'README.md'), 'utf8');
  expect(index).toBe(renderRunIndex(kept));
  for (const { name } of listRuns(kept)) expect(index).toContain(`| [${name}](`);
});
