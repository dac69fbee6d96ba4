/**
 * `npm run bench [-- NAME...] [--quick]`: runs the benches (all, or those whose names contain a NAME), prints their ratios as
 * one table and leaves a manifest in `perf_runs/`. Exits with 1 when a bench fails to run; a ratio below its target is shown,
 * and is no failure.
 */
import { readdirSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';
import { SYSTEM_CLOCK } from '../engine/core/clock.ts';
import { messageOf } from '../engine/core/errors.ts';
import { findCompiler } from './cpp.ts';
import { type Bench, type BenchContext, createBenchContext, formatRate } from './harness.ts';
import { finishManifest, type RatioEntry, startManifest, writeManifest } from './manifest.ts';
import { writeRunIndex } from './perf-test/run-index.ts';
import { holdOneProcessor } from './processor.ts';

const folder = dirname(fileURLToPath(import.meta.url));

function print(line: string): void {
  process.stdout.write(`${line}\n`);
}

async function loadBenches(wanted: readonly string[]): Promise<Bench[]> {
  const files = readdirSync(folder).filter((file) => file.endsWith('.bench.js'));
  const benches: Bench[] = [];
  for (const file of files.sort()) benches.push(await import(pathToFileURL(join(folder, file)).href));
  return wanted.length === 0 ? benches : benches.filter((bench) => wanted.some((name) => bench.name.includes(name)));
}

function printTable(ratios: readonly RatioEntry[]): void {
  const rows = ratios.map((entry) => [
    entry.work,
    entry.against,
    entry.ratio.toFixed(2),
    entry.low.toFixed(2),
    entry.high.toFixed(2),
    entry.atLeast === null ? '' : String(entry.atLeast),
    entry.isReached === null ? '' : entry.isReached ? 'yes' : 'BELOW TARGET',
    `${formatRate(entry.workRate)} ${entry.unit}`,
  ]);
  const table = [['work', 'against', 'ratio', 'low', 'high', 'at least', 'reached', 'rate of work'], ...rows];
  const widths = (table[0] ?? []).map((_, column) => Math.max(...table.map((row) => row[column]?.length ?? 0)));
  for (const row of table)
    print(
      row
        .map((cell, column) => cell.padEnd(widths[column] ?? 0))
        .join('  ')
        .trimEnd(),
    );
}

async function runAll(benches: readonly Bench[], context: BenchContext): Promise<{ name: string; reason: string }[]> {
  const failures: { name: string; reason: string }[] = [];
  for (const bench of benches) {
    print(bench.name);
    const hold = bench.isOnOneProcessor ? holdOneProcessor() : undefined;
    if (hold) context.report(`${bench.name}, held to one processor with its opponents`, { processor: hold.processor });
    else if (bench.isOnOneProcessor)
      context.log(
        '  taskset (util-linux) is not there, or may not: not held to one processor, so that others on the machine disturb it more',
      );
    try {
      await bench.run(context);
    } catch (thrown) {
      failures.push({ name: bench.name, reason: messageOf(thrown) });
      print(`  FAILED: ${thrown instanceof Error ? thrown.stack : String(thrown)}`);
    } finally {
      hold?.free();
    }
  }
  return failures;
}

async function main(args: readonly string[]): Promise<number> {
  const isQuick = args.includes('--quick');
  const wanted = args.filter((arg) => !arg.startsWith('--'));
  const unknown = args.filter((arg) => arg.startsWith('--') && arg !== '--quick');
  const benches = await loadBenches(wanted);
  if (unknown.length > 0 || benches.length === 0) {
    const names = (await loadBenches([])).map((bench) => bench.name).join(', ');
    print(`bench: ${args.join(' ')}: expected --quick or names out of ${names}`);
    return 1;
  }
  const startedAtMs = SYSTEM_CLOCK.wallMs();
  const start = startManifest('bench', isQuick, startedAtMs);
  const hasCompiler = findCompiler();
  if (!hasCompiler) print('g++ is not there: comparisons with C++ are skipped');
  const { context, results } = createBenchContext({ hasCompiler, isQuick, print });
  const failures = await runAll(benches, context);
  const durationSec = (SYSTEM_CLOCK.wallMs() - startedAtMs) / 1000;
  const path = writeManifest(finishManifest(start, { durationSec, ...results, failures }));
  writeRunIndex(dirname(path));
  print('');
  if (results.ratios.length > 0) printTable(results.ratios);
  for (const { name, reason } of failures) print(`FAILED ${name}: ${reason}`);
  const belowCount = results.ratios.filter((entry) => entry.isReached === false).length;
  if (belowCount > 0) print(`*** ${belowCount} of ${results.ratios.length} ratios BELOW TARGET ***`);
  print(`written to ${path}`);
  return failures.length === 0 ? 0 : 1;
}

process.exitCode = await main(process.argv.slice(2));
