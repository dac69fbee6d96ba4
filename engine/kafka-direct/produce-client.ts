/**
 * A producer over connections of our own: idempotent, acknowledged by every replica, transactional where it has an id. What it is given are
 * batches whose sequences are counted already.
 *
 *   init ─▶ begin ─▶ add … ─▶ sendOffsets ─▶ commit ─▶ begin …
 *
 * A failure that does not pass ends the producer: nothing more is sent under its epoch. Its owner closes it and initialises the id with
 * another one, which ends what was open. So a request whose answer was lost, and which must not be carried out twice or late, as the end of
 * a transaction or its offsets, is never repeated: under the next epoch brokers refuse what is still on its way.
 */
import type { Clock, Pause } from '../core/clock.ts';
import { assert, EngineError, messageOf } from '../core/errors.ts';
import { KAFKA_CODE, lostBy, nameOfCode, ProducerLost } from './broker-errors.ts';
import type { Cluster } from './cluster.ts';
import type { BrokerConnection } from './connection.ts';
import type { CoordinatorKind } from './coordinators.ts';
import type { ProducerIdentity } from './produce-batch.ts';
import { type Batch, createProduceQueue, type ProduceRequest } from './produce-queue.ts';
import {
  addOffsetsRequest,
  addPartitionsRequest,
  type Coded,
  commitOffsetsRequest,
  endTransactionRequest,
  fetchOffsetsRequest,
  initProducerRequest,
  type OffsetsToCommit,
  type ProduceAnswer,
  produceRequest,
  type TransactionIdentity,
} from './produce-requests.ts';

/** How long a leader waits for its replicas; less than an answer may take, so that the answer says so. */
const REPLICATION_TIMEOUT_MS = 5000;
const CONNECT_REST_MS = 50;

/** What producers count together; those that come after a failure go on with it. */
export interface ProduceCounts {
  /** Produce requests that were sent. */
  requests: number;
  /** Bytes of their batches. */
  bytes: number;
  /** Batches that were sent once more. */
  repeated: number;
  /** Time for which brokers asked to be left alone, ms. */
  throttledMs: number;
}

export function noProduceCounts(): ProduceCounts {
  return { requests: 0, bytes: 0, repeated: 0, throttledMs: 0 };
}

export interface ProduceClientOptions {
  /** Null: an idempotent producer without transactions. */
  readonly transactionalId: string | null;
  readonly transactionTimeoutMs: number;
  /** Its own unless given. */
  readonly counts?: ProduceCounts;
  readonly clock: Clock;
  readonly pause: Pause;
}

export interface ProduceClient {
  /**
   * Takes the id, and ends what was open under it. Once.
   * @throws EngineError KAFKA_PRODUCE, KAFKA_FENCED, KAFKA_CLOSED
   */
  init(): Promise<ProducerIdentity>;
  /** Opens a transaction. Brokers hear of it with the first batch. */
  begin(): void;
  /** Sends batches as soon as may be; those of a partition in their order. Nothing comes of them after a failure. */
  add(...batches: readonly Batch[]): void;
  /** Bytes of batches not acknowledged. */
  readonly queuedBytes: number;
  /** Resolves once every batch is acknowledged. @throws the failure */
  flush(): Promise<void>;
  /** Adds offsets to the transaction. @throws EngineError KAFKA_PRODUCE, KAFKA_FENCED, KAFKA_UNREACHABLE, KAFKA_CLOSED */
  sendOffsets(offsets: OffsetsToCommit): Promise<void>;
  /** Ends the transaction, once every batch is acknowledged. @throws as `sendOffsets`, and KAFKA_MESSAGE */
  commit(): Promise<void>;
  /** Ends the transaction without its messages. @throws as `sendOffsets` */
  abort(): Promise<void>;
  /** What ended the producer. */
  readonly failure: EngineError | undefined;
  readonly counts: Readonly<ProduceCounts>;
}

