/** Whole engines on a real broker whose source has no offsets: through a log that is read back, and with the ticks published beside. */
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { decodeJsonTick } from '../../engine/ingest/json-tick.ts';
import { parseTimeframes } from '../../engine/market/timeframes.ts';
import type { Message } from '../../engine/sinks/kafka/rdkafka.ts';
import { type Comparison, compare } from '../torture/compare.ts';
import { expectOf, type TopicMessage } from '../torture/expected.ts';
import { readTables } from '../torture/read-database.ts';
import { barMessages, letterMessages, tickMessages } from '../torture/read-topics.ts';
import { createWorkspace, type RunningEngine, runToEnd, startEngine } from './engine-process.ts';
import { type Broker, NO_BROKER, openReal, REAL_BROKER, readCommitted, uniquePrefix, until } from './kafka-harness.ts';

const TIMEFRAMES = parseTimeframes('1s,1m,3m,5m,15m');
const LATENESS_MS = 100;
const POSTGRES = process.env['POSTGRES_URL'] ?? '';

const NO_SERVERS = REAL_BROKER === undefined ? NO_BROKER : POSTGRES === '' ? 'POSTGRES_URL is not set: no real database to test with' : '';

/** What a reader of committed messages sees under a prefix. */
async function readTopics(broker: Broker, prefix: string): Promise<Message[]> {
  const topics = ['ticks', 'dlq', ...TIMEFRAMES.map(({ name }) => `bars.${name}`)];
  return (await Promise.all(topics.map((topic) => readCommitted(broker, `${prefix}${topic}`)))).flat();
}

function counter(metrics: string, name: string): number {
  return Number(new RegExp(`^${name} ([0-9.e+]+)$`, 'm').exec(metrics)?.[1] ?? Number.NaN);
}

