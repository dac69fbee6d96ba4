import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { ORDER_LIMIT, ORDER_REASON } from '../../../schemas/order-records.ts';
import { runs } from '../../../test/bar-arbitraries.ts';
import { orderRequests, testCatalogue } from '../../../test/order-requests.ts';
import { setUpMatcher } from '../../kernel/matcher-core.ts';
import { createMatcherTwin } from '../../kernel/matcher-twin.ts';
import { type AuditRow, createLedger, type FillRow, type Ledger, type OrderRow, type Outcome } from './ledger.ts';
import { isRefusal } from './refusal.ts';
import { readRequest } from './request.ts';
import { resolveRequest } from './resolve.ts';

const catalogue = testCatalogue();
const POOLS = { symbols: 3, orders: 4096, pages: 256, owners: 4 };

/** A ledger beside a matcher: every request goes through both. */
function openLedger(state = { live: [] as OrderRow[], nextTradeId: 1n }) {
  const matcher = createMatcherTwin(POOLS);
  const instruments = catalogue.books.map((book) => ({ ...book, lastTicks: ORDER_LIMIT.priceNone }));
  setUpMatcher(matcher, { instruments, owners: catalogue.owners.map(({ owner, ...limits }) => [owner, limits] as const), restores: [] });
  const ledger = createLedger(catalogue, state);
  let nextId = 1n;
  const send = (json: object): Outcome | undefined => {
    const request = readRequest({ ...json });
    if (isRefusal(request)) throw new Error(request.detail);
    const orderId = nextId;
    nextId += 1n;
    if (request.op === 'new' && ledger.named(request.clientOrderId) !== undefined) return undefined;
    const findOrder: Ledger['findOrder'] = (id, name) => ledger.findOrder(id, name);
    const command = resolveRequest(request, { catalogue, orderId, tsNs: orderId * 1000n, findOrder });
    return isRefusal(command) ? undefined : ledger.apply(command, request, matcher.apply(command));
  };
  return { ledger, matcher, send };
}

const limit = (side: string, qty: number, price: number, changes: object = {}): object => ({
  op: 'new',
  symbol: 'AAA',
  side,
  qty,
  price,
  ...changes,
});
const notes = (audits: readonly AuditRow[], orderId: bigint): string[] =>
  audits.filter((audit) => audit.orderId === orderId).map(({ from, to, note }) => `${from ?? '-'} ${to} ${note}`);

