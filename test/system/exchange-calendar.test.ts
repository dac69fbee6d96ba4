/** A trading day of a few seconds, with the engine killed before each of its changes: each is made once, at its time. */
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { parseCatalogue } from '../../engine/execution/exchange/catalogue.ts';
import type { JournalEntry } from '../../engine/execution/exchange/journal.ts';
import { withConnection } from '../../engine/sinks/postgres/connection.ts';
import { PHASE } from '../../schemas/order-records.ts';
import { type OrderClient, openClient, sendAll } from '../order-client.ts';
import { fileEntries, readTables, replayJournal, topicEntries } from '../order-journal.ts';
import { BOOKS_JSON, orderRequests } from '../order-requests.ts';
import { createWorkspace, type RunningEngine, startEngine } from './engine-process.ts';
import { NO_BROKER, openReal, REAL_BROKER, readCommitted, uniquePrefix } from './kafka-harness.ts';
import { startServer, type TestServer } from './postgres-harness.ts';

const SEED = Number(process.env['SEED'] ?? 23);
const PREFIX = `t_calendar_${process.pid}_`;
const workspace = createWorkspace(PREFIX);
let testServer: TestServer;

beforeAll(async () => {
  testServer = await startServer();
});
afterAll(async () => {
  await workspace.cleanUp();
  await testServer.close();
});

interface Day {
  readonly booksJson: string;
  readonly openMs: number;
  readonly closeCallMs: number;
  readonly closeMs: number;
}

/** A day that is in its opening call, in a zone where it is about noon, so that it does not run past midnight. */
function dayFrom(nowMs: number, gapMs: number): Day {
  const hours = 12 - new Date(nowMs).getUTCHours();
  const timezone = hours >= 0 ? `Etc/GMT-${hours}` : `Etc/GMT+${-hours}`;
  const firstMs = Math.ceil(nowMs / 1000) * 1000;
  const [openMs, closeCallMs, closeMs] = [firstMs + gapMs, firstMs + 2 * gapMs, firstMs + 3 * gapMs];
  const local = (ms: number): string => new Date(ms + hours * 3_600_000).toISOString().slice(11, 19);
  const session = {
    timezone,
    openCall: local(firstMs - 60_000),
    open: local(openMs),
    closeCall: local(closeCallMs),
    close: local(closeMs),
    days: ['sun', 'mon', 'tue', 'wed', 'thu', 'fri', 'sat'],
  };
  const { books, owners } = JSON.parse(BOOKS_JSON);
  const [first, ...others] = books;
  return { booksJson: JSON.stringify({ books: [{ ...first, session }, ...others], owners }), openMs, closeCallMs, closeMs };
}

interface Place {
  readonly schema: string;
  readonly settings: Readonly<Record<string, string>>;
}

function newPlace(name: string, day: Day, more: Readonly<Record<string, string>>): Place {
  const booksFile = join(workspace.folder, `books-${name}.json`);
  writeFileSync(booksFile, day.booksJson);
  const schema = `${PREFIX}${name}`;
  const common = { POSTGRES_URL: testServer.server.connectionString, PG_SCHEMA: schema, SIM_SYMBOLS: '1', SIM_BASE_TPS: '1' };
  return { schema, settings: { ...common, MATCHER: 'on', MATCHER_PORT: '0', BOOKS_FILE: booksFile, ...more } };
}

async function start({ settings }: Place): Promise<{ engine: RunningEngine; client: OrderClient }> {
  const engine = startEngine([], settings, workspace.folder);
  const [, port] = await engine.waitFor(/orders on 127\.0\.0\.1:(\d+)/);
  return { engine, client: await openClient(Number(port)) };
}

/** Orders until a change is about to come, then a kill that lasts over it. Returns how many replies there were. */
async function killOver(place: Place, changeMs: number, round: number): Promise<number> {
  const { engine, client } = await start(place);
  const sending = sendAll(client, orderRequests({ seed: SEED + round, count: 1500, prefix: `r${round}-` }), 50);
  await sleep(Math.max(0, changeMs - Date.now() - 300));
  engine.process.kill('SIGKILL');
  await engine.done;
  const told = await sending;
  client.close();
  await sleep(Math.max(0, changeMs - Date.now() + 100));
  return told.length;
}

/** The day under kills, and what it must have come to. */
async function expectDay(place: Place, day: Day, readJournal: () => Promise<JournalEntry[]>): Promise<void> {
  const told: number[] = [];
  for (const [round, changeMs] of [day.openMs, day.closeCallMs, day.closeMs].entries()) told.push(await killOver(place, changeMs, round));
  expect(Math.min(...told), 'replies in each phase of the day').toBeGreaterThan(100);
  const { engine, client } = await start(place);
  expect(await client.send({ op: 'new', symbol: 'AAA', side: 'BUY', qty: 1, price: 100 })).toMatchObject({ err: 'session_closed' });
  client.close();
  engine.process.kill('SIGTERM');
  const { code, output } = await engine.done;
  expect(code, output).toBe(0);

  const { entries, replies, fillMessages, ...expected } = replayJournal(await readJournal(), parseCatalogue(day.booksJson, 'test books'));
  expect(await readTables(testServer.server.connectionString, place.schema)).toEqual(expected);
  await withConnection(testServer.server.connectionString, place.schema, async (database) => {
    const { rows: auctions } = await database.query<{ ts_ns: string; fills: string; prices: string }>(
      `select ts_ns, count(*) fills, count(distinct price_ticks) prices from fills where symbol = 'AAA' and liquidity = 'auction' group by ts_ns order by ts_ns`,
    );
    expect(auctions.map(({ ts_ns: tsNs, prices }) => [tsNs, prices])).toEqual([
      [`${day.openMs}000000`, '1'],
      [`${day.closeMs}000000`, '1'],
    ]);
    const { rows: expired } = await database.query<{ updated_ns: string }>(
      `select distinct updated_ns from orders where symbol = 'AAA' and status = 'EXPIRED'`,
    );
    expect(expired).toEqual([{ updated_ns: `${day.closeMs}000000` }]);
    const { rows: live } = await database.query(
      `select 1 from orders where symbol = 'AAA' and time_in_force = 'DAY' and status in ('ACK', 'PARTIAL')`,
    );
    expect(live).toEqual([]);
    const { rows: books } = await database.query(`select phase, calendar_ns from order_books where symbol = 'AAA'`);
    expect(books).toEqual([{ phase: PHASE.closed, calendar_ns: `${day.closeMs}000000` }]);
  });
}

describe('a trading day under kills', () => {
  it(`is the one that the journal tells of, with the journal in files (SEED=${SEED})`, async () => {
    const day = dayFrom(Date.now(), 15_000);
    const place = newPlace('file', day, { KAFKA: 'off' });
    await expectDay(place, day, async () => fileEntries(join(workspace.folder, 'state', 'orders', place.schema)));
  });

  it.skipIf(REAL_BROKER === undefined)(
    REAL_BROKER === undefined ? NO_BROKER : `is the one that the journal tells of, with the journal in the topic orders (SEED=${SEED})`,
    async () => {
      const prefix = uniquePrefix('calendar');
      const broker = await openReal();
      const day = dayFrom(Date.now(), 20_000);
      const place = newPlace('kafka', day, { KAFKA: 'auto', KAFKA_BROKER: broker.brokers, TOPIC_PREFIX: prefix, ORDER_JOURNAL: 'kafka' });
      await expectDay(place, day, async () => topicEntries(await readCommitted(broker, `${prefix}orders`)));
    },
  );
});
