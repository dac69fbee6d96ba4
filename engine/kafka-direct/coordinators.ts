/** Coordinators of groups and transactions: which broker it is, and questions that are put to it until it answers something that lasts. */
import type { Pause } from '../core/clock.ts';
import { EngineError, messageOf } from '../core/errors.ts';
import { isMoved, isPassing, KAFKA_CODE, nameOfCode } from './broker-errors.ts';
import type { Brokers } from './brokers.ts';
import type { BrokerConnection } from './connection.ts';
import { type Coded, findCoordinatorRequest } from './produce-requests.ts';

const RETRY_FIRST_MS = 5;
const RETRY_LAST_MS = 200;

/** `any`: of what every broker can answer. */
export type CoordinatorKind = 'group' | 'transaction' | 'any';

export interface Question<Answer> {
  readonly kind: CoordinatorKind;
  /** The group, or the transactional id. */
  readonly key: string;
  ask(broker: BrokerConnection): Promise<Answer>;
  /** False for what must not be done twice, as ending a transaction: a request without an answer may have been carried out. */
  readonly isSafeAgain: boolean;
}

export type Coordinate = <Answer extends Coded>(question: Question<Answer>) => Promise<Answer>;

export interface CoordinatorParts {
  readonly brokers: Brokers;
  readonly pause: Pause;
  /** Learns where the brokers are. */
  readonly look: () => Promise<unknown>;
}

/** What asks coordinators; see `Cluster.coordinate`. */
export function createCoordinators({ brokers, pause, look }: CoordinatorParts): Coordinate {
  const known = new Map<string, number>();

  /** The connection to a coordinator; undefined while there is none. */
  const find = async (kind: CoordinatorKind, key: string): Promise<BrokerConnection | undefined> => {
    if (kind === 'any') return brokers.askAny(async (connection) => connection);
    const before = known.get(`${kind} ${key}`);
    if (before !== undefined) return brokers.connectionTo(before);
    const { code, brokerId } = await brokers.askAny((connection) => connection.ask(findCoordinatorRequest(key, kind)));
    if (code !== KAFKA_CODE.none) {
      brokers.trouble = `coordinator of ${kind} ${key}: ${nameOfCode(code)}`;
      if (isPassing(code)) return undefined;
      throw new EngineError('KAFKA_REFUSED', brokers.trouble, { retryable: true });
    }
    if (!brokers.knows(brokerId)) await look();
    known.set(`${kind} ${key}`, brokerId);
    return brokers.connectionTo(brokerId);
  };

  /** Asks once; undefined when nobody was there to be asked, or the answer is one that passes. */
  const askOnce = async <Answer extends Coded>({ kind, key, ask, isSafeAgain }: Question<Answer>): Promise<Answer | undefined> => {
    let isAsked = false;
    try {
      const connection = await find(kind, key);
      if (connection === undefined) return undefined;
      isAsked = true;
      const answer = await ask(connection);
      if (isMoved(answer.code)) known.delete(`${kind} ${key}`);
      // A coordinator that could not write its decision down in time answers the same as one that is not there.
      const isAmbiguous = answer.code === KAFKA_CODE.coordinatorNotAvailable || answer.code === KAFKA_CODE.requestTimedOut;
      // The topic of offsets is not looked up by anybody who waits for it: its owner is to hear that there is none.
      const isUnknown = kind === 'group' && answer.code === KAFKA_CODE.unknownTopicOrPartition;
      if (!isPassing(answer.code) || isUnknown || (isAmbiguous && !isSafeAgain)) return answer;
      brokers.trouble = `${kind} ${key}: ${nameOfCode(answer.code)}`;
      return undefined;
    } catch (error) {
      known.delete(`${kind} ${key}`);
      // Who is turned away hears of it: whether to wait until somebody allows it is for the asker to decide.
      const isFinal = !(error instanceof EngineError) || !error.retryable || error.code === 'KAFKA_REFUSED';
      if (isFinal || (isAsked && !isSafeAgain)) throw error;
      brokers.trouble = messageOf(error);
      return undefined;
    }
  };

  return async (question) => {
    for (let restMs = RETRY_FIRST_MS; ; restMs = Math.min(restMs * 2, RETRY_LAST_MS)) {
      brokers.throwIfClosing();
      const answer = await askOnce(question);
      if (answer) return answer;
      await pause(restMs, brokers.closing).catch(() => undefined);
    }
  };
}
