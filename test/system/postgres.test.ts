/** Migrations, runs, open state, verdict and export, against the embedded server or the one that POSTGRES_URL names. */
import { Writable } from 'node:stream';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { assert } from '../../engine/core/errors.ts';
import { parseTimeframes } from '../../engine/market/timeframes.ts';
import { timeframeParents } from '../../engine/memory/region.ts';
import { runExport } from '../../engine/monitor/export.ts';
import { judgeStored } from '../../engine/monitor/verdict.ts';
import { withConnection } from '../../engine/sinks/postgres/connection.ts';
import { migrate } from '../../engine/sinks/postgres/migrate.ts';
import { loadState } from '../../engine/sinks/postgres/runs.ts';
import { namedServer, openPostgres } from '../../engine/sinks/postgres/server.ts';
import type { StoredState } from '../../engine/sinks/postgres/state.ts';
import { LATE_FLAG } from '../../schemas/records.ts';
import { type Column, quoteBarColumns, tradeBarColumns } from '../../schemas/tables.ts';
import { configWith, type Harness, SECOND, startServer, startWriter, T0, type TestServer } from './postgres-harness.ts';
import { startProxy } from './postgres-proxy.ts';

const TIMEFRAMES = parseTimeframes('1s,1m,3m,5m,15m,60m,1d');
const MS = Number(T0 / 1_000_000n);

let testServer: TestServer;
const schemas: string[] = [];

beforeAll(async () => {
  testServer = await startServer();
});

afterAll(async () => {
  await withConnection(testServer.server.connectionString, undefined, async (client) => {
    for (const schema of schemas) await client.query(`drop schema if exists ${schema} cascade`);
  });
  await testServer.close();
});

function newSchema(): string {
  const schema = `t_${process.pid}_${schemas.length}`;
  schemas.push(schema);
  return schema;
}

describe('a connection', () => {
  it('is opened although the first answer does not come in time, as that of an engine that stood still does not', async () => {
    const proxy = await startProxy(testServer.server.connectionString);
    proxy.silenceNext();
    try {
      await withConnection(proxy.connectionString, undefined, async (client) => {
        expect((await client.query('select 1 as one')).rows).toEqual([{ one: 1 }]);
      });
    } finally {
      await proxy.close();
    }
  });
});

describe('migrations', () => {
  it('make every table on an empty database, and nothing the second time', async () => {
    const { connectionString } = testServer.server;
    const schema = newSchema();
    expect(await migrate(connectionString, schema, TIMEFRAMES)).toEqual([
      '0001_bars',
      '0002_engine',
      '0003_open_bars',
      '0004_checkpoint',
      '0005_state_version',
      '0006_orders',
      '0007_book_calendar',
      '0008_stage_bars',
      'tables of 60m',
      'tables of 1d',
    ]);
    expect(await migrate(connectionString, schema, TIMEFRAMES)).toEqual([]);
  });

  it('are safe when several engines start at once', async () => {
    const { connectionString } = testServer.server;
    const schema = newSchema();
    const done = await Promise.all(Array.from({ length: 4 }, () => migrate(connectionString, schema, TIMEFRAMES)));
    expect(done.flat().filter((name) => name === '0001_bars')).toHaveLength(1);
  });

  it.each(['', 'Upper', 'semi;colon', '1st'])('refuse schema %j', async (schema) => {
    await expect(migrate(testServer.server.connectionString, schema, TIMEFRAMES)).rejects.toThrow(/PG_SCHEMA/);
  });

  it.each(TIMEFRAMES.map(({ name }) => name))(
    'give the tables of %s the columns, key, collation and index that are declared',
    async (name) => {
      const { connectionString } = testServer.server;
      const schema = newSchema();
      await migrate(connectionString, schema, TIMEFRAMES);
      for (const [table, columns] of [
        [`bars_${name}`, tradeBarColumns(name)],
        [`quotes_${name}`, quoteBarColumns()],
      ] as const) {
        await withConnection(connectionString, schema, async (client) => {
          const { rows } = await client.query<{ name: string; type: string; is_nullable: boolean; collation: string }>(
            `select attname as name, format_type(atttypid, atttypmod) as type, not attnotnull as is_nullable, collname as collation
           from pg_attribute left join pg_collation c on c.oid = attcollation
           where attrelid = $1::regclass and attnum > 0 order by attnum`,
            [table],
          );
          const found = rows.map(
            (row): Column => ({
              name: row.name,
              type: (row.type === 'timestamp with time zone' ? 'timestamptz' : row.type) as Column['type'],
              ...(row.is_nullable ? { isNullable: true } : {}),
            }),
          );
          expect(found).toEqual(columns);
          expect(rows[0]?.collation).toBe('C');
          const { rows: indexes } = await client.query<{ definition: string }>(
            'select pg_get_indexdef(indexrelid) as definition from pg_index where indrelid = $1::regclass order by indisprimary desc',
            [table],
          );
          expect(indexes.map(({ definition }) => definition.replace(/^.* USING /, ''))).toEqual([
            'btree (symbol, ts)',
            ['1s', '1m'].includes(name) ? 'brin (ts)' : 'btree (ts)',
          ]);
        });
      }
    },
  );
});

