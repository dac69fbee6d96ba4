import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { basename, join } from 'node:path';
import { expect, it } from 'vitest';
import { finishManifest, startManifest, writeManifest } from './manifest.ts';

it('writes one file named by time, commit and kind that reads back as it was', () => {
  const folder = mkdtempSync(join(tmpdir(), 'manifest-'));
  try {
    const start = startManifest('bench', true, Date.UTC(2026, 0, 2, 3, 4, 5, 678));
    const reports = [{ name: 'engine', values: { ticksPerSecond: 5, bound: 'postgres' } }];
    const manifest = finishManifest(start, { durationSec: 1.5, ratios: [], reports, failures: [] });
    const path = writeManifest(manifest, folder);
    expect(basename(path)).toBe(`20260102T030405Z-${start.commit}-bench.json`);
    expect(JSON.parse(readFileSync(path, 'utf8'))).toEqual(manifest);
    expect(manifest).toMatchObject({ schema: 1, kind: 'bench', isQuick: true, startedAt: '2026-01-02T03:04:05.678Z' });
    expect(manifest.machine.loadBefore).toHaveLength(3);
    expect(manifest.machine.cores).toBeGreaterThan(0);
    expect(manifest.versions['pg']).toMatch(/^\d+\./);
  } finally {
    rmSync(folder, { recursive: true });
  }
});
