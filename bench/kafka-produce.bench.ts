/**
 * JSON bars into Kafka, acknowledged by all replicas: the direct lane, from bar records to acknowledgement, against node-rdkafka, from finished
 * payloads to delivery reports. Then the publisher of the engine on both lanes, in transactions. Needs a broker that KAFKA_BROKER names.
 */
import { execFileSync } from 'node:child_process';
import { setImmediate as nextTurn } from 'node:timers/promises';
import { SYSTEM_CLOCK, SYSTEM_PAUSE } from '../engine/core/clock.ts';
import { EngineError } from '../engine/core/errors.ts';
import { type Cluster, createCluster } from '../engine/kafka-direct/cluster.ts';
import { createProduceClient, type ProduceClient } from '../engine/kafka-direct/produce-client.ts';
import { createBatchEncoder } from '../engine/kafka-direct/produce-encoder.ts';
import type { Batch } from '../engine/kafka-direct/produce-queue.ts';
import { PRODUCE_APIS } from '../engine/kafka-direct/produce-requests.ts';
import { parseTimeframes } from '../engine/market/timeframes.ts';
import { allocateRing, createRing } from '../engine/memory/ring.ts';
import {
  connectClient,
  disconnectProducer,
  PRODUCER_TOPIC_SETTINGS,
  producerSettings,
  requireRdkafka,
} from '../engine/sinks/kafka/client.ts';
import { createDirectLane, QUEUE_BYTES_MAX } from '../engine/sinks/kafka/direct-lane.ts';
import { createBarPublisher } from '../engine/sinks/kafka/publisher.ts';
import { type Producer, RDKAFKA_ERROR, type Rdkafka } from '../engine/sinks/kafka/rdkafka.ts';
import { BAR_SIZE } from '../schemas/layout.gen.ts';
import { anyBars, type SeededBars } from '../test/seeded-bars.ts';
import { produceFrame, sendFrames } from './bare-produce.ts';
import type { BenchContext } from './harness.ts';
import { deleteTopics, makeTopics } from './kafka-topics.ts';

export const name = 'kafka-produce';

const SEED = 20_261_122;
const PARTITIONS = 6;
/** Bars that are made once and sent again and again, and those of one transaction. */
const MADE = 65_536;
const BATCH = 16_384;
/** How long a producer whose queue is full lets the broker have the processor. */
const FULL_MS = 1;
const BATCH_BYTES_MAX = 1_000_000;
const WORDS = BAR_SIZE >> 2;
const TIMEFRAMES = parseTimeframes('1s');
const TIMEOUT_MS = 15_000;
const POLL_EVERY = 1000;
const DRAIN_MS = 120_000;

interface Parts {
  readonly library: Rdkafka;
  readonly brokers: string;
  readonly bars: SeededBars;
  readonly count: number;
  readonly stopwatch: Stopwatch;
}

export async function run(context: BenchContext): Promise<void> {
  const brokers = process.env['KAFKA_BROKER'] ?? '';
  if (brokers === '') {
    context.log('  skipped: KAFKA_BROKER is not set, and the embedded cluster stores nothing as brokers do');
    return;
  }
  // Long enough for what a round begins with, compiling and first pages, not to matter.
  const count = context.isQuick ? 131_072 : 2_097_152;
  const stopwatch = createStopwatch(count);
  const parts: Parts = { library: await requireRdkafka(), brokers, bars: anyBars(SEED, MADE), count, stopwatch };
  const direct = (isReady: boolean): Promise<number> => measure(parts, (prefix) => produceDirect(parts, prefix, isReady));
  const reported = (isIdempotent: boolean): Promise<number> => measure(parts, (prefix) => produceReported(parts, prefix, isIdempotent));
  const published = (isDirect: boolean): Promise<number> => measure(parts, (prefix) => publish(parts, prefix, isDirect));
  await context.compare({
    work: 'JSON bars acks=all, idempotent, direct lane',
    against: 'node-rdkafka, idempotent, delivery reports',
    atLeast: 8,
    unit: 'bars/s',
    run: { work: () => direct(false), against: () => reported(true) },
  });
  // Without the kernel's time: what client, sockets and broker leave.
  await context.compare({
    work: 'the same batches, ready before the clock starts',
    against: 'node-rdkafka, idempotent, delivery reports',
    unit: 'bars/s',
    run: { work: () => direct(true), against: () => reported(true) },
  });
  if (brokers.includes(',')) {
    context.log('  skipped: the bare socket knows one broker, and KAFKA_BROKER names several');
  } else {
    await context.compare({
      work: 'the bytes of the same requests from a bare socket',
      against: 'node-rdkafka, idempotent, delivery reports',
      unit: 'bars/s',
      run: { work: () => measure(parts, (prefix) => produceBare(parts, prefix)), against: () => reported(true) },
    });
  }
  await context.compare({
    work: 'JSON bars acks=all, idempotent, direct lane',
    against: 'node-rdkafka, not idempotent, delivery reports',
    unit: 'bars/s',
    run: { work: () => direct(false), against: () => reported(false) },
  });
  await context.compare({
    work: `publisher, transactions of ${BATCH} bars, direct lane`,
    against: 'the same by librdkafka, lz4',
    unit: 'bars/s',
    run: { work: () => published(true), against: () => published(false) },
  });
  context.report('processor time of this process, s per million bars', stopwatch.figures());
}

