/** Thread of the Postgres writer. */
import { parentPort, workerData } from 'node:worker_threads';
import { assert } from '../engine/core/errors.ts';
import { nameThread } from '../engine/core/thread-name.ts';
import type { FromWriter, ToWriter, WriterStart } from '../engine/sinks/messages.ts';
import { createPostgresWriter } from '../engine/sinks/postgres/writer.ts';

const port = parentPort;
assert(port !== null, 'the postgres writer runs in a worker thread');
// A cast: main made it a few lines after the type.
const start = workerData as WriterStart;
nameThread('postgres writer');
const writer = createPostgresWriter(start, (message: FromWriter) => port.postMessage(message));
port.on('message', (message: ToWriter) => writer.receive(message));
port.on('messageerror', (error) => {
  throw error;
});
await writer.run();
// After the final epoch or a failure there is nothing left to listen for.
port.close();
