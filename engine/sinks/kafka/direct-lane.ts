/**
 * The direct lane of a publisher: bars go from the committed ring through the produce kernel to the brokers, whole batches at a time; dead
 * letters, which are few, are put into batches here. What a call has begun goes on when it is made again after its time-out.
 *
 * Every failure that does not pass ends the producer, so that the transactor opens another one: that initialises the id, which ends what was
 * open, and asks the markers what came through.
 */
import { accessOf, type KafkaAccess } from '../../../config/kafka-access.ts';
import { type Clock, type Pause, SYSTEM_PAUSE } from '../../core/clock.ts';
import { EngineError, messageOf } from '../../core/errors.ts';
import { batchBytesOf } from '../../kafka-direct/batch-limits.ts';
import { ProducerLost } from '../../kafka-direct/broker-errors.ts';
import { type Cluster, createCluster } from '../../kafka-direct/cluster.ts';
import type { Compression } from '../../kafka-direct/produce-batch.ts';
import {
  createProduceClient,
  noProduceCounts,
  type ProduceClient,
  type ProduceCounts,
  readGroupOffsets,
} from '../../kafka-direct/produce-client.ts';
import { type BatchEncoder, createBatchEncoder } from '../../kafka-direct/produce-encoder.ts';
import { PRODUCE_APIS } from '../../kafka-direct/produce-requests.ts';
import type { SymbolDictionary } from '../../market/instruments.ts';
import type { Timeframe } from '../../market/timeframes.ts';
import type { CallDone, CallError, MarkerClient, ProducerRequest, TransactionalProducer, TransactionLane } from './lane.ts';
import { createLetterBatches, type LetterBatches } from './letter-batches.ts';
import { type Metadata, RDKAFKA_ERROR, type TopicPartition } from './rdkafka.ts';
import { barsTopic } from './topics.ts';

const CLIENT_ID = 'tickwright';
const TRANSACTION_TIMEOUT_MS = 60_000;
/** Bytes that wait for brokers; a call of the kernel may go beyond it once. More would only leave the cache before they are sent. */
export const QUEUE_BYTES_MAX = 8_388_608;
/** Batches are not made larger than this, whatever a topic takes. */
const BATCH_BYTES_MAX = 1_048_576;
/** Where the setting of a topic cannot be read: what librdkafka sends at most. */
const BATCH_BYTES_UNKNOWN = 1_000_000;
/** A topic that is not known after so long ends the attempt. */
const LOOK_UP_MS = 2000;
const NO_METADATA: Metadata = { topics: [], brokers: [] };

export interface DirectLaneOptions extends KafkaAccess {
  readonly prefix: string;
  readonly symbols: SymbolDictionary;
  readonly timeframes: readonly Timeframe[];
  readonly clock: Clock;
  readonly pause?: Pause;
  /** `none` unless given. */
  readonly compression?: Compression;
}

interface LaneParts {
  readonly options: DirectLaneOptions;
  readonly pause: Pause;
  readonly encoder: BatchEncoder;
  readonly topics: readonly string[];
  readonly counts: ProduceCounts;
}

/** @throws EngineError KERNEL_MISSING, KERNEL_LAYOUT */
export function createDirectLane(options: DirectLaneOptions): TransactionLane {
  const names = options.timeframes.map((timeframe) => timeframe.name);
  const parts: LaneParts = {
    options,
    pause: options.pause ?? SYSTEM_PAUSE,
    encoder: createBatchEncoder(options.symbols, names),
    topics: names.map((name) => barsTopic(options.prefix, name)),
    counts: noProduceCounts(),
  };
  return {
    createProducer: (request) => createDirectProducer(parts, request),
    createMarkerClient: (group) => createMarkers(parts, group),
    counts: () => ({ ...parts.counts }),
  };
}

function clusterOf({ options, pause }: LaneParts): Cluster {
  return createCluster({ clientId: CLIENT_ID, ...accessOf(options), apis: PRODUCE_APIS, clock: options.clock, pause });
}

