/**
 * A producer that is replaced when it fails. librdkafka retries by itself what can be retried, in order and for as long as it takes; what is
 * left, such as an idempotent producer that has met a gap, ends that producer. The link then waits until it is gone, has everything that
 * was not acknowledged sent again by its user, and opens another.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import type { Clock } from '../../core/clock.ts';
import { messageOf } from '../../core/errors.ts';
import { clientTrouble, connectClient, disconnectProducer, PRODUCER_TOPIC_SETTINGS, producerSettings } from './client.ts';
import { type Producer, RDKAFKA_ERROR, type Rdkafka } from './rdkafka.ts';

const CONNECT_TIMEOUT_MS = 15_000;
const CLOSE_FLUSH_MS = 2000;
const RETRY_FIRST_MS = 250;
const RETRY_LAST_MS = 5000;

export interface LinkHealth {
  readonly isUp: boolean;
  readonly detail: string;
  /** Wall clock of the last change, ms. */
  readonly sinceMs: number;
}

export interface ProducerLinkOptions {
  readonly library: Rdkafka;
  readonly brokers: string;
  readonly lingerMs: number;
  readonly clock: Clock;
  /** Wait before the first replacement; it doubles up to 5 s until something is acknowledged. 250 ms unless given. */
  readonly retryFirstMs?: number;
  /** `tag` is the number that the message was produced with, as its opaque. */
  readonly onAcknowledged: (tag: number) => void;
  /** The old producer is gone: everything not acknowledged has to be produced again, in order. */
  readonly onReplaced: () => void;
}

export interface ProducerLink {
  /** Undefined before `open`, while a failed one is being replaced, and after `close`. */
  readonly producer: Producer | undefined;
  readonly health: LinkHealth;
  /** Failures by librdkafka's text. */
  readonly failed: ReadonlyMap<string, number>;
  /** @throws EngineError KAFKA_UNREACHABLE (retryable) */
  open(): Promise<void>;
  /** What the user met when it handed a message over. */
  fail(error: Error): void;
  close(): Promise<void>;
}

export function createProducerLink(options: ProducerLinkOptions): ProducerLink {
  const { library, brokers, clock, retryFirstMs = RETRY_FIRST_MS } = options;
  const failed = new Map<string, number>();
  const closing = new AbortController();
  let producer: Producer | undefined;
  let replacement: Promise<void> | undefined;
  let retryMs = retryFirstMs;
  let health: LinkHealth = { isUp: false, detail: 'not connected yet', sinceMs: clock.wallMs() };

  const setHealth = (isUp: boolean, detail: string): void => {
    if (health.isUp !== isUp || health.detail !== detail) health = { isUp, detail, sinceMs: clock.wallMs() };
  };

  const fail = (error: Error): void => {
    failed.set(error.message, (failed.get(error.message) ?? 0) + 1);
    setHealth(false, error.message);
    replacement ??= replace();
  };

  const open = async (): Promise<void> => {
    const next = new library.Producer(producerSettings(brokers, options.lingerMs), PRODUCER_TOPIC_SETTINGS);
    next.on('delivery-report', (error, report) => {
      // An acknowledgement is true whenever it comes. A failure concerns only the producer in use: what others held is sent again anyway.
      if (error) {
        if (producer === next) fail(error);
        return;
      }
      retryMs = retryFirstMs;
      if (producer === next) setHealth(true, 'publishing');
      options.onAcknowledged(Number(report.opaque));
    });
    next.on('event.error', (error) => {
      if (producer !== next) return;
      const trouble = clientTrouble(error);
      if (trouble === 'fatal') fail(error);
      else if (trouble === 'allDown') setHealth(false, error.message);
    });
    await connectClient(next, brokers, CONNECT_TIMEOUT_MS);
    producer = next;
    setHealth(true, 'connected');
  };

  const replace = async (): Promise<void> => {
    const old = producer;
    producer = undefined;
    if (old) await disconnectProducer(old, 0);
    options.onReplaced();
    while (!producer && !closing.signal.aborted) {
      try {
        await sleep(retryMs, undefined, { signal: closing.signal });
        retryMs = Math.min(retryMs * 2, RETRY_LAST_MS);
        await open();
      } catch (error) {
        if (!closing.signal.aborted) setHealth(false, messageOf(error));
      }
    }
    replacement = undefined;
  };

  return {
    get producer() {
      return producer;
    },
    get health() {
      return health;
    },
    failed,
    open,
    fail,
    async close() {
      closing.abort();
      await replacement;
      const last = producer;
      producer = undefined;
      if (last) await disconnectProducer(last, CLOSE_FLUSH_MS);
      setHealth(false, 'closed');
    },
  };
}

export interface Outgoing {
  readonly topic: string;
  readonly payload: Buffer;
  readonly key: Buffer | string;
  /** Comes back with the acknowledgement. */
  readonly tag: number;
}

/** Hands a message to librdkafka, which copies it. A refusal is an answer here, not an exception. */
export function tryProduce(producer: Producer, { topic, payload, key, tag }: Outgoing): Error | undefined {
  try {
    producer.produce(topic, null, payload, key, null, tag);
    return undefined;
  } catch (error) {
    return error instanceof Error ? error : new Error(messageOf(error));
  }
}

/** True for the one refusal that only asks to come back later. */
export function isQueueFull(error: Error): boolean {
  return 'code' in error && error.code === RDKAFKA_ERROR.queueFull;
}
