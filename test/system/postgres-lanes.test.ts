/** Ownership: claims, fencing, takeover, what a new owner finds, and starts at the same moment. */
import { randomBytes } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { EngineError } from '../../engine/core/errors.ts';
import { parseTimeframes } from '../../engine/market/timeframes.ts';
import { judgeStored } from '../../engine/monitor/verdict.ts';
import type { FromWriter } from '../../engine/sinks/messages.ts';
import { withConnection } from '../../engine/sinks/postgres/connection.ts';
import { claimLanes, dropOutbox, type LaneClaim, readOutbox, releaseLanes } from '../../engine/sinks/postgres/lanes.ts';
import { migrate } from '../../engine/sinks/postgres/migrate.ts';
import { beginRun } from '../../engine/sinks/postgres/runs.ts';
import { type BarInput, type Harness, type HarnessOptions, startServer, startWriter, type TestServer } from './postgres-harness.ts';
import { startProxy } from './postgres-proxy.ts';

const TICKS: BarInput['ticks'] = [[100, 10, 1]];
const TIMEFRAMES = parseTimeframes('1s,1m,3m,5m,15m');

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

function newSchema(): string {
  const schema = `t_${randomBytes(6).toString('hex')}`;
  schemas.add(schema);
  return schema;
}

/** Of a source shared by lanes, so that a second engine may come. */
async function startEngine(options: HarnessOptions = {}): Promise<Harness> {
  const schema = options.schema ?? newSchema();
  const harness = await startWriter(testServer, { isLaned: true, goesOn: true, ...options, schema });
  running.push(harness);
  return harness;
}

function claimOf(harness: Harness, lanes: readonly number[] = [0]): Promise<LaneClaim> {
  const { database, run, timeframes } = harness;
  return claimLanes({ ...database, source: 'sim', run, timeframes, lanes, isLaned: true, transactionalIdOf: (token) => `test.${token}` });
}

async function failureOf(harness: Harness): Promise<Extract<FromWriter, { type: 'failed' }>> {
  return await harness.when((message): message is Extract<FromWriter, { type: 'failed' }> => message.type === 'failed');
}

/** Asks until there is a row. */
async function waitFor(harness: Harness, text: string): Promise<Record<string, unknown>[]> {
  for (;;) {
    const rows = await harness.query(text);
    if (rows.length > 0) return rows;
  }
}

describe('fencing', () => {
  it('refuses the epoch of an owner whose lanes were claimed by another, and shows nothing of it', async () => {
    const old = await startEngine();
    old.final({ start: 0, ticks: TICKS });
    await old.whenCommitted(old.endEpoch());
    const claim = await claimOf(old);
    expect(claim.token).toBeGreaterThan(old.claim.token);
    expect(claim.baseEpoch).toBe(old.claim.baseEpoch + 1);
    const before = await everythingOf(old);
    old.final({ start: 1, ticks: [[1100, 5, 5]] });
    old.delta({ start: 0, ticks: TICKS });
    old.open({ start: 2, ticks: [[2100, 5, 5]] });
    old.late({ start: 0, ticks: TICKS, missed: 1 });
    old.endEpoch({ accepted: [{ partition: 0, volumeLots: 1n, tradeCount: 1n, quoteCount: 0n }], letters: [{ lane: 0, json: '{}' }] });
    expect(await failureOf(old)).toMatchObject({ code: 'FENCED', message: expect.stringMatching(/claim \d+ no longer owns lanes 0/) });
    expect(await everythingOf(old)).toEqual(before);
  });

  it('refuses an engine that has lost one of several lanes, and an engine that has released them', async () => {
    const old = await startEngine({ lanes: [0, 1, 2] });
    await claimOf(old, [1]);
    old.endEpoch();
    expect(await failureOf(old)).toMatchObject({ code: 'FENCED', message: expect.stringMatching(/no longer owns lanes 1;/) });
    const released = await startEngine();
    await releaseLanes({ ...released.database, source: 'sim', token: released.claim.token });
    released.endEpoch();
    expect((await failureOf(released)).code).toBe('FENCED');
  });

  it('lets a claim see the epoch that the owner is in the middle of, once that is done', async () => {
    const old = await startEngine();
    await old.with(async (client) => {
      await client.query('begin; lock table bars_1s in access exclusive mode');
      old.final({ start: 0, ticks: TICKS });
      old.open({ start: 1, ticks: [[1100, 10, 1]] });
      const epoch = old.endEpoch();
      await waitFor(old, `select 1 from pg_locks where not granted and relation = '${old.database.schema}.bars_1s'::regclass`);
      const claiming = claimOf(old);
      await waitFor(old, `select 1 from pg_stat_activity where wait_event_type = 'Lock' and query like '%insert into lanes%'`);
      await client.query('commit');
      const claim = await claiming;
      await old.whenCommitted(epoch);
      expect(claim.baseEpoch).toBe(old.claim.baseEpoch + 1);
      expect(claim.state).toMatchObject({ offsets: [[0, 100n]], openState: [{ symbol: 'AAA' }] });
    });
    old.endEpoch();
    expect((await failureOf(old)).code).toBe('FENCED');
  });

  it('ends a transaction of the owner that does not end, and takes over what was committed before', async () => {
    const old = await startEngine();
    await old.whenCommitted(old.endEpoch());
    await old.with(async (client) => {
      await client.query('begin; lock table bars_1s in access exclusive mode');
      old.final({ start: 0, ticks: TICKS });
      old.endEpoch();
      await waitFor(old, `select 1 from pg_locks where not granted and relation = '${old.database.schema}.bars_1s'::regclass`);
      const claim = await claimOf(old);
      expect(claim.baseEpoch).toBe(old.claim.baseEpoch + 1);
      await client.query('commit');
    });
    expect((await failureOf(old)).code).toBe('FENCED');
    expect(await old.query('select * from bars_1s')).toEqual([]);
  });

  it('leaves what was committed to the new owner when the answer to the commit was lost and the lanes are claimed before it is asked again', async () => {
    const proxy = await startProxy(testServer.server.connectionString);
    const old = await startEngine({ connectionString: proxy.connectionString });
    await old.whenCommitted(old.endEpoch());
    old.final({ start: 0, ticks: TICKS });
    proxy.cutAfter('commit\0', () => proxy.cut());
    old.endEpoch();
    await waitFor(old, 'select 1 from bars_1s');
    const claim = await claimOf(old);
    proxy.mend();
    expect((await failureOf(old)).code).toBe('FENCED');
    expect(claim.baseEpoch).toBe(old.claim.baseEpoch + 2);
    expect(claim.previousTransactionalIds).toEqual([`test.${old.claim.token}`]);
    expect(await readOutbox({ ...old.database, source: 'sim', lanes: [0] })).toMatchObject([
      { epoch: old.claim.baseEpoch + 2, kind: 'bars' },
    ]);
    await proxy.close();
  });
});

