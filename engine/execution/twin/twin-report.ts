/** What the twins say about a queue model. */
import { explainFill, explainOrder } from '../paper/explain.ts';
import { describeSettings } from '../paper/settings.ts';
import type { Candidate, Survey } from './candidates.ts';
import type { Twin, TwinRun } from './twin-run.ts';

/** A twin that is filled within this of the real fill was filled when it should have been. */
export const ON_TIME_NS = 1_000_000n;
const NS_PER_MS = 1_000_000n;

export type TwinVerdict = 'onTime' | 'early' | 'late' | 'never' | 'untouched' | 'filledFalsely' | 'partlyFilledFalsely' | 'notSent';

export interface TwinScore {
  /** Of twins whose original was filled. */
  readonly filledCount: number;
  readonly onTimeCount: number;
  readonly earlyCount: number;
  /** Filled later, and not filled whole by the end. */
  readonly lateCount: number;
  readonly neverCount: number;
  /** Of twins whose original was cancelled. */
  readonly cancelledCount: number;
  /** Any lot at all, and of these the whole order. */
  readonly falseCount: number;
  readonly falseWholeCount: number;
}

export function judgeTwin({ candidate, order }: Twin, onTimeNs = ON_TIME_NS): TwinVerdict {
  if (order === undefined) return 'notSent';
  return judgeFills(candidate, order.leavesLots, order.fills.at(-1)?.tsNs, onTimeNs);
}

/** @param lastFillNs undefined when no lot was filled */
export function judgeFills(candidate: Candidate, leavesLots: number, lastFillNs: bigint | undefined, onTimeNs = ON_TIME_NS): TwinVerdict {
  const { fate, endNs } = candidate;
  if (fate === 'cancelled') return lastFillNs === undefined ? 'untouched' : leavesLots === 0 ? 'filledFalsely' : 'partlyFilledFalsely';
  if (lastFillNs === undefined || leavesLots > 0) return 'never';
  if (lastFillNs < endNs - onTimeNs) return 'early';
  return lastFillNs > endNs + onTimeNs ? 'late' : 'onTime';
}

/** The twins of a run. Where sizes are told once in a while, a fill cannot be told before that: so much more counts as on time. */
export function scoreRun(run: TwinRun): TwinScore {
  return scoreTwins(run.twins, onTimeNsOf(run));
}

function onTimeNsOf({ view }: TwinRun): bigint {
  return ON_TIME_NS + view.everyNs;
}

export function scoreTwins(twins: readonly Twin[], onTimeNs = ON_TIME_NS): TwinScore {
  const verdicts = twins.map((twin) => judgeTwin(twin, onTimeNs));
  const count = (...of: readonly TwinVerdict[]): number => verdicts.filter((verdict) => of.includes(verdict)).length;
  return {
    filledCount: count('onTime', 'early', 'late', 'never'),
    onTimeCount: count('onTime'),
    earlyCount: count('early'),
    lateCount: count('late'),
    neverCount: count('never'),
    cancelledCount: count('untouched', 'filledFalsely', 'partlyFilledFalsely'),
    falseCount: count('filledFalsely', 'partlyFilledFalsely'),
    falseWholeCount: count('filledFalsely'),
  };
}

const percent = (part: number, of: number): string => (of === 0 ? 'none' : `${((100 * part) / of).toFixed(1)} %`);

/** What was drawn from the feed, and what was not there to draw. */
export function describeSurvey(survey: Survey, orders: number): string[] {
  const filled = survey.candidates.filter((candidate) => candidate.fate === 'filled').length;
  const cancelled = survey.candidates.length - filled;
  const lines = [
    `feed      ${survey.messageCount} messages; never changed: ${survey.filledCount} orders filled whole, ${survey.cancelledCount} cancelled whole`,
    `twins     ${filled} of filled orders, ${cancelled} of cancelled orders`,
  ];
  if (filled + cancelled < orders)
    lines.push(`          asked for ${orders}: the feed has no more of ${shortOf(filled, cancelled, orders)}`);
  if (survey.unknownCount > 0)
    lines.push(`          ${survey.unknownCount} messages name orders from before the recording; they count as first in their queues`);
  return lines;
}

function shortOf(filled: number, cancelled: number, orders: number): string {
  const short = [...(filled < Math.ceil(orders / 2) ? ['filled'] : []), ...(cancelled < Math.floor(orders / 2) ? ['cancelled'] : [])];
  return `${short.join(' and ')} orders`;
}

/** The four shares under one choice of models. */
export function describeRun(run: TwinRun): string[] {
  const score = scoreRun(run);
  const { shows, everyNs } = run.view;
  const seen = shows === 'orders' ? 'every order' : `${shows}${everyNs === 0n ? '' : `, sizes every ${everyNs / NS_PER_MS} ms`}`;
  const missed = score.lateCount + score.neverCount;
  return [
    `models    ${describeSettings(run.settings)}; sees ${seen}`,
    `filled    within ${onTimeNsOf(run) / NS_PER_MS} ms ${percent(score.onTimeCount, score.filledCount)}, too early ${percent(score.earlyCount, score.filledCount)}, ` +
      `missed ${percent(missed, score.filledCount)} (${score.lateCount} late, ${score.neverCount} never), of ${score.filledCount}`,
    `cancelled filled falsely ${percent(score.falseCount, score.cancelledCount)} (${score.falseWholeCount} whole, ` +
      `${score.falseCount - score.falseWholeCount} in part), of ${score.cancelledCount}`,
  ];
}

/** Up to `limit` twins that did not do as their originals did, each with its reasons. */
export function describeErrors(run: TwinRun, limit: number): string[] {
  const lines: string[] = [];
  for (const twin of run.twins) {
    const verdict = judgeTwin(twin, onTimeNsOf(run));
    if (verdict === 'onTime' || verdict === 'untouched' || lines.length >= limit) continue;
    const { candidate, order } = twin;
    const what = `${candidate.side === 0 ? 'buy' : 'sell'} ${candidate.lots} at ${candidate.priceTicks}`;
    const why =
      order === undefined
        ? 'its add did not come again'
        : [explainOrder(order, run.settings.model), ...order.fills.map(explainFill)].join(' | ');
    lines.push(`${verdict}: order ${candidate.id}, ${what}, came ${candidate.addNs}, really ${candidate.fate} ${candidate.endNs}: ${why}`);
  }
  return lines;
}
