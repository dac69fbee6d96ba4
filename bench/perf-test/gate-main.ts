/**
 * `npm run perf-gate -- [--accept [RUN...]]`: the ratios of the newest run of each kind against the last accepted ones of the same kind of machine. Exits with 1 when a
 * ratio is worse beyond noise, or a run did not come out right. `--accept` takes the newest runs, or those
 * named, as the accepted ones from now on.
 */
import { join } from 'node:path';
import { messageOf } from '../../engine/core/errors.ts';
import { PROJECT_ROOT } from '../../engine/core/root.ts';
import { runGate } from './commands.ts';

try {
  const { text, exitCode } = runGate(process.argv.slice(2), join(PROJECT_ROOT, 'perf_runs'));
  process.stdout.write(text);
  process.exitCode = exitCode;
} catch (thrown) {
  process.stderr.write(`perf-gate: ${messageOf(thrown)}\n`);
  process.exitCode = 1;
}
