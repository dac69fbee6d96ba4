import { expect, it } from 'vitest';
import { SYSTEM_CLOCK } from '../../engine/core/clock.ts';
import { createDirectLane, createLaneSource } from '../../engine/ingest/kafka-lane.ts';
import { createKafkaReader } from '../../engine/ingest/kafka-reader.ts';
import { createTickProducer } from '../../engine/ingest/tick-producer.ts';
import { parseTimeframes } from '../../engine/market/timeframes.ts';
import { createBarPublisher } from '../../engine/sinks/kafka/publisher.ts';
import { ensureTopics } from '../../engine/sinks/kafka/topics.ts';
import { startBroker, stopBroker } from '../../infra/kafka/broker.ts';
import { createMemoryPort } from '../contract/memory-port.ts';
import { createAnnouncer, createCommittedBars, laneOf, readCommitted, transactionsUnder, until } from './kafka-harness.ts';
import { closeLocal, openLocal, whyNoLocal } from './kafka-local-broker.ts';

const SYMBOLS = 20;
const START_SEC = 1_700_000_000;
/** Longer than a broker takes to come back on a busy machine: no engine is here that would answer a group which took the partitions back. */
const SESSION_MS = 180_000;

it.for(['librdkafka', 'direct'] as const)(
  'a source on lane %s is not caught up while its broker is away, and goes on when it is back',
  async (name, context) => {
    const reason = whyNoLocal();
    if (reason !== undefined) return context.skip(reason);
    const { library, local, broker } = await openLocal();
    try {
      const topic = 'ticks';
      await ensureTopics(library, broker.brokers, [
        { topic, partitions: 2, replicationFactor: 1, retentionMs: 3_600_000, segmentBytes: 1_048_576 },
      ]);
      const producer = await createTickProducer(library, broker.brokers, topic);
      const lane = name === 'direct' ? createDirectLane({ brokers: broker.brokers, topic, clock: SYSTEM_CLOCK }) : undefined;
      const fetcher = lane ? { fetcher: lane.fetcher } : {};
      const reader = createKafkaReader({
        ...broker,
        ...fetcher,
        topic,
        group: 'outage',
        engineId: '',
        sessionMs: SESSION_MS,
        clock: SYSTEM_CLOCK,
      });
      const source = createLaneSource({ reader, clock: SYSTEM_CLOCK, onRejected: () => undefined }, lane);
      const port = createMemoryPort();
      await source.start(port, undefined);
      const isCaughtUp = (): boolean => {
        source.poll(100);
        return source.partitions.length > 0 && source.partitions.every((partition) => source.isCaughtUp(partition));
      };
      producer.sendJson({ symbol: 'A', tsEventNs: 1n, price: 1, quantityLots: 1n });
      await until('the first tick is read', () => isCaughtUp() && source.offered === 1);

      await stopBroker(local);
      await until('the source is not caught up', () => !isCaughtUp());
      expect(reader.health.isUp).toBe(false);
      expect(source.failure()).toBeUndefined();

      await startBroker(local);
      await until('the source is caught up again, with nothing new', isCaughtUp);
      expect(reader.health).toEqual({ isUp: true, detail: 'reading 2 partitions' });
      producer.sendJson({ symbol: 'A', tsEventNs: 2n, price: 1, quantityLots: 1n });
      await until('the second tick is read', () => isCaughtUp() && source.offered === 2);
      expect(port.ticks.map((tick) => tick.tsEventNs)).toEqual([1n, 2n]);
      await source.stop();
      await Promise.all([reader.close(), producer.close()]);
    } finally {
      await closeLocal(local);
    }
  },
);

const PUBLISHED = 'a broker that goes away and comes back gets every bar, in order, and the writer is held back meanwhile, lane %s';
it.for(['librdkafka', 'direct'] as const)(PUBLISHED, async (lane, context) => {
  const reason = whyNoLocal();
  if (reason !== undefined) return context.skip(reason);
  const { library, local, broker } = await openLocal();
  try {
    expect(await startBroker(local)).toBe(false);
    const plan = { partitions: 6, replicationFactor: 1, retentionMs: 3_600_000, segmentBytes: 1_048_576 };
    await ensureTopics(
      library,
      broker.brokers,
      ['bars.1s', 'ticks'].map((topic) => ({ ...plan, topic })),
    );
    const bars = createCommittedBars(1024, SYMBOLS);
    const { buffer: committedRing, symbols } = bars;
    const timeframes = parseTimeframes('1s');
    const publisher = createBarPublisher({
      ...broker,
      prefix: '',
      committedRing,
      symbols,
      timeframes,
      clock: SYSTEM_CLOCK,
      isLive: false,
      lingerMs: 5,
      transactions: transactionsUnder('', 1),
      lane: laneOf(lane, broker, { prefix: '', symbols, timeframes }),
    });
    await publisher.connect();
    const announcer = createAnnouncer(publisher);
    let second = 0;
    /** One more second of bars, if the ring has room for it. */
    const commitSecond = (): boolean => {
      publisher.poll();
      if (bars.ring.free() < SYMBOLS) return false;
      for (let symbolIndex = 0; symbolIndex < SYMBOLS; symbolIndex += 1)
        bars.put({ symbolIndex, timeframeIndex: 0, tsStartSec: START_SEC + second });
      announcer.bars(SYMBOLS);
      announcer.announce();
      second += 1;
      return true;
    };
    await until('the first bars', () => commitSecond() && second >= 100);

    await stopBroker(local);
    await until('the ring is full', () => !commitSecond());
    await until('health is red', () => publisher.poll() >= 0 && !publisher.health().isUp);
    expect(publisher.health().detail).toMatch(/bars in flight|broker|timed out|no answer yet|coordinator/i);
    expect(publisher.outstanding()).toBeGreaterThan(1024 - SYMBOLS);

    await startBroker(local);
    const target = second + 100;
    await until('publication goes on', () => commitSecond() && second >= target);
    expect(await publisher.drain(30_000)).toBe(0);
    expect(publisher.health()).toMatchObject({ isUp: true, detail: 'publishing' });
    expect(publisher.totals().acked).toBe(second * SYMBOLS);
    await publisher.close();

    const latest = new Map<string, number>();
    const messages = await readCommitted(broker, 'bars.1s');
    expect(messages.length).toBe(second * SYMBOLS);
    for (const message of messages.sort((left, right) => left.partition - right.partition || left.offset - right.offset)) {
      const { symbol, ts } = JSON.parse(String(message.value));
      expect(ts - (latest.get(symbol) ?? START_SEC - 1)).toBe(1);
      latest.set(symbol, ts);
    }
    expect([...latest.values()]).toEqual(Array.from({ length: SYMBOLS }, () => START_SEC + second - 1));
  } finally {
    await closeLocal(local);
  }
});
