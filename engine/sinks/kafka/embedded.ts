/**
 * A Kafka cluster inside the process: librdkafka's mock. It is volatile: topics live in memory, always have four partitions, keep the
 * latest 5 MiB of each, and are gone when the process ends.
 */
import { EngineError } from '../../core/errors.ts';
import { connectClient, disconnectProducer } from './client.ts';
import type { Rdkafka } from './rdkafka.ts';

export const EMBEDDED_PARTITIONS = 4;
const CONNECT_TIMEOUT_MS = 10_000;

export interface EmbeddedKafka {
  /** host:port, for every client of this machine. */
  readonly brokers: string;
  /** How the start-up output names it. */
  readonly label: string;
  close(): Promise<void>;
}

/**
 * Starts the mock cluster with one broker on a free port.
 * @throws EngineError KAFKA_UNREACHABLE, KAFKA_EMBEDDED
 */
export async function startEmbeddedKafka(library: Rdkafka): Promise<EmbeddedKafka> {
  // The cluster belongs to the client that asked for it and ends with it.
  const owner = new library.Producer({ 'client.id': 'tickwright-embedded', 'test.mock.num.brokers': 1 }, {});
  const metadata = await connectClient(owner, 'embedded', CONNECT_TIMEOUT_MS);
  const broker = metadata.brokers[0];
  if (broker === undefined) throw new EngineError('KAFKA_EMBEDDED', 'embedded Kafka: the mock cluster names 0 brokers, 1 expected');
  return {
    brokers: `${broker.host}:${broker.port}`,
    label: `embedded mock cluster, volatile (in memory, ${EMBEDDED_PARTITIONS} partitions a topic; exactly-once is not promised)`,
    close: () => disconnectProducer(owner, 0),
  };
}
