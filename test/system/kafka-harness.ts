/** What the Kafka tests share: a broker, topics of their own, and a way to read a topic back. */
import { setTimeout as sleep } from 'node:timers/promises';
import { SYSTEM_CLOCK } from '../../engine/core/clock.ts';
import { allocateSymbols, openSymbols, type SymbolDictionary } from '../../engine/market/instruments.ts';
import { allocateRing, createRing, type Ring } from '../../engine/memory/ring.ts';
import { connectClient, disconnectConsumer, requireRdkafka, topicMetadata } from '../../engine/sinks/kafka/client.ts';
import { createDirectLane, type DirectLaneOptions } from '../../engine/sinks/kafka/direct-lane.ts';
import { startEmbeddedKafka } from '../../engine/sinks/kafka/embedded.ts';
import { rdkafkaLane, type TransactionLane } from '../../engine/sinks/kafka/lane.ts';
import type { TransactionOptions } from '../../engine/sinks/kafka/marker.ts';
import type { BarPublisher } from '../../engine/sinks/kafka/publisher.ts';
import type { Consumer, Message, Rdkafka } from '../../engine/sinks/kafka/rdkafka.ts';
import { ensureTopics, touchTopics } from '../../engine/sinks/kafka/topics.ts';
import * as L from '../../schemas/layout.gen.ts';
import { OUT_KIND } from '../../schemas/records.ts';

// A limit, not an expectation: a machine may be many times slower than the one that a test was written on.
const TIMEOUT_MS = 60_000;
const MARKERS_MS = 2000;

export interface Broker {
  readonly library: Rdkafka;
  readonly brokers: string;
  close(): Promise<void>;
}

export async function openEmbedded(): Promise<Broker> {
  const library = await requireRdkafka();
  const embedded = await startEmbeddedKafka(library);
  return { library, brokers: embedded.brokers, close: () => embedded.close() };
}

/** A real broker, named by KAFKA_BROKER; undefined where there is none. */
export const REAL_BROKER: string | undefined = process.env['KAFKA_BROKER'] || undefined;
export const NO_BROKER = 'KAFKA_BROKER is not set: no real broker to test with';

export async function openReal(): Promise<Broker> {
  return { library: await requireRdkafka(), brokers: REAL_BROKER ?? '', close: async () => undefined };
}

/** Makes a small topic; the embedded cluster makes it when it is first asked for, always with 4 partitions. */
export async function createTopic({ library, brokers }: Broker, topic: string, partitions: number): Promise<void> {
  const plan = { topic, partitions, replicationFactor: 1, retentionMs: 3_600_000, segmentBytes: 1_048_576 };
  if (brokers === REAL_BROKER) await ensureTopics(library, brokers, [plan]);
  else await touchTopics(library, brokers, [plan]);
}

/** A prefix that no other run uses. */
export function uniquePrefix(name: string): string {
  return `test.${name}.${process.pid}.${process.hrtime.bigint()}.`;
}

/** Reads `count` messages of a topic from its beginning, without joining a group. Fails when they do not come in time. */
export async function readTopic({ library, brokers }: Broker, topic: string, count: number): Promise<Message[]> {
  const consumer = new library.KafkaConsumer(
    { 'metadata.broker.list': brokers, 'group.id': uniquePrefix('reader'), 'enable.auto.commit': false, 'fetch.wait.max.ms': 50 },
    { 'auto.offset.reset': 'earliest' },
  );
  await connectClient(consumer, brokers, TIMEOUT_MS);
  const partitions = (await topicMetadata(consumer, topic, TIMEOUT_MS))?.partitions ?? [];
  consumer.assign(partitions.map(({ id }) => ({ topic, partition: id, offset: 0 })));
  consumer.setDefaultConsumeTimeout(50);
  const messages: Message[] = [];
  const endMs = performance.now() + TIMEOUT_MS;
  while (messages.length < count && performance.now() < endMs) {
    messages.push(
      ...(await new Promise<readonly Message[]>((resolve, reject) => {
        consumer.consume(1000, (error, batch) => (error ? reject(error) : resolve(batch)));
      })),
    );
  }
  await new Promise<void>((resolve) => consumer.disconnect(resolve));
  if (messages.length < count) throw new Error(`topic ${topic}: ${messages.length} messages in ${TIMEOUT_MS} ms, ${count} expected`);
  return messages;
}

