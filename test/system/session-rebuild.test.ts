/** Sessions that begin where another has left off: after a worker died or stood still, and where what is stored cannot be read. */
import { afterAll, afterEach, beforeAll, expect, it } from 'vitest';
import { loadConfig } from '../../config/load.ts';
import { SYSTEM_CLOCK, SYSTEM_PAUSE } from '../../engine/core/clock.ts';
import { messageOf } from '../../engine/core/errors.ts';
import { createLogger } from '../../engine/core/log.ts';
import { createTickProducer, type OutgoingTick, type TickProducer } from '../../engine/ingest/tick-producer.ts';
import { createInstrumentBook } from '../../engine/market/instrument-book.ts';
import { parseTimeframes } from '../../engine/market/timeframes.ts';
import { headerWord, SHARD_HEADER_ADDRESS, tickRingOf } from '../../engine/memory/region.ts';
import { judgeStored } from '../../engine/monitor/verdict.ts';
import type { StopReason } from '../../engine/runtime/engine.ts';
import { createSessions, type SessionParts } from '../../engine/runtime/session.ts';
import type { SourceHost } from '../../engine/runtime/source-host.ts';
import { openSourceHost } from '../../engine/runtime/sources.ts';
import { createSupervisor, type Supervisor } from '../../engine/runtime/supervisor.ts';
import { deadLetterTopic } from '../../engine/sinks/kafka/topics.ts';
import { withConnection } from '../../engine/sinks/postgres/connection.ts';
import { createLaneStore } from '../../engine/sinks/postgres/lane-store.ts';
import { migrate } from '../../engine/sinks/postgres/migrate.ts';
import { beginRun } from '../../engine/sinks/postgres/runs.ts';
import * as L from '../../schemas/layout.gen.ts';
import { type Broker, createTopic, openEmbedded, readCommitted, uniquePrefix, until } from './kafka-harness.ts';
import { startServer, type TestServer } from './postgres-harness.ts';

const TIMEFRAMES = parseTimeframes('1s,1m');
const SYMBOLS = 12;
const START_NS = 1_700_000_100_000_000_000n;

let server: TestServer;
let broker: Broker;
const schemas: string[] = [];
let running: Rig | undefined;
beforeAll(async () => {
  [server, broker] = await Promise.all([startServer(), openEmbedded()]);
});
afterEach(async () => {
  await running?.close();
  running = undefined;
});
afterAll(async () => {
  await withConnection(server.server.connectionString, undefined, async (client) => {
    for (const schema of schemas) await client.query(`drop schema if exists ${schema} cascade`);
  });
  await Promise.all([server?.close(), broker?.close()]);
});

interface Rig {
  readonly supervisor: Supervisor;
  readonly producer: TickProducer;
  readonly parts: SessionParts;
  readonly failures: string[];
  readonly done: Promise<StopReason>;
  close(): Promise<void>;
}

interface Place {
  readonly prefix: string;
  readonly schema: string;
}

function newPlace(): Place {
  const schema = `t_rebuild_${process.pid}_${schemas.length}`;
  schemas.push(schema);
  return { prefix: uniquePrefix('rebuild'), schema };
}

/** An engine in this process, on a ticks topic of its own. */
async function startRig({ prefix, schema }: Place = newPlace()): Promise<Rig> {
  const { config } = loadConfig({
    environment: {
      SOURCE: 'kafka',
      TOPIC_PREFIX: prefix,
      KAFKA_GROUP: prefix,
      PG_SCHEMA: schema,
      WORKERS: '2',
      FLUSH_MS: '50',
      IDLE_MS: '3600000',
    },
  });
  const { connectionString } = server.server;
  const database = { connectionString, schema };
  await migrate(connectionString, schema, TIMEFRAMES);
  for (const topic of ['ticks', 'bars.1s', 'bars.1m', 'dlq']) await createTopic(broker, `${prefix}${topic}`, 4);
  const kafka = { library: broker.library, brokers: broker.brokers, isEmbedded: true };
  const servers = { postgres: server.server, kafka, kafkaLabel: 'embedded', close: async () => undefined };
  const loaded = { config, origins: new Map() };
  const log = createLogger('silent', '-');
  const host: SourceHost = openSourceHost({ loaded, files: [], isResume: false }, servers, { clock: SYSTEM_CLOCK, log });
  const run = await beginRun({ ...database, source: host.name, config, goesOn: true });
  const parts: SessionParts = {
    ...{ config, timeframes: TIMEFRAMES, servers, database, host, run, log },
    isCheckpointed: true,
    loadBook: async () => createInstrumentBook([]),
    onLatency: () => undefined,
    onWriterMessage: () => undefined,
  };
  const failures: string[] = [];
  const supervisor = createSupervisor({
    ...{ host, clock: SYSTEM_CLOCK, pause: SYSTEM_PAUSE, log, timeframeCount: TIMEFRAMES.length },
    stopMs: config.STOP_MS,
    sessions: createSessions(parts),
    onSession: () => undefined,
    onFailure: (error) => failures.push(messageOf(error)),
    onSessionEnd: () => undefined,
  });
  await host.start();
  const done = supervisor.run();
  done.catch(() => undefined);
  const producer = await createTickProducer(broker.library, broker.brokers, `${prefix}ticks`);
  return {
    ...{ supervisor, producer, parts, failures, done },
    async close() {
      supervisor.requestStop();
      await done.catch(() => undefined);
      await Promise.all([host.close(), producer.close()]);
    },
  };
}

