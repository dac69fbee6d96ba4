/** Whole engines, started as a user starts them. */
import { execFileSync } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { gzipSync } from 'node:zlib';
import { decodeFromCompressedBase64 } from 'hdr-histogram-js';
import { afterAll, describe, expect, it } from 'vitest';
import { readRuntime } from '../../bench/perf-test/sampler.ts';
import { createWorkspace, type EngineResult, runToEnd, type SummaryJson, startEngine } from './engine-process.ts';

const stamp = `${process.pid}_${Date.now() % 100000}`;
const schema = (name: string): string => `t${stamp}_${name}`;

const workspace = createWorkspace(`t${stamp}_`);
const { folder } = workspace;
afterAll(() => workspace.cleanUp());

function summaryOf(result: EngineResult): SummaryJson {
  if (!result.summary) throw new Error(`no summary; exit code ${result.code}:\n${result.output}`);
  return result.summary;
}

/** A seeded file of `count` ticks of 40 symbols over ten minutes, with late and disordered ones. */
function writeTicks(name: string, count: number): string {
  let state = 12345;
  const random = (below: number): number => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return Math.floor((state / 4294967296) * below);
  };
  const lines = ['symbol,ts_ns,price,quantity'];
  for (let i = 0; i < count; i += 1) {
    const lateMs = random(50) === 0 ? random(70_000) : random(80);
    const ms = 1_700_000_000_000 + Math.floor((i * 600_000) / count) - lateMs;
    lines.push(`S${random(40)},${ms}${String(random(1_000_000)).padStart(6, '0')},${(100 + random(500) / 100).toFixed(2)},${random(9)}`);
  }
  const path = join(folder, name);
  writeFileSync(path, gzipSync(lines.join('\n')));
  return path;
}

/** n_trades by `symbol,ts_ms`. */
function countsByBar(csv: string): Map<string, number> {
  const rows = csv.trim().split('\n').slice(1);
  return new Map(
    rows.map((row) => {
      const [symbol, tsMs, , , , , , trades] = row.split(',');
      return [`${symbol},${tsMs}`, Number(trades)];
    }),
  );
}

