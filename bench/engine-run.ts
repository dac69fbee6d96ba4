/** Runs a whole engine on the simulator as a child process and watches it: memory and processor time of each thread. */
import { spawn } from 'node:child_process';
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { cpus, tmpdir } from 'node:os';
import { join } from 'node:path';
import { SYSTEM_CLOCK } from '../engine/core/clock.ts';
import { EngineError } from '../engine/core/errors.ts';
import { PROJECT_ROOT } from '../engine/core/root.ts';

const SAMPLE_MS = 1000;
/** What starting, draining and reading back may take beyond the time of the run. */
const PATIENCE_MS = 120_000;
const KILL_MS = 15_000;
const OUTPUT_TAIL_CHARS = 4000;
const PAGE_BYTES = 4096;
/** Ticks of processor time a second in /proc. */
const CLOCK_TICKS = 100;

/** The parts of the engine's summary that are looked at; its shape is engine/runtime/summary.ts. */
export interface EngineSummary {
  readonly offered: number;
  readonly accepted: number;
  readonly refused: Readonly<Record<string, number>>;
  readonly published: number;
  readonly isConserved: boolean;
  readonly elapsedSec: number;
  readonly bars: readonly { readonly timeframe: string; readonly final: number }[];
  readonly latency: Readonly<
    Record<string, { readonly count: number; readonly p50Us: number; readonly p99Us: number; readonly maxUs: number }>
  >;
}

export interface EngineSample {
  /** Seconds since the engine was started. */
  readonly atSec: number;
  readonly residentBytes: number;
  /** Seconds of processor time by thread id. */
  readonly threadCpuSec: ReadonlyMap<number, number>;
  /** Seconds that all processors of the machine together have been busy since it started. */
  readonly machineBusySec: number;
}

export interface EngineRun {
  readonly code: number | null;
  readonly summary: EngineSummary | undefined;
  /** Every second; empty where there is no /proc. */
  readonly samples: readonly EngineSample[];
  readonly processId: number;
  /** The end of what it printed. */
  readonly output: string;
}

export interface EngineLoad {
  readonly symbols: number;
  readonly ticksPerSecond: number;
  readonly durationSec: number;
}

export interface EngineBench {
  run(load: EngineLoad): Promise<EngineRun>;
  /** Removes the embedded servers' data. */
  close(): void;
}

/**
 * Servers are those that POSTGRES_URL, POSTGRES_HOST and KAFKA_BROKER name, else embedded ones with data of their own. Rows go
 * to the schema `bench` and topics are prefixed `bench.`.
 */
export function createEngineBench(): EngineBench {
  const folder = mkdtempSync(join(tmpdir(), 'tickwright-bench-'));
  let runs = 0;
  return {
    async run(load) {
      const summaryPath = join(folder, `summary-${runs}.json`);
      runs += 1;
      const watched = await watch(settingsFor(load, folder, summaryPath), load.durationSec * 1000 + PATIENCE_MS);
      return { ...watched, summary: readSummary(summaryPath) };
    },
    close: () => rmSync(folder, { recursive: true, force: true }),
  };
}

function settingsFor(load: EngineLoad, folder: string, summaryPath: string): Record<string, string> {
  return {
    SOURCE: 'sim',
    SIM_SYMBOLS: String(load.symbols),
    SIM_BASE_TPS: String(load.ticksPerSecond / load.symbols),
    SIM_HOT_SYMBOL_PCT: '0',
    SIM_DURATION_SEC: String(load.durationSec),
    PG_SCHEMA: 'bench',
    TOPIC_PREFIX: 'bench.',
    METRICS_PORT: '0',
    LOG_FILE: join(folder, 'engine.log'),
    STATE_DIR: join(folder, 'state'),
    EMBEDDED_PG_PORT: '54349',
    SUMMARY_JSON: summaryPath,
  };
}

async function watch(settings: Record<string, string>, limitMs: number): Promise<Omit<EngineRun, 'summary'>> {
  const child = spawn(process.execPath, [join(PROJECT_ROOT, 'dist/engine/main.js')], {
    cwd: PROJECT_ROOT,
    stdio: ['ignore', 'pipe', 'pipe'],
    env: { ...process.env, ...settings },
  });
  const processId = child.pid;
  if (processId === undefined) throw new EngineError('BENCH_ENGINE', 'the engine could not be started');
  let output = '';
  const keep = (chunk: Buffer): void => {
    output = (output + chunk.toString()).slice(-OUTPUT_TAIL_CHARS);
  };
  child.stdout.on('data', keep);
  child.stderr.on('data', keep);
  const startMs = SYSTEM_CLOCK.wallMs();
  const samples: EngineSample[] = [];
  const sampler = setInterval(() => {
    const sample = takeSample(processId, (SYSTEM_CLOCK.wallMs() - startMs) / 1000);
    if (sample) samples.push(sample);
  }, SAMPLE_MS);
  const stopper = setTimeout(() => child.kill('SIGTERM'), limitMs);
  const killer = setTimeout(() => child.kill('SIGKILL'), limitMs + KILL_MS);
  try {
    const code = await new Promise<number | null>((resolve, reject) => {
      child.once('close', resolve);
      child.once('error', reject);
    });
    return { code, samples, processId, output };
  } finally {
    clearInterval(sampler);
    clearTimeout(stopper);
    clearTimeout(killer);
  }
}

function readSummary(path: string): EngineSummary | undefined {
  if (!existsSync(path)) return undefined;
  const summary: EngineSummary = JSON.parse(readFileSync(path, 'utf8'));
  return summary;
}

/** Undefined where there is no /proc, and once the process is gone. */
function takeSample(processId: number, atSec: number): EngineSample | undefined {
  try {
    const folder = `/proc/${processId}`;
    const residentPages = Number(readFileSync(join(folder, 'statm'), 'utf8').split(' ')[1]);
    const threads = readdirSync(join(folder, 'task')).map((id): [number, number] => [
      Number(id),
      cpuSecondsOf(readFileSync(join(folder, 'task', id, 'stat'), 'utf8')),
    ]);
    const busyMs = cpus().reduce((sum, { times }) => sum + times.user + times.nice + times.sys + times.irq, 0);
    return { atSec, residentBytes: residentPages * PAGE_BYTES, threadCpuSec: new Map(threads), machineBusySec: busyMs / 1000 };
  } catch {
    // The process or a thread of it ended while it was being looked at; the next second shows.
    return undefined;
  }
}

/** User and system time from the text of a `stat` file; the name in it, in brackets, may hold spaces. */
export function cpuSecondsOf(stat: string): number {
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
  return (Number(fields[11]) + Number(fields[12])) / CLOCK_TICKS;
}