function createDirectProducer(parts: LaneParts, { transactionalId, markerGroup }: ProducerRequest): TransactionalProducer {
  const { options, pause, encoder, topics } = parts;
  const { clock, compression = 'none' } = options;
  const cluster = clusterOf(parts);
  const client: ProduceClient = createProduceClient(cluster, {
    transactionalId,
    transactionTimeoutMs: TRANSACTION_TIMEOUT_MS,
    clock,
    pause,
    counts: parts.counts,
  });
  const nowMs = (): number => Math.floor(clock.wallMs());
  const steps = createSteps(pause, () => cluster.brokers.trouble);
  const lookUps = new Set<string>();
  const limits = new Map<string, number>();
  let letters: LetterBatches | undefined;
  let missing: ProducerLost | undefined;
  let isOpen = false;

  const learnLimits = async (names: readonly string[]): Promise<void> => {
    const known = await batchBytesOf(cluster.brokers, names);
    for (const name of names) limits.set(name, Math.min(known.get(name) ?? BATCH_BYTES_UNKNOWN, BATCH_BYTES_MAX));
  };
  /** Looks a topic up that is no bar topic; messages to it find no room until it is known. */
  const lookUp = (topic: string): void => {
    if (lookUps.has(topic)) return;
    lookUps.add(topic);
    cluster
      .lookUp([topic], LOOK_UP_MS)
      .then(() => learnLimits([topic]))
      .catch((error: unknown) => {
        missing = new ProducerLost('KAFKA_UNREACHABLE', messageOf(error), { cause: error, retryable: true });
      })
      .then(() => lookUps.delete(topic));
  };
  const init = async (): Promise<void> => {
    const identity = await client.init();
    const routes = topics.map((topic) => ({
      partitions: cluster.partitionsOf(topic),
      batchBytesMax: limits.get(topic) ?? BATCH_BYTES_UNKNOWN,
    }));
    encoder.begin(identity, routes, compression);
    letters = createLetterBatches({ identity, compression }, (batch) => client.add(batch));
  };
  const flushLetters = (): void => letters?.flush(nowMs());
  /** @throws what ended the producer: what waits of it would wait for ever, and the queue stay full */
  const hasRoom = (): boolean => {
    if (client.failure) throw client.failure;
    return client.queuedBytes < QUEUE_BYTES_MAX;
  };

  return {
    connect({ timeout }, done) {
      cluster
        .lookUp(topics, timeout)
        .then(() => learnLimits(topics))
        .then(
          () => {
            isOpen = true;
            done(null, NO_METADATA);
          },
          (error: Error) => done(error, NO_METADATA),
        );
    },
    isConnected: () => isOpen,
    produce(topic, _partition, value, key, _timestamp, _opaque, headers = []) {
      if (topics.includes(topic)) throw new EngineError('KAFKA_MESSAGE', `message to ${topic}: this lane takes bars as records`);
      const partitions = cluster.partitionsOf(topic);
      const batchBytesMax = limits.get(topic);
      if (missing) throw missing;
      if (batchBytesMax === undefined || partitions === 0) lookUp(topic);
      if (!hasRoom() || batchBytesMax === undefined || partitions === 0) throw queueFull();
      letters?.put({ topic, partitions, batchBytesMax }, { key: Buffer.from(key), value, headers: headersOf(headers) }, nowMs());
    },
    produceBars(words, wordIndex, count) {
      if (!hasRoom()) return 0;
      const taken = Math.min(encoder.callBars, count);
      const batches = encoder.encode(words, wordIndex, taken, nowMs());
      client.add(...batches.map((batch) => ({ topic: topics[batch.timeframeIndex] ?? '', ...batch })));
      return taken;
    },
    poll: flushLetters,
    disconnect(_flushTimeoutMs, done) {
      isOpen = false;
      void cluster.close().then(done);
    },
    initTransactions: (timeoutMs, done) => steps.go('init', init, timeoutMs, done),
    beginTransaction(done) {
      client.begin();
      done(null);
    },
    sendOffsetsToTransaction(offsets, _group, timeoutMs, done) {
      flushLetters();
      const topic = offsets[0]?.topic ?? '';
      const moved = new Map(offsets.map(({ partition, offset = -1 }) => [partition, offset]));
      steps.go('offsets', () => client.sendOffsets({ group: markerGroup, topic, offsets: moved }), timeoutMs, done);
    },
    commitTransaction(timeoutMs, done) {
      flushLetters();
      steps.go('commit', () => client.commit(), timeoutMs, done);
    },
    abortTransaction: (timeoutMs, done) => steps.go('abort', () => client.abort(), timeoutMs, done),
    on() {
      // What goes wrong is told by the calls.
    },
  };
}

