/** What must hold of the plain book whatever comes: its events and listings against an account of their own, and against brute force. */
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { type BookOracle, createBookOracle } from '../engine/market/book-oracle.ts';
import { createBookReplay } from '../engine/market/book-replay.ts';
import {
  attributesOf,
  type BookInstrument,
  newCommand,
  type OrderCommand,
  type OrderEvent,
  type RestingOrder,
  readCommand,
  readEvent,
  restoreOf,
  writeCommand,
  writeEvent,
} from '../engine/market/order-command.ts';
import * as L from '../schemas/order-layout.gen.ts';
import { EVENT_KIND, ORDER_REASON } from '../schemas/order-records.ts';
import { runs, SEED } from './bar-arbitraries.ts';
import { anySession, type BookSession, honestSession, setUp } from './order-arbitraries.ts';
import { makeFlow } from './order-flow.ts';
import { tangledSessions } from './tangled-sessions.ts';

function open(session: BookSession): BookOracle {
  const book = createBookOracle(session.shape);
  setUp(book, session);
  return book;
}

/** The symbols of a session that are set up. */
const symbolsOf = (session: BookSession): number[] => session.instruments.flatMap((instrument, index) => (instrument ? [index] : []));
const listAll = (book: BookOracle, session: BookSession): RestingOrder[][] =>
  symbolsOf(session).map((symbolIndex) => book.list(symbolIndex));

/** What each live order should have left, by the events alone; refuses events about orders that are not live. */
function createLedger(): { apply(event: OrderEvent): void; leaves: Map<bigint, number> } {
  const leaves = new Map<bigint, number>();
  const take = (orderId: bigint, lots: number, left: number): void => {
    expect(leaves.get(orderId), `leaves of ${orderId}`).toBe(left + lots);
    if (left === 0) leaves.delete(orderId);
    else leaves.set(orderId, left);
  };
  return {
    leaves,
    apply(event) {
      if (event.kind === L.EVENT_KIND_ACCEPTED) {
        expect(leaves.has(event.orderId), `${event.orderId} accepted while it lives`).toBe(false);
        expect(event.quantityLots).toBe(event.leavesLots);
        leaves.set(event.orderId, event.leavesLots);
      } else if (event.kind === L.EVENT_KIND_TRADE) {
        expect(event.quantityLots).toBeGreaterThan(0);
        take(event.orderId, event.quantityLots, event.leavesLots);
        take(event.otherId, event.quantityLots, event.otherLeavesLots);
      } else if (event.kind === L.EVENT_KIND_CANCELLED || event.kind === L.EVENT_KIND_EXPIRED) {
        expect(event.quantityLots).toBeGreaterThan(0);
        take(event.orderId, event.quantityLots, 0);
      } else if (event.kind === L.EVENT_KIND_REPLACED) {
        expect(leaves.get(event.orderId), `leaves of ${event.orderId}`).toBe(event.quantityLots);
        leaves.set(event.orderId, event.leavesLots);
      } else if (event.kind === L.EVENT_KIND_TRIGGERED || event.kind === L.EVENT_KIND_REFRESHED) {
        expect(leaves.get(event.orderId), `leaves of ${event.orderId}`).toBe(event.leavesLots);
      }
    },
  };
}

const isAhead = (order: RestingOrder, priceTicks: number): boolean =>
  order.side === 0 ? order.priceTicks > priceTicks : order.priceTicks < priceTicks;

/** Of what stands before a trade outside an auction: its maker's turn it is, and what stands ahead of it does not fit. */
function expectPriority(standing: readonly RestingOrder[], trade: OrderEvent): void {
  const maker = standing.find((order) => order.orderId === trade.otherId);
  expect(maker, `maker ${trade.otherId} stands`).toBeDefined();
  if (!maker) return;
  expect(trade.priceTicks).toBe(maker.priceTicks);
  const displayed = standing.filter((order) => order.book === 'displayed' && order.side === maker.side);
  const hidden = standing.filter((order) => order.book === 'allOrNone' && order.side === maker.side);
  if (maker.book === 'displayed') expect(displayed[0]?.orderId, 'the first of the displayed book').toBe(maker.orderId);
  else expect(displayed.filter((order) => isAhead(order, maker.priceTicks) || order.priceTicks === maker.priceTicks)).toEqual([]);
  const passed =
    maker.book === 'displayed' ? hidden.filter((order) => isAhead(order, maker.priceTicks)) : hidden.slice(0, hidden.indexOf(maker));
  for (const order of passed) {
    expect(order.leavesLots, `all-or-none ${order.orderId} is passed over`).toBeGreaterThan(trade.leavesLots + trade.quantityLots);
  }
}

