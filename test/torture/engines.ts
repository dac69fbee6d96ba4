/** The engines of a round: real processes that are killed, frozen, stopped and started again, and whose every end is judged. */
import { type ChildProcess, spawn } from 'node:child_process';
import { createWriteStream } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import type { EngineKnobs } from './plan.ts';

export interface EngineSetting {
  /** Where `dist/engine/main.js` and what belongs to it are. */
  readonly root: string;
  readonly folder: string;
  /** Knobs that all engines of the round share. */
  readonly knobs: Readonly<Record<string, string>>;
  /** Knobs of the one engine that has the exchange; none: no engine has one. */
  readonly exchange?: Readonly<Record<string, string>> | undefined;
  /** True while a server is down: an engine that is starting then may give up. */
  isOutage(): boolean;
  note(text: string): void;
}

export interface EngineProcess {
  readonly number: number;
  readonly child: ChildProcess;
  readonly hasExchange: boolean;
  isReady: boolean;
  /** Where it answers by HTTP, once it is ready. */
  url: string | undefined;
  isFrozen: boolean;
  /** What it printed. */
  said: string;
  /** Why it is to end, when it is: by the driver's hand. */
  ending: 'killed' | 'stopped' | undefined;
  readonly done: Promise<void>;
}

export interface Engines {
  /** Those that run and are not on their way out. */
  alive(): EngineProcess[];
  /** The engine gets the exchange when none of those alive has it; it waits for it while one on its way out still has. */
  start(knobs: EngineKnobs): EngineProcess;
  kill(engine: EngineProcess): void;
  stop(engine: EngineProcess): void;
  freeze(engine: EngineProcess): void;
  thaw(engine: EngineProcess): void;
  /** Stops all that run and waits for them; returns how long the slowest took, in ms. */
  stopAll(timeoutMs: number): Promise<number>;
  killNow(): void;
  /** What an engine did that it should not have done. */
  readonly complaints: readonly string[];
}

const RESTART_MS = 500;
const STARTS_MAX = 60;
/** What a round compares after a stop is whole only when the drain was. */
const STOP_MS = 60_000;
const STOP_SIGNAL = 'SIGTERM';
const CONSERVED = 'Conservation: CONSERVED';
const READY = /metrics +(http:\S+)\/metrics/;

/**
 * Whether an engine did all that a stop asks for: it ended with 0, or by the signal once it had said that all was conserved, as it does where a
 * thread of a client library never ends.
 */
export function hasStopped(said: string, code: number | null, signal: string | null): boolean {
  return code === 0 || (signal === STOP_SIGNAL && said.includes(CONSERVED));
}

export function createEngines(setting: EngineSetting): Engines {
  const engines: EngineProcess[] = [];
  const complaints: string[] = [];
  let isClosing = false;

  const isRunning = ({ child }: EngineProcess): boolean => child.exitCode === null && child.signalCode === null;
  const alive = (): EngineProcess[] => engines.filter((engine) => isRunning(engine) && engine.ending === undefined);

  const onExit = (engine: EngineProcess, knobs: EngineKnobs, code: number | null, signal: string | null): void => {
    const how = signal ?? `code ${code}`;
    setting.note(`engine ${engine.number} ended: ${how}`);
    if (engine.ending === 'killed') return;
    if (engine.ending === 'stopped') {
      // One that was told to stop before it was ready, or that has nothing to stop on, may say so.
      if (engine.isReady && !hasStopped(engine.said, code, signal))
        complaints.push(`engine ${engine.number} was stopped and ended with ${how}`);
      return;
    }
    if (engine.isReady || !setting.isOutage()) complaints.push(`engine ${engine.number} ended by itself with ${how}`);
    setTimeout(() => {
      if (!isClosing && engines.length < STARTS_MAX) start(knobs);
    }, RESTART_MS);
  };

  const start = (knobs: EngineKnobs): EngineProcess => {
    const number = engines.length + 1;
    const folder = setting.folder;
    const hasExchange = setting.exchange !== undefined && alive().every((engine) => !engine.hasExchange);
    const child = spawn(process.execPath, [join(setting.root, 'dist/engine/main.js')], {
      cwd: setting.root,
      stdio: ['ignore', 'pipe', 'pipe'],
      env: {
        ...process.env,
        ...setting.knobs,
        WORKERS: String(knobs.workers),
        QUEUE: String(knobs.queue),
        FLUSH_MS: String(knobs.flushMs),
        STOP_MS: String(knobs.stopMs ?? STOP_MS),
        METRICS_PORT: '0',
        LOG_FILE: join(folder, `engine-${number}.log`),
        STATE_DIR: join(folder, `state-${number}`),
        ...(hasExchange ? setting.exchange : {}),
      },
    });
    const output = createWriteStream(join(folder, `engine-${number}.out`));
    const hear = (chunk: Buffer): void => {
      output.write(chunk);
      engine.said += chunk.toString();
      engine.url ??= READY.exec(engine.said)?.[1];
      engine.isReady = engine.url !== undefined;
    };
    child.stdout.on('data', hear);
    child.stderr.on('data', hear);
    const engine: EngineProcess = {
      number,
      child,
      hasExchange,
      isReady: false,
      url: undefined,
      isFrozen: false,
      said: '',
      ending: undefined,
      done: new Promise((resolve) => {
        child.on('close', (code, signal) => {
          output.end();
          onExit(engine, knobs, code, signal);
          resolve();
        });
      }),
    };
    engines.push(engine);
    setting.note(
      `engine ${number} started: WORKERS=${knobs.workers} QUEUE=${knobs.queue} FLUSH_MS=${knobs.flushMs}${hasExchange ? ', with the exchange' : ''}`,
    );
    return engine;
  };

  const thaw = (engine: EngineProcess): void => {
    if (engine.isFrozen) engine.child.kill('SIGCONT');
    engine.isFrozen = false;
  };
  const stop = (engine: EngineProcess): void => {
    engine.ending = 'stopped';
    thaw(engine);
    engine.child.kill(STOP_SIGNAL);
  };

  return {
    complaints,
    start,
    stop,
    thaw,
    alive,
    kill(engine) {
      engine.ending = 'killed';
      engine.child.kill('SIGKILL');
    },
    freeze(engine) {
      engine.isFrozen = true;
      engine.child.kill('SIGSTOP');
    },
    async stopAll(timeoutMs) {
      isClosing = true;
      const startedMs = performance.now();
      const left = engines.filter(isRunning);
      for (const engine of left) if (engine.ending === undefined) stop(engine);
      await Promise.race([Promise.all(left.map((engine) => engine.done)), sleep(timeoutMs)]);
      const slow = left.filter(isRunning);
      for (const engine of slow) {
        complaints.push(`engine ${engine.number} was stopped and still ran after ${timeoutMs} ms`);
        engine.ending = 'killed';
        engine.child.kill('SIGKILL');
      }
      await Promise.all(left.map((engine) => engine.done));
      return performance.now() - startedMs;
    },
    killNow() {
      isClosing = true;
      for (const engine of engines) if (isRunning(engine)) engine.child.kill('SIGKILL');
    },
  };
}
