/**
 * Two runs side by side. A difference is called better or worse only when the interval of its ratio leaves out 1 and it is larger than what two equal cells of
 * either run differ by; all else is noise.
 */
import type { Manifest } from '../manifest.ts';
import { nounsOf } from './local/local-plan.ts';
import { type Measure, measuresOf, valuesOf } from './measures.ts';
import type { Noise, Settings } from './report-model.ts';
import { type Estimate, estimateMedian, estimateRatio } from './statistics.ts';
import { type CellGroup, keyOf, nameGroup, summariseCells } from './summarise-cells.ts';

export type Difference = 'better' | 'worse' | 'noise';

export interface ComparedMeasure {
  readonly group: string;
  readonly measure: string;
  readonly unit: string;
  readonly before: Estimate;
  readonly after: Estimate;
  /** After over before. */
  readonly ratio: Estimate;
  /** Largest A/A difference of either run; null when neither has a pair for this measure. */
  readonly noise: number | null;
  readonly difference: Difference;
}

export interface RunComparison {
  readonly measures: readonly ComparedMeasure[];
  /** What is in one run only, or void in one, and so is not compared. */
  readonly left: readonly string[];
}

/** Why two runs should not be compared: a line for each difference of kind, settings or kind of machine. */
export function listMismatches(before: Manifest, after: Manifest): string[] {
  const lines = [
    mismatch('kind', before.kind, after.kind),
    mismatch('machine.cpu', before.machine.cpu, after.machine.cpu),
    mismatch('machine.cores', before.machine.cores, after.machine.cores),
  ];
  const [first, second] = [before.perfTest?.settings, after.perfTest?.settings];
  if (first !== undefined && second !== undefined) {
    const names = Object.keys(first) as (keyof Settings)[]; // the schema is strict: the keys are those of Settings
    // A setting that a run of before does not know of cannot be held against it.
    const known = names.filter((name) => second[name] !== undefined);
    lines.push(...known.map((name) => mismatch(`settings.${name}`, first[name], second[name])));
    const engineOf = (manifest: Manifest, name: 'queue' | 'flushMs') => [...new Set(manifest.perfTest?.cells.map((cell) => cell[name]))];
    for (const name of ['queue', 'flushMs'] as const) lines.push(mismatch(name, engineOf(before, name), engineOf(after, name)));
  }
  return lines.filter((line) => line !== undefined);
}

export function compareRuns(before: Manifest, after: Manifest): RunComparison {
  const firsts = new Map(summariseCells(before.perfTest?.cells ?? []).map((group) => [keyOf(group), group]));
  const seconds = new Map(summariseCells(after.perfTest?.cells ?? []).map((group) => [keyOf(group), group]));
  const noises = [before.perfTest?.noise ?? [], after.perfTest?.noise ?? []];
  const measures: ComparedMeasure[] = [];
  const left: string[] = [];
  for (const [key, first] of firsts) {
    const second = seconds.get(key);
    if (second === undefined) left.push(`${nameGroup(first)}: only in the first run`);
    else {
      left.push(...describeVoids(first, 'first'), ...describeVoids(second, 'second'));
      measures.push(...compareGroups(first, second, noises));
    }
  }
  for (const [key, second] of seconds) if (!firsts.has(key)) left.push(`${nameGroup(second)}: only in the second run`);
  return { measures, left };
}

/** @param noise largest A/A difference of either run, null when there is none */
export function judgeDifference(ratio: Estimate, noise: number | null, isMoreBetter: boolean): Difference {
  if (ratio.low === null || ratio.high === null) return 'noise';
  if (ratio.low <= 1 && ratio.high >= 1) return 'noise';
  // The same form as the noise has: the difference over the mean of both.
  const size = Math.abs(ratio.median - 1) / ((ratio.median + 1) / 2);
  if (size <= (noise ?? 0)) return 'noise';
  return ratio.median > 1 === isMoreBetter ? 'better' : 'worse';
}

function compareGroups(first: CellGroup, second: CellGroup, noises: readonly (readonly Noise[])[]): ComparedMeasure[] {
  const measures = measuresOf([...first.cells, ...second.cells]);
  return measures.flatMap((measure) => {
    const compared = compareMeasure(measure, first, second, noiseOf(measure.name, noises));
    return compared === undefined ? [] : [compared];
  });
}

function compareMeasure(measure: Measure, first: CellGroup, second: CellGroup, noise: number | null): ComparedMeasure | undefined {
  const [old, fresh] = [valuesOf(first.cells, measure), valuesOf(second.cells, measure)];
  const [before, after, ratio] = [estimateMedian(old), estimateMedian(fresh), estimateRatio(fresh, old)];
  if (before === undefined || after === undefined || ratio === undefined) return undefined;
  const { name, isMoreBetter } = measure;
  const unit = measure.unit.replace('tick', nounsOf(first.scenario).work);
  return {
    group: nameGroup(first),
    measure: name,
    unit,
    before,
    after,
    ratio,
    noise,
    difference: judgeDifference(ratio, noise, isMoreBetter),
  };
}

function noiseOf(measure: string, noises: readonly (readonly Noise[])[]): number | null {
  const found = noises.flatMap((list) => list.filter((entry) => entry.measure === measure).map(({ maxDifference }) => maxDifference));
  return found.length === 0 ? null : Math.max(...found);
}

function describeVoids(group: CellGroup, which: string): string[] {
  return group.voidCount === 0
    ? []
    : [`${nameGroup(group)}: ${group.voidCount} of ${group.cells.length} VOID in the ${which} run, left out`];
}

function mismatch(name: string, before: unknown, after: unknown): string | undefined {
  const [first, second] = [JSON.stringify(before), JSON.stringify(after)];
  return first === second ? undefined : `${name}: ${first} and ${second}`;
}
