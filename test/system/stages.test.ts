/** Single stages as processes on a real broker and a real database, against one engine that does it all over the same ticks. */
import { type ChildProcess, spawn } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { PROJECT_ROOT } from '../../engine/core/root.ts';
import { withConnection } from '../../engine/sinks/postgres/connection.ts';
import { createWorkspace, type EngineResult, type RunningEngine, runToEnd, startEngine } from './engine-process.ts';
import { type Broker, createTopic, NO_BROKER, openReal, REAL_BROKER, readCommitted, uniquePrefix } from './kafka-harness.ts';
import { CLOSING_AFTER_SEC, openLineWriter, type StageTick, stageTicks, tickLine } from './stage-ticks.ts';

const POSTGRES = process.env['POSTGRES_URL'] ?? '';
const NO_SERVERS = REAL_BROKER === undefined ? NO_BROKER : POSTGRES === '' ? 'POSTGRES_URL is not set: no real database to test with' : '';
const SEED = Number(process.env['SEED'] ?? 20_261);

const TIMEFRAMES = ['1s', '1m', '3m', '5m', '15m'];
const PARTITIONS = 3;
const FROM_SEC = 1_700_001_000 - (1_700_001_000 % 900);
const SPAN_SEC = 2400;
const BEFORE_SEC = FROM_SEC + SPAN_SEC + CLOSING_AFTER_SEC;
const WAIT_MS = 60_000;
const LOOK_MS = 250;

/** What everybody knows of a bar, and what only we say of it. */
const CONTRACT = 'o, h, l, c, vol, n_trades';
const OURS = `${CONTRACT}, rev, late, vwap, notional, first_ns, last_ns`;

type Rows = Readonly<Record<string, readonly Record<string, unknown>[]>>;

async function readRows(schema: string, timeframes: readonly string[], columns: string): Promise<Rows> {
  return await withConnection(POSTGRES, schema, async (client) => {
    const rows: Record<string, Record<string, unknown>[]> = {};
    for (const name of timeframes) {
      const found = await client.query(
        `select symbol, extract(epoch from ts)::bigint as ts, ${columns} from bars_${name} where ts < to_timestamp($1) order by symbol, ts`,
        [BEFORE_SEC],
      );
      rows[name] = found.rows;
    }
    return rows;
  });
}

/** By timeframe. */
function tradesOf(rows: Rows): number[] {
  return Object.values(rows).map((list) => list.reduce<number>((sum, row) => sum + Number(row['n_trades']), 0));
}

function tradesBefore(ticks: readonly StageTick[]): number {
  return ticks.filter(({ tsNs }) => tsNs < BigInt(BEFORE_SEC) * 1_000_000_000n).length;
}

/** Committed messages of the stretch, as text, in an order that does not depend on partitions. */
async function readMessages(broker: Broker, prefix: string, timeframes: readonly string[]): Promise<string[]> {
  const messages = (await Promise.all(timeframes.map((name) => readCommitted(broker, `${prefix}bars.${name}`)))).flat();
  return messages
    .map(({ topic, partition, value }) => ({ place: `${topic.slice(prefix.length)} ${partition}`, text: String(value) }))
    .filter(({ text }) => Number(JSON.parse(text).ts) < BEFORE_SEC)
    .map(({ place, text }) => `${place} ${text}`)
    .toSorted();
}

