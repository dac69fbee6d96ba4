/** A real broker that a test can stop and start, in a folder and on a port of its own. */
import { execFileSync } from 'node:child_process';
import { existsSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { PROJECT_ROOT } from '../../engine/core/root.ts';
import { requireRdkafka } from '../../engine/sinks/kafka/client.ts';
import type { Rdkafka } from '../../engine/sinks/kafka/rdkafka.ts';
import { freePort } from '../../engine/sinks/postgres/embedded-process.ts';
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

// Below the ports that systems give to outgoing connections: one of those would keep a broker from coming back.
const FIRST_PORT = 22_400;

export interface Local {
  readonly library: Rdkafka;
  readonly local: LocalBroker;
  readonly broker: Broker;
}

/** A broker of its own, in a folder of its own. */
export async function openLocal(): Promise<Local> {
  // The next port is the controller's.
  const port = await freePort(FIRST_PORT + 2 * (process.pid % 200));
  const local = { port, folder: mkdtempSync(join(tmpdir(), 'tickwright-kafka-')), libs: LIBS, say: () => undefined };
  const library = await requireRdkafka();
  await startBroker(local);
  return { library, local, broker: { library, brokers: addressOf(local), close: async () => undefined } };
}

export async function closeLocal(local: LocalBroker): Promise<void> {
  await stopBroker(local);
  rmSync(local.folder, { recursive: true, force: true });
}
