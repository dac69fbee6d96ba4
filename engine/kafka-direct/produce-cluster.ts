/**
 * The brokers of a cluster as a producer sees them: one connection to each that it needs, who leads which partition, who coordinates what. A
 * connection that ended is made again when it is next asked for; metadata when somebody said that it is stale.
 */
import type { Clock, Pause } from '../core/clock.ts';
import { EngineError, messageOf } from '../core/errors.ts';
import { assertApi, type BrokerAddress, type BrokerConnection, connectBroker, parseBrokers, type Security, textOf } from './connection.ts';
import { isMoved, isPassing, KAFKA_CODE, nameOfCode } from './produce-errors.ts';
import { batchBytesRequest, METADATA_APIS, metadataRequest, type TopicLeaders } from './produce-metadata.ts';
import { type Coded, findCoordinatorRequest, PRODUCE_APIS } from './produce-requests.ts';

/** No answer for this long, and the connection is given up. */
const ANSWER_TIMEOUT_MS = 10_000;
/** Between two looks at metadata, and between two questions for who leads or coordinates. */
const REFRESH_REST_MS = 50;
const RETRY_FIRST_MS = 5;
const RETRY_LAST_MS = 200;

export interface ClusterOptions {
  readonly clientId: string;
  /** `host:port` pairs with commas between. */
  readonly brokers: string;
  readonly clock: Clock;
  readonly pause: Pause;
  readonly security?: Security;
}

/** `any`: of what every broker can answer. */
export type CoordinatorKind = 'group' | 'transaction' | 'any';

export interface Cluster {
  /** Made or waiting: a connection to this broker. @throws EngineError KAFKA_UNREACHABLE (retryable), KAFKA_API_MISSING */
  broker(brokerId: number): Promise<BrokerConnection>;
  /**
   * Looks up topics until each has a leader for every partition.
   * @throws EngineError KAFKA_UNREACHABLE (retryable), KAFKA_API_MISSING, KAFKA_REFUSED, KAFKA_CLOSED
   */
  lookUp(topics: readonly string[], patienceMs: number): Promise<void>;
  /** Looks the known topics up again, once. One look at a time; never rejects. */
  refresh(): Promise<void>;
  /** The broker that leads a partition; undefined while none is known. */
  leaderOf(topic: string, partition: number): number | undefined;
  /** Partitions of a topic that was looked up; 0 for another. */
  partitionsOf(topic: string): number;
  /** `max.message.bytes` of topics, of those whose settings may be read. Never rejects. */
  batchBytesOf(topics: readonly string[]): Promise<ReadonlyMap<string, number>>;
  /**
   * Asks a coordinator until it answers something that is not passing. What `isSafeAgain` says no to is not asked again once it may have been taken.
   * @throws EngineError KAFKA_CLOSED; KAFKA_UNREACHABLE (retryable) where it may not be asked again
   */
  coordinate<Answer extends Coded>(question: Question<Answer>): Promise<Answer>;
  /** What the latest failed attempt met; for health. */
  readonly trouble: string;
  close(): Promise<void>;
}

export interface Question<Answer> {
  readonly kind: CoordinatorKind;
  /** The group, or the transactional id. */
  readonly key: string;
  ask(broker: BrokerConnection): Promise<Answer>;
  /** False for what must not be done twice, as ending a transaction: a request without an answer may have been carried out. */
  readonly isSafeAgain: boolean;
}

const APIS = { ...PRODUCE_APIS, ...METADATA_APIS };

