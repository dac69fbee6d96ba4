/** `npm run torture -- --brokers 3` in short: its cluster holds what it is made for, and one round with leaders moved and a broker killed. */
import { chmodSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describeConfigsV4 } from '@platformatic/kafka';
import { afterAll, expect, it } from 'vitest';
import { createPrng } from '../../engine/core/prng.ts';
import { PROJECT_ROOT } from '../../engine/core/root.ts';
import { connectBroker, parseBrokers } from '../../engine/kafka-direct/connection.ts';
import { ensureTopics, type TopicPlan } from '../../engine/sinks/kafka/topics.ts';
import type { FeedMessage } from '../torture/feed.ts';
import { createFeeder, deleteTopics } from '../torture/kafka-server.ts';
import { moveLeaders } from '../torture/leaders.ts';
import { planRound } from '../torture/plan.ts';
import { runRound } from '../torture/round.ts';
import { type OpenStage, openStage } from '../torture/stage.ts';
import { whyNoLocal } from './kafka-local-broker.ts';

const SEED = Number(process.env['SEED'] ?? 31);
const TIMEOUT_MS = 900_000;
const BROKERS = 3;
const PARTITIONS = 12;
const TRIES = 100;
const TOPIC_RESOURCE = 2;
const ASK_TIMEOUT_MS = 30_000;

let opened: OpenStage | undefined;
let folder: string | undefined;

async function stageOf() {
  if (opened) return opened.stage;
  folder = mkdtempSync(join(tmpdir(), 'tickwright-cluster-'));
  // The database's own user has to get there.
  chmodSync(folder, 0o755);
  opened = await openStage({ root: PROJECT_ROOT, folder, isKept: false, brokers: BROKERS, say: () => undefined });
  return opened.stage;
}

afterAll(async () => {
  await opened?.close();
  if (folder !== undefined) rmSync(folder, { recursive: true, force: true });
}, TIMEOUT_MS);

async function settingOf(brokers: string, topic: string, name: string): Promise<string | null | undefined> {
  const [address] = parseBrokers(brokers);
  const connection = await connectBroker(address!, { clientId: 'tickwright-test', timeoutMs: ASK_TIMEOUT_MS });
  try {
    const resource = { resourceType: TOPIC_RESOURCE, resourceName: topic, configurationKeys: [name] };
    const { results } = await connection.call('DescribeConfigs', describeConfigsV4.api, [resource], false, false);
    return results[0]?.configs[0]?.value;
  } finally {
    await connection.close();
  }
}

const reason = whyNoLocal();
const because = reason === undefined ? '' : `(${reason}) `;

it.skipIf(reason !== undefined)(
  `${because}leaders move among three brokers, and whichever is killed, what was acknowledged is read and more is taken`,
  async () => {
    const { kafka, reader } = await stageOf();
    const plan: TopicPlan = {
      topic: 'cluster.moved',
      partitions: PARTITIONS,
      replicationFactor: kafka.replication,
      retentionMs: 3_600_000,
      segmentBytes: 1_048_576,
    };
    await ensureTopics(kafka.library, kafka.brokers, [plan]);
    const prng = createPrng(SEED);
    // A broker that has not heard of the topic yet says that it has no partition to move.
    let moves = await moveLeaders(kafka.brokers, [plan.topic], prng);
    for (let tries = 1; moves.asked === 0 && tries < TRIES; tries += 1) moves = await moveLeaders(kafka.brokers, [plan.topic], prng);
    expect(moves.asked).toBeGreaterThan(0);
    expect(moves.moved).toBe(moves.asked);
    expect(await settingOf(kafka.brokers, plan.topic, 'min.insync.replicas')).toBe('2');

    const places = Array.from({ length: PARTITIONS }, (_, partition) => ({ topic: plan.topic, partition }));
    const sent: string[] = [];
    const feeder = await createFeeder(kafka);
    const feed = async (name: string): Promise<void> => {
      const messages = places.map(({ partition }): FeedMessage => {
        const text = `${name} ${partition}`;
        sent.push(text);
        return { partition, value: Buffer.from(text), isPacked: false, poison: undefined };
      });
      await feeder.feed(plan.topic, messages, 100);
    };
    for (const [index, node] of kafka.nodes.entries()) {
      await node.kill();
      await feed(`without broker ${index + 1}`);
      await node.start();
    }
    await feed('with all');
    await feeder.close();
    const read = (await reader.read(places)).map(({ value }) => String(value));
    expect(read.toSorted()).toEqual(sent.toSorted());
    await deleteTopics(kafka, [plan.topic]);
  },
  TIMEOUT_MS,
);

it.skipIf(reason !== undefined)(
  `${because}a round of the torture with leaders moved and brokers killed has no difference (SEED=${SEED})`,
  async () => {
    const plan = planRound({ seed: SEED, kinds: ['leader-move', 'broker-kill'], enginesMax: 2, exchange: 'none' });
    const result = await runRound(await stageOf(), plan);
    expect(result.differences).toEqual([]);
    expect(result.faults).toBeGreaterThan(0);
    expect(result.bars).toBeGreaterThan(500);
  },
  TIMEOUT_MS,
);
