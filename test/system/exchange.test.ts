/** The exchange as a process: killed again and again under load, its tables and its topic hold each order, fill and book as the journal says. */
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { createPrng } from '../../engine/core/prng.ts';
import { createTickProducer } from '../../engine/ingest/tick-producer.ts';
import { withConnection } from '../../engine/sinks/postgres/connection.ts';
import { type OrderClient, openClient, sendAll, type Told } from '../order-client.ts';
import { fileEntries, readTables, replayJournal, topicEntries } from '../order-journal.ts';
import { BOOKS_JSON, orderRequests, testCatalogue } from '../order-requests.ts';
import { createWorkspace, type RunningEngine, startEngine } from './engine-process.ts';
import { expectReplies } from './exchange-harness.ts';
import { createTopic, NO_BROKER, openReal, REAL_BROKER, readCommitted, uniquePrefix } from './kafka-harness.ts';
import { startServer, type TestServer } from './postgres-harness.ts';

const SEED = Number(process.env['SEED'] ?? 11);
const PREFIX = `t_exchange_${process.pid}_`;
const workspace = createWorkspace(PREFIX);
const booksFile = join(workspace.folder, 'books.json');
let testServer: TestServer;
let schemas = 0;

beforeAll(async () => {
  testServer = await startServer();
  writeFileSync(booksFile, BOOKS_JSON);
});
afterAll(async () => {
  await workspace.cleanUp();
  await testServer.close();
});

interface Place {
  readonly schema: string;
  readonly settings: Readonly<Record<string, string>>;
  readonly journal: string;
}

function newPlace(more: Readonly<Record<string, string>> = {}): Place {
  schemas += 1;
  const schema = `${PREFIX}${schemas}`;
  const settings = {
    POSTGRES_URL: testServer.server.connectionString,
    PG_SCHEMA: schema,
    KAFKA: 'off',
    SIM_SYMBOLS: '1',
    SIM_BASE_TPS: '1',
    MATCHER: 'on',
    MATCHER_PORT: '0',
    BOOKS_FILE: booksFile,
    ...more,
  };
  return { schema, settings, journal: join(workspace.folder, 'state', 'orders', schema) };
}

async function start({ settings }: Place): Promise<{ engine: RunningEngine; client: OrderClient }> {
  const engine = startEngine([], settings, workspace.folder);
  const [, port] = await engine.waitFor(/orders on 127\.0\.0\.1:(\d+)/);
  return { engine, client: await openClient(Number(port)) };
}

async function kill(engine: RunningEngine): Promise<void> {
  engine.process.kill('SIGKILL');
  await engine.done;
}

async function stop(engine: RunningEngine): Promise<void> {
  engine.process.kill('SIGTERM');
  const { code, output } = await engine.done;
  expect(code, output).toBe(0);
}

/** The whole of it under kills: returns what the clients were told. */
async function underKills(place: Place, { rounds, seed }: { rounds: number; seed: number }): Promise<Told[]> {
  const prng = createPrng(seed);
  const told: Told[] = [];
  for (let round = 0; round < rounds; round += 1) {
    const { engine, client } = await start(place);
    const requests = orderRequests({ seed: seed * 100 + round, count: 3000, prefix: `r${round}-` });
    const sending = sendAll(client, requests, 200);
    await sleep(150 + prng.nextBelow(500));
    await kill(engine);
    told.push(...(await sending));
    client.close();
  }
  return told;
}

