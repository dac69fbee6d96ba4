import { describe, expect, it } from 'vitest';
import { BOOK_FLAG, type BookBatch, createBookBatch } from '../../market/book-message.ts';
import type { DepthKind, DepthMessage } from '../../market/depth-message.ts';
import { createFeedBook } from '../../market/feed-book.ts';
import { parsePaperSettings } from '../paper/settings.ts';
import { createReducer } from './reduce.ts';
import { runTwins } from './run.ts';
import { openSeededFlow } from './seeded-flow.ts';
import type { FlowStyle } from './seeded-publisher.ts';
import { describeRun, scoreRun, type TwinScore } from './twin-report.ts';

const SEED = Number(process.env['SEED'] ?? 7);
const STYLES: readonly FlowStyle[] = ['executions', 'trades'];

async function flow(style: FlowStyle, commands: number): Promise<BookBatch> {
  const batch = createBookBatch(commands * 4);
  const feed = openSeededFlow({ seed: SEED, commands, style });
  await feed.read(batch);
  return batch;
}

describe(`a feed that shows less, SEED=${SEED}`, () => {
  it.each(STYLES)('of levels has the sizes of the book at the end of each event, and every lot that traded, %s', async (style) => {
    const batch = await flow(style, 2000);
    const reducer = createReducer({ shows: 'levels', everyNs: 0n, watched: new Set() });
    const book = createFeedBook();
    const sides = [new Map<number, number>(), new Map<number, number>()] as const;
    let traded = 0;
    for (let index = 0; index < batch.count; index += 1) {
      book.apply(batch, index, index + 1);
      for (const message of reducer.apply(batch, index)) {
        if (message.kind === 'trade') traded += message.lots;
        if (message.kind !== 'level') continue;
        if (message.lots === 0) sides[message.side].delete(message.priceTicks);
        else sides[message.side].set(message.priceTicks, message.lots);
      }
      if ((batch.flags[index]! & BOOK_FLAG.last) === 0) continue;
      for (const side of [0, 1] as const) {
        const expected = book
          .symbol(0)
          .levels(side)
          .map(({ priceTicks, quantityLots }) => [priceTicks, quantityLots] as const);
        expect([...sides[side]].toSorted(([one], [other]) => one - other)).toEqual(expected.toSorted(([one], [other]) => one - other));
      }
    }
    expect(traded).toBeGreaterThan(500);
  });

  it('tells sizes as often as it is to, and trades at once', async () => {
    const batch = await flow('trades', 2000);
    const tell = (shows: DepthKind, everyNs: bigint): DepthMessage[] => {
      const reducer = createReducer({ shows, everyNs, watched: new Set() });
      return Array.from({ length: batch.count }, (_, index) => [...reducer.due(batch, index), ...reducer.apply(batch, index)]).flat();
    };
    const settles = tell('levels', 100_000_000n).filter(({ kind }) => kind === 'settle');
    expect(settles.length).toBeGreaterThan(50);
    for (const [place, { tsNs }] of settles.entries()) {
      if (place > 0) expect(tsNs - (settles[place - 1]?.tsNs ?? 0n)).toBeGreaterThanOrEqual(100_000_000n);
    }
    // No event waits for longer than that to be told, whenever the next one comes.
    for (let index = 0; index < batch.count; index += 1) {
      const tsNs = batch.tsNs[index]!;
      const later = settles.find((settle) => settle.tsNs >= tsNs);
      if (later !== undefined) expect(later.tsNs - tsNs).toBeLessThanOrEqual(100_000_000n);
    }
    const trades = (messages: DepthMessage[]): DepthMessage[] => messages.filter(({ kind }) => kind === 'trade');
    expect(trades(tell('levels', 100_000_000n))).toEqual(trades(tell('trades', 0n)));
    expect(tell('trades', 0n).every(({ kind }) => kind === 'trade' || kind === 'settle')).toBe(true);
    expect(tell('quotes', 0n).some(({ kind }) => kind === 'level')).toBe(false);
  });

  const scoresOf = async (shows: 'orders' | DepthKind, models: readonly string[], everyNs = 0n): Promise<TwinScore[]> => {
    const open = () => Promise.resolve(openSeededFlow({ seed: SEED, commands: 4000, style: 'trades' }));
    const settings = models.map((model) => parsePaperSettings({ model }));
    const { runs } = await runTwins(open, { orders: 400, seed: SEED, settings, view: { shows, everyNs } });
    for (const run of runs) expect(describeRun(run)[0]).toContain(`sees ${shows === 'orders' ? 'every order' : shows}`);
    return runs.map(scoreRun);
  };

  it('lets a model that looks at trades and levels do as it does where orders are shown', async () => {
    const models = ['trades', 'behind'];
    const [trades, behind] = await scoresOf('levels', models);
    const [tradesByOrders, behindByOrders] = await scoresOf('orders', models);
    expect(trades).toEqual(tradesByOrders);
    expect(behind).toMatchObject({ earlyCount: 0, falseCount: 0 });
    expect(Math.abs((behind?.onTimeCount ?? 0) - (behindByOrders?.onTimeCount ?? 0))).toBeLessThan(10);
  });

  it('makes a model no better the less it shows', async () => {
    const [levels] = await scoresOf('levels', ['behind']);
    const [quotes] = await scoresOf('quotes', ['behind']);
    const [trades] = await scoresOf('trades', ['assumed']);
    expect(quotes).toMatchObject({ earlyCount: 0, falseCount: 0 });
    expect(levels?.onTimeCount).toBeGreaterThan(quotes?.onTimeCount ?? 0);
    expect(quotes?.onTimeCount).toBeGreaterThan(trades?.onTimeCount ?? 0);
    expect(trades?.earlyCount).toBeGreaterThan(20);
  });

  it('refuses models that need more', async () => {
    await expect(scoresOf('trades', ['behind'])).rejects.toThrow('queue model behind: needs sizes of levels, the feed shows trades only');
    await expect(scoresOf('levels', ['exact'])).rejects.toThrow('queue model exact: needs order-by-order data, the feed shows levels');
  });
});
