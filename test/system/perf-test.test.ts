/** The whole of a small perf-test, on real servers: as many cells as there are kinds, and a report that says that they are right. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, describe, expect, it } from 'vitest';
import { readManifest } from '../../bench/manifest.ts';
import { PROJECT_ROOT } from '../../engine/core/root.ts';
import { quoteIdentifier, withConnection } from '../../engine/sinks/postgres/connection.ts';
import { NO_BROKER, REAL_BROKER } from './kafka-harness.ts';

const connectionString = process.env['POSTGRES_URL'] ?? '';
const main = join(PROJECT_ROOT, 'dist/bench/perf-test/main.js');
const why =
  REAL_BROKER === undefined
    ? NO_BROKER
    : connectionString === ''
      ? 'POSTGRES_URL is not set: no server to measure on'
      : existsSync(main)
        ? undefined
        : 'not built';
const SCENARIOS = ['pipeline', 'catch-up', 'ingest-kafka'];
const SETTINGS = { WORKERS: '1,2', LOADS: '20', REPEATS: '1', STAGE_SEC: '3', WARMUP_SEC: '1', SAMPLE_SEC: '0.5', PERF_BACKLOG: '20000' };

describe.skipIf(why !== undefined)(why ?? 'a perf-test', () => {
  let out = '';
  afterEach(() => rmSync(out, { recursive: true, force: true }));

  async function run(args: readonly string[]): Promise<{ readonly code: number | null; readonly said: string }> {
    out = mkdtempSync(join(tmpdir(), 'tickwright-perf-out-'));
    const child = spawn(process.execPath, [main, '--out', out, ...args], {
      env: { ...process.env, ...SETTINGS },
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    let said = '';
    for (const stream of [child.stdout, child.stderr]) {
      stream.on('data', (chunk: Buffer) => {
        said += chunk.toString();
      });
    }
    await once(child, 'close');
    return { code: child.exitCode, said };
  }

  const reportOf = (): string => {
    const [name = ''] = readdirSync(out).filter((entry) => existsSync(join(out, entry, 'report.json')));
    return join(out, name);
  };

  it.each(SCENARIOS)('of the scenario %s comes out right, and leaves nothing behind', { timeout: 400_000 }, async (scenario) => {
    const { code, said } = await run(['--scenario', scenario]);
    expect(code, said).toBe(0);
    const folder = reportOf();
    const { perfTest } = readManifest(join(folder, 'report.json'));
    expect(new Set(perfTest?.cells.map(({ runtime }) => runtime)).has('naive')).toBe(true);
    for (const cell of perfTest?.cells ?? []) expect(cell.verdict).toMatchObject({ isRight: true, differences: [] });
    if (scenario === 'catch-up') {
      const copy = perfTest?.cells.find(({ runtime }) => runtime === 'limit-copy');
      expect(copy?.verdict.barsCompared).toBeGreaterThan(2000);
      expect(copy?.verdict.foundHash).toBe(copy?.verdict.expectedHash);
      expect(copy?.achieved).toBeGreaterThan(19_000);
    }
    for (const { runtime, latency, workerLatency } of perfTest?.cells ?? []) {
      if (runtime !== 'tickwright') continue;
      // A shard tells once a second: a stage that is over sooner may have none, and then none of the shard either.
      const byShard = Object.values(workerLatency?.['tickToBar'] ?? {}).map(({ count }) => count);
      const total = byShard.reduce((sum, count) => sum + count, 0);
      expect(total).toBe(latency['tickToBar']?.count ?? 0);
      if (scenario === 'pipeline') expect(total).toBeGreaterThan(0);
    }
    expect(readFileSync(join(folder, 'report.html'), 'utf8')).toContain('RIGHT');
    const schemas = await withConnection(connectionString, undefined, (client) =>
      client.query<{ nspname: string }>(`select nspname from pg_namespace where nspname like 'perf\\_%\\_s20\\_%'`),
    );
    expect(schemas.rows.map(({ nspname }) => quoteIdentifier(nspname))).toEqual([]);
  });

  it('is void when the engine loses a flush, and says which bars', { timeout: 400_000 }, async () => {
    const { code, said } = await run(['--sabotage', 'lost-flush']);
    expect(code).toBe(1);
    expect(said).toContain('VOID');
    const { perfTest } = readManifest(join(reportOf(), 'report.json'));
    const broken = perfTest?.cells.filter(({ runtime }) => runtime === 'sabotaged') ?? [];
    expect(broken.flatMap(({ verdict }) => verdict.differences).join('\n')).toMatch(/: missing, expected|in the topic, not in the table/);
    expect(perfTest?.cells.filter(({ runtime, verdict }) => runtime === 'tickwright' && !verdict.isRight)).toEqual([]);
  });
});
