/** What samples of a running engine say: which threads are busy, what bounds the rate, whether memory is flat. */
import { cpus } from 'node:os';
import type { EngineSample } from './engine-run.ts';
import { median } from './harness.ts';

const MIB = 1024 * 1024;
/** A thread, or all processors together, counts as busy from this share on. */
const BUSY_SHARE = 0.9;
/** Samples that start-up and draining take at the ends of a run. */
const EDGE_SAMPLES = 2;
const CURVE_POINTS = 120;

export interface Utilisation {
  /** Share of one processor, busiest first. `main` is the thread of the sources and of Kafka. */
  readonly threads: readonly { readonly name: string; readonly share: number }[];
  /** Share of all processors of the machine, whoever used them. */
  readonly machineShare: number;
}

/** Shares over the middle of a run; undefined when there are too few samples. */
export function utilisationOf(samples: readonly EngineSample[], processId: number): Utilisation | undefined {
  const middle = samples.slice(EDGE_SAMPLES, -EDGE_SAMPLES);
  const first = middle[0];
  const last = middle.at(-1);
  if (!first || !last || last.atSec <= first.atSec) return undefined;
  const seconds = last.atSec - first.atSec;
  const threads = [...last.threadCpuSec].map(([id, cpuSec]) => ({
    name: id === processId ? 'main' : `thread ${id - processId}`,
    share: (cpuSec - (first.threadCpuSec.get(id) ?? 0)) / seconds,
  }));
  threads.sort((a, b) => b.share - a.share);
  return { threads, machineShare: (last.machineBusySec - first.machineBusySec) / seconds / cpus().length };
}

/** One sentence on what keeps the rate from being higher. */
export function describeBound(use: Utilisation | undefined): string {
  if (!use) return 'not known: this system has no /proc';
  const busiest = use.threads[0];
  if (busiest && busiest.share >= BUSY_SHARE) return `the ${busiest.name} thread, busy ${percent(busiest.share)}`;
  if (use.machineShare >= BUSY_SHARE) return `all processors of the machine, busy ${percent(use.machineShare)}`;
  return `no thread is busy (${busiest ? `${busiest.name} ${percent(busiest.share)}` : 'none seen'}): waiting for Postgres, Kafka or the other side`;
}

export function percent(share: number): string {
  return `${(share * 100).toFixed(0)} %`;
}

export interface MemoryFigures {
  readonly warmUpSec: number;
  readonly medianMib: number;
  readonly maxMib: number;
  /** Peak of the second half over that of the first, less 1. Not medians or slopes: between major collections the size rises and falls back for minutes. */
  readonly growth: number;
  /** Least-squares slope after warm-up. */
  readonly slopeMibPerMinute: number;
  /** Resident MiB at even distances over the whole run. */
  readonly curveMib: readonly number[];
}

/** Resident size after the first fifth of a run. Undefined when there are too few samples. */
export function memoryFiguresOf(samples: readonly EngineSample[]): MemoryFigures | undefined {
  const last = samples.at(-1);
  if (!last || samples.length < 20) return undefined;
  const warmUpSec = last.atSec / 5;
  const steady = samples.slice(0, -EDGE_SAMPLES).filter(({ atSec }) => atSec >= warmUpSec);
  const mib = steady.map(({ residentBytes }) => residentBytes / MIB);
  const all = samples.slice(0, -EDGE_SAMPLES).map(({ residentBytes }) => residentBytes / MIB);
  const half = Math.ceil(all.length / 2);
  const step = Math.max(1, Math.ceil(samples.length / CURVE_POINTS));
  return {
    warmUpSec,
    medianMib: median(mib),
    maxMib: peakOf(mib),
    growth: peakOf(all.slice(half)) / peakOf(all.slice(0, half)) - 1,
    slopeMibPerMinute: slopeOf(steady.map(({ atSec }, index) => [atSec / 60, mib[index] ?? 0])),
    curveMib: samples.filter((_, index) => index % step === 0).map(({ residentBytes }) => Math.round(residentBytes / MIB)),
  };
}

function peakOf(mib: readonly number[]): number {
  return mib.reduce((peak, size) => Math.max(peak, size), 0);
}

/** Least-squares slope of y over x. */
export function slopeOf(points: readonly (readonly [x: number, y: number])[]): number {
  const meanX = points.reduce((sum, [x]) => sum + x, 0) / points.length;
  const meanY = points.reduce((sum, [, y]) => sum + y, 0) / points.length;
  const covariance = points.reduce((sum, [x, y]) => sum + (x - meanX) * (y - meanY), 0);
  return covariance / points.reduce((sum, [x]) => sum + (x - meanX) ** 2, 0);
}
