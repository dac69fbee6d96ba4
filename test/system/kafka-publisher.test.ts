import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { SYSTEM_CLOCK } from '../../engine/core/clock.ts';
import { murmur2Part } from '../../engine/market/murmur2.ts';
import { parseTimeframes } from '../../engine/market/timeframes.ts';
import { requireRdkafka } from '../../engine/sinks/kafka/client.ts';
import { type BarPublisher, createBarPublisher } from '../../engine/sinks/kafka/publisher.ts';
import type { Message } from '../../engine/sinks/kafka/rdkafka.ts';
import { ensureTopics } from '../../engine/sinks/kafka/topics.ts';
import {
  type Broker,
  type CommittedBars,
  createAnnouncer,
  createCommittedBars,
  createTopic,
  NO_BROKER,
  openEmbedded,
  REAL_BROKER,
  readCommitted,
  readTopic,
  transactionsUnder,
  uniquePrefix,
  until,
} from './kafka-harness.ts';

const TIMEFRAMES = parseTimeframes('1s,1m');
const START_SEC = 1_700_000_000;
const FIRST_EPOCH = 7;

/** A prefix of its own with the topic that keeps its markers. */
async function prefixWithTopics(broker: Broker, name: string): Promise<string> {
  const prefix = uniquePrefix(name);
  await createTopic(broker, `${prefix}ticks`, 1);
  return prefix;
}

function publisherOf({ library, brokers }: Broker, bars: CommittedBars, prefix: string): BarPublisher {
  const { buffer: committedRing, symbols } = bars;
  const options = {
    library,
    brokers,
    prefix,
    committedRing,
    symbols,
    timeframes: TIMEFRAMES,
    clock: SYSTEM_CLOCK,
    isLive: true,
    lingerMs: 5,
    transactions: transactionsUnder(prefix, 1),
  };
  return createBarPublisher(options);
}

/** Puts seconds of bars of every symbol into the ring while the publisher drains it; the ring is smaller than what goes through. */
async function publishSeconds(publisher: BarPublisher, bars: CommittedBars, shape: { symbols: number; seconds: number }): Promise<void> {
  const announcer = createAnnouncer(publisher, 100);
  for (let second = 0; second < shape.seconds; second += 1) {
    while (bars.ring.free() < shape.symbols) await publisher.drain(5);
    for (let symbolIndex = 0; symbolIndex < shape.symbols; symbolIndex += 1) {
      bars.put({ symbolIndex, timeframeIndex: 0, tsStartSec: START_SEC + second });
    }
    announcer.bars(shape.symbols);
    announcer.announce();
  }
  expect(await publisher.drain(10_000)).toBe(0);
}

/** Symbol and open time of the messages of each partition, in the order of their offsets. */
function timesByPartition(messages: readonly Message[]): Map<number, { symbol: string; ts: number }[]> {
  const byPartition = new Map<number, { symbol: string; ts: number }[]>();
  for (const message of [...messages].sort((a, b) => a.offset - b.offset)) {
    const { symbol, ts } = JSON.parse(String(message.value));
    byPartition.set(message.partition, [...(byPartition.get(message.partition) ?? []), { symbol, ts }]);
  }
  return byPartition;
}

function assertOrderedBySymbol(messages: readonly Message[]): void {
  const homes = new Map<string, number>();
  for (const [partition, bars] of timesByPartition(messages)) {
    const latest = new Map<string, number>();
    for (const { symbol, ts } of bars) {
      expect(homes.get(symbol) ?? partition).toBe(partition);
      homes.set(symbol, partition);
      expect(ts).toBeGreaterThan(latest.get(symbol) ?? 0);
      latest.set(symbol, ts);
    }
  }
}

