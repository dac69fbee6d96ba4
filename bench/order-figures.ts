/** What the rounds of the order latency bench come to. Pure. */
import { createHistogram, type Histogram } from '../engine/core/latency.ts';

/** One round, its warm-up left out. Times in us from the intended time. */
export interface OrderRound {
  readonly answeredAfterUs: Float64Array;
  readonly sentAfterUs: Float64Array;
  /** 1 where the order traded. */
  readonly hasTraded: Uint8Array;
  /** Of all orders, warm-up included: over which time they were to be sent, and until the last was answered. */
  readonly count: number;
  readonly offeredUs: number;
  readonly elapsedUs: number;
  /** Whether the two threads were held to a core each. */
  readonly hasOwnCores: boolean;
}

/** A rate of which less than this share is achieved is not held. */
const HELD_SHARE = 0.999;
const NS_PER_US = 1000;

/**
 * Percentiles are those of all rounds together.
 * @param p99MaxUs what the p99 of orders and that of fills are to stay below
 */
export function orderFigures(rounds: readonly OrderRound[], p99MaxUs: number): Record<string, number | string> {
  const all = histogramOf(rounds, answers);
  const fills = histogramOf(rounds, answers, trades);
  const sent = histogramOf(rounds, ({ sentAfterUs }) => sentAfterUs);
  const offered = sum(rounds, ({ count }) => count) / (sum(rounds, ({ offeredUs }) => offeredUs) / 1e6);
  const achieved = sum(rounds, ({ count }) => count) / (sum(rounds, ({ elapsedUs }) => elapsedUs) / 1e6);
  const isBelow = (some: readonly OrderRound[]): boolean => p99UsOf(some) < p99MaxUs && p99UsOf(some, trades) < p99MaxUs;
  return {
    'orders/s offered': Math.round(offered),
    'orders/s achieved': Math.round(achieved),
    held: achieved >= offered * HELD_SHARE ? 'yes' : `SATURATED: ${((100 * achieved) / offered).toFixed(1)} % of the rate`,
    orders: all.totalCount,
    fills: fills.totalCount,
    rounds: rounds.length,
    'a core each': rounds.every(({ hasOwnCores }) => hasOwnCores) ? 'yes' : 'NO',
    ...percentiles('', all),
    ...(fills.totalCount === 0 ? {} : percentiles('fills ', fills)),
    'p99 us of each round': rounds.map((round) => p99UsOf([round]).toFixed(1)).join(' '),
    'sent late p99 us': percentileUs(sent, 99),
    [`rounds with p99 below ${p99MaxUs} us`]: rounds.filter((round) => isBelow([round])).length,
    [`p99 below ${p99MaxUs} us`]: isBelow(rounds) ? 'yes' : 'NO',
  };
}

function p99UsOf(rounds: readonly OrderRound[], maskOf?: (round: OrderRound) => Uint8Array): number {
  return percentileUs(histogramOf(rounds, answers, maskOf), 99);
}

function answers({ answeredAfterUs }: OrderRound): Float64Array {
  return answeredAfterUs;
}

function trades({ hasTraded }: OrderRound): Uint8Array {
  return hasTraded;
}

function percentiles(prefix: string, histogram: Histogram): Record<string, number> {
  return {
    [`${prefix}p50 us`]: percentileUs(histogram, 50),
    [`${prefix}p90 us`]: percentileUs(histogram, 90),
    [`${prefix}p99 us`]: percentileUs(histogram, 99),
    [`${prefix}p99.9 us`]: percentileUs(histogram, 99.9),
    [`${prefix}max us`]: histogram.maxValue / NS_PER_US,
  };
}

function percentileUs(histogram: Histogram, percentile: number): number {
  return histogram.getValueAtPercentile(percentile) / NS_PER_US;
}

/** In ns, three digits; only places whose mask is 1 count, where one is given. */
function histogramOf(
  rounds: readonly OrderRound[],
  timesOf: (round: OrderRound) => Float64Array,
  maskOf?: (round: OrderRound) => Uint8Array,
): Histogram {
  const histogram = createHistogram();
  for (const round of rounds) {
    const mask = maskOf?.(round);
    for (const [index, us] of timesOf(round).entries()) {
      if (mask === undefined || mask[index] === 1) histogram.recordValue(Math.max(0, Math.round(us * NS_PER_US)));
    }
  }
  return histogram;
}

function sum(rounds: readonly OrderRound[], of: (round: OrderRound) => number): number {
  return rounds.reduce((total, round) => total + of(round), 0);
}
