/** The Postgres writer against a real server: the embedded one, or the one that POSTGRES_URL names. */
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { FromWriter } from '../../engine/sinks/messages.ts';
import { type BarInput, type Harness, type HarnessOptions, startServer, startWriter, T0, type TestServer } from './postgres-harness.ts';
import { startProxy } from './postgres-proxy.ts';

let testServer: TestServer;
const running: Harness[] = [];

beforeAll(async () => {
  testServer = await startServer();
});

afterAll(async () => {
  for (const harness of running) {
    await harness.abandon();
    await harness.query(`drop schema if exists ${harness.database.schema} cascade`);
  }
  await testServer.close();
});

async function startHarness(options: HarnessOptions = {}): Promise<Harness> {
  const harness = await startWriter(testServer, options);
  running.push(harness);
  return harness;
}

/** A bar as a reader sees it: everything but the run. */
async function barsOf(harness: Harness, table = 'bars_1s'): Promise<unknown[]> {
  return await harness.query(
    `select symbol, extract(epoch from ts)::bigint - ${T0 / 1_000_000_000n} as start, o, h, l, c, vol::int, n_trades::int as n, rev, late,
       vwap, notional::text, (first_ns - ${T0}) / 1000000 as first, (last_ns - ${T0}) / 1000000 as last
     from ${table} order by ts, symbol`,
  );
}

const isHealth =
  (isUp: boolean) =>
  (message: FromWriter): message is Extract<FromWriter, { type: 'health' }> =>
    message.type === 'health' && message.isUp === isUp;

const TICKS: BarInput['ticks'] = [
  [100, 10, 1],
  [200, 12, 2],
  [300, 9, 3],
  [900, 11, 4],
];