describe('simulator', () => {
  it('is conserved, prints where to look, and stores open bars instead of publishing them', async () => {
    const settings = {
      PG_SCHEMA: schema('sim'),
      TOPIC_PREFIX: `${stamp}.sim.`,
      SIM_SYMBOLS: '50',
      SIM_DURATION_SEC: '4',
      SIM_LATE_PCT: '0.01',
    };
    const first = await runToEnd([], settings, folder);
    const summary = summaryOf(first);
    expect(first.code, first.output).toBe(0);
    expect(summary.isConserved).toBe(true);
    expect(summary.offered).toBeGreaterThan(1000);
    expect(summary.bars.find((bar) => bar.timeframe === '1s')!.final).toBeGreaterThan(50);
    // Which of them are open depends on the minute that the run ends in.
    expect(summary.bars.reduce((sum, bar) => sum + bar.open, 0)).toBeGreaterThan(0);
    expect(first.output).toMatch(/metrics +http:/);
    expect(first.output).toMatch(/WORKERS +1 +default/);
    expect(first.output).toMatch(/psql/);

    const second = await runToEnd([], settings, folder);
    expect(second.code, second.output).toBe(0);
    expect(second.output).toMatch(/going on with the open bars of 50 symbols/);
    expect(summaryOf(second).isConserved).toBe(true);
  });

  it('goes on with buckets that were left open under a larger lateness, in another number of workers', async () => {
    const settings = { PG_SCHEMA: schema('shrink'), KAFKA: 'off', SIM_SYMBOLS: '20', SIM_DURATION_SEC: '3' };
    const first = await runToEnd([], { ...settings, LATENESS_MS: '20000' }, folder);
    expect(summaryOf(first).bars.find((bar) => bar.timeframe === '1s')).toMatchObject({ final: 0 });
    expect(summaryOf(first).bars.find((bar) => bar.timeframe === '1s')!.open).toBeGreaterThan(40);
    const second = await runToEnd([], { ...settings, LATENESS_MS: '0', WORKERS: '3' }, folder);
    expect([first.code, second.code], second.output).toEqual([0, 0]);
    expect(summaryOf(second).isConserved).toBe(true);
  });

  it('drains on SIGTERM and exits 0 when conserved', async () => {
    const engine = startEngine([], { PG_SCHEMA: schema('term'), TOPIC_PREFIX: `${stamp}.term.`, SIM_SYMBOLS: '20', WORKERS: '2' }, folder);
    await engine.waitFor(/\| ring /);
    engine.process.kill('SIGTERM');
    const result = await engine.done;
    expect(result.code, result.output).toBe(0);
    expect(summaryOf(result).reason).toBe('stopped');
    expect(result.output).toMatch(/CONSERVED/);
  });

  it('ends by the signal that drained it, when a thread of a client library never ends', async () => {
    const pipe = join(folder, 'silent-pipe');
    execFileSync('mkfifo', [pipe]);
    // Opening a pipe that nobody writes to takes a thread of the pool for good, as such a client does.
    const blocked = `import { open } from 'node:fs'; import { isMainThread } from 'node:worker_threads';
      if (isMainThread) open(${JSON.stringify(pipe)}, 'r', () => {});`;
    const NODE_OPTIONS = `--import=data:text/javascript,${encodeURIComponent(blocked)}`;
    const engine = startEngine([], { PG_SCHEMA: schema('blocked'), KAFKA: 'off', SIM_SYMBOLS: '5', NODE_OPTIONS }, folder);
    await engine.waitFor(/\| ring /);
    engine.process.kill('SIGTERM');
    const result = await engine.done;
    expect([result.code, engine.process.signalCode], result.output).toEqual([null, 'SIGTERM']);
    expect(summaryOf(result).isConserved).toBe(true);
  });

  it('serves metrics under the names of the contract, and health', async () => {
    const engine = startEngine([], { PG_SCHEMA: schema('http'), TOPIC_PREFIX: `${stamp}.http.`, SIM_SYMBOLS: '20' }, folder);
    const [, url] = await engine.waitFor(/metrics +(http:\S+)\/metrics/);
    await engine.waitFor(/\| ring /);
    const metrics = await (await fetch(`${url}/metrics`)).text();
    for (const name of [
      'bars_1s_ticks_total',
      'bars_1s_written_total',
      'bars_1s_published_total',
      'bars_1s_flush_seconds_bucket',
      'bars_1m_input_total',
    ]) {
      expect(metrics).toContain(name);
    }
    expect(metrics).toMatch(/bars_1s_ticks_total [1-9]/);
    expect((await fetch(`${url}/health`)).status).toBe(200);
    engine.process.kill('SIGINT');
    expect((await engine.done).code).toBe(0);
  });

  it('tells how long ticks took to bars in each shard, and in all of them together', async () => {
    const settings = { PG_SCHEMA: schema('runtime'), TOPIC_PREFIX: `${stamp}.runtime.`, SIM_SYMBOLS: '20', WORKERS: '2' };
    const engine = startEngine([], settings, folder);
    const [, url] = await engine.waitFor(/metrics +(http:\S+)\/metrics/);
    const read = async () => readRuntime(url ?? '');
    await expect
      .poll(async () => Object.keys((await read()).workerHistograms?.['tickToBar'] ?? {}).sort(), { timeout: 30_000 })
      .toEqual(['shard-0', 'shard-1']);
    const { histograms, workerHistograms } = await read();
    const countOf = (encoded: string): number => decodeFromCompressedBase64(encoded).totalCount;
    const counts = Object.values(workerHistograms?.['tickToBar'] ?? {}).map(countOf);
    expect(counts.reduce((sum, count) => sum + count, 0)).toBe(countOf(histograms['tickToBar'] ?? ''));
    engine.process.kill('SIGINT');
    expect((await engine.done).code).toBe(0);
  });
});

