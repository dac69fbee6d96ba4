/** What `perf-compare` and `perf-gate` do with their arguments. */
import { parseArgs } from 'node:util';
import { EngineError } from '../../engine/core/errors.ts';
import { compareRuns, listMismatches } from './compare-runs.ts';
import { findRun } from './find-run.ts';
import { acceptRuns, gateRuns, matchRatios } from './gate.ts';
import { isPassed, renderComparison, renderGate, renderRatios } from './render-comparison.ts';

const USAGE = 'expected A B [--anyway], two runs by path or by name in perf_runs/';

/**
 * Two runs side by side: perf-tests by their cells, benches by their ratios.
 * @throws EngineError USAGE; RUN_UNKNOWN; RUNS_DIFFER when settings or machine differ and `--anyway` is not given; those of `readManifest`
 */
export function runCompare(args: readonly string[], folder: string): string {
  const { values, positionals } = parseArgs({ args: [...args], options: { anyway: { type: 'boolean' } }, allowPositionals: true });
  const [before, after] = positionals;
  if (before === undefined || after === undefined || positionals.length > 2)
    throw new EngineError('USAGE', `perf-compare ${args.join(' ')}: ${USAGE}`);
  const [first, second] = [findRun(before, folder), findRun(after, folder)];
  const mismatches = listMismatches(first.manifest, second.manifest);
  if (mismatches.length > 0 && values.anyway !== true) {
    const list = mismatches.map((line) => `  ${line}`).join('\n');
    throw new EngineError('RUNS_DIFFER', `these runs differ in more than the code; --anyway compares them all the same:\n${list}`);
  }
  const header = [`before: ${first.name}`, `after:  ${second.name}`, ...mismatches.map((line) => `DIFFERENT ${line}`)].join('\n');
  const areCells = first.manifest.perfTest !== undefined && second.manifest.perfTest !== undefined;
  const body = areCells
    ? renderComparison(compareRuns(first.manifest, second.manifest))
    : renderRatios('ratios', first.manifest, matchRatios(second.manifest.ratios, [first]));
  return `${header}\n\n${body}`;
}

/**
 * The newest runs against the accepted ones; with `--accept` they, or the runs named, are the accepted ones from now on, whatever came out.
 * @throws EngineError USAGE; those of `gateRuns` and `acceptRuns`
 */
export function runGate(args: readonly string[], folder: string): { readonly text: string; readonly exitCode: number } {
  const { values, positionals } = parseArgs({ args: [...args], options: { accept: { type: 'boolean' } }, allowPositionals: true });
  if (positionals.length > 0 && values.accept !== true)
    throw new EngineError('USAGE', `perf-gate ${args.join(' ')}: expected nothing, or --accept [RUN...], names of runs in perf_runs/`);
  if (positionals.length > 0) return { text: describeAccepted(acceptRuns(folder, positionals)), exitCode: 0 };
  const gated = gateRuns(folder);
  const text = renderGate(gated);
  if (values.accept !== true) return { text, exitCode: isPassed(gated) ? 0 : 1 };
  return { text: `${text}${describeAccepted(acceptRuns(folder))}`, exitCode: 0 };
}

function describeAccepted(names: readonly string[]): string {
  return names.length === 0 ? 'nothing new to accept\n' : `accepted: ${names.join(', ')}\n`;
}
