/**
 * `npm run perf-compare -- A B [--anyway]`: two runs, by path or by name in `perf_runs/`, side by side: A is before, B is after. Refuses runs of other
 * settings or machines unless told `--anyway`. Exits with 0 whatever the differences are, with 1 when it cannot compare.
 */
import { join } from 'node:path';
import { messageOf } from '../../engine/core/errors.ts';
import { PROJECT_ROOT } from '../../engine/core/root.ts';
import { runCompare } from './commands.ts';

try {
  process.stdout.write(runCompare(process.argv.slice(2), join(PROJECT_ROOT, 'perf_runs')));
} catch (thrown) {
  process.stderr.write(`${messageOf(thrown)}\n`);
  process.exitCode = 1;
}
