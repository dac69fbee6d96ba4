/**
 * The same bars as they are first written: an object a bar, in a Map by symbol and one by second. It goes by the rules that twin.ts names;
 * only the notional of a bar is one double, exact below 2^53.
 */
import { readInt64 } from '../../engine/core/int64.ts';
import * as L from '../../schemas/layout.gen.ts';
import {
  BAR_FIELDS,
  type BarTwin,
  type BarTwinShape,
  createCounts,
  LOW_LIMIT,
  lotsOf,
  nearest,
  offsetNs,
  SECOND_NS,
  type Sweepable,
  sweep,
  type TickViews,
} from './twin.ts';

interface MapSymbol {
  readonly symbolIndex: number;
  readonly partition: MapPartition;
  readonly priceScale: number;
  /** By timeframe and start. */
  readonly open: readonly Map<number, OpenBar>[];
}

interface MapPartition extends Sweepable {
  readonly index: number;
  readonly symbols: MapSymbol[];
  watermarkNs: number;
}

interface OpenBar {
  startNs: number;
  firstNs: number;
  lastNs: number;
  open: number;
  high: number;
  low: number;
  close: number;
  lots: number;
  trades: number;
  late: number;
  notional: number;
}

/** What goes out beside the values of a bar. */
interface OutHead {
  readonly kind: number;
  readonly timeframe: number;
  readonly flags: number;
  readonly missed: number;
}

const NO_SYMBOL = { symbolIndex: 0, priceScale: 0 };
const NO_VALUES = { startNs: 0, firstNs: 0, lastNs: 0, open: 0, high: 0, low: 0, close: 0, lots: 0, trades: 0, late: 0, notional: 0 };