describe('the ledger', () => {
  it('follows an order from new to filled, both sides of each trade', () => {
    const { ledger, send } = openLedger();
    send(limit('SELL', 10, 100, { client_order_id: 'maker', strategy: 'ALPHA', risk_bucket: 'HIGH' }));
    expect(send(limit('BUY', 4, 100))).toMatchObject({
      status: 'FILLED',
      fills: [{ quantityLots: 4, priceTicks: 10_000 }],
      cumLots: 4,
      leavesLots: 0,
    });
    expect(send({ op: 'exec', symbol: 'AAA', side: 'BUY', qty: 8 })).toMatchObject({
      status: 'CANCELED',
      cumLots: 6,
      reason: ORDER_REASON.remainder,
    });
    const { orders, fills, audits, nextTradeId } = ledger.changes();
    expect(notes(audits, 1n)).toEqual(['- NEW insert', 'NEW ACK accepted', 'ACK PARTIAL maker', 'PARTIAL FILLED maker']);
    expect(notes(audits, 3n)).toEqual(['- NEW insert', 'NEW ACK accepted', 'ACK PARTIAL taker', 'PARTIAL CANCELED remainder']);
    expect(fills.map(({ tradeId, order, liquidity }) => `${tradeId} ${order.clientOrderId} ${liquidity}`)).toEqual([
      '1 auto-2 taker',
      '1 maker maker',
      '2 auto-3 taker',
      '2 maker maker',
    ]);
    expect(orders[0]).toMatchObject({
      clientOrderId: 'maker',
      strategy: 'ALPHA',
      riskBucket: 'HIGH',
      cumLots: 10,
      notionalTicks: 100_000n,
    });
    expect(nextTradeId).toBe(3n);
  });

  it('keeps a refused order, and does not touch the order that a refused change names', () => {
    const { ledger, send } = openLedger();
    expect(send(limit('BUY', 5, 100.01))).toMatchObject({ isRefused: true, status: 'REJECTED', reason: ORDER_REASON.offTick });
    send(limit('BUY', 5, 100, { client_order_id: 'b' }));
    ledger.settle();
    expect(send({ op: 'replace', client_order_id: 'b', qty: 5, price: 100.01 })).toMatchObject({
      isRefused: true,
      status: 'ACK',
      reason: ORDER_REASON.offTick,
    });
    expect(ledger.changes().orders).toEqual([]);
    expect(ledger.changes().audits).toEqual([]);
    expect(ledger.live.size).toBe(1);
  });

  it('writes down a replaced price and quantity, what a reduce takes off, and what expires with the session', () => {
    const { ledger, send } = openLedger();
    send(limit('BUY', 9, 100, { client_order_id: 'b', tif: 'DAY' }));
    send(limit('SELL', 2, 100));
    send({ op: 'replace', client_order_id: 'b', qty: 20, price: 99.5 });
    expect(ledger.findOrder(0n, 'b')).toMatchObject({ quantityLots: 22, leavesLots: 20, cumLots: 2, priceTicks: 9950 });
    send({ op: 'reduce', client_order_id: 'b', qty: 5 });
    expect(ledger.findOrder(0n, 'b')).toMatchObject({ quantityLots: 17, leavesLots: 15 });
    send({ op: 'phase', symbol: 'AAA', phase: 'closed' });
    expect(ledger.live.size).toBe(0);
    expect(ledger.settings[0]?.phase).toBe(0);
    expect(notes(ledger.changes().audits, 1n)).toEqual([
      '- NEW insert',
      'NEW ACK accepted',
      'ACK PARTIAL maker',
      'PARTIAL PARTIAL replaced',
      'PARTIAL PARTIAL replaced',
      'PARTIAL EXPIRED session_end',
    ]);
  });

  it('calls the trades of an uncross auctions, and those behind it not', () => {
    const { ledger, send } = openLedger();
    const order = (side: string, price: number, changes: object = {}): object => ({
      op: 'new',
      symbol: 'CCC',
      side,
      qty: 5,
      price,
      ...changes,
    });
    send(order('BUY', 50.0002));
    send(order('SELL', 50.0001));
    send({ op: 'new', symbol: 'CCC', side: 'BUY', qty: 3, order_type: 'STP', stop_price: 50 });
    send(order('SELL', 50.0009));
    send({ op: 'phase', symbol: 'CCC', phase: 'continuous' });
    expect(ledger.changes().fills.map(({ liquidity, order: { orderId } }) => `${orderId} ${liquidity}`)).toEqual([
      '1 auction',
      '2 auction',
      '3 taker',
      '4 maker',
    ]);
  });

  it('agrees with the book and adds up, whatever comes', () => {
    fc.assert(
      fc.property(fc.nat(), (seed) => {
        const { ledger, matcher, send } = openLedger();
        const fills: FillRow[] = [];
        const audits: AuditRow[] = [];
        const orders = new Map<bigint, OrderRow>();
        for (const [index, json] of orderRequests({ seed, count: 250 }).entries()) {
          send(json);
          if (index % 10 > 0) continue;
          const changes = ledger.changes();
          fills.push(...changes.fills);
          audits.push(...changes.audits);
          for (const order of changes.orders) orders.set(order.orderId, order);
          ledger.settle();
        }
        fills.push(...ledger.changes().fills);
        audits.push(...ledger.changes().audits);
        for (const order of ledger.changes().orders) orders.set(order.orderId, order);
        const resting = [0, 1, 2].flatMap((index) => matcher.list(index).map(({ orderId, leavesLots }) => [orderId, leavesLots] as const));
        expect(new Map([...ledger.live].map(([id, { leavesLots }]) => [id, leavesLots]))).toEqual(new Map(resting));
        expectSums([...orders.values()], fills);
        expectChains(audits, orders);
      }),
      runs(60),
    );
  });
});

/** Each trade has a buyer and a seller of the same lots and price; an order's sums are those of its fills. */
function expectSums(orders: readonly OrderRow[], fills: readonly FillRow[]): void {
  expect(fills.length % 2).toBe(0);
  for (let index = 0; index < fills.length; index += 2) {
    const [one, other] = [fills[index]!, fills[index + 1]!];
    expect([other.tradeId, other.quantityLots, other.priceTicks]).toEqual([one.tradeId, one.quantityLots, one.priceTicks]);
    expect(new Set([one.order.side, other.order.side]).size).toBe(2);
    expect(one.tradeId).toBe(BigInt(index / 2 + 1));
  }
  for (const order of orders) {
    const own = fills.filter((fill) => fill.order === order);
    expect(order.cumLots).toBe(own.reduce((sum, { quantityLots }) => sum + quantityLots, 0));
    expect(order.notionalTicks).toBe(
      own.reduce((sum, { quantityLots, priceTicks }) => sum + BigInt(quantityLots) * BigInt(priceTicks), 0n),
    );
    const isLive = order.status === 'ACK' || order.status === 'PARTIAL';
    expect(isLive ? order.cumLots + order.leavesLots : 0).toBe(isLive ? order.quantityLots : 0);
    if (order.status === 'FILLED') expect(order.cumLots).toBe(order.quantityLots);
    if (!isLive) expect(order.leavesLots).toBe(0);
  }
}

/** Every audit begins where the one before it of the same order ended; nothing follows an end; the last is where the order is. */
function expectChains(audits: readonly AuditRow[], orders: ReadonlyMap<bigint, OrderRow>): void {
  const last = new Map<bigint, string>();
  for (const { orderId, from, to } of audits) {
    expect(from).toBe(last.get(orderId) ?? null);
    expect(['FILLED', 'CANCELED', 'EXPIRED', 'REJECTED']).not.toContain(from);
    last.set(orderId, to);
  }
  for (const [orderId, { status }] of orders) expect(last.get(orderId)).toBe(status);
}
