/**
 * Commits transactions of publishers that hang, by their ids: bars that are published are seen until then by nobody who reads what is committed.
 * They are found before an id is initialised or fenced, which makes brokers forget what was decided, and ended after it, when nothing else is under way.
 */
import { accessOf, type KafkaAccess } from '../../../config/kafka-access.ts';
import { type Clock, type Pause, SYSTEM_PAUSE } from '../../core/clock.ts';
import { EngineError, messageOf } from '../../core/errors.ts';
import { isPassing, nameOfCode } from '../../kafka-direct/broker-errors.ts';
import { createBrokers } from '../../kafka-direct/brokers.ts';
import { commitHanging, findHanging, HANGING_APIS, type OpenTransaction, stillOpen } from '../../kafka-direct/hanging-transactions.ts';

const CLIENT_ID = 'tickwright';
/** Of each answer. */
const TIMEOUT_MS = 3000;
/** Brokers that answer and do not know yet are waited for so long; then it goes on without. */
const UNDECIDED_US = 10_000_000;
const REST_MS = 100;
/** Markers are messages of this topic: an open one keeps them from being read. */
const MARKERS_TOPIC = '__consumer_offsets';

export interface HangingCheckOptions extends KafkaAccess {
  /** That transactions of publishers write to. */
  readonly topics: readonly string[];
  readonly clock: Clock;
  readonly pause?: Pause;
  /** Tells people, each thing once. */
  say(text: string): void;
}

export interface HangingCounts {
  /** Partitions in which one was committed. */
  readonly hangingEnded: number;
  /** Partitions in which one is left: brokers refuse its marker, or how it ended is not known. */
  readonly hangingLeft: number;
}

export interface HangingCheck {
  /** Before these ids are initialised or fenced. @throws EngineError KAFKA_UNREACHABLE (retryable) */
  find(transactionalIds: readonly string[]): Promise<void>;
  /** After it: commits what was found of these ids; what cannot be now, when it is next asked. @throws as `find` */
  end(transactionalIds: readonly string[]): Promise<void>;
  readonly counts: HangingCounts;
  close(): Promise<void>;
}

interface Found {
  readonly open: OpenTransaction;
  readonly isCommitted: boolean;
}

export function createHangingCheck({ topics, clock, say, pause = SYSTEM_PAUSE, ...access }: HangingCheckOptions): HangingCheck {
  const brokers = createBrokers({ clientId: CLIENT_ID, ...accessOf(access), apis: HANGING_APIS, timeoutMs: TIMEOUT_MS });
  const counts = { hangingEnded: 0, hangingLeft: 0 };
  const told = new Set<string>();
  /** Not ended yet, by what they are. What was found first is right: later on brokers know less. */
  const found = new Map<string, Found>();
  /** Ids that were initialised or fenced since. */
  const taken = new Set<string>();

  const sayOnce = (text: string): boolean => {
    if (told.has(text)) return false;
    told.add(text);
    say(text);
    return true;
  };
  /** Does it, as far as these brokers let it be done, waiting while they are about to know. @throws EngineError KAFKA_UNREACHABLE (retryable) */
  const attempt = async (work: () => Promise<void>): Promise<void> => {
    const endUs = clock.monotonicUs() + UNDECIDED_US;
    for (;;) {
      try {
        return await work();
      } catch (error) {
        const isUndecided = error instanceof EngineError && error.code === 'KAFKA_UNDECIDED';
        if (error instanceof EngineError && error.retryable && !isUndecided) throw error;
        if (!isUndecided || clock.monotonicUs() >= endUs || brokers.closing.aborted) {
          sayOnce(`Kafka: transactions that brokers leave open are not looked for: ${messageOf(error)}`);
          return;
        }
        await pause(REST_MS, brokers.closing).catch(() => undefined);
      }
    }
  };
  const endOne = async ({ open, isCommitted }: Found): Promise<void> => {
    const stays = 'readers of what is committed stand still there (docs/runbook.md)';
    if (!isCommitted) {
      if (sayOnce(`${textOf(open)}, and do not know how it ended; ${stays}`)) counts.hangingLeft += 1;
      return;
    }
    const code = await commitHanging(brokers, open);
    if (isPassing(code)) throw new EngineError('KAFKA_UNDECIDED', `${textOf(open)}: ${nameOfCode(code)}`, { retryable: true });
    if (code !== 0) {
      if (sayOnce(`${textOf(open)} which they count as committed, and refuse its marker: ${nameOfCode(code)}; ${stays}`))
        counts.hangingLeft += 1;
      return;
    }
    found.delete(textOf(open));
    counts.hangingEnded += 1;
    sayOnce(`${textOf(open)} which they count as committed; its marker is written now`);
  };

  return {
    find: (transactionalIds) =>
      attempt(async () => {
        const { committed, unknown } = await findHanging({ brokers, topics: [...topics, MARKERS_TOPIC], transactionalIds });
        for (const open of [...committed, ...unknown]) {
          const key = textOf(open);
          if (!found.has(key)) found.set(key, { open, isCommitted: committed.includes(open) });
        }
      }),
    async end(transactionalIds) {
      for (const id of transactionalIds) taken.add(id);
      if (![...found.values()].some(({ open }) => taken.has(open.transactionalId))) return;
      await attempt(async () => {
        const wanted = [...found.values()].filter(({ open }) => taken.has(open.transactionalId));
        const open = await stillOpen(
          brokers,
          wanted.map((one) => one.open),
        );
        for (const one of wanted) {
          if (open.includes(one.open)) await endOne(one);
          else found.delete(textOf(one.open));
        }
      });
    },
    counts,
    close: () => brokers.close(),
  };
}

function textOf({ transactionalId, topic, partition, offset }: OpenTransaction): string {
  return `Kafka: topic ${topic} partition ${partition}: brokers left a transaction of ${transactionalId} open at offset ${offset}`;
}