const ACCEPTED = [{ partition: 0, volumeLots: 1117n, tradeCount: 6n, quoteCount: 3n }];

async function stateOf({ database, timeframes }: Harness): Promise<StoredState> {
  const stored = await loadState({ ...database, source: 'sim', timeframes, lanes: [0], isLaned: false });
  assert(stored !== undefined, 'the run has left a state');
  return stored;
}

/** A run with two trade bars of each timeframe, quotes, late ticks and open buckets. */
async function stoppedRun(schema: string): Promise<Harness> {
  const harness = await startWriter({ ...testServer, config: { ...testServer.config, LATE_POLICY: 'side' } }, { schema });
  harness.final({
    start: 0,
    ticks: [
      [0, 10.5, 3],
      [500, 0.0000001, 4],
    ],
  });
  harness.final({ start: 0, symbol: 1, ticks: [[100, 2, 1]] });
  harness.final({ start: 1, ticks: [[1000, 10, 100]] });
  harness.final({
    start: 0,
    symbol: 3,
    isQuote: true,
    ticks: [
      [1, 5, 0],
      [2, 6, 0],
    ],
  });
  harness.open({
    start: 0,
    timeframe: 1,
    ticks: [
      [0, 10.5, 3],
      [500, 0.0000001, 4],
      [1000, 10, 100],
    ],
  });
  harness.open({ start: 0, timeframe: 1, symbol: 1, ticks: [[100, 2, 1]] });
  harness.open({ start: 2, timeframe: 0, ticks: [[2000, 9, 1000]] });
  harness.open({
    start: 0,
    timeframe: 1,
    symbol: 3,
    isQuote: true,
    ticks: [
      [1, 5, 0],
      [2, 6, 0],
    ],
  });
  harness.late({ start: 0, ticks: [[20, 11, 9]], missed: 0b00011 });
  harness.late({ start: 0, symbol: 3, isQuote: true, ticks: [[20, 11, 0]], missed: 0b00001 });
  harness.late({ start: 0, ticks: [[5, 11, 7]], missed: 0b11111 | LATE_FLAG.refused });
  await harness.whenCommitted(harness.endEpoch({ isFinal: true, accepted: ACCEPTED }));
  return harness;
}

