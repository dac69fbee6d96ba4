/** The same bars as they are first written: an object a bar, in a Map by symbol and one by second. */
import * as L from '../../schemas/layout.gen.ts';
import { BAR_FIELDS, type BarTwin, type BarTwinShape, lotsOf, offsetNs } from './twin.ts';

const SECOND_NS = 1e9;

interface OpenBar {
  timeframe: number;
  symbol: number;
  startNs: number;
  firstNs: number;
  lastNs: number;
  open: number;
  high: number;
  low: number;
  close: number;
  lots: number;
  trades: number;
  notional: number;
}

export function createMapBars(shape: BarTwinShape): BarTwin {
  const sizesNs = shape.timeframeSeconds.map((seconds) => seconds * SECOND_NS);
  /** By timeframe, symbol and start. */
  const open = sizesNs.map(() => new Map(Array.from({ length: shape.symbols }, (_, symbol) => [symbol, new Map<number, OpenBar>()])));
  const { out } = shape;
  const outMask = out.length / BAR_FIELDS - 1;
  let watermarkNs = -Infinity;
  let bars = 0;

  const merge = (timeframe: number, bar: OpenBar): void => {
    const buckets = open[timeframe]!.get(bar.symbol);
    if (!buckets) throw new RangeError(`symbol ${bar.symbol} of ${shape.symbols}`);
    const startNs = bar.firstNs - (bar.firstNs % sizesNs[timeframe]!);
    const bucket = buckets.get(startNs);
    if (!bucket) {
      buckets.set(startNs, { ...bar, timeframe, startNs });
      return;
    }
    if (bar.firstNs < bucket.firstNs) {
      bucket.firstNs = bar.firstNs;
      bucket.open = bar.open;
    }
    if (bar.lastNs >= bucket.lastNs) {
      bucket.lastNs = bar.lastNs;
      bucket.close = bar.close;
    }
    bucket.high = Math.max(bucket.high, bar.high);
    bucket.low = Math.min(bucket.low, bar.low);
    bucket.lots += bar.lots;
    bucket.trades += bar.trades;
    bucket.notional += bar.notional;
  };

  const close = (timeframe: number, endNs: number): void => {
    const startNs = endNs - sizesNs[timeframe]!;
    for (const buckets of open[timeframe]!.values()) {
      const bar = buckets.get(startNs);
      if (!bar) continue;
      const at = (bars & outMask) * BAR_FIELDS;
      bars += 1;
      out.set([timeframe, bar.symbol, bar.startNs, bar.firstNs, bar.lastNs, bar.open, bar.high, bar.low, bar.close], at);
      out.set([bar.lots, bar.trades, bar.notional], at + 9);
      buckets.delete(startNs);
      shape.timeframeParents.forEach((parent, child) => {
        if (parent === timeframe) merge(child, bar);
      });
    }
  };

  const advance = (targetNs: number): void => {
    if (watermarkNs === -Infinity) watermarkNs = targetNs;
    while (watermarkNs < targetNs) {
      watermarkNs += SECOND_NS;
      for (let timeframe = 0; timeframe < sizesNs.length; timeframe += 1) {
        if (watermarkNs % sizesNs[timeframe]! === 0) close(timeframe, watermarkNs);
      }
    }
  };

  return {
    get bars() {
      return bars;
    },
    run(words, doubles, from, to) {
      for (let record = from; record < to; record += 1) {
        const word = record << 4;
        const tsNs = offsetNs(words, word, shape);
        if (words[word] === L.TICK_KIND_WATERMARK) {
          advance(tsNs);
          continue;
        }
        if (words[word] !== L.TICK_KIND_TRADE) throw new RangeError(`record ${record}: kind ${words[word]}`);
        if (tsNs - (tsNs % SECOND_NS) < watermarkNs) throw new RangeError(`record ${record}: behind the watermark`);
        const price = doubles[(record << 3) + L.TICK_PRICE_F64]!;
        const lots = lotsOf(words, word);
        const symbol = words[word + L.TICK_SYMBOL_INDEX_I32]!;
        const prices = { open: price, high: price, low: price, close: price };
        const notional = Math.round(price * shape.priceScale) * lots;
        merge(0, { timeframe: 0, symbol, startNs: 0, firstNs: tsNs, lastNs: tsNs, ...prices, lots, trades: 1, notional });
      }
    },
  };
}
