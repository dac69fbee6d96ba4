import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { basename, join } from 'node:path';
import { expect, it } from 'vitest';
import { PROJECT_ROOT } from '../engine/core/root.ts';
import { finishManifest, readManifest, startManifest, writeManifest } from './manifest.ts';

it('writes one file named by time, commit and kind that reads back as it was', () => {
  const folder = mkdtempSync(join(tmpdir(), 'manifest-'));
  try {
    const start = startManifest('bench', true, Date.UTC(2026, 0, 2, 3, 4, 5, 678));
    const reports = [{ name: 'engine', values: { ticksPerSecond: 5, bound: 'postgres' } }];
    const manifest = finishManifest(start, { durationSec: 1.5, ratios: [], reports, failures: [] });
    const path = writeManifest(manifest, folder);
    expect(basename(path)).toBe(`20260102T030405Z-${start.commit}-bench.json`);
    expect(JSON.parse(readFileSync(path, 'utf8'))).toEqual(manifest);
    expect(manifest).toMatchObject({ schema: 2, kind: 'bench', isQuick: true, startedAt: '2026-01-02T03:04:05.678Z' });
    expect(manifest.machine.loadBefore).toHaveLength(3);
    expect(manifest.machine.cores).toBeGreaterThan(0);
    expect(manifest.versions['pg']).toMatch(/^\d+\./);
  } finally {
    rmSync(folder, { recursive: true });
  }
});

it('reads every manifest that is kept', () => {
  const folder = join(PROJECT_ROOT, 'perf_runs');
  const files = readdirSync(folder, { recursive: true, encoding: 'utf8' }).filter((file) => /-bench\.json$|report\.json$/.test(file));
  expect(files.length).toBeGreaterThan(0);
  for (const file of files) expect(readManifest(join(folder, file)).startedAt).toMatch(/^20/);
});

it('names the file and the field that is wrong', () => {
  const folder = mkdtempSync(join(tmpdir(), 'manifest-'));
  const path = join(folder, 'one.json');
  try {
    const good = finishManifest(startManifest('bench', true, 0), { durationSec: 1, ratios: [], reports: [], failures: [] });
    const entry = { work: 'a', against: 'b', unit: 'x/s', rounds: 5, ratio: 'fast', low: 1, high: 2 };
    writeFileSync(path, JSON.stringify({ ...good, schema: 3, ratios: [entry] }));
    expect(() => readManifest(path)).toThrow(/one\.json: schema: .*ratios\[0\]\.ratio: .*expected number/);
    writeFileSync(path, '{"schema": 1,');
    expect(() => readManifest(path)).toThrow(/one\.json: .*JSON/);
    expect(() => readManifest(join(folder, 'none.json'))).toThrow(/none\.json: ENOENT/);
  } finally {
    rmSync(folder, { recursive: true });
  }
});
