/** What the rounds of the Kafka latency bench come to. Pure. */
import { createHistogram, type Histogram } from '../engine/core/latency.ts';
import { median } from './harness.ts';

/** One round of one lane, its warm-up left out. */
export interface LaneRound {
  /** From a tick's intended time to its place in the ring, us. */
  readonly latency: Histogram;
  /** From a tick's intended time to its handing over to the producer's client, us. */
  readonly sendLag: Histogram;
  /** Ticks due in the round, and those of them that had gone when it ended. */
  readonly due: number;
  readonly sent: number;
}

const PERCENTILES = [50, 99, 99.9] as const;
/** A rate of which less than this share is offered in time is not offered. */
const HELD_SHARE = 0.999;

/** Percentiles are those of all rounds together. */
export function laneFigures(rounds: readonly LaneRound[]): Record<string, number | string> {
  const latency = merged(rounds.map((round) => round.latency));
  const sendLag = merged(rounds.map((round) => round.sendLag));
  const due = rounds.reduce((sum, round) => sum + round.due, 0);
  const sent = rounds.reduce((sum, round) => sum + round.sent, 0);
  return {
    ticks: latency.totalCount,
    rounds: rounds.length,
    held: sent >= due * HELD_SHARE ? 'yes' : `LATE: ${((100 * sent) / due).toFixed(1)} % were sent in time`,
    ...Object.fromEntries(PERCENTILES.map((percentile) => [`p${percentile} ms`, milliseconds(latency.getValueAtPercentile(percentile))])),
    'max ms': milliseconds(latency.maxValue),
    'sent late p99 ms': milliseconds(sendLag.getValueAtPercentile(99)),
  };
}

/**
 * One lane's percentiles over another's, round by round: the median, with the lowest and the highest round. Below 1 the lane is faster; worse is what
 * is above 1 in the median.
 */
export function compareLanes(lane: readonly LaneRound[], other: readonly LaneRound[]): Record<string, string> {
  return Object.fromEntries(
    PERCENTILES.map((percentile) => {
      const ratios = lane.map((round, index) => valueAt(round, percentile) / valueAt(other[index], percentile));
      const middle = median(ratios);
      const spread = `${middle.toFixed(2)} (${Math.min(...ratios).toFixed(2)} to ${Math.max(...ratios).toFixed(2)})`;
      return [`p${percentile}`, `${spread}${middle <= 1 ? '' : ' WORSE'}`];
    }),
  );
}

function valueAt(round: LaneRound | undefined, percentile: number): number {
  return round?.latency.getValueAtPercentile(percentile) ?? Number.NaN;
}

function merged(parts: readonly Histogram[]): Histogram {
  const whole = createHistogram();
  for (const part of parts) whole.add(part);
  return whole;
}

function milliseconds(us: number): number {
  return Math.round(us / 10) / 100;
}