describe('claims', () => {
  it('name the producers of every earlier owner, until an epoch was committed after them', async () => {
    const first = await startEngine();
    expect(first.claim.previousTransactionalIds).toEqual([]);
    await first.whenCommitted(first.endEpoch());
    await first.abandon();
    // A second owner that ends before it has fenced the first leaves both to the third.
    const second = await claimOf(first);
    const third = await startEngine({ schema: first.database.schema });
    expect(third.claim.previousTransactionalIds).toEqual([`test.${first.claim.token}`, `test.${second.token}`].toSorted());
    await third.whenCommitted(third.endEpoch());
    expect((await claimOf(first)).previousTransactionalIds).toEqual([`test.${third.claim.token}`]);
  });

  it('after a clean end go on with state and epochs', async () => {
    const first = await startEngine();
    first.open({ start: 0, timeframe: 1, ticks: TICKS });
    await first.whenCommitted(first.endEpoch());
    await first.finish();
    await releaseLanes({ ...first.database, source: 'sim', token: first.claim.token });
    const claim = await claimOf(first);
    expect(claim).toMatchObject({ previousTransactionalIds: [`test.${first.claim.token}`], baseEpoch: first.claim.baseEpoch + 2 });
    expect(claim.state).toMatchObject({ run: first.run, offsets: [[0, 100n]], openState: [{ symbol: 'AAA', partition: 0 }] });
    // The release of an owner that has lost its lanes changes nothing.
    await releaseLanes({ ...first.database, source: 'sim', token: first.claim.token });
    expect(await first.query('select owner from lanes')).toEqual([{ owner: String(claim.token) }]);
  });

  it('of a fresh run find nothing of the last one but the numbers of its epochs and its owner', async () => {
    const first = await startEngine({ isLaned: false });
    first.final({ start: 0, ticks: TICKS });
    first.open({ start: 1, ticks: [[1100, 1, 1]] });
    await first.whenCommitted(first.endEpoch());
    await first.abandon();
    const next = await startEngine({ isLaned: false, goesOn: false, schema: first.database.schema });
    expect(next.run).not.toBe(first.run);
    expect(next.claim).toMatchObject({
      baseEpoch: first.claim.baseEpoch + 1,
      previousTransactionalIds: [`test.${first.claim.token}`],
      state: { run: next.run, openState: [], offsets: [], watermarks: [] },
    });
    expect(await readOutbox({ ...next.database, source: 'sim', lanes: [0] })).toEqual([]);
    expect(await next.query('select 1 from bars_1s')).toHaveLength(1);
  });

  it('of new lanes count epochs from above those of a schema that was dropped', async () => {
    const schema = newSchema();
    const first = await startEngine({ schema });
    await first.whenCommitted(first.endEpoch());
    await first.abandon();
    await first.query(`drop schema ${schema} cascade`);
    const again = await startEngine({ schema });
    expect(again.claim.baseEpoch).toBeGreaterThan(first.claim.baseEpoch + 1);
  });
});

