/** The exchange beside its calendar, on a manual clock: phases change at their times, and again at the same places after a crash. */
import { describe, expect, it } from 'vitest';
import { ORDER_LIMIT, PHASE } from '../../../schemas/order-records.ts';
import { createManualClock } from '../../core/clock.ts';
import { assert } from '../../core/errors.ts';
import { setUpMatcher } from '../../kernel/matcher-core.ts';
import { createMatcherTwin } from '../../kernel/matcher-twin.ts';
import { restoreOf } from '../../market/order-command.ts';
import { type Catalogue, parseCatalogue } from './catalogue.ts';
import { createDoor } from './door.ts';
import { createEntryQueue } from './entry-queue.ts';
import type { StoredExchange } from './epoch.ts';
import { createExchange } from './exchange.ts';
import type { OrderJournal } from './journal.ts';
import type { AuditRow, FillRow, OrderRow } from './ledger.ts';
import type { MatcherLink } from './matcher-link.ts';
import type { Reply } from './reply.ts';

const MINUTE_MS = 60_000;
const at = (text: string): number => Date.parse(`${text}Z`);
const session = { timezone: 'UTC', openCall: '09:00', open: '09:15', closeCall: '15:30', close: '15:40', holidays: ['2026-03-03'] };
const books = (changes: object = {}) =>
  parseCatalogue(
    JSON.stringify({
      books: [
        { symbol: 'AAA', priceDecimals: 2, session: { ...session, ...changes } },
        { symbol: 'BBB', priceDecimals: 2 },
      ],
    }),
    'test books',
  );

function memoryJournal(): OrderJournal {
  const queue = createEntryQueue(0n);
  let nextOffset = 0n;
  return {
    identity: 'memory',
    get nextOffset() {
      return nextOffset;
    },
    get waiting() {
      return queue.waiting;
    },
    unsynced: 0,
    isFull: false,
    append(text) {
      queue.push({ offset: nextOffset, text });
      nextOffset += 1n;
    },
    take: queue.take,
    rewind: (offset) => assert(queue.rewind(offset), `offset ${offset} is kept`),
    release: async () => undefined,
    trouble: () => '',
    failure: () => undefined,
    close: async () => undefined,
  };
}

/** The plain book in place of the matcher's thread. */
function twinLink(catalogue: Catalogue, stored: StoredExchange): MatcherLink {
  const twin = createMatcherTwin({ symbols: catalogue.books.length, orders: 1024, pages: 64, owners: 2 });
  const instruments = catalogue.books.map((book) => {
    const found = stored.books.find(({ symbol }) => symbol === book.symbol);
    return { ...book, ...found, lastTicks: found?.lastTicks ?? ORDER_LIMIT.priceNone };
  });
  setUpMatcher(twin, { instruments, owners: [], restores: stored.books.flatMap(({ orders }) => orders) });
  return {
    run: async (commands) => commands.map((command) => twin.apply(command)),
    list: async (symbols) =>
      symbols.map((symbolIndex) => {
        const last = twin.lastTicks(symbolIndex);
        const orders = twin.list(symbolIndex).map((order) => restoreOf(symbolIndex, order));
        return { symbolIndex, lastTicks: last === ORDER_LIMIT.priceNone ? undefined : last, orders };
      }),
    stop: () => true,
  };
}

