import { expect, it } from 'vitest';
import { createPrng } from '../../../engine/core/prng.ts';
import { allocateSymbols, openSymbols } from '../../../engine/market/instruments.ts';
import { type BarRecord, writeBar } from '../../../engine/market/ring-record.ts';
import { parseTimeframes } from '../../../engine/market/timeframes.ts';
import { createBatch } from '../../../engine/sinks/postgres/collect.ts';
import { BAR_WORDS } from '../../../engine/sinks/postgres/record-list.ts';
import * as L from '../../../schemas/layout.gen.ts';
import { expectBars } from '../expected-bars.ts';
import type { Verdict } from '../report-model.ts';
import { createTickStream, symbolName } from '../tick-stream.ts';
import { spanNsOf } from './backlog-source.ts';
import { createBarFold } from './bar-fold.ts';
import { judgeBars } from './judge-bars.ts';

const SEED = Number(process.env['SEED'] ?? 1);
const BASE_MS = 1_599_998_400_000;
const PASSES = 3;
const timeframes = parseTimeframes('1s,1m');
const plan = { symbols: 3, baseTps: 5, seconds: 70, seed: SEED, startMs: BASE_MS };
const spanNs = spanNsOf(plan.seconds, timeframes);
const { bars: expected, ticks } = expectBars(createTickStream(plan), timeframes, 1);
const symbols = openSymbols(allocateSymbols(4));
for (let index = 0; index < plan.symbols; index += 1) {
  symbols.write(index, {
    name: symbolName(index),
    partition: 0,
    priceDecimals: 2,
    lotDecimals: 0,
    isQuote: false,
    shard: 0,
    localIndex: index,
  });
}

const FIELDS = /^(\S+) (\S+) (\d+) o (\S+) h (\S+) l (\S+) c (\S+) vol (\d+) n (\d+) first (\d+) last (\d+)$/;

/** The record of a bar that is expected, in a later pass. */
function recordOf(key: string, text: string, pass: number): BarRecord {
  const [, timeframe, symbol, start = '', o, h, l, c, volume = '', n, first = '', last = ''] = FIELDS.exec(`${key} ${text}`) ?? [];
  const shift = spanNs * BigInt(pass);
  return {
    kind: L.OUT_KIND_BAR_FINAL,
    symbolIndex: Number(symbol?.slice(-4)) - 1,
    tsStartNs: BigInt(start) * 1_000_000_000n + shift,
    firstNs: BigInt(first) + shift,
    lastNs: BigInt(last) + shift,
    tradeCount: Number(n),
    timeframeIndex: timeframes.findIndex(({ name }) => name === timeframe),
    ...{ open: Number(o), high: Number(h), low: Number(l), close: Number(c), volumeLots: BigInt(volume) },
    ...{ lateCount: 0, revision: 0, notional: 0n, priceScale: 100, askOpen: 0, askClose: 0, askHigh: 0, askLow: 0 },
    ...{ flags: 0, missedMask: 0, partition: 0, instrumentKind: L.INSTRUMENT_KIND_TRADE },
  };
}

/** The verdict over all bars of all passes, each pass in an order of its own, after `change` had them. */
function verdictOf(change: (bars: BarRecord[]) => BarRecord[]): Verdict {
  const prng = createPrng(SEED);
  const all = Array.from({ length: PASSES }, (_, pass) =>
    [...expected]
      .map(([key, text]) => ({ bar: recordOf(key, text, pass), at: prng.nextFloat() }))
      .sort((a, b) => a.at - b.at)
      .map(({ bar }) => bar),
  ).flat();
  const batch = createBatch();
  const words = new Int32Array(BAR_WORDS);
  for (const bar of change(all)) {
    writeBar(new DataView(words.buffer), 0, bar);
    batch.finals.append(words, 0, 1);
  }
  const fold = createBarFold({ baseNs: BigInt(BASE_MS) * 1_000_000n, spanNs, timeframeCount: timeframes.length });
  fold.add(batch);
  return judgeBars({ expected, folded: fold.folded(), timeframes, symbols, ticks, passes: PASSES, accepted: ticks * PASSES });
}

it('finds the bars of every pass right, in any order', () => {
  const verdict = verdictOf((bars) => bars);
  expect(verdict.differences).toEqual([]);
  expect(verdict).toMatchObject({ isRight: true, barsCompared: PASSES * expected.size });
  expect(verdict.foundHash).toBe(verdict.expectedHash);
});

it('names a bar of the first pass that is missing, or has another value', () => {
  expect(verdictOf((bars) => bars.slice(1)).differences.join('\n')).toMatch(/conservation, pass 0.*\n.*missing, expected/s);
  const wrong = verdictOf(([first, ...rest]) => [{ ...first!, high: 1e6 }, ...rest]);
  expect(wrong.isRight).toBe(false);
  expect(wrong.differences.join('\n')).toMatch(/h 1000000 .*, expected o /);
  expect(wrong.foundHash).not.toBe(wrong.expectedHash);
});

it.each([
  ['a price', (bar: BarRecord) => ({ ...bar, close: bar.close + 0.01 })],
  ['the first time', (bar: BarRecord) => ({ ...bar, firstNs: bar.firstNs + 1n })],
  ['the notional', (bar: BarRecord) => ({ ...bar, notional: 1n })],
  ['the symbol', (bar: BarRecord) => ({ ...bar, symbolIndex: (bar.symbolIndex + 1) % plan.symbols })],
])('tells of a later pass that %s of one bar differs', (_, change) => {
  const verdict = verdictOf((bars) => bars.map((bar, index) => (index === bars.length - 1 ? change(bar) : bar)));
  expect(verdict.differences).toEqual([expect.stringMatching(/^pass 2: \d+ bars of hash /)]);
});

it('tells of a bar of a later pass that came twice, and of one that did not come', () => {
  const twice = verdictOf((bars) => [...bars, bars.at(-1)!]).differences.join('\n');
  expect(twice).toMatch(/conservation, pass 2: .*\n.*pass 2: /s);
  expect(verdictOf((bars) => bars.slice(0, -1)).differences.join('\n')).toMatch(/conservation, pass 2: .*\n.*pass 2: /s);
});
