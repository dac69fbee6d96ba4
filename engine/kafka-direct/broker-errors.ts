/** What brokers answer, and what becomes of it. */
import { EngineError } from '../core/errors.ts';

/** Error codes of Kafka's protocol that a fetcher or a producer tells apart. */
export const KAFKA_CODE = {
  none: 0,
  offsetOutOfRange: 1,
  corruptMessage: 2,
  unknownTopicOrPartition: 3,
  leaderNotAvailable: 5,
  notLeaderOrFollower: 6,
  requestTimedOut: 7,
  brokerNotAvailable: 8,
  replicaNotAvailable: 9,
  messageTooLarge: 10,
  networkException: 13,
  coordinatorLoadInProgress: 14,
  coordinatorNotAvailable: 15,
  notCoordinator: 16,
  recordListTooLarge: 18,
  notEnoughReplicas: 19,
  notEnoughReplicasAfterAppend: 20,
  topicAuthorizationFailed: 29,
  groupAuthorizationFailed: 30,
  clusterAuthorizationFailed: 31,
  outOfOrderSequence: 45,
  duplicateSequence: 46,
  invalidProducerEpoch: 47,
  invalidTxnState: 48,
  concurrentTransactions: 51,
  transactionalIdAuthorizationFailed: 53,
  operationNotAttempted: 55,
  kafkaStorageError: 56,
  unknownProducerId: 59,
  unstableOffsetCommit: 88,
  throttlingQuotaExceeded: 89,
  producerFenced: 90,
  transactionAbortable: 120,
} as const;

const NAMES: ReadonlyMap<number, string> = new Map(Object.entries(KAFKA_CODE).map(([name, code]) => [code, name]));

/** Another broker may know better: metadata is asked for again. */
const STALE: ReadonlySet<number> = new Set([
  KAFKA_CODE.unknownTopicOrPartition,
  KAFKA_CODE.leaderNotAvailable,
  KAFKA_CODE.notLeaderOrFollower,
  KAFKA_CODE.brokerNotAvailable,
  KAFKA_CODE.replicaNotAvailable,
  KAFKA_CODE.networkException,
  KAFKA_CODE.kafkaStorageError,
]);

/** The same request may pass later. */
const PASSING: ReadonlySet<number> = new Set([
  ...STALE,
  KAFKA_CODE.corruptMessage,
  KAFKA_CODE.requestTimedOut,
  KAFKA_CODE.coordinatorLoadInProgress,
  KAFKA_CODE.coordinatorNotAvailable,
  KAFKA_CODE.notCoordinator,
  KAFKA_CODE.notEnoughReplicas,
  KAFKA_CODE.notEnoughReplicasAfterAppend,
  KAFKA_CODE.concurrentTransactions,
  KAFKA_CODE.operationNotAttempted,
  KAFKA_CODE.unstableOffsetCommit,
  KAFKA_CODE.throttlingQuotaExceeded,
]);

/** Another broker coordinates by now, or this one is about to. */
const MOVED: ReadonlySet<number> = new Set([KAFKA_CODE.coordinatorNotAvailable, KAFKA_CODE.notCoordinator]);

export function isPassing(code: number): boolean {
  return PASSING.has(code);
}

export function isStale(code: number): boolean {
  return STALE.has(code);
}

export function isMoved(code: number): boolean {
  return MOVED.has(code);
}

/** `notLeaderOrFollower (6)`. */
export function nameOfCode(code: number): string {
  return `${NAMES.get(code) ?? 'error'} (${code})`;
}

/**
 * Ends a producer, and with it the transaction that it has open: what it had sent may be stored or not. Another one begins by initialising
 * the id, which ends that transaction first.
 */
export class ProducerLost extends EngineError {
  readonly isFatal = true;
}

/**
 * What ends a producer, from a broker's answer. `KAFKA_FENCED` says that the id was initialised elsewhere or the transaction ran out of time;
 * the database tells which. Only a message that no broker will take is no use to send again.
 */
export function lostBy(what: string, code: number): ProducerLost {
  const isFenced = code === KAFKA_CODE.invalidProducerEpoch || code === KAFKA_CODE.producerFenced;
  return new ProducerLost(isFenced ? 'KAFKA_FENCED' : 'KAFKA_PRODUCE', `${what}: ${nameOfCode(code)}`, { retryable: true });
}
