/** What an epoch leaves: open buckets, messages to be published, sums; and a schema from before there were checkpoints. */
import { randomBytes } from 'node:crypto';
import { join } from 'node:path';
import fc from 'fast-check';
import { runner } from 'node-pg-migrate';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { PROJECT_ROOT } from '../../engine/core/root.ts';
import { createBarEncoder } from '../../engine/kernel/encode.ts';
import { parseTimeframes } from '../../engine/market/timeframes.ts';
import { judgeStored } from '../../engine/monitor/verdict.ts';
import type { Committer } from '../../engine/sinks/postgres/committer.ts';
import { withConnection } from '../../engine/sinks/postgres/connection.ts';
import { readOutbox } from '../../engine/sinks/postgres/lanes.ts';
import { migrate } from '../../engine/sinks/postgres/migrate.ts';
import { BAR_SIZE } from '../../schemas/layout.gen.ts';
import {
  type BarInput,
  type Harness,
  type HarnessOptions,
  SECOND,
  startServer,
  startWriter,
  T0,
  type TestServer,
} from './postgres-harness.ts';

let testServer: TestServer;
const running: Harness[] = [];
const schemas = new Set<string>();

beforeAll(async () => {
  testServer = await startServer();
});

afterAll(async () => {
  for (const harness of running) await harness.abandon();
  await withConnection(testServer.server.connectionString, undefined, async (client) => {
    for (const schema of schemas) await client.query(`drop schema if exists ${schema} cascade`);
  });
  await testServer.close();
});

async function startHarness(options: HarnessOptions = {}): Promise<Harness> {
  const harness = await startWriter(testServer, options);
  schemas.add(harness.database.schema);
  running.push(harness);
  return harness;
}

const TICKS: BarInput['ticks'] = [[100, 10, 1]];

interface Touch {
  readonly symbol: number;
  readonly buckets: readonly { readonly timeframe: number; readonly start: number; readonly lots: number; readonly price: number }[];
}

const touch: fc.Arbitrary<Touch> = fc.record({
  symbol: fc.nat(3),
  buckets: fc.uniqueArray(
    fc.record({
      timeframe: fc.nat(4),
      start: fc.nat(5).map((index) => index * 900),
      lots: fc.oneof(fc.nat(), fc.constantFrom(0, 2 ** 53 - 1)),
      price: fc.oneof(fc.nat(10_000_000), fc.constantFrom(0.01, 0, 9e11)).map((price) => price + 0.25),
    }),
    { selector: ({ timeframe, start }) => `${timeframe} ${start}`, maxLength: 6 },
  ),
});

