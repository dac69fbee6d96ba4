import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, describe } from 'vitest';
import { SYSTEM_CLOCK } from '../../engine/core/clock.ts';
import { parseTimeframes } from '../../engine/market/timeframes.ts';
import { createBarPublisher } from '../../engine/sinks/kafka/publisher.ts';
import { ensureTopics, touchTopics } from '../../engine/sinks/kafka/topics.ts';
import { startBroker, stopBroker } from '../../infra/kafka/broker.ts';
import { describeSink, type SinkFixture } from '../contract/sink-suite.ts';
import {
  type Broker,
  createAnnouncer,
  createCommittedBars,
  type LaneName,
  laneOf,
  openEmbedded,
  readCommitted,
  transactionsUnder,
  uniquePrefix,
} from './kafka-harness.ts';
import { closeLocal, type Local, openLocal, whyNoLocal } from './kafka-local-broker.ts';

const START_SEC = 1_700_000_000;
const SYMBOLS = 20;
const DRAIN_MS = 60_000;

interface SinkPlace {
  readonly line: SinkFixture['line'];
  readonly isEmbedded: boolean;
  readonly lane: LaneName;
}

async function openSink(broker: Broker, { line, isEmbedded, lane }: SinkPlace): Promise<SinkFixture> {
  const prefix = uniquePrefix('sink');
  const topic = `${prefix}bars.1s`;
  const plan = { partitions: 6, replicationFactor: 1, retentionMs: 3_600_000, segmentBytes: 1_048_576 };
  const plans = [topic, `${prefix}ticks`].map((name) => ({ ...plan, topic: name }));
  if (isEmbedded) await touchTopics(broker.library, broker.brokers, plans);
  else await ensureTopics(broker.library, broker.brokers, plans);
  const bars = createCommittedBars(1024, SYMBOLS);
  const timeframes = parseTimeframes('1s');
  const publisher = createBarPublisher({
    ...broker,
    prefix,
    committedRing: bars.buffer,
    symbols: bars.symbols,
    timeframes,
    clock: SYSTEM_CLOCK,
    isLive: false,
    lingerMs: 5,
    transactions: transactionsUnder(prefix, 1),
    lane: laneOf(lane, broker, { prefix, symbols: bars.symbols, timeframes }),
  });
  await publisher.connect();
  const announcer = createAnnouncer(publisher);
  return {
    symbolCount: SYMBOLS,
    room: () => bars.ring.free(),
    put(list) {
      for (const { symbolIndex, startSec } of list) bars.put({ symbolIndex, timeframeIndex: 0, tsStartSec: START_SEC + startSec });
      announcer.bars(list.length);
      announcer.announce();
    },
    async passTime() {
      if (publisher.poll() === 0) await sleep(1);
    },
    async close() {
      const left = await publisher.drain(DRAIN_MS);
      if (left > 0) throw new Error(`${left} bars not acknowledged in ${DRAIN_MS} ms: ${publisher.health().detail}`);
    },
    async arrived() {
      const messages = await readCommitted(broker, topic);
      return messages
        .sort((left, right) => left.partition - right.partition || left.offset - right.offset)
        .map((message) => {
          const { symbol, ts } = JSON.parse(String(message.value));
          return { symbolIndex: Number(String(symbol).slice(1)), startSec: ts - START_SEC };
        });
    },
    line,
    dispose: () => publisher.close(),
  };
}

describe('on the embedded cluster', () => {
  let broker: Broker;
  beforeAll(async () => {
    broker = await openEmbedded();
  });
  afterAll(() => broker.close());
  describeSink('kafka, embedded cluster', () => openSink(broker, { line: undefined, isEmbedded: true, lane: 'librdkafka' }), {
    canBeCut: false,
  });
});

const reason = whyNoLocal();
describe.skipIf(reason !== undefined)(`on a broker that stops${reason === undefined ? '' : ` (${reason})`}`, () => {
  let local: Local;
  beforeAll(async () => {
    local = await openLocal();
  });
  afterAll(() => closeLocal(local.local));
  const line = {
    async cut() {
      await stopBroker(local.local);
    },
    async mend() {
      await startBroker(local.local);
    },
  };
  for (const lane of ['librdkafka', 'direct'] as const) {
    describeSink(`kafka, a broker that stops, lane ${lane}`, () => openSink(local.broker, { line, isEmbedded: false, lane }), {
      canBeCut: true,
    });
  }
});