/** @param cluster whose topics were looked up; it is closed by its owner */
export function createProduceClient(cluster: Cluster, options: ProduceClientOptions): ProduceClient {
  const { transactionalId, clock, pause, counts = noProduceCounts() } = options;
  const queue = createProduceQueue();
  const ready = new Map<number, BrokerConnection>();
  const connecting = new Set<number>();
  const mutedUntilMs = new Map<number, number>();
  const waiters: { resolve(): void; reject(error: EngineError): void }[] = [];
  let identity: ProducerIdentity | undefined;
  let failure: EngineError | undefined;
  /** Partitions of the open transaction: all of them, those that the coordinator knows, and those that it is still to be told of. */
  let touched = new Set<string>();
  let registered = new Set<string>();
  let missing = new Map<string, number[]>();
  let isRegistering = false;
  let isRefreshing = false;
  let wakesAtMs = Number.POSITIVE_INFINITY;
  let hasOffsets = false;
  let isAborting = false;
  /** Requests not answered. */
  let flying = 0;
  const landings: (() => void)[] = [];

  const nowMs = (): number => clock.monotonicUs() / 1000;

  const tellWaiters = (): void => {
    if (failure === undefined && !queue.isEmpty) return;
    for (const { resolve, reject } of waiters.splice(0)) failure === undefined ? resolve() : reject(failure);
  };
  const lose = (error: unknown): EngineError => {
    failure ??= lossOf(error);
    tellWaiters();
    return failure;
  };

  const transaction = (): TransactionIdentity => {
    assert(identity !== undefined && transactionalId !== null, 'a transaction of a producer without an id');
    return { transactionalId, producerId: identity.producerId, epoch: identity.epoch };
  };

  const wakeIn = (ms: number): void => {
    const atMs = nowMs() + ms;
    if (atMs >= wakesAtMs) return;
    wakesAtMs = atMs;
    pause(Math.max(1, Math.ceil(ms)))
      .then(() => {
        wakesAtMs = Number.POSITIVE_INFINITY;
        pump();
      })
      .catch(lose);
  };

  const refresh = (): void => {
    if (isRefreshing) return;
    isRefreshing = true;
    cluster
      .refresh()
      .then(() => {
        isRefreshing = false;
        // Asked of a client that is closed, it answers at once, and would be asked again at once.
        cluster.brokers.throwIfClosing();
        pump();
      })
      .catch(lose);
  };

  const connectTo = (brokerId: number): void => {
    if (connecting.has(brokerId)) return;
    connecting.add(brokerId);
    cluster.brokers
      .connectionTo(brokerId)
      .then((connection) => {
        ready.set(brokerId, connection);
      })
      .catch(async (error: unknown) => {
        if (!(error instanceof EngineError) || !error.retryable) throw error;
        refresh();
        await pause(CONNECT_REST_MS);
      })
      .then(() => {
        connecting.delete(brokerId);
        pump();
      })
      .catch(lose);
  };

  /** The broker that takes batches of a partition right now. Requests leave in the order of the calls, so it must be connected. */
  const brokerOf = (topic: string, partition: number): number | undefined => {
    if (isAborting || (transactionalId !== null && !registered.has(`${partition} ${topic}`))) return undefined;
    const leader = cluster.leaderOf(topic, partition)?.nodeId;
    if (leader === undefined) {
      refresh();
      return undefined;
    }
    const muteMs = (mutedUntilMs.get(leader) ?? 0) - nowMs();
    if (muteMs > 0) {
      wakeIn(muteMs);
      return undefined;
    }
    if (ready.get(leader)?.isOpen) return leader;
    connectTo(leader);
    return undefined;
  };

  const send = async (connection: BrokerConnection, request: ProduceRequest): Promise<void> => {
    let answer: ProduceAnswer | undefined;
    flying += 1;
    counts.requests += 1;
    for (const { bytes } of request.batches) counts.bytes += bytes.length;
    try {
      answer = await connection.ask(produceRequest(transactionalId, request.batches, REPLICATION_TIMEOUT_MS));
    } catch (error) {
      if (!(error instanceof EngineError) || !error.retryable) throw error;
    } finally {
      flying -= 1;
      if (flying === 0) for (const land of landings.splice(0)) land();
    }
    if (answer && answer.throttleMs > 0) {
      counts.throttledMs += answer.throttleMs;
      mutedUntilMs.set(request.brokerId, nowMs() + answer.throttleMs);
    }
    const codeOf = ({ topic, partition }: Batch): number => answer?.codeOf(topic, partition) ?? KAFKA_CODE.networkException;
    const repeatedBefore = queue.repeated;
    const { isStale, refused } = queue.settle(request, codeOf, nowMs());
    counts.repeated += queue.repeated - repeatedBefore;
    if (refused) throw refusal(refused.batch, refused.code);
    if (isStale) refresh();
    pump();
    tellWaiters();
  };

  /** Tells the coordinator of partitions that this transaction had none of yet. */
  const register = async (): Promise<void> => {
    while (missing.size > 0) {
      const topics = missing;
      missing = new Map();
      await coordinate('AddPartitionsToTxn', { kind: 'transaction', isSafeAgain: true }, (broker) =>
        broker.ask(addPartitionsRequest(transaction(), topics)),
      );
      for (const [topic, partitions] of topics) for (const partition of partitions) registered.add(`${partition} ${topic}`);
    }
    isRegistering = false;
    pump();
  };

  const pump = (): void => {
    if (failure || !identity) return;
    if (missing.size > 0 && !isRegistering) {
      isRegistering = true;
      register().catch(lose);
    }
    for (;;) {
      const request = queue.next(brokerOf, nowMs());
      const connection = request && ready.get(request.brokerId);
      if (!request || !connection) break;
      send(connection, request).catch(lose);
    }
    const restsUntilMs = queue.restsUntilMs(nowMs());
    if (restsUntilMs !== undefined) wakeIn(restsUntilMs - nowMs());
  };

  interface Manner {
    readonly kind: CoordinatorKind;
    readonly key?: string;
    readonly isSafeAgain: boolean;
  }
  /** Asks a coordinator; any error code that does not pass, and any lost answer to what must not be repeated, ends the producer. */
  const coordinate = async <Answer extends Coded>(
    what: string,
    { kind, key, isSafeAgain }: Manner,
    ask: (broker: BrokerConnection) => Promise<Answer>,
  ): Promise<Answer> => {
    if (failure) throw failure;
    try {
      const answer = await cluster.coordinate({ kind, key: key ?? transactionalId ?? '', isSafeAgain, ask });
      if (answer.code !== KAFKA_CODE.none) throw lostBy(`${what} of ${transactionalId ?? 'a producer'}`, answer.code);
      return answer;
    } catch (error) {
      throw lose(error instanceof EngineError && error.code === 'KAFKA_UNREACHABLE' ? unanswered(what, error) : error);
    }
  };

  /** Notes that the transaction has something of a partition. */
  const touch = ({ topic, partition }: Batch): void => {
    const key = `${partition} ${topic}`;
    if (transactionalId === null || touched.has(key)) return;
    touched.add(key);
    missing.set(topic, [...(missing.get(topic) ?? []), partition]);
  };

  const flush = (): Promise<void> => {
    if (failure) return Promise.reject(failure);
    if (queue.isEmpty) return Promise.resolve();
    return new Promise((resolve, reject) => {
      waiters.push({ resolve, reject });
    });
  };

  const end = async (isCommitted: boolean): Promise<void> => {
    // Brokers know nothing of a transaction in which nothing was put.
    if (touched.size > 0 || hasOffsets) {
      await coordinate('EndTxn', { kind: 'transaction', isSafeAgain: false }, (broker) =>
        broker.ask(endTransactionRequest(transaction(), isCommitted)),
      );
    }
    touched = new Set();
    registered = new Set();
    missing = new Map();
    hasOffsets = false;
    isAborting = false;
  };

  return {
    async init() {
      assert(identity === undefined, 'a producer is initialised twice');
      const kind = transactionalId === null ? 'any' : 'transaction';
      const { producerId, epoch } = await coordinate('InitProducerId', { kind, isSafeAgain: true }, (broker) =>
        broker.ask(initProducerRequest(transactionalId, options.transactionTimeoutMs)),
      );
      identity = { producerId, epoch, isTransactional: transactionalId !== null };
      return identity;
    },
    begin() {
      assert(touched.size === 0 && queue.isEmpty, 'a transaction begins within another');
      transaction();
    },
    add(...batches) {
      for (const batch of batches) {
        queue.add(batch);
        touch(batch);
      }
      pump();
    },
    get queuedBytes() {
      return queue.bytes;
    },
    flush,
    async sendOffsets(offsets) {
      const { group } = offsets;
      await coordinate('AddOffsetsToTxn', { kind: 'transaction', isSafeAgain: true }, (broker) =>
        broker.ask(addOffsetsRequest(transaction(), group)),
      );
      hasOffsets = true;
      await coordinate('TxnOffsetCommit', { kind: 'group', key: group, isSafeAgain: false }, (broker) =>
        broker.ask(commitOffsetsRequest(transaction(), offsets)),
      );
    },
    async commit() {
      await flush();
      await end(true);
    },
    async abort() {
      // A batch that arrived behind the end of its transaction would belong to none.
      isAborting = true;
      if (flying > 0) await new Promise<void>((land) => landings.push(land));
      await end(false);
    },
    get failure() {
      return failure;
    },
    counts,
  };
}