describe('open buckets', () => {
  it('are at every epoch those of the last listing of each symbol, whatever was touched since', { timeout: 120_000 }, async () => {
    const seed = Number(process.env['SEED'] ?? 20_261_121);
    const harness = await startHarness();
    const epochs = fc.sample(fc.uniqueArray(touch, { selector: ({ symbol }) => symbol, maxLength: 4 }), { seed, numRuns: 25 });
    const model = new Map<number, Touch>();
    for (const touches of epochs) {
      for (const { symbol, buckets } of touches) {
        model.set(symbol, { symbol, buckets });
        if (buckets.length === 0) harness.clear(symbol);
        for (const { timeframe, start, lots, price } of buckets) {
          harness.open({ symbol, timeframe, start, isQuote: symbol === 3, ticks: [[start * 1000, price, lots]] });
        }
      }
      await harness.whenCommitted(harness.endEpoch());
      const found = await harness.query(
        `select symbol, tf_sec, ts_ns, o, h, l, c, vol, notional::text[], n, first_ns, last_ns, ask_h, partition, kind, run from open_state
         order by symbol`,
      );
      expect(found, `SEED=${seed}`).toEqual(expectedRows(harness, [...model.values()]));
    }
  });

  it('know an offset that none of their ticks lies before', async () => {
    const harness = await startHarness();
    const oldest = () => harness.query('select symbol, since_offset, oldest_offset from open_state order by symbol');
    harness.open({ start: 0, ticks: TICKS });
    harness.open({ start: 0, timeframe: 1, symbol: 1, ticks: TICKS });
    await harness.whenCommitted(harness.endEpoch());
    expect(await oldest()).toEqual([
      { symbol: 'AAA', since_offset: ['0'], oldest_offset: '0' },
      { symbol: 'Bb\tB', since_offset: ['0'], oldest_offset: '0' },
    ]);
    // The second of epoch 1 has ended in the minute; the next second is new in epoch 2, which began at 100.
    harness.open({ start: 0, timeframe: 1, ticks: TICKS });
    harness.open({ start: 1, ticks: [[1100, 10, 1]] });
    harness.clear(1);
    await harness.whenCommitted(harness.endEpoch());
    expect(await oldest()).toEqual([{ symbol: 'AAA', since_offset: ['0', '100'], oldest_offset: '0' }]);
    harness.open({ start: 1, ticks: [[1100, 10, 1]] });
    harness.open({ start: 2, symbol: 1, ticks: [[2100, 10, 1]] });
    await harness.whenCommitted(harness.endEpoch());
    await harness.abandon();
    // What was stored is known to the next writer too.
    const next = await startHarness({ schema: harness.database.schema, goesOn: true });
    next.open({ start: 1, ticks: [[1100, 10, 1]] });
    next.open({ start: 3, ticks: [[3100, 10, 1]] });
    await next.whenCommitted(next.endEpoch());
    expect(await oldest()).toEqual([
      { symbol: 'AAA', since_offset: ['100', '300'], oldest_offset: '100' },
      { symbol: 'Bb\tB', since_offset: ['200'], oldest_offset: '200' },
    ]);
  });

  it('have no offset when their source has none', async () => {
    const harness = await startHarness();
    harness.open({ start: 0, ticks: TICKS });
    await harness.whenCommitted(harness.endEpoch({ offsets: [] }));
    expect(await harness.query('select since_offset, oldest_offset from open_state')).toEqual([
      { since_offset: [null], oldest_offset: null },
    ]);
  });

  it('are replaced in place: a new version of a row finds room on its page, and the index stays as it is', {
    timeout: 120_000,
  }, async () => {
    const harness = await startHarness();
    for (let epoch = 0; epoch < 200; epoch += 1) {
      for (const symbol of [0, 1, 2]) harness.open({ symbol, start: 0, timeframe: 1, ticks: [[0, 10, epoch + 1]] });
      await harness.whenCommitted(harness.endEpoch());
    }
    // The server counts what a session did once the session has ended.
    await harness.abandon();
    const counted = `select n_tup_upd::int as all, n_tup_hot_upd::int as hot from pg_stat_user_tables where relid = 'open_state'::regclass`;
    let [row] = await harness.query(counted);
    while (Number(row?.['all']) < 597) [row] = await harness.query(counted);
    // An old snapshot of any session of the server keeps versions alive, and then some go to another page.
    expect(Number(row?.['hot'])).toBeGreaterThan(597 / 2);
  });
});

function expectedRows(harness: Harness, touches: readonly Touch[]): unknown[] {
  const names = ['AAA', 'Bb\tB', 'ÉUR', 'QUOTED'];
  const rows = touches.flatMap(({ symbol, buckets }) => {
    if (buckets.length === 0) return [];
    const isQuote = symbol === 3;
    const prices = buckets.map(({ price }) => price);
    const times = buckets.map(({ start }) => String(T0 + BigInt(start) * SECOND));
    return [
      {
        symbol: names[symbol],
        tf_sec: buckets.map(({ timeframe }) => harness.timeframes[timeframe]?.seconds),
        ts_ns: times,
        ...{ o: prices, h: prices, l: prices, c: prices },
        vol: buckets.map(({ lots }) => (isQuote ? null : String(lots))),
        notional: buckets.map(({ price, lots }) => (isQuote ? null : String(BigInt(Math.round(price * 100)) * BigInt(lots)))),
        n: buckets.map(() => '1'),
        first_ns: times,
        last_ns: times,
        ask_h: buckets.map(({ price }) => (isQuote ? price + 1 : null)),
        partition: 0,
        kind: isQuote ? 'quote' : 'trade',
        run: harness.run,
      },
    ];
  });
  return rows.toSorted((left, right) => Buffer.compare(Buffer.from(left.symbol ?? ''), Buffer.from(right.symbol ?? '')));
}