describe('epochs', () => {
  it('writes first revisions of trades and quotes into their tables, with instruments and offsets, in one transaction', async () => {
    const harness = await startHarness({ shards: 2 });
    harness.final({ start: 0, ticks: TICKS });
    harness.final({ start: 0, timeframe: 1, symbol: 1, shard: 1, ticks: TICKS });
    harness.final({ start: 0, symbol: 3, isQuote: true, ticks: TICKS });
    await harness.whenCommitted(harness.endEpoch());
    const row = {
      start: '0',
      o: 10,
      h: 12,
      l: 9,
      c: 11,
      vol: 10,
      n: 4,
      rev: 0,
      late: 0,
      vwap: 10.5,
      notional: '10500',
      first: '100',
      last: '900',
    };
    expect(await barsOf(harness)).toEqual([{ symbol: 'AAA', ...row }]);
    expect(await barsOf(harness, 'bars_1m')).toEqual([{ symbol: 'Bb\tB', ...row }]);
    expect(await harness.query('select symbol, bid_o, bid_h, bid_l, bid_c, ask_o, ask_h, ask_l, ask_c, n, run from quotes_1s')).toEqual([
      { symbol: 'QUOTED', bid_o: 10, bid_h: 12, bid_l: 9, bid_c: 11, ask_o: 11, ask_h: 13, ask_l: 10, ask_c: 12, n: '4', run: harness.run },
    ]);
    expect(await harness.query('select symbol, kind, price_decimals from instruments order by symbol')).toEqual([
      { symbol: 'AAA', kind: 'trade', price_decimals: 2 },
      { symbol: 'Bb\tB', kind: 'trade', price_decimals: 2 },
      { symbol: 'QUOTED', kind: 'quote', price_decimals: 2 },
      { symbol: 'ÉUR', kind: 'trade', price_decimals: 2 },
    ]);
    expect(await harness.query('select source, partition, next_offset, epoch from source_offsets')).toEqual([
      { source: 'sim', partition: 0, next_offset: '100', epoch: String(harness.claim.baseEpoch + 1) },
    ]);
    expect(harness.takePublished()).toEqual([
      [0, 0, 0, 0, 10],
      [1, 1, 0, 0, 10],
    ]);
  });

  it('waits for the barrier of every shard, and keeps what lies behind a barrier for the next epoch', async () => {
    const harness = await startHarness({ shards: 2 });
    harness.final({ start: 0, shard: 0, ticks: TICKS });
    harness.endEpoch({ silentShards: [1] });
    harness.final({ start: 1, shard: 0, ticks: [[1100, 5, 1]] });
    harness.final({ start: 0, shard: 1, symbol: 1, ticks: TICKS });
    harness.barrier(1, 1);
    await harness.whenCommitted(1);
    expect(await barsOf(harness)).toHaveLength(2);
    await harness.whenCommitted(harness.endEpoch());
    expect(await barsOf(harness)).toHaveLength(3);
  });

  it('replaces rows by absolute values when a replay is run again', async () => {
    const first = await startHarness({ source: 'replay' });
    first.final({ start: 0, ticks: TICKS });
    first.final({ start: 1, ticks: [[1500, 7, 70]] });
    await first.finish();
    const again = await startHarness({ source: 'replay', schema: first.database.schema });
    again.final({ start: 0, ticks: TICKS });
    again.final({ start: 1, ticks: [[1500, 8, 80]] });
    await again.whenCommitted(again.endEpoch());
    expect(await again.query('select o, vol, rev, run from bars_1s order by ts')).toEqual([
      { o: 10, vol: '10', rev: 0, run: again.run },
      { o: 8, vol: '80', rev: 0, run: again.run },
    ]);
    expect(again.run).not.toBe(first.run);
    expect(again.counter('upsertEpochs')).toBe(1);
  });

  it('refuses an instrument whose decimals have changed, since rows in two units must not mix', async () => {
    const harness = await startHarness();
    await harness.query(`insert into instruments (symbol, kind, price_decimals, lot_decimals, partition) values ('AAA', 'trade', 2, 8, 0)`);
    harness.final({ start: 0, ticks: TICKS });
    await expect(harness.whenCommitted(harness.endEpoch())).rejects.toThrow(/AAA.*trade 2 8.*trade 2 0/);
    expect(await barsOf(harness)).toEqual([]);
  });

  it('refuses a second engine on the same source and schema, which would forget the open buckets of the first', async () => {
    const first = await startHarness();
    first.open({ start: 0, timeframe: 1, ticks: TICKS });
    await first.whenCommitted(first.endEpoch());
    const again = { schema: first.database.schema };
    await expect(startHarness(again)).rejects.toThrow(/another engine writes source sim into schema/);
    await startHarness({ ...again, source: 'replay' });
    expect(await first.query('select run, source from runs order by run')).toEqual([
      { run: 1, source: 'sim' },
      { run: 2, source: 'replay' },
    ]);
    await first.abandon();
    await startHarness(again);
  });

  it('fails when a table is missing, instead of trying for ever', async () => {
    const harness = await startHarness();
    await harness.query('drop table bars_1s');
    harness.final({ start: 0, ticks: TICKS });
    await expect(harness.whenCommitted(harness.endEpoch())).rejects.toThrow(/bars_1s.*does not exist/);
  });

  it('hands committed bars on in order through a ring that is too small for them', async () => {
    const harness = await startHarness({ committedSlots: 4 });
    for (let start = 0; start < 50; start += 1) harness.final({ start, ticks: [[start * 1000, 10, 1]] });
    const done = harness.whenCommitted(harness.endEpoch());
    const seen: number[] = [];
    let isDone = false;
    const finished = done.then(() => {
      isDone = true;
    });
    while (!isDone) {
      seen.push(...harness.takePublished().map(([, , start]) => start));
      await new Promise((resolve) => setImmediate(resolve));
    }
    await finished;
    seen.push(...harness.takePublished().map(([, , start]) => start));
    expect(seen).toEqual(Array.from({ length: 50 }, (_, start) => start));
    expect(harness.counter('publishWaits')).toBeGreaterThan(0);
  });
});

