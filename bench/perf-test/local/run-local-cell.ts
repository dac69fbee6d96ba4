/** A cell that a process of its own measures from inside: this starts it and makes the cell's figures of what it says. */
import { spawn } from 'node:child_process';
import { join } from 'node:path';
import { z } from 'zod';
import { EngineError, messageOf } from '../../../engine/core/errors.ts';
import { PROJECT_ROOT } from '../../../engine/core/root.ts';
import type { PerfOptions } from '../options.ts';
import type { WatchedProcess } from '../processes.ts';
import { CELL_RESULT, type CellPlan, type CellResult } from '../report-model.ts';
import type { LocalPlan, LocalResult } from './local-plan.ts';

/** What a cell may take beside its stage: drawing the backlog, and the oracle. */
const PATIENCE_MS = 900_000;
const SHOWN_CHARS = 2000;

const LOCAL_RESULT = z.strictObject({
  ...CELL_RESULT.pick({ latency: true, workerLatency: true, cpu: true, gc: true, eventLoopDelayMs: true, othersShare: true }).shape,
  ...CELL_RESULT.pick({ series: true, notes: true, verdict: true }).shape,
  seconds: z.number().gt(0),
  done: z.int().min(0),
  bars: z.int().min(0).nullable(),
  dropped: z.int().min(0),
});

export interface LocalCellParts {
  readonly options: PerfOptions;
  /** Processes that end with the harness, by how. */
  readonly running: Set<{ killNow(): void }>;
  /** Of a cell with a server: where the server is, and whose processor time is read. */
  readonly environment?: Readonly<Record<string, string>>;
  readonly watched?: readonly WatchedProcess[];
}

/** @throws EngineError PERF_LOCAL when the process fails, or says what cannot be understood */
export async function runLocalCell(
  plan: CellPlan,
  { options, running, environment = {}, watched = [] }: LocalCellParts,
): Promise<CellResult> {
  const child = spawn(
    process.execPath,
    [join(PROJECT_ROOT, 'dist/bench/perf-test/local/local-main.js'), JSON.stringify({ ...planOf(plan, options), watched })],
    {
      stdio: ['ignore', 'pipe', 'pipe'],
      env: { ...process.env, ...environment },
    },
  );
  const handle = { killNow: () => void child.kill('SIGKILL') };
  running.add(handle);
  const late = setTimeout(handle.killNow, (options.warmupSec + options.stageSec) * 1000 + PATIENCE_MS);
  try {
    const said = { out: '', error: '' };
    child.stdout.on('data', (chunk: Buffer) => {
      said.out += chunk.toString();
    });
    child.stderr.on('data', (chunk: Buffer) => {
      said.error = (said.error + chunk.toString()).slice(-SHOWN_CHARS);
    });
    const code = await new Promise<number | null>((resolve, reject) => {
      child.once('error', reject);
      child.once('close', resolve);
    });
    if (code !== 0)
      throw new EngineError('PERF_LOCAL', `${plan.id}: ended with ${code === null ? 'a signal' : `code ${code}`}; it said:\n${said.error}`);
    return cellOf(plan, options, readResult(plan, said.out));
  } finally {
    clearTimeout(late);
    running.delete(handle);
  }
}

function planOf({ scenario, runtime, workers, symbols, repeat }: CellPlan, options: PerfOptions): Omit<LocalPlan, 'watched'> {
  const { queue, flushMs, baseTps, backlogTicks: backlog, warmupSec, stageSec, sampleSec } = options;
  // As with servers: repeats differ, runtimes and worker counts do not.
  const seed = options.seed + repeat * 1000 + symbols;
  return { scenario, runtime, workers, symbols, queue, flushMs, baseTps, backlog, warmupSec, stageSec, sampleSec, seed };
}

function readResult({ id }: CellPlan, text: string): LocalResult {
  try {
    return LOCAL_RESULT.parse(JSON.parse(text));
  } catch (cause) {
    throw new EngineError('PERF_LOCAL', `${id}: not understood: ${messageOf(cause)}: ${text.slice(0, SHOWN_CHARS)}`, { cause });
  }
}

function cellOf(plan: CellPlan, { queue, flushMs }: PerfOptions, measured: LocalResult): CellResult {
  const { seconds, done, bars, dropped, verdict, ...rest } = measured;
  const depths = measured.series.ringDepth.filter((depth) => depth !== null);
  const hasCpu = verdict.isRight && done > 0 && measured.cpu.length > 0;
  return {
    ...plan,
    ...rest,
    duration_sec: seconds,
    source_ticks_per_sec: done / seconds,
    source_latency_p95_sec: null,
    source_dropped: dropped,
    source_queue_peak: depths.length === 0 ? null : Math.max(...depths),
    builder_ticks_per_sec: done / seconds,
    builder_bars_per_sec: bars === null ? null : bars / seconds,
    builder_latency_p95_sec: null,
    agg_3m_bars_per_sec: null,
    agg_latency_p95_sec: null,
    queue,
    flushMs,
    offeredPerSec: 0,
    offered: done,
    sent: done,
    achieved: done,
    isSaturated: false,
    verdict,
    cpuUsPerTick: hasCpu ? usPer(done, measured.cpu) : null,
    flushes: null,
    servers: {},
  };
}

/** Microseconds by process. */
function usPer(done: number, cpu: LocalResult['cpu']): Record<string, number> {
  const found: Record<string, number> = {};
  for (const { process, cpuSec } of cpu) found[process] = (found[process] ?? 0) + (cpuSec * 1e6) / done;
  return found;
}