/** The records of the committed ring as the publisher encodes them. */
function messagesOf(harness: Harness): string[] {
  const { committed } = harness;
  const encoder = createBarEncoder(
    harness.symbols,
    harness.timeframes.map(({ name }) => name),
  );
  const lines: string[] = [];
  const run = (): number => Math.min(committed.run(), encoder.inputCapacity);
  for (let count = run(); count > 0; count = run()) {
    const first = committed.tailIndex();
    encoder.i32.set(committed.words.subarray(first, first + count * (BAR_SIZE >> 2)), encoder.inputI32Index);
    const { bytes, ends } = encoder.json(count);
    const text = Buffer.from(bytes);
    for (let index = 0, start = 0; index < count; index += 1) {
      lines.push(text.toString('utf8', start, ends[index]));
      start = ends[index]!;
    }
    committed.release(count);
  }
  return lines;
}

describe('the outbox', () => {
  it('holds exactly the messages that the publisher makes of the epoch, in order, until they are known to be published', async () => {
    const harness = await startHarness({ committedSlots: 8192 });
    const rows = async () => await readOutbox({ ...harness.database, source: 'sim', lanes: [0] });
    for (const symbol of [0, 1, 2]) harness.final({ symbol, start: 0, ticks: TICKS });
    harness.final({ symbol: 3, isQuote: true, start: 0, ticks: TICKS });
    harness.delta({ symbol: 1, start: 0, ticks: [[200, 11, 2]] });
    harness.delta({ symbol: 1, start: 0, ticks: [[300, 12, 3]] });
    harness.delta({ symbol: 0, timeframe: 1, start: 0, ticks: [[200, 11, 2]] });
    const letters = ['{"topic":"ticks","reason":"malformed"}', '{"reason":"a\\nb\\\\"}'].map((json) => ({ lane: 0, json }));
    await harness.whenCommitted(harness.endEpoch({ letters }));
    const epoch = harness.claim.baseEpoch + 1;
    const messages = messagesOf(harness);
    expect(messages.map((line) => JSON.parse(line)).map(({ symbol, tf, rev }) => [symbol, tf, rev])).toEqual([
      ['AAA', '1s', 0],
      ['Bb\tB', '1s', 0],
      ['ÉUR', '1s', 0],
      ['Bb\tB', '1s', 1],
      ['Bb\tB', '1s', 2],
      ['AAA', '1m', 0],
    ]);
    expect(await rows()).toEqual([
      { lane: 0, epoch, kind: 'bars', part: 0, lines: messages.join('\n') },
      { lane: 0, epoch, kind: 'dlq', part: 0, lines: letters.map(({ json }) => json).join('\n') },
    ]);

    harness.final({ start: 7, ticks: TICKS });
    await harness.whenCommitted(harness.endEpoch());
    await harness.whenCommitted(harness.endEpoch({ published: epoch }));
    expect((await rows()).map((row) => row.epoch)).toEqual([epoch + 1]);
    await harness.whenCommitted(harness.endEpoch({ published: epoch + 2 }));
    expect(await rows()).toEqual([]);
  });

  it('is divided into parts of about a mebibyte, and by lane', async () => {
    const harness = await startHarness({ committedSlots: 16_384, lanes: [0, 1], isLaned: true, partitions: [0, 1] });
    // The out ring has 4096 slots and is emptied while it is filled.
    for (let start = 0; start < 12_000; start += 1) {
      while ((harness.rings[0]?.free() ?? 0) < 8) await new Promise((resolve) => setImmediate(resolve));
      harness.final({ symbol: start % 3 === 0 ? 1 : 0, start, ticks: [[start * 1000, 10, 1]] });
    }
    await harness.whenCommitted(harness.endEpoch());
    const messages = messagesOf(harness);
    const rows = await readOutbox({ ...harness.database, source: 'sim', lanes: [0, 1] });
    for (const [lane, symbol] of [
      [0, 'AAA'],
      [1, 'Bb\tB'],
    ] as const) {
      const parts = rows.filter((row) => row.lane === lane);
      expect(parts.map(({ part }) => part)).toEqual(parts.map((_, index) => index));
      expect(parts.length).toBeGreaterThan(0);
      const expected = messages.filter((line) => JSON.parse(line).symbol === symbol);
      expect(parts.flatMap(({ lines }) => lines.split('\n'))).toEqual(expected);
    }
    expect(rows.length).toBeGreaterThan(2);
    for (const { lines } of rows) expect(lines.length).toBeLessThan(2_000_000);
  });

  it('stays empty when nothing is published', async () => {
    const harness = await startHarness({ hasKafka: false });
    harness.final({ start: 0, ticks: TICKS });
    await harness.whenCommitted(harness.endEpoch({ letters: [{ lane: 0, json: '{}' }] }));
    expect(await readOutbox({ ...harness.database, source: 'sim', lanes: [0] })).toEqual([]);
    expect(harness.posted.filter(({ type }) => type === 'committed')).toEqual([
      { type: 'committed', epoch: 1, isFinal: false, databaseEpoch: harness.claim.baseEpoch + 1, bars: 0 },
    ]);
  });
});