/**
 * Offsets that a group has committed, by partition. Those that an open transaction is moving are waited for.
 * @throws EngineError KAFKA_PRODUCE, KAFKA_REFUSED (both retryable), KAFKA_CLOSED
 */
export async function readGroupOffsets(
  cluster: Cluster,
  group: string,
  topic: string,
  partitions: readonly number[],
): Promise<ReadonlyMap<number, number>> {
  const ask = (broker: BrokerConnection) => broker.ask(fetchOffsetsRequest(group, topic, partitions));
  const { code, offsets } = await cluster.coordinate({ kind: 'group', key: group, isSafeAgain: true, ask });
  if (code !== KAFKA_CODE.none) {
    throw new EngineError('KAFKA_PRODUCE', `offsets of group ${group}: ${nameOfCode(code)}`, { retryable: true });
  }
  return offsets;
}

/** Whatever may pass under another producer ends this one. */
function lossOf(error: unknown): EngineError {
  if (error instanceof ProducerLost || (error instanceof EngineError && !error.retryable)) return error;
  const code = error instanceof EngineError ? error.code : 'KAFKA_PRODUCE';
  return new ProducerLost(code, messageOf(error), { cause: error, retryable: true });
}

function unanswered(what: string, cause: EngineError): ProducerLost {
  return new ProducerLost('KAFKA_UNREACHABLE', `${what}: not known whether it was carried out: ${cause.message}`, {
    cause,
    retryable: true,
  });
}

function refusal({ topic, partition, recordCount, bytes }: Batch, code: number): EngineError {
  const isTooLarge = code === KAFKA_CODE.messageTooLarge || code === KAFKA_CODE.recordListTooLarge;
  const what = `batch of ${recordCount} messages, ${bytes.length} bytes, to ${topic}/${partition}`;
  if (isTooLarge && recordCount === 1)
    return new EngineError('KAFKA_MESSAGE', `${what}: ${nameOfCode(code)}; raise max.message.bytes of the topic`);
  return lostBy(what, code);
}