/** Bars a second of `produce` into a topic of its own, which must hold them all afterwards. */
async function measure({ library, brokers, count }: Parts, produce: (topic: string) => Promise<number>): Promise<number> {
  const prefix = `bench.produce.${process.pid}.${process.hrtime.bigint()}.`;
  const names = [`${prefix}bars.1s`, `${prefix}ticks`];
  await makeTopics(library, brokers, names, PARTITIONS);
  // What earlier rounds left to be written to disk would slow the broker down in this one.
  execFileSync('sync');
  try {
    const us = await produce(prefix);
    const stored = await storedIn(library, brokers, `${prefix}bars.1s`);
    // The ends of transactions take an offset a partition each.
    if (stored < count) throw new EngineError('BENCH_OUTPUT', `${prefix}bars.1s: ${stored} offsets, expected ${count} or more`);
    return count / (us / 1e6);
  } finally {
    await deleteTopics(library, brokers, names);
  }
}

/** Sum of the ends of a topic's partitions. */
async function storedIn(library: Rdkafka, brokers: string, topic: string): Promise<number> {
  const client = new library.Producer({ 'metadata.broker.list': brokers }, {});
  await connectClient(client, brokers, TIMEOUT_MS);
  let stored = 0;
  for (let partition = 0; partition < PARTITIONS; partition += 1) {
    stored += await new Promise<number>((resolve, reject) => {
      client.queryWatermarkOffsets(topic, partition, TIMEOUT_MS, (error, ends) => (error ? reject(error) : resolve(ends.highOffset)));
    });
  }
  await disconnectProducer(client, 0);
  return stored;
}

interface Encoding {
  readonly cluster: Cluster;
  readonly client: ProduceClient;
  readonly callBars: number;
  /** The batches of the next `callBars` bars after `sent`. */
  encode(sent: number): Batch[];
  /** Those of all bars. */
  encodeAll(): Batch[][];
}

/** An initialised client, and what encodes bars for its topic. */
async function openEncoding({ brokers, bars, count }: Parts, prefix: string): Promise<Encoding> {
  const topic = `${prefix}bars.1s`;
  const cluster = createCluster({ clientId: 'bench', brokers, apis: PRODUCE_APIS, clock: SYSTEM_CLOCK, pause: SYSTEM_PAUSE });
  await cluster.lookUp([topic], TIMEOUT_MS);
  const options = { transactionalId: null, transactionTimeoutMs: 60_000, clock: SYSTEM_CLOCK, pause: SYSTEM_PAUSE };
  const client = createProduceClient(cluster, options);
  const encoder = createBatchEncoder(bars.symbols, ['1s']);
  encoder.begin(await client.init(), [{ partitions: PARTITIONS, batchBytesMax: BATCH_BYTES_MAX }]);
  const { callBars } = encoder;
  const encode = (sent: number): Batch[] => {
    const batches = encoder.encode(bars.words, (sent % MADE) * WORDS, callBars, Math.floor(SYSTEM_CLOCK.wallMs()));
    return batches.map((batch) => ({ topic, ...batch }));
  };
  const encodeAll = (): Batch[][] => Array.from({ length: Math.ceil(count / callBars) }, (_, call) => encode(call * callBars));
  return { cluster, client, callBars, encode, encodeAll };
}

/** From requests whose bytes are there to answers, by a bare socket; returns microseconds, connecting included. */
async function produceBare(parts: Parts, prefix: string): Promise<number> {
  const { cluster, encodeAll } = await openEncoding(parts, prefix);
  const frames = encodeAll().map(produceFrame);
  const stop = parts.stopwatch.start('bare socket');
  await sendFrames(parts.brokers, frames);
  const us = stop();
  await cluster.close();
  return us;
}

/** From records to acknowledgements, or from batches where they are ready; returns microseconds, without connecting. */
async function produceDirect(parts: Parts, prefix: string, isReady: boolean): Promise<number> {
  const { count, stopwatch } = parts;
  const { cluster, client, callBars, encode, encodeAll } = await openEncoding(parts, prefix);
  const ready = isReady ? encodeAll() : [];
  const stop = stopwatch.start(isReady ? 'direct, ready batches' : 'direct');
  for (let sent = 0; sent < count; sent += callBars) {
    while (client.queuedBytes > QUEUE_BYTES_MAX && !client.failure) await SYSTEM_PAUSE(FULL_MS);
    client.add(...(ready.shift() ?? encode(sent)));
    await nextTurn();
  }
  await client.flush();
  const us = stop();
  await cluster.close();
  return us;
}

