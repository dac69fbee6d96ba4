/** A pipeline under test as a process: the engine, the naive twin, or another program that speaks the contract. */
import { type ChildProcess, spawn } from 'node:child_process';
import { createWriteStream } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { EngineError } from '../../engine/core/errors.ts';
import type { WatchedProcess } from './processes.ts';

export interface PipelineSpec {
  readonly name: string;
  /** Under which its processor time is counted; `engine` where nothing is said. */
  readonly processName?: string;
  readonly command: string;
  readonly args: readonly string[];
  /** A command line for a shell, in place of the two. */
  readonly shell?: string;
  readonly cwd: string;
  readonly environment: Readonly<Record<string, string>>;
  /** Where logs go. */
  readonly folder: string;
}

export interface PipelineProcess {
  readonly pid: number;
  /** What is measured of it: itself, or each of the processes that it is made of. */
  readonly processes: readonly WatchedProcess[];
  /** Where it answers by HTTP, once it has said so. */
  readonly url: string | undefined;
  readonly isRunning: boolean;
  /** Ends it by SIGTERM, by SIGKILL when that takes too long; returns its exit code, null after a signal. */
  stop(): Promise<number | null>;
  killNow(): void;
  /** The end of what it said. */
  said(): string;
}

const METRICS_LINE = /metrics +(http:\S+)\/metrics/;
const STOP_MS = 60_000;
/** What a shell makes of a program that SIGTERM has ended. */
const ENDED_BY_TERM = 143;
const TAIL_CHARS = 4000;

/** @throws EngineError PERF_PROCESS when it cannot be started */
export function startPipeline({
  name,
  processName = 'engine',
  command,
  args,
  shell,
  cwd,
  environment,
  folder,
}: PipelineSpec): PipelineProcess {
  const options = { cwd, stdio: ['ignore', 'pipe', 'pipe'] as ['ignore', 'pipe', 'pipe'], env: { ...process.env, ...environment } };
  // A shell passes no signal on to what it has started: all get it as a group, and the shell waits for the rest.
  const child: ChildProcess =
    shell === undefined ? spawn(command, args, options) : spawn(`trap : TERM\n${shell}`, { ...options, shell: true, detached: true });
  const { pid } = child;
  if (pid === undefined) throw new EngineError('PERF_PROCESS', `${name}: ${shell ?? command} could not be started`);
  const log = createWriteStream(join(folder, `${name}.out`));
  let said = '';
  let url: string | undefined;
  const hear = (chunk: Buffer): void => {
    log.write(chunk);
    said = (said + chunk.toString()).slice(-TAIL_CHARS);
    url ??= METRICS_LINE.exec(said)?.[1];
  };
  child.stdout?.on('data', hear);
  child.stderr?.on('data', hear);
  const ended = new Promise<number | null>((resolve) => {
    child.once('error', () => resolve(null));
    child.once('close', (code) => {
      log.end();
      resolve(code);
    });
  });
  const isRunning = (): boolean => child.exitCode === null && child.signalCode === null;
  const signal = (name: NodeJS.Signals): void => {
    if (!isRunning()) return;
    if (shell === undefined) child.kill(name);
    else signalGroup(pid, name);
  };
  return {
    pid,
    processes: [{ name: processName, pid, hasThreads: shell === undefined, hasChildren: shell !== undefined }],
    get url() {
      return url;
    },
    get isRunning() {
      return isRunning();
    },
    async stop() {
      signal('SIGTERM');
      const late = new AbortController();
      void sleep(STOP_MS, undefined, { signal: late.signal }).then(
        () => signal('SIGKILL'),
        () => undefined,
      );
      const code = await ended;
      late.abort();
      // Another program need not handle the signal that it is asked to end by.
      return shell !== undefined && code === ENDED_BY_TERM ? 0 : code;
    },
    killNow: () => signal('SIGKILL'),
    said: () => said,
  };
}

function signalGroup(pid: number, name: NodeJS.Signals): void {
  try {
    process.kill(-pid, name);
  } catch {
    // Its last process has ended by itself.
  }
}

/** Waits until `isTrue`. @throws EngineError PERF_WAIT, with what the process said last */
export async function waitFor(what: string, process: PipelineProcess, limitMs: number, isTrue: () => Promise<boolean>): Promise<void> {
  const endMs = performance.now() + limitMs;
  while (!(await isTrue())) {
    const why = !process.isRunning ? 'the process has ended' : performance.now() > endMs ? `not after ${limitMs} ms` : undefined;
    if (why !== undefined)
      throw new EngineError('PERF_WAIT', `${what}: ${why}; it said:\n${process.said().split('\n').slice(-12).join('\n')}`);
    await sleep(50);
  }
}
