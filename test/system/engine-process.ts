/** Runs whole engines as child processes, in a schema and a topic namespace of their own. */
import { type ChildProcess, spawn } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { PROJECT_ROOT } from '../../engine/core/root.ts';
import { quoteIdentifier, withConnection } from '../../engine/sinks/postgres/connection.ts';

export interface EngineResult {
  readonly code: number | null;
  readonly output: string;
  /** The summary as JSON, when the engine wrote one. */
  readonly summary: SummaryJson | undefined;
}

/** The parts of the summary that tests look at; big integers are decimal text. */
export interface SummaryJson {
  readonly run: number;
  readonly reason: string;
  readonly offered: number;
  readonly accepted: number;
  readonly refused: Readonly<Record<string, number>>;
  readonly lateTicks: number;
  readonly published: number;
  readonly isConserved: boolean;
  readonly notes: readonly string[];
  readonly bars: readonly { readonly timeframe: string; readonly final: number; readonly amended: number; readonly open: number }[];
  readonly latency: Readonly<Record<string, { readonly count: number; readonly p50Us: number; readonly p99Us: number }>>;
}

export interface RunningEngine {
  readonly process: ChildProcess;
  readonly done: Promise<EngineResult>;
  /** Resolves when the output has a match. */
  waitFor(pattern: RegExp): Promise<RegExpExecArray>;
}

/** Folder for the embedded servers and summaries of a file's tests. `cleanUp` removes it, and the schemas on a named server that begin with `schemaPrefix`. */
export function createWorkspace(schemaPrefix: string): { readonly folder: string; cleanUp(): Promise<void> } {
  const folder = mkdtempSync(join(tmpdir(), 'tickwright-'));
  return {
    folder,
    async cleanUp() {
      rmSync(folder, { recursive: true, force: true });
      const named = process.env['POSTGRES_URL'];
      if (!named) return;
      await withConnection(named, undefined, async (client) => {
        const { rows } = await client.query<{ nspname: string }>('select nspname from pg_namespace where starts_with(nspname, $1)', [
          schemaPrefix,
        ]);
        for (const { nspname } of rows) await client.query(`drop schema ${quoteIdentifier(nspname)} cascade`);
      });
    },
  };
}

let nextSummary = 0;

/** Starts `node dist/engine/main.js ARGS` with `settings` over a clean set of knobs; servers are the test run's own, else embedded ones in `.data/test`. */
export function startEngine(args: readonly string[], settings: Readonly<Record<string, string>>, folder: string): RunningEngine {
  const summaryPath = join(folder, `summary-${nextSummary++}.json`);
  const child = spawn(process.execPath, [join(PROJECT_ROOT, 'dist/engine/main.js'), ...args], {
    cwd: PROJECT_ROOT,
    stdio: ['ignore', 'pipe', 'pipe'],
    env: {
      ...process.env,
      METRICS_PORT: '0',
      LOG_FILE: join(folder, 'engine.log'),
      STATE_DIR: join(folder, 'state'),
      EMBEDDED_PG_PORT: '54339',
      SUMMARY_JSON: summaryPath,
      ...settings,
    },
  });
  let output = '';
  const watchers: { pattern: RegExp; resolve(match: RegExpExecArray): void }[] = [];
  const onData = (chunk: Buffer): void => {
    output += chunk.toString();
    for (const watcher of [...watchers]) {
      const match = watcher.pattern.exec(output);
      if (match) {
        watchers.splice(watchers.indexOf(watcher), 1);
        watcher.resolve(match);
      }
    }
  };
  child.stdout.on('data', onData);
  child.stderr.on('data', onData);
  const done = new Promise<EngineResult>((resolve) => {
    child.on('close', (code) => resolve({ code, output, summary: readSummary(summaryPath) }));
  });
  return {
    process: child,
    done,
    waitFor(pattern) {
      const found = pattern.exec(output);
      if (found) return Promise.resolve(found);
      return new Promise((resolve, reject) => {
        watchers.push({ pattern, resolve });
        void done.then(() => reject(new Error(`the engine ended before it printed ${pattern}:\n${output}`)));
      });
    },
  };
}

export function runToEnd(args: readonly string[], settings: Readonly<Record<string, string>>, folder: string): Promise<EngineResult> {
  return startEngine(args, settings, folder).done;
}

function readSummary(path: string): SummaryJson | undefined {
  try {
    // A cast: the engine's own summary, whose shape is engine/runtime/summary.ts.
    return JSON.parse(readFileSync(path, 'utf8')) as SummaryJson;
  } catch {
    return undefined;
  }
}
