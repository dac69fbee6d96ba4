import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { createManualClock, SYSTEM_CLOCK } from '../../engine/core/clock.ts';
import { createRig, NOW_NS } from '../../engine/ingest/ingest-harness.ts';
import type { KafkaSourceOptions } from '../../engine/ingest/kafka.ts';
import { createDirectLane, createLaneSource } from '../../engine/ingest/kafka-lane.ts';
import { createKafkaReader, type KafkaReader, READ_AHEAD_MESSAGES, READ_BATCH } from '../../engine/ingest/kafka-reader.ts';
import { encodePacked, PACKED_ENCODING } from '../../engine/ingest/packed.ts';
import type { Rejected, Source } from '../../engine/ingest/source.ts';
import { createTickProducer, type OutgoingTick, type TickProducer } from '../../engine/ingest/tick-producer.ts';
import { requireRdkafka } from '../../engine/sinks/kafka/client.ts';
import { type DeadLetter, deadLetterOf } from '../../engine/sinks/kafka/dlq.ts';
import { createMemoryPort } from '../contract/memory-port.ts';
import { describeSource, type SourceFixture } from '../contract/source-suite.ts';
import { type Broker, createTopic, NO_BROKER, openEmbedded, openReal, REAL_BROKER, uniquePrefix, until } from './kafka-harness.ts';

const TICKS = 60;

/** Trades of 12 symbols, one a millisecond. */
function ticksFrom(firstNs: bigint, count: number): OutgoingTick[] {
  return Array.from({ length: count }, (_, index) => ({
    symbol: `S${index % 12}`,
    tsEventNs: firstNs + BigInt(index) * 1_000_000n,
    price: 100 + index / 4,
    quantityLots: BigInt(index % 7),
  }));
}

/** A source with the reader it reads by. */
interface KafkaSource extends Source {
  readonly reader: KafkaReader;
  /** Another source of the same reader. */
  another(options: Partial<KafkaSourceOptions>): Source;
  close(): Promise<void>;
}

type LaneName = 'librdkafka' | 'direct';

/** What one reader and its sources share, on the lane in question. */
async function openReader(broker: Broker, { topic, group }: { topic: string; group: string }, lane: LaneName): Promise<LaneReader> {
  const { library, brokers } = broker;
  const direct = lane === 'direct' ? createDirectLane({ brokers, topic, clock: SYSTEM_CLOCK }) : undefined;
  const fetcher = direct ? { fetcher: direct.fetcher } : {};
  const reader = createKafkaReader({ library, brokers, topic, group, engineId: '', sessionMs: 10_000, clock: SYSTEM_CLOCK, ...fetcher });
  return {
    reader,
    source: (options) => createLaneSource({ reader, clock: SYSTEM_CLOCK, onRejected: () => undefined, ...options }, direct),
  };
}

interface LaneReader {
  readonly reader: KafkaReader;
  source(options: Partial<KafkaSourceOptions>): Source;
}

async function openSource(
  broker: Broker,
  names: { topic: string; group: string },
  lane: LaneName,
  onRejected?: (rejected: Rejected) => void,
): Promise<KafkaSource> {
  const { reader, source: create } = await openReader(broker, names, lane);
  const source = create(onRejected ? { onRejected } : {});
  return Object.assign(Object.create(source) as Source, { reader, another: create, close: () => reader.close() });
}

interface Setup {
  readonly topic: string;
  readonly group: string;
  readonly producer: TickProducer;
  source(onRejected?: (rejected: Rejected) => void): Promise<KafkaSource>;
}

async function setUp(broker: Broker, name: string, lane: LaneName = 'librdkafka'): Promise<Setup> {
  const topic = `${uniquePrefix(name)}ticks`;
  await createTopic(broker, topic, 4);
  const group = uniquePrefix('group');
  return {
    topic,
    group,
    producer: await createTickProducer(broker.library, broker.brokers, topic),
    source: (onRejected) => openSource(broker, { topic, group }, lane, onRejected),
  };
}

/** The source after one poll. */
function polled(source: KafkaSource, budget = 100): KafkaSource {
  source.poll(budget);
  return source;
}

