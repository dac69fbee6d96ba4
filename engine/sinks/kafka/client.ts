/** Loads librdkafka's binding and wraps what it does by callback. Main thread only: the binding crashes in worker threads. */
import { isMainThread } from 'node:worker_threads';
import { type KafkaAccess, securityText } from '../../../config/kafka-access.ts';
import { type Pause, SYSTEM_PAUSE } from '../../core/clock.ts';
import { assert, EngineError, messageOf } from '../../core/errors.ts';
import { greetBrokers } from '../../kafka-direct/greeting.ts';
import {
  type ConnectOptions,
  type Metadata,
  type Producer,
  RDKAFKA_ERROR,
  type Rdkafka,
  type RdkafkaError,
  type RdkafkaSettings,
} from './rdkafka.ts';

/** The binding, or why there is none. */
export type LoadedRdkafka =
  | { readonly library: Rdkafka; readonly reason: undefined }
  | { readonly library: undefined; readonly reason: string };

const HOW_TO_INSTALL = 'install g++, make and python3, then run npm ci and start again';

/** Loads the optional dependency node-rdkafka. A missing or unbuilt one is an answer, not an error. */
export async function loadRdkafka(): Promise<LoadedRdkafka> {
  assert(isMainThread, 'node-rdkafka is loaded in a worker thread');
  // Not a literal, so that the compiler does not look for a package that may be absent.
  const name: string = 'node-rdkafka';
  try {
    const loaded: unknown = await import(name);
    // A cast: the package is CommonJS, and rdkafka.ts declares what is used of it.
    return { library: (loaded as { default: Rdkafka }).default, reason: undefined };
  } catch (cause) {
    return { library: undefined, reason: `node-rdkafka cannot be loaded (${firstLine(messageOf(cause))}): ${HOW_TO_INSTALL}` };
  }
}

/**
 * The binding, for what cannot work without it.
 * @throws EngineError KAFKA_UNAVAILABLE
 */
export async function requireRdkafka(): Promise<Rdkafka> {
  const { library, reason } = await loadRdkafka();
  if (library === undefined) throw new EngineError('KAFKA_UNAVAILABLE', reason);
  return library;
}

interface Connectable {
  connect(options: ConnectOptions, done: (error: Error | null, metadata: Metadata) => void): void;
}

interface OpenProducer {
  isConnected(): boolean;
  disconnect(flushTimeoutMs: number, done: () => void): void;
}

interface OpenConsumer {
  isConnected(): boolean;
  disconnect(done: () => void): void;
}

/** A list of brokers alone is spoken to in the clear. */
export type AccessOrList = KafkaAccess | string;

/** Where the brokers are and how to get in, as librdkafka has it: part of the settings of every client. */
export function connectionSettings(to: AccessOrList): RdkafkaSettings {
  const access = toAccess(to);
  const { tls, sasl } = access.security ?? {};
  return {
    'metadata.broker.list': access.brokers,
    ...(tls || sasl ? { 'security.protocol': `${sasl ? 'sasl_' : ''}${tls ? 'ssl' : 'plaintext'}` } : {}),
    ...(tls?.ca === undefined ? {} : { 'ssl.ca.pem': tls.ca }),
    ...(sasl ? { 'sasl.mechanisms': sasl.mechanism, 'sasl.username': sasl.username, 'sasl.password': sasl.password() } : {}),
  };
}

export function toAccess(to: AccessOrList): KafkaAccess {
  return typeof to === 'string' ? { brokers: to } : to;
}

/**
 * Asks the brokers whether they let this engine in, and the binding whether it can do what they want, so that what will not pass is told at once:
 * librdkafka would try again for as long as it may, and only say that nobody answers. Brokers that are away are left to it.
 * @throws EngineError KAFKA_REFUSED, KAFKA_SECURITY, KAFKA_UNAVAILABLE
 */
export async function greetAccess({ features }: Pick<Rdkafka, 'features'>, access: KafkaAccess): Promise<void> {
  const { tls, sasl } = access.security ?? {};
  const needed = [...(tls ? ['ssl'] : []), ...(sasl ? [sasl.mechanism === 'PLAIN' ? 'sasl_plain' : 'sasl_scram'] : [])];
  const missing = needed.filter((feature) => features?.includes(feature) === false);
  if (missing.length > 0) {
    const text = `node-rdkafka was built without ${missing.join(' and ')}, which ${securityText(access)} needs`;
    throw new EngineError('KAFKA_UNAVAILABLE', `${text}: install the headers of OpenSSL (libssl-dev), then run npm rebuild node-rdkafka`);
  }
  await greetBrokers(access);
}

/**
 * Connects a client and waits for the first metadata, that of all topics.
 * @throws EngineError KAFKA_UNREACHABLE (retryable) when no broker answers in time; KAFKA_REFUSED, KAFKA_SECURITY
 */
export async function connectClient(client: Connectable, to: AccessOrList, timeoutMs: number): Promise<Metadata> {
  const access = toAccess(to);
  const { error, metadata } = await new Promise<{ error: Error | null; metadata: Metadata }>((resolve) => {
    client.connect({ timeout: timeoutMs, allTopics: true }, (failure, found) => resolve({ error: failure, metadata: found }));
  });
  if (!error) return metadata;
  // The client only says that nobody answered.
  if (access.security) await greetBrokers(access);
  throw unreachable(access.security ? `${access.brokers} (${securityText(access)})` : access.brokers, timeoutMs, error);
}

/**
 * Metadata of one topic. Where brokers create topics by themselves, as the mock cluster does, this creates it.
 * @throws EngineError KAFKA_UNREACHABLE (retryable)
 */