function createMarkers(parts: LaneParts, group: string): MarkerClient {
  const { pause } = parts;
  const cluster = clusterOf(parts);
  const steps = createSteps(pause, () => cluster.brokers.trouble);
  let isOpen = false;
  return {
    connect({ timeout }, done) {
      cluster.lookUp([], timeout).then(
        () => {
          isOpen = true;
          done(null, NO_METADATA);
        },
        (error: Error) => done(error, NO_METADATA),
      );
    },
    isConnected: () => isOpen,
    committed(partitions, timeoutMs, done) {
      const topic = partitions[0]?.topic ?? '';
      let offsets: ReadonlyMap<number, number> = new Map();
      const read = async (): Promise<void> => {
        const wanted = partitions.map(({ partition }) => partition);
        offsets = await readGroupOffsets(cluster, group, topic, wanted);
      };
      const found = (): TopicPartition[] =>
        partitions.map(({ partition }) => {
          const offset = offsets.get(partition);
          return offset === undefined ? { topic, partition } : { topic, partition, offset };
        });
      steps.go('committed', read, timeoutMs, (error) => done(error, error ? [] : found()));
    },
    disconnect(done) {
      isOpen = false;
      void cluster.close().then(done);
    },
  };
}

interface Steps {
  /** Begins a step, or goes on waiting for one of this name that is under way; a time-out is an error that may be repeated. */
  go(name: string, begin: () => Promise<void>, timeoutMs: number, done: CallDone): void;
}

function createSteps(pause: Pause, troubleOf: () => string): Steps {
  let current: { readonly name: string; readonly outcome: Promise<CallError | null> } | undefined;

  const outcomeOf = async (begin: () => Promise<void>): Promise<CallError | null> => {
    try {
      await begin();
      return null;
    } catch (error) {
      if (error instanceof EngineError) return error;
      return new ProducerLost('KAFKA_PRODUCE', messageOf(error), { cause: error, retryable: true });
    }
  };
  const wait = async (name: string, outcome: Promise<CallError | null>, timeoutMs: number): Promise<CallError | null> => {
    const isOver = new AbortController();
    const late = pause(timeoutMs, isOver.signal).then(
      () => undefined,
      () => undefined,
    );
    const result = await Promise.race([outcome, late]);
    isOver.abort();
    if (result === undefined) return Object.assign(new Error(`${name}: no answer yet: ${troubleOf()}`), { isRetriable: true });
    current = undefined;
    return result;
  };

  return {
    go(name, begin, timeoutMs, done) {
      if (current?.name !== name) current = { name, outcome: outcomeOf(begin) };
      void wait(name, current.outcome, timeoutMs).then(done);
    },
  };
}

function queueFull(): Error {
  return Object.assign(new Error('the queue of the producer is full'), { code: RDKAFKA_ERROR.queueFull });
}

function headersOf(headers: readonly Readonly<Record<string, Buffer | string>>[]) {
  return headers.flatMap((header) => Object.entries(header).map(([name, value]) => ({ name, value: Buffer.from(value) })));
}