describe('after a kill', () => {
  it('late ticks amend the rows that the killed run had committed, and shrink none', async () => {
    const settings = {
      PG_SCHEMA: schema('kill'),
      KAFKA: 'off',
      SIM_SYMBOLS: '5',
      SIM_BASE_TPS: '200',
      SIM_LATE_PCT: '0.3',
      SIM_LATE_MS: '30000',
    };
    const engine = startEngine([], settings, folder);
    await engine.waitFor(/\| ring /);
    engine.process.kill('SIGKILL');
    await engine.done;
    const before = countsByBar((await runToEnd(['export', '--timeframe', '1s'], settings, folder)).output);
    const again = await runToEnd([], { ...settings, SIM_DURATION_SEC: '4' }, folder);
    expect(again.code, again.output).toBe(0);
    expect(again.output).toMatch(/going on with the open bars of 5 symbols/);
    const after = countsByBar((await runToEnd(['export', '--timeframe', '1s'], settings, folder)).output);
    expect(before.size).toBeGreaterThan(10);
    const shrunk = [...before].filter(([bar, count]) => (after.get(bar) ?? 0) < count);
    expect(shrunk).toEqual([]);
    expect([...before].some(([bar, count]) => after.get(bar)! > count)).toBe(true);
  });
});

describe('replay', () => {
  it('gives the same bars whatever WORKERS, QUEUE and FLUSH_MS, and ends by itself', async () => {
    const file = writeTicks('ticks.csv.gz', 60_000);
    const tables: string[] = [];
    const variants = [
      { WORKERS: '1', QUEUE: '65536', FLUSH_MS: '100' },
      { WORKERS: '3', QUEUE: '1024', FLUSH_MS: '20' },
      { WORKERS: '8', QUEUE: '4096', FLUSH_MS: '500' },
    ];
    for (const [index, variant] of variants.entries()) {
      const settings = { ...variant, PG_SCHEMA: schema(`rep${index}`), KAFKA: 'off' };
      const result = await runToEnd(['replay', file], settings, folder);
      expect(result.code, result.output).toBe(0);
      expect(summaryOf(result)).toMatchObject({ offered: 60_000, reason: 'source ended', isConserved: true });
      expect(summaryOf(result).bars.every((bar) => bar.open === 0)).toBe(true);
      let table = '';
      for (const timeframe of ['1s', '1m', '3m', '5m', '15m'])
        table += (await runToEnd(['export', '--timeframe', timeframe], settings, folder)).output;
      tables.push(table);
    }
    expect(tables[0]!.length).toBeGreaterThan(100_000);
    expect(tables[1]).toBe(tables[0]);
    expect(tables[2]).toBe(tables[0]);
  });

  it('replaces equal keys when it is run again', async () => {
    const file = writeTicks('again.csv.gz', 5000);
    const settings = { PG_SCHEMA: schema('again'), KAFKA: 'off' };
    const once = await runToEnd(['replay', file], settings, folder);
    const before = await runToEnd(['export', '--timeframe', '1m'], settings, folder);
    const twice = await runToEnd(['replay', file], settings, folder);
    const after = await runToEnd(['export', '--timeframe', '1m'], settings, folder);
    expect([once.code, twice.code], twice.output).toEqual([0, 0]);
    expect(after.output).toBe(before.output);
  });

  it('goes on with --resume after a stop, and comes out equal to an uninterrupted one', async () => {
    const file = writeTicks('resume.csv.gz', 20_000);
    const whole = { PG_SCHEMA: schema('whole'), KAFKA: 'off' };
    const parts = { PG_SCHEMA: schema('parts'), KAFKA: 'off' };
    await runToEnd(['replay', file], whole, folder);
    const engine = startEngine(['replay', file, '--speed', '60'], parts, folder);
    await engine.waitFor(/\| ring /);
    engine.process.kill('SIGTERM');
    const stopped = await engine.done;
    expect(stopped.code, stopped.output).toBe(0);
    const others = await runToEnd(['replay', writeTicks('others.csv.gz', 10), '--resume'], parts, folder);
    expect(others.code).toBe(2);
    expect(others.output).toMatch(/the stopped replay was of resume\.csv\.gz; its place in them means nothing in others\.csv\.gz/);
    const resumed = await runToEnd(['replay', file, '--resume'], { ...parts, WORKERS: '2' }, folder);
    expect(resumed.code, resumed.output).toBe(0);
    expect(summaryOf(stopped).offered + summaryOf(resumed).offered).toBe(20_000);
    for (const timeframe of ['1s', '1m', '15m']) {
      const expected = await runToEnd(['export', '--timeframe', timeframe], whole, folder);
      const found = await runToEnd(['export', '--timeframe', timeframe], parts, folder);
      expect(found.output).toBe(expected.output);
    }
  });

  it('stays conserved with LATE_POLICY side, though ticks came too late even for late ticks to count', async () => {
    const file = writeTicks('side.csv.gz', 5000);
    const settings = { PG_SCHEMA: schema('side'), KAFKA: 'off', LATE_POLICY: 'side', AMEND_SEC: '20' };
    const result = await runToEnd(['replay', file], settings, folder);
    expect(result.code, result.output).toBe(0);
    const { lateTicks, refused } = summaryOf(result);
    expect([lateTicks, refused['tooLate']].map((count) => (count ?? 0) > 0)).toEqual([true, true]);
  });

  it('ends an epoch before its time when FLUSH_MS is too long for what comes', async () => {
    const lines = ['symbol,ts_ns,price,quantity'];
    for (let i = 0; i < 800_000; i += 1) lines.push(`S${i % 10_000},${1_700_000_000 + Math.floor(i / 10_000)}000000000,1.5,1`);
    const path = join(folder, 'sparse.csv');
    writeFileSync(path, lines.join('\n'));
    const settings = { PG_SCHEMA: schema('sparse'), KAFKA: 'off', FLUSH_MS: '60000', TIMEFRAMES: '1s' };
    const result = await runToEnd(['replay', path], settings, folder);
    expect(result.code, result.output).toBe(0);
    expect(summaryOf(result).latency['flush']!.count).toBeGreaterThan(1);
    // Ten thousand new instruments are looked up in one pass, not each with each.
    expect(summaryOf(result).latency['flush']!.p99Us).toBeLessThan(10_000_000);
  });

  it('counts bad lines by reason and stays conserved', async () => {
    const path = join(folder, 'bad.csv');
    const good = (ms: number): string => `S1,${ms}000000,10.5,2`;
    writeFileSync(
      path,
      [
        'symbol,ts_ns,price,quantity',
        good(1_700_000_000_000),
        'S1,not a time,1,1',
        'S1,1700000000500000000,-1,1',
        'S1,1700000000600000000,1,0.5',
        good(1_700_000_002_000),
      ].join('\n'),
    );
    const result = await runToEnd(['replay', path], { PG_SCHEMA: schema('bad'), KAFKA: 'off' }, folder);
    expect(result.code, result.output).toBe(0);
    expect(summaryOf(result)).toMatchObject({ offered: 5, accepted: 2, refused: { malformed: 1, priceNotPositive: 1, quantityOffLot: 1 } });
  });
});

describe('settings', () => {
  it('are refused all at once, before anything is started', async () => {
    const result = await runToEnd([], { WORKERS: '0', QUEUE: '1000', FLUSHMS: '5' }, folder);
    expect(result.code).toBe(2);
    expect(result.output).toMatch(/WORKERS '0'.*\n.*QUEUE '1000'|QUEUE '1000'[\s\S]*WORKERS '0'/);
    expect(result.output).toMatch(/did you mean FLUSH_MS/);
  });

  it('name the file that a replay cannot find', async () => {
    const result = await runToEnd(['replay', '/no/such/file.csv'], { PG_SCHEMA: schema('nofile'), KAFKA: 'off' }, folder);
    expect(result.code).not.toBe(0);
    expect(result.output).toContain('/no/such/file.csv');
  });
});
