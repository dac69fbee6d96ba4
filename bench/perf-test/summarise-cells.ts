/**
 * Repeats of the same thing as one group, with its medians. Cells that came out wrong are counted and shown, and are in no median; latencies of
 * saturated cells are in none either, since what waits for a queue that only grows has no latency. The second cells of A/A pairs tell the noise
 * and nothing else.
 */
import { median } from '../harness.ts';
import { CPU, hasLatency, isCounted, type Measure, measureLatency, measuresOf, stagesOf, THROUGHPUT, valuesOf } from './measures.ts';
import type { CellResult, Noise } from './report-model.ts';
import { isLimit, NAIVE, OURS } from './runtime-names.ts';
import { type Estimate, estimateMedian, relativeDifference } from './statistics.ts';

export interface StageSummary {
  readonly stage: string;
  /** In microseconds, as all of these. */
  readonly p50: Estimate;
  readonly p99: Estimate;
  /** Medians over the cells, and the largest of their largest. */
  readonly p90Us: number;
  readonly p999Us: number;
  readonly maxUs: number;
}

export interface CellGroup {
  readonly runtime: string;
  readonly scenario: string;
  readonly mode: CellResult['mode'];
  readonly encoding: CellResult['encoding'];
  readonly workers: number;
  readonly symbols: number;
  /** Repeats in their order, void and saturated ones among them. */
  readonly cells: readonly CellResult[];
  readonly voidCount: number;
  /** Of the right ones. */
  readonly saturatedCount: number;
  /** Median of what was due in the stage: as many as the cell's seed drew, not as many as the rate says on average. */
  readonly offeredPerSec: number;
  /** Undefined when no repeat came out right. */
  readonly throughput: Estimate | undefined;
  readonly cpuUsPerTick: Estimate | undefined;
  /** Median by process, those included that only measure. */
  readonly cpuByProcess: ReadonlyMap<string, number>;
  readonly stages: readonly StageSummary[];
}

/** Groups in the order: runtime as first seen, mode, encoding, symbols, workers. */
export function summariseCells(cells: readonly CellResult[]): CellGroup[] {
  const byKey = new Map<string, CellResult[]>();
  for (const cell of cells) {
    if (cell.role !== 'measure') continue;
    const key = keyOf(cell);
    byKey.set(key, [...(byKey.get(key) ?? []), cell]);
  }
  const runtimes = [...new Set(cells.map((cell) => cell.runtime))].sort(compareRuntimes);
  const groups = [...byKey.values()].map((members) =>
    summariseGroup(
      members[0]!,
      members.sort((a, b) => a.repeat - b.repeat),
    ),
  );
  return groups.sort(
    (a, b) =>
      runtimes.indexOf(a.runtime) - runtimes.indexOf(b.runtime) ||
      b.mode.localeCompare(a.mode) ||
      nameMode(a).localeCompare(nameMode(b)) ||
      a.symbols - b.symbols ||
      a.workers - b.workers,
  );
}

/** Cells of one key are repeats of each other. */
export function keyOf(cell: Pick<CellResult, 'runtime' | 'scenario' | 'mode' | 'encoding' | 'workers' | 'symbols'>): string {
  return `${cell.runtime} ${cell.scenario} ${nameMode(cell)} ${cell.workers} ${cell.symbols}`;
}

/** The encoding is named where it is not that of the contract. */
export function nameMode({ mode, encoding }: Pick<CellResult, 'mode' | 'encoding'>): string {
  return encoding === 'packed' ? `${mode}, packed` : mode;
}

/** What a group is called in tables and plots. */
export function nameGroup(group: Pick<CellResult, 'runtime' | 'mode' | 'encoding' | 'workers' | 'symbols'>): string {
  return `${group.runtime}, ${nameMode(group)}, ${group.symbols} symbols, ${nameWorkers(group.workers)}`;
}

export function nameWorkers(workers: number): string {
  return `${workers} worker${workers === 1 ? '' : 's'}`;
}

/**
 * How far two runs of the same cell lie apart: an `aa` cell is compared with the measured cell of its key and repeat. Pairs with a void cell are
 * left out, and pairs with a saturated one tell nothing of latency. All measures, unless some are named.
 */
export function measureNoise(cells: readonly CellResult[], measures?: readonly Measure[]): Noise[] {
  const partners = new Map(cells.filter((cell) => cell.role === 'measure').map((cell) => [`${keyOf(cell)} ${cell.repeat}`, cell]));
  const pairs = cells
    .filter((cell) => cell.role === 'aa')
    .flatMap((cell) => {
      const partner = partners.get(`${keyOf(cell)} ${cell.repeat}`);
      return partner === undefined ? [] : [[partner, cell] as const];
    });
  return (measures ?? measuresOf(pairs.flat())).flatMap((measure) => {
    const differences = pairs.flatMap(([first, second]) => {
      const a = measure.valueOf(first);
      const b = measure.valueOf(second);
      return a === undefined || b === undefined ? [] : [relativeDifference(a, b)];
    });
    if (differences.length === 0) return [];
    return [
      {
        measure: measure.name,
        pairs: differences.length,
        maxDifference: Math.max(...differences),
        medianDifference: median(differences),
      },
    ];
  });
}

/** Ours first, then its twin, other pipelines by name, and the bare limits. */
function compareRuntimes(a: string, b: string): number {
  return placeOf(a) - placeOf(b) || a.localeCompare(b);
}

function placeOf(runtime: string): number {
  if (runtime === OURS) return 0;
  if (runtime === NAIVE) return 1;
  return isLimit(runtime) ? 3 : 2;
}

function summariseGroup(first: CellResult, cells: readonly CellResult[]): CellGroup {
  const right = cells.filter(isCounted);
  const processes = new Set(right.flatMap((cell) => Object.keys(cell.cpuUsPerTick ?? {})));
  return {
    runtime: first.runtime,
    scenario: first.scenario,
    mode: first.mode,
    encoding: first.encoding,
    workers: first.workers,
    symbols: first.symbols,
    cells,
    voidCount: cells.length - right.length,
    saturatedCount: right.filter((cell) => cell.isSaturated).length,
    offeredPerSec: median(cells.map((cell) => (cell.duration_sec > 0 ? cell.offered / cell.duration_sec : 0))),
    throughput: estimateMedian(valuesOf(cells, THROUGHPUT)),
    cpuUsPerTick: estimateMedian(valuesOf(cells, CPU)),
    cpuByProcess: new Map([...processes].map((process) => [process, median(right.flatMap((cell) => cell.cpuUsPerTick?.[process] ?? []))])),
    stages: stagesOf(cells).flatMap((stage) => summariseStage(stage, cells)),
  };
}

function summariseStage(stage: string, cells: readonly CellResult[]): StageSummary[] {
  const p50 = estimateMedian(valuesOf(cells, measureLatency(stage, 'p50')));
  const p99 = estimateMedian(valuesOf(cells, measureLatency(stage, 'p99')));
  if (p50 === undefined || p99 === undefined) return [];
  const latencies = cells.filter((cell) => hasLatency(cell, stage)).flatMap((cell) => cell.latency[stage] ?? []);
  const counted = latencies.filter((latency) => latency.count > 0);
  return [
    {
      stage,
      p50,
      p99,
      p90Us: median(counted.map((latency) => latency.p90Us)),
      p999Us: median(counted.map((latency) => latency.p999Us)),
      maxUs: Math.max(...counted.map((latency) => latency.maxUs)),
    },
  ];
}