/** The suite of every source, over JSON ticks with two messages that are not ticks. */
function describeOn(title: string, open: () => Promise<Broker>, lane: LaneName): void {
  let broker: Broker;
  let shared: Setup;
  beforeAll(async () => {
    broker = await open();
    shared = await setUp(broker, 'suite');
    for (const tick of ticksFrom(1_700_000_000_000_000_000n, TICKS)) shared.producer.sendJson(tick);
    shared.producer.sendRaw(0, Buffer.from('{"symbol":"S0"'));
    shared.producer.sendRaw(3, Buffer.from('[]'));
    await shared.producer.flush(10_000);
  });
  afterAll(async () => {
    await shared?.producer.close();
    await broker?.close();
  });

  describeSource(title, async (): Promise<SourceFixture> => {
    const source = await openSource(broker, { topic: shared.topic, group: uniquePrefix('group') }, lane);
    return {
      source,
      malformedCount: 2,
      isDone: () => source.offered === TICKS + 2 && source.partitions.every((partition) => source.isCaughtUp(partition)),
      async passTime() {
        await sleep(1);
      },
      close: () => source.close(),
    };
  });
}

describe('on the embedded cluster', () => describeOn('kafka, embedded cluster', openEmbedded, 'librdkafka'));
describe.skipIf(!REAL_BROKER)(`on a real broker${REAL_BROKER ? '' : ` (${NO_BROKER})`}`, () => {
  describeOn('kafka, real broker', openReal, 'librdkafka');
  describeOn('kafka, real broker, direct lane', openReal, 'direct');
});