/** An exchange that can crash: what was committed stays, and so does the journal. */
function openRig(startMs: number, catalogue = books()) {
  const clock = createManualClock(startMs);
  const journal = memoryJournal();
  const fills: (FillRow & { readonly text: string })[] = [];
  const audits: AuditRow[] = [];
  const orders = new Map<bigint, OrderRow>();
  let stored: StoredExchange = { position: undefined, nextTradeId: 1n, live: [], books: [] };
  let isLosingCommits = false;
  let current = catalogue;

  const open = () =>
    createExchange({
      catalogue: current,
      journal,
      link: twinLink(current, stored),
      clock,
      stored: { ...stored, live: stored.live.map((order) => ({ ...order })) },
      baseEpoch: 0,
      isPublishing: true,
      publishedEpoch: () => 0,
      onReply: (stamp, reply) => door.reply(stamp, reply),
      onCommitted: () => undefined,
      store: {
        takenNames: async () => [],
        async commit({ changes, listings, position }) {
          if (isLosingCommits) throw new Error('the process died');
          for (const order of changes.orders) orders.set(order.orderId, { ...order });
          fills.push(
            ...changes.fills.map((fill) => ({ ...fill, text: `${fill.quantityLots}@${fill.priceTicks} ${fill.liquidity} ${fill.tsNs}` })),
          );
          audits.push(...changes.audits);
          const touched = new Set(listings.map(({ symbol }) => symbol));
          const live = [...orders.values()].filter(({ status }) => status === 'ACK' || status === 'PARTIAL');
          const rest = stored.books.filter(({ symbol }) => !touched.has(symbol));
          stored = { position, nextTradeId: changes.nextTradeId, live, books: [...rest, ...listings] };
        },
      },
    });
  const door = createDoor({ catalogue, clock });
  door.open(journal, { offset: 0n, tsNs: 0n });
  let exchange = open();

  const restart = (changed = current): void => {
    current = changed;
    journal.rewind(stored.position?.nextOffset ?? 0n);
    exchange = open();
  };
  const turns = async (): Promise<void> => {
    do await exchange.turn();
    while (journal.waiting > 0);
  };
  return {
    fills,
    audits,
    journal,
    turns,
    restart,
    phaseOf: (symbol: string): number | undefined => stored.books.find((book) => book.symbol === symbol)?.phase,
    async send(json: object): Promise<Reply | undefined> {
      let answer: Reply | undefined;
      door.take(JSON.stringify(json), (reply) => {
        answer = reply;
      });
      await turns();
      return answer;
    },
    async wait(untilMs: number, stepMs = MINUTE_MS): Promise<void> {
      while (clock.wallMs() < untilMs) {
        clock.advanceMs(Math.min(stepMs, untilMs - clock.wallMs()));
        await turns();
      }
    },
    advanceTo: (untilMs: number): void => clock.advanceMs(untilMs - clock.wallMs()),
    /** What the next turn does is lost before it is committed, and the process begins anew. */
    async crashInTurn(): Promise<void> {
      isLosingCommits = true;
      await expect(
        (async () => {
          await exchange.turn();
          await exchange.turn();
        })(),
      ).rejects.toThrow('the process died');
      isLosingCommits = false;
      restart();
    },
  };
}

const order = (side: string, qty: number, price: number, changes: object = {}): object => ({
  op: 'new',
  symbol: 'AAA',
  side,
  qty,
  price,
  ...changes,
});
const nsOf = (text: string): string => String(BigInt(at(text)) * 1_000_000n);

