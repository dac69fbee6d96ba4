/**
 * Hanging transactions (KIP-664): a partition holds one open that its coordinator counts as complete, so that whoever reads what is committed
 * stands still before it for good. Brokers leave them behind by themselves: a coordinator whose partitions have no leader for a moment, as
 * while a broker alone in its cluster starts again, takes them for deleted and completes the transaction without its markers there.
 *
 * What is left open is committed where the latest transaction of its id is: a publisher that aborts one sends the same again under the same id, to
 * the same partitions, which ends what is open there. Where the latest is not known to be committed, nothing is done, and it is said.
 */
import { EngineError } from '../core/errors.ts';
import { KAFKA_CODE, nameOfCode } from './broker-errors.ts';
import type { Brokers } from './brokers.ts';
import type { WireRequest } from './connection.ts';
import { type ClusterMetadata, METADATA, metadataRequest } from './metadata.ts';
import { findCoordinatorRequest, PRODUCE_APIS } from './produce-requests.ts';
import { createWireWriter, type WireReader } from './wire.ts';

/** What brokers must have: those of Kafka since 3.0. */
export const HANGING_APIS = {
  Metadata: METADATA,
  DescribeProducers: { key: 61, version: 0 },
  FindCoordinator: PRODUCE_APIS.FindCoordinator,
  DescribeTransactions: { key: 65, version: 0 },
  WriteTxnMarkers: { key: 27, version: 1 },
} as const;

/** What coordinators say of a transaction all of whose markers they take for written, and of one that they are about to end: Kafka, TransactionState. */
const COMMITTED = 'CompleteCommit';
const ENDING: ReadonlySet<string> = new Set(['PrepareCommit', 'PrepareAbort']);
const OPEN = 'Ongoing';
/** An id that was never initialised, or not for long. */
const ID_NOT_FOUND = 105;

/** A transaction that a partition holds open. */
export interface OpenTransaction {
  readonly transactionalId: string;
  readonly topic: string;
  readonly partition: number;
  readonly producerId: bigint;
  readonly producerEpoch: number;
  readonly coordinatorEpoch: number;
  /** Of its first record. */
  readonly offset: bigint;
}

export interface HangingFound {
  /** The latest transaction of their ids is committed. */
  readonly committed: readonly OpenTransaction[];
  /** It is aborted, or brokers know it no more. */
  readonly unknown: readonly OpenTransaction[];
}

export interface HangingOptions {
  /** With HANGING_APIS. */
  readonly brokers: Brokers;
  /** Those that there are not are passed over. */
  readonly topics: readonly string[];
  readonly transactionalIds: readonly string[];
}

const NOT_ALLOWED: ReadonlySet<number> = new Set([
  KAFKA_CODE.topicAuthorizationFailed,
  KAFKA_CODE.groupAuthorizationFailed,
  KAFKA_CODE.clusterAuthorizationFailed,
  KAFKA_CODE.transactionalIdAuthorizationFailed,
]);

type Unnamed = Omit<OpenTransaction, 'transactionalId'>;
type Places = ReadonlyMap<number, readonly { readonly name: string; readonly partitionIndexes: number[] }[]>;

/**
 * Transactions of these ids that partitions hold open while their coordinators have none under way. One that was ended meanwhile is no longer open
 * when it is looked at again; the first record of a later one would lie behind.
 * @throws EngineError KAFKA_UNDECIDED (retryable) while brokers are about to say; KAFKA_UNREACHABLE (retryable), KAFKA_API_MISSING,
 * KAFKA_REFUSED, KAFKA_PROTOCOL, KAFKA_CLOSED
 */
export async function findHanging({ brokers, topics, transactionalIds }: HangingOptions): Promise<HangingFound> {
  const open = await openIn(brokers, topics);
  if (open.length === 0) return { committed: [], unknown: [] };
  const states = await statesOf(brokers, transactionalIds);
  const ours = open.flatMap((one) => {
    const state = states.get(one.producerId);
    return state ? [{ ...one, ...state }] : [];
  });
  const ending = ours.find(({ state }) => ENDING.has(state));
  if (ending) throw undecided(`transactional id ${ending.transactionalId} is in state ${ending.state}`);
  const idle = ours.filter(({ state }) => state !== OPEN);
  if (idle.length === 0) return { committed: [], unknown: [] };
  const still = new Set((await openIn(brokers, topics)).map(textOf));
  const hanging = idle.filter((one) => still.has(textOf(one)));
  return {
    committed: hanging.filter(({ state }) => state === COMMITTED),
    unknown: hanging.filter(({ state }) => state !== COMMITTED),
  };
}

/** Those of them that partitions still hold open at the same record. @throws as `findHanging` */
export async function stillOpen(brokers: Brokers, found: readonly OpenTransaction[]): Promise<OpenTransaction[]> {
  const open = new Set((await openIn(brokers, [...new Set(found.map(({ topic }) => topic))])).map(textOf));
  return found.filter((one) => open.has(textOf(one)));
}