describe('the writer', () => {
  it('keeps its heart beating while the database does not answer', async () => {
    const harness = await startHarness();
    await harness.with(async (client) => {
      await client.query('begin; lock table bars_1s in access exclusive mode');
      harness.final({ start: 0, ticks: TICKS });
      const epoch = harness.endEpoch();
      const before = harness.counter('heartbeat');
      while (harness.counter('heartbeat') < before + 50) await new Promise((resolve) => setImmediate(resolve));
      expect(harness.counter('committedEpoch')).toBe(0);
      await client.query('commit');
      await harness.whenCommitted(epoch);
    });
  });

  it('runs on one thread over a committer in memory, with rests that the test gives', async () => {
    const durable: number[] = [];
    const rests: number[] = [];
    const committer: Committer = {
      open: async () => true,
      async commit({ batch }) {
        durable.push(batch.finals.length);
        return true;
      },
      close: async () => undefined,
    };
    const pause = async (ms: number): Promise<void> => {
      rests.push(ms);
      await new Promise((resolve) => setImmediate(resolve));
    };
    const harness = await startHarness({ seams: { committer, pause } });
    harness.final({ start: 0, ticks: TICKS });
    harness.final({ start: 1, ticks: [[1000, 1, 1]] });
    await harness.whenCommitted(harness.endEpoch());
    await harness.whenCommitted(harness.endEpoch());
    await harness.finish();
    expect(durable).toEqual([2, 0, 0]);
    expect(harness.takePublished()).toHaveLength(2);
    expect(new Set(rests)).toEqual(new Set([0, 1]));
    expect(await harness.query('select 1 from bars_1s')).toEqual([]);
  });
});

