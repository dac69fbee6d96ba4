/**
 * Bars computed the obvious way, from all ticks at once: sorted by event time, grouped by bucket. What a run must have at each bar's
 * last revision, whatever the order of arrival, the lateness, the batching and the number of shards.
 */
import { type BarSymbol, barOfTick, bucketStart, mergeBar } from './bar-values.ts';
import type { BarRecord, TickRecord } from './ring-record.ts';

export interface BatchTick {
  readonly symbol: BarSymbol;
  /** A trade, quote or source bar; its `symbolIndex` and `ingestUs` do not matter. */
  readonly tick: TickRecord;
}

/**
 * Full bars of every timeframe, in order of timeframe, symbol index and start. Ticks of equal event time count in the order given; beyond that
 * their order does not matter. `lateCount`, `revision` and `kind` are 0: they are no function of the ticks alone.
 */
export function barsOf(ticks: readonly BatchTick[], timeframeSeconds: readonly number[]): BarRecord[] {
  // Sorting is stable: equal times keep their order.
  const inTime = [...ticks].sort((a, b) => compare(a.tick.tsEventNs, b.tick.tsEventNs));
  const bars = new Map<string, BarRecord>();
  for (const { symbol, tick } of inTime) {
    timeframeSeconds.forEach((seconds, timeframeIndex) => {
      const tsStartNs = bucketStart(tick.tsEventNs, seconds);
      const key = `${timeframeIndex} ${symbol.symbolIndex} ${tsStartNs}`;
      const bar = bars.get(key);
      if (bar) mergeBar(bar, barOfTick(tick, symbol));
      else bars.set(key, { ...barOfTick(tick, symbol), timeframeIndex, tsStartNs });
    });
  }
  return sortBars([...bars.values()]);
}

/** By timeframe, symbol index and start. */
export function sortBars(bars: readonly BarRecord[]): BarRecord[] {
  return [...bars].sort(
    (a, b) => a.timeframeIndex - b.timeframeIndex || a.symbolIndex - b.symbolIndex || compare(a.tsStartNs, b.tsStartNs),
  );
}

function compare(a: bigint, b: bigint): number {
  return a < b ? -1 : a > b ? 1 : 0;
}