describe('amendments', () => {
  it('D-01: a late tick leaves a bar with all its ticks, as the next revision', async () => {
    const harness = await startHarness();
    harness.final({ start: 0, ticks: TICKS });
    await harness.whenCommitted(harness.endEpoch());
    harness.delta({ start: 0, ticks: [[500, 10.5, 1]] });
    await harness.whenCommitted(harness.endEpoch());
    expect(await barsOf(harness)).toEqual([
      {
        symbol: 'AAA',
        start: '0',
        o: 10,
        h: 12,
        l: 9,
        c: 11,
        vol: 11,
        n: 5,
        rev: 1,
        late: 1,
        vwap: 10.5,
        notional: '11550',
        first: '100',
        last: '900',
      },
    ]);
    expect(harness.takePublished()).toEqual([
      [0, 0, 0, 0, 10],
      [0, 0, 0, 1, 11],
    ]);
  });

  it('D-03: both orders of the halves of a bar give the same open and close', async () => {
    const halves = [TICKS.slice(0, 2), TICKS.slice(2)];
    const rows: unknown[] = [];
    for (const order of [halves, halves.toReversed()]) {
      const harness = await startHarness();
      for (const ticks of order) {
        harness.delta({ start: 0, ticks, lateCount: 0 });
        await harness.whenCommitted(harness.endEpoch());
      }
      rows.push(await barsOf(harness));
    }
    expect(rows[0]).toEqual(rows[1]);
    expect(rows[0]).toMatchObject([{ o: 10, h: 12, l: 9, c: 11, vol: 10, n: 4, rev: 1, first: '100', last: '900' }]);
  });

  it('D-03: of equal event times the first to arrive opens and the last closes', async () => {
    const harness = await startHarness();
    harness.final({ start: 0, ticks: [[500, 10, 1]] });
    harness.delta({ start: 0, ticks: [[500, 20, 1]] });
    await harness.whenCommitted(harness.endEpoch());
    expect(await barsOf(harness)).toMatchObject([{ o: 10, c: 20, h: 20, l: 10, rev: 1 }]);
  });

  it('publishes every revision of an epoch without hole or repeat, and writes the last', async () => {
    const harness = await startHarness();
    harness.final({ start: 0, ticks: TICKS });
    harness.delta({ start: 0, ticks: [[50, 10, 1]] });
    harness.delta({ start: 0, ticks: [[60, 10, 1]] });
    harness.delta({ start: 5, ticks: [[5000, 10, 7]] });
    harness.delta({ start: 5, ticks: [[5100, 11, 1]] });
    harness.delta({ start: 0, timeframe: 1, ticks: [[5000, 10, 7]] });
    await harness.whenCommitted(harness.endEpoch());
    expect(await barsOf(harness)).toMatchObject([
      { start: '0', o: 10, vol: 12, n: 6, rev: 2, late: 2, first: '50' },
      { start: '5', o: 10, c: 11, vol: 8, n: 2, rev: 1, late: 2 },
    ]);
    expect(await barsOf(harness, 'bars_1m')).toMatchObject([{ vol: 7, rev: 0, late: 1 }]);
    expect(harness.takePublished()).toEqual([
      [0, 0, 0, 0, 10],
      [0, 0, 0, 1, 11],
      [0, 0, 0, 2, 12],
      [0, 0, 5, 0, 7],
      [0, 0, 5, 1, 8],
      [0, 1, 0, 0, 7],
    ]);
  });

  it('amends quote bars too, which are not published', async () => {
    const harness = await startHarness();
    harness.final({ start: 0, symbol: 3, isQuote: true, ticks: TICKS });
    await harness.whenCommitted(harness.endEpoch());
    harness.delta({ start: 0, symbol: 3, isQuote: true, ticks: [[950, 20, 0]] });
    await harness.whenCommitted(harness.endEpoch());
    expect(await harness.query('select bid_o, bid_h, bid_c, ask_h, ask_l, ask_c, n, rev, late from quotes_1s')).toEqual([
      { bid_o: 10, bid_h: 20, bid_c: 20, ask_h: 21, ask_l: 10, ask_c: 21, n: '5', rev: 1, late: 1 },
    ]);
    expect(harness.takePublished()).toEqual([]);
  });

  it('does not build on a row that another run wrote', async () => {
    const first = await startHarness({ source: 'replay' });
    first.final({ start: 0, ticks: TICKS });
    await first.finish();
    const again = await startHarness({ source: 'replay', schema: first.database.schema });
    again.delta({ start: 0, ticks: [[500, 3, 3]] });
    await again.whenCommitted(again.endEpoch());
    expect(await barsOf(again)).toMatchObject([{ o: 3, vol: 3, n: 1, rev: 0 }]);
  });
});