describe('runs', () => {
  it('give back open buckets, watermarks and offsets as they were at the last epoch', async () => {
    const schema = newSchema();
    const harness = await stoppedRun(schema);
    const stored = await stateOf(harness);
    expect(stored).toMatchObject({ run: harness.run, offsets: [[0, 100n]], watermarks: [[0, T0 + 1_000_000_000n]] });
    expect(stored.openState.map(({ symbol, isQuote, bars }) => [symbol, isQuote, bars.length])).toEqual([
      ['AAA', false, 256],
      ['Bb\tB', false, 128],
      ['QUOTED', true, 128],
    ]);
    // What comes back is stored again unchanged by a run that goes on.
    const before = await harness.query('select * from open_state order by symbol');
    const next = await startWriter(testServer, { schema, goesOn: true });
    expect(next.run).toBe(harness.run);
    for (const { bars, symbol } of stored.openState) {
      for (let at = 0; at < bars.length; at += 128) {
        const words = new Int32Array(bars.slice(at, at + 128).buffer);
        words[1] = ['AAA', 'Bb\tB', '', 'QUOTED'].indexOf(symbol);
        next.put(words);
      }
    }
    await next.finish();
    expect(await harness.query('select * from open_state order by symbol')).toEqual(before);
  });

  it('show each open bucket of each timeframe as a whole provisional bar', async () => {
    const harness = await stoppedRun(newSchema());
    const rows = await harness.query(
      `select symbol, tf_sec, extract(epoch from ts)::bigint - ${T0 / SECOND} as start, o, h, l, c, vol, n, notional::text, ask_c,
         (first_ns - ${T0}) / 1000000 as first, (last_ns - ${T0}) / 1000000 as last
       from open_bars order by symbol, tf_sec`,
    );
    // The second 2 is open, and what had closed before it is in the minute: the minute and all above it are made of both.
    const whole = { start: '0', o: 10.5, h: 10.5, l: 0.0000001, c: 9, vol: '1107', n: '4', notional: '1003150', ask_c: null };
    const other = { symbol: 'Bb\tB', start: '0', o: 2, h: 2, l: 2, c: 2, vol: '1', n: '1', notional: '200', ask_c: null };
    const quote = { symbol: 'QUOTED', start: '0', o: 5, h: 6, l: 5, c: 6, vol: null, n: '2', notional: null, ask_c: 7 };
    const second = { start: '2', o: 9, h: 9, l: 9, c: 9, vol: '1000', n: '1', notional: '900000', ask_c: null };
    const longer = [60, 180, 300, 900];
    expect(rows).toEqual([
      { symbol: 'AAA', tf_sec: 1, ...second, first: '2000', last: '2000' },
      ...longer.map((seconds) => ({ symbol: 'AAA', tf_sec: seconds, ...whole, first: '0', last: '2000' })),
      ...longer.map((seconds) => ({ tf_sec: seconds, ...other, first: '100', last: '100' })),
      ...longer.map((seconds) => ({ tf_sec: seconds, ...quote, first: '1', last: '2' })),
    ]);
  });

  it.each(['1s', '1s,1m,3m,5m,15m', '1s, 60m ,1d', '1s,2s,3s,4s,6s,12s,1m,60m,1d,7d'])(
    'know what bars of %s are built from',
    async (text) => {
      const schema = newSchema();
      const timeframes = parseTimeframes(text);
      await migrate(testServer.server.connectionString, schema, timeframes);
      const found = await withConnection(testServer.server.connectionString, schema, (client) =>
        client.query<{ tf_sec: number; part_sec: number }>('select tf_sec, part_sec from timeframe_parts($1) order by 1, 2 desc', [text]),
      );
      const seconds = timeframes.map((timeframe) => timeframe.seconds);
      const parents = timeframeParents(seconds);
      const expected: [number, number][] = [];
      seconds.forEach((tfSec, index) => {
        for (let at = index; at >= 0; at = parents[at]!) expected.push([tfSec, seconds[at]!]);
      });
      expect(found.rows.map((row) => [row.tf_sec, row.part_sec])).toEqual(expected);
    },
  );

  it('are judged by what they hold, by timeframe, against what their epochs accepted', async () => {
    const harness = await stoppedRun(newSchema());
    const request = { ...harness.database, source: 'sim', run: harness.run, timeframes: harness.timeframes };
    const found = { volumeLots: 1108n, tradeCount: 5n, quoteCount: 2n };
    // 1s and 1m miss a late trade of 9 lots, 1s a late quote too; the longer ones have nothing of their own yet: it is open in 1s and 1m.
    const lines = await judgeStored(request);
    expect(lines.map((line) => [line.timeframe, line.found, line.isConserved])).toEqual([
      ['1s', found, true],
      ['1m', found, false],
      ['3m', found, false],
      ['5m', found, false],
      ['15m', found, false],
    ]);
    expect(lines.map(({ expected }) => expected)).toEqual([
      found,
      { ...found, quoteCount: 3n },
      ...Array.from({ length: 3 }, () => ({ volumeLots: 1117n, tradeCount: 6n, quoteCount: 3n })),
    ]);
    const nothing = { volumeLots: 0n, tradeCount: 0n, quoteCount: 0n };
    expect(await judgeStored({ ...request, run: harness.run + 1 })).toMatchObject(
      harness.timeframes.map(() => ({ expected: nothing, found: nothing })),
    );
  });
});

