/** What of a cell is compared: its name, which way is better, and how it is read. */
import type { CellResult } from './report-model.ts';

export interface Measure {
  /** As in the list of noise: `throughput`, `cpuUsPerTick`, `<stage> p50`, `p99` and `p99.9`. */
  readonly name: string;
  readonly unit: string;
  readonly isMoreBetter: boolean;
  /** Undefined when the cell has no such value to be compared: it is void, or saturated and this is a latency. */
  readonly valueOf: (cell: CellResult) => number | undefined;
}

/** Processes that make or watch the load and are no part of what is measured. */
export const MEASURING_PROCESSES: ReadonlySet<string> = new Set(['generator', 'harness']);

export const THROUGHPUT: Measure = {
  name: 'throughput',
  unit: 'ticks/s',
  isMoreBetter: true,
  valueOf: (cell) =>
    isCounted(cell) && cell.builder_ticks_per_sec !== null && cell.duration_sec > 0 ? cell.achieved / cell.duration_sec : undefined,
};

/** Of the pipeline and its servers; the generator and the harness are left out. */
export const CPU: Measure = {
  name: 'cpuUsPerTick',
  unit: 'µs/tick',
  isMoreBetter: false,
  valueOf(cell) {
    if (!isCounted(cell) || cell.cpuUsPerTick === null) return undefined;
    const parts = Object.entries(cell.cpuUsPerTick).filter(([process]) => !MEASURING_PROCESSES.has(process));
    return parts.length === 0 ? undefined : parts.reduce((sum, [, microseconds]) => sum + microseconds, 0);
  },
};

/** Right: only such cells are averaged. */
export function isCounted(cell: CellResult): boolean {
  return cell.verdict.isRight;
}

/** Right, and not saturated: only the latencies of such cells are compared. */
export function isSteady(cell: CellResult): boolean {
  return isCounted(cell) && !cell.isSaturated;
}

/** Nothing was compared with the oracle, as with a bare limit: neither right nor wrong. */
export function isUnjudged(cell: CellResult): boolean {
  return cell.verdict.isRight && cell.verdict.barsCompared === 0 && cell.verdict.messagesCompared === 0;
}

/** The time in each second for which main stood still; what a stage of a pipeline takes is the others. */
export const MAIN_PAUSE_STAGE = 'mainPause';

/** A cell that falls behind its load has no latency of bars; how long main stands still it has all the same. */
export function hasLatency(cell: CellResult, stage: string): boolean {
  return stage === MAIN_PAUSE_STAGE ? isCounted(cell) : isSteady(cell);
}

const PERCENTILES = { p50: 'p50Us', p99: 'p99Us', 'p99.9': 'p999Us' } as const;
export type Percentile = keyof typeof PERCENTILES;

export function measureLatency(stage: string, percentile: Percentile): Measure {
  const field = PERCENTILES[percentile];
  return {
    name: `${stage} ${percentile}`,
    unit: 'µs',
    isMoreBetter: false,
    valueOf(cell) {
      const latency = cell.latency[stage];
      return hasLatency(cell, stage) && latency !== undefined && latency.count > 0 ? latency[field] : undefined;
    },
  };
}

/** Stages with a latency in any of the cells, in the order of their first appearance. */
export function stagesOf(cells: readonly CellResult[]): string[] {
  return [...new Set(cells.flatMap((cell) => Object.keys(cell.latency)))];
}

export function measuresOf(cells: readonly CellResult[]): Measure[] {
  return [THROUGHPUT, CPU, ...latenciesOf(cells)];
}

/** Every stage at every percentile that is compared. */
export function latenciesOf(cells: readonly CellResult[]): Measure[] {
  // A cast: the keys of a table that is declared a few lines above.
  const percentiles = Object.keys(PERCENTILES) as Percentile[];
  return stagesOf(cells).flatMap((stage) => percentiles.map((percentile) => measureLatency(stage, percentile)));
}

/** The values of a measure, of the cells that have one. */
export function valuesOf(cells: readonly CellResult[], measure: Measure): number[] {
  return cells.map(measure.valueOf).filter((value) => value !== undefined);
}