describe.skipIf(NO_SERVERS !== '')(NO_SERVERS === '' ? 'single stages' : NO_SERVERS, () => {
  const workspace = createWorkspace(`t${process.pid}_stg_`);
  let broker: Broker;
  const running: (RunningEngine | { readonly process: ChildProcess })[] = [];
  beforeAll(async () => {
    broker = await openReal();
  });
  afterAll(async () => {
    for (const { process: child } of running) child.kill('SIGKILL');
    await workspace.cleanUp();
  });

  function settingsOf(name: string) {
    const prefix = uniquePrefix(name);
    return {
      TOPIC_PREFIX: prefix,
      KAFKA_GROUP: prefix,
      PG_SCHEMA: `t${process.pid}_stg_${name}`,
      P_TICKS: String(PARTITIONS),
      P_BARS: String(PARTITIONS),
      // An hour: nothing moves by the wall clock, so the bars depend on the ticks alone.
      IDLE_MS: '3600000',
    };
  }

  function start(settings: Record<string, string>, stage: string): RunningEngine {
    const engine = startEngine(['--stages', stage], settings, workspace.folder);
    running.push(engine);
    return engine;
  }

  async function stop(engines: readonly RunningEngine[]): Promise<EngineResult[]> {
    for (const engine of engines) engine.process.kill('SIGTERM');
    return await Promise.all(engines.map((engine) => engine.done));
  }

  /** Replays the ticks through our stage `ingest`. */
  async function ingest(settings: Record<string, string>, ticks: readonly StageTick[]): Promise<EngineResult> {
    const file = join(workspace.folder, `${settings['PG_SCHEMA']}.ndjson`);
    writeFileSync(file, `${ticks.map(tickLine).join('\n')}\n`);
    return await runToEnd(['replay', file, '--stages', 'ingest'], settings, workspace.folder);
  }

  /** Waits until the tables hold so many trades of the stretch; what they hold when the time is over is left to the comparison. */
  async function untilTrades(schema: string, trades: number, timeframes: readonly string[]): Promise<void> {
    const endMs = performance.now() + WAIT_MS;
    while (performance.now() < endMs) {
      const found = await readRows(schema, timeframes, 'n_trades').then(tradesOf, () => []);
      if (found.length > 0 && found.every((count) => count >= trades)) return;
      await sleep(LOOK_MS);
    }
  }

  /** Runs one engine with all stages over a copy of the ticks; resolves with its settings. */
  async function runWhole(name: string, ticks: readonly StageTick[]): Promise<ReturnType<typeof settingsOf>> {
    const settings = settingsOf(name);
    await createTopic(broker, `${settings.TOPIC_PREFIX}ticks`, PARTITIONS);
    const writer = await openLineWriter(broker, `${settings.TOPIC_PREFIX}ticks`, PARTITIONS);
    writer.write(ticks.map((tick) => ({ symbol: tick.symbol, text: tickLine(tick) })));
    await writer.settle();
    await writer.close();
    const engine = startEngine([], { ...settings, SOURCE: 'kafka' }, workspace.folder);
    running.push(engine);
    await untilTrades(settings.PG_SCHEMA, tradesBefore(ticks), TIMEFRAMES);
    const [result] = await stop([engine]);
    expect(result?.code, result?.output).toBe(0);
    return settings;
  }

  it('give the rows and messages of one engine, each stage a process of its own', async () => {
    const ticks = stageTicks({ seed: SEED, symbols: 9, fromSec: FROM_SEC, spanSec: SPAN_SEC, ticks: 12_000 });
    const whole = await runWhole('whole', ticks);
    const expected = await readRows(whole.PG_SCHEMA, TIMEFRAMES, OURS);
    expect(expected['15m']).toHaveLength(27);

    const settings = settingsOf('split');
    const stages = ['multi', 'bars1m', 'bars1s'].map((stage) => start(settings, stage));
    const first = await ingest(settings, ticks);
    expect(first.code, first.output).toBe(0);
    expect(first.output).toMatch(/Summary \(stage ingest, replay of 1 files at full speed to \S+ticks \(json\)/);
    expect(first.summary).toMatchObject({ offered: ticks.length, acknowledged: ticks.length, isConserved: true });
    await untilTrades(settings.PG_SCHEMA, tradesBefore(ticks), TIMEFRAMES);
    const results = await stop(stages);
    for (const { code, output } of results) expect(code, output).toBe(0);
    expect(results.map(({ output }) => /stage \w+, \S+ to [^,\n]+/.exec(output)?.[0].replaceAll(settings.TOPIC_PREFIX, ''))).toEqual([
      'stage multi, bars.1m to bars.3m',
      'stage bars1m, bars.1s to bars.1m and bars_1m',
      'stage bars1s, ticks to bars.1s and bars_1s',
    ]);

    expect(await readRows(settings.PG_SCHEMA, TIMEFRAMES, OURS)).toEqual(expected);
    const messages = await readMessages(broker, settings.TOPIC_PREFIX, TIMEFRAMES);
    expect(messages.length).toBeGreaterThan(8000);
    expect(messages).toEqual(await readMessages(broker, whole.TOPIC_PREFIX, TIMEFRAMES));
  }, 240_000);

  it('amend as one engine does, killed in between', async () => {
    const ticks = stageTicks({ seed: SEED + 1, symbols: 6, fromSec: FROM_SEC, spanSec: SPAN_SEC, ticks: 8000, lateShare: 0.03 });
    const whole = await runWhole('late', ticks);
    const columns = `${CONTRACT}, late, vwap, notional, first_ns, last_ns`;
    const expected = await readRows(whole.PG_SCHEMA, TIMEFRAMES, columns);

    const settings = settingsOf('amends');
    const half = ticks.findIndex(({ tsNs }) => tsNs > BigInt(FROM_SEC + SPAN_SEC / 2) * 1_000_000_000n);
    let stages = ['multi', 'bars1m', 'bars1s'].map((stage) => start(settings, stage));
    expect((await ingest(settings, ticks.slice(0, half))).code).toBe(0);
    await untilTrades(settings.PG_SCHEMA, half / 2, ['3m']);
    for (const { process: child } of stages) child.kill('SIGKILL');
    await Promise.all(stages.map(({ done }) => done));
    stages = ['multi', 'bars1m', 'bars1s'].map((stage) => start(settings, stage));
    expect((await ingest(settings, ticks.slice(half))).code).toBe(0);
    await untilTrades(settings.PG_SCHEMA, tradesBefore(ticks), TIMEFRAMES);
    const results = await stop(stages);
    for (const { code, output } of results) expect(code, output).toBe(0);
    expect(results.some(({ summary }) => (summary?.bars.reduce((sum, { amended }) => sum + amended, 0) ?? 0) > 0)).toBe(true);
    expect(await readRows(settings.PG_SCHEMA, TIMEFRAMES, columns)).toEqual(expected);
    // Kafka has each revision once, up to the one in the row.
    const revisions = new Map<string, number>();
    const repeated: string[] = [];
    for (const text of await readMessages(broker, settings.TOPIC_PREFIX, TIMEFRAMES)) {
      const { symbol, tf, ts, rev } = JSON.parse(text.slice(text.indexOf('{')));
      const seen = revisions.get(`${tf} ${symbol} ${ts}`) ?? 0;
      if (revisions.has(`${tf} ${symbol} ${ts} ${rev}`)) repeated.push(text);
      revisions.set(`${tf} ${symbol} ${ts} ${rev}`, rev);
      revisions.set(`${tf} ${symbol} ${ts}`, Math.max(seen, rev));
    }
    expect(repeated).toEqual([]);
    const rows = await readRows(settings.PG_SCHEMA, TIMEFRAMES, 'rev');
    for (const [tf, list] of Object.entries(rows)) {
      const wrong = list.filter((row) => revisions.get(`${tf} ${row['symbol']} ${row['ts']}`) !== row['rev']);
      expect(wrong, tf).toEqual([]);
    }
  }, 240_000);

  it('stand among other programs: our ingest, another 1 s builder, our bars1m and multi', async () => {
    const ticks = stageTicks({ seed: SEED + 2, symbols: 7, fromSec: FROM_SEC, spanSec: SPAN_SEC, ticks: 9000 });
    const whole = await runWhole('alone', ticks);
    const longer = TIMEFRAMES.slice(1);
    const expected = await readRows(whole.PG_SCHEMA, longer, CONTRACT);

    const settings = settingsOf('mixed');
    await createTopic(broker, `${settings.TOPIC_PREFIX}bars.1s`, PARTITIONS);
    const poison = await openLineWriter(broker, `${settings.TOPIC_PREFIX}bars.1s`, PARTITIONS);
    poison.write(['no bar', '{"symbol":"ST00","ts":1,"o":1}'].map((text) => ({ symbol: 'ST00', text })));
    await poison.settle();
    await poison.close();
    expect((await ingest(settings, ticks)).code).toBe(0);
    const other = spawn(process.execPath, [join(PROJECT_ROOT, 'dist/test/system/naive-bars1s.js'), broker.brokers, settings.TOPIC_PREFIX]);
    running.push({ process: other });
    const stages = ['multi', 'bars1m'].map((stage) => start(settings, stage));
    await untilTrades(settings.PG_SCHEMA, tradesBefore(ticks), longer);
    const [multi, minutes] = await stop(stages);
    other.kill('SIGTERM');
    expect(minutes?.code, minutes?.output).toBe(0);
    expect(multi?.code, multi?.output).toBe(0);
    // Every third bar came twice.
    const { offered = 0, refused } = minutes?.summary ?? {};
    expect(refused?.['duplicateBar']).toBeGreaterThan(offered / 5);
    expect(refused?.['malformed']).toBe(2);
    const letters = (await readCommitted(broker, `${settings.TOPIC_PREFIX}dlq`)).map(({ value }) => JSON.parse(String(value)));
    expect(letters.map(({ topic, reason }) => `${topic} ${reason}`)).toEqual([1, 2].map(() => `${settings.TOPIC_PREFIX}bars.1s malformed`));
    expect(await readRows(settings.PG_SCHEMA, longer, CONTRACT)).toEqual(expected);
  }, 240_000);
});
