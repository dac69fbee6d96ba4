/**
 * Hanging transactions (KIP-664): a partition holds one open that its coordinator counts as complete, so that whoever reads what is committed
 * stands still before it for good. Brokers leave them behind by themselves: a coordinator whose partitions have no leader for a moment, as
 * while a broker alone in its cluster starts again, takes them for deleted and completes the transaction without its markers there.
 *
 * What is left open is committed where the latest transaction of its id is: a publisher that aborts one sends the same again under the same id, to
 * the same partitions, which ends what is open there. Where the latest is aborted, an earlier one may hang: nothing is done, and it is said.
 */
import { EngineError } from '../core/errors.ts';
import { KAFKA_CODE, nameOfCode } from './broker-errors.ts';
import type { Brokers } from './brokers.ts';
import type { WireRequest } from './connection.ts';
import { type ClusterMetadata, METADATA, metadataRequest } from './metadata.ts';
import { createWireWriter, type WireReader } from './wire.ts';

/** What brokers must have: those of Kafka since 3.8. */
export const HANGING_APIS = {
  Metadata: METADATA,
  DescribeProducers: { key: 61, version: 0 },
  ListTransactions: { key: 66, version: 1 },
  WriteTxnMarkers: { key: 27, version: 1 },
} as const;

/** What coordinators say of a transaction all of whose markers they take for written, and of one that they are about to end: Kafka, TransactionState. */
const COMMITTED = 'CompleteCommit';
const ENDING: ReadonlySet<string> = new Set(['PrepareCommit', 'PrepareAbort']);
const OPEN = 'Ongoing';
const ANY_DURATION = -1n;

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
  /** It is aborted, or nobody knows any more: what these are cannot be told. */
  readonly unknown: readonly OpenTransaction[];
}

export interface HangingOptions {
  /** With HANGING_APIS. */
  readonly brokers: Brokers;
  /** Those that there are not are passed over. */
  readonly topics: readonly string[];
  isOurs(transactionalId: string): boolean;
}

type Unnamed = Omit<OpenTransaction, 'transactionalId'>;
type Places = ReadonlyMap<number, readonly { readonly name: string; readonly partitionIndexes: number[] }[]>;

/**
 * Those of ours that partitions hold open while their coordinators have none under way. One that was begun and ended meanwhile is no longer open
 * when it is looked at again; the first record of a later one would lie behind.
 * @throws EngineError KAFKA_UNDECIDED (retryable) while brokers are about to say; KAFKA_UNREACHABLE (retryable), KAFKA_API_MISSING,
 * KAFKA_REFUSED, KAFKA_PROTOCOL, KAFKA_CLOSED
 */
export async function findHanging({ brokers, topics, isOurs }: HangingOptions): Promise<HangingFound> {
  const metadata = await metadataOf(brokers, topics);
  const open = await openIn(brokers, placesIn(metadata));
  if (open.length === 0) return { committed: [], unknown: [] };
  const states = await statesOf(brokers, [...metadata.brokers.keys()], [...new Set(open.map(({ producerId }) => producerId))]);
  const ours = open.flatMap((one) => {
    const state = states.get(one.producerId);
    return state && isOurs(state.transactionalId) ? [{ ...one, ...state }] : [];
  });
  const ending = ours.find(({ state }) => ENDING.has(state));
  if (ending) throw undecided(`transactional id ${ending.transactionalId} is in state ${ending.state}`);
  const idle = ours.filter(({ state }) => state !== OPEN);
  if (idle.length === 0) return { committed: [], unknown: [] };
  const still = new Set((await openIn(brokers, placesIn(await metadataOf(brokers, topics)))).map(textOf));
  const hanging = idle.filter((one) => still.has(textOf(one)));
  return {
    committed: hanging.filter(({ state }) => state === COMMITTED),
    unknown: hanging.filter(({ state }) => state !== COMMITTED),
  };
}

/**
 * Commits those that are still open at the same record. Their ids have no transaction under way, and were initialised or fenced since they
 * were found: a marker that comes late then ends no later transaction.
 * @returns what brokers answered, an error code of Kafka by transaction; 0: its marker is written
 * @throws as `findHanging`
 */
export async function commitHanging(brokers: Brokers, found: readonly OpenTransaction[]): Promise<Map<OpenTransaction, number>> {
  const metadata = await metadataOf(brokers, [...new Set(found.map(({ topic }) => topic))]);
  const still = new Set((await openIn(brokers, placesIn(metadata))).map(textOf));
  const codes = new Map<OpenTransaction, number>();
  for (const one of found) {
    if (!still.has(textOf(one))) continue;
    const leader = metadata.topics.find(({ name }) => name === one.topic)?.leaders[one.partition];
    const connection = await brokers.connectionTo(leader?.nodeId ?? -1);
    codes.set(one, await connection.ask(markerRequest(one)));
  }
  return codes;
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

/** Partitions by the broker that leads them. @throws EngineError KAFKA_UNDECIDED where nobody does */
function placesIn({ topics }: ClusterMetadata): Places {
  const places = new Map<number, { name: string; partitionIndexes: number[] }[]>();
  for (const { name, leaders } of topics) {
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

async function openIn(brokers: Brokers, places: Places): Promise<Unnamed[]> {
  const { describeProducersV0 } = await import('@platformatic/kafka');
  const found: Unnamed[] = [];
  for (const [brokerId, topics] of places) {
    const connection = await brokers.connectionTo(brokerId);
    const answer = await connection.call('DescribeProducers', describeProducersV0.api, [...topics]);
    for (const { name, partitions } of answer.topics) {
      for (const { partitionIndex: partition, errorCode, activeProducers } of partitions) {
        if (errorCode === KAFKA_CODE.topicAuthorizationFailed)
          throw new EngineError('KAFKA_REFUSED', `topic ${name}: this client may not read it`);
        if (errorCode !== KAFKA_CODE.none) throw undecided(`topic ${name} partition ${partition}: ${nameOfCode(errorCode)}`);
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

/** What coordinators say of each producer. @throws EngineError KAFKA_UNDECIDED where two say something else */
async function statesOf(brokers: Brokers, brokerIds: readonly number[], producerIds: bigint[]): Promise<Map<bigint, ProducerState>> {
  const { listTransactionsV1 } = await import('@platformatic/kafka');
  const found = new Map<bigint, ProducerState>();
  for (const brokerId of brokerIds) {
    const connection = await brokers.connectionTo(brokerId);
    const answer = await connection.call('ListTransactions', listTransactionsV1.api, [], producerIds, ANY_DURATION);
    if (answer.errorCode !== KAFKA_CODE.none) throw undecided(`broker ${brokerId} answers with ${nameOfCode(answer.errorCode)}`);
    for (const { producerId, transactionalId, transactionState: state } of answer.transactionStates) {
      const before = found.get(producerId);
      if (before && before.state !== state)
        throw undecided(`transactional id ${transactionalId} is in states ${before.state} and ${state}`);
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