/** Collects what is written; fails with EPIPE after `limit` writes. */
function collect(limit = Number.POSITIVE_INFINITY): { out: Writable; text(): string } {
  const pieces: string[] = [];
  const out = new Writable({
    highWaterMark: 1,
    write(chunk: Buffer, _encoding, callback) {
      pieces.push(chunk.toString());
      callback(pieces.length > limit ? Object.assign(new Error('write EPIPE'), { code: 'EPIPE' }) : undefined);
    },
  });
  return { out, text: () => pieces.join('') };
}

describe('export', () => {
  it('writes bars by time and symbol with exact decimals, as CSV and as NDJSON', async () => {
    const schema = newSchema();
    const harness = await stoppedRun(schema);
    await harness.query(`update instruments set lot_decimals = 2 where symbol = 'AAA'`);
    const config = { ...testServer.config, PG_SCHEMA: schema, POSTGRES_URL: testServer.server.connectionString };
    const csv = collect();
    expect(await runExport(config, { timeframe: '1s', format: 'csv', kind: 'trades' }, csv.out)).toBe(0);
    const [first = ''] = [T0].map(String);
    const ns = (ms: number): string => String(T0 + BigInt(ms) * 1_000_000n);
    expect(csv.text().split('\n')).toEqual([
      'symbol,ts_ms,o,h,l,c,vol,n_trades,vwap,rev,late,first_ns,last_ns',
      `AAA,${MS},10.5,10.5,0.0000001,0.0000001,0.07,2,4.5,0,0,${first},${ns(500)}`,
      `Bb\tB,${MS},2,2,2,2,1,1,2,0,0,${ns(100)},${ns(100)}`,
      `AAA,${MS + 1000},10,10,10,10,1,1,10,0,0,${ns(1000)},${ns(1000)}`,
      '',
    ]);
    const json = collect();
    await runExport(config, { timeframe: '1s', symbol: 'QUOTED', format: 'ndjson', kind: 'quotes' }, json.out);
    expect(json.text()).toBe(
      `{"symbol":"QUOTED","ts_ms":${MS},"bid_o":5,"bid_h":6,"bid_l":5,"bid_c":6,"ask_o":6,"ask_h":7,"ask_l":6,"ask_c":7,"n":2,"rev":0,"late":0,` +
        `"first_ns":"${ns(1)}","last_ns":"${ns(2)}"}\n`,
    );
  });

  it('ends quietly when its reader has gone', async () => {
    const schema = newSchema();
    await stoppedRun(schema);
    const config = { ...testServer.config, PG_SCHEMA: schema, POSTGRES_URL: testServer.server.connectionString };
    expect(await runExport(config, { timeframe: '1s', format: 'csv', kind: 'trades' }, collect(0).out)).toBe(0);
  });

  it('says so when there is no such timeframe', async () => {
    const config = { ...testServer.config, POSTGRES_URL: testServer.server.connectionString };
    await expect(runExport(config, { timeframe: '7m', format: 'csv', kind: 'trades' }, collect().out)).rejects.toThrow(
      /bars_7m.*TIMEFRAMES/,
    );
  });
});

describe('named servers', () => {
  it('escape what stands in the parts of an address', () => {
    const config = configWith({ POSTGRES_URL: '', POSTGRES_HOST: 'db', POSTGRES_USER: 'a@b', POSTGRES_PASSWORD: 'p:/?#%' });
    expect(namedServer(config)).toBe('postgres://a%40b:p%3A%2F%3F%23%25@db:5432/trading');
  });

  it('never show the password', async () => {
    const config = configWith({ POSTGRES_URL: testServer.server.connectionString });
    const server = await openPostgres(config, () => undefined);
    const { password } = new URL(testServer.server.connectionString);
    expect(server.psqlCommand).toMatch(/^psql 'postgres:/);
    if (password !== '') expect(server.psqlCommand).not.toContain(password);
    const wrong = new URL(testServer.server.connectionString);
    wrong.port = '9';
    await expect(openPostgres(configWith({ POSTGRES_URL: wrong.toString() }), () => undefined)).rejects.toThrow(
      /:9\/.*is the server running/,
    );
  });
});
