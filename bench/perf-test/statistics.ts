/**
 * Medians of repeats with intervals that assume no distribution: the percentile bootstrap. The repeats are drawn again, with replacement, 2,000
 * times from a seeded generator; the interval holds the middle 95 % of the medians of the draws. Of five repeats or fewer that is from the lowest to
 * the highest one, which holds the true median less often than 95 % of the time: `coverageOf` says how often.
 */
import { createPrng, type Prng } from '../../engine/core/prng.ts';
import { median } from '../harness.ts';

export interface Estimate {
  readonly median: number;
  /** Ends of the interval; null below three values, of which no interval is worth its name. */
  readonly low: number | null;
  readonly high: number | null;
  /** Values that it is taken from. */
  readonly count: number;
}

export const DRAWS = 2000;
export const CONFIDENCE = 0.95;
export const VALUES_MIN = 3;
const SEED = 20_260_101;

/** Of the values that are numbers; undefined when there are none. */
export function estimateMedian(values: readonly (number | null | undefined)[]): Estimate | undefined {
  const known = values.filter((value) => typeof value === 'number');
  if (known.length === 0) return undefined;
  if (known.length < VALUES_MIN) return { median: median(known), low: null, high: null, count: known.length };
  const draw = createDraw(known, createPrng(SEED));
  return { median: median(known), ...middleOf(Float64Array.from({ length: DRAWS }, draw)), count: known.length };
}

/**
 * How many times larger the median of `over` is than that of `under`, both drawn again independently; `count` is that of the smaller side.
 * Undefined when a side is empty or a value of `under` is not above 0.
 */
export function estimateRatio(over: readonly number[], under: readonly number[]): Estimate | undefined {
  const count = Math.min(over.length, under.length);
  if (count === 0 || under.some((value) => value <= 0)) return undefined;
  const ratio = median(over) / median(under);
  if (count < VALUES_MIN) return { median: ratio, low: null, high: null, count };
  const prng = createPrng(SEED);
  const [drawOver, drawUnder] = [createDraw(over, prng), createDraw(under, prng)];
  return { median: ratio, ...middleOf(Float64Array.from({ length: DRAWS }, () => drawOver() / drawUnder())), count };
}

/** How often the range of so many values holds the median that they are drawn from, at most the 95 % that is aimed at. */
export function coverageOf(count: number): number {
  return Math.min(CONFIDENCE, 1 - 2 ** (1 - count));
}

/** |a - b| over their mean; 0 when both are 0. */
export function relativeDifference(a: number, b: number): number {
  return a === b ? 0 : Math.abs(a - b) / ((Math.abs(a) + Math.abs(b)) / 2);
}

/** A function that draws as many values as there are, with replacement, and gives their median. */
function createDraw(values: readonly number[], { nextBelow }: Prng): () => number {
  const drawn = new Float64Array(values.length);
  const middle = values.length >> 1;
  return () => {
    for (let index = 0; index < drawn.length; index += 1) drawn[index] = values[nextBelow(values.length)]!;
    drawn.sort();
    return drawn.length % 2 === 1 ? drawn[middle]! : (drawn[middle - 1]! + drawn[middle]!) / 2;
  };
}

function middleOf(values: Float64Array): { low: number; high: number } {
  const sorted = values.sort();
  const tail = Math.floor(((1 - CONFIDENCE) / 2) * sorted.length);
  return { low: sorted[tail]!, high: sorted[sorted.length - 1 - tail]! };
}
