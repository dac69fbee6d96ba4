/** What `perf-compare` and `perf-gate` say. */
import type { Manifest } from '../manifest.ts';
import type { ComparedMeasure, RunComparison } from './compare-runs.ts';
import { formatCount, formatEstimate, formatPercent, MISSING } from './format.ts';
import type { GatedRatio, GatedRun } from './gate.ts';
import { renderText } from './render-text.ts';
import type { Column } from './report-view.ts';
import type { Estimate } from './statistics.ts';

const FEW = 3;

/** By group: before, after, ratio with its interval, noise, and what it comes to. */
export function renderComparison({ measures, left }: RunComparison): string {
  const lines: string[] = [];
  for (const group of new Set(measures.map((measure) => measure.group))) {
    const rows = measures.filter((measure) => measure.group === group).map((measure) => ({ cells: rowOf(measure) }));
    lines.push(...renderText({ title: group, columns: COMPARE_COLUMNS, rows }), '');
  }
  lines.push(...left);
  const count = (difference: ComparedMeasure['difference']): number =>
    measures.filter((measure) => measure.difference === difference).length;
  lines.push(`${count('better')} better, ${count('worse')} worse, ${count('noise')} noise, of ${formatCount(measures.length, 'measure')}`);
  if (measures.some(({ noise }) => noise === null))
    lines.push('Where noise is -, neither run has an A/A pair: those differences rest on the intervals alone.');
  if (measures.some(({ ratio }) => ratio.low === null))
    lines.push(`Where a side has fewer than ${FEW} repeats there is no interval, and every difference is noise.`);
  return `${lines.join('\n')}\n`;
}

const COMPARE_COLUMNS: readonly Column[] = [
  { title: 'measure', isNumber: false },
  { title: 'unit', isNumber: false },
  { title: 'before', isNumber: true },
  { title: 'after', isNumber: true },
  { title: 'after / before', isNumber: true },
  { title: 'noise', isNumber: true },
  { title: 'is', isNumber: false },
];

function rowOf({ measure, unit, before, after, ratio, noise, difference }: ComparedMeasure): string[] {
  return [measure, unit, formatEstimate(before), formatEstimate(after), formatEstimate(ratio), formatPercent(noise), emphasise(difference)];
}

/** The gate passes when no ratio is worse and every run came out right. */
export function isPassed(gated: readonly GatedRun[]): boolean {
  return gated.every(({ ratios, faults }) => faults.length === 0 && ratios.every(({ difference }) => difference !== 'worse'));
}

export function renderGate(gated: readonly GatedRun[]): string {
  const lines = gated.flatMap(({ run, ratios, faults }) => [
    ...tableOf(run.name, ratios),
    ...faults.map((fault) => `  FAULT: ${fault}`),
    '',
  ]);
  const ratios = gated.flatMap((run) => run.ratios);
  lines.push(`${isPassed(gated) ? 'PASSED' : 'FAILED'}: ${describeRatios(ratios)}`);
  const fresh = ratios.filter(({ difference }) => difference === 'new').length;
  if (fresh > 0) lines.push(`${fresh} NOT COMPARED: no accepted run of this kind of machine has them`);
  return `${lines.join('\n')}\n`;
}

/** Two runs of benches: the ratios that both have; what only one has is counted. */
export function renderRatios(title: string, before: Manifest, ratios: readonly GatedRatio[]): string {
  const shared = ratios.filter(({ accepted }) => accepted !== undefined);
  const counts = `${describeRatios(shared)} in both; ${before.ratios.length - shared.length} only before; ${ratios.length - shared.length} only after`;
  return `${[...tableOf(title, shared), '', counts].join('\n')}\n`;
}

function tableOf(title: string, ratios: readonly GatedRatio[]): string[] {
  if (ratios.length === 0) return [title, '  no ratios'];
  return renderText({ title, columns: GATE_COLUMNS, rows: ratios.map((ratio) => ({ cells: gateRow(ratio) })) });
}

function describeRatios(ratios: readonly GatedRatio[]): string {
  const count = (difference: GatedRatio['difference']): number => ratios.filter((ratio) => ratio.difference === difference).length;
  return `${count('better')} better, ${count('worse')} worse, ${count('noise')} within noise, of ${formatCount(ratios.length, 'ratio')}`;
}

const GATE_COLUMNS: readonly Column[] = [
  { title: 'work', isNumber: false },
  { title: 'against', isNumber: false },
  { title: 'unit', isNumber: false },
  { title: 'before', isNumber: true },
  { title: 'after', isNumber: true },
  { title: 'is', isNumber: false },
];

function gateRow({ entry, accepted, difference }: GatedRatio): string[] {
  const spread = ({ ratio, low, high, rounds }: GatedRatio['entry']): Estimate => ({ median: ratio, low, high, count: rounds });
  const before = accepted === undefined ? MISSING : formatEstimate(spread(accepted.entry));
  return [entry.work, entry.against, entry.unit, before, formatEstimate(spread(entry)), emphasise(difference)];
}

function emphasise(difference: GatedRatio['difference']): string {
  return difference === 'worse' ? 'WORSE' : difference;
}
