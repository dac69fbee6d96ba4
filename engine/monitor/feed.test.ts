/** What `npm run feed` finds in the recorded files. */
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { loadProcessConfig } from '../../config/load.ts';
import { PROJECT_ROOT } from '../core/root.ts';
import { priceText, replayFeed, runFeed } from './feed.ts';

const folder = join(PROJECT_ROOT, loadProcessConfig().config.DATA_DIR);
const isThere = existsSync(folder);
const ES = join(folder, 'dbn/es-2024-05-08-two-seconds.mbo.dbn.zst');
const AAPL = join(folder, 'lobster/AAPL_2012-06-21_34200000_57600000');

describe.skipIf(!isThere)(`recorded feeds${isThere ? '' : ' (skipped: DATA_DIR is absent)'}`, () => {
  it('ES: reports the book, and foretells all trades but one, which self-match prevention of the venue decided', async () => {
    const report = await replayFeed([ES], { predict: true });
    expect(report).toMatchObject({
      format: 'dbn',
      messages: 13_796,
      tradedLots: 6,
      firstNs: '1714910404570304567',
      lastNs: '1715126401995601491',
      symbols: [
        {
          symbol: 'ESM4',
          tick: '0.25',
          resting: 13_598,
          bids: { orders: 8335, levels: 976, lots: 26_220, best: '5214.00' },
          asks: { orders: 5263, levels: 571, lots: 19_752, best: '5214.25' },
        },
      ],
      prediction: { events: 5, exactEvents: 4, lots: 6, exactLots: 5, misses: { makerCancelled: { events: 1, lots: 1 } } },
    });
  });

  it('LOBSTER: foretells every trade event but those with hidden orders and sizes from before the file', async () => {
    const { prediction } = await replayFeed([`${AAPL}_message_10.csv`, `${AAPL}_orderbook_10.csv`], { predict: true });
    expect(prediction).toMatchObject({
      events: 90,
      lots: 10_592,
      misses: { priority: { events: 0 }, price: { events: 0 }, makerCancelled: { events: 0 } },
    });
    expect(prediction?.misses.hidden.events).toBe(41);
    expect((prediction?.exactEvents ?? 0) + (prediction?.misses.unknownOrder.events ?? 0)).toBe(49);
    expect(prediction?.exactEvents).toBeGreaterThanOrEqual(46);
  });

  it('prints the report as text and as JSON, depth frames too', async () => {
    const lines: string[] = [];
    await runFeed([ES], {}, (line) => lines.push(line));
    const text = lines.join('\n');
    expect(text).toContain('actions   add 13,678, cancel 80, modify 27, trade 5, fill 5, clear 1');
    expect(text).toContain('bids      8,335 orders, 976 levels, 26,220 lots, best 5214.00');
    expect(text).toContain('time      2024-05-05T12:00:04.570304567Z to 2024-05-08T00:00:01.995601491Z');
    const json: string[] = [];
    await runFeed([ES], { json: true, symbol: 'ESM4' }, (line) => json.push(line));
    expect(JSON.parse(json.join(''))).toMatchObject({ messages: 13_796, refused: { offTick: 0 }, prediction: null });
    const depth: string[] = [];
    await runFeed([join(folder, 'binance/usdm/ethusdt_20240808.gz')], {}, (line) => depth.push(line));
    expect(depth.join('\n')).toContain('ETHUSDT: live; applied 6,581, old 5, gaps 0, resyncs 1');
    expect(depth.join('\n')).toContain('551 of 551 equal');
  });

  it('refuses options that cannot be', async () => {
    await expect(replayFeed([ES], { predict: true, orders: '0' })).rejects.toThrow("--orders '0': expected a whole number, 1 to 4194304");
    await expect(replayFeed([ES], { predict: true, orders: '100' })).rejects.toThrow(/reason 23/);
    await expect(replayFeed([ES], { tickSize: 'x' })).rejects.toThrow(/tick size 'x'/);
    await expect(replayFeed([`${AAPL}_message_10.csv`], { date: '2012-02-30' })).rejects.toThrow(/date '2012-02-30': expected YYYY-MM-DD/);
    await expect(replayFeed([ES, `${AAPL}_message_10.csv`])).rejects.toThrow(/files of dbn and lobster; expected one format/);
  });
});

it('writes prices without superfluous zeros', () => {
  expect([priceText(20_857, 250_000_000), priceText(-3, 10_000_000), priceText(5_214, 1_000_000_000), priceText(1, 1)]).toEqual([
    '5214.25',
    '-0.03',
    '5214.00',
    '0.000000001',
  ]);
});
