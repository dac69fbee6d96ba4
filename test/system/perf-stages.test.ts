/** Performance tests of pipelines made of single stages, on real servers: the naive twin builds the seconds, the engine's stages the rest. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, describe, expect, it } from 'vitest';
import { readManifest } from '../../bench/manifest.ts';
import { PROJECT_ROOT } from '../../engine/core/root.ts';
import { NO_BROKER, REAL_BROKER } from './kafka-harness.ts';

const main = join(PROJECT_ROOT, 'dist/bench/perf-test/main.js');
const naive = join(PROJECT_ROOT, 'dist/bench/perf-test/naive-main.js');
const hasPostgres = (process.env['POSTGRES_URL'] ?? '') !== '';
const why =
  REAL_BROKER === undefined
    ? NO_BROKER
    : !hasPostgres
      ? 'POSTGRES_URL is not set: no server to measure on'
      : existsSync(main)
        ? undefined
        : 'not built';
const SETTINGS = { WORKERS: '1', LOADS: '10', REPEATS: '1', STAGE_SEC: '3', WARMUP_SEC: '1', SAMPLE_SEC: '0.5' };
/** The naive pipeline with one timeframe is another program's 1 s builder. */
const NAIVE_SECONDS = `TIMEFRAMES=1s ${JSON.stringify(process.execPath)} ${JSON.stringify(naive)}`;

describe.skipIf(why !== undefined)(why ?? 'single stages under a perf-test', () => {
  let out = '';
  afterEach(() => rmSync(out, { recursive: true, force: true }));

  async function runStages(args: readonly string[], settings: Readonly<Record<string, string>>) {
    out = mkdtempSync(join(tmpdir(), 'tickwright-perf-out-'));
    const child = spawn(process.execPath, [main, '--out', out, ...args], {
      env: { ...process.env, ...SETTINGS, ...settings },
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    let said = '';
    for (const stream of [child.stdout, child.stderr]) {
      stream.on('data', (chunk: Buffer) => {
        said += chunk.toString();
      });
    }
    await once(child, 'close');
    const [name = ''] = readdirSync(out).filter((entry) => existsSync(join(out, entry, 'report.json')));
    const cells = name === '' ? [] : (readManifest(join(out, name, 'report.json')).perfTest?.cells ?? []);
    return { code: child.exitCode, said, cells: cells.filter(({ runtime }) => runtime === 'stages') };
  }

  it('judges and measures another 1 s builder among our stages, over a backlog', { timeout: 400_000 }, async () => {
    // 1,000 seconds of ten symbols: a bar of 15 minutes is over by a minute.
    const load = { BARS1S_CMD: NAIVE_SECONDS, SIM_BASE_TPS: '2', PERF_BACKLOG: '20000' };
    const { code, said, cells } = await runStages(['--scenario', 'catch-up'], load);
    expect(code, said).toBe(0);
    expect(cells).toHaveLength(1);
    const [cell] = cells;
    expect(cell?.verdict).toMatchObject({ isRight: true, differences: [] });
    // Seconds of ten symbols, their minutes, and the longer bars of each.
    expect(cell?.verdict.barsCompared).toBeGreaterThan(8000);
    expect(new Set(cell?.cpu.map(({ process }) => process))).toEqual(new Set(['bars1s', 'bars1m', 'multi', 'harness']));
  });

  it('counts what an ingest stage has written, live', { timeout: 400_000 }, async () => {
    const { code, said, cells } = await runStages([], { BARS1S_CMD: NAIVE_SECONDS, SIM_BASE_TPS: '10' });
    expect(cells, said).toHaveLength(1);
    const [cell] = cells;
    expect(cell?.verdict, said).toMatchObject({ isRight: true, differences: [] });
    expect(code, said).toBe(0);
    expect(cell?.offered).toBeGreaterThan(100);
    expect(new Set(cell?.cpu.map(({ process }) => process))).toEqual(new Set(['bars1s', 'bars1m', 'multi', 'ingest', 'harness']));
    expect(cell?.latency['sendLag']?.count).toBe(cell?.offered);
  });
});
