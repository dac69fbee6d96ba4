/** Requests against files that do not tell of each order: recorded frames, quotes and trades, and files written by hand. */
import { existsSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, it } from 'vitest';
import { loadProcessConfig } from '../../../config/load.ts';
import { PROJECT_ROOT } from '../../core/root.ts';
import { type PaperFlags, runPaperCommand } from './command.ts';

const folder = mkdtempSync(join(tmpdir(), 'tickwright-paper-'));
afterAll(() => rmSync(folder, { recursive: true, force: true }));
let written = 0;

function file(lines: readonly string[], name = `file-${written++}`): string {
  const path = join(folder, name);
  writeFileSync(path, `${lines.join('\n')}\n`);
  return path;
}

interface Answer {
  readonly event?: string;
  readonly order?: string;
  readonly ts?: string;
  readonly price?: string;
  readonly quantity?: number;
  readonly cause?: string;
  readonly reasonName?: string;
  readonly aheadAtEntry?: number | null;
  readonly report?: {
    readonly models: string;
    readonly feed: {
      readonly ground: string;
      readonly gaps?: number;
      readonly cannotKnow: readonly string[];
      readonly units: readonly object[];
    };
    readonly orders: readonly { readonly id: string; readonly why: readonly string[] }[];
  };
}

async function play(
  files: string[],
  requests: readonly object[],
  flags: Omit<PaperFlags, 'requests'> = {},
  settings?: object,
): Promise<Answer[]> {
  const lines: string[] = [];
  const more = settings === undefined ? {} : { settings: file([JSON.stringify(settings)]) };
  await runPaperCommand(files, { ...flags, ...more, requests: file(requests.map((each) => JSON.stringify(each))) }, (line) =>
    lines.push(line),
  );
  // A cast: the lines that the command itself has written.
  return lines.map((line) => JSON.parse(line) as Answer);
}

const frame = (stream: string, data: object): string => `1000000000000000000 ${JSON.stringify({ stream, data })}`;
const difference = (tsMs: number, [first, last]: [number, number], bids: [string, string][], asks: [string, string][]): string =>
  frame('x@depth', { e: 'depthUpdate', E: tsMs, s: 'XYZ', U: first, u: last, b: bids, a: asks });
const trade = (tsMs: number, price: string, quantity: string, isBuyerMaker: boolean): string =>
  frame('x@trade', { e: 'trade', E: tsMs, s: 'XYZ', p: price, q: quantity, T: tsMs, m: isBuyerMaker });
const ticker = (id: number, bid: [string, string], ask: [string, string]): string =>
  frame('x@bookTicker', { u: id, s: 'XYZ', b: bid[0], B: bid[1], a: ask[0], A: ask[1] });
const SNAPSHOT = `1000000000000000000 ${JSON.stringify({
  lastUpdateId: 10,
  bids: [
    ['99.00', '8.0'],
    ['98.00', '5.0'],
  ],
  asks: [['101.00', '6.0']],
})}`;
const units = { tickSize: '1', lotSize: '1' };
const buy = (ms: number, id: string, price: string, quantity: number): object => ({
  op: 'new',
  ts: `${ms}000000`,
  id,
  side: 'buy',
  price,
  quantity,
});

