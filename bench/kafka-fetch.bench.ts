/**
 * Reading a topic of JSON ticks from a real broker: fetched directly and parsed exactly, into staged tick records, against node-rdkafka's bare
 * consume, which parses nothing. Both check CRC32C. Needs a broker that KAFKA_BROKER names; makes a topic of its own and deletes it.
 */
import { setImmediate as nextTurn } from 'node:timers/promises';
import { SYSTEM_CLOCK, SYSTEM_PAUSE } from '../engine/core/clock.ts';
import { EngineError } from '../engine/core/errors.ts';
import { createIngestKernel, type IngestKernel, STAGING_CAPACITY } from '../engine/ingest/port-kernel.ts';
import { createTickProducer, type TickProducer } from '../engine/ingest/tick-producer.ts';
import { createCluster } from '../engine/kafka-direct/cluster.ts';
import { type LibraryCodecs, loadCodecs } from '../engine/kafka-direct/codecs.ts';
import { createFetchKernel } from '../engine/kafka-direct/fetch-kernel.ts';
import { createFetcher, FETCH_APIS } from '../engine/kafka-direct/fetcher.ts';
import { createRecordDecoder, type RecordDecoder } from '../engine/kafka-direct/record-decoder.ts';
import { connectClient, disconnectConsumer, requireRdkafka } from '../engine/sinks/kafka/client.ts';
import type { Message, NewTopic, Rdkafka } from '../engine/sinks/kafka/rdkafka.ts';
import type { BenchContext } from './harness.ts';
import { deleteTopics, makeTopics } from './kafka-topics.ts';

export const name = 'kafka-fetch';

const SYMBOLS = 500;
const PARTITIONS = 8;
/** How the broker keeps batches, whatever the producer sent: `compression.type` of the topic. */
const STORED = ['uncompressed', 'lz4'] as const;
const START_NS = BigInt(Date.UTC(2026, 0, 1)) * 1_000_000n;
const CONNECT_TIMEOUT_MS = 15_000;
const FLUSH_MS = 120_000;
const CONSUME_BATCH = 10_000;
/** Messages that are written between two looks at the producer. */
const WRITE_BATCH = 10_000;
/** Issue 7. */
const RATIO = 14;

interface Topic {
  readonly library: Rdkafka;
  readonly brokers: string;
  readonly topic: string;
  readonly messages: number;
  readonly stored: (typeof STORED)[number];
}

export async function run(context: BenchContext): Promise<void> {
  const brokers = process.env['KAFKA_BROKER'] ?? '';
  if (brokers === '') {
    context.log('  skipped: KAFKA_BROKER is not set, and the embedded cluster is a mock');
    return;
  }
  const library = await requireRdkafka();
  const codecs = await loadCodecs();
  const messages = context.isQuick ? 50_000 : 1_000_000;
  for (const stored of STORED) {
    const topic: Topic = { library, brokers, topic: `bench.fetch.${stored}.${process.pid}`, messages, stored };
    try {
      await fill(topic);
      await compareOn(context, topic, codecs);
    } finally {
      await deleteTopics(library, brokers, [topic.topic]);
    }
  }
}

async function compareOn(context: BenchContext, topic: Topic, codecs: LibraryCodecs): Promise<void> {
  const cpuMs: Record<string, number[]> = { direct: [], rdkafka: [] };
  await context.compare({
    work: `direct fetch of ${topic.stored} ticks, parsed into records`,
    against: 'node-rdkafka consume, not parsed',
    atLeast: RATIO,
    unit: 'messages/s',
    run: {
      work: () => timed(cpuMs['direct'], () => readDirect(topic, codecs)),
      against: () => timed(cpuMs['rdkafka'], () => readRdkafka(topic)),
    },
  });
  context.report(`CPU of the client for a million ${topic.stored} messages, ms (median of all rounds)`, {
    direct: perMillion(cpuMs['direct'], topic.messages),
    rdkafka: perMillion(cpuMs['rdkafka'], topic.messages),
  });
}

/** Runs a round and keeps the CPU time that it took, ms. */
async function timed(cpuMs: number[] | undefined, round: () => Promise<number>): Promise<number> {
  const before = process.cpuUsage();
  const rate = await round();
  const { user, system } = process.cpuUsage(before);
  cpuMs?.push((user + system) / 1000);
  return rate;
}

function perMillion(cpuMs: readonly number[] | undefined, messages: number): number {
  const sorted = [...(cpuMs ?? [])].sort((left, right) => left - right);
  return Math.round(((sorted[sorted.length >> 1] ?? 0) * 1e6) / messages);
}

