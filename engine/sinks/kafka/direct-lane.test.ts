/** The publisher on the direct lane, against brokers in the process that store by Kafka's rules and fail as they are told. */
import fc from 'fast-check';
import { afterEach, describe, expect, it } from 'vitest';
import * as L from '../../../schemas/layout.gen.ts';
import { OUT_KIND } from '../../../schemas/records.ts';
import { SYSTEM_CLOCK, SYSTEM_PAUSE } from '../../core/clock.ts';
import { createCluster } from '../../kafka-direct/cluster.ts';
import { PRODUCE_APIS } from '../../kafka-direct/produce-requests.ts';
import { SCRIPTED_PARTITIONS, type ScriptedCluster, startScriptedCluster, type WireFate } from '../../kafka-direct/scripted-cluster.ts';
import { allocateSymbols, openSymbols } from '../../market/instruments.ts';
import { murmur2Part } from '../../market/murmur2.ts';
import { parseTimeframes } from '../../market/timeframes.ts';
import { allocateRing, createRing, type Ring } from '../../memory/ring.ts';
import { createDirectLane } from './direct-lane.ts';
import { type BarPublisher, createBarPublisher } from './publisher.ts';
import { createScriptedBroker } from './scripted-broker.ts';

const SEED = Number(process.env['SEED'] ?? Math.floor(Math.random() * 2 ** 31));
const SYMBOLS = 5;
const TIMEFRAMES = parseTimeframes('1s');
const LANES = [0, 3];
const closing: (() => Promise<void>)[] = [];

interface Rig {
  readonly publisher: BarPublisher;
  readonly ring: Ring;
  putSecond(second: number): void;
}

function createRig(cluster: ScriptedCluster, isOwner: () => Promise<boolean> = async () => true): Rig {
  const committedRing = allocateRing(64, L.BAR_SIZE);
  const ring = createRing(committedRing, 0);
  const symbols = openSymbols(allocateSymbols(SYMBOLS));
  const entry = { partition: 0, shard: 0, priceDecimals: 2, lotDecimals: 0, isQuote: false };
  for (let index = 0; index < SYMBOLS; index += 1) symbols.write(index, { ...entry, name: `S${index}`, localIndex: index });
  const { brokers } = cluster;
  const publisher = createBarPublisher({
    ...{ brokers, prefix: '', committedRing, symbols, timeframes: TIMEFRAMES, isLive: false, lingerMs: 0, retryFirstMs: 1 },
    library: createScriptedBroker([]).library,
    clock: SYSTEM_CLOCK,
    lane: createDirectLane({ brokers, prefix: '', symbols, timeframes: TIMEFRAMES, clock: SYSTEM_CLOCK }),
    transactions: { transactionalId: 'engine.1', markerGroup: 'markers', markerTopic: 'ticks', lanes: LANES, isOwner },
  });
  const record = new Int32Array(L.BAR_SIZE >> 2);
  record[L.BAR_KIND_I32] = OUT_KIND.barFinal;
  closing.push(() => publisher.close());
  return {
    publisher,
    ring,
    putSecond(second) {
      for (let symbol = 0; symbol < SYMBOLS; symbol += 1) {
        record[L.BAR_SYMBOL_INDEX_I32] = symbol;
        new BigInt64Array(record.buffer)[L.BAR_TS_START_NS_I64] = BigInt(second) * 1_000_000_000n;
        ring.publish(record, 0, 1);
      }
    },
  };
}

async function open(script: readonly WireFate[], batchBytesMax = 1_000_000): Promise<ScriptedCluster> {
  const cluster = await startScriptedCluster(script, { batchBytesMax });
  closing.push(() => cluster.close());
  return cluster;
}

/** Connects, as often as the script makes it fail. */
async function connect(publisher: BarPublisher): Promise<void> {
  for (let attempt = 0; ; attempt += 1) {
    try {
      await publisher.connect();
      return;
    } catch (error) {
      if (attempt === 100) throw error;
    }
  }
}

function assertEachOnce({ store }: ScriptedCluster, seconds: number): void {
  const everySecond = Array.from({ length: seconds }, (_, index) => index + 1);
  const log = store.committed('bars.1s', SCRIPTED_PARTITIONS);
  for (let symbol = 0; symbol < SYMBOLS; symbol += 1) {
    const home = log[murmur2Part(Buffer.from(`S${symbol}`), SCRIPTED_PARTITIONS)]!;
    expect(home.filter(({ key }) => key === `S${symbol}`).map(({ value }) => JSON.parse(value).ts)).toEqual(everySecond);
  }
  expect(log.flat().length).toBe(seconds * SYMBOLS);
}

const fates = fc.array(
  fc.oneof(
    { weight: 10, arbitrary: fc.constant<WireFate>('done') },
    { weight: 4, arbitrary: fc.constantFrom<WireFate>('passing', 'moved', 'throttled') },
    { weight: 3, arbitrary: fc.constantFrom<WireFate>('lost', 'cut', 'fenced') },
  ),
  { minLength: 8, maxLength: 60 },
);