/**
 * Waits until readers of what is committed see the end of a topic: a commit is answered before its last marker is written. Not longer than a
 * moment, since a transaction may be open on purpose.
 */
async function waitForMarkers({ library, brokers }: Broker, topic: string): Promise<void> {
  const clients = ['read_committed', 'read_uncommitted'].map(
    (level) =>
      new library.KafkaConsumer({ 'metadata.broker.list': brokers, 'group.id': uniquePrefix('end'), 'isolation.level': level }, {}),
  );
  for (const client of clients) await connectClient(client, brokers, TIMEOUT_MS);
  const [first] = clients;
  const partitions = (first && (await topicMetadata(first, topic, TIMEOUT_MS)))?.partitions ?? [];
  const endOf = (client: Consumer, partition: number): Promise<number> =>
    new Promise((resolve, reject) => {
      client.queryWatermarkOffsets(topic, partition, TIMEOUT_MS, (error, ends) => (error ? reject(error) : resolve(ends.highOffset)));
    });
  const ends = (client: Consumer): Promise<number[]> => Promise.all(partitions.map(({ id }) => endOf(client, id)));
  for (const endMs = performance.now() + MARKERS_MS; performance.now() < endMs; ) {
    const [committed, written] = await Promise.all(clients.map(ends));
    if (committed?.every((end, index) => end === written?.[index])) break;
  }
  await Promise.all(clients.map(disconnectConsumer));
}

/** Everything of a topic that is committed now, up to its end, without joining a group. Each CRC is checked. */
export async function readCommitted(broker: Broker, topic: string): Promise<Message[]> {
  await waitForMarkers(broker, topic);
  const { library, brokers } = broker;
  const consumer = new library.KafkaConsumer(
    {
      'metadata.broker.list': brokers,
      'group.id': uniquePrefix('reader'),
      'enable.auto.commit': false,
      'fetch.wait.max.ms': 50,
      'isolation.level': 'read_committed',
      'check.crcs': true,
      'enable.partition.eof': true,
    },
    { 'auto.offset.reset': 'earliest' },
  );
  await connectClient(consumer, brokers, TIMEOUT_MS);
  const unread = new Set(((await topicMetadata(consumer, topic, TIMEOUT_MS))?.partitions ?? []).map(({ id }) => id));
  if (unread.size === 0) throw new Error(`topic ${topic}: there is none`);
  consumer.on('partition.eof', ({ partition }) => unread.delete(partition));
  consumer.assign([...unread].map((partition) => ({ topic, partition, offset: 0 })));
  consumer.setDefaultConsumeTimeout(50);
  const messages: Message[] = [];
  const endMs = performance.now() + TIMEOUT_MS;
  while (unread.size > 0 && performance.now() < endMs) {
    messages.push(
      ...(await new Promise<readonly Message[]>((resolve, reject) => {
        consumer.consume(1000, (error, batch) => (error ? reject(error) : resolve(batch)));
      })),
    );
  }
  await disconnectConsumer(consumer);
  if (unread.size > 0) throw new Error(`topic ${topic}: partitions ${[...unread].join(', ')} not read to their end in ${TIMEOUT_MS} ms`);
  return messages;
}

/** What tells a published bar from any other. */
export function identityOf(message: Message): string {
  const { symbol, tf, ts, rev } = JSON.parse(String(message.value));
  return `${symbol} ${tf} ${ts} ${rev}`;
}

/** Transactions under a prefix, whose markers are kept by topic `PREFIXticks`. */
export function transactionsUnder(prefix: string, token: number, change: Partial<TransactionOptions> = {}): TransactionOptions {
  return {
    transactionalId: `${prefix}${token}`,
    markerGroup: `${prefix}markers`,
    markerTopic: `${prefix}ticks`,
    lanes: [0],
    isOwner: async () => true,
    ...change,
  };
}

export type LaneName = 'librdkafka' | 'direct';

