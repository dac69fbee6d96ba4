/** What the exchange's tests share: a client, what the journal comes to by the plain book, and what the database holds. */
import { readdirSync, readFileSync } from 'node:fs';
import { connect, type Socket } from 'node:net';
import { join } from 'node:path';
import { expect } from 'vitest';
import { createBell } from '../../engine/execution/exchange/bell.ts';
import type { Catalogue } from '../../engine/execution/exchange/catalogue.ts';
import { readEntry } from '../../engine/execution/exchange/entry.ts';
import type { JournalEntry } from '../../engine/execution/exchange/journal.ts';
import { createLedger, hasPrice, hasStop } from '../../engine/execution/exchange/ledger.ts';
import { isRefusal } from '../../engine/execution/exchange/refusal.ts';
import { outcomeReply, type Reply } from '../../engine/execution/exchange/reply.ts';
import { resolveRequest } from '../../engine/execution/exchange/resolve.ts';
import { setUpMatcher } from '../../engine/kernel/matcher-core.ts';
import { createMatcherTwin } from '../../engine/kernel/matcher-twin.ts';
import { newCommand } from '../../engine/market/order-command.ts';
import type { Message } from '../../engine/sinks/kafka/rdkafka.ts';
import { withConnection } from '../../engine/sinks/postgres/connection.ts';
import { fillIdOf } from '../../engine/sinks/postgres/order-transaction.ts';
import { COMMAND_KIND, ORDER_LIMIT } from '../../schemas/order-records.ts';
import type { RequestJson } from '../order-requests.ts';

/** A table as lines of text, in order of its key. */
export type Lines = readonly string[];

export interface Tables {
  readonly orders: Lines;
  readonly fills: Lines;
  readonly audit: Lines;
  readonly books: Lines;
}

export interface Expected extends Tables {
  readonly entries: number;
  /** The reply to each new order that was not refused by name, by its id. */
  readonly replies: ReadonlyMap<number, Reply>;
}

/** The entries of the files in `folder`. */
export function fileEntries(folder: string): JournalEntry[] {
  const files = readdirSync(folder)
    .filter((name) => name.endsWith('.log'))
    .toSorted();
  const lines = files.flatMap((name) => readFileSync(join(folder, name), 'utf8').split('\n').slice(1, -1));
  return lines.map((line, index) => ({ offset: BigInt(index), text: line.slice(9) }));
}

/** The entries of the topic orders. */
export function topicEntries(messages: readonly Message[]): JournalEntry[] {
  const inOrder = messages.toSorted((one, other) => one.offset - other.offset);
  return inOrder.map(({ offset, value, timestamp = 0 }) => ({
    offset: BigInt(offset),
    text: String(value),
    tsNs: BigInt(timestamp) * 1_000_000n,
  }));
}

/** What the entries of a journal come to, matched one after the other by the plain book, with what the calendar has between them. */
export function replayJournal(entries: readonly JournalEntry[], catalogue: Catalogue): Expected {
  const twin = createMatcherTwin({ symbols: catalogue.books.length, orders: 65_536, pages: 4096, owners: 4 });
  const instruments = catalogue.books.map((book) => ({ ...book, lastTicks: ORDER_LIMIT.priceNone }));
  setUpMatcher(twin, { instruments, owners: catalogue.owners.map(({ owner, ...limits }) => [owner, limits] as const), restores: [] });
  const ledger = createLedger(catalogue, { live: [], nextTradeId: 1n });
  const bell = createBell(catalogue, () => 0n);
  const names = new Set<string>();
  const replies = new Map<number, Reply>();
  for (const journaled of entries) {
    const entry = readEntry(journaled);
    if (isRefusal(entry)) continue;
    const { request, tsNs } = entry;
    for (const { symbolIndex, phase, tsNs: changeNs } of bell.ring(tsNs)) {
      const change = newCommand({ kind: COMMAND_KIND.phase, symbolIndex, tsNs: changeNs, quantityLots: phase });
      ledger.applyChange(change, twin.apply(change));
    }
    const isNew = request.op === 'new' || request.op === 'exec';
    if (isNew && names.has(request.clientOrderId)) continue;
    const orderId = journaled.offset + 1n;
    const findOrder = (id: bigint, name: string) => ledger.findOrder(id, name);
    const command = resolveRequest(request, { catalogue, orderId, tsNs, findOrder });
    if (isRefusal(command)) continue;
    const outcome = ledger.apply(command, request, twin.apply(command));
    if (!isNew) continue;
    names.add(outcome.clientOrderId);
    replies.set(Number(orderId), outcomeReply(outcome, catalogue.books[command.symbolIndex]));
  }
  const { orders, fills, audits } = ledger.changes();
  return {
    entries: entries.length,
    replies,
    orders: orders
      .toSorted((one, other) => Number(one.orderId - other.orderId))
      .map((order) => {
        const { orderId, clientOrderId, quantityLots, status, cumLots, leavesLots, notionalTicks, endReason, strategy, riskBucket, extra } =
          order;
        const price = hasPrice(order) ? order.priceTicks : null;
        const stop = hasStop(order) ? order.stopTicks : null;
        const numbers = [quantityLots, cumLots, leavesLots, notionalTicks, price, stop, endReason];
        return [orderId, clientOrderId, status, ...numbers, strategy, riskBucket, JSON.parse(extra).n ?? null].join(' ');
      }),
    fills: fills
      .map(({ tradeId, order, quantityLots, priceTicks, liquidity }) => {
        const { side, orderId, clientOrderId, strategy, riskBucket, symbolIndex } = order;
        const symbol = catalogue.books[symbolIndex]?.symbol;
        return {
          id: fillIdOf(tradeId, side),
          text: [orderId, quantityLots, priceTicks, liquidity, symbol, clientOrderId, strategy, riskBucket].join(' '),
        };
      })
      .toSorted((one, other) => Number(one.id - other.id))
      .map(({ id, text }) => `${id} ${text}`),
    audit: audits.map(({ orderId, from, to, note }) => [orderId, from, to, note].join(' ')),
    books: catalogue.books
      .toSorted((one, other) => (one.symbol < other.symbol ? -1 : 1))
      .map(({ symbol, symbolIndex }) => {
        const orders = twin
          .list(symbolIndex)
          .map(({ orderId, leavesLots, shownLots, stopTicks }) => [orderId, leavesLots, shownLots, stopTicks].join(':'));
        const last = twin.lastTicks(symbolIndex);
        return [symbol, ledger.settings[symbolIndex]?.phase, last === ORDER_LIMIT.priceNone ? null : last, ...orders].join(' ');
      }),
  };
}

