/**
 * `npm run perf-compare -- A B [--anyway]`: two runs, by path or by name in `perf_runs/`, side by side: A is before, B is after. Perf-tests are compared by their cells,
 * benches by their ratios. Refuses runs of other settings or machines unless told `--anyway`. Exits with 0 whatever the differences are, with 1 when it cannot compare.
 */
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { EngineError, messageOf } from '../../engine/core/errors.ts';
import { PROJECT_ROOT } from '../../engine/core/root.ts';
import { compareRuns, listMismatches } from './compare-runs.ts';
import { findRun } from './find-run.ts';
import { gateRun } from './gate.ts';
import { renderComparison, renderGate } from './render-comparison.ts';

const USAGE = 'expected -- A B [--anyway], two runs by path or by name in perf_runs/';

function main(args: readonly string[]): string {
  const { values, positionals } = parseArgs({ args: [...args], options: { anyway: { type: 'boolean' } }, allowPositionals: true });
  const [before, after] = positionals;
  if (before === undefined || after === undefined || positionals.length > 2)
    throw new EngineError('USAGE', `perf-compare ${args.join(' ')}: ${USAGE}`);
  const folder = join(PROJECT_ROOT, 'perf_runs');
  const [first, second] = [findRun(before, folder), findRun(after, folder)];
  const mismatches = listMismatches(first.manifest, second.manifest);
  if (mismatches.length > 0 && values.anyway !== true) {
    const list = mismatches.map((line) => `  ${line}`).join('\n');
    throw new EngineError('RUNS_DIFFER', `these runs differ in more than the code; --anyway compares them all the same:\n${list}`);
  }
  const header = [`before: ${first.name}`, `after:  ${second.name}`, ...mismatches.map((line) => `DIFFERENT ${line}`)].join('\n');
  if (first.manifest.perfTest !== undefined && second.manifest.perfTest !== undefined)
    return `${header}\n\n${renderComparison(compareRuns(first.manifest, second.manifest))}`;
  // As the gate does, with the first run in the place of the accepted one.
  return `${header}\n\n${renderGate([gateRun(second, [first])])}`;
}

try {
  process.stdout.write(main(process.argv.slice(2)));
} catch (thrown) {
  process.stderr.write(`${messageOf(thrown)}\n`);
  process.exitCode = 1;
}