describe('requests against frames of levels', () => {
  const begin = [difference(1000, [9, 10], [['97.00', '1.0']], []), SNAPSHOT];

  it('wait for their turn by what traded and what was withdrawn, and are filled when it comes', async () => {
    const path = file([
      ...begin,
      difference(1100, [11, 11], [['97.00', '2.0']], []),
      // The trade is received behind the sizes that it left.
      difference(1300, [12, 12], [['99.00', '3.0']], []),
      trade(1250, '99.00', '5.0', true),
      trade(1350, '99.00', '3.0', true),
      trade(1360, '99.00', '2.0', true),
      difference(1400, [13, 13], [['99.00', '0.0']], []),
      difference(3000, [14, 14], [], [['101.00', '7.0']]),
    ]);
    const lines = await play([path], [buy(1150, 'a', '99.00', 2)], units);
    expect(lines.slice(0, -1)).toMatchObject([
      { event: 'accepted', order: 'a' },
      { event: 'fill', ts: '1400000000', price: '99.000000000', quantity: 2, cause: 'turn', aheadAtEntry: 8 },
    ]);
    expect(lines.at(-1)?.report).toMatchObject({
      models: expect.stringContaining('queue behind;'),
      feed: { ground: 'levels', gaps: 0, units: [{ symbol: 'XYZ', tick: '1.000000000', lot: '1.000000000' }] },
    });
    expect(lines.at(-1)?.report?.feed.cannotKnow.join()).toContain('whose lots were withdrawn');
  });

  it('take what is shown, and keep their place over a gap, in which nobody comes to the front for nothing', async () => {
    const path = file([
      ...begin,
      difference(1100, [11, 11], [['97.00', '2.0']], []),
      difference(1300, [20, 21], [['99.00', '1.0']], []),
      trade(1400, '99.00', '3.0', true),
      `1000000000000000000 ${JSON.stringify({ lastUpdateId: 21, bids: [['99.00', '9.0']], asks: [['101.00', '6.0']] })}`,
      difference(1500, [22, 22], [['99.00', '9.0']], []),
      trade(1600, '99.00', '4.0', true),
      difference(1700, [23, 23], [['99.00', '5.0']], []),
    ]);
    const lines = await play([path], [buy(1150, 'a', '99.00', 1), buy(1150, 'b', '101.00', 2)], units);
    expect(lines.filter(({ event }) => event === 'fill')).toMatchObject([
      { order: 'b', price: '101.000000000', quantity: 2, cause: 'took' },
    ]);
    const { report } = lines.at(-1) ?? {};
    expect(report?.feed.gaps).toBe(1);
    expect(report?.orders[0]?.why[0]).toContain('8 lots ahead at entry, 1 lot now');
  });

  it('before the first snapshot nothing is known: nothing is taken, and a place is given by the first sizes', async () => {
    const lines = await play(
      [file([...begin, trade(1200, '99.00', '8.0', true), difference(1300, [11, 11], [['99.00', '8.0']], [])])],
      [buy(900, 'a', '99.00', 1), buy(900, 'b', '101.00', 1)],
      units,
    );
    expect(lines.filter(({ event }) => event === 'fill')).toMatchObject([{ order: 'b', cause: 'crossed' }]);
  });

  it('looked at as quotes or as trades, say which model they took and what they cannot know', async () => {
    const path = file([
      ticker(1, ['99.00', '4.0'], ['101.00', '6.0']),
      trade(1000, '99.00', '1.0', true),
      ticker(2, ['99.00', '4.0'], ['101.00', '6.0']),
      trade(2000, '99.00', '4.0', true),
      ticker(3, ['99.00', '1.0'], ['101.00', '6.0']),
      trade(3000, '99.00', '3.0', true),
      ticker(4, ['98.00', '1.0'], ['101.00', '6.0']),
      trade(4000, '98.00', '1.0', true),
      ticker(5, ['98.00', '1.0'], ['101.00', '6.0']),
    ]);
    const requests = [buy(1500, 'a', '99.00', 1)];
    const quotes = await play([path], requests, { ...units, shows: 'quotes' });
    expect(quotes.filter(({ event }) => event === 'fill')).toMatchObject([{ ts: '3000000000', aheadAtEntry: 4, cause: 'turn' }]);
    expect(quotes.at(-1)?.report).toMatchObject({ models: expect.stringContaining('queue behind;'), feed: { ground: 'quotes' } });
    const trades = await play([path], requests, { ...units, shows: 'trades' });
    expect(trades.filter(({ event }) => event === 'fill')).toMatchObject([{ ts: '2000000000', aheadAtEntry: 0, cause: 'turn' }]);
    expect(trades.at(-1)?.report).toMatchObject({
      models: expect.stringContaining('queue assumed (0 lots ahead);'),
      feed: { ground: 'trades' },
    });
    const later = await play([path], requests, { ...units, shows: 'trades' }, { assumedAheadLots: 6 });
    expect(later.filter(({ event }) => event === 'fill')).toMatchObject([{ ts: '3000000000', aheadAtEntry: 6 }]);
    await expect(play([path], requests, { ...units, shows: 'trades' }, { model: 'ahead' })).rejects.toThrow(
      'the feed shows trades only; take assumed',
    );
    await expect(play([path], requests, { ...units, shows: 'orders' })).rejects.toThrow(
      `--shows 'orders': expected one of levels, quotes, trades`,
    );
  });
});