/** Of what stands before a trade of an auction: both are the first of their sides. */
function expectAuctionPriority(standing: readonly RestingOrder[], trade: OrderEvent): void {
  const first = (side: number): bigint | undefined => standing.find((order) => order.book === 'displayed' && order.side === side)?.orderId;
  expect([trade.orderId, trade.otherId]).toEqual([first(0), first(1)]);
}

function expectUncrossed(book: BookOracle, symbolIndex: number): void {
  const [bid, ask] = [book.levels(symbolIndex, 0)[0], book.levels(symbolIndex, 1)[0]];
  if (bid && ask) expect(bid.priceTicks, 'best bid below best ask').toBeLessThan(ask.priceTicks);
}

/** Pages of 512 ticks that the listed orders stand in. */
function pagesOf(lists: readonly (readonly RestingOrder[])[]): number {
  const keys = lists.flatMap((orders, symbol) =>
    orders.map((order) => `${symbol} ${order.book} ${Math.floor((order.book === 'stop' ? order.stopTicks : order.priceTicks) / 512)}`),
  );
  return new Set(keys).size;
}

/** Runs a session and checks all that can be said after each command and before each trade. */
function expectSound(session: BookSession): void {
  const book = open(session);
  const replay = createBookReplay();
  const ledger = createLedger();
  const phases = session.instruments.map((instrument) => instrument?.phase);
  for (const command of session.commands) {
    const before = listAll(book, session);
    let isAuction = command.kind === L.COMMAND_KIND_PHASE;
    for (const event of book.apply(command)) {
      const standing = event.kind === L.EVENT_KIND_TRADE ? replay.list(event.symbolIndex) : [];
      if (event.kind === L.EVENT_KIND_PHASE) phases[event.symbolIndex] = event.quantityLots;
      if (event.kind === L.EVENT_KIND_TRIGGERED) isAuction = false;
      const taker = standing.find((order) => order.orderId === event.orderId);
      if (event.kind === L.EVENT_KIND_TRADE && isAuction && taker?.book === 'displayed') expectAuctionPriority(standing, event);
      else if (event.kind === L.EVENT_KIND_TRADE) expectPriority(standing, event);
      if (event.kind === L.EVENT_KIND_REJECTED) expectRefusal(session, before, event);
      replay.apply(event);
      ledger.apply(event);
    }
    const lists = listAll(book, session);
    expect(pagesOf(lists)).toBeLessThanOrEqual(session.shape.pages);
    expect(lists.flat().length).toBeLessThanOrEqual(session.shape.orders);
    expect(new Map(lists.flat().map((order) => [order.orderId, order.leavesLots]))).toEqual(ledger.leaves);
    symbolsOf(session).forEach((symbolIndex, index) => {
      expect(replay.list(symbolIndex)).toEqual(lists[index]!.filter((order) => order.book !== 'stop'));
      if (phases[symbolIndex] === L.PHASE_CONTINUOUS) expectUncrossed(book, symbolIndex);
    });
  }
}

/** A refusal for want of room says the truth about the pools. */
function expectRefusal(session: BookSession, before: readonly (readonly RestingOrder[])[], event: OrderEvent): void {
  if (event.reason === L.ORDER_REASON_ORDER_POOL_FULL) expect(before.flat().length).toBe(session.shape.orders);
  if (event.reason === L.ORDER_REASON_PRICE_POOL_FULL) expect(pagesOf(before)).toBe(session.shape.pages);
}

/** Commands and events pass through their bytes. */
function bytesOf(session: BookSession): string {
  const book = open(session);
  const view = new DataView(new ArrayBuffer(L.ORDER_COMMAND_SIZE));
  return session.commands
    .flatMap((command) => {
      writeCommand(view, 0, command);
      return book.apply(readCommand(view, 0)).map((event) => {
        writeEvent(view, 0, event);
        expect(readEvent(view, 0)).toEqual(event);
        return Buffer.from(view.buffer).toString('hex');
      });
    })
    .join('\n');
}

