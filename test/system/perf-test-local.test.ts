/** The whole of a small perf-test that needs no servers: every cell right, and none started. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, describe, expect, it } from 'vitest';
import { readManifest } from '../../bench/manifest.ts';
import { PROJECT_ROOT } from '../../engine/core/root.ts';

const main = join(PROJECT_ROOT, 'dist/bench/perf-test/main.js');
const SETTINGS = { WORKERS: '1,2', LOADS: '20', REPEATS: '1', STAGE_SEC: '2', WARMUP_SEC: '0', SAMPLE_SEC: '0.2', PERF_BACKLOG: '20000' };

describe.skipIf(!existsSync(main))(existsSync(main) ? 'a perf-test without servers' : 'not built', () => {
  let out = '';
  afterEach(() => rmSync(out, { recursive: true, force: true }));

  async function run(scenario: string) {
    out = mkdtempSync(join(tmpdir(), 'tickwright-perf-out-'));
    const child = spawn(process.execPath, [main, '--out', out, '--scenario', scenario], {
      // An address where nobody listens: who asks for a server fails.
      env: { ...process.env, ...SETTINGS, KAFKA_BROKER: '127.0.0.1:1', POSTGRES_URL: 'postgres://nobody@127.0.0.1:1/none' },
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    let said = '';
    for (const stream of [child.stdout, child.stderr]) {
      stream.on('data', (chunk: Buffer) => {
        said += chunk.toString();
      });
    }
    await once(child, 'close');
    expect(child.exitCode, said).toBe(0);
    const [name = ''] = readdirSync(out).filter((entry) => existsSync(join(out, entry, 'report.json')));
    const cells = readManifest(join(out, name, 'report.json')).perfTest?.cells ?? [];
    for (const cell of cells) expect(cell.verdict).toMatchObject({ isRight: true, differences: [] });
    return { folder: join(out, name), cells, ours: cells.filter(({ runtime }) => runtime === 'tickwright') };
  }

  it('runs rings and kernels: every bar of every pass right, latencies by worker, processor time by thread', {
    timeout: 200_000,
  }, async () => {
    const { folder, cells, ours } = await run('kernel');
    expect(cells.map(({ id }) => id).sort()).toEqual(
      ['limit_ring_w1_s20_r1', 'tickwright_w1_s20_r1', 'tickwright_w1_s20_r1_aa', 'tickwright_w2_s20_r1', 'tickwright_w2_s20_r1_aa'].sort(),
    );
    for (const { workers, achieved, verdict, workerLatency, latency, cpu } of ours) {
      expect(verdict.foundHash).toBe(verdict.expectedHash);
      expect(verdict.barsCompared).toBeGreaterThan(2000);
      expect(achieved).toBeGreaterThan(20_000);
      const shards = Array.from({ length: workers }, (_, shard) => `shard-${shard}`);
      expect(Object.keys(workerLatency?.['tickToBar'] ?? {}).sort()).toEqual(shards);
      const counts = Object.values(workerLatency?.['tickToBar'] ?? {}).map(({ count }) => count);
      expect(counts.reduce((sum, count) => sum + count, 0)).toBe(latency['tickToBar']?.count);
      if (cpu.length > 0) expect(cpu.map(({ thread }) => thread)).toEqual(expect.arrayContaining(['main', 'bar-fold', ...shards]));
    }
    expect(readFileSync(join(folder, 'hdr/tickwright_w2_s20_r1-tickToBar.hlog'), 'utf8')).toMatch(/^Tag=shard-1,/m);
    expect(readFileSync(join(folder, 'report.md'), 'utf8')).not.toContain('NOT MEASURED');
  });

  it('runs matchers: trades, resting orders and answers as a plain book has them, latencies by worker', { timeout: 200_000 }, async () => {
    const { folder, ours } = await run('matcher');
    expect(ours).toHaveLength(4);
    for (const { workers, achieved, verdict, workerLatency, cpu } of ours) {
      // 1,000 operations of each of 20 symbols; every matcher has answered each of its own.
      expect(achieved).toBe(20_000);
      expect(verdict.foundHash).toBe(verdict.expectedHash);
      expect(verdict.barsCompared).toBeGreaterThan(1000);
      const matchers = Array.from({ length: workers }, (_, index) => `matcher-${index}`);
      expect(Object.keys(workerLatency?.['orderToEvents'] ?? {}).sort()).toEqual(matchers);
      if (cpu.length > 0) expect(cpu.map(({ thread }) => thread)).toEqual(expect.arrayContaining(['main', ...matchers]));
    }
    // The same orders, whatever the number of matchers.
    expect(new Set(ours.map(({ verdict }) => verdict.barsCompared)).size).toBe(1);
    expect(readFileSync(join(folder, 'report.md'), 'utf8')).toMatch(/4 of \d+ cells agree with the oracle in [\d,]+ trades/);
  });
});
