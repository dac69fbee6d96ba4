/**
 * Ratios of groups of cells of one run, in the form that benches leave: these, and never times or rates, are compared from run to run. Against
 * each other pipeline and each bare limit of the run, in the same mode and encoding and with the same symbols.
 */
import { median } from '../harness.ts';
import type { RatioEntry } from '../manifest.ts';
import { nounsOf } from './local/local-plan.ts';
import { CPU, THROUGHPUT, valuesOf } from './measures.ts';
import type { CellResult } from './report-model.ts';
import { isLimit, OURS } from './runtime-names.ts';
import { estimateRatio } from './statistics.ts';
import { type CellGroup, nameGroup, nameMode, nameWorkers, summariseCells } from './summarise-cells.ts';

const US_PER_SEC = 1e6;

/** How the rate of one unit is read from the cells of a group. */
interface Rate {
  readonly unit: string;
  readonly valuesOf: (cells: readonly CellResult[]) => number[];
}

const perSecond = (work: string): Rate => ({ unit: `${work}s/s`, valuesOf: (cells) => valuesOf(cells, THROUGHPUT) });
const perCpuSecond = (work: string): Rate => ({
  unit: `${work}s per CPU second`,
  valuesOf: (cells) => valuesOf(cells, CPU).flatMap((microseconds) => (microseconds > 0 ? [US_PER_SEC / microseconds] : [])),
});

/**
 * Throughput, and ticks a CPU second, of ours against every other runtime. Where both keep up with a schedule their throughput is the schedule's,
 * and there is no ratio of it. A runtime that did not run with as many workers is taken with the fewest that it has.
 */
export function cellRatios(cells: readonly CellResult[]): RatioEntry[] {
  const groups = summariseCells(cells);
  return groups
    .filter((group) => group.runtime === OURS)
    .flatMap((work) =>
      opponentsOf(work, groups).flatMap((against) => [
        ...(keepsUp(work) && keepsUp(against) ? [] : ratioOf(work, against, perSecond(nounsOf(work.scenario).work))),
        ...(isLimit(against.runtime) ? [] : ratioOf(work, against, perCpuSecond(nounsOf(work.scenario).work))),
      ]),
    );
}

function opponentsOf(work: CellGroup, groups: readonly CellGroup[]): CellGroup[] {
  const alike = groups.filter((group) => group.runtime !== OURS && nameMode(group) === nameMode(work) && group.symbols === work.symbols);
  const runtimes = [...new Set(alike.map((group) => group.runtime))];
  return runtimes.map((runtime) => {
    const candidates = alike.filter((group) => group.runtime === runtime);
    return candidates.find((group) => group.workers === work.workers) ?? candidates[0]!;
  });
}

function keepsUp(group: CellGroup): boolean {
  return group.mode === 'live' && group.saturatedCount === 0;
}

function ratioOf(work: CellGroup, against: CellGroup, rate: Rate): RatioEntry[] {
  const workRates = rate.valuesOf(work.cells);
  const againstRates = rate.valuesOf(against.cells);
  const above = estimateRatio(workRates, againstRates);
  if (above === undefined) return [];
  return [
    {
      work: nameGroup(work),
      against: `${against.runtime}, ${nameWorkers(against.workers)}`,
      unit: rate.unit,
      rounds: above.count,
      ratio: above.median,
      // Of fewer than three repeats there is no interval; the ratio then stands for itself and is not evidence.
      low: above.low ?? above.median,
      high: above.high ?? above.median,
      workRate: median(workRates),
      againstRate: median(againstRates),
      atLeast: null,
      isReached: null,
    },
  ];
}