describe('the direct lane', () => {
  afterEach(async () => {
    for (const close of closing.splice(0)) await close();
  });

  it('commits every bar and letter once, in order by symbol, whatever fails on the way', { timeout: 120_000 }, async () => {
    const shapes = fc.array(fc.integer({ min: 0, max: 12 }), { minLength: 1, maxLength: 4 });
    const limits = fc.constantFrom(700, 2000, 1_000_000);
    await fc.assert(
      fc.asyncProperty(fates, shapes, limits, async (script, secondsByEpoch, batchBytesMax) => {
        const cluster = await open(script, batchBytesMax);
        const { publisher, ring, putSecond } = createRig(cluster);
        await connect(publisher);
        let second = 0;
        for (const [index, seconds] of secondsByEpoch.entries()) {
          for (let count = 0; count < seconds; count += 1) {
            while (ring.free() < SYMBOLS) await publisher.drain(1);
            second += 1;
            putSecond(second);
          }
          const letters = [{ key: `k${index}`, json: `{"letter":${index}}` }];
          publisher.epochCommitted({ databaseEpoch: 10 + index, bars: seconds * SYMBOLS, letters });
        }
        expect(await publisher.drain(30_000)).toBe(0);
        expect(publisher.failure()).toBeUndefined();
        assertEachOnce(cluster, second);
        const letters = cluster.store.committed('dlq', SCRIPTED_PARTITIONS).flat();
        expect(letters.map(({ key }) => key).sort()).toEqual(secondsByEpoch.map((_, index) => `k${index}`));
        expect(cluster.store.offsets()).toEqual(new Map(LANES.map((lane) => [lane, 9 + secondsByEpoch.length])));
        for (const close of closing.splice(0)) await close();
      }),
      { seed: SEED, numRuns: 40 },
    );
  });

  /** Publishes one second under a script whose first requests are InitProducerId, AddPartitionsToTxn and so on. */
  const publishOne = async (script: readonly WireFate[], isOwner?: () => Promise<boolean>) => {
    const cluster = await open(script);
    const { publisher, putSecond } = createRig(cluster, isOwner);
    await publisher.connect();
    putSecond(1);
    publisher.epochCommitted({ databaseEpoch: 1, bars: SYMBOLS, letters: [] });
    await publisher.drain(10_000);
    return { cluster, publisher };
  };

  it('never asks twice to end a transaction when the answer was lost, and learns from the marker that it ended', async () => {
    // Init; then partitions and the group are added at once; batches of two leaders; offsets.
    for (let before = 1; before < 8; before += 1) {
      const { cluster, publisher } = await publishOne([...Array.from({ length: before }, (): WireFate => 'done'), 'lost']);
      assertEachOnce(cluster, 1);
      expect(cluster.count('EndTxn')).toBe(1);
      expect(publisher.failure()).toBeUndefined();
    }
  });

  it("is told FENCED when the lanes are somebody else's by then, and nothing of it is seen", async () => {
    let isOwner = true;
    const { cluster, publisher } = await publishOne(['done', 'fenced'], async () => {
      const wasOwner = isOwner;
      isOwner = false;
      return wasOwner;
    });
    expect(publisher.failure()).toMatchObject({ code: 'FENCED' });
    expect(cluster.store.committed('bars.1s', SCRIPTED_PARTITIONS).flat()).toEqual([]);
  });

  it('refuses a bar that its topic would never take, and says what to raise', async () => {
    const cluster = await open([], 200);
    const { publisher, putSecond } = createRig(cluster);
    await publisher.connect();
    putSecond(1);
    publisher.epochCommitted({ databaseEpoch: 1, bars: SYMBOLS, letters: [] });
    await publisher.drain(10_000);
    expect(publisher.failure()).toMatchObject({ code: 'KAFKA_MESSAGE', message: /the topic takes 200; raise its max.message.bytes/ });
  });

  it('refuses a letter that its topic would never take', async () => {
    const cluster = await open([], 400);
    const { publisher } = createRig(cluster);
    await publisher.connect();
    publisher.epochCommitted({ databaseEpoch: 1, bars: 0, letters: [{ key: 'k', json: 'x'.repeat(500) }] });
    await publisher.drain(10_000);
    expect(publisher.failure()).toMatchObject({ code: 'KAFKA_MESSAGE', message: /message of 500 bytes to dlq: .* the topic takes 400/ });
  });

  it('says that a topic of letters is missing, and publishes once it is there', async () => {
    const cluster = await open([]);
    cluster.missing.add('dlq');
    const { publisher, putSecond } = createRig(cluster);
    await publisher.connect();
    putSecond(1);
    publisher.epochCommitted({ databaseEpoch: 1, bars: SYMBOLS, letters: [{ key: 'k', json: '{}' }] });
    while (publisher.counters().failed.size === 0) await publisher.drain(20);
    expect([...publisher.counters().failed.keys()]).toEqual([expect.stringMatching(/topics dlq: .* unknownTopicOrPartition/)]);
    expect(cluster.store.committed('bars.1s', SCRIPTED_PARTITIONS).flat()).toEqual([]);
    cluster.missing.delete('dlq');
    expect(await publisher.drain(10_000)).toBe(0);
    assertEachOnce(cluster, 1);
    expect(cluster.store.committed('dlq', SCRIPTED_PARTITIONS).flat()).toEqual([{ key: 'k', value: '{}' }]);
  });

  it('cannot be reached where nobody listens, and says so as one that may be tried again', async () => {
    const { brokers, close } = await open([]);
    await close();
    const cluster = createCluster({ clientId: 'test', brokers, apis: PRODUCE_APIS, clock: SYSTEM_CLOCK, pause: SYSTEM_PAUSE });
    await expect(cluster.lookUp(['bars.1s'], 100)).rejects.toMatchObject({ code: 'KAFKA_UNREACHABLE', retryable: true });
    await cluster.close();
    await expect(cluster.lookUp(['bars.1s'], 100)).rejects.toMatchObject({ code: 'KAFKA_CLOSED' });
  });
});