describe('two engines on one source', () => {
  it('own what they claimed and no more, and are conserved together', async () => {
    const schema = newSchema();
    const partitions = [0, 1, 0, 1];
    const one = await startEngine({ schema, lanes: [0], partitions });
    const two = await startEngine({ schema, lanes: [1], partitions });
    expect(two.run).toBe(one.run);
    for (const [harness, symbol] of [
      [one, 0],
      [two, 1],
    ] as const) {
      for (let epoch = 0; epoch < 3; epoch += 1) {
        harness.final({ symbol, start: epoch, ticks: [[epoch * 1000, 10, 1 + symbol]] });
        harness.open({ symbol, start: 0, timeframe: 1, ticks: Array.from({ length: epoch + 1 }, (_, at) => [at * 1000, 10, 1 + symbol]) });
        const accepted = [{ partition: symbol, volumeLots: BigInt(1 + symbol), tradeCount: 1n, quoteCount: 0n }];
        await harness.whenCommitted(harness.endEpoch({ accepted }));
      }
    }
    const request = { ...one.database, source: 'sim', run: one.run, timeframes: one.timeframes };
    expect((await judgeStored(request)).map(({ found, isConserved }) => [found, isConserved])).toEqual(
      TIMEFRAMES.map(() => [{ volumeLots: 9n, tradeCount: 6n, quoteCount: 0n }, true]),
    );
    expect((await claimOf(one, [1])).state).toMatchObject({ offsets: [[1, 300n]], openState: [{ symbol: 'Bb\tB', partition: 1 }] });
    // The owner of lane 0 is not touched by the claim of lane 1.
    await one.whenCommitted(one.endEpoch());
    two.endEpoch();
    expect((await failureOf(two)).code).toBe('FENCED');
    expect(await readOutbox({ ...one.database, source: 'sim', lanes: [0, 1] })).toHaveLength(6);
  });

  it('fail rather than write positions of a lane that they do not own', async () => {
    const harness = await startEngine({ lanes: [3] });
    harness.endEpoch({ offsets: [[4, 1n]] });
    expect((await failureOf(harness)).message).toMatch(/partition 4 of source sim/);
  });

  it('get one run when they start for the first time at the same moment', async () => {
    const schema = newSchema();
    const { connectionString } = testServer.server;
    await migrate(connectionString, schema, TIMEFRAMES);
    const begin = (source: string) => beginRun({ connectionString, schema, source, config: testServer.config, goesOn: true });
    const runs = await Promise.all(Array.from({ length: 5 }, () => begin('kafka')));
    expect(new Set(runs).size).toBe(1);
    expect(await begin('other')).not.toBe(runs[0]);
  });

  it('are refused with other TIMEFRAMES than the run has, more or fewer', async () => {
    const first = await startEngine();
    await first.abandon();
    for (const timeframes of ['1s,1m,3m,5m', '1s,1m,3m,5m,15m,60m']) {
      const { schema } = first.database;
      await expect(startEngine({ schema, timeframes })).rejects.toThrow(/RUN_TIMEFRAMES|goes on, has 1s,1m,3m,5m,15m/);
    }
    const { database, run } = first;
    first.open({ start: 0, timeframe: 4, ticks: TICKS });
    const next = await startEngine({ schema: database.schema });
    next.open({ start: 0, timeframe: 4, ticks: TICKS });
    await next.whenCommitted(next.endEpoch());
    const fewer = { lanes: [0], isLaned: true, timeframes: parseTimeframes('1s,1m'), transactionalIdOf: String };
    const error = await claimLanes({ ...database, ...fewer, source: 'sim', run }).catch((thrown: unknown) => thrown);
    expect(error instanceof EngineError && error.code).toBe('OPEN_STATE_TIMEFRAME');
    // The claim that failed took nothing.
    await next.whenCommitted(next.endEpoch());
  });
});

describe('the outbox', () => {
  it('is emptied up to the epochs named, by its owner alone', async () => {
    const harness = await startEngine();
    for (let start = 0; start < 3; start += 1) {
      harness.final({ start, ticks: [[start * 1000, 10, 1]] });
      await harness.whenCommitted(harness.endEpoch());
    }
    const { baseEpoch, token } = harness.claim;
    const drop = (upTo: number, owner = token) =>
      dropOutbox({ ...harness.database, source: 'sim', token: owner, upTo: new Map([[0, baseEpoch + upTo]]) });
    await expect(drop(3, token + 1n)).rejects.toThrow(/no longer owns lanes 0/);
    await drop(2);
    const left = await readOutbox({ ...harness.database, source: 'sim', lanes: [0, 1] });
    expect(left.map(({ epoch }) => epoch - baseEpoch)).toEqual([3]);
  });
});

/** All rows of the tables that an epoch writes, but for what a claim changes. */
async function everythingOf(harness: Harness): Promise<unknown> {
  const tables = ['bars_1s', 'late_ticks', 'source_offsets', 'open_state', 'outbox', 'instruments'];
  return Promise.all(tables.map((table) => harness.query(`select * from ${table} order by 1, 2`)));
}
