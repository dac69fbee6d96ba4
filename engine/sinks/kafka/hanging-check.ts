/**
 * Commits transactions of publishers that hang, by their ids: bars that are published are seen until then by nobody who reads what is committed.
 * They are found before an id is initialised or fenced, which forgets what was decided, and ended after it, when nothing else is under way.
 */
import { accessOf, type KafkaAccess } from '../../../config/kafka-access.ts';
import type { Clock } from '../../core/clock.ts';
import { EngineError, messageOf } from '../../core/errors.ts';
import { nameOfCode } from '../../kafka-direct/broker-errors.ts';
import { createBrokers } from '../../kafka-direct/brokers.ts';
import { commitHanging, findHanging, HANGING_APIS, type OpenTransaction } from '../../kafka-direct/hanging-transactions.ts';

const CLIENT_ID = 'tickwright';
/** Of each answer. */
const TIMEOUT_MS = 3000;
/** Brokers that answer and do not know are waited for so long; then it goes on without. */
const UNDECIDED_US = 30_000_000;
/** Markers are messages of this topic: an open one keeps them from being read. */
const MARKERS_TOPIC = '__consumer_offsets';

export interface HangingCheckOptions extends KafkaAccess {
  /** That transactions of publishers write to. */
  readonly topics: readonly string[];
  readonly clock: Clock;
  /** Tells people, each thing once. */
  say(text: string): void;
}

export interface HangingCounts {
  /** Partitions in which one was committed. */
  readonly hangingEnded: number;
  /** Partitions in which one is left: brokers refuse its marker, or what it is cannot be told. */
  readonly hangingLeft: number;
}

export interface HangingCheck {
  /** Before these ids are initialised or fenced. @throws EngineError KAFKA_UNREACHABLE, KAFKA_UNDECIDED (both retryable) */
  find(transactionalIds: readonly string[]): Promise<void>;
  /** After it: commits what was found of these ids. @throws as `find`; asked again, it goes on */
  end(transactionalIds: readonly string[]): Promise<void>;
  readonly counts: HangingCounts;
  close(): Promise<void>;
}

export function createHangingCheck({ topics, clock, say, ...access }: HangingCheckOptions): HangingCheck {
  const brokers = createBrokers({ clientId: CLIENT_ID, ...accessOf(access), apis: HANGING_APIS, timeoutMs: TIMEOUT_MS });
  const counts = { hangingEnded: 0, hangingLeft: 0 };
  const told = new Set<string>();
  /** Found, and not ended yet, by what they are. */
  const found = new Map<string, OpenTransaction>();
  let undecidedUs: number | undefined;

  const sayOnce = (text: string): boolean => {
    if (told.has(text)) return false;
    told.add(text);
    say(text);
    return true;
  };
  /** Does it, as far as these brokers let it be done. @throws EngineError what passes */
  const attempt = async (work: () => Promise<void>): Promise<void> => {
    try {
      await work();
      undecidedUs = undefined;
    } catch (error) {
      if (!(error instanceof EngineError) || !error.retryable) {
        sayOnce(`Kafka: transactions that brokers leave open are not looked for: ${messageOf(error)}`);
        return;
      }
      undecidedUs = error.code === 'KAFKA_UNDECIDED' ? (undecidedUs ?? clock.monotonicUs()) : undefined;
      if (undecidedUs === undefined || clock.monotonicUs() - undecidedUs < UNDECIDED_US) throw error;
      sayOnce(`Kafka: transactions that brokers leave open are not looked for now: ${messageOf(error)}`);
    }
  };
  const left = (one: OpenTransaction, why: string): void => {
    if (sayOnce(`${textOf(one)}${why}; readers of what is committed stand still there (docs/runbook.md)`)) counts.hangingLeft += 1;
  };

  return {
    find: (transactionalIds) =>
      attempt(async () => {
        const isOurs = (transactionalId: string): boolean => transactionalIds.includes(transactionalId);
        const { committed, unknown } = await findHanging({ brokers, topics: [...topics, MARKERS_TOPIC], isOurs });
        for (const one of committed) found.set(textOf(one), one);
        for (const one of unknown) {
          if (!found.has(textOf(one))) left(one, ' whose outcome they no longer know');
        }
      }),
    end: (transactionalIds) =>
      attempt(async () => {
        const wanted = [...found.values()].filter(({ transactionalId }) => transactionalIds.includes(transactionalId));
        if (wanted.length === 0) return;
        for (const [one, code] of await commitHanging(brokers, wanted)) {
          if (code !== 0) left(one, ` which they count as committed, and refuse its marker: ${nameOfCode(code)}`);
          else if (sayOnce(`${textOf(one)} which they count as committed; its marker is written now`)) counts.hangingEnded += 1;
        }
        for (const one of wanted) found.delete(textOf(one));
      }),
    counts,
    close: () => brokers.close(),
  };
}

function textOf({ transactionalId, topic, partition, offset }: OpenTransaction): string {
  return `Kafka: topic ${topic} partition ${partition}: brokers left a transaction of ${transactionalId} open at offset ${offset}`;
}
