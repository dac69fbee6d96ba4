/**
 * `npm run perf-gate -- [--accept]`: the ratios of the newest run of each kind against the last accepted ones of the same kind of machine. Exits with 1 when a
 * ratio is worse beyond noise, or a run did not come out right. `--accept` takes the newest runs as the accepted ones from now on.
 */
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { messageOf } from '../../engine/core/errors.ts';
import { PROJECT_ROOT } from '../../engine/core/root.ts';
import { acceptRuns, gateRuns } from './gate.ts';
import { isPassed, renderGate } from './render-comparison.ts';

function main(args: readonly string[]): number {
  const { values } = parseArgs({ args: [...args], options: { accept: { type: 'boolean' } } });
  const folder = join(PROJECT_ROOT, 'perf_runs');
  const gated = gateRuns(folder);
  process.stdout.write(renderGate(gated));
  if (values.accept !== true) return isPassed(gated) ? 0 : 1;
  const accepted = acceptRuns(folder);
  process.stdout.write(accepted.length === 0 ? 'nothing new to accept\n' : `accepted: ${accepted.join(', ')}\n`);
  return 0;
}

try {
  process.exitCode = main(process.argv.slice(2));
} catch (thrown) {
  process.stderr.write(`perf-gate: ${messageOf(thrown)}\n`);
  process.exitCode = 1;
}
