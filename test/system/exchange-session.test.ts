/** Sessions of the exchange: what dies under them is set up again from the checkpoint, and nobody's order is lost or matched twice. */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { SYSTEM_CLOCK, SYSTEM_PAUSE } from '../../engine/core/clock.ts';
import { EngineError } from '../../engine/core/errors.ts';
import { createLogger } from '../../engine/core/log.ts';
import { type ExchangeHost, openExchangeHost } from '../../engine/runtime/exchange-host.ts';
import { ORDER_SOURCE } from '../../engine/runtime/exchange-session.ts';
import { type StartWorker, startWorker } from '../../engine/runtime/workers.ts';
import { quoteIdentifier, withConnection } from '../../engine/sinks/postgres/connection.ts';
import { claimLanes } from '../../engine/sinks/postgres/lanes.ts';
import { migrate } from '../../engine/sinks/postgres/migrate.ts';
import { openClient, sendAll, type Told } from '../order-client.ts';
import { fileEntries, readTables, replayJournal } from '../order-journal.ts';
import { BOOKS_JSON, orderRequests, testCatalogue } from '../order-requests.ts';
import { expectReplies } from './exchange-harness.ts';
import { configWith, startServer, type TestServer } from './postgres-harness.ts';
import { startProxy } from './postgres-proxy.ts';

const SEED = Number(process.env['SEED'] ?? 5);
const COUNT = 3000;
let testServer: TestServer;
let folder: string;
let schema: string;
let proxy: Awaited<ReturnType<typeof startProxy>>;
let schemas = 0;

beforeAll(async () => {
  testServer = await startServer();
});
afterAll(() => testServer.close());
beforeEach(async () => {
  folder = mkdtempSync(join(tmpdir(), 'tickwright-exchange-'));
  writeFileSync(join(folder, 'books.json'), BOOKS_JSON);
  schemas += 1;
  schema = `t_exchange_session_${process.pid}_${schemas}`;
  proxy = await startProxy(testServer.server.connectionString);
  await migrate(testServer.server.connectionString, schema, []);
});
afterEach(async () => {
  await proxy.close();
  rmSync(folder, { recursive: true, force: true });
  await withConnection(testServer.server.connectionString, undefined, (client) =>
    client.query(`drop schema ${quoteIdentifier(schema)} cascade`),
  );
});

interface Rig {
  readonly host: ExchangeHost;
  /** What was said to people. */
  readonly said: readonly string[];
  /** The matcher's thread that runs now dies. */
  killMatcher(): Promise<void>;
}

async function open(connectionString = proxy.connectionString, stopMs = 60_000): Promise<Rig> {
  const said: string[] = [];
  let killMatcher = async (): Promise<void> => undefined;
  const start: StartWorker = (options) => {
    const handle = startWorker(options);
    killMatcher = async () => {
      await handle.terminate();
      options.onFailure(new EngineError('WORKER_FAILED', 'the test ended it'));
    };
    return handle as ReturnType<StartWorker>;
  };
  const host = await openExchangeHost({
    config: configWith({ MATCHER: 'on', MATCHER_PORT: 0, STATE_DIR: folder, BOOKS_FILE: join(folder, 'books.json'), STOP_MS: stopMs }),
    database: { connectionString, schema },
    kafka: undefined,
    run: 1,
    clock: SYSTEM_CLOCK,
    pause: SYSTEM_PAUSE,
    log: createLogger('silent', '-'),
    start,
    say: (text) => said.push(text),
  });
  return { host, said, killMatcher: () => killMatcher() };
}

/** Sends a flow while `mishaps` happens to the exchange; everybody gets a reply, and tables and replies are what the journal comes to. */
async function expectWhole(mishaps: (rig: Rig, isOver: () => boolean) => Promise<void>): Promise<Rig> {
  const rig = await open();
  const client = await openClient(rig.host.port);
  let isOver = false;
  const sending = sendAll(client, orderRequests({ seed: SEED, count: COUNT }), 100).finally(() => {
    isOver = true;
  });
  await mishaps(rig, () => isOver);
  const told: readonly Told[] = await sending;
  expect(told.length).toBe(COUNT);
  expect(told.filter(({ reply }) => reply['err'] === 'busy')).toEqual([]);
  client.close();
  await rig.host.close();
  const { replies, entries, fillMessages, ...expected } = replayJournal(fileEntries(join(folder, 'orders', schema)), testCatalogue());
  const tables = await readTables(testServer.server.connectionString, schema);
  expect(tables).toEqual(expected);
  expectReplies(told, replies);
  expect(entries).toBeGreaterThan(COUNT / 2);
  return rig;
}

