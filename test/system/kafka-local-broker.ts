/** A real broker that a test can stop and start, in a folder and on a port of its own. */
import { execFileSync } from 'node:child_process';
import { existsSync, mkdtempSync, rmSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { PROJECT_ROOT } from '../../engine/core/root.ts';
import { requireRdkafka } from '../../engine/sinks/kafka/client.ts';
import type { Rdkafka } from '../../engine/sinks/kafka/rdkafka.ts';
import { addressOf, type LocalBroker, startBroker, stopBroker } from '../../infra/kafka/broker.ts';
import type { Broker } from './kafka-harness.ts';

const LIBS = join(PROJECT_ROOT, '.data/kafka/libs');

/** Why no broker can be started here; undefined when one can. */
export function whyNoLocal(): string | undefined {
  if (!existsSync(LIBS)) return 'no Kafka jars: npm run kafka:up fetches them';
  try {
    execFileSync('java', ['-version'], { stdio: 'ignore' });
    return undefined;
  } catch {
    return 'java cannot be run';
  }
}

/** Two neighbouring ports; the second is not held, but the system gives each out once in a long while. */
function freePort(): Promise<number> {
  return new Promise((resolve, reject) => {
    const server = createServer();
    server.once('error', reject);
    server.listen(0, '127.0.0.1', () => {
      const address = server.address();
      server.close(() => resolve(typeof address === 'object' && address ? address.port : 0));
    });
  });
}

export interface Local {
  readonly library: Rdkafka;
  readonly local: LocalBroker;
  readonly broker: Broker;
}

/** A broker of its own, in a folder of its own. */
export async function openLocal(): Promise<Local> {
  const local = { port: await freePort(), folder: mkdtempSync(join(tmpdir(), 'tickwright-kafka-')), libs: LIBS, say: () => undefined };
  const library = await requireRdkafka();
  await startBroker(local);
  return { library, local, broker: { library, brokers: addressOf(local), close: async () => undefined } };
}

export async function closeLocal(local: LocalBroker): Promise<void> {
  await stopBroker(local);
  rmSync(local.folder, { recursive: true, force: true });
}
