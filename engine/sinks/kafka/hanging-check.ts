/**
 * Ends transactions of publishers that hang, by their ids: bars that are published are seen until then by nobody who reads what is committed.
 * Asked by who owns the ids, and only while it has no transaction under way: a marker that comes late would end the next one in its middle.
 */
import { accessOf, type KafkaAccess } from '../../../config/kafka-access.ts';
import { EngineError, messageOf } from '../../core/errors.ts';
import { nameOfCode } from '../../kafka-direct/broker-errors.ts';
import { createBrokers } from '../../kafka-direct/brokers.ts';
import { endHangingTransactions, HANGING_APIS, type HangingTransaction } from '../../kafka-direct/hanging-transactions.ts';

const CLIENT_ID = 'tickwright';
/** Of each answer. */
const TIMEOUT_MS = 3000;
/** Markers are messages of this topic: an open one keeps them from being read. */
const MARKERS_TOPIC = '__consumer_offsets';

export interface HangingCheckOptions extends KafkaAccess {
  /** That transactions of publishers write to. */
  readonly topics: readonly string[];
  /** Tells people, each thing once. */
  say(text: string): void;
}

export interface HangingCounts {
  readonly hangingEnded: number;
  /** Markers that brokers did not take. */
  readonly hangingRefused: number;
}

export interface HangingCheck {
  /** Looks once, and ends what hangs. Never rejects: what cannot be looked at now is looked at the next time. */
  look(transactionalIds: readonly string[]): Promise<void>;
  readonly counts: HangingCounts;
  close(): Promise<void>;
}

export function createHangingCheck({ topics, say, ...access }: HangingCheckOptions): HangingCheck {
  const brokers = createBrokers({ clientId: CLIENT_ID, ...accessOf(access), apis: HANGING_APIS, timeoutMs: TIMEOUT_MS });
  const counts = { hangingEnded: 0, hangingRefused: 0 };
  const told = new Set<string>();
  const sayOnce = (text: string): void => {
    if (told.has(text)) return;
    told.add(text);
    say(text);
  };
  return {
    async look(transactionalIds) {
      try {
        const isOurs = (transactionalId: string): boolean => transactionalIds.includes(transactionalId);
        for (const hanging of await endHangingTransactions({ brokers, topics: [...topics, MARKERS_TOPIC], isOurs })) {
          counts[hanging.code === 0 ? 'hangingEnded' : 'hangingRefused'] += 1;
          sayOnce(textOf(hanging));
        }
      } catch (error) {
        // Brokers that are away are told of by who publishes.
        const isPassing = error instanceof EngineError && (error.retryable || error.code === 'KAFKA_CLOSED');
        if (!isPassing) sayOnce(`Kafka: transactions that brokers leave open are not looked for: ${messageOf(error)}`);
      }
    },
    counts,
    close: () => brokers.close(),
  };
}

function textOf({ topic, partition, offset, isCommitted, code }: HangingTransaction): string {
  const decision = isCommitted ? 'committed' : 'aborted';
  const what = `Kafka: topic ${topic} partition ${partition}: brokers left a transaction open at offset ${offset} that they count as ${decision}`;
  if (code === 0) return `${what}; its marker is written now`;
  return `${what}, and refuse its marker: ${nameOfCode(code)}; readers of what is committed stand still there (docs/runbook.md)`;
}