describe('the exchange', () => {
  it(`holds after kills what its journal says, and goes on with it (SEED=${SEED})`, async () => {
    const place = newPlace();
    const told = await underKills(place, { rounds: 5, seed: SEED });
    const { engine, client } = await start(place);
    told.push(...(await sendAll(client, orderRequests({ seed: SEED, count: 500, prefix: 'last-' }), 50)));
    client.close();
    await stop(engine);
    const { entries, replies, ...expected } = replayJournal(fileEntries(place.journal), testCatalogue());
    expect(entries).toBeGreaterThan(500);
    expect(expected.fills.length).toBeGreaterThan(100);
    const tables = await readTables(testServer.server.connectionString, place.schema);
    expect(tables.orders).toEqual(expected.orders);
    expect(tables.fills).toEqual(expected.fills);
    expect(tables.audit).toEqual(expected.audit);
    expect(tables.books).toEqual(expected.books);
    expectReplies(told, replies);
  });

  it('answers the requests of the contract', async () => {
    const place = newPlace();
    const { engine, client } = await start(place);
    expect(await client.send({ op: 'ping' })).toMatchObject({ ok: true });
    expect(await client.send({ op: 'exec', symbol: 'ZZZ', side: 'BUY', qty: 1 })).toMatchObject({ ok: false, err: 'no_book' });
    expect(await client.send({ op: 'exec', symbol: 'AAA', side: 'BUY', qty: 1 })).toMatchObject({ ok: true, fills: [] });
    const order = { op: 'new', symbol: 'AAA', side: 'SELL', client_order_id: 'one', strategy: 'ALPHA', risk_bucket: 'LOW' };
    await client.send({ ...order, qty: 3, price: 100.05 });
    await client.send({ ...order, qty: 9, price: 100.1, client_order_id: 'two' });
    expect(await client.send({ ...order, qty: 5, price: 1 })).toMatchObject({ ok: false, err: 'duplicate_client_order_id', order_id: 2 });
    expect(await client.send({ op: 'exec', symbol: 'AAA', side: 'BUY', qty: 5, ref_price: 7 })).toMatchObject({
      ok: true,
      fills: [
        { qty: 3, price: 100.05 },
        { qty: 2, price: 100.1 },
      ],
      status: 'FILLED',
    });
    expect(await client.send({ op: 'cancel', client_order_id: 'one' })).toMatchObject({ ok: false, err: 'unknown_order', reason: 26 });
    await withConnection(testServer.server.connectionString, place.schema, async (database) => {
      const { rows } = await database.query(
        'select symbol, side, qty, price, client_order_id, strategy, risk_bucket from fills order by fill_id',
      );
      expect(rows).toEqual([
        { symbol: 'AAA', side: 'BUY', qty: 3, price: 100.05, client_order_id: 'auto-5', strategy: 'UNKNOWN', risk_bucket: 'MED' },
        { symbol: 'AAA', side: 'SELL', qty: 3, price: 100.05, client_order_id: 'one', strategy: 'ALPHA', risk_bucket: 'LOW' },
        { symbol: 'AAA', side: 'BUY', qty: 2, price: 100.1, client_order_id: 'auto-5', strategy: 'UNKNOWN', risk_bucket: 'MED' },
        { symbol: 'AAA', side: 'SELL', qty: 2, price: 100.1, client_order_id: 'two', strategy: 'ALPHA', risk_bucket: 'LOW' },
      ]);
    });
    client.close();
    await stop(engine);
  });

  it('lets orders expire though nobody asks for anything', async () => {
    const place = newPlace();
    const { engine, client } = await start(place);
    const validUntil = Date.now() + 400;
    await client.send({
      op: 'new',
      symbol: 'AAA',
      side: 'BUY',
      qty: 1,
      price: 100,
      tif: 'GTD',
      valid_until: validUntil,
      client_order_id: 'short',
    });
    const statusOf = (): Promise<unknown> =>
      withConnection(testServer.server.connectionString, place.schema, async (database) => {
        const { rows } = await database.query(`select status from orders where client_order_id = 'short'`);
        return rows[0]?.status;
      });
    expect(await statusOf()).toBe('ACK');
    while ((await statusOf()) !== 'EXPIRED') await sleep(50);
    expect(await client.send({ op: 'cancel', client_order_id: 'short' })).toMatchObject({ err: 'unknown_order' });
    client.close();
    await stop(engine);
  });

  it('does not let a second engine in', async () => {
    const place = newPlace();
    const { engine, client } = await start(place);
    const second = startEngine([], { ...place.settings, SOURCE: 'sim', STATE_DIR: join(workspace.folder, 'other') }, workspace.folder);
    const { code, output } = await second.done;
    expect(code).not.toBe(0);
    expect(output).toMatch(/another engine writes source/);
    expect(await client.send({ op: 'exec', symbol: 'AAA', side: 'BUY', qty: 1 })).toMatchObject({ ok: true });
    client.close();
    await stop(engine);
  });
});

