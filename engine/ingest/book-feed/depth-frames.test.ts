/** Recorded depth differences against the venue's own best prices of the same updates. */
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { loadProcessConfig } from '../../../config/load.ts';
import { PROJECT_ROOT } from '../../core/root.ts';
import { createDepthBook, type DepthBook } from '../../market/depth-book.ts';
import { type DepthTicker, numberingOf, parseDepthLine, readDepthFrames } from './depth-frames.ts';

const folder = join(PROJECT_ROOT, loadProcessConfig().config.DATA_DIR, 'binance');
const isThere = existsSync(folder);
const DECIMALS = { price: 8, quantity: 8 };

describe.skipIf(!isThere)(`recorded depth${isThere ? '' : ' (skipped: DATA_DIR is absent)'}`, () => {
  it.each([
    ['spot', ['spot/btcusdt_20240808.gz', 'spot/btcusdt_20240809.gz']],
    ['coin-margined', ['cm/btcusd_perp_20240808.gz', 'cm/btcusd_perp_20240809.gz']],
    ['USD-margined', ['usdm/ethusdt_20240808.gz']],
  ])('%s: the book has the best prices and sizes that the venue gives for the same update', async (_, files) => {
    let book: DepthBook | undefined;
    const tickers = new Map<number, DepthTicker>();
    const tops = new Map<number, DepthTicker>();
    for await (const frame of readDepthFrames(
      files.map((file) => join(folder, file)),
      DECIMALS,
    )) {
      if (frame.kind === 'difference') {
        book ??= createDepthBook({ numbering: numberingOf(frame.difference), bufferCapacity: 1000 });
        book.difference(frame.difference);
        const [bid, ask] = [book.best(0), book.best(1)];
        if (bid && ask) tops.set(book.lastId, { id: book.lastId, bid: [bid.price, bid.quantity], ask: [ask.price, ask.quantity] });
      } else if (frame.kind === 'snapshot') expect(book?.snapshot(frame.snapshot)).toBe(true);
      else if (frame.kind === 'ticker') tickers.set(frame.ticker.id, frame.ticker);
      else expect(frame.kind).toBe('trade');
    }
    const shared = [...tops.values()].filter(({ id }) => tickers.has(id));
    expect(shared.length).toBeGreaterThan(500);
    expect(shared).toEqual(shared.map(({ id }) => tickers.get(id)));
    expect(book?.counts).toMatchObject({ gaps: 0, resyncs: 1, refusedSnapshots: 0, overflowed: 0 });
  });
});

it('refuses what is no frame, and numbers with more decimals than are counted', () => {
  const kindOf = (line: string): string => parseDepthLine(line, { price: 2, quantity: 3 }).kind;
  const difference = (price: string): string =>
    `1 {"stream":"s","data":{"e":"depthUpdate","s":"X","U":1,"u":2,"b":[["${price}","1.000"]],"a":[]}}`;
  expect(kindOf(difference('1.25'))).toBe('difference');
  expect(kindOf(difference('1.2500'))).toBe('difference');
  expect(kindOf(difference('1.255'))).toBe('malformed');
  for (const line of ['', '1', '{}', '1 {', '1 []', '1 {"lastUpdateId":"x","bids":[],"asks":[]}', difference('x')])
    expect(kindOf(line), line).toBe('malformed');
  expect(kindOf('1 {"result":null,"id":1}')).toBe('other');
});