/** Ticks as the simulator's producer writes them: two decimals, by key. */
async function fill({ library, brokers, topic, messages, stored }: Topic): Promise<void> {
  await createTopic(library, brokers, {
    topic,
    num_partitions: PARTITIONS,
    replication_factor: 1,
    config: { 'compression.type': stored, 'retention.ms': '3600000' },
  });
  // It is there; waits until the brokers know of it.
  await makeTopics(library, brokers, [topic], PARTITIONS);
  const producer: TickProducer = await createTickProducer(library, brokers, topic);
  for (let index = 0; index < messages; index += 1) {
    producer.sendJson({
      symbol: `SIM${String((index % SYMBOLS) + 1).padStart(4, '0')}`,
      tsEventNs: START_NS + BigInt(index) * 1_000_000n + 123_457n,
      price: (250_000 + ((index * 7919) % 5000)) / 100,
      quantityLots: BigInt((index % 5) + 1),
    });
    if (index % WRITE_BATCH === WRITE_BATCH - 1) await producer.flush(FLUSH_MS);
  }
  await producer.close();
}

/** Reads everything and decodes it in place; messages a second. */
async function readDirect({ brokers, topic, messages }: Topic, codecs: LibraryCodecs): Promise<number> {
  const cluster = createCluster({ clientId: 'bench', brokers, apis: FETCH_APIS, clock: SYSTEM_CLOCK, pause: SYSTEM_PAUSE });
  const fetcher = createFetcher({ cluster, topic, clock: SYSTEM_CLOCK, isCommittedOnly: true, onOffsetGone: 'stop' });
  const ingest = createTickKernel();
  const decoder = createRecordDecoder({ kernel: createFetchKernel(ingest.memory), codecs, isChecked: true });
  await cluster.look([topic]);
  const startUs = SYSTEM_CLOCK.monotonicUs();
  fetcher.begin(new Map(Array.from({ length: PARTITIONS }, (_, partition) => [partition, 0])));
  let decoded = 0;
  while (decoded < messages) {
    const failure = fetcher.takeFailure();
    if (failure) throw failure;
    const { head } = fetcher;
    if (head === undefined) {
      fetcher.pump();
      await nextTurn();
      continue;
    }
    decoder.load(head);
    decoded += decodeSet(decoder, ingest);
    if (decoder.trouble) throw new EngineError(decoder.trouble.code, decoder.trouble.text);
    fetcher.finish(decoder.nextOffset, decoder);
  }
  const rate = messages / ((SYSTEM_CLOCK.monotonicUs() - startUs) / 1e6);
  await fetcher.close();
  return rate;
}

/** Decodes what is loaded to staged records; returns how many. @throws EngineError BENCH_OUTPUT for a message that the kernel leaves to JavaScript */
function decodeSet(decoder: RecordDecoder, ingest: IngestKernel): number {
  let decoded = 0;
  for (let count = decoder.next(STAGING_CAPACITY); count > 0; count = decoder.next(STAGING_CAPACITY)) {
    const taken = ingest.exports.decodeListed(decoder.entriesI32 * 4, 0, count, 0);
    if (taken !== count) throw new EngineError('BENCH_OUTPUT', `kafka-fetch: record ${taken} of ${count} was not decoded`);
    decoded += count;
  }
  return decoded;
}

/** The ingest kernel with the names of all symbols, over a memory of its own. */
function createTickKernel(): IngestKernel {
  const kernel = createIngestKernel({ symbolCapacity: SYMBOLS, partitionCapacity: PARTITIONS, shardCount: 1, latenessNs: 0, amendNs: 0n });
  for (let index = 0; index < SYMBOLS; index += 1) {
    const symbol = Buffer.from(`SIM${String(index + 1).padStart(4, '0')}`);
    kernel.exports.addSymbol(0, index, 0, 0);
    kernel.u8.set(symbol, kernel.nameU8);
    kernel.exports.intern(index, symbol.length);
  }
  return kernel;
}

/** Reads everything without looking at it; messages a second. */
async function readRdkafka({ library, brokers, topic, messages }: Topic): Promise<number> {
  const consumer = new library.KafkaConsumer(
    {
      'metadata.broker.list': brokers,
      'group.id': `${topic}.group`,
      'enable.auto.commit': false,
      'check.crcs': true,
      'fetch.wait.max.ms': 50,
    },
    { 'auto.offset.reset': 'earliest' },
  );
  await connectClient(consumer, brokers, CONNECT_TIMEOUT_MS);
  consumer.setDefaultConsumeTimeout(100);
  const startUs = SYSTEM_CLOCK.monotonicUs();
  consumer.assign(Array.from({ length: PARTITIONS }, (_, partition) => ({ topic, partition, offset: 0 })));
  let read = 0;
  while (read < messages) {
    const batch = await new Promise<readonly Message[]>((resolve, reject) => {
      consumer.consume(CONSUME_BATCH, (error, list) => (error ? reject(error) : resolve(list)));
    });
    read += batch.length;
  }
  const rate = messages / ((SYSTEM_CLOCK.monotonicUs() - startUs) / 1e6);
  await disconnectConsumer(consumer);
  return rate;
}

function createTopic(library: Rdkafka, brokers: string, plan: NewTopic): Promise<void> {
  const admin = library.AdminClient.create({ 'metadata.broker.list': brokers });
  return new Promise((resolve, reject) => {
    admin.createTopic(plan, CONNECT_TIMEOUT_MS, (error) => {
      admin.disconnect();
      if (error) reject(error);
      else resolve();
    });
  });
}