function ticksOf(seconds: number, from: number): OutgoingTick[] {
  return Array.from({ length: seconds * SYMBOLS }, (_, index) => ({
    symbol: `W${index % SYMBOLS}`,
    tsEventNs: START_NS + BigInt(from + Math.floor(index / SYMBOLS)) * 1_000_000_000n + BigInt(index % SYMBOLS),
    price: 100 + (index % 7) / 4,
    quantityLots: BigInt(1 + (index % 5)),
  }));
}

const sendAll = async ({ producer }: Rig, ticks: readonly OutgoingTick[]): Promise<void> => {
  for (const tick of ticks) producer.sendJson(tick);
  await producer.flush(10_000);
};

/** Ticks in closed and open 1 s bars of the database, and the sum of their quantity. */
async function heldBy({ parts }: Rig): Promise<{ ticks: number; lots: number }> {
  const { connectionString, schema } = parts.database;
  return await withConnection(connectionString, schema, async (client) => {
    const { rows } = await client.query<{ ticks: string; lots: string }>(
      `select sum(n) as ticks, sum(vol) as lots from (
         select n_trades as n, vol from bars_1s
         union all select b.n, b.vol from open_state s cross join lateral unnest(s.tf_sec, s.n, s.vol) as b (tf_sec, n, vol) where b.tf_sec = 1
       ) held`,
    );
    return { ticks: Number(rows[0]?.ticks), lots: Number(rows[0]?.lots) };
  });
}

/** Breaks the running session by `damage`, between two parts of a stream, and compares what the database holds with the stream. */
async function expectWhole(damage: (memory: WebAssembly.Memory) => void, code: string): Promise<void> {
  running = await startRig();
  const { supervisor, failures, parts } = running;
  await until('the first session runs', () => supervisor.state.phase === 'running');
  const first = ticksOf(20, 0);
  await sendAll(running, first);
  await until('the first part is merged', () => supervisor.totals().ticksMerged >= first.length);
  damage(supervisor.session!.topology.regions[0]!);
  const second = ticksOf(20, 20);
  await sendAll(running, second);
  await until('the session has failed', () => supervisor.failures.get(code) === 1);
  const all = [...first, ...second];
  const expected = { ticks: all.length, lots: all.reduce((sum, { quantityLots }) => sum + Number(quantityLots), 0) };
  let held = await heldBy(running);
  const endMs = performance.now() + 60_000;
  while (held.ticks < expected.ticks && performance.now() < endMs) held = await heldBy(running);
  expect(held).toEqual(expected);
  expect(supervisor.sessions).toBe(2);
  expect(failures).toHaveLength(1);
  const verdict = await judgeStored({ ...parts.database, source: 'kafka', run: parts.run, timeframes: TIMEFRAMES });
  expect(verdict.every((line) => line.isConserved)).toBe(true);
  supervisor.requestStop();
  expect(await running.done).toBe('stopped');
}

it('rebuilds a worker that has died', async () => {
  await expectWhole((memory) => {
    // A record of a kind that does not exist: the kernel traps.
    const ring = tickRingOf(memory);
    const record = new Int32Array(L.TICK_SIZE >> 2);
    record[L.TICK_KIND_I32] = 99;
    ring.publish(record, 0, 1);
  }, 'WORKER_FAILED');
});

it('rebuilds a worker that does not move any more', async () => {
  await expectWhole((memory) => {
    // Every list of a partition's symbols runs in a circle: closing its buckets never ends.
    const words = new Int32Array(memory.buffer);
    const metas = headerWord(memory, L.SHARD_SYMBOL_META_I32) >> 2;
    const count = words[(SHARD_HEADER_ADDRESS >> 2) + L.SHARD_SYMBOL_COUNT_I32]!;
    for (let symbol = 0; symbol < count; symbol += 1) {
      words[metas + symbol * (L.SYMBOL_META_SIZE >> 2) + L.SYMBOL_META_NEXT_LOCAL_INDEX_I32] = symbol;
    }
  }, 'WORKER_WEDGED');
});

