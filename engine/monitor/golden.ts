/**
 * The golden proof: every recorded set goes through the whole engine, as a user would send it, and what `export` reads back from Postgres
 * must equal the independent answers that come with the data.
 */
import { spawn } from 'node:child_process';
import { existsSync } from 'node:fs';
import { join, resolve } from 'node:path';
import type { Config } from '../../config/knobs.ts';
import { EngineError } from '../core/errors.ts';
import { PROJECT_ROOT } from '../core/root.ts';
import { withConnection } from '../sinks/postgres/connection.ts';
import { openPostgres } from '../sinks/postgres/server.ts';
import { compareBars, type EngineBars, parseExport, type Verdict } from './golden-compare.ts';
import { readReference } from './golden-reference.ts';
import { type Comparison, GOLDEN_SETS, GOLDEN_TIMEFRAMES, type GoldenSet } from './golden-sets.ts';

export interface GoldenOptions {
  /** Only sets whose name contains this. */
  readonly set?: string;
}

interface Row {
  readonly set: GoldenSet;
  readonly comparison: Comparison;
  readonly verdict: Verdict;
}

const ENGINE = join(PROJECT_ROOT, 'dist/engine/main.js');
const ENGINE_TIMEOUT_MS = 300_000;
const OUTPUT_TAIL_CHARACTERS = 2000;

/**
 * Runs the sets, prints a table, and returns 0 when every bar is equal, else 1. The schemas are dropped whatever the outcome.
 * @throws EngineError GOLDEN_SET_UNKNOWN, GOLDEN_DATA_ABSENT, GOLDEN_ENGINE_FAILED, and what the database throws
 */
export async function runGolden(config: Config, options: GoldenOptions = {}): Promise<number> {
  const folder = resolve(PROJECT_ROOT, config.DATA_DIR);
  const sets = GOLDEN_SETS.filter(({ name }) => name.includes(options.set ?? ''));
  if (sets.length === 0) {
    const names = GOLDEN_SETS.map(({ name }) => name).join(', ');
    throw new EngineError('GOLDEN_SET_UNKNOWN', `set '${options.set}': expected part of one of ${names}`);
  }
  assertPresent(sets, folder);
  const postgres = await openPostgres(config, (text) => console.log(text));
  const rows: Row[] = [];
  try {
    for (const set of sets) {
      const schema = `golden_${set.name}_${process.pid}`;
      const run: SetRun = { set, folder, environment: environmentOf(set, schema, postgres.connectionString) };
      try {
        rows.push(...(await runSet(run)));
      } finally {
        await withConnection(postgres.connectionString, undefined, (client) => client.query(`drop schema if exists ${schema} cascade`));
      }
    }
  } finally {
    await postgres.stop();
  }
  return report(rows);
}

interface SetRun {
  readonly set: GoldenSet;
  readonly folder: string;
  readonly environment: Readonly<Record<string, string | undefined>>;
}

/** Settings of the caller stay in force, but for those that name the run or would change its bars. */
function environmentOf(set: GoldenSet, schema: string, connectionString: string): SetRun['environment'] {
  return {
    ...process.env,
    POSTGRES_URL: connectionString,
    PG_SCHEMA: schema,
    TOPIC_PREFIX: `golden.${set.name}.`,
    METRICS_PORT: '0',
    TIMEFRAMES: GOLDEN_TIMEFRAMES.join(','),
    SYMBOLS: 'open',
    LATE_POLICY: 'amend',
  };
}

async function runSet(run: SetRun): Promise<Row[]> {
  const { set, folder } = run;
  const startedMs = performance.now();
  await runEngine(run, ['replay', ...set.files.map((file) => join(folder, file)), '--speed', 'max']);
  console.log(`${set.name}: replayed ${set.files.length} files in ${((performance.now() - startedMs) / 1000).toFixed(1)} s`);
  const exported = new Map<string, EngineBars>();
  const rows: Row[] = [];
  for (const comparison of set.comparisons) {
    const { timeframe, references } = comparison;
    const bars = exported.get(timeframe) ?? parseExport(await runEngine(run, exportArguments(set, timeframe)));
    exported.set(timeframe, bars);
    const series = [];
    for (const reference of references) series.push(...(await readReference(reference, join(folder, reference.path))));
    rows.push({ set, comparison, verdict: compareBars(bars, series, comparison) });
  }
  return rows;
}