/** What a checkpoint knows of a symbol: the instrument as commands and trades left it. */
function instrumentNow(
  instrument: BookInstrument,
  history: { commands: readonly OrderCommand[]; events: readonly OrderEvent[] },
  lastTicks: number,
): BookInstrument {
  const phase = history.events.findLast((event) => event.kind === L.EVENT_KIND_PHASE)?.quantityLots ?? instrument.phase;
  const isBand = ({ kind, priceTicks, stopTicks }: OrderCommand): boolean =>
    kind === L.COMMAND_KIND_BAND &&
    priceTicks <= stopTicks &&
    priceTicks >= -L.ORDER_LIMIT_PRICE_MAX &&
    stopTicks <= L.ORDER_LIMIT_PRICE_MAX;
  const band = history.commands.findLast(isBand);
  return {
    ...instrument,
    phase,
    lastTicks,
    lowerTicks: band?.priceTicks ?? instrument.lowerTicks,
    upperTicks: band?.stopTicks ?? instrument.upperTicks,
  };
}

/** Stops after `cut` commands, restores the listing into a fresh region, and goes on: nothing may differ. */
function expectRestorable(session: BookSession, cut: number): void {
  const [first, rest] = [session.commands.slice(0, cut), session.commands.slice(cut)];
  const book = open(session);
  const events = first.flatMap((command) => book.apply(command));
  let nowNs = 0n;
  for (const { tsNs } of first) if (tsNs > nowNs) nowNs = tsNs;
  const instruments = session.instruments.map(
    (instrument, symbolIndex) =>
      instrument &&
      instrumentNow(
        instrument,
        {
          commands: first.filter((command) => command.symbolIndex === symbolIndex),
          events: events.filter((event) => event.symbolIndex === symbolIndex),
        },
        book.lastTicks(symbolIndex),
      ),
  );
  const restored = open({ ...session, instruments });
  symbolsOf(session).forEach((symbolIndex) => {
    for (const order of book.list(symbolIndex)) expect(restored.apply({ ...restoreOf(symbolIndex, order), tsNs: nowNs })).toEqual([]);
  });
  expect(listAll(restored, session)).toEqual(listAll(book, session));
  // A time command would let orders fall due; a refused one does not, but brings the region to the time.
  const [left, right] = [book, restored].map((one) =>
    [{ ...newCommand({ kind: L.COMMAND_KIND_CANCEL, symbolIndex: 2 ** 30 }), tsNs: nowNs }, ...rest].flatMap((command) =>
      one.apply(command),
    ),
  );
  expect(right).toEqual(left);
  expect(listAll(restored, session)).toEqual(listAll(book, session));
}

/** How often each kind of event, and each reason, comes in sessions. */
function census(sessions: readonly BookSession[]): Map<string, number> {
  const counts = new Map<string, number>();
  for (const session of sessions) {
    const book = open(session);
    for (const event of session.commands.flatMap((command) => book.apply(command))) {
      for (const key of [`kind ${event.kind}`, `reason ${event.reason}`]) counts.set(key, (counts.get(key) ?? 0) + 1);
    }
  }
  return counts;
}

describe('sessions', () => {
  it('reach every kind of event and every reason', () => {
    const counts = census([
      ...fc.sample(anySession, { numRuns: 250, seed: SEED ?? 5 }),
      ...fc.sample(honestSession, { numRuns: 150, seed: SEED ?? 5 }),
    ]);
    const expected = [
      ...Object.values(EVENT_KIND).map((kind) => `kind ${kind}`),
      ...Object.values(ORDER_REASON).map((reason) => `reason ${reason}`),
    ];
    expect(expected.filter((key) => !counts.has(key))).toEqual([]);
  });
});

describe('plain book', () => {
  it('conserves quantity, keeps priority, never stands crossed, and its log rebuilds it, in small pools', { timeout: 300_000 }, () => {
    fc.assert(fc.property(honestSession, expectSound), runs(150));
  });

  it('does so when orders set each other off', { timeout: 300_000 }, () => {
    fc.assert(fc.property(tangledSessions(120), expectSound), runs(150));
  });

  it('does so on a long flow like a market’s', { timeout: 120_000 }, () => {
    expectSound(makeFlow(SEED ?? 11, 800));
  });

  it('gives the same bytes for the same commands, whatever they are', { timeout: 300_000 }, () => {
    fc.assert(
      fc.property(anySession, (session) => {
        expect(bytesOf(session)).toBe(bytesOf(session));
      }),
      runs(150),
    );
  });

  it('goes on from a restored listing as if nothing had been', { timeout: 300_000 }, () => {
    fc.assert(
      fc.property(fc.oneof(honestSession, tangledSessions(120)), fc.nat(150), (session, cut) => {
        expectRestorable(session, Math.min(cut, session.commands.length));
      }),
      runs(150),
    );
  });
});

