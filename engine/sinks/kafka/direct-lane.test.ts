/** The publisher on the direct lane, against brokers in the process that store by Kafka's rules and fail as they are told. */
import fc from 'fast-check';
import { afterEach, describe, expect, it } from 'vitest';
import { SYSTEM_CLOCK, SYSTEM_PAUSE } from '../../core/clock.ts';
import { createCluster } from '../../kafka-direct/cluster.ts';
import { PRODUCE_APIS } from '../../kafka-direct/produce-requests.ts';
import { SCRIPTED_PARTITIONS, type ScriptedCluster, startScriptedCluster, type WireFate } from '../../kafka-direct/scripted-cluster.ts';
import { createDirectLane, QUEUE_BYTES_MAX } from './direct-lane.ts';
import {
  assertEachOnce,
  connectAtLast,
  createPublisherRig,
  type PublisherRig,
  publishEpochs,
  RIG_FIRST_EPOCH,
  RIG_SYMBOLS,
  RIG_TIMEFRAMES,
  RIG_TRANSACTIONS,
} from './publisher-rig.ts';
import { createScriptedBroker } from './scripted-broker.ts';

const SEED = Number(process.env['SEED'] ?? Math.floor(Math.random() * 2 ** 31));
/** No bar's payload and key are shorter. */
const BAR_BYTES_MIN = 150;
const closing: (() => Promise<void>)[] = [];

function createRig({ brokers }: ScriptedCluster, isOwner?: () => Promise<boolean>, capacity = 64): PublisherRig {
  const rig = createPublisherRig({
    library: createScriptedBroker([]).library,
    capacity,
    laneOf: (symbols) => createDirectLane({ brokers, prefix: '', symbols, timeframes: RIG_TIMEFRAMES, clock: SYSTEM_CLOCK }),
    ...(isOwner ? { isOwner } : {}),
  });
  closing.push(() => rig.publisher.close());
  return rig;
}

async function open(script: readonly WireFate[], batchBytesMax = 1_000_000): Promise<ScriptedCluster> {
  const cluster = await startScriptedCluster(script, { batchBytesMax });
  closing.push(() => cluster.close());
  return cluster;
}

const barsOf = ({ store }: ScriptedCluster) => store.committed('bars.1s', SCRIPTED_PARTITIONS);

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
        const rig = createRig(cluster);
        await connectAtLast(rig.publisher);
        const seconds = await publishEpochs(rig, secondsByEpoch);
        assertEachOnce(barsOf(cluster), seconds);
        const letters = cluster.store.committed('dlq', SCRIPTED_PARTITIONS).flat();
        expect(letters.map(({ key }) => key).sort()).toEqual(secondsByEpoch.map((_, index) => `k${index}`));
        expect(cluster.store.offsets()).toEqual(
          new Map(RIG_TRANSACTIONS.lanes.map((lane) => [lane, RIG_FIRST_EPOCH - 1 + secondsByEpoch.length])),
        );
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
    publisher.epochCommitted({ databaseEpoch: 1, bars: RIG_SYMBOLS, letters: [] });
    await publisher.drain(10_000);
    return { cluster, publisher };
  };

  it('never asks twice to end a transaction when the answer was lost, and learns from the marker that it ended', async () => {
    // Init; then partitions and the group are added at once; batches of two leaders; offsets.
    for (let before = 1; before < 8; before += 1) {
      const { cluster, publisher } = await publishOne([...Array.from({ length: before }, (): WireFate => 'done'), 'lost']);
      assertEachOnce(barsOf(cluster), 1);
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

  it('begins anew with an epoch larger than its queue when the producer is lost under it', async () => {
    const seconds = Math.ceil((1.5 * QUEUE_BYTES_MAX) / BAR_BYTES_MIN / RIG_SYMBOLS);
    const cluster = await open(['done', 'fenced']);
    const { publisher, putSecond } = createRig(cluster, undefined, 131_072);
    await publisher.connect();
    for (let second = 1; second <= seconds; second += 1) putSecond(second);
    publisher.epochCommitted({ databaseEpoch: 1, bars: seconds * RIG_SYMBOLS, letters: [] });
    expect(await publisher.drain(60_000)).toBe(0);
    expect([...publisher.counters().failed.keys()]).toEqual([expect.stringMatching(/AddPartitionsToTxn/)]);
    assertEachOnce(barsOf(cluster), seconds);
  });

  it('refuses a bar that its topic would never take, and says what to raise', async () => {
    const cluster = await open([], 200);
    const { publisher, putSecond } = createRig(cluster);
    await publisher.connect();
    putSecond(1);
    publisher.epochCommitted({ databaseEpoch: 1, bars: RIG_SYMBOLS, letters: [] });
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
    publisher.epochCommitted({ databaseEpoch: 1, bars: RIG_SYMBOLS, letters: [{ key: 'k', json: '{}' }] });
    while (publisher.counters().failed.size === 0) await publisher.drain(20);
    expect([...publisher.counters().failed.keys()]).toEqual([expect.stringMatching(/topics dlq: .* unknownTopicOrPartition/)]);
    expect(cluster.store.committed('bars.1s', SCRIPTED_PARTITIONS).flat()).toEqual([]);
    cluster.missing.delete('dlq');
    expect(await publisher.drain(10_000)).toBe(0);
    assertEachOnce(barsOf(cluster), 1);
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