/**
 * Writes the marker of a commit. The id has no transaction under way, and was initialised or fenced since it was found hanging: a marker that
 * comes late then ends no later transaction.
 * @returns what the broker answers, an error code of Kafka; 0: it is written
 * @throws as `findHanging`
 */
export async function commitHanging(brokers: Brokers, hanging: OpenTransaction): Promise<number> {
  const { topics } = await metadataOf(brokers, [hanging.topic]);
  const leader = topics[0]?.leaders[hanging.partition];
  if (!leader) throw undecided(`topic ${hanging.topic} partition ${hanging.partition} has no leader`);
  return await (await brokers.connectionTo(leader.nodeId)).ask(markerRequest(hanging));
}

function textOf({ topic, partition, producerId, offset }: Unnamed): string {
  return `${topic} ${partition} ${producerId} ${offset}`;
}

function undecided(what: string): EngineError {
  return new EngineError('KAFKA_UNDECIDED', `transactions left open: not known yet: ${what}`, { retryable: true });
}

async function metadataOf(brokers: Brokers, topics: readonly string[]): Promise<ClusterMetadata> {
  const metadata = await brokers.askAny((connection) => connection.ask(metadataRequest(topics, false)));
  brokers.learn(metadata.brokers);
  return metadata;
}

/** Partitions by the broker that leads them. @throws EngineError KAFKA_UNDECIDED where nobody does, KAFKA_REFUSED */
function placesIn({ topics }: ClusterMetadata): Places {
  const places = new Map<number, { name: string; partitionIndexes: number[] }[]>();
  for (const { name, code, leaders } of topics) {
    if (code === KAFKA_CODE.unknownTopicOrPartition) continue;
    throwIfWrong(code, `topic ${name}`);
    for (const [partition, leader] of leaders.entries()) {
      if (leader === undefined) throw undecided(`topic ${name} partition ${partition} has no leader`);
      const list = places.get(leader.nodeId) ?? [];
      places.set(leader.nodeId, list);
      const topic = list.find((one) => one.name === name);
      if (topic) topic.partitionIndexes.push(partition);
      else list.push({ name, partitionIndexes: [partition] });
    }
  }
  return places;
}

function throwIfWrong(code: number, what: string): void {
  if (code === KAFKA_CODE.none) return;
  if (NOT_ALLOWED.has(code)) throw new EngineError('KAFKA_REFUSED', `${what}: ${nameOfCode(code)}`);
  throw undecided(`${what}: ${nameOfCode(code)}`);
}

async function openIn(brokers: Brokers, topics: readonly string[]): Promise<Unnamed[]> {
  const { describeProducersV0 } = await import('@platformatic/kafka');
  const found: Unnamed[] = [];
  for (const [brokerId, places] of placesIn(await metadataOf(brokers, topics))) {
    const connection = await brokers.connectionTo(brokerId);
    const answer = await connection.call('DescribeProducers', describeProducersV0.api, [...places]);
    for (const { name, partitions } of answer.topics) {
      for (const { partitionIndex: partition, errorCode, activeProducers } of partitions) {
        throwIfWrong(errorCode, `topic ${name} partition ${partition}`);
        for (const { producerId, producerEpoch, coordinatorEpoch, currentTxnStartOffset: offset } of activeProducers) {
          if (offset >= 0n) found.push({ topic: name, partition, producerId, producerEpoch, coordinatorEpoch, offset });
        }
      }
    }
  }
  return found;
}

interface ProducerState {
  readonly transactionalId: string;
  readonly state: string;
}

/** What coordinators say of ids, by the producer that each has. */
async function statesOf(brokers: Brokers, transactionalIds: readonly string[]): Promise<Map<bigint, ProducerState>> {
  const { describeTransactionsV0 } = await import('@platformatic/kafka');
  const found = new Map<bigint, ProducerState>();
  for (const transactionalId of transactionalIds) {
    const what = `transactional id ${transactionalId}`;
    const { code, brokerId } = await brokers.askAny((connection) => connection.ask(findCoordinatorRequest(transactionalId, 'transaction')));
    throwIfWrong(code, what);
    const connection = await brokers.connectionTo(brokerId);
    const { transactionStates } = await connection.call('DescribeTransactions', describeTransactionsV0.api, [transactionalId]);
    for (const { errorCode, transactionState: state, producerId } of transactionStates) {
      if (errorCode === ID_NOT_FOUND) continue;
      throwIfWrong(errorCode, what);
      found.set(producerId, { transactionalId, state });
    }
  }
  return found;
}

/** The WriteTxnMarkers API, version 1: one marker of a commit, as coordinators write them. */
function markerRequest(hanging: OpenTransaction): WireRequest<number> {
  const writer = createWireWriter();
  writer.compactCount(1);
  writer.int64(hanging.producerId);
  writer.int16(hanging.producerEpoch);
  writer.int8(1);
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