it('builds open bars of another version again from the source, and reads none of them', async () => {
  const place = newPlace();
  running = await startRig(place);
  const first = ticksOf(20, 0);
  await sendAll(running, first);
  const { supervisor } = running;
  await until('the first part is merged', () => supervisor.totals().ticksMerged >= first.length);
  await running.close();
  const { connectionString } = server.server;
  await withConnection(connectionString, place.schema, async (client) => {
    const { rowCount } = await client.query(`update open_state set version = 0, o = array_fill(1e9::float8, array[cardinality(o)])`);
    expect(rowCount).toBe(SYMBOLS);
  });

  running = await startRig(place);
  const again = running.supervisor;
  await until('the next session runs', () => again.state.phase === 'running');
  const second = ticksOf(20, 20);
  await sendAll(running, second);
  await until('the second part is merged', () => again.totals().ticksMerged >= second.length);
  expect(again.totals()).toMatchObject({ offered: second.length, accepted: second.length });
  await running.close();
  const all = [...first, ...second];
  await withConnection(connectionString, place.schema, async (client) => {
    const { rows } = await client.query<Record<'symbol' | 'o' | 'h' | 'l' | 'c' | 'vol' | 'n', string>>(
      'select symbol, o, h, l, c, vol, n from open_bars where tf_sec = 60 order by symbol',
    );
    const expected = Array.from({ length: SYMBOLS }, (_, index) => {
      const ticks = all.filter(({ symbol }) => symbol === `W${index}`);
      const prices = ticks.map(({ price }) => price);
      const vol = String(ticks.reduce((sum, { quantityLots }) => sum + quantityLots, 0n));
      const [o, c] = [prices[0], prices.at(-1)];
      return { symbol: `W${index}`, o, h: Math.max(...prices), l: Math.min(...prices), c, vol, n: String(ticks.length) };
    });
    expect(rows).toEqual(expected.sort((left, right) => (left.symbol < right.symbol ? -1 : 1)));
    const { rows: versions } = await client.query('select distinct version from open_state');
    expect(versions).toEqual([{ version: 1 }]);
  });
  const verdict = await judgeStored({ ...running.parts.database, source: 'kafka', run: running.parts.run, timeframes: TIMEFRAMES });
  expect(verdict.every((line) => line.isConserved)).toBe(true);
});

/** A letter of each lane that was committed and never published, as one that a lost transaction leaves. */
async function leaveLetters(database: { readonly connectionString: string; readonly schema: string }): Promise<void> {
  await withConnection(database.connectionString, database.schema, (client) =>
    client.query(
      `with grown as (update lanes set epoch = epoch + 1 returning source, lane, epoch)
       insert into outbox (source, lane, epoch, kind, part, lines)
       select source, lane, epoch, 'dlq', 0, format('{"topic":"left","partition":%s,"offset":"7"}', lane) from grown`,
    ),
  );
}

it('publishes what it has committed only when it is stopped while another engine takes some of its lanes', async () => {
  running = await startRig();
  const { supervisor, parts } = running;
  const { connectionString, schema } = parts.database;
  await sendAll(running, ticksOf(20, 0));
  await until('the ticks are merged', () => supervisor.totals().ticksMerged >= 20 * SYMBOLS);
  const [taken = -1, ...left] = supervisor.session?.lanes ?? [];
  expect(left.length).toBeGreaterThan(0);
  const { timeframes, run } = parts;
  const request = { source: 'kafka', run, lanes: [taken], isLaned: true, timeframes, transactionalIdOf: () => `${schema}-taker` };
  await createLaneStore(parts.database).claim(request);
  await leaveLetters(parts.database);
  supervisor.requestStop();
  expect(await running.done).toBe('stopped');
  expect([...supervisor.failures.keys()]).toEqual(['FENCED']);
  await withConnection(connectionString, schema, async (client) => {
    const { rows: outbox } = await client.query('select distinct lane from outbox');
    expect(outbox).toEqual([{ lane: taken }]);
    const { rows: owners } = await client.query<{ lane: number }>('select lane from lanes where owner is null order by lane');
    expect(owners.map(({ lane }) => lane)).toEqual(left);
  });
  const letters = await readCommitted(broker, deadLetterTopic(parts.config.TOPIC_PREFIX));
  const lanes = letters.map(({ value }) => JSON.parse(String(value))).filter(({ topic }) => topic === 'left');
  expect(lanes.map(({ partition }) => partition).sort()).toEqual(left);
});