describe('a session of the exchange', () => {
  it(`waits while the database is away, and finds out whether a commit without an answer was one (SEED=${SEED})`, async () => {
    let cuts = 0;
    const { host } = await expectWhole(async (_rig, isOver) => {
      for (let turn = 0; turn < 12 && !isOver(); turn += 1) {
        const before = cuts;
        proxy.cutAfter('commit', () => {
          cuts += 1;
        });
        while (cuts === before && !isOver()) await sleep(5);
        if (turn % 4 < 3) continue;
        proxy.cut();
        await sleep(200);
        proxy.mend();
      }
    });
    expect(cuts).toBeGreaterThan(3);
    expect(host.counts().sessions).toBe(1);
  });

  it('is followed by another when the matcher dies, and that one answers who waited', async () => {
    const { host, said } = await expectWhole(async ({ host, killMatcher }, isOver) => {
      for (let deaths = 0; deaths < 3 && !isOver(); deaths += 1) {
        const { epochs } = host.counts();
        while (host.counts().epochs < epochs + 2 && !isOver()) await sleep(5);
        await killMatcher();
      }
    });
    expect(host.counts().sessions).toBeGreaterThan(2);
    expect(said.join('\n')).toMatch(/the test ended it; going on from the last checkpoint/);
  });

  it('commits nothing more once another has claimed its lane', async () => {
    const { host } = await expectWhole(async ({ host }) => {
      while (host.counts().epochs < 3) await sleep(5);
      await claimLanes({
        connectionString: testServer.server.connectionString,
        schema,
        source: ORDER_SOURCE,
        lanes: [0],
        isLaned: false,
        run: 1,
        timeframes: [],
        transactionalIdOf: () => 'test',
      });
    });
    expect(host.counts().sessions).toBe(2);
  });

  it('stops without waiting once another engine has taken over, and that one has everything', async () => {
    const first = await open(proxy.connectionString, 600_000);
    const client = await openClient(first.host.port);
    const order = { op: 'new', symbol: 'AAA', side: 'BUY', qty: 1, price: 100 };
    expect(await client.send({ ...order, client_order_id: 'before' })).toMatchObject({ ok: true });
    proxy.cut();
    const lost = client.send({ ...order, client_order_id: 'while' });
    while (first.host.counts().accepted < 2) await sleep(5);
    const second = await open(testServer.server.connectionString);
    proxy.mend();
    await first.host.close();
    expect(await lost).toMatchObject({ ok: false, err: 'unknown_outcome' });
    client.close();
    const other = await openClient(second.host.port);
    expect(await other.send({ ...order, client_order_id: 'while' })).toMatchObject({ err: 'duplicate_client_order_id', status: 'ACK' });
    other.close();
    await second.host.close();
  });

  it('refuses to begin with a database that is ahead of its journal', async () => {
    const { host } = await open();
    const client = await openClient(host.port);
    await client.send({ op: 'exec', symbol: 'AAA', side: 'BUY', qty: 1 });
    client.close();
    await host.close();
    await withConnection(testServer.server.connectionString, schema, (database) =>
      database.query('update order_positions set next_offset = next_offset + 1'),
    );
    await expect(open()).rejects.toMatchObject({ code: 'JOURNAL_BEHIND' });
  });

  it('refuses to begin with books and orders that do not tell of the same', async () => {
    const { host } = await open();
    const client = await openClient(host.port);
    await client.send({ op: 'new', symbol: 'AAA', side: 'BUY', qty: 1, price: 100 });
    client.close();
    await host.close();
    await withConnection(testServer.server.connectionString, schema, (database) =>
      database.query(`update order_books set leaves_lots = '{2}'`),
    );
    await expect(open()).rejects.toThrow('books hold 1 orders, 1 are live; order 1 has 1 left, its book 2');
  });
});
