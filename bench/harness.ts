/**
 * Measures one piece of work against another in alternating rounds of one run, so that the drift of a shared machine falls on
 * both: the ratio is taken round by round, the order flips each round, and the first rounds warm up and are dropped.
 */
import { EngineError } from '../engine/core/errors.ts';
import type { RatioEntry, ReportEntry } from './manifest.ts';

const ROUNDS = 7;
const WARM_UP_ROUNDS = 2;

export interface CompareSpec {
  /** What is measured, and what it is measured against. */
  readonly work: string;
  readonly against: string;
  /** The ratio to reach; none: it is reported only. */
  readonly atLeast?: number;
  /** Unit of what `run` returns: a rate, more is better. */
  readonly unit: string;
  /** Rounds, of which the first two are dropped; 7 unless told. */
  readonly rounds?: number;
  readonly run: {
    readonly work: () => number | Promise<number>;
    readonly against: () => number | Promise<number>;
  };
}

export interface BenchContext {
  /**
   * Runs both in turn and records the median ratio with its lowest and highest round.
   * @throws EngineError BENCH_RATE when a rate is not a positive number
   */
  compare(spec: CompareSpec): Promise<void>;
  /** Records figures that are not a ratio. */
  report(name: string, values: Record<string, number | string>): void;
  /** Prints a line, and what was skipped and why. */
  log(text: string): void;
  /** True when C++ opponents can be built. */
  readonly hasCompiler: boolean;
  /** True when a quick look is wanted: less work a round, shorter searches. */
  readonly isQuick: boolean;
}

export interface Bench {
  readonly name: string;
  /** Whether it and its opponents use one processor, and are held to the same one. */
  readonly isOnOneProcessor?: boolean;
  run(context: BenchContext): Promise<void>;
}

export interface BenchResults {
  readonly ratios: readonly RatioEntry[];
  readonly reports: readonly ReportEntry[];
}

export interface ContextOptions {
  readonly hasCompiler: boolean;
  readonly isQuick: boolean;
  readonly print: (line: string) => void;
}

export function createBenchContext(options: ContextOptions): { readonly context: BenchContext; readonly results: BenchResults } {
  const ratios: RatioEntry[] = [];
  const reports: ReportEntry[] = [];
  const context: BenchContext = {
    hasCompiler: options.hasCompiler,
    isQuick: options.isQuick,
    log: options.print,
    async compare(spec) {
      const entry = await measure(spec);
      ratios.push(entry);
      options.print(`  ${describeRatio(entry)}`);
    },
    report(name, values) {
      reports.push({ name, values });
      const parts = Object.entries(values).map(([key, value]) => `${key} ${value}`);
      options.print(`  ${name}: ${parts.join(', ')}`);
    },
  };
  return { context, results: { ratios, reports } };
}

export function describeRatio(entry: RatioEntry): string {
  const spread = `${entry.ratio.toFixed(2)} (${entry.low.toFixed(2)} to ${entry.high.toFixed(2)})`;
  const rates = `${formatRate(entry.workRate)} and ${formatRate(entry.againstRate)} ${entry.unit}`;
  const target = entry.atLeast === null ? '' : entry.isReached ? `, at least ${entry.atLeast}: yes` : `, AT LEAST ${entry.atLeast}: NO`;
  return `${entry.work} / ${entry.against}: ${spread}${target} [${rates}]`;
}

/** The middle value; of an even number of values the mean of the two in the middle. */
export function median(values: readonly number[]): number {
  const sorted = [...values].sort((a, b) => a - b);
  const middle = sorted.length >> 1;
  const upper = sorted[middle] ?? Number.NaN;
  return sorted.length % 2 === 1 ? upper : ((sorted[middle - 1] ?? Number.NaN) + upper) / 2;
}

export function formatRate(rate: number): string {
  if (rate >= 1e6) return `${(rate / 1e6).toFixed(rate >= 1e8 ? 0 : 1)} M`;
  if (rate >= 1e3) return `${(rate / 1e3).toFixed(1)} k`;
  return rate.toFixed(1);
}

async function measure(spec: CompareSpec): Promise<RatioEntry> {
  const rounds = spec.rounds ?? ROUNDS;
  const measured = { ratios: [] as number[], work: [] as number[], against: [] as number[] };
  for (let round = 0; round < rounds; round += 1) {
    const isWorkFirst = round % 2 === 0;
    const first = isWorkFirst ? await rateOf(spec, 'work') : await rateOf(spec, 'against');
    const second = isWorkFirst ? await rateOf(spec, 'against') : await rateOf(spec, 'work');
    if (round < WARM_UP_ROUNDS) continue;
    const [work, against] = isWorkFirst ? [first, second] : [second, first];
    measured.work.push(work);
    measured.against.push(against);
    measured.ratios.push(work / against);
  }
  const ratio = median(measured.ratios);
  return {
    work: spec.work,
    against: spec.against,
    unit: spec.unit,
    rounds: measured.ratios.length,
    ratio,
    low: Math.min(...measured.ratios),
    high: Math.max(...measured.ratios),
    workRate: median(measured.work),
    againstRate: median(measured.against),
    atLeast: spec.atLeast ?? null,
    isReached: spec.atLeast === undefined ? null : ratio >= spec.atLeast,
  };
}

async function rateOf(spec: CompareSpec, side: 'work' | 'against'): Promise<number> {
  const rate = await spec.run[side]();
  if (Number.isFinite(rate) && rate > 0) return rate;
  throw new EngineError('BENCH_RATE', `${spec[side]}: rate ${rate}, expected a positive number of ${spec.unit}`);
}