export function topicMetadata(
  client: { getMetadata: Producer['getMetadata'] },
  topic: string,
  timeoutMs: number,
): Promise<Metadata['topics'][number] | undefined> {
  return new Promise((resolve, reject) => {
    client.getMetadata({ topic, timeout: timeoutMs }, (error, metadata) => {
      if (error) reject(unreachable(`metadata of ${topic}`, timeoutMs, error));
      else resolve(metadata.topics.find((entry) => entry.name === topic && entry.partitions.length > 0));
    });
  });
}

/** How long a topic that was made a moment ago is waited for, and how often it is asked for. */
const NEW_TOPIC_MS = 5000;
const NEW_TOPIC_STEP_MS = 100;

/** As `topicMetadata`, of a topic that may just have been made: brokers do not hear of it at once, so that one they do not know is asked for again. */
export async function awaitTopic(
  client: { getMetadata: Producer['getMetadata'] },
  topic: string,
  { timeoutMs, pause = SYSTEM_PAUSE }: { readonly timeoutMs: number; readonly pause?: Pause },
): Promise<Metadata['topics'][number] | undefined> {
  for (let waitedMs = 0; ; waitedMs += NEW_TOPIC_STEP_MS) {
    const found = await topicMetadata(client, topic, timeoutMs);
    if (found || waitedMs >= NEW_TOPIC_MS) return found;
    await pause(NEW_TOPIC_STEP_MS);
  }
}

/** Flushes and ends a producer. One that never connected has ended already. */
export function disconnectProducer(producer: OpenProducer, flushTimeoutMs: number): Promise<void> {
  if (!producer.isConnected()) return Promise.resolve();
  return new Promise((resolve) => producer.disconnect(flushTimeoutMs, resolve));
}

/** Ends a consumer. One that never connected has ended already. */
export function disconnectConsumer(client: OpenConsumer): Promise<void> {
  if (!client.isConnected()) return Promise.resolve();
  return new Promise((resolve) => client.disconnect(resolve));
}

/** Disconnecting waits for every answer that the brokers owe and cannot be called off: after the limit it is left to itself. */
export async function disconnectConsumerWithin(client: OpenConsumer, timeoutMs: number, pause: Pause): Promise<void> {
  const isOver = new AbortController();
  const limit = pause(timeoutMs, isOver.signal).catch(() => undefined);
  try {
    await Promise.race([disconnectConsumer(client), limit]);
  } finally {
    isOver.abort();
  }
}

/**
 * Settings of every producer of the engine: acknowledged by all replicas, idempotent, in order, never given up by time. A failure that
 * would leave a gap stops the producer, so that nothing behind the gap is delivered before it.
 */
export function producerSettings(to: AccessOrList, lingerMs: number): RdkafkaSettings {
  return {
    ...connectionSettings(to),
    'client.id': 'tickwright',
    'enable.idempotence': true,
    'enable.gapless.guarantee': true,
    acks: 'all',
    'linger.ms': lingerMs,
    'compression.codec': 'lz4',
    'queue.buffering.max.messages': 100_000,
    'reconnect.backoff.max.ms': 2000,
    dr_cb: true,
  };
}

/**
 * Settings of a transactional producer. A transaction that nobody ends is aborted by the brokers after its timeout; until then it holds back
 * readers of what is committed. The broker still finishes one transaction when the next begins and then asks to come again: a short
 * back-off keeps that wait near its few milliseconds. Adding offsets waits for its answer as long as a request may take, and holds a thread of
 * the pool meanwhile, so that is less than librdkafka's minute. It may also miss that its coordinator came back, and waits without a limit for
 * any connection to change (librdkafka issue 5456); that idle ones are closed is such a change. No delivery reports: the commit answers for every message.
 */
export function transactionalSettings(to: AccessOrList, transactionalId: string, lingerMs: number): RdkafkaSettings {
  return {
    ...connectionSettings(to),
    'client.id': 'tickwright',
    'transactional.id': transactionalId,
    'transaction.timeout.ms': 60_000,
    'socket.timeout.ms': 10_000,
    'connections.max.idle.ms': 10_000,
    'retry.backoff.ms': 5,
    'linger.ms': lingerMs,
    'compression.codec': 'lz4',
    'queue.buffering.max.messages': 100_000,
    'reconnect.backoff.max.ms': 2000,
  };
}

/** Java's partitioner, so that every client puts a symbol on the same partition. A message without a key goes anywhere. */
export const PRODUCER_TOPIC_SETTINGS: RdkafkaSettings = { partitioner: 'murmur2_random', 'message.timeout.ms': 0 };

/**
 * What a client's `event.error` means. The binding gives such events the text of their error and -1 for its code, so the text is what
 * there is to go by.
 */
export function clientTrouble(error: RdkafkaError): 'fatal' | 'allDown' | 'transport' | 'other' {
  if (error.code === RDKAFKA_ERROR.fatal || /fatal error/i.test(error.message)) return 'fatal';
  if (error.code === RDKAFKA_ERROR.allBrokersDown || /all broker connections are down/i.test(error.message)) return 'allDown';
  if (error.code === RDKAFKA_ERROR.transport || /transport failure|resolution failure/i.test(error.message)) return 'transport';
  return 'other';
}

function unreachable(what: string, timeoutMs: number, error: Error): EngineError {
  return new EngineError(
    'KAFKA_UNREACHABLE',
    `Kafka ${what}: no answer in ${timeoutMs} ms: ${error.message}; is the broker running and KAFKA_BROKER right?`,
    {
      cause: error,
      retryable: true,
    },
  );
}

function firstLine(text: string): string {
  return text.split('\n', 1)[0] ?? text;
}
