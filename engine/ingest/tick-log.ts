/**
 * The producing side of the ticks topic: messages given are kept until they are acknowledged. A message that librdkafka's queue has no place
 * for waits; a producer that has failed is replaced, and what it left unacknowledged is sent again in order.
 *
 *   given ─▶ handed to the producer ─▶ acknowledged: forgotten
 *              └─ the producer failed: replaced with back-off, handed again
 *
 * Main thread only.
 */

import { setTimeout as sleep } from 'node:timers/promises';
import type { KafkaAccess } from '../../config/kafka-access.ts';
import type { Clock } from '../core/clock.ts';
import { assert, EngineError, messageOf } from '../core/errors.ts';
import {
  awaitTopic,
  clientTrouble,
  connectClient,
  disconnectProducer,
  PRODUCER_TOPIC_SETTINGS,
  producerSettings,
} from '../sinks/kafka/client.ts';
import { type Header, type Producer, RDKAFKA_ERROR, type Rdkafka } from '../sinks/kafka/rdkafka.ts';

/** What may be given and not acknowledged: 4 MB of packed ticks; messages stay below librdkafka's own 100,000. */
const TICKS_MAX = 131_072;
const MESSAGES_MAX = 50_000;
const CONNECT_TIMEOUT_MS = 5000;
/** How long a failed producer may take to tell what became of its messages. */
const LAST_REPORTS_MS = 2000;
const RETRY_FIRST_MS = 100;
const RETRY_LAST_MS = 5000;
/** Without an acknowledgement for so long, while some are wanted, the log is not well. */
const STALL_MS = 5000;
const POLL_REST_MS = 2;

export interface TickLogOptions extends KafkaAccess {
  readonly library: Rdkafka;
  readonly topic: string;
  readonly clock: Clock;
  /** How long librdkafka waits to fill a batch: 0 for messages that hold many ticks already. */
  readonly lingerMs: number;
  /** Called with each failure that the log mends by itself. */
  readonly onTrouble: (error: Error) => void;
  /** Ticks that may be unacknowledged; 131,072 unless given. */
  readonly ticksMax?: number;
  /** Wait before a failed producer is replaced; it doubles up to 5 s. 100 ms unless given. */
  readonly retryFirstMs?: number;
}

export interface LogMessage {
  readonly partition: number;
  readonly key: string;
  readonly value: Buffer;
  readonly headers: readonly Header[] | undefined;
  readonly tickCount: number;
}

export interface LogCounts {
  /** Ticks given, and those that Kafka has acknowledged. */
  readonly written: number;
  readonly acknowledged: number;
  readonly messages: number;
  /** Messages that a producer could not deliver; each was sent again. */
  readonly failedDeliveries: number;
  readonly replacedProducers: number;
}

export interface LogHealth {
  readonly isUp: boolean;
  readonly detail: string;
  /** Wall clock of the last change between up and down, ms. */
  readonly sinceMs: number;
}

export interface TickLog {
  /** Of the topic; 0 before `open`. */
  readonly partitionCount: number;
  /** Ticks that may be given now. */
  room(): number;
  /** Takes a message; call it within `room`. */
  send(message: LogMessage): void;
  /** Takes in what was acknowledged, and hands over what waits. Call it often; it returns at once. */
  poll(): void;
  counts(): LogCounts;
  /** Ticks given and not acknowledged, and the wall clock at which the oldest was given, ms. */
  readonly unacknowledged: number;
  readonly oldestMs: number | undefined;
  /** Offset after the last acknowledged message, by partition. */
  readonly ends: ReadonlyMap<number, number>;
  health(): LogHealth;
  /** @throws EngineError KAFKA_UNREACHABLE (retryable), KAFKA_TOPIC_MISSING */
  open(): Promise<void>;
  /** Waits until everything given is acknowledged, for `limitMs` at most. Returns the ticks that are not. */
  flush(limitMs: number): Promise<number>;
  close(): Promise<void>;
}

interface Waiting {
  readonly message: LogMessage;
  readonly givenMs: number;
}

