/** Moves leaders of partitions among the brokers of a cluster: a partition's copies are put into another order, and the first is elected. */
import { alterPartitionReassignmentsV0 } from '@platformatic/kafka';
import { EngineError, messageOf } from '../../engine/core/errors.ts';
import type { Prng } from '../../engine/core/prng.ts';
import { type BrokerConnection, connectBroker, parseBrokers, type WireRequest } from '../../engine/kafka-direct/connection.ts';
import { metadataRequest, type TopicLeaders } from '../../engine/kafka-direct/metadata.ts';
import { createWireWriter, type WireReader } from '../../engine/kafka-direct/wire.ts';

/** Coordinators of groups and of transactions are leaders of partitions too. */
export const COORDINATOR_TOPICS = ['__consumer_offsets', '__transaction_state'];

const CONNECT_TIMEOUT_MS = 5000;
const ANSWER_TIMEOUT_MS = 10_000;
const ELECT_LEADERS = { key: 43, version: 2 };
const PREFERRED = 0;

export interface LeaderMoves {
  /** Partitions that were to get another leader, and those of them that have it. */
  readonly asked: number;
  readonly moved: number;
  /** Why not, by Kafka's error code: its new leader was away, or its copy was behind. */
  readonly refusals: ReadonlyMap<number, number>;
}

interface PartitionMove {
  readonly topic: string;
  readonly partition: number;
  /** The new leader first. */
  readonly replicas: readonly number[];
}

/**
 * Draws a leader for each partition of the topics, of which every broker has a copy; a topic that is not there is left out.
 * @throws EngineError KAFKA_UNREACHABLE when no broker answers, KAFKA_PROTOCOL, TORTURE_LEADERS when the cluster takes no such order
 */
export async function moveLeaders(brokers: string, topics: readonly string[], prng: Prng): Promise<LeaderMoves> {
  const connection = await connectAny(brokers);
  try {
    const { topics: found } = await connection.ask(metadataRequest(topics, false));
    const moves = drawMoves(found, parseBrokers(brokers).length, prng);
    if (moves.length === 0) return { asked: 0, moved: 0, refusals: new Map() };
    await reorder(connection, moves);
    const codes = await connection.ask(electRequest(moves));
    const refusals = new Map<number, number>();
    for (const code of codes) if (code !== 0) refusals.set(code, (refusals.get(code) ?? 0) + 1);
    return { asked: moves.length, moved: codes.filter((code) => code === 0).length, refusals };
  } finally {
    await connection.close();
  }
}

/** @param brokerCount their ids are 1 and on */
export function drawMoves(topics: readonly TopicLeaders[], brokerCount: number, prng: Prng): PartitionMove[] {
  return topics.flatMap(({ name, leaders }) =>
    leaders.flatMap((leader, partition): PartitionMove[] => {
      const first = 1 + prng.nextBelow(brokerCount);
      if (first === leader?.nodeId) return [];
      const replicas = Array.from({ length: brokerCount }, (_, index) => 1 + ((first - 1 + index) % brokerCount));
      return [{ topic: name, partition, replicas }];
    }),
  );
}

/** Any broker passes such requests on to the controller; one that is away or stands still is passed over. */
async function connectAny(brokers: string): Promise<BrokerConnection> {
  const reasons: string[] = [];
  for (const address of parseBrokers(brokers)) {
    try {
      await (await connectBroker(address, { clientId: 'tickwright-torture', timeoutMs: CONNECT_TIMEOUT_MS })).close();
      return await connectBroker(address, { clientId: 'tickwright-torture', timeoutMs: ANSWER_TIMEOUT_MS });
    } catch (error) {
      reasons.push(messageOf(error));
    }
  }
  throw new EngineError('KAFKA_UNREACHABLE', `leaders cannot be moved: ${reasons.join('; ')}`, { retryable: true });
}

async function reorder(connection: BrokerConnection, moves: readonly PartitionMove[]): Promise<void> {
  const topics = [...byTopic(moves)].map(([name, list]) => ({
    name,
    partitions: list.map(({ partition, replicas }) => ({ partitionIndex: partition, replicas: [...replicas] })),
  }));
  const answer = await connection.call('AlterPartitionReassignments', alterPartitionReassignmentsV0.api, ANSWER_TIMEOUT_MS, topics);
  const codes = [answer, ...answer.responses.flatMap(({ partitions }) => partitions)].map(({ errorCode }) => errorCode);
  const wrong = codes.find((code) => code !== 0);
  if (wrong !== undefined) {
    throw new EngineError('TORTURE_LEADERS', `order of copies of ${moves.length} partitions: Kafka error ${wrong}, expected 0`);
  }
}

function byTopic(moves: readonly PartitionMove[]): Map<string, PartitionMove[]> {
  const found = new Map<string, PartitionMove[]>();
  for (const move of moves) found.set(move.topic, [...(found.get(move.topic) ?? []), move]);
  return found;
}

/** The answer is an error code for each partition. */
function electRequest(moves: readonly PartitionMove[]): WireRequest<number[]> {
  const writer = createWireWriter();
  writer.int8(PREFERRED);
  const topics = byTopic(moves);
  writer.compactCount(topics.size);
  for (const [topic, list] of topics) {
    writer.compactString(topic);
    writer.compactCount(list.length);
    for (const { partition } of list) writer.int32(partition);
    writer.noTags();
  }
  writer.int32(ANSWER_TIMEOUT_MS);
  writer.noTags();
  const { key, version } = ELECT_LEADERS;
  return { what: 'ElectLeaders', apiKey: key, version, isFlexible: true, body: [writer.bytes()], read: readElected };
}

function readElected(reader: WireReader): number[] {
  reader.int32();
  const code = reader.int16();
  if (code !== 0) throw new EngineError('TORTURE_LEADERS', `election of leaders: Kafka error ${code}, expected 0`);
  const codes: number[] = [];
  for (let topics = reader.compactCount(); topics > 0; topics -= 1) {
    reader.compactString();
    for (let partitions = reader.compactCount(); partitions > 0; partitions -= 1) {
      reader.int32();
      codes.push(reader.int16());
      reader.compactString();
      reader.skipTags();
    }
    reader.skipTags();
  }
  return codes;
}