/** From payloads that are there to delivery reports; returns microseconds, without connecting. Nothing is compressed, as on the direct lane. */
async function produceReported(
  { library, brokers, bars, count, stopwatch }: Parts,
  prefix: string,
  isIdempotent: boolean,
): Promise<number> {
  const payloads = bars.expected.map(({ key, value }) => ({ key: Buffer.from(key), value: Buffer.from(value) }));
  const idempotence = isIdempotent ? {} : { 'enable.idempotence': false, 'enable.gapless.guarantee': false };
  const settings = { ...producerSettings(brokers, 5), 'compression.codec': 'none', ...idempotence };
  const producer: Producer = new library.Producer(settings, PRODUCER_TOPIC_SETTINGS);
  let acknowledged = 0;
  let failure: Error | undefined;
  producer.on('delivery-report', (error) => {
    if (error) failure ??= error;
    else acknowledged += 1;
  });
  await connectClient(producer, brokers, TIMEOUT_MS);
  const topic = `${prefix}bars.1s`;
  const stop = stopwatch.start(isIdempotent ? 'node-rdkafka, idempotent' : 'node-rdkafka, not idempotent');
  for (let sent = 0; sent < count && !failure; ) {
    const { key, value } = payloads[sent % MADE]!;
    if (tryProduce(producer, topic, value, key)) sent += 1;
    else await SYSTEM_PAUSE(FULL_MS);
    if (sent % POLL_EVERY === 0) producer.poll();
  }
  while (acknowledged < count && !failure) {
    producer.poll();
    await SYSTEM_PAUSE(FULL_MS);
  }
  const us = stop();
  await disconnectProducer(producer, 0);
  if (failure) throw failure;
  return us;
}

/** False when the queue is full; what is answered is taken out of it meanwhile. */
function tryProduce(producer: Producer, topic: string, value: Buffer, key: Buffer): boolean {
  try {
    producer.produce(topic, null, value, key, null);
    return true;
  } catch (error) {
    if (!(error instanceof Error) || !('code' in error) || error.code !== RDKAFKA_ERROR.queueFull) throw error;
    producer.poll();
    return false;
  }
}

/** The publisher of the engine, an epoch of BATCH bars a transaction; returns microseconds, without connecting. */
async function publish({ library, brokers, bars, count, stopwatch }: Parts, prefix: string, isDirect: boolean): Promise<number> {
  const committedRing = allocateRing(2 * BATCH, BAR_SIZE);
  const ring = createRing(committedRing, 0);
  const { symbols } = bars;
  const shared = { brokers, prefix, symbols, timeframes: TIMEFRAMES, clock: SYSTEM_CLOCK };
  const publisher = createBarPublisher({
    ...{ ...shared, library, committedRing, isLive: false, lingerMs: 5 },
    transactions: {
      transactionalId: `${prefix}1`,
      markerGroup: `${prefix}markers`,
      markerTopic: `${prefix}ticks`,
      lanes: [0],
      isOwner: async () => true,
    },
    ...(isDirect ? { lane: createDirectLane(shared) } : {}),
  });
  await publisher.connect();
  const stop = stopwatch.start(isDirect ? 'publisher, direct' : 'publisher, librdkafka');
  for (let sent = 0, databaseEpoch = 1; sent < count; sent += BATCH, databaseEpoch += 1) {
    while (ring.free() < BATCH) {
      const failure = publisher.failure();
      if (failure) throw failure;
      publisher.poll();
      await nextTurn();
    }
    ring.publish(bars.words, (sent % MADE) * WORDS, BATCH);
    publisher.epochCommitted({ databaseEpoch, bars: BATCH, letters: [] });
  }
  const left = await publisher.drain(DRAIN_MS);
  const us = stop();
  await publisher.close();
  if (left > 0) throw publisher.failure() ?? new EngineError('BENCH_OUTPUT', `${left} bars not published in ${DRAIN_MS} ms`);
  return us;
}

interface Stopwatch {
  /** Begins to take time; what it returns ends that, and gives microseconds. */
  start(what: string): () => number;
  /** Processor time by what was done, s per million bars. */
  figures(): Record<string, string>;
}

function createStopwatch(bars: number): Stopwatch {
  const sums = new Map<string, { us: number; rounds: number }>();
  return {
    start(what) {
      const from = process.cpuUsage();
      const startUs = SYSTEM_CLOCK.monotonicUs();
      return () => {
        const us = SYSTEM_CLOCK.monotonicUs() - startUs;
        const { user, system } = process.cpuUsage(from);
        const sum = sums.get(what) ?? { us: 0, rounds: 0 };
        sums.set(what, { us: sum.us + user + system, rounds: sum.rounds + 1 });
        return us;
      };
    },
    figures: () => Object.fromEntries([...sums].map(([what, { us, rounds }]) => [what, (us / (rounds * bars)).toFixed(2)])),
  };
}