describe('requests against ticks', () => {
  it('of trades alone wait until trades reach them; a market order finds nothing', async () => {
    const path = file(['symbol,ts_ns,price,quantity', 'ABC,1000,10.00,5', 'ABC,2000,9.99,5', 'ABC,3000,9.98,1'], 'trades.csv');
    const at = { op: 'new', side: 'buy', quantity: 2 };
    const lines = await play(
      [path],
      [
        { ...at, ts: '1500', id: 'limit', price: '9.99' },
        { ...at, ts: '1500', id: 'low', price: '9.90' },
        { ...at, ts: '1500', id: 'market', type: 'market', timeInForce: 'ioc' },
      ],
    );
    expect(lines.slice(3, -1)).toMatchObject([
      { event: 'cancelled', order: 'market', reasonName: 'noLiquidity' },
      { event: 'fill', order: 'limit', price: '9.990000000', quantity: 2 },
    ]);
    expect(lines.at(-1)?.report?.feed.ground).toBe('trades');
  });

  it('of quotes without sizes are filled at the quote of the other side, and models that need sizes are refused', async () => {
    const path = file(['symbol,ts_ns,bid,ask', 'ABC,1000,10.00,10.02', 'ABC,2000,9.97,9.99', 'ABC,3000,9.95,9.97'], 'quotes.csv');
    const requests = [
      { op: 'new', side: 'buy', quantity: 500, ts: '1500', id: 'waits', price: '9.98' },
      { op: 'new', side: 'sell', quantity: 500, ts: '1500', id: 'takes', price: '9.90' },
    ];
    const lines = await play([path], requests);
    expect(lines.filter(({ event }) => event === 'fill')).toMatchObject([
      { order: 'takes', price: '10.000000000', quantity: 500, cause: 'took' },
      { order: 'waits', price: '9.980000000', quantity: 500, cause: 'crossed' },
    ]);
    expect(lines.at(-1)?.report?.feed).toMatchObject({ ground: 'bareQuotes' });
    await expect(play([path], requests, {}, { model: 'behind' })).rejects.toThrow(
      'needs sizes, the feed shows quotes without them; take assumed',
    );
    await expect(play([path], requests, { symbol: 'ZZZ' })).rejects.toThrow('no tick of ZZZ');
    await expect(play([path], requests, { shows: 'trades' })).rejects.toThrow(
      'holds no frames of levels, quotes and trades to choose from',
    );
  });
});

const data = join(PROJECT_ROOT, loadProcessConfig().config.DATA_DIR);
const isThere = existsSync(data);
describe.skipIf(!isThere)(`recorded markets${isThere ? '' : ' (skipped: DATA_DIR is absent)'}`, () => {
  it('fill by trades no order before ahead does, on levels of a coin-margined future', async () => {
    const files = [join(data, 'binance', 'cm', 'btcusd_perp_20240808.gz')];
    const requests = Array.from({ length: 40 }, (_, index) => ({
      op: 'new',
      ts: `${1_723_161_300_000 + index * 500}000000`,
      id: `o${index}`,
      side: index % 2 === 0 ? 'buy' : 'sell',
      price: (61_800 + (index % 10) * 2).toFixed(1),
      quantity: 3,
      isPostOnly: true,
    }));
    const filledAt = async (model: string): Promise<Map<string, bigint>> => {
      const lines = await play(files, requests, {}, { model });
      expect(lines.at(-1)?.report).toMatchObject({
        feed: { ground: 'levels', gaps: 0, units: [{ symbol: 'BTCUSD_PERP', tick: '0.100000000', lot: '1.000000000' }] },
      });
      const fills = lines.filter(({ event }) => event === 'fill');
      return new Map(fills.map(({ order = '', ts = '0' }) => [order, BigInt(ts)]));
    };
    const [trades, ahead] = [await filledAt('trades'), await filledAt('ahead')];
    expect(trades.size).toBeGreaterThan(10);
    for (const [order, tsNs] of trades) expect(ahead.get(order), order).toBeLessThanOrEqual(tsNs);
  }, 120_000);

  it('of quotes (EURUSD) are taken at the quote', async () => {
    const fx = join(data, 'oanda-fx', 'tick', 'eurusd', '20140501_quote.zip');
    const market = { op: 'new', ts: '1398906000000000000', id: 'a', side: 'buy', type: 'market', quantity: 1000, timeInForce: 'ioc' };
    const lines = await play([fx], [market]);
    expect(lines.at(-1)?.report?.feed).toMatchObject({ ground: 'bareQuotes', units: [{ symbol: 'EURUSD', tick: '0.000010000' }] });
    expect(lines.filter(({ event }) => event === 'fill')).toMatchObject([{ quantity: 1000, cause: 'took' }]);
  }, 120_000);

  it('of trades (gold, one expiry of many) are waited for', async () => {
    const gold = join(data, 'comex-gold', 'tick', '20131007_trade.zip');
    const far = { op: 'new', ts: '1381104000000000000', id: 'far', side: 'buy', price: '1000.0', quantity: 1 };
    const lines = await play([gold], [far, { ...far, id: 'near', price: '1325.0' }], { symbol: 'GC201312' });
    expect(lines.at(-1)?.report?.feed).toMatchObject({ ground: 'trades', units: [{ symbol: 'GC201312', tick: '0.100000000' }] });
    expect(lines.filter(({ event }) => event === 'fill')).toMatchObject([{ order: 'near', quantity: 1, price: '1325.000000000' }]);
  }, 120_000);
});
