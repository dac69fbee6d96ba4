/** The Postgres writer's thread with memory in place of Postgres: everything up to the commit is the writer's own. */
import { parentPort, workerData } from 'node:worker_threads';
import { SYSTEM_CLOCK } from '../../../engine/core/clock.ts';
import { assert } from '../../../engine/core/errors.ts';
import type { FromWriter, ToWriter, WriterStart } from '../../../engine/sinks/messages.ts';
import { createPostgresWriter } from '../../../engine/sinks/postgres/writer.ts';
import { createBarFold, type FoldPlan } from './bar-fold.ts';

const port = parentPort;
assert(port !== null, 'the fold of bars runs in a worker thread');
// A cast: main starts this thread with exactly this.
const { fold: plan, ...start } = workerData as WriterStart & { readonly fold: FoldPlan };
const fold = createBarFold(plan);
const committer = {
  open: async () => true,
  async commit({ batch }: { readonly batch: Parameters<typeof fold.add>[0] }) {
    fold.add(batch);
    return true;
  },
  close: async () => undefined,
};
const writer = createPostgresWriter(start, (message: FromWriter) => port.postMessage(message), SYSTEM_CLOCK, { committer });
port.on('message', (message: ToWriter) => writer.receive(message));
await writer.run();
port.postMessage(fold.folded());
port.close();
