/** What the page draws: lines with their points, worked out here, so that the page only draws. */
import { decodeFromCompressedBase64 } from 'hdr-histogram-js';
import { createHistogram, type Histogram } from '../../engine/core/latency.ts';
import { nounsOf } from './local/local-plan.ts';
import { hasLatency, stagesOf } from './measures.ts';
import type { CellResult } from './report-model.ts';
import { isLimit } from './runtime-names.ts';
import { type CellGroup, nameGroup } from './summarise-cells.ts';

export interface Line {
  readonly label: string;
  /** Which colour of the palette. */
  readonly colour: number;
  /** A void cell is drawn in red and dashed. */
  readonly isVoid: boolean;
  /** Rising; a null ordinate is a gap. */
  readonly x: readonly number[];
  readonly y: readonly (number | null)[];
  /** Ends of the interval at each point; absent: none are drawn. */
  readonly low?: readonly (number | null)[];
  readonly high?: readonly (number | null)[];
}

export interface Chart {
  readonly title: string;
  readonly xLabel: string;
  readonly yLabel: string;
  /** `percentile`: x is 1 / (1 - p) on a logarithmic scale, labelled by p; `count`: whole numbers only. */
  readonly xKind: 'percentile' | 'count' | 'number';
  readonly isLogY: boolean;
  readonly lines: readonly Line[];
}

/** Charts of one section; one of `choices` is shown at a time when there are any. */
export interface ChartSection {
  readonly title: string;
  readonly note: string;
  readonly choices: readonly { readonly label: string; readonly charts: readonly Chart[] }[];
}

export function chartSections(groups: readonly CellGroup[]): ChartSection[] {
  const sections = [throughputSection(groups), latencySection(groups), timeSection(groups)];
  return sections
    .map((section) => ({ ...section, choices: section.choices.map(keepDrawn).filter(({ charts }) => charts.length > 0) }))
    .filter(({ choices }) => choices.length > 0);
}

function keepDrawn<Choice extends ChartSection['choices'][number]>(choice: Choice) {
  return { label: choice.label, charts: choice.charts.filter(({ lines }) => lines.length > 0) };
}

/** The stage that is shown first: what a reader of bars waits for. */
const WHOLE_WAY = 'barToConsumer';

function latencySection(groups: readonly CellGroup[]): ChartSection {
  const found = stagesOf(groups.flatMap((group) => group.cells));
  const stages = [...found.filter((stage) => stage === WHOLE_WAY), ...found.filter((stage) => stage !== WHOLE_WAY)];
  return {
    title: 'Latency by percentile',
    note: 'Histograms of the right and unsaturated repeats of a group, added up.',
    choices: stages.map((stage) => ({
      label: stage,
      charts: (['live', 'catch-up'] as const).map((mode) => ({
        title: `${stage}, ${mode}`,
        xLabel: 'percentile',
        yLabel: 'ms',
        xKind: 'percentile' as const,
        isLogY: true,
        lines: groups.filter((group) => group.mode === mode).flatMap((group, colour) => percentileLine(group, stage, colour)),
      })),
    })),
  };
}

/** Points a decade of 1 / (1 - p). */
const POINTS_A_DECADE = 12;

function percentileLine(group: CellGroup, stage: string, colour: number): Line[] {
  const histogram = mergeHistograms(
    group.cells.filter((cell) => hasLatency(cell, stage)).flatMap((cell) => cell.latency[stage]?.hdr ?? []),
  );
  if (histogram.totalCount === 0) return [];
  const decades = Math.log10(histogram.totalCount);
  // The line ends where the next point would stand for less than one value.
  const steps = Array.from({ length: Math.floor(decades * POINTS_A_DECADE) + 1 }, (_, step) => 10 ** (step / POINTS_A_DECADE));
  // Zero has no place on a logarithmic scale: what took less than half a microsecond is drawn there.
  const y = steps.map((step) => Math.max(0.5, histogram.getValueAtPercentile(100 * (1 - 1 / step))) / 1000);
  return [{ label: nameGroup(group), colour, isVoid: false, x: steps, y }];
}

