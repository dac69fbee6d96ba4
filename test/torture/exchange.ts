/** A round's orders: clients send them to whichever engine has the exchange, others write into the topic, and in the end everything is compared. */
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { messageOf } from '../../engine/core/errors.ts';
import { createPrng } from '../../engine/core/prng.ts';
import { parseCatalogue } from '../../engine/execution/exchange/catalogue.ts';
import { fillsTopic, ordersTopic } from '../../engine/sinks/kafka/topics.ts';
import { withConnection } from '../../engine/sinks/postgres/connection.ts';
import { type OrderClient, openClient, sendAll, type Told } from '../order-client.ts';
import { type Expected, fileEntries, readTables, replayJournal, topicEntries } from '../order-journal.ts';
import { BOOKS_JSON, orderRequests, type RequestJson } from '../order-requests.ts';
import type { Difference } from './compare.ts';
import type { Engines } from './engines.ts';
import { compareExchange } from './exchange-compare.ts';
import type { FeedMessage } from './feed.ts';
import type { ExchangePlan } from './plan.ts';
import type { Round } from './round.ts';

export interface OrderFlow {
  /** Sends the plan's requests over `overMs`, some more when nothing is wrong any more; resolves when all are answered, or will never be. */
  send(overMs: number): Promise<void>;
  sendLast(): Promise<void>;
  /** What others write into the topic orders; nothing where the journal is a file. */
  readonly foreign: readonly FeedMessage[];
  /** Empty when everything in the journal is matched; else what is missing. */
  behind(): Promise<string>;
  compare(): Promise<ExchangeComparison>;
}

export interface ExchangeComparison {
  readonly requests: number;
  readonly fills: number;
  readonly differences: readonly Difference[];
}

const GROUP = 250;
const LAST_REQUESTS = 200;
const LAST_WINDOW = 50;
const FOREIGN_MESSAGES = 60;
const CONNECT_TIMEOUT_MS = 60_000;
/** As long as the longest outage and what engines need to find out. */
const REPLY_TIMEOUT_MS = 90_000;
/** So much later no further group is sent. */
const BEHIND_MAX_MS = 20_000;
const POLL_MS = 50;
/** Without any engine that has the exchange, or will have it, somebody starts one. */
const MISSED_MS = 500;
/** What is no order, or has no end that a client would wait for. */
const FOREIGN_POISON = ['', 'no order', 'null', '[1]', '{"op":"new"}', '{"symbol":"AAA","side":"BUY","qty":0,"order_type":"MKT"}'];

/** Knobs of the engine that has the exchange. Its state is in one place, whichever process it is. */
export function exchangeKnobs({ journal }: ExchangePlan, folder: string): Readonly<Record<string, string>> {
  const booksFile = join(folder, 'books.json');
  writeFileSync(booksFile, BOOKS_JSON);
  return { MATCHER: 'on', MATCHER_PORT: '0', BOOKS_FILE: booksFile, ORDER_JOURNAL: journal, STATE_DIR: join(folder, 'state-exchange') };
}

export function createOrderFlow(round: Round, plan: ExchangePlan, engines: Engines): OrderFlow {
  const { stage, prefix, note, name, folder, address } = round;
  const journalFolder = join(folder, 'state-exchange', 'orders', name);
  const orders = { topic: ordersTopic(prefix), partition: 0 };
  const catalogue = parseCatalogue(BOOKS_JSON, 'books of the torture');
  const told: Told[] = [];
  const problems: Difference[] = [];
  const complain = (what: string, found: string): void => {
    problems.push({ what, expected: '(nothing of the kind)', found });
  };

  const sendGroup = async (requests: readonly RequestJson[], window: number): Promise<void> => {
    const client = await connect(round, engines);
    if (client === undefined) return complain('exchange', `no engine lets orders in within ${CONNECT_TIMEOUT_MS} ms`);
    const isLate = await Promise.race([sendAll(client, requests, window).then((replies) => void told.push(...replies)), late()]);
    if (isLate === true) complain('exchange', `${requests.length} requests are not all answered within ${REPLY_TIMEOUT_MS} ms`);
    client.close();
  };

  const readJournal = async () => {
    if (plan.journal === 'file') return fileEntries(journalFolder);
    return topicEntries(await stage.reader.read([orders]));
  };

  return {
    foreign: plan.journal === 'kafka' ? foreignOrders(plan.seed) : [],
    async send(overMs) {
      const requests = orderRequests({ seed: plan.seed, count: plan.requests });
      const startMs = performance.now();
      for (let from = 0; from < requests.length; from += GROUP) {
        if (performance.now() - startMs > overMs + BEHIND_MAX_MS) {
          note(`${requests.length - from} requests are not sent: the machine is too slow for them`);
          break;
        }
        await sleep(Math.max(0, startMs + (overMs * from) / requests.length - performance.now()));
        await sendGroup(requests.slice(from, from + GROUP), plan.window);
      }
      note(`${told.length} replies to ${requests.length} requests`);
    },
    sendLast: () => sendGroup(orderRequests({ seed: plan.seed + 1, count: LAST_REQUESTS, prefix: 'last-' }), LAST_WINDOW),
    async behind() {
      const end = plan.journal === 'file' ? fileEntries(journalFolder).length : await stage.reader.highOffset(orders.topic, 0);
      try {
        const at = await readPosition(address);
        return at < end ? `orders at ${at} of ${end}` : '';
      } catch (error) {
        // Just started again: it may still send its clients away.
        return messageOf(error);
      }
    },
    async compare() {
      const expected = replayJournal(await readJournal(), catalogue);
      const fillPartitions = round.topics
        .filter(({ topic }) => topic === fillsTopic(prefix))
        .flatMap(({ topic, partitions }) => Array.from({ length: partitions }, (_, partition) => ({ topic, partition })));
      const messages = await stage.reader.read(fillPartitions);
      const found = {
        ...(await readTables(address.connectionString, address.schema)),
        messages: messages.map(({ partition, offset, value }) => ({ text: String(value), place: `fills[${partition}]@${offset}` })),
        told,
      };
      const differences = [...problems, ...weakness(plan, expected), ...compareExchange(expected, found)];
      return { requests: expected.entries, fills: expected.fills.length, differences };
    },
  };
}