describe('bar publisher, embedded cluster', () => {
  let broker: Broker;
  beforeAll(async () => {
    broker = await openEmbedded();
  });
  afterAll(() => broker.close());

  it('publishes every committed bar once, and gives its slot back only when its epoch is published', async () => {
    const prefix = await prefixWithTopics(broker, 'once');
    const bars = createCommittedBars(1024, 100);
    const publisher = publisherOf(broker, bars, prefix);
    await publisher.connect();
    bars.put({ symbolIndex: 0, timeframeIndex: 0, tsStartSec: START_SEC - 1 });
    expect(await publisher.drain(50)).toBe(1);
    expect(publisher.totals()).toMatchObject({ acked: 0, transactions: 0 });
    bars.put({ symbolIndex: 1, timeframeIndex: 0, tsStartSec: START_SEC - 1 });
    publisher.epochCommitted({ databaseEpoch: FIRST_EPOCH, bars: 1, letters: [] });
    await until('the epoch is published', () => publisher.poll() >= 0 && publisher.publishedEpoch === FIRST_EPOCH);
    // The second bar's epoch is not announced.
    expect(publisher.outstanding()).toBe(1);
    publisher.epochCommitted({ databaseEpoch: FIRST_EPOCH + 1, bars: 1, letters: [] });
    await publishSeconds(publisher, bars, { symbols: 100, seconds: 40 });
    expect(publisher.outstanding()).toBe(0);
    expect(publisher.counters().published[0]).toBe(4002);
    expect(publisher.totals()).toMatchObject({ acked: 4002, failed: 0, retried: 0, inFlight: 0 });
    expect(publisher.health()).toMatchObject({ isUp: true, detail: 'publishing' });
    const messages = await readTopic(broker, `${prefix}bars.1s`, 4002);
    expect(messages.length).toBe(4002);
    assertOrderedBySymbol(messages);
    // librdkafka puts each symbol where Java's client would.
    for (const { key, partition } of messages) expect(partition).toBe(murmur2Part(key ?? Buffer.of(), 4));
    await publisher.close();
  });

  it('sends letters to dlq with the epoch that they belong to, and passes empty epochs by', async () => {
    const prefix = await prefixWithTopics(broker, 'letters');
    const bars = createCommittedBars(1024, 1);
    const publisher = publisherOf(broker, bars, prefix);
    await publisher.connect();
    publisher.epochCommitted({ databaseEpoch: 3, bars: 0, letters: [] });
    await until('the empty epoch is passed by', () => publisher.publishedEpoch === 3);
    expect(publisher.totals().transactions).toBe(0);
    publisher.epochCommitted({ databaseEpoch: 4, bars: 0, letters: [{ key: 't:0:1', json: '{"a":1}' }] });
    expect(publisher.outstanding()).toBe(1);
    expect(await publisher.drain(10_000)).toBe(0);
    expect(publisher.totals()).toMatchObject({ letters: 1, transactions: 1 });
    expect(publisher.publishedEpoch).toBe(4);
    const [letter] = await readTopic(broker, `${prefix}dlq`, 1);
    expect([String(letter?.key), String(letter?.value)]).toEqual(['t:0:1', '{"a":1}']);
    expect(() => publisher.epochCommitted({ databaseEpoch: 4, bars: 0, letters: [] })).toThrow('expected one after 4');
    expect(() => publisher.epochCommitted({ databaseEpoch: 5, bars: 1, letters: [] })).toThrow('with its bars in the committed ring');
    await publisher.close();
  });

  it('sends each timeframe to its topic with the symbol as key, and no quote bar', async () => {
    const prefix = await prefixWithTopics(broker, 'frames');
    const bars = createCommittedBars(1024, 4);
    const publisher = publisherOf(broker, bars, prefix);
    await publisher.connect();
    const nowSec = Math.floor(SYSTEM_CLOCK.wallMs() / 1000);
    bars.put({ symbolIndex: 1, timeframeIndex: 0, tsStartSec: nowSec });
    bars.put({ symbolIndex: 2, timeframeIndex: 0, tsStartSec: START_SEC, isQuote: true });
    bars.put({ symbolIndex: 3, timeframeIndex: 1, tsStartSec: nowSec, revision: 2 });
    publisher.epochCommitted({ databaseEpoch: 1, bars: 3, letters: [] });
    expect(await publisher.drain(10_000)).toBe(0);
    expect([...publisher.counters().published]).toEqual([1, 1]);
    const [second] = await readTopic(broker, `${prefix}bars.1s`, 1);
    const [minute] = await readTopic(broker, `${prefix}bars.1m`, 1);
    expect(String(second?.key)).toBe('S1');
    expect(JSON.parse(String(second?.value))).toEqual({
      symbol: 'S1',
      tf: '1s',
      ts: nowSec,
      o: 10.25,
      h: 12.5,
      l: 9.75,
      c: 11,
      vol: 4,
      n_trades: 3,
      rev: 0,
      late: 0,
      vwap: 10.5,
      first_ns: `${nowSec}000000001`,
      last_ns: `${nowSec}999999999`,
    });
    expect(JSON.parse(String(minute?.value))).toMatchObject({ symbol: 'S3', tf: '1m', rev: 2 });
    // Only the first revision says how late a bar is.
    expect(publisher.takeLatency()).toBeDefined();
    expect(publisher.takeLatency()).toBeUndefined();
    await publisher.close();
  });
});

describe('bar publisher, real broker', () => {
  it.skipIf(!REAL_BROKER)(
    `D-72: with 6 partitions, the times of a symbol strictly increase on its one partition${REAL_BROKER ? '' : ` (${NO_BROKER})`}`,
    async () => {
      const broker: Broker = { library: await requireRdkafka(), brokers: REAL_BROKER ?? '', close: async () => undefined };
      const prefix = uniquePrefix('d72');
      const topic = `${prefix}bars.1s`;
      const plan = { topic, partitions: 6, replicationFactor: 1, retentionMs: 3_600_000, segmentBytes: 1_048_576 };
      await createTopic(broker, `${prefix}ticks`, 1);
      expect((await ensureTopics(broker.library, broker.brokers, [plan])).created).toEqual([topic]);
      expect(await ensureTopics(broker.library, broker.brokers, [{ ...plan, partitions: 4 }])).toEqual({
        created: [],
        existing: [topic],
        differing: [{ topic, partitions: 6, planned: 4 }],
      });
      const bars = createCommittedBars(4096, 50);
      const publisher = publisherOf(broker, bars, prefix);
      await publisher.connect();
      await publishSeconds(publisher, bars, { symbols: 50, seconds: 120 });
      await publisher.close();
      const messages = await readCommitted(broker, topic);
      expect(messages.length).toBe(6000);
      expect(new Set(messages.map((message) => message.partition)).size).toBe(6);
      assertOrderedBySymbol(messages);
    },
  );
});