describe('a schema from before there were checkpoints', () => {
  it('is brought up to date with its rows: runs that go on are conserved, and open buckets of a killed one are dropped', async () => {
    const { connectionString } = testServer.server;
    const schema = `t_${randomBytes(6).toString('hex')}`;
    schemas.add(schema);
    const timeframes = parseTimeframes('1s,1m,3m,5m,15m');
    await withConnection(connectionString, undefined, async (client) => {
      const common = { dbClient: client, schema, createSchema: true, migrationsSchema: schema, migrationsTable: 'migrations' };
      const dir = join(PROJECT_ROOT, 'sql');
      await runner({ ...common, dir, direction: 'up', count: 3, log: () => undefined });
      await client.query(`set search_path to ${schema}`);
      const stopped = `jsonb_build_object('TIMEFRAMES', '1s,1m,3m,5m,15m')`;
      await client.query(
        `insert into runs (source, engine_version, config, epoch, open_state_epoch) values
           ('kafka', '0', ${stopped}, 9, 9), ('sim', '0', ${stopped}, 9, 3), ('kafka', '0', ${stopped}, 5, 5)`,
      );
      await client.query(
        `insert into source_offsets (source, partition, next_offset, watermark_ns, run, epoch) values
           ('kafka', 1, 500, 7, 3, 5), ('kafka', 2, 600, 7, 3, 5), ('sim', 0, null, 7, 2, 9)`,
      );
      for (const table of ['bars_1s', 'bars_1m', 'bars_3m', 'bars_5m', 'bars_15m']) {
        const open = table === 'bars_1s' ? 0 : 4;
        await client.query(
          `insert into ${table} (symbol, ts, o, h, l, c, vol, n_trades, rev, late, vwap, notional, first_ns, last_ns, run)
           select 'A', to_timestamp(900 * run), 1, 1, 1, 1, 10 - $1, 10 - $1, 0, 0, 1, 1, 0, 0, run from generate_series(1, 3) as run`,
          [open],
        );
      }
      // Seconds are closed up to here; the 1 s bars' volume of 4 is open in the minute. One more second of 2 is open.
      const bucket = `'trade', 2, 0, array[1, 60], array[960000000000, 900000000000], '{1,1}', '{1,1}', '{1,1}', '{1,1}', '{2,4}', '{1,1}', '{2,4}',
        '{0,0}', '{0,0}', '{0,0}', '{null,null}', '{null,null}', '{null,null}', '{null,null}'`;
      await client.query(
        `insert into open_state (source, symbol, partition, kind, price_decimals, lot_decimals, tf_sec, ts_ns, o, h, l, c, vol, notional, n, late,
           first_ns, last_ns, ask_o, ask_h, ask_l, ask_c, run)
         values ('kafka', 'A', 1, ${bucket}, 3), ('sim', 'B', 0, ${bucket}, 2)`,
      );
      await client.query(
        `insert into late_ticks (symbol, event_ns, price, ask, quantity, n, missed, is_refused, partition, run)
         values ('A', 0, 1, null, 5, 1, 31, false, 1, 3), ('A', 0, 1, null, 50, 1, 31, true, 1, 3)`,
      );
    });
    expect(await migrate(connectionString, schema, timeframes)).toEqual([
      '0004_checkpoint',
      '0005_state_version',
      '0006_orders',
      '0007_book_calendar',
      '0008_stage_bars',
    ]);
    const lines = await judgeStored({ connectionString, schema, source: 'kafka', run: 3, timeframes });
    expect(lines.map(({ expected, isConserved }) => [expected, isConserved])).toEqual(
      timeframes.map(() => [{ volumeLots: 12n, tradeCount: 12n, quoteCount: 0n }, true]),
    );
    await withConnection(connectionString, schema, async (client) => {
      const { rows } = await client.query('select source, symbol, since_offset, oldest_offset from open_state');
      expect(rows).toEqual([{ source: 'kafka', symbol: 'A', since_offset: ['0', '0'], oldest_offset: '0' }]);
      const { rows: sums } = await client.query('select source, partition, accepted_lots from source_offsets order by 1, 2');
      expect(sums.map((row) => [row.source, row.partition, row.accepted_lots])).toEqual([
        ['kafka', 1, '17'],
        ['kafka', 2, '0'],
        ['sim', 0, '10'],
      ]);
    });
  });
});