describe('failures', () => {
  it('D-08: a database that is slow does not double a bar', async () => {
    const harness = await startHarness();
    harness.final({ start: 0, ticks: TICKS });
    await harness.whenCommitted(harness.endEpoch());
    await harness.with(async (client) => {
      await client.query('begin');
      await client.query('lock table bars_1s in access exclusive mode');
      harness.delta({ start: 0, ticks: [[950, 11, 1]] });
      const second = harness.endEpoch();
      harness.final({ start: 1, ticks: [[1000, 10, 5]] });
      const third = harness.endEpoch();
      await waitFor(harness, 'select 1 from pg_locks where not granted');
      await client.query('commit');
      await harness.whenCommitted(second);
      await harness.whenCommitted(third);
    });
    expect(await barsOf(harness)).toMatchObject([
      { start: '0', vol: 11, n: 5, rev: 1 },
      { start: '1', vol: 5, n: 1, rev: 0 },
    ]);
    expect(harness.takePublished().map(([, , start, revision]) => [start, revision])).toEqual([
      [0, 0],
      [0, 1],
      [1, 0],
    ]);
  });

  it('D-09: what arrives while a flush is under way survives it', async () => {
    const harness = await startHarness();
    await harness.with(async (client) => {
      await client.query('begin');
      await client.query('lock table bars_1s in access exclusive mode');
      harness.final({ start: 0, ticks: TICKS });
      const first = harness.endEpoch();
      await waitFor(harness, 'select 1 from pg_locks where not granted');
      harness.delta({ start: 0, ticks: [[990, 99, 1]] });
      await client.query('commit');
      await harness.whenCommitted(first);
    });
    await harness.whenCommitted(harness.endEpoch());
    expect(await barsOf(harness)).toMatchObject([{ h: 99, c: 99, vol: 11, n: 5, rev: 1 }]);
  });

  it('a connection killed within a transaction is replaced, the epoch is written once, and health goes down and up', async () => {
    const harness = await startHarness();
    harness.final({ start: 0, ticks: TICKS });
    await harness.whenCommitted(harness.endEpoch());
    await harness.with(async (client) => {
      await client.query('begin');
      await client.query('lock table bars_1s in access exclusive mode');
      harness.final({ start: 1, ticks: [[1000, 10, 5]] });
      harness.delta({ start: 0, ticks: [[950, 11, 1]] });
      harness.late({ start: 0, ticks: [[20, 11, 9]], missed: 31 });
      const second = harness.endEpoch();
      const [blocked] = await waitFor(harness, 'select pid from pg_locks where not granted');
      await client.query('select pg_terminate_backend($1)', [blocked?.['pid']]);
      await harness.when(isHealth(false));
      await client.query('commit');
      await harness.whenCommitted(second);
    });
    expect(await barsOf(harness)).toMatchObject([
      { start: '0', vol: 11, n: 5, rev: 1 },
      { start: '1', vol: 5, n: 1, rev: 0 },
    ]);
    expect(await harness.query('select quantity, missed from late_ticks')).toEqual([{ quantity: '9', missed: 31 }]);
    expect(harness.posted.filter(({ type }) => type === 'health').map((message) => 'isUp' in message && message.isUp)).toEqual([
      false,
      true,
    ]);
    expect(harness.counter('retries')).toBeGreaterThan(0);
  });

  it.each(['commit\0', 'update lanes', 'copy pg_temp.stage_open_state', 'copy outbox', 'insert into source_offsets', 'copy "bars_1s"'])(
    'a line cut after the server got %j neither loses nor doubles anything',
    async (text) => {
      const proxy = await startProxy(testServer.server.connectionString);
      const harness = await startHarness({ connectionString: proxy.connectionString });
      harness.final({ start: 0, ticks: TICKS });
      await harness.whenCommitted(harness.endEpoch());
      harness.final({ start: 1, ticks: [[1000, 10, 5]] });
      harness.delta({ start: 0, ticks: [[950, 11, 1]] });
      harness.delta({ start: 0, ticks: [[960, 11, 1]] });
      harness.late({ start: 0, ticks: [[20, 11, 9]], missed: 31 });
      harness.open({ start: 0, timeframe: 1, ticks: [[1000, 10, 5]] });
      proxy.cutAfter(text);
      const accepted = [{ partition: 0, volumeLots: 7n, tradeCount: 3n, quoteCount: 0n }];
      await harness.whenCommitted(harness.endEpoch({ accepted }));
      expect(await barsOf(harness)).toMatchObject([
        { start: '0', vol: 12, n: 6, rev: 2 },
        { start: '1', vol: 5, n: 1, rev: 0 },
      ]);
      expect(await harness.query('select quantity from late_ticks')).toEqual([{ quantity: '9' }]);
      expect(await harness.query('select accepted_lots, accepted_trades from source_offsets')).toEqual([
        { accepted_lots: '7', accepted_trades: '3' },
      ]);
      expect(await harness.query('select vol, oldest_offset from open_state')).toEqual([{ vol: ['5'], oldest_offset: '100' }]);
      expect(await harness.query('select epoch - $1 as epoch, part from outbox order by epoch', [harness.claim.baseEpoch])).toEqual([
        { epoch: '1', part: 0 },
        { epoch: '2', part: 0 },
      ]);
      expect(harness.takePublished().map(([, , start, revision, volume]) => [start, revision, volume])).toEqual([
        [0, 0, 10],
        [1, 0, 5],
        [0, 1, 11],
        [0, 2, 12],
      ]);
      expect(harness.counter('retries')).toBeGreaterThan(0);
      await proxy.close();
    },
  );
});

/** Asks until there is a row. */
async function waitFor(harness: Harness, text: string): Promise<Record<string, unknown>[]> {
  for (;;) {
    const rows = await harness.query(text);
    if (rows.length > 0) return rows;
  }
}
