/** The process that measures one cell from inside: told by JSON on its command line, says its result as one line of JSON. */
import { EngineError, messageOf } from '../../../engine/core/errors.ts';
import { LIMIT_COPY, LIMIT_RING, OURS } from '../runtime-names.ts';
import { measureKernel } from './kernel-run.ts';
import { measureLimitCopy } from './limit-copy.ts';
import { measureLimitRing } from './limit-ring.ts';
import type { LocalPlan, LocalResult } from './local-plan.ts';
import { measureMatcher } from './matcher-run.ts';

const MEASURES: Readonly<Record<string, (plan: LocalPlan) => Promise<LocalResult>>> = {
  [`kernel ${OURS}`]: measureKernel,
  [`kernel ${LIMIT_RING}`]: measureLimitRing,
  [`matcher ${OURS}`]: measureMatcher,
  [`catch-up ${LIMIT_COPY}`]: measureLimitCopy,
  [`ingest-kafka ${LIMIT_COPY}`]: measureLimitCopy,
  // A slot of an order ring is as large as one of a tick ring.
  [`matcher ${LIMIT_RING}`]: measureLimitRing,
};

try {
  // A cast: the harness makes it of exactly this.
  const plan = JSON.parse(process.argv[2] ?? 'null') as LocalPlan | null;
  const key = `${plan?.scenario} ${plan?.runtime}`;
  const measure = MEASURES[key];
  if (plan === null || measure === undefined)
    throw new EngineError('PERF_LOCAL', `'${key}': expected one of ${Object.keys(MEASURES).join(', ')}`);
  process.stdout.write(`${JSON.stringify(await measure(plan))}\n`);
} catch (error) {
  process.stderr.write(`${messageOf(error)}\n`);
  process.exitCode = 1;
}