export function createTickLog(options: TickLogOptions): TickLog {
  const { topic, clock, ticksMax = TICKS_MAX } = options;
  /** Not acknowledged, by number, in the order given. */
  const waiting = new Map<number, Waiting>();
  const ends = new Map<number, number>();
  let unhanded: number[] = [];
  let producer: Producer | undefined;
  let partitionCount = 0;
  let nextNumber = 1;
  /** Messages handed to the producer in hand that it has not reported on. */
  let unreported = 0;
  let isMending = false;
  let isClosing = false;
  const closing = new AbortController();
  let mending: Promise<void> = Promise.resolve();
  let progressMs = clock.wallMs();
  let health: LogHealth = { isUp: false, detail: 'not connected yet', sinceMs: clock.wallMs() };
  const counts = { written: 0, acknowledged: 0, messages: 0, failedDeliveries: 0, replacedProducers: 0 };

  const setHealth = (isUp: boolean, detail: string, sinceMs = clock.wallMs()): void => {
    if (health.isUp === isUp && health.detail === detail) return;
    // Since when is that of the change between up and down: a new reason does not make an outage younger.
    health = { isUp, detail, sinceMs: health.isUp === isUp ? health.sinceMs : sinceMs };
  };

  const breakDown = (error: Error): void => {
    setHealth(false, error.message);
    if (isMending || isClosing) return;
    isMending = true;
    options.onTrouble(error);
    mending = mend();
  };

  const onReport = (error: Error | null, report: { readonly partition: number; readonly offset: number; readonly opaque?: unknown }) => {
    unreported -= 1;
    if (error) {
      counts.failedDeliveries += 1;
      breakDown(error);
      return;
    }
    const number = typeof report.opaque === 'number' ? report.opaque : 0;
    const done = waiting.get(number);
    assert(done !== undefined, `message ${number} was acknowledged, and none such was sent`);
    waiting.delete(number);
    counts.acknowledged += done.message.tickCount;
    ends.set(report.partition, Math.max(ends.get(report.partition) ?? 0, report.offset + 1));
    progressMs = clock.wallMs();
    if (!isMending) setHealth(true, `writing to ${topic}`);
  };

  const connect = async (): Promise<void> => {
    const opened = await connectProducer(options);
    const next = opened.producer;
    next.on('delivery-report', (error, report) => {
      if (producer === next) onReport(error, report);
    });
    next.on('event.error', (error) => {
      if (producer !== next) return;
      const trouble = clientTrouble(error);
      if (trouble === 'fatal') breakDown(error);
      else if (trouble === 'allDown') setHealth(false, error.message);
    });
    partitionCount = opened.partitionCount;
    producer = next;
    unreported = 0;
    progressMs = clock.wallMs();
    setHealth(true, `writing to ${topic}`);
  };

  /** Replaces the producer. Never rejects: it goes on until it has one, or the log is closed. */
  const mend = async (): Promise<void> => {
    const untilMs = clock.wallMs() + LAST_REPORTS_MS;
    while (producer && unreported > 0 && clock.wallMs() < untilMs) {
      producer.poll();
      await sleep(POLL_REST_MS);
    }
    const old = producer;
    producer = undefined;
    if (old) await disconnectProducer(old, 0);
    for (let waitMs = options.retryFirstMs ?? RETRY_FIRST_MS; !isClosing; waitMs = Math.min(waitMs * 2, RETRY_LAST_MS)) {
      await sleep(waitMs, undefined, { signal: closing.signal }).catch(() => undefined);
      if (isClosing) return;
      try {
        await connect();
        break;
      } catch (error) {
        setHealth(false, messageOf(error));
      }
    }
    counts.replacedProducers += 1;
    unhanded = [...waiting.keys()];
    isMending = false;
  };

  /** False when librdkafka's queue has no place, or the producer has failed. */
  const hand = (to: Producer, number: number): boolean => {
    const message = waiting.get(number)?.message;
    assert(message !== undefined, `message ${number} is handed over and not kept`);
    try {
      to.produce(topic, message.partition, message.value, message.key, null, number, message.headers);
    } catch (error) {
      const isFull = error instanceof Error && 'code' in error && error.code === RDKAFKA_ERROR.queueFull;
      if (!isFull) breakDown(error instanceof Error ? error : new Error(String(error)));
      return false;
    }
    unreported += 1;
    return true;
  };

  const handAll = (): void => {
    let handed = 0;
    while (producer && !isMending && handed < unhanded.length && hand(producer, unhanded[handed]!)) handed += 1;
    if (handed > 0) unhanded = unhanded.slice(handed);
  };

  const poll = (): void => {
    if (isMending || !producer) return;
    producer.poll();
    if (unhanded.length > 0) handAll();
    if (waiting.size > 0 && clock.wallMs() - Math.max(progressMs, oldestMs() ?? 0) > STALL_MS) {
      setHealth(false, `${unacknowledged()} ticks not acknowledged for ${STALL_MS / 1000} s and more`, progressMs);
    }
  };

  const unacknowledged = (): number => counts.written - counts.acknowledged;

  const oldestMs = (): number | undefined => {
    for (const { givenMs } of waiting.values()) return givenMs;
    return undefined;
  };

  return {
    get partitionCount() {
      return partitionCount;
    },
    room() {
      if (!producer || isMending || isClosing || unhanded.length > 0 || waiting.size >= MESSAGES_MAX) return 0;
      return Math.max(0, ticksMax - unacknowledged());
    },
    send(message) {
      const number = nextNumber;
      nextNumber += 1;
      waiting.set(number, { message, givenMs: clock.wallMs() });
      counts.written += message.tickCount;
      counts.messages += 1;
      // Behind others that wait, lest it overtake them.
      if (!producer || isMending || unhanded.length > 0 || !hand(producer, number)) unhanded.push(number);
    },
    poll,
    counts: () => counts,
    get unacknowledged() {
      return unacknowledged();
    },
    get oldestMs() {
      return oldestMs();
    },
    ends,
    health: () => health,
    open: connect,
    async flush(limitMs) {
      const untilMs = clock.wallMs() + limitMs;
      for (;;) {
        poll();
        if (waiting.size === 0 || clock.wallMs() >= untilMs) return unacknowledged();
        await sleep(POLL_REST_MS);
      }
    },
    async close() {
      isClosing = true;
      closing.abort();
      await mending;
      const old = producer;
      producer = undefined;
      if (old) await disconnectProducer(old, 0);
      setHealth(false, 'closed');
    },
  };
}

async function connectProducer(options: TickLogOptions): Promise<{ producer: Producer; partitionCount: number }> {
  const { library, brokers, topic, lingerMs } = options;
  const producer = new library.Producer(producerSettings(options, lingerMs), PRODUCER_TOPIC_SETTINGS);
  await connectClient(producer, options, CONNECT_TIMEOUT_MS);
  try {
    const partitionCount = (await awaitTopic(producer, topic, { timeoutMs: CONNECT_TIMEOUT_MS }))?.partitions.length ?? 0;
    if (partitionCount > 0) return { producer, partitionCount };
    throw new EngineError('KAFKA_TOPIC_MISSING', `topic ${topic}: the brokers at ${brokers} have no such topic`);
  } catch (error) {
    await disconnectProducer(producer, 0);
    throw error;
  }
}
