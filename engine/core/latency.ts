/** HDR histograms of latencies in microseconds: recorded in one thread, passed on encoded, merged in another. */
import { build, decodeFromCompressedBase64, encodeIntoCompressedBase64, type Histogram } from 'hdr-histogram-js';

/** Three significant digits; grows as needed. */
export function createHistogram(): Histogram {
  return build({ bitBucketSize: 32, autoResize: true, numberOfSignificantValueDigits: 3 });
}

export type { Histogram } from 'hdr-histogram-js';

export interface LatencySummary {
  readonly count: number;
  readonly p50Us: number;
  readonly p90Us: number;
  readonly p99Us: number;
  readonly p999Us: number;
  readonly maxUs: number;
}

export function summarise(histogram: Histogram): LatencySummary {
  return {
    count: histogram.totalCount,
    p50Us: histogram.getValueAtPercentile(50),
    p90Us: histogram.getValueAtPercentile(90),
    p99Us: histogram.getValueAtPercentile(99),
    p999Us: histogram.getValueAtPercentile(99.9),
    maxUs: histogram.maxValue,
  };
}

/** One stage's latencies: all since start, those of the last interval, and cumulative counts below given bounds for Prometheus. */
export interface LatencyStage {
  readonly total: Histogram;
  /** 99th percentile of the latest interval with values, in microseconds. */
  readonly recentP99Us: number;
  readonly sumUs: number;
  /** Values at or below each bound, to the histogram's three digits. */
  readonly bucketCounts: Float64Array;
  /** Since start by worker, of what was added with a worker's name. */
  readonly workers: ReadonlyMap<string, Histogram>;
  /** @param worker who measured it, where several measure the stage each for itself */
  add(encoded: string, worker?: string): void;
}

/** @param boundsUs ascending, in microseconds */
export function createLatencyStage(boundsUs: readonly number[]): LatencyStage {
  const total = createHistogram();
  const bucketCounts = new Float64Array(boundsUs.length);
  const workers = new Map<string, Histogram>();
  let recentP99Us = 0;
  let sumUs = 0;
  return {
    total,
    bucketCounts,
    workers,
    get recentP99Us() {
      return recentP99Us;
    },
    get sumUs() {
      return sumUs;
    },
    add(encoded, worker) {
      const interval = decodeFromCompressedBase64(encoded);
      if (interval.totalCount === 0) return;
      total.add(interval);
      if (worker !== undefined) {
        const own = workers.get(worker) ?? createHistogram();
        workers.set(worker, own);
        own.add(interval);
      }
      recentP99Us = interval.getValueAtPercentile(99);
      sumUs += interval.mean * interval.totalCount;
      for (let index = 0; index < boundsUs.length; index += 1) bucketCounts[index]! += countAtOrBelow(interval, boundsUs[index]!);
    },
  };
}

export function encodeHistogram(histogram: Histogram): string {
  return encodeIntoCompressedBase64(histogram);
}

/** A histogram of one value, encoded. */
export function encodeValue(microseconds: number): string {
  const histogram = createHistogram();
  histogram.recordValue(Math.round(microseconds));
  return encodeHistogram(histogram);
}

function countAtOrBelow(histogram: Histogram, bound: number): number {
  return bound >= histogram.maxValue ? histogram.totalCount : histogram.totalCount - countAbove(histogram, bound);
}

/** Bisects the percentile, since the library has no count by value: 40 steps resolve one value in 10^12. */
function countAbove(histogram: Histogram, bound: number): number {
  let low = 0;
  let high = 100;
  for (let step = 0; step < 40; step += 1) {
    const middle = (low + high) / 2;
    if (histogram.getValueAtPercentile(middle) <= bound) low = middle;
    else high = middle;
  }
  return Math.round(histogram.totalCount * (1 - low / 100));
}