/** The same of what the database holds. */
export async function readTables(connectionString: string, schema: string): Promise<Tables> {
  return await withConnection(connectionString, schema, async (client) => {
    const lines = async (sql: string): Promise<Lines> => {
      const { rows } = await client.query<Record<string, unknown>>(sql);
      return rows.map((row) => Object.values(row).flat().join(' '));
    };
    return {
      orders: await lines(
        `select order_id, client_order_id, status, qty, cum_qty, leaves_qty, notional_ticks, price_ticks, stop_ticks, end_reason, strategy, risk_bucket,
           extra -> 'n' from orders order by order_id`,
      ),
      fills: await lines(
        'select fill_id, order_id, qty, price_ticks, liquidity, symbol, client_order_id, strategy, risk_bucket from fills order by fill_id',
      ),
      audit: await lines('select order_id, from_st, to_st, note from order_audit order by id'),
      books: await lines(
        `select symbol, phase, last_ticks, array(select concat_ws(':', o, l, s, t)
           from unnest(order_id, leaves_lots, shown_lots, stop_ticks) with ordinality as b (o, l, s, t, place) order by place) from order_books order by symbol`,
      ),
    };
  });
}

export interface OrderClient {
  readonly isLost: boolean;
  /** Resolves with the reply, or with undefined when the connection is lost first. */
  send(request: object): Promise<Reply | undefined>;
  close(): void;
}

/** A connection that carries many requests, each with an id. */
export async function openClient(port: number): Promise<OrderClient> {
  const socket = await new Promise<Socket>((resolve, reject) => {
    const opened = connect({ port, host: '127.0.0.1' }, () => resolve(opened));
    opened.on('error', reject);
  });
  const waiting = new Map<number, (reply: Reply | undefined) => void>();
  let isLost = false;
  let sent = 0;
  let text = '';
  socket.on('data', (chunk: Buffer) => {
    const lines = (text + chunk.toString()).split('\n');
    text = lines.pop() ?? '';
    for (const line of lines) {
      const reply: Reply = JSON.parse(line);
      const id = Number(reply['id']);
      waiting.get(id)?.(reply);
      waiting.delete(id);
    }
  });
  socket.on('error', () => undefined);
  socket.on('close', () => {
    isLost = true;
    for (const resolve of waiting.values()) resolve(undefined);
    waiting.clear();
  });
  return {
    get isLost() {
      return isLost;
    },
    send(request) {
      if (isLost) return Promise.resolve(undefined);
      sent += 1;
      const id = sent;
      return new Promise((resolve) => {
        waiting.set(id, resolve);
        socket.write(`${JSON.stringify({ ...request, id })}\n`);
      });
    },
    close: () => socket.destroy(),
  };
}

/** Replies to orders that were not matched, or about which nothing is known. */
const UNMATCHED = new Set(['duplicate_client_order_id', 'unknown_outcome']);

/** What a client was told of a request. */
export interface Told {
  readonly op: string;
  readonly reply: Reply;
}

/** Sends a flow, never more than `window` requests without a reply; ends early when the connection is lost. Returns what was told. */
export async function sendAll(client: OrderClient, requests: readonly RequestJson[], window: number): Promise<Told[]> {
  const told: Told[] = [];
  const pending = new Set<Promise<unknown>>();
  for (const request of requests) {
    const sent = client.send(request).then((reply) => {
      if (reply !== undefined) told.push({ op: String(request['op']), reply });
      pending.delete(sent);
    });
    pending.add(sent);
    if (client.isLost) break;
    if (pending.size >= window) await Promise.race(pending);
  }
  await Promise.all(pending);
  return told;
}

/** What a client was told of its order is what the journal says came of it. */
export function expectReplies(told: readonly Told[], expected: ReadonlyMap<number, Reply>): void {
  const entered = told.filter(({ op, reply }) => (op === 'new' || op === 'exec') && !UNMATCHED.has(String(reply['err'])));
  expect(entered.length).toBeGreaterThan(100);
  for (const { reply } of entered) {
    const { id, ...rest } = reply;
    expect(rest).toEqual(expected.get(Number(rest['order_id'])));
  }
}
