/** HDR histograms of latencies in microseconds: recorded in one thread, passed on encoded, merged in another. */
import { build, decodeFromCompressedBase64, encodeIntoCompressedBase64, type Histogram, JsHistogram } from 'hdr-histogram-js';
import { assert } from './errors.ts';

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
      sumUs += addBucketCounts(interval, boundsUs, bucketCounts);
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

/**
 * Adds the values at or below each bound to the bound's count, and returns the sum of all, in one pass: main does this several times a second, and
 * the library's own mean and percentiles look at each of some ten thousand counts anew.
 */
function addBucketCounts(histogram: Histogram, boundsUs: readonly number[], bucketCounts: Float64Array): number {
  // The library's other histograms are in WASM, which none of ours is, and show no counts.
  assert(histogram instanceof JsHistogram, `a histogram of ${histogram.constructor.name}`);
  let sumUs = 0;
  let below = 0;
  let bucket = 0;
  for (let index = 0; below < histogram.totalCount; index += 1) {
    const count = histogram.getCountAtIndex(index);
    if (count === 0) continue;
    const valueUs = histogram.valueFromIndex(index);
    const highestUs = histogram.highestEquivalentValue(valueUs);
    for (; bucket < boundsUs.length && highestUs > boundsUs[bucket]!; bucket += 1) bucketCounts[bucket]! += below;
    sumUs += histogram.medianEquivalentValue(valueUs) * count;
    below += count;
  }
  for (; bucket < boundsUs.length; bucket += 1) bucketCounts[bucket]! += below;
  return sumUs;
}