/** A round in which next to nothing was traded would prove nothing. */
function weakness({ requests }: ExchangePlan, { entries, fills }: Expected): Difference[] {
  const isWeak = entries < LAST_REQUESTS / 2 || fills.length < LAST_REQUESTS / 10;
  if (!isWeak) return [];
  return [
    { what: 'exchange', expected: `most of ${requests} requests matched`, found: `${entries} in the journal, ${fills.length} fills` },
  ];
}

async function late(): Promise<true> {
  await sleep(REPLY_TIMEOUT_MS, undefined, { ref: false });
  return true;
}

const PORT = /orders on 127\.0\.0\.1:(\d+)/;

/** A connection to the engine that has the exchange; undefined when none lets anybody in in time. */
async function connect({ plan, note }: Round, engines: Engines): Promise<OrderClient | undefined> {
  const endMs = performance.now() + CONNECT_TIMEOUT_MS;
  let missedMs = performance.now();
  while (performance.now() < endMs) {
    const engine = engines.alive().find(({ hasExchange }) => hasExchange);
    if (engine !== undefined) missedMs = performance.now();
    else if (performance.now() - missedMs > MISSED_MS) {
      note('no engine has the exchange');
      engines.start(plan.engines[0]!);
    }
    const port = PORT.exec(engine?.said ?? '')?.[1];
    if (port !== undefined) {
      try {
        return await openClient(Number(port));
      } catch {
        // It is on its way out: another has to come.
      }
    }
    await sleep(POLL_MS);
  }
  return undefined;
}

/** Orders as the contract has them on the topic, some twice, their cancels, and what is none. */
function foreignOrders(seed: number): FeedMessage[] {
  const prng = createPrng(seed + 2);
  return Array.from({ length: FOREIGN_MESSAGES }, (_, index) => {
    const id = `topic-${prng.nextBelow(FOREIGN_MESSAGES)}`;
    const side = prng.nextBelow(2) === 0 ? 'BUY' : 'SELL';
    const common = { ts: 1_700_000_000, symbol: 'AAA', side, qty: 1 + prng.nextBelow(50), status: 'NEW' };
    const texts = [
      () => JSON.stringify({ ...common, client_order_id: id, order_type: 'LMT', limit_price: (9980 + 5 * prng.nextBelow(9)) / 100 }),
      () => JSON.stringify({ ...common, client_order_id: id, order_type: 'MKT' }),
      () => JSON.stringify({ client_order_id: `cancel-${index}`, orig_client_order_id: id, symbol: 'AAA', order_type: 'CANCEL' }),
      () => FOREIGN_POISON[prng.nextBelow(FOREIGN_POISON.length)] ?? '',
    ];
    const text = texts[prng.nextBelow(texts.length)]?.() ?? '';
    return { partition: 0, value: Buffer.from(text), isPacked: false, poison: undefined };
  });
}

async function readPosition({ connectionString, schema }: Round['address']): Promise<number> {
  return await withConnection(connectionString, schema, async (client) => {
    const { rows: tables } = await client.query<{ name: string | null }>(`select to_regclass('order_positions')::text as name`);
    if (tables[0]?.name == null) return 0;
    const { rows } = await client.query<{ next: string }>('select next_offset::text as next from order_positions');
    return Number(rows[0]?.next ?? 0);
  });
}
