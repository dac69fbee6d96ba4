/** Cells that a process measures from inside, most of them without servers: what it is told, and what it tells. */
import type { WatchedProcess } from '../processes.ts';
import type { CellResult, Verdict } from '../report-model.ts';

/** One cell, as JSON on the command line. */
export interface LocalPlan {
  readonly scenario: string;
  readonly runtime: string;
  readonly workers: number;
  readonly symbols: number;
  readonly queue: number;
  readonly flushMs: number;
  readonly baseTps: number;
  /** Ticks, or orders, that are drawn before the measurement. */
  readonly backlog: number;
  readonly warmupSec: number;
  readonly stageSec: number;
  readonly sampleSec: number;
  readonly seed: number;
  /** Servers that are at work for the cell, where it has one, and are of this run. */
  readonly watched: readonly WatchedProcess[];
}

/** One line of JSON when the cell is done. */
export interface LocalResult
  extends Pick<CellResult, 'latency' | 'workerLatency' | 'cpu' | 'gc' | 'eventLoopDelayMs' | 'othersShare' | 'series' | 'notes'> {
  /** Of the measured stage. */
  readonly seconds: number;
  /** Ticks or orders done in the stage, and bars that came of them; null where there are none. */
  readonly done: number;
  readonly bars: number | null;
  readonly dropped: number;
  readonly verdict: Verdict;
}

/** What is counted a second in a scenario, and what is compared with the oracle. */
export function nounsOf(scenario: string): { readonly work: string; readonly compared: string } {
  return scenario === 'matcher' ? { work: 'order', compared: 'trade' } : { work: 'tick', compared: 'bar' };
}

/** True for a scenario that runs in one process, without Kafka and without Postgres. */
export function isLocal(scenario: string): boolean {
  return scenario === 'kernel' || scenario === 'matcher';
}