describe.skipIf(REAL_BROKER === undefined)(REAL_BROKER === undefined ? NO_BROKER : 'the exchange with Kafka', () => {
  it(`publishes each fill once, whoever is killed where (SEED=${SEED})`, async () => {
    const prefix = uniquePrefix('exchange');
    const place = newPlace({ KAFKA: 'auto', KAFKA_BROKER: REAL_BROKER ?? '', TOPIC_PREFIX: prefix });
    await underKills(place, { rounds: 3, seed: SEED + 1 });
    const { engine, client } = await start(place);
    await sendAll(client, orderRequests({ seed: SEED, count: 200, prefix: 'last-' }), 50);
    client.close();
    await stop(engine);
    const { fills } = replayJournal(fileEntries(place.journal), testCatalogue());
    expect(fills.length).toBeGreaterThan(100);
    const messages = await readCommitted(await openReal(), `${prefix}fills`);
    // A cast: the engine's own messages, of which these members are looked at.
    const published = messages.map(({ value }) => JSON.parse(String(value)) as { symbol: string; fill_id: number; trade_id: number });
    expect(published.map(({ fill_id: id }) => Number(id)).toSorted((one, other) => one - other)).toEqual(
      fills.map((line) => Number(line.split(' ')[0])),
    );
    for (const symbol of ['AAA', 'BBB', 'CCC']) {
      const trades = published.filter((fill) => fill.symbol === symbol).map((fill) => Number(fill.trade_id));
      expect(trades).toEqual(trades.toSorted((one, other) => one - other));
    }
  });

  it(`reads its orders from the topic, those of others too, and holds after kills what that says (SEED=${SEED})`, async () => {
    const prefix = uniquePrefix('orders');
    const broker = await openReal();
    const place = newPlace({ KAFKA: 'auto', KAFKA_BROKER: broker.brokers, TOPIC_PREFIX: prefix, ORDER_JOURNAL: 'kafka' });
    const told = await underKills(place, { rounds: 3, seed: SEED + 2 });
    const producer = await createTickProducer(broker.library, broker.brokers, `${prefix}orders`);
    const order = { client_order_id: 'by-topic', ts: 1_700_000_000, symbol: 'AAA', side: 'BUY', qty: 2, order_type: 'MKT', status: 'NEW' };
    for (const text of [JSON.stringify(order), JSON.stringify(order), 'no order', '']) producer.sendRaw(0, Buffer.from(text));
    await producer.flush(15_000);
    await producer.close();
    const { engine, client } = await start(place);
    told.push(...(await sendAll(client, orderRequests({ seed: SEED, count: 300, prefix: 'last-' }), 50)));
    client.close();
    await stop(engine);
    const messages = await readCommitted(broker, `${prefix}orders`);
    const { entries, replies, fillMessages, ...expected } = replayJournal(topicEntries(messages), testCatalogue());
    expect(entries).toBeGreaterThan(300);
    const tables = await readTables(testServer.server.connectionString, place.schema);
    expect(tables).toEqual(expected);
    expect(tables.orders.filter((line) => line.includes(' by-topic '))).toHaveLength(1);
    expectReplies(told, replies);
  });

  it('refuses a topic of orders that has several partitions, and one that another database was begun with', async () => {
    const prefix = uniquePrefix('orders');
    const broker = await openReal();
    await createTopic(broker, `${prefix}orders`, 2);
    const settings = { KAFKA: 'auto', KAFKA_BROKER: broker.brokers, ORDER_JOURNAL: 'kafka' };
    const several = await startEngine([], newPlace({ ...settings, TOPIC_PREFIX: prefix }).settings, workspace.folder).done;
    expect(several.output).toMatch(/2 partitions, expected 1/);
    const place = newPlace();
    const { engine, client } = await start(place);
    await client.send({ op: 'exec', symbol: 'AAA', side: 'BUY', qty: 1 });
    client.close();
    await stop(engine);
    const other = await startEngine([], { ...place.settings, ...settings, TOPIC_PREFIX: uniquePrefix('orders') }, workspace.folder).done;
    expect(other.output).toMatch(/order journal is topic .*orders, the database goes on from/);
  });
});