/** What holds on both lanes. */
function describeReading(title: string, openBroker: () => Promise<Broker>, lane: LaneName): void {
  describe(title, () => {
    let broker: Broker;
    beforeAll(async () => {
      broker = await openBroker();
    });
    afterAll(() => broker.close());

    it('reads packed and JSON messages of one topic alike, and sends each refused one to dlq with its coordinates', async () => {
      const { topic, producer, source: open } = await setUp(broker, 'packed', lane);
      const collected: DeadLetter[] = [];
      const source = await open((rejected) => collected.push(deadLetterOf(rejected, SYSTEM_CLOCK.wallMs())));
      const trades = ticksFrom(NOW_NS - 1_000_000_000n, 600);
      producer.sendPacked({ priceDecimals: 2, lotDecimals: 0, ticks: trades.slice(0, 400) });
      for (const tick of trades.slice(400)) producer.sendJson(tick);
      const home = producer.partitionOf('S1');
      const bad = { symbolRef: 0, tsEventNs: NOW_NS, price: -1, quantityLots: 1n, ask: 0 };
      const one = [{ symbol: 'S1', kind: 'trade', priceDecimals: 2, lotDecimals: 0 }] as const;
      const mixed = encodePacked(one, [{ ...bad, price: 5 }, bad, { ...bad, price: 6 }]);
      producer.sendRaw(home, mixed, PACKED_ENCODING);
      producer.sendRaw(home, mixed.subarray(0, 40), PACKED_ENCODING);
      producer.sendRaw(home, Buffer.from('{"symbol":"S1","event_ts":1.5e400,"ltp":1,"vol":1}'));
      await producer.flush(10_000);

      const rig = createRig();
      await source.start(rig.ingest, undefined);
      await until('everything is offered', () => {
        source.poll(4096);
        rig.drain();
        return source.offered === 605;
      });
      const counts = rig.ingest.counts();
      expect(source.offered).toBe(counts.offered);
      expect([...counts.refused].filter(([, count]) => count > 0)).toEqual([
        ['priceNotPositive', 1],
        ['malformed', 2],
      ]);
      expect(counts.acceptedTrades).toBe(602);
      const expectedLots = trades.reduce((sum, tick) => sum + tick.quantityLots, 0n) + 2n;
      expect(counts.acceptedLots).toBe(expectedLots);
      await until('caught up', () => {
        source.poll(1);
        return source.partitions.every((partition) => source.isCaughtUp(partition));
      });

      const letters = collected.map(({ json }) => JSON.parse(json)).sort((left, right) => Number(left.offset) - Number(right.offset));
      expect(letters).toMatchObject([
        { topic, partition: home, record_index: 1, reason: 'priceNotPositive' },
        {
          topic,
          partition: home,
          record_index: -1,
          reason: 'malformed',
          raw_base64: Buffer.from(mixed.subarray(0, 40)).toString('base64'),
        },
        { topic, partition: home, record_index: -1, reason: 'malformed' },
      ]);
      expect(Buffer.from(letters[0].raw_base64, 'base64').readDoubleLE(16)).toBe(-1);
      const end = source.position().offsets.get(home);
      expect(letters.map((letter) => BigInt(letter.offset))).toEqual([end! - 3n, end! - 2n, end! - 1n]);
      expect(new Set(collected.map(({ key }) => key))).toEqual(new Set(letters.map(({ offset }) => `${topic}:${home}:${offset}`)));
      await source.stop();
      await Promise.all([source.close(), producer.close()]);
    });

    it('goes on from the offsets of its group when it is given none', async () => {
      const { producer, source: open } = await setUp(broker, 'group', lane);
      for (const tick of ticksFrom(1n, 48)) producer.sendJson(tick);
      await producer.flush(10_000);
      const first = await open();
      const before = createMemoryPort();
      await first.start(before, undefined);
      await until('half is read', () => polled(first, 24 - first.offered).offered === 24);
      await first.stop();
      first.committed(first.position());
      await first.close();

      const second = await open();
      const after = createMemoryPort();
      await second.start(after, undefined);
      await until('the rest is read', () => second.partitions.every((partition) => polled(second).isCaughtUp(partition)));
      const timesOf = (port: typeof before): bigint[] => port.ticks.map((tick) => tick.tsEventNs);
      expect([...timesOf(before), ...timesOf(after)].sort()).toEqual(
        ticksFrom(1n, 48)
          .map((tick) => tick.tsEventNs)
          .sort(),
      );
      await second.stop();
      await Promise.all([second.close(), producer.close()]);
    });

    it('refuses to begin at an offset that the topic does not hold', async () => {
      const { topic, producer, source: open } = await setUp(broker, 'gone', lane);
      const offsets = new Map([[0, 7n]]);
      await expect((await open()).start(createMemoryPort(), { offsets })).rejects.toMatchObject({
        code: 'KAFKA_OFFSET_GONE',
        message: `topic ${topic} partition 0: offset 7, expected 0 to 0: the topic is not the one that was read before`,
      });
      await producer.close();
    });

    it('keeps what it reads until it is stored when another member comes, and then goes on with its share', async () => {
      const { producer, source: open } = await setUp(broker, 'revoked', lane);
      for (const tick of ticksFrom(1n, 48)) producer.sendJson(tick);
      await producer.flush(10_000);
      const first = await open();
      const before = createMemoryPort();
      await first.start(before, undefined);
      await until('it is read', () => polled(first).offered === 48);
      const second = await open();
      await second.reader.join();
      await until('the group wants the partitions back', () => {
        second.reader.pump();
        return polled(first).isRevoked === true;
      });
      expect(second.reader.assigned).toBeUndefined();
      expect(first.partitions.some((partition) => first.isCaughtUp(partition))).toBe(false);
      const stored = first.position();
      await first.stop();
      first.reader.end();
      // Where one of them is slow to join, the other has all of them for a while, and answers it as a session without success would. The
      // embedded cluster waits 9 s for its members at each turn.
      const shares: (readonly number[])[] = [];
      const isSharedOut = (): boolean => {
        const members = [first.reader, second.reader];
        for (const reader of members) {
          reader.pump();
          if (reader.assigned?.length === 4) reader.end();
        }
        shares.splice(0, 2, ...members.map(({ assigned }) => assigned ?? []));
        return shares.every((share) => share.length > 0) && shares.flat().sort().join() === '0,1,2,3';
      };
      await until('the partitions are shared out', isSharedOut);

      const again = first.another({ partitions: shares[0]! });
      const after = createMemoryPort();
      await again.start(after, stored);
      for (const tick of ticksFrom(1_000_000_000n, 48)) producer.sendJson(tick);
      await producer.flush(10_000);
      const isOwn = (symbol: string): boolean => shares[0]!.includes(producer.partitionOf(symbol));
      const expected = ticksFrom(1_000_000_000n, 48).filter(({ symbol }) => isOwn(symbol));
      await until('the new ticks of its own partitions are read', () => {
        again.poll(100);
        return again.offered === expected.length;
      });
      expect(after.ticks.every(({ tsEventNs, symbol }) => tsEventNs >= 1_000_000_000n && isOwn(symbol))).toBe(true);
      await again.stop();
      await Promise.all([first.close(), second.close(), producer.close()]);
    });
  });
}