/** The lane of a name, for bars of these symbols. */
export function laneOf(
  name: LaneName,
  { library, brokers }: Broker,
  options: Omit<DirectLaneOptions, 'brokers' | 'clock'>,
): TransactionLane {
  return name === 'direct' ? createDirectLane({ ...options, brokers, clock: SYSTEM_CLOCK }) : rdkafkaLane(library, brokers);
}

/** The writer's announcements: what was put since the last one is an epoch. */
export function createAnnouncer(publisher: BarPublisher, after = 0): { bars(count: number): void; announce(): number } {
  let databaseEpoch = after;
  let pending = 0;
  return {
    bars(count) {
      pending += count;
    },
    announce() {
      databaseEpoch += 1;
      publisher.epochCommitted({ databaseEpoch, bars: pending, letters: [] });
      pending = 0;
      return databaseEpoch;
    },
  };
}

export interface CommittedBar {
  readonly symbolIndex: number;
  readonly timeframeIndex: number;
  readonly tsStartSec: number;
  readonly revision?: number;
  readonly volumeLots?: bigint;
  readonly isQuote?: boolean;
}

export interface CommittedBars {
  readonly buffer: SharedArrayBuffer;
  readonly ring: Ring;
  readonly symbols: SymbolDictionary;
  put(bar: CommittedBar): void;
}

/** A committed ring and a dictionary of symbols S0, S1 and on, with the Postgres writer's side of it. */
export function createCommittedBars(capacity: number, symbolCount: number): CommittedBars {
  const buffer = allocateRing(capacity, L.BAR_SIZE);
  const ring = createRing(buffer, 0);
  const symbols = openSymbols(allocateSymbols(symbolCount));
  for (let index = 0; index < symbolCount; index += 1) {
    symbols.write(index, {
      name: `S${index}`,
      partition: 0,
      shard: 0,
      localIndex: index,
      priceDecimals: 2,
      lotDecimals: 0,
      isQuote: false,
    });
  }
  const record = new ArrayBuffer(L.BAR_SIZE);
  const i32 = new Int32Array(record);
  const f64 = new Float64Array(record);
  const i64 = new BigInt64Array(record);
  return {
    buffer,
    ring,
    symbols,
    put(bar) {
      i32.fill(0);
      const startNs = BigInt(bar.tsStartSec) * 1_000_000_000n;
      i32[L.BAR_KIND_I32] = bar.revision ? OUT_KIND.barAmend : OUT_KIND.barFinal;
      i32[L.BAR_SYMBOL_INDEX_I32] = bar.symbolIndex;
      i32[L.BAR_TIMEFRAME_INDEX_I32] = bar.timeframeIndex;
      i32[L.BAR_REVISION_I32] = bar.revision ?? 0;
      i32[L.BAR_INSTRUMENT_KIND_I32] = bar.isQuote ? L.INSTRUMENT_KIND_QUOTE : L.INSTRUMENT_KIND_TRADE;
      i32[L.BAR_TRADE_COUNT_I32] = 3;
      i64[L.BAR_TS_START_NS_I64] = startNs;
      i64[L.BAR_FIRST_NS_I64] = startNs + 1n;
      i64[L.BAR_LAST_NS_I64] = startNs + 999_999_999n;
      f64[L.BAR_OPEN_F64] = 10.25;
      f64[L.BAR_HIGH_F64] = 12.5;
      f64[L.BAR_LOW_F64] = 9.75;
      f64[L.BAR_CLOSE_F64] = 11;
      f64[L.BAR_PRICE_SCALE_F64] = 100;
      i64[L.BAR_VOLUME_LOTS_I64] = bar.volumeLots ?? 4n;
      i64[L.BAR_NOTIONAL_LO_I64] = (bar.volumeLots ?? 4n) * 1050n;
      ring.publish(i32, 0, 1);
    },
  };
}

/** Repeats `step` until it says true; each round lets the event loop turn, so that clients can report. */
export async function until(what: string, step: () => boolean, timeoutMs = TIMEOUT_MS): Promise<void> {
  const endMs = performance.now() + timeoutMs;
  while (!step()) {
    if (performance.now() > endMs) throw new Error(`${what}: not in ${timeoutMs} ms`);
    await sleep(1);
  }
}