/** True when this opens the bar that starts at `startNs`. */
function merge(buckets: Map<number, OpenBar>, startNs: number, bar: OpenBar): boolean {
  const bucket = buckets.get(startNs);
  if (!bucket) {
    buckets.set(startNs, { ...bar, startNs });
    return true;
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
  bucket.late += bar.late;
  bucket.notional += bar.notional;
  return false;
}

function barOfTick({ words, doubles }: TickViews, record: number, { priceScale }: MapSymbol, tsNs: number): OpenBar {
  const price = doubles[(record << 3) + L.TICK_PRICE_F64]!;
  const lots = lotsOf(words, record << 4);
  const prices = { open: price, high: price, low: price, close: price };
  return { startNs: 0, firstNs: tsNs, lastNs: tsNs, ...prices, lots, trades: 1, late: 0, notional: nearest(price * priceScale) * lots };
}

export function createMapBars(shape: BarTwinShape): BarTwin {
  const { out, stamps, slotCount, timeframeParents } = shape;
  const sizesNs = shape.timeframeSeconds.map((seconds) => seconds * SECOND_NS);
  const outMask = out.length / BAR_FIELDS - 1;
  const counts = createCounts(sizesNs.length);
  const symbols: MapSymbol[] = [];
  let stampCount = 0;
  let bars = 0;

  const emit = (bar: OpenBar, symbol: { symbolIndex: number; priceScale: number; partition?: MapPartition }, head: OutHead): void => {
    const at = (bars & outMask) * BAR_FIELDS;
    bars += 1;
    out.set([bar.startNs, bar.firstNs, bar.lastNs, bar.open, bar.close, bar.high, bar.low, bar.lots], at);
    out.set([bar.notional % LOW_LIMIT, Math.floor(bar.notional / LOW_LIMIT), bar.trades, bar.late], at + 8);
    out.set([symbol.priceScale, symbol.symbolIndex, symbol.partition?.index ?? 0, head.timeframe, head.kind], at + 12);
    out.set([head.flags, head.missed, 0, L.INSTRUMENT_KIND_TRADE], at + 17);
  };

  const join = (symbol: MapSymbol, timeframe: number, bar: OpenBar): void => {
    const startNs = Math.floor(bar.firstNs / sizesNs[timeframe]!) * sizesNs[timeframe]!;
    if (merge(symbol.open[timeframe]!, startNs, bar)) counts.openBars[timeframe]! += 1;
  };

  const createPartition = (index: number): MapPartition => {
    const members: MapSymbol[] = [];
    return {
      index,
      symbols: members,
      watermarkNs: -Infinity,
      sizesNs,
      slotCount,
      close(timeframe, endNs) {
        const startNs = endNs - sizesNs[timeframe]!;
        for (const symbol of members) {
          const bar = symbol.open[timeframe]!.get(startNs);
          if (!bar) continue;
          emit(bar, symbol, { kind: L.OUT_KIND_BAR_FINAL, timeframe, flags: 0, missed: 0 });
          symbol.open[timeframe]!.delete(startNs);
          counts.barsOut[timeframe]! += 1;
          counts.openBars[timeframe]! -= 1;
          timeframeParents.forEach((parent, child) => {
            if (parent === timeframe) join(symbol, child, bar);
          });
        }
      },
      earliestOpenNs: () => Math.min(...members.flatMap((symbol) => [...symbol.open[0]!.keys()])),
    };
  };
  const partitions = Array.from({ length: shape.partitions }, (_, index) => createPartition(index));

  const mergeLate = (symbol: MapSymbol, bar: OpenBar): void => {
    const { watermarkNs } = symbol.partition;
    const missed = new Set<number>();
    bar.late = 1;
    counts.lateTicks += 1;
    sizesNs.forEach((sizeNs, timeframe) => {
      const startNs = Math.floor(bar.firstNs / sizeNs) * sizeNs;
      if (startNs + sizeNs <= watermarkNs) {
        missed.add(timeframe);
        emit({ ...bar, startNs }, symbol, { kind: L.OUT_KIND_BAR_AMEND, timeframe, flags: 0, missed: 0 });
        counts.amendmentsOut[timeframe]! += 1;
      } else if (missed.has(timeframeParents[timeframe]!)) join(symbol, timeframe, bar);
    });
  };

  const takeTrade = (ticks: TickViews, record: number): void => {
    const tsNs = offsetNs(ticks.words, record << 4, shape.originNs);
    const symbol = symbols[ticks.words[(record << 4) + L.TICK_SYMBOL_INDEX_I32]!]!;
    const { watermarkNs } = symbol.partition;
    const startNs = Math.floor(tsNs / SECOND_NS) * SECOND_NS;
    const bar = barOfTick(ticks, record, symbol, tsNs);
    if (startNs + SECOND_NS <= watermarkNs) mergeLate(symbol, bar);
    else if (startNs - watermarkNs >= slotCount * SECOND_NS && watermarkNs !== -Infinity)
      throw new RangeError(`record ${record}: too far ahead`);
    else join(symbol, 0, bar);
  };

  const advance = (partition: MapPartition, targetNs: number): void => {
    if (targetNs <= partition.watermarkNs) return;
    sweep(partition, partition.watermarkNs, targetNs);
    partition.watermarkNs = targetNs;
  };

  const registerSymbol = ({ words, doubles }: TickViews, record: number): void => {
    const word = record << 4;
    const symbolIndex = words[word + L.TICK_INGEST_US_I32]!;
    const isNext = words[word + L.TICK_SYMBOL_INDEX_I32] === symbols.length && symbols.length < shape.symbols;
    if (!isNext || symbolIndex < 0) throw new RangeError(`record ${record}: expected symbol ${symbols.length}, with trades`);
    const partition = partitions[words[word + L.TICK_TRADE_COUNT_I32]!]!;
    const priceScale = doubles[(record << 3) + L.TICK_PRICE_F64]!;
    const symbol = { symbolIndex, partition, priceScale, open: sizesNs.map(() => new Map<number, OpenBar>()) };
    symbols.push(symbol);
    partition.symbols.push(symbol);
  };

  const passOnLate = (ticks: TickViews, record: number): void => {
    const tsNs = offsetNs(ticks.words, record << 4, shape.originNs);
    const symbol = symbols[ticks.words[(record << 4) + L.TICK_SYMBOL_INDEX_I32]!]!;
    const bar = { ...barOfTick(ticks, record, symbol, tsNs), startNs: tsNs, close: 0, late: 1 };
    const missed = ((1 << sizesNs.length) - 1) | L.LATE_FLAG_REFUSED;
    emit(bar, symbol, { kind: L.OUT_KIND_LATE_TICK, timeframe: 0, flags: 0, missed });
    counts.lateRefused += 1;
  };

  const passBarrier = (words: Int32Array, word: number): void => {
    const flags = words[word + L.TICK_SYMBOL_INDEX_I32]!;
    if ((flags & L.BARRIER_FLAG_WITH_OPEN_STATE) !== 0)
      throw new RangeError('a barrier asks for the open state, which the twin does not list');
    const epoch = readInt64(words, word + (L.TICK_TS_EVENT_NS >> 2));
    emit({ ...NO_VALUES, startNs: epoch }, NO_SYMBOL, { kind: L.OUT_KIND_BARRIER, timeframe: 0, flags, missed: 0 });
  };

  const obey = (ticks: TickViews, record: number): void => {
    const { words } = ticks;
    const word = record << 4;
    if (words[word] === L.TICK_KIND_WATERMARK) {
      advance(partitions[words[word + L.TICK_SYMBOL_INDEX_I32]!]!, offsetNs(words, word, shape.originNs));
    } else if (words[word] === L.TICK_KIND_SYMBOL) registerSymbol(ticks, record);
    else if (words[word] === L.TICK_KIND_LATE) passOnLate(ticks, record);
    else if (words[word] === L.TICK_KIND_BARRIER) passBarrier(words, word);
    else throw new RangeError(`record ${record}: kind ${words[word]}, the twin takes trades`);
  };

  return {
    get bars() {
      return bars;
    },
    get stampCount() {
      return stampCount;
    },
    counts,
    run(ticks, from, to) {
      stampCount = 0;
      let record = from;
      for (; record < to; record += 1) {
        if (ticks.words[record << 4] !== L.TICK_KIND_TRADE) {
          obey(ticks, record);
          continue;
        }
        const ingestUs = ticks.words[(record << 4) + L.TICK_INGEST_US_I32]! >>> 0;
        if (stampCount === 0 || stamps[2 * stampCount - 2] !== ingestUs) {
          if (2 * stampCount === stamps.length) break;
          stamps[2 * stampCount] = ingestUs;
          stamps[2 * stampCount + 1] = 0;
          stampCount += 1;
        }
        stamps[2 * stampCount - 1]! += 1;
        takeTrade(ticks, record);
        counts.ticksMerged += 1;
      }
      return record - from;
    },
  };
}