describe('the exchange and its calendar', () => {
  it('goes through call, uncross, trading, closing call, uncross and close, each at its time', async () => {
    const rig = openRig(at('2026-03-02T08:00:00'));
    await rig.turns();
    expect(rig.phaseOf('AAA')).toBe(PHASE.closed);
    expect(rig.phaseOf('BBB')).toBeUndefined();
    expect(await rig.send(order('BUY', 1, 100))).toMatchObject({ ok: false, err: 'session_closed' });
    expect(await rig.send(order('BUY', 1, 100, { symbol: 'BBB' }))).toMatchObject({ ok: true, status: 'ACK' });
    await rig.wait(at('2026-03-02T09:05:00'));
    expect(await rig.send(order('BUY', 10, 101, { tif: 'DAY', client_order_id: 'day' }))).toMatchObject({ status: 'ACK', fills: [] });
    expect(await rig.send(order('SELL', 4, 100, { client_order_id: 'seller' }))).toMatchObject({ status: 'ACK', fills: [] });
    await rig.wait(at('2026-03-02T10:00:00'));
    expect(rig.fills.map(({ text }) => text)).toEqual(Array(2).fill(`4@10100 auction ${nsOf('2026-03-02T09:15:00')}`));
    expect(await rig.send(order('SELL', 2, 101))).toMatchObject({ status: 'FILLED', fills: [{ qty: 2, price: 101 }] });
    await rig.wait(at('2026-03-02T15:35:00'));
    expect(await rig.send(order('SELL', 1, 101))).toMatchObject({ status: 'ACK', fills: [] });
    await rig.wait(at('2026-03-02T16:00:00'));
    expect(rig.fills.slice(4).map(({ text }) => text)).toEqual(Array(2).fill(`1@10100 auction ${nsOf('2026-03-02T15:40:00')}`));
    const ofDay = rig.audits.filter(({ clientOrderId }) => clientOrderId === 'day');
    expect(ofDay.map(({ to, note }) => `${to} ${note}`)).toEqual([
      'NEW insert',
      'ACK accepted',
      'PARTIAL auction',
      'PARTIAL maker',
      'PARTIAL auction',
      'EXPIRED session_end',
    ]);
    expect(String(ofDay.at(-1)?.tsNs)).toBe(nsOf('2026-03-02T15:40:00'));
    expect(await rig.send(order('BUY', 1, 100))).toMatchObject({ err: 'session_closed' });
  });

  it('stays closed over a holiday and opens on the day behind it', async () => {
    const rig = openRig(at('2026-03-02T15:39:00'));
    await rig.wait(at('2026-03-03T12:00:00'), 30 * MINUTE_MS);
    expect(rig.phaseOf('AAA')).toBe(PHASE.closed);
    await rig.wait(at('2026-03-04T12:00:00'), 30 * MINUTE_MS);
    expect(rig.phaseOf('AAA')).toBe(PHASE.continuous);
  });

  it('closes a short day at its own time, with the day orders', async () => {
    const rig = openRig(at('2026-03-05T10:00:00'), books({ specialDays: [{ date: '2026-03-05', open: '09:15', close: '12:30' }] }));
    await rig.send(order('BUY', 1, 100, { tif: 'DAY', client_order_id: 'day' }));
    await rig.wait(at('2026-03-05T12:29:00'));
    expect(rig.phaseOf('AAA')).toBe(PHASE.continuous);
    await rig.wait(at('2026-03-05T12:31:00'));
    expect(rig.phaseOf('AAA')).toBe(PHASE.closed);
    expect(rig.audits.at(-1)).toMatchObject({ clientOrderId: 'day', to: 'EXPIRED', note: 'session_end' });
  });

  it('changes a phase before the order that comes after its time, however late the clock is looked at', async () => {
    const rig = openRig(at('2026-03-02T09:14:59'));
    await rig.send(order('SELL', 3, 100));
    await rig.send(order('BUY', 3, 100));
    rig.advanceTo(at('2026-03-02T15:45:00'));
    expect(await rig.send(order('BUY', 1, 100))).toMatchObject({ err: 'session_closed' });
    expect(rig.fills.map(({ text }) => text)).toEqual(Array(2).fill(`3@10000 auction ${nsOf('2026-03-02T09:15:00')}`));
  });

  it('lets an order of a date expire at its time, by an entry of the journal', async () => {
    const rig = openRig(at('2026-03-02T10:00:00'));
    const gtd = { tif: 'GTD', valid_until: at('2026-03-02T11:00:00'), client_order_id: 'gtd' };
    await rig.send(order('BUY', 1, 100, gtd));
    const before = rig.journal.nextOffset;
    await rig.wait(at('2026-03-02T10:59:00'));
    expect(rig.journal.nextOffset).toBe(before);
    await rig.wait(at('2026-03-02T11:30:00'));
    expect(rig.journal.nextOffset).toBe(before + 1n);
    expect(rig.audits.at(-1)).toMatchObject({ clientOrderId: 'gtd', to: 'EXPIRED', note: 'time_passed' });
  });

  it('lets an order expire at its time while others are busy with another symbol', async () => {
    const rig = openRig(at('2026-03-02T10:00:00'));
    await rig.send(order('BUY', 1, 100, { tif: 'GTD', valid_until: at('2026-03-02T10:05:00'), client_order_id: 'gtd' }));
    for (let minute = 1; minute < 8; minute += 1) {
      rig.advanceTo(at('2026-03-02T10:00:00') + minute * MINUTE_MS);
      await rig.send(order('BUY', 1, 90, { symbol: 'BBB' }));
      const isExpired = rig.audits.some(({ clientOrderId, to }) => clientOrderId === 'gtd' && to === 'EXPIRED');
      expect(isExpired, `minute ${minute}`).toBe(minute >= 5);
    }
  });

  it('tells an uncross from trading also when orders expire right before it', async () => {
    const rig = openRig(at('2026-03-02T09:05:00'));
    await rig.send(order('BUY', 9, 90, { tif: 'GTD', valid_until: at('2026-03-02T09:15:00') }));
    await rig.send(order('BUY', 2, 101));
    await rig.send(order('SELL', 2, 101));
    rig.advanceTo(at('2026-03-02T09:20:00'));
    await rig.turns();
    expect(rig.audits.some(({ note }) => note === 'time_passed')).toBe(true);
    expect(rig.fills.map(({ liquidity }) => liquidity)).toEqual(['auction', 'auction']);
  });

  it('an operator may change a phase between two changes; the next one is made all the same', async () => {
    const rig = openRig(at('2026-03-02T10:00:00'));
    await rig.turns();
    await rig.send({ op: 'phase', symbol: 'AAA', phase: 'halted' });
    rig.restart();
    await rig.wait(at('2026-03-02T15:29:00'), 30 * MINUTE_MS);
    expect(rig.phaseOf('AAA')).toBe(PHASE.halted);
    await rig.wait(at('2026-03-02T15:31:00'));
    expect(rig.phaseOf('AAA')).toBe(PHASE.call);
  });

  it('a book that gets a calendar takes the phase of the moment; one that loses it keeps its own', async () => {
    const without = parseCatalogue('{"books":[{"symbol":"AAA","priceDecimals":2}]}', 'test books');
    const rig = openRig(at('2026-03-02T20:00:00'), without);
    await rig.send(order('BUY', 1, 100));
    expect(rig.phaseOf('AAA')).toBe(PHASE.continuous);
    rig.restart(books());
    await rig.turns();
    expect(rig.phaseOf('AAA')).toBe(PHASE.closed);
    rig.restart(without);
    await rig.wait(at('2026-03-03T20:00:00'), 60 * MINUTE_MS);
    expect(rig.phaseOf('AAA')).toBe(PHASE.closed);
  });

  it.each(['2026-03-02T09:20:00', '2026-03-02T16:00:00', '2026-03-09T12:00:00'])(
    'after a crash in the call, and a return at %s, the call is uncrossed at its time, once, and day orders are gone with their day',
    async (back) => {
      const rig = openRig(at('2026-03-02T09:05:00'));
      await rig.send(order('BUY', 5, 100, { tif: 'DAY', client_order_id: 'day' }));
      await rig.send(order('SELL', 2, 100));
      rig.advanceTo(at(back));
      await rig.crashInTurn();
      await rig.crashInTurn();
      await rig.turns();
      await rig.turns();
      expect(rig.fills.map(({ text }) => text)).toEqual(Array(2).fill(`2@10000 auction ${nsOf('2026-03-02T09:15:00')}`));
      const isOver = back !== '2026-03-02T09:20:00';
      const expired = rig.audits.filter(({ to }) => to === 'EXPIRED');
      expect(expired.map(({ clientOrderId, tsNs }) => `${clientOrderId} ${tsNs}`)).toEqual(
        isOver ? [`day ${nsOf('2026-03-02T15:40:00')}`] : [],
      );
      expect(rig.phaseOf('AAA')).toBe(back === '2026-03-02T16:00:00' ? PHASE.closed : PHASE.continuous);
    },
  );

  it('crashes at any time change nothing of what comes of the same requests', async () => {
    const day = async (crashes: boolean): Promise<string[]> => {
      const rig = openRig(at('2026-03-02T08:58:00'));
      for (let minute = 0; minute < 420; minute += 7) {
        const toMs = at('2026-03-02T08:58:00') + minute * MINUTE_MS;
        rig.advanceTo(toMs);
        const name = `o${minute}`;
        const sending = { ...order(minute % 2 === 0 ? 'BUY' : 'SELL', 1 + (minute % 5), 100 + (minute % 3) / 100), client_order_id: name };
        if (crashes && minute > 0) rig.restart();
        await rig.send({ ...sending, tif: minute % 4 === 0 ? 'DAY' : 'GTC' });
        if (crashes) rig.restart();
      }
      return [
        ...rig.fills.map(({ text }) => text),
        ...rig.audits.map(({ clientOrderId, to, note, tsNs }) => `${clientOrderId} ${to} ${note} ${tsNs}`),
      ];
    };
    const calm = await day(false);
    expect(calm.filter((line) => line.includes('auction')).length).toBeGreaterThan(8);
    expect(await day(true)).toEqual(calm);
  });

  it.each([
    [{ open: undefined }, 'session: open missing, and INSTRUMENTS_FILE has no session of the symbol'],
    [{ openCall: '09:16' }, 'session: times 09:16, 09:15, 15:30, 15:40: expected openCall'],
    [{ timezone: 'Mars/Olympus' }, 'expected a time zone'],
    [{ holidays: ['2026-02-30'] }, 'expected a date YYYY-MM-DD'],
    [{ close: '24:00' }, 'expected HH:MM or HH:MM:SS'],
    [{ days: ['someday'] }, 'books.0.session.days.0'],
  ])('refuses a session of %o', (changes, text) => {
    expect(() => books(changes)).toThrow(text);
  });

  it('takes what a session does not say from the instrument', async () => {
    const text = '{"books":[{"symbol":"AAA","priceDecimals":2,"session":{"openCall":"09:00"}}]}';
    const catalogue = parseCatalogue(text, 'test books', () => ({ timezone: 'Asia/Kolkata', open: '09:15', close: '15:30' }));
    const rig = openRig(at('2026-03-02T03:40:00'), catalogue);
    await rig.turns();
    expect(rig.phaseOf('AAA')).toBe(PHASE.call);
    await rig.wait(at('2026-03-02T03:46:00'));
    expect(rig.phaseOf('AAA')).toBe(PHASE.continuous);
  });
});
