/** The recorded sets through replay and a few lines of exact arithmetic: what is parsed must already give the known bars. */
import { existsSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { describe, expect, it } from 'vitest';
import { loadConfig } from '../../config/load.ts';
import { TICK_KIND } from '../../schemas/records.ts';
import { createMemoryPort, type MemoryPort, type ReceivedTick } from '../../test/contract/memory-port.ts';
import { SYSTEM_CLOCK } from '../core/clock.ts';
import { formatScaled } from '../core/decimal.ts';
import { PROJECT_ROOT } from '../core/root.ts';
import { createReplaySource } from '../ingest/replay.ts';
import { parseTimeframes } from '../market/timeframes.ts';
import { compareBars, type EngineBar, type EngineBars } from './golden-compare.ts';
import { readReference } from './golden-reference.ts';
import { GOLDEN_SETS, type GoldenSet } from './golden-sets.ts';

const { DATA_DIR } = loadConfig({
  flags: {},
  environment: process.env['DATA_DIR'] === undefined ? {} : { DATA_DIR: process.env['DATA_DIR'] },
}).config;
const folder = resolve(PROJECT_ROOT, DATA_DIR);

async function replay(set: GoldenSet): Promise<MemoryPort> {
  const files = set.files.map((file) => join(folder, file));
  const source = createReplaySource({ files, speed: 'max', clock: SYSTEM_CLOCK });
  const port = createMemoryPort();
  await source.start(port, undefined);
  while (!source.isEnded) {
    if (source.poll(4096) > 0) continue;
    const failure = source.failure();
    if (failure) throw failure;
    await new Promise((resume) => setImmediate(resume));
  }
  await source.stop();
  return port;
}

interface Bar {
  readonly open: ReceivedTick;
  close: ReceivedTick;
  highs: [number, number];
  lows: [number, number];
  lots: bigint;
  count: number;
}

/** Ticks in the order of their event times, into bars. */
function aggregate(port: MemoryPort, seconds: number, kind: GoldenSet['kind']): EngineBars {
  const decimals = new Map(port.instruments.map((spec) => [spec.symbol, spec.lotDecimals]));
  const open = new Map<string, Map<number, Bar>>();
  const spanNs = BigInt(seconds) * 1_000_000_000n;
  for (const tick of port.ticks) {
    const startMs = Number((tick.tsEventNs / spanNs) * BigInt(seconds)) * 1000;
    const bars = open.get(tick.symbol) ?? new Map<number, Bar>();
    open.set(tick.symbol, bars);
    const isBar = tick.kind === TICK_KIND.bar;
    const high = isBar ? tick.ask : tick.price;
    const low = isBar ? tick.low : tick.price;
    const bar = bars.get(startMs) ?? { open: tick, close: tick, highs: [high, tick.ask], lows: [low, tick.ask], lots: 0n, count: 0 };
    bars.set(startMs, bar);
    bar.close = tick;
    bar.highs = [Math.max(bar.highs[0], high), Math.max(bar.highs[1], tick.ask)];
    bar.lows = [Math.min(bar.lows[0], low), Math.min(bar.lows[1], tick.ask)];
    bar.lots += tick.quantityLots;
    bar.count += 1;
  }
  const render = kind === 'quotes' ? renderQuote : renderTrade;
  return new Map(
    [...open].map(([symbol, bars]) => {
      return [symbol, new Map([...bars].map(([startMs, bar]) => [startMs, render(bar, decimals.get(symbol) ?? 0)]))];
    }),
  );
}

function renderTrade({ open, close, highs, lows, lots, count }: Bar, lotDecimals: number): EngineBar {
  const last = close.kind === TICK_KIND.bar ? close.close : close.price;
  const values = { o: open.price, h: highs[0], l: lows[0], c: last, vol: formatScaled(lots, lotDecimals), n_trades: count };
  return new Map(Object.entries(values).map(([name, value]) => [name, String(value)]));
}

function renderQuote({ open, close, highs, lows, count }: Bar): EngineBar {
  const bid = { bid_o: open.price, bid_h: highs[0], bid_l: lows[0], bid_c: close.price };
  const ask = { ask_o: open.ask, ask_h: highs[1], ask_l: lows[1], ask_c: close.ask };
  return new Map(Object.entries({ ...bid, ...ask, n: count }).map(([name, value]) => [name, String(value)]));
}

describe.skipIf(!existsSync(folder))(`recorded sets in DATA_DIR${existsSync(folder) ? '' : ' (absent: skipped)'}`, () => {
  for (const set of GOLDEN_SETS) {
    it(`${set.name} gives the known bars of every timeframe`, async () => {
      const port = await replay(set);
      expect(port.refusedCount).toBe(0);
      for (const comparison of set.comparisons) {
        const [{ seconds } = { seconds: 1 }] = parseTimeframes(comparison.timeframe === '1s' ? '1s' : `1s,${comparison.timeframe}`).slice(
          -1,
        );
        const series = [];
        for (const reference of comparison.references) series.push(...(await readReference(reference, join(folder, reference.path))));
        const verdict = compareBars(aggregate(port, seconds, set.kind), series, comparison);
        expect(verdict, `${comparison.timeframe} against ${comparison.against}`).toMatchObject({ isPassed: true, examples: [] });
        expect(verdict.missingCount + verdict.extraCount).toBe(0);
      }
    });
  }
});