describeReading('kafka source, embedded cluster', openEmbedded, 'librdkafka');
describe.skipIf(!REAL_BROKER)(`kafka source on a real broker${REAL_BROKER ? '' : ` (${NO_BROKER})`}`, () => {
  describeReading('kafka source, real broker', openReal, 'librdkafka');
  describeReading('kafka source, real broker, direct lane', openReal, 'direct');
});

describe('kafka source', () => {
  let broker: Broker;
  beforeAll(async () => {
    broker = await openEmbedded();
  });
  afterAll(() => broker.close());

  it('reads ahead to a limit, pauses while it stays full, and then goes on without a hole or a repeat', async () => {
    const count = 3 * READ_AHEAD_MESSAGES;
    const { topic, group, producer } = await setUp(broker, 'ahead');
    for (const tick of ticksFrom(1n, count)) producer.sendJson(tick);
    await producer.flush(20_000);
    const clock = createManualClock(0);
    const reader = createKafkaReader({ ...broker, topic, group, engineId: '', sessionMs: 10_000, clock });
    await reader.join();
    await reader.assignment();
    await reader.begin(new Map());
    await until('the queue is full', () => {
      reader.pump();
      return reader.queue.count >= READ_AHEAD_MESSAGES;
    });
    clock.advanceMs(2000);
    for (let turn = 0; turn < 100; turn += 1) {
      reader.pump();
      await sleep(1);
    }
    // One batch may have been under way when the limit was met, and one message when it was paused.
    expect(reader.queue.count).toBeLessThan(READ_AHEAD_MESSAGES + 2 * READ_BATCH);
    const nextOffsets = new Map<number, number>();
    let taken = 0;
    await until('everything is read', () => {
      reader.pump();
      for (let message = reader.queue.at(0); message; message = reader.queue.at(0)) {
        expect(message.offset).toBe(nextOffsets.get(message.partition) ?? 0);
        nextOffsets.set(message.partition, message.offset + 1);
        reader.queue.drop(1);
        taken += 1;
      }
      return taken === count;
    });
    reader.end();
    await Promise.all([reader.close(), producer.close()]);
  });

  it('says that the topic is missing where topics are not made by themselves', async (context) => {
    if (!REAL_BROKER) return context.skip(NO_BROKER);
    const topic = `${uniquePrefix('missing')}ticks`;
    const { library, brokers } = { library: await requireRdkafka(), brokers: REAL_BROKER };
    const source = await openSource({ library, brokers, close: async () => undefined } as Broker, { topic, group: topic }, 'librdkafka');
    await expect(source.start(createMemoryPort(), undefined)).rejects.toMatchObject({ code: 'KAFKA_TOPIC_MISSING' });
  });

  it('loses nothing to a read that was under way when reading ended and began again', async () => {
    const { topic, group, producer } = await setUp(broker, 'again');
    for (const tick of ticksFrom(1_700_000_000_000_000_000n, TICKS)) producer.sendJson(tick);
    await producer.flush(10_000);
    const { reader, close } = await openSource(broker, { topic, group }, 'librdkafka');
    await reader.join();
    const assigned = await reader.assignment();
    const start = new Map(assigned.map((partition) => [partition, 0n]));
    for (let round = 0; round < 10; round += 1) {
      await reader.begin(start);
      await until('everything is read', () => {
        reader.pump();
        return reader.queue.count >= TICKS || assigned.every((partition) => reader.isAtEnd(partition, TICKS));
      });
      const found: string[] = [];
      for (let message = reader.queue.at(0); message !== undefined; message = reader.queue.at(found.length)) {
        found.push(`${message.partition}@${message.offset}`);
      }
      expect(new Set(found).size).toBe(TICKS);
      reader.end();
    }
    await close();
    await producer.close();
  });
});