export function mergeHistograms(encoded: readonly string[]): Histogram {
  const merged = createHistogram();
  for (const hdr of encoded) merged.add(decodeFromCompressedBase64(hdr));
  return merged;
}

function throughputSection(groups: readonly CellGroup[]): ChartSection {
  const { work } = nounsOf(groups[0]?.scenario ?? '');
  const chart = (mode: CellGroup['mode'], yLabel: 'ticks/s' | 'µs/tick'): Chart => ({
    title: `${yLabel.replace('tick', work)} by workers, ${mode}`,
    xLabel: 'workers',
    yLabel: yLabel.replace('tick', work),
    xKind: 'count',
    isLogY: true,
    lines: workerLines(
      groups.filter((group) => group.mode === mode && (mode === 'catch-up' || !isLimit(group.runtime))),
      yLabel === 'ticks/s' ? (group) => group.throughput : (group) => group.cpuUsPerTick,
    ),
  });
  return {
    title: 'Throughput by workers',
    note: 'Medians; whiskers are their intervals. Lines of live groups lie on what was offered as long as it was achieved.',
    choices: [
      { label: 'throughput', charts: [chart('live', 'ticks/s'), chart('catch-up', 'ticks/s')] },
      { label: `processor time per ${work}`, charts: [chart('live', 'µs/tick'), chart('catch-up', 'µs/tick')] },
    ],
  };
}

function nameLine({ runtime, symbols, encoding }: CellGroup): string {
  return `${runtime}, ${encoding === 'packed' ? 'packed, ' : ''}${symbols} symbols`;
}

function workerLines(groups: readonly CellGroup[], read: (group: CellGroup) => CellGroup['throughput']): Line[] {
  const names = [...new Set(groups.map(nameLine))];
  return names.flatMap((label, colour) => {
    const members = groups
      .filter((group) => nameLine(group) === label)
      .flatMap((group) => {
        const estimate = read(group);
        return estimate === undefined ? [] : [{ workers: group.workers, ...estimate }];
      })
      .sort((a, b) => a.workers - b.workers);
    if (members.length === 0) return [];
    const x = members.map(({ workers }) => workers);
    const [y, low, high] = [members.map(({ median }) => median), members.map((member) => member.low), members.map((member) => member.high)];
    return [{ label, colour, isVoid: false, x, y, low, high }];
  });
}

function timeSection(groups: readonly CellGroup[]): ChartSection {
  const { work } = nounsOf(groups[0]?.scenario ?? '');
  const kinds: readonly [title: string, yLabel: string, read: (series: CellResult['series']) => readonly (number | null)[]][] = [
    [`Accepted ${work}s`, `${work}s/s`, (series) => series.acceptedPerSec],
    [`Deepest ${work} ring`, 'slots', (series) => series.ringDepth],
    ['Resident memory', 'MiB', (series) => series.residentMib],
  ];
  return {
    title: 'Over time',
    note: 'A line for each cell of a group, void ones in red.',
    choices: groups.map((group) => ({
      label: nameGroup(group),
      charts: kinds.map(([title, yLabel, read]) => ({
        title,
        xLabel: 's since the stage began',
        yLabel,
        xKind: 'number' as const,
        isLogY: false,
        lines: group.cells.flatMap((cell, colour) => timeLine(cell, read(cell.series), colour)),
      })),
    })),
  };
}

function timeLine(cell: CellResult, y: readonly (number | null)[], colour: number): Line[] {
  if (y.every((value) => value === null)) return [];
  const isVoid = !cell.verdict.isRight;
  return [{ label: `repeat ${cell.repeat}${isVoid ? ', VOID' : ''}`, colour, isVoid, x: cell.series.atSec, y }];
}
