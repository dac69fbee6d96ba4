/** A whole engine on the ticks topic of a real broker: through a stop and a restart, bars equal a plain recomputation. */
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { createTickProducer, type OutgoingTick, type TickProducer } from '../../engine/ingest/tick-producer.ts';
import { deleteBefore } from './direct-topics.ts';
import { createWorkspace, type RunningEngine, runToEnd, type SummaryJson, startEngine } from './engine-process.ts';
import { type Broker, NO_BROKER, openReal, REAL_BROKER, readTopic, uniquePrefix, until } from './kafka-harness.ts';

const SYMBOLS = 30;
const POISON = 3;

/** Ticks of a minute that has passed, in order of time within each symbol. */
function makeTicks(count: number, fromMs: number, spanMs: number): OutgoingTick[] {
  return Array.from({ length: count }, (_, index) => ({
    symbol: `K${index % SYMBOLS}`,
    tsEventNs: BigInt(fromMs + Math.floor((index * spanMs) / count)) * 1_000_000n + BigInt(index % 1_000_000),
    price: (10_000 + ((index * 7919) % 500)) / 100,
    quantityLots: BigInt(index % 7),
  }));
}

/** 1 s bars as `symbol,ts_ms` to `o,h,l,c,vol,n`. */
function recompute(ticks: readonly OutgoingTick[]): Map<string, string> {
  const buckets = new Map<string, OutgoingTick[]>();
  for (const tick of ticks) {
    const key = `${tick.symbol},${(tick.tsEventNs / 1_000_000_000n) * 1000n}`;
    buckets.set(key, [...(buckets.get(key) ?? []), tick]);
  }
  return new Map(
    [...buckets].map(([key, members]) => {
      const prices = members.map((tick) => tick.price);
      const volume = members.reduce((sum, tick) => sum + tick.quantityLots, 0n);
      return [key, [prices[0], Math.max(...prices), Math.min(...prices), prices.at(-1), volume, members.length].join(',')];
    }),
  );
}

