/**
 * Hanging transactions (KIP-664): a partition holds one open that its coordinator counts as complete, so that whoever reads what is committed
 * stands still before it for good. Brokers leave them behind by themselves: a coordinator whose partitions have no leader for a moment, as
 * while a broker alone in its cluster starts again, takes them for deleted and completes the transaction without its markers there.
 * What the coordinator had decided is then written where it was left out.
 */
import type { Brokers } from './brokers.ts';
import type { BrokerConnection, WireRequest } from './connection.ts';
import { METADATA, metadataRequest } from './metadata.ts';
import { createWireWriter, type WireReader } from './wire.ts';

/** What brokers must have: those of Kafka since 3.8. */
export const HANGING_APIS = {
  Metadata: METADATA,
  DescribeProducers: { key: 61, version: 0 },
  ListTransactions: { key: 66, version: 1 },
  WriteTxnMarkers: { key: 27, version: 1 },
} as const;

/** What coordinators say of a transaction all of whose markers they take for written: Kafka, TransactionState. */
const DECIDED: ReadonlyMap<string, boolean> = new Map([
  ['CompleteCommit', true],
  ['CompleteAbort', false],
]);
const ANY_DURATION = -1n;

interface OpenTransaction {
  readonly brokerId: number;
  readonly topic: string;
  readonly partition: number;
  readonly producerId: bigint;
  readonly producerEpoch: number;
  readonly coordinatorEpoch: number;
  /** Of its first record. */
  readonly offset: bigint;
}

export interface HangingTransaction extends Omit<OpenTransaction, 'brokerId'> {
  readonly transactionalId: string;
  /** What the coordinator had decided. */
  readonly isCommitted: boolean;
  /** What the broker answered to the marker, an error code of Kafka; 0: it is written. */
  readonly code: number;
}

export interface HangingOptions {
  /** With HANGING_APIS. */
  readonly brokers: Brokers;
  /** Those that there are not are passed over. */
  readonly topics: readonly string[];
  /** Whose transactions are ended. */
  isOurs(transactionalId: string): boolean;
}

interface Decision {
  readonly transactionalId: string;
  readonly isCommitted: boolean;
}

type Places = ReadonlyMap<number, readonly { readonly name: string; readonly partitionIndexes: number[] }[]>;

/**
 * Ends those there are, and says which. One that was open before its coordinator said that it is complete, and still is afterwards, hangs:
 * the first record of a later one would lie behind.
 * @throws EngineError KAFKA_UNREACHABLE (retryable), KAFKA_API_MISSING, KAFKA_REFUSED, KAFKA_PROTOCOL, KAFKA_CLOSED
 */
export async function endHangingTransactions({ brokers, topics, isOurs }: HangingOptions): Promise<HangingTransaction[]> {
  const { places, brokerIds } = await placesOf(brokers, topics);
  const before = await openIn(brokers, places);
  if (before.length === 0) return [];
  const decisions = await decisionsOn(brokers, brokerIds, [...new Set(before.map(({ producerId }) => producerId))]);
  const decided = before.flatMap((open) => {
    const decision = decisions.get(open.producerId);
    return decision && isOurs(decision.transactionalId) ? [{ ...open, ...decision }] : [];
  });
  if (decided.length === 0) return [];
  const still = new Set((await openIn(brokers, places)).map(textOf));
  const ended: HangingTransaction[] = [];
  for (const { brokerId, ...hanging } of decided.filter((open) => still.has(textOf(open)))) {
    const code = await (await brokers.connectionTo(brokerId)).ask(markerRequest(hanging));
    ended.push({ ...hanging, code });
  }
  return ended;
}

function textOf({ topic, partition, producerId, offset }: OpenTransaction): string {
  return `${topic} ${partition} ${producerId} ${offset}`;
}

/** Partitions of the topics by the broker that leads them; those that nobody leads are left out. */
async function placesOf(brokers: Brokers, topics: readonly string[]): Promise<{ readonly places: Places; readonly brokerIds: number[] }> {
  const metadata = await brokers.askAny((connection) => connection.ask(metadataRequest(topics, false)));
  brokers.learn(metadata.brokers);
  const places = new Map<number, { name: string; partitionIndexes: number[] }[]>();
  for (const { name, leaders } of metadata.topics) {
    for (const [partition, leader] of leaders.entries()) {
      if (leader === undefined) continue;
      const list = places.get(leader.nodeId) ?? [];
      places.set(leader.nodeId, list);
      const topic = list.find((one) => one.name === name);
      if (topic) topic.partitionIndexes.push(partition);
      else list.push({ name, partitionIndexes: [partition] });
    }
  }
  return { places, brokerIds: [...metadata.brokers.keys()] };
}

async function openIn(brokers: Brokers, places: Places): Promise<OpenTransaction[]> {
  const { describeProducersV0 } = await import('@platformatic/kafka');
  const found: OpenTransaction[] = [];
  for (const [brokerId, topics] of places) {
    const connection = await brokers.connectionTo(brokerId);
    const answer = await connection.call('DescribeProducers', describeProducersV0.api, [...topics]);
    for (const { name, partitions } of answer.topics) {
      for (const { partitionIndex, activeProducers } of partitions) {
        for (const { producerId, producerEpoch, coordinatorEpoch, currentTxnStartOffset: offset } of activeProducers) {
          if (offset >= 0n)
            found.push({ brokerId, topic: name, partition: partitionIndex, producerId, producerEpoch, coordinatorEpoch, offset });
        }
      }
    }
  }
  return found;
}

/** What was decided of the latest transaction of each producer, as far as it is complete. */
async function decisionsOn(brokers: Brokers, brokerIds: readonly number[], producerIds: bigint[]): Promise<Map<bigint, Decision>> {
  const { listTransactionsV1 } = await import('@platformatic/kafka');
  const list = (connection: BrokerConnection) => connection.call('ListTransactions', listTransactionsV1.api, [], producerIds, ANY_DURATION);
  const found = new Map<bigint, Decision>();
  for (const brokerId of brokerIds) {
    const { transactionStates } = await list(await brokers.connectionTo(brokerId));
    for (const { producerId, transactionalId, transactionState } of transactionStates) {
      const isCommitted = DECIDED.get(transactionState);
      if (isCommitted !== undefined) found.set(producerId, { transactionalId, isCommitted });
    }
  }
  return found;
}

/** The WriteTxnMarkers API, version 1: one marker, as coordinators write them. */
function markerRequest(hanging: Omit<HangingTransaction, 'code'>): WireRequest<number> {
  const writer = createWireWriter();
  writer.compactCount(1);
  writer.int64(hanging.producerId);
  writer.int16(hanging.producerEpoch);
  writer.int8(hanging.isCommitted ? 1 : 0);
  writer.compactCount(1);
  writer.compactString(hanging.topic);
  writer.compactCount(1);
  writer.int32(hanging.partition);
  writer.noTags();
  writer.int32(hanging.coordinatorEpoch);
  writer.noTags();
  writer.noTags();
  const { key: apiKey, version } = HANGING_APIS.WriteTxnMarkers;
  return { what: 'WriteTxnMarkers', apiKey, version, isFlexible: true, body: [writer.bytes()], read: readMarkerCode };
}

/** The code of the one partition that was asked for. */
function readMarkerCode(reader: WireReader): number {
  reader.compactCount();
  reader.int64();
  reader.compactCount();
  reader.compactString();
  reader.compactCount();
  reader.int32();
  return reader.int16();
}