function exportArguments(set: GoldenSet, timeframe: string): string[] {
  return ['export', '--timeframe', timeframe, '--format', 'csv', '--kind', set.kind];
}

/** Runs the engine's command line to its end and returns its standard output. */
async function runEngine({ set, environment }: SetRun, args: readonly string[]): Promise<string> {
  const child = spawn(process.execPath, [ENGINE, ...args], { cwd: PROJECT_ROOT, env: environment, stdio: ['ignore', 'pipe', 'pipe'] });
  const output: string[] = [];
  const errors: string[] = [];
  child.stdout.setEncoding('utf8').on('data', (text: string) => output.push(text));
  child.stderr.setEncoding('utf8').on('data', (text: string) => errors.push(text));
  const deadline = setTimeout(() => child.kill('SIGKILL'), ENGINE_TIMEOUT_MS);
  try {
    const outcome = await new Promise<string>((settle, reject) => {
      child.on('error', reject);
      child.on('close', (code, signal) => settle(signal ?? String(code)));
    });
    if (outcome === '0') return output.join('');
    const tail = `${output.join('')}${errors.join('')}`.slice(-OUTPUT_TAIL_CHARACTERS);
    const limit = outcome === 'SIGKILL' ? ` (limit ${ENGINE_TIMEOUT_MS / 1000} s)` : '';
    throw new EngineError('GOLDEN_ENGINE_FAILED', `${set.name}: engine ${args[0]} ended with ${outcome}${limit}, expected 0:\n${tail}`);
  } finally {
    clearTimeout(deadline);
  }
}

function assertPresent(sets: readonly GoldenSet[], folder: string): void {
  const paths = sets.flatMap(({ files, comparisons }) => [
    ...files,
    ...comparisons.flatMap(({ references }) => references.map(({ path }) => path)),
  ]);
  const absent = [...new Set(paths)].filter((path) => !existsSync(join(folder, path)));
  if (absent.length === 0) return;
  const shown = absent.slice(0, 5).join(', ');
  throw new EngineError('GOLDEN_DATA_ABSENT', `DATA_DIR ${folder}: ${absent.length} files are absent, such as ${shown}`);
}

function report(rows: readonly Row[]): number {
  const failed = rows.filter(({ verdict }) => !verdict.isPassed);
  const table = rows.map(({ set, comparison, verdict }): readonly string[] => [
    set.name,
    comparison.timeframe,
    comparison.against,
    String(verdict.expectedCount),
    String(verdict.equalCount),
    String(verdict.missingCount),
    String(verdict.extraCount),
    outcomeOf(verdict, comparison),
  ]);
  printTable([['set', 'timeframe', 'against', 'bars expected', 'equal', 'missing', 'extra', ''], ...table]);
  for (const { set, comparison, verdict } of failed) {
    console.log(`${set.name} ${comparison.timeframe}, ${comparison.against}:`);
    for (const example of verdict.examples) console.log(`  ${example}`);
  }
  const bars = rows.reduce((sum, { verdict }) => sum + verdict.expectedCount, 0);
  console.log(
    failed.length === 0
      ? `golden: all ${rows.length} comparisons hold, ${bars} bars`
      : `golden: ${failed.length} of ${rows.length} comparisons fail`,
  );
  return failed.length === 0 && bars > 0 ? 0 : 1;
}

function outcomeOf({ isPassed }: Verdict, { lastBarsDiffering }: Comparison): string {
  if (!isPassed) return 'DIFFERS';
  return lastBarsDiffering === undefined ? 'ok' : `ok (${lastBarsDiffering} last bars of a day differ, as is known of them)`;
}

/** Columns of words are aligned to the left, columns of numbers to the right. */
function printTable(rows: readonly (readonly string[])[]): void {
  const widths = (rows[0] ?? []).map((_, column) => Math.max(...rows.map((row) => row[column]?.length ?? 0)));
  for (const row of rows) {
    const cells = row.map((cell, column) =>
      /^\d+$/.test(rows[1]?.[column] ?? '') ? cell.padStart(widths[column]!) : cell.padEnd(widths[column]!),
    );
    console.log(cells.join('  ').trimEnd());
  }
}