interface Gathered {
  readonly side: number;
  readonly priceTicks: number;
  readonly quantityLots: number;
  readonly isSliced: boolean;
}

/** U1 by looking at every price: undefined when nothing can trade. */
function bruteUncross(orders: readonly Gathered[], lastTicks: number): { priceTicks: number; volume: number } | undefined {
  const prices = [...new Set(orders.map((order) => order.priceTicks))].sort((one, other) => one - other);
  const sum = (chosen: readonly Gathered[]): number => chosen.reduce((total, order) => total + order.quantityLots, 0);
  const rows = prices.map((price) => {
    const buy = sum(orders.filter((order) => order.side === 0 && order.priceTicks >= price));
    const sell = sum(orders.filter((order) => order.side === 1 && order.priceTicks <= price));
    return { priceTicks: price, volume: Math.min(buy, sell), surplus: buy - sell };
  });
  const volume = Math.max(0, ...rows.map((row) => row.volume));
  if (volume === 0) return undefined;
  const byVolume = rows.filter((row) => row.volume === volume);
  const least = Math.min(...byVolume.map((row) => Math.abs(row.surplus)));
  const left = byVolume.filter((row) => Math.abs(row.surplus) === least);
  const [lowest, highest] = [left[0]!, left[left.length - 1]!];
  if (left.every((row) => row.surplus > 0)) return { priceTicks: highest.priceTicks, volume };
  if (left.every((row) => row.surplus < 0)) return { priceTicks: lowest.priceTicks, volume };
  if (lastTicks === L.ORDER_LIMIT_PRICE_NONE) return { priceTicks: highest.priceTicks, volume };
  const nearest = left.reduce((best, row) => (Math.abs(row.priceTicks - lastTicks) <= Math.abs(best.priceTicks - lastTicks) ? row : best));
  return { priceTicks: nearest.priceTicks, volume };
}

describe('uncross', () => {
  const anyGathered = fc.array(
    fc.record({
      side: fc.constantFrom(0, 1),
      priceTicks: fc.integer({ min: 95, max: 106 }),
      quantityLots: fc.integer({ min: 1, max: 9 }),
      isSliced: fc.boolean(),
    }),
    { maxLength: 14 },
  );
  const anyLast = fc.oneof(fc.constant(L.ORDER_LIMIT_PRICE_NONE), fc.integer({ min: 93, max: 108 }));

  it('U1 trades the most volume there is, at the price that brute force finds', () => {
    let crossed = 0;
    fc.assert(
      fc.property(anyGathered, anyLast, (orders, lastTicks) => {
        const book = createBookOracle({ symbols: 1, orders: 100, pages: 10, owners: 1 });
        const wide = { lowerTicks: -1000, upperTicks: 1000, tickStep: 1, lotStep: 1, minLots: 1, maxLots: 1000 };
        book.configure(0, { ...wide, phase: L.PHASE_CALL, lastTicks });
        orders.forEach(({ side, isSliced, ...order }, index) => {
          book.apply(
            newCommand({ ...order, orderId: BigInt(index + 1), displayLots: isSliced ? 1 : 0, attributes: attributesOf({ side }) }),
          );
        });
        const trades = book
          .apply(newCommand({ kind: L.COMMAND_KIND_PHASE, quantityLots: L.PHASE_CONTINUOUS }))
          .filter((event) => event.kind === L.EVENT_KIND_TRADE);
        const expected = bruteUncross(orders, lastTicks);
        expect(trades.reduce((sum, trade) => sum + trade.quantityLots, 0)).toBe(expected?.volume ?? 0);
        expect(new Set(trades.map((trade) => trade.priceTicks))).toEqual(new Set(expected ? [expected.priceTicks] : []));
        expectUncrossed(book, 0);
        if (expected) crossed += 1;
      }),
      runs(800),
    );
    expect(crossed).toBeGreaterThan(SEED === undefined ? 150 : 0);
  });
});