const why = REAL_BROKER === undefined ? ` (${NO_BROKER})` : '';
describe.skipIf(REAL_BROKER === undefined).each(['librdkafka', 'direct'])(`kafka source, bars by lane %s${why}`, (lane) => {
  const workspace = createWorkspace(`t${process.pid}_kafka_${lane}`);
  const prefix = uniquePrefix('engine');
  const settings = {
    SOURCE: 'kafka',
    TOPIC_PREFIX: prefix,
    KAFKA_GROUP: prefix,
    PG_SCHEMA: `t${process.pid}_kafka_${lane}`,
    KAFKA_LANE: lane,
    WORKERS: '2',
    IDLE_MS: '3600000',
  };
  let broker: Broker;
  let producer: TickProducer | undefined;
  /** The page as last seen. */
  let metrics = '';
  beforeAll(async () => {
    broker = await openReal();
  });
  afterAll(async () => {
    await producer?.close();
    await workspace.cleanUp();
  });

  async function stopWhen(engine: RunningEngine, url: string, offered: number): Promise<SummaryJson> {
    let seen = 0;
    const look = async (): Promise<void> => {
      const text = await (await fetch(`${url}/metrics`)).text();
      metrics = text;
      seen = Number(/^tickwright_ticks_offered_total (\d+)/m.exec(text)?.[1] ?? 0);
      if (seen < offered) setTimeout(() => void look(), 50);
    };
    void look();
    await until(`${offered} ticks offered`, () => seen >= offered);
    engine.process.kill('SIGTERM');
    const result = await engine.done;
    expect(result.code, result.output).toBe(0);
    if (!result.summary) throw new Error(`no summary:\n${result.output}`);
    return result.summary;
  }

  /** Checks the stored 1 s bars against a recomputation; the rows. */
  async function assertBars(knobs: typeof settings, ticks: readonly OutgoingTick[]): Promise<string[]> {
    const exported = await runToEnd(['export', '--timeframe', '1s'], knobs, workspace.folder);
    const expected = recompute(ticks);
    const rows = exported.output.trim().split('\n').slice(1);
    for (const row of rows) {
      const [symbol, tsMs, ...rest] = row.split(',');
      expect(rest.slice(0, 6).join(','), `${symbol} ${tsMs}`).toBe(expected.get(`${symbol},${tsMs}`));
    }
    return rows;
  }

  it('takes JSON and packed ticks once each across a restart, and puts poison into dlq', async () => {
    const startMs = Math.floor(Date.now() / 1000) * 1000 - 120_000;
    const first = makeTicks(6000, startMs, 40_000);
    const second = makeTicks(3000, startMs + 40_000, 20_000);

    const engine = startEngine([], settings, workspace.folder);
    const [, url] = await engine.waitFor(/metrics +(http:\S+)\/metrics/);
    producer = await createTickProducer(broker.library, broker.brokers, `${prefix}ticks`);
    for (const tick of first) producer.sendJson(tick);
    for (const text of ['{"symbol":', '{"symbol":"K1","event_ts":"soon","ltp":1,"vol":1}', 'not json']) {
      producer.sendRaw(0, new TextEncoder().encode(text));
    }
    await producer.flush(30_000);
    const stopped = await stopWhen(engine, url ?? '', first.length + POISON);
    expect(stopped).toMatchObject({ offered: first.length + POISON, accepted: first.length, isConserved: true, lateTicks: 0 });
    expect(stopped.refused).toMatchObject({ malformed: POISON });

    const again = startEngine([], { ...settings, WORKERS: '3' }, workspace.folder);
    const [, secondUrl] = await again.waitFor(/metrics +(http:\S+)\/metrics/);
    const kinds = { priceDecimals: 2, lotDecimals: 0 };
    producer.sendPacked({ ...kinds, ticks: second });
    await producer.flush(30_000);
    const resumed = await stopWhen(again, secondUrl ?? '', second.length);
    expect(resumed).toMatchObject({ offered: second.length, accepted: second.length, isConserved: true });

    const rows = await assertBars(settings, [...first, ...second]);
    expect(rows.length).toBeGreaterThan(58 * SYMBOLS);

    const letters = await readTopic(broker, `${prefix}dlq`, POISON);
    expect(letters.map((letter) => JSON.parse(String(letter.value)) as unknown)).toEqual(
      expect.arrayContaining([expect.objectContaining({ topic: `${prefix}ticks`, partition: 0, reason: 'malformed', record_index: -1 })]),
    );
    const published = (await readTopic(broker, `${prefix}bars.1s`, rows.length)).map((message) => JSON.parse(String(message.value)));
    expect(new Set(published.map((bar) => `${bar.symbol} ${bar.ts} ${bar.rev}`)).size).toBe(rows.length);
  });

  it('goes on behind ticks that were deleted before it read them, and keeps what it had read as it was', async () => {
    const own = uniquePrefix('gone');
    const knobs = { ...settings, TOPIC_PREFIX: own, KAFKA_GROUP: own, PG_SCHEMA: `${settings.PG_SCHEMA}_gone` };
    const startMs = Math.floor(Date.now() / 1000) * 1000 - 120_000;
    const first = makeTicks(3000, startMs, 20_000);
    const second = makeTicks(6000, startMs + 20_000, 40_000);

    const engine = startEngine([], knobs, workspace.folder);
    const [, url] = await engine.waitFor(/metrics +(http:\S+)\/metrics/);
    const ticks = await createTickProducer(broker.library, broker.brokers, `${own}ticks`);
    for (const tick of first) ticks.sendJson(tick);
    await ticks.flush(30_000);
    await stopWhen(engine, url ?? '', first.length);
    for (const tick of second) ticks.sendJson(tick);
    await ticks.flush(30_000);
    // Half of what each partition had not given yet goes.
    const left: OutgoingTick[] = [];
    for (let partition = 0; partition < ticks.partitionCount; partition += 1) {
      const isHome = ({ symbol }: OutgoingTick): boolean => ticks.partitionOf(symbol) === partition;
      const unread = second.filter(isHome);
      const goneCount = Math.floor(unread.length / 2);
      if (unread.length > 0) await deleteBefore(broker, `${own}ticks`, partition, first.filter(isHome).length + goneCount);
      left.push(...unread.slice(goneCount));
    }
    await ticks.close();

    const refused = startEngine([], knobs, workspace.folder);
    await refused.waitFor(/KAFKA_OFFSET_GONE|older messages have been deleted/);
    refused.process.kill('SIGTERM');
    await refused.done;

    const again = startEngine([], { ...knobs, KAFKA_OFFSET_GONE: 'earliest' }, workspace.folder);
    const [, secondUrl] = await again.waitFor(/metrics +(http:\S+)\/metrics/);
    const resumed = await stopWhen(again, secondUrl ?? '', left.length);
    expect(resumed).toMatchObject({ offered: left.length, accepted: left.length, isConserved: true, lateTicks: 0 });
    const skipped = [...metrics.matchAll(/^tickwright_offsets_skipped_total\{partition="\d+"\} (\d+)/gm)].map(([, count]) => Number(count));
    expect(skipped.reduce((sum, count) => sum + count, 0)).toBe(second.length - left.length);
    expect(resumed.notes.filter((note) => note.includes('passed over')).length).toBe(skipped.length);
    if (lane === 'direct') expect(metrics).toMatch(new RegExp(`^tickwright_fetch_total\\{what="records"\\} ${left.length}$`, 'm'));
    const rows = await assertBars(knobs, [...first, ...left]);
    expect(rows.length).toBeGreaterThan(38 * SYMBOLS);

    // The gap is behind the checkpoint: a further start meets it no more.
    const further = startEngine([], knobs, workspace.folder);
    const [, furtherUrl] = await further.waitFor(/metrics +(http:\S+)\/metrics/);
    expect(await stopWhen(further, furtherUrl ?? '', 0)).toMatchObject({ offered: 0, isConserved: true });
  });
});