export function createCluster(options: ClusterOptions): Cluster {
  const { clock, pause } = options;
  const bootstrap = parseBrokers(options.brokers);
  const addresses = new Map<number, BrokerAddress>();
  const connections = new Map<string, Promise<BrokerConnection>>();
  const topics = new Map<string, readonly number[]>();
  const coordinators = new Map<string, number>();
  const closing = new AbortController();
  let trouble = '';
  let refreshing: Promise<void> | undefined;
  let turn = 0;

  const throwIfClosing = (): void => {
    if (closing.signal.aborted) throw new EngineError('KAFKA_CLOSED', `producer of ${options.brokers}: closed`);
  };
  const rest = async (ms: number): Promise<void> => {
    await pause(ms, closing.signal).catch(throwIfClosing);
    throwIfClosing();
  };

  const connect = async (address: BrokerAddress): Promise<BrokerConnection> => {
    const broker = await connectBroker(address, {
      clientId: options.clientId,
      timeoutMs: ANSWER_TIMEOUT_MS,
      ...(options.security ? { security: options.security } : {}),
    });
    for (const [name, api] of Object.entries(APIS)) assertApi(broker, api, name);
    return broker;
  };

  /** The connection to an address, as long as it is open; then another one. */
  const connectionTo = async (address: BrokerAddress): Promise<BrokerConnection> => {
    throwIfClosing();
    const key = textOf(address);
    const made = connections.get(key);
    if (made) {
      const broker = await made.catch(() => undefined);
      if (broker?.isOpen) return broker;
      if (connections.get(key) === made) connections.delete(key);
      return connectionTo(address);
    }
    const next = connect(address);
    connections.set(key, next);
    try {
      return await next;
    } catch (error) {
      if (connections.get(key) === next) connections.delete(key);
      throw error;
    }
  };

  const broker = async (brokerId: number): Promise<BrokerConnection> => {
    const address = addresses.get(brokerId);
    if (!address) throw new EngineError('KAFKA_UNREACHABLE', `broker ${brokerId}: no address known`, { retryable: true });
    return connectionTo(address);
  };

  /** Any broker that answers, each in turn: those of the metadata, then those that were given. */
  const ask = async <Answer>(question: (broker: BrokerConnection) => Promise<Answer>): Promise<Answer> => {
    const candidates = [...new Map([...addresses.values(), ...bootstrap].map((address) => [textOf(address), address])).values()];
    turn += 1;
    let last: unknown;
    for (let index = 0; index < candidates.length; index += 1) {
      throwIfClosing();
      try {
        return await question(await connectionTo(candidates[(turn + index) % candidates.length]!));
      } catch (error) {
        if (error instanceof EngineError && !error.retryable) throw error;
        last = error;
        trouble = messageOf(error);
      }
    }
    throw last;
  };

  const take = ({ name, leaders }: TopicLeaders): void => {
    // A topic that is unknown for a moment keeps its partitions: keys would move otherwise.
    if (leaders.length > 0) topics.set(name, leaders);
    else
      topics.set(
        name,
        (topics.get(name) ?? []).map(() => -1),
      );
  };
  const look = async (names: readonly string[]): Promise<void> => {
    const metadata = await ask((connection) => connection.ask(metadataRequest(names)));
    for (const [brokerId, address] of metadata.brokers) addresses.set(brokerId, address);
    for (const topic of metadata.topics) take(topic);
    const missing = metadata.topics.find((topic) => topic.code !== KAFKA_CODE.none);
    if (missing) trouble = `topic ${missing.name}: ${nameOfCode(missing.code)}`;
  };
  const isLed = (name: string): boolean => {
    const leaders = topics.get(name);
    return leaders !== undefined && leaders.length > 0 && !leaders.includes(-1);
  };

  /** The connection to a coordinator; undefined while there is none. */
  const findCoordinator = async (kind: CoordinatorKind, key: string): Promise<BrokerConnection | undefined> => {
    if (kind === 'any') return ask(async (connection) => connection);
    const known = coordinators.get(`${kind} ${key}`);
    if (known !== undefined) return broker(known);
    const { code, brokerId } = await ask((connection) => connection.ask(findCoordinatorRequest(key, kind)));
    if (code !== KAFKA_CODE.none) {
      trouble = `coordinator of ${kind} ${key}: ${nameOfCode(code)}`;
      if (isPassing(code)) return undefined;
      throw new EngineError('KAFKA_REFUSED', trouble, { retryable: true });
    }
    if (!addresses.has(brokerId)) await look([]);
    coordinators.set(`${kind} ${key}`, brokerId);
    return broker(brokerId);
  };

  /** Asks once; undefined when nobody was there to be asked, or the answer is one that passes. */
  const coordinateOnce = async <Answer extends Coded>({
    kind,
    key,
    ask: put,
    isSafeAgain,
  }: Question<Answer>): Promise<Answer | undefined> => {
    let isAsked = false;
    try {
      const connection = await findCoordinator(kind, key);
      if (connection === undefined) return undefined;
      isAsked = true;
      const answer = await put(connection);
      if (isMoved(answer.code)) coordinators.delete(`${kind} ${key}`);
      // A coordinator that could not write its decision down in time answers the same as one that is not there.
      const isAmbiguous = answer.code === KAFKA_CODE.coordinatorNotAvailable || answer.code === KAFKA_CODE.requestTimedOut;
      // The topic of offsets is not looked up by anybody who waits for it: its owner is to hear that there is none.
      const isUnknown = kind === 'group' && answer.code === KAFKA_CODE.unknownTopicOrPartition;
      if (!isPassing(answer.code) || isUnknown || (isAmbiguous && !isSafeAgain)) return answer;
      trouble = `${kind} ${key}: ${nameOfCode(answer.code)}`;
      return undefined;
    } catch (error) {
      coordinators.delete(`${kind} ${key}`);
      if (!(error instanceof EngineError) || !error.retryable || (isAsked && !isSafeAgain)) throw error;
      trouble = messageOf(error);
      return undefined;
    }
  };

  return {
    broker,
    async lookUp(names, patienceMs) {
      const endUs = clock.monotonicUs() + patienceMs * 1000;
      for (;;) {
        const isAnswered = await look(names).then(
          () => true,
          (error: unknown) => {
            if (!(error instanceof EngineError) || !error.retryable) throw error;
            trouble = messageOf(error);
            return false;
          },
        );
        const missing = names.filter((name) => !isLed(name));
        if (isAnswered && missing.length === 0) return;
        if (clock.monotonicUs() >= endUs) {
          const what = isAnswered
            ? `topics ${missing.join(', ')}: not all partitions have a leader`
            : `brokers ${options.brokers}: no answer`;
          throw new EngineError('KAFKA_UNREACHABLE', `${what} after ${patienceMs} ms: ${trouble}`, { retryable: true });
        }
        await rest(REFRESH_REST_MS);
      }
    },
    refresh() {
      refreshing ??= look([...topics.keys()])
        .catch((error: unknown) => {
          trouble = messageOf(error);
        })
        .then(() => pause(REFRESH_REST_MS, closing.signal))
        .catch(() => undefined)
        .then(() => {
          refreshing = undefined;
        });
      return refreshing;
    },
    leaderOf(topic, partition) {
      const leader = topics.get(topic)?.[partition];
      return leader === undefined || leader < 0 ? undefined : leader;
    },
    partitionsOf: (topic) => topics.get(topic)?.length ?? 0,
    async batchBytesOf(names) {
      return ask((connection) => connection.ask(batchBytesRequest(names))).catch((error: unknown) => {
        trouble = messageOf(error);
        return new Map<string, number>();
      });
    },
    async coordinate(question) {
      for (let restMs = RETRY_FIRST_MS; ; restMs = Math.min(restMs * 2, RETRY_LAST_MS)) {
        throwIfClosing();
        const answer = await coordinateOnce(question);
        if (answer) return answer;
        await rest(restMs);
      }
    },
    get trouble() {
      return trouble;
    },
    async close() {
      closing.abort();
      const open = [...connections.values()];
      connections.clear();
      for (const connection of open) await connection.then((made) => made.close()).catch(() => undefined);
    },
  };
}