describe.skipIf(NO_SERVERS !== '')(NO_SERVERS === '' ? 'a source without offsets' : NO_SERVERS, () => {
  const workspace = createWorkspace(`t${process.pid}_log_`);
  let broker: Broker;
  beforeAll(async () => {
    broker = await openReal();
  });
  afterAll(() => workspace.cleanUp());

  function settingsOf(name: string) {
    const prefix = uniquePrefix(name);
    return {
      TOPIC_PREFIX: prefix,
      KAFKA_GROUP: prefix,
      PG_SCHEMA: `t${process.pid}_log_${name}`,
      LATENESS_MS: String(LATENESS_MS),
      // An hour: nothing moves by the wall clock, so the bars depend on the ticks alone.
      IDLE_MS: '3600000',
      P_TICKS: '3',
      SIM_SYMBOLS: '40',
      SIM_BASE_TPS: '50',
    };
  }

  /** Compares every table and topic with what the messages of the ticks topic come to. */
  async function judge(
    settings: ReturnType<typeof settingsOf>,
    source: string,
    messages: readonly Message[],
    ticks: ReadonlyMap<number, readonly TopicMessage[]>,
  ): Promise<Comparison> {
    const { TOPIC_PREFIX: prefix, PG_SCHEMA: schema } = settings;
    const tables = await readTables({ connectionString: POSTGRES, schema, source, timeframes: TIMEFRAMES });
    const expected = expectOf(ticks, { timeframes: TIMEFRAMES, latenessMs: LATENESS_MS, amendSec: 3600, latestNs: 2n ** 62n });
    return compare(expected, {
      ...tables,
      messages: barMessages(messages, prefix, TIMEFRAMES),
      letters: letterMessages(messages, { dlq: `${prefix}dlq`, ticks: `${prefix}ticks` }),
    });
  }

  /** Waits until the engine has made bars of so many ticks; returns the metrics page. */
  async function untilOffered(engine: RunningEngine, count: number): Promise<string> {
    const [, url] = await engine.waitFor(/metrics +(http:\S+)\/metrics/);
    let page = '';
    const look = async (): Promise<void> => {
      page = await (await fetch(`${url}/metrics`)).text();
      if (counter(page, 'tickwright_ticks_offered_total') < count) setTimeout(() => void look(), 50);
    };
    void look();
    await until(`${count} ticks offered`, () => counter(page, 'tickwright_ticks_offered_total') >= count);
    return page;
  }

  it('log-first: killed, stopped and ended, its bars are what the log comes to, each once', async () => {
    const settings = { ...settingsOf('first'), INGEST_MODE: 'log-first', SIM_LATE_PCT: '0.02', SIM_LATE_MS: '1500' };

    const killed = startEngine([], { ...settings, SIM_SEED: '1' }, workspace.folder);
    const metrics = await untilOffered(killed, 6000);
    expect(counter(metrics, 'tickwright_feed_ticks_acknowledged_total')).toBeGreaterThan(0);
    expect(counter(metrics, 'tickwright_loss_window_seconds')).toBeLessThan(5);
    expect(metrics).toMatch(/^tickwright_up\{part="feeder"\} 1$/m);
    killed.process.kill('SIGKILL');
    const dead = await killed.done;
    expect(dead.output).toMatch(/simulator, 40 symbols.*log-first \(packed\) through Kafka topic/);
    expect(dead.output).toMatch(/a crash +loses ticks that Kafka has not acknowledged/);

    const stopped = startEngine([], { ...settings, SIM_SEED: '2', WORKERS: '2' }, workspace.folder);
    await untilOffered(stopped, 4000);
    const stopMs = performance.now();
    stopped.process.kill('SIGTERM');
    const clean = await stopped.done;
    expect(performance.now() - stopMs).toBeLessThan(5000);
    expect(clean.code, clean.output).toBe(0);
    const [, written, acknowledged] =
      /note: ([\d,]+) ticks were written to \S+ticks, ([\d,]+) of them acknowledged/.exec(clean.output) ?? [];
    expect(written).toBeDefined();
    expect(acknowledged).toBe(written);

    const ended = await runToEnd([], { ...settings, SIM_SEED: '3', SIM_DURATION_SEC: '3' }, workspace.folder);
    expect(ended.code, ended.output).toBe(0);
    expect(ended.summary).toMatchObject({ reason: 'source ended', isConserved: true });

    const messages = await readTopics(broker, settings.TOPIC_PREFIX);
    const ticks = tickMessages(messages, `${settings.TOPIC_PREFIX}ticks`);
    expect(ticks.size).toBe(3);
    const { bars, differences } = await judge(settings, 'kafka', messages, ticks);
    expect(differences.slice(0, 5)).toEqual([]);
    expect(bars).toBeGreaterThan(300);
  }, 120_000);

  it('direct: the topic holds exactly what was handed to the rings', async () => {
    const settings = { ...settingsOf('beside'), PUBLISH_TICKS: 'json', SIM_DURATION_SEC: '4' };
    const { code, output, summary } = await runToEnd([], settings, workspace.folder);
    expect(code, output).toBe(0);
    expect(output).toMatch(/a crash +loses the ticks since the last commit: of FLUSH_MS \(100 ms\)/);
    expect(output).not.toMatch(/NOT published beside/);

    const messages = await readTopics(broker, settings.TOPIC_PREFIX);
    const published = [...tickMessages(messages, `${settings.TOPIC_PREFIX}ticks`).values()].flat();
    expect(published.length).toBe(summary?.offered);
    expect(published.length).toBeGreaterThan(6000);
    expect(published.every(({ isPacked }) => !isPacked)).toBe(true);
    // The simulator's one partition, in the order of event times, in which it had handed them over.
    const timeOf = ({ value }: TopicMessage): bigint => decodeJsonTick(value ?? new Uint8Array()).tick?.tsEventNs ?? 0n;
    const ordered = published
      .map((message) => ({ message, timeNs: timeOf(message) }))
      .sort((left, right) => (left.timeNs < right.timeNs ? -1 : left.timeNs > right.timeNs ? 1 : 0))
      .map(({ message }) => message);
    const { bars, differences } = await judge(settings, 'sim', messages, new Map([[0, ordered]]));
    // The simulator has no offsets; everything else that the topic comes to is in the tables and topics.
    expect(differences.filter(({ what }) => !what.startsWith('source_offsets partition 0')).slice(0, 5)).toEqual([]);
    expect(bars).toBeGreaterThan(100);
  }, 60_000);

  it('log-first is refused where its log would not last, with every fault', async () => {
    const { code, output } = await runToEnd(
      [],
      { INGEST_MODE: 'log-first', KAFKA_BROKER: '', KAFKA: 'off', WORKERS: '1' },
      workspace.folder,
    );
    expect(code).toBe(2);
    expect(output).toMatch(/INGEST_MODE log-first: needs Kafka, KAFKA is off/);
    expect(output).toMatch(/INGEST_MODE log-first: needs KAFKA_BROKER, the embedded mock cluster is volatile/);
  });
});
