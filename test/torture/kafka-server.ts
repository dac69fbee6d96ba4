/** A real broker of the driver's own, and the clients with which it makes topics, feeds ticks and reads everything back. */
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { EngineError } from '../../engine/core/errors.ts';
import { PROJECT_ROOT } from '../../engine/core/root.ts';
import { PACKED_ENCODING } from '../../engine/ingest/packed.ts';
import {
  connectClient,
  disconnectProducer,
  PRODUCER_TOPIC_SETTINGS,
  producerSettings,
  requireRdkafka,
} from '../../engine/sinks/kafka/client.ts';
import { type Header, type Producer, RDKAFKA_ERROR, type Rdkafka } from '../../engine/sinks/kafka/rdkafka.ts';
import { freePort } from '../../engine/sinks/postgres/embedded-process.ts';
import { addressOf, type LocalBroker, runningPid, startBroker, stopBroker } from '../../infra/kafka/broker.ts';
import type { FeedMessage } from './feed.ts';

// Below the ports that systems give to outgoing connections: one of those would keep a server from coming back.
const FIRST_PORT = 21_400;
const TIMEOUT_MS = 30_000;
const FLUSH_TIMEOUT_MS = 120_000;
const FEED_STEP_MS = 10;
const LINGER_MS = 5;
const POLL_MS = 20;

/** One broker process. */
export interface OwnBroker {
  readonly address: string;
  /** Of the process that runs. */
  pid(): number | undefined;
  /** Kills it without a word, and waits until it is gone. */
  kill(): Promise<void>;
  start(): Promise<void>;
  freeze(): void;
  thaw(): void;
  stop(): Promise<void>;
  killNow(): void;
}

/** What befalls it befalls each of its brokers. */
export interface OwnKafka extends Omit<OwnBroker, 'address'> {
  readonly library: Rdkafka;
  /** Addresses with commas between. */
  readonly brokers: string;
  readonly nodes: readonly OwnBroker[];
  /** Copies of each partition. */
  readonly replication: number;
}

/** Jars are those of `npm run kafka:up`. */
export function libsFolder(): string {
  return join(PROJECT_ROOT, '.data/kafka/libs');
}

/**
 * @param monitorPort where it shows its own figures, if it shall
 * @throws those of `startBroker`
 */
export async function createKafka(folder: string, say: (text: string) => void, monitorPort?: number): Promise<OwnKafka> {
  const library = await requireRdkafka();
  // The next port is the controller's.
  const port = await freePort(FIRST_PORT + 2 * (process.pid % 200));
  const broker = brokerOf({ port, folder, libs: libsFolder(), say, ...(monitorPort === undefined ? {} : { monitorPort }) });
  await broker.start();
  return { ...broker, library, brokers: broker.address, nodes: [broker], replication: 1 };
}

/** A broker that does not run yet. */
export function brokerOf(local: LocalBroker): OwnBroker {
  const signal = (name: NodeJS.Signals): void => {
    const pid = runningPid(local);
    if (pid !== undefined) process.kill(pid, name);
  };
  return {
    address: addressOf(local),
    pid: () => runningPid(local),
    async kill() {
      signal('SIGKILL');
      while (runningPid(local) !== undefined) await sleep(POLL_MS);
    },
    async start() {
      await startBroker(local);
    },
    freeze: () => signal('SIGSTOP'),
    thaw: () => signal('SIGCONT'),
    async stop() {
      signal('SIGCONT');
      await stopBroker(local);
    },
    killNow: () => signal('SIGKILL'),
  };
}

export function deleteTopics({ library, brokers }: OwnKafka, topics: readonly string[]): Promise<void> {
  const admin = library.AdminClient.create({ 'metadata.broker.list': brokers, 'client.id': 'tickwright-torture' });
  const deletions = topics.map(
    (topic) =>
      new Promise<void>((resolve, reject) => {
        admin.deleteTopic(topic, TIMEOUT_MS, (error) => (error ? reject(error) : resolve()));
      }),
  );
  return Promise.all(deletions)
    .then(() => undefined)
    .finally(() => admin.disconnect());
}

/** As the engine's own, but for tombstones: librdkafka takes a null value. */
interface RawProducer {
  produce(
    topic: string,
    partition: number,
    value: Buffer | null,
    key: string,
    timestamp: null,
    opaque: undefined,
    headers: readonly Header[] | undefined,
  ): void;
}

export interface Feeder {
  /** Sends the messages evenly over `overMs` and waits until all are acknowledged. */
  feed(topic: string, messages: readonly FeedMessage[], overMs: number): Promise<void>;
  close(): Promise<void>;
}

export async function createFeeder({ library, brokers }: OwnKafka): Promise<Feeder> {
  const producer: Producer = new library.Producer(producerSettings(brokers, LINGER_MS), PRODUCER_TOPIC_SETTINGS);
  // librdkafka mends its connections by itself.
  producer.on('event.error', () => undefined);
  await connectClient(producer, brokers, TIMEOUT_MS);
  const raw: RawProducer = producer;
  /** False when the producer's queue is full: the broker is away, or slower than the feed. */
  const send = (topic: string, { partition, value, isPacked }: FeedMessage): boolean => {
    const headers = isPacked ? [{ encoding: PACKED_ENCODING }] : undefined;
    try {
      raw.produce(topic, partition, value === null ? null : Buffer.from(value), 'tick', null, undefined, headers);
      return true;
    } catch (error) {
      if (error instanceof Error && 'code' in error && error.code === RDKAFKA_ERROR.queueFull) return false;
      throw error;
    }
  };
  return {
    async feed(topic, messages, overMs) {
      const startMs = performance.now();
      let sent = 0;
      while (sent < messages.length) {
        const due = Math.min(messages.length, Math.ceil((messages.length * (performance.now() - startMs)) / overMs));
        while (sent < due && send(topic, messages[sent]!)) sent += 1;
        producer.poll();
        await sleep(FEED_STEP_MS);
      }
      await new Promise<void>((resolve, reject) => {
        producer.flush(FLUSH_TIMEOUT_MS, (error) => {
          if (error)
            reject(new EngineError('TORTURE_FEED', `topic ${topic}: not all ${messages.length} messages acknowledged: ${error.message}`));
          else resolve();
        });
      });
    },
    close: () => disconnectProducer(producer, 0),
  };
}
