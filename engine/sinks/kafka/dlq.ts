/**
 * Dead letters: what a source could not understand or had to refuse, with its coordinates and bytes, in the topic `dlq`. Letters wait in a
 * bounded buffer until they are acknowledged; one that finds it full is dropped and counted.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import type { Clock } from '../../core/clock.ts';
import type { Rejected } from '../../ingest/source.ts';
import { createProducerLink, isQueueFull, type LinkHealth, tryProduce } from './producer-link.ts';
import type { Producer, Rdkafka } from './rdkafka.ts';
import { deadLetterTopic } from './topics.ts';

const LETTERS_MAX = 16_384;
const LETTER_BYTES_MAX = 33_554_432;
/** Letters handed over in one turn. */
const BATCH = 1024;
const LINGER_MS = 20;
const PUMP_MS = 5;
const CLOSE_TIMEOUT_MS = 5000;

export interface DeadLetterOptions {
  readonly library: Rdkafka;
  readonly brokers: string;
  readonly prefix: string;
  readonly clock: Clock;
}

export interface DeadLetterTotals {
  readonly acked: number;
  /** Letters that found the buffer full. */
  readonly dropped: number;
  readonly retried: number;
  readonly outstanding: number;
}

export interface DeadLetters {
  /** Takes a letter in; it is handed over in the background. The first one opens the connection. */
  send(rejected: Rejected): void;
  /** Letters taken in. */
  sent(): number;
  totals(): DeadLetterTotals;
  health(): LinkHealth;
  /** Waits up to 5 s for acknowledgements, then ends; `totals` tells what was left. */
  close(): Promise<void>;
}

interface Letter {
  readonly key: string;
  readonly payload: Buffer;
}

/** The payload of a letter; its schema is schemas/json/dlq.schema.json. */
export function deadLetterJson(rejected: Rejected, tsMs: number): string {
  return JSON.stringify({
    topic: rejected.topic,
    partition: rejected.partition,
    offset: String(rejected.offset),
    record_index: rejected.recordIndex,
    reason: rejected.reason,
    raw_base64: Buffer.from(rejected.raw.buffer, rejected.raw.byteOffset, rejected.raw.byteLength).toString('base64'),
    ts_ms: Math.floor(tsMs),
  });
}

export function createDeadLetters(options: DeadLetterOptions): DeadLetters {
  const topic = deadLetterTopic(options.prefix);
  /** By number, in order; a letter leaves when it is acknowledged. */
  const held = new Map<number, Letter>();
  let heldBytes = 0;
  let sent = 0;
  let acked = 0;
  let dropped = 0;
  let retried = 0;
  let nextToHandOver = 0;
  let isPumping = false;
  let isClosing = false;
  let opening: Promise<void> | undefined;

  const link = createProducerLink({
    ...options,
    lingerMs: LINGER_MS,
    onAcknowledged(number) {
      const letter = held.get(number);
      if (!letter) return;
      held.delete(number);
      heldBytes -= letter.payload.length;
      acked += 1;
    },
    onReplaced() {
      const [oldest] = held.keys();
      for (const number of held.keys()) if (number < nextToHandOver) retried += 1;
      nextToHandOver = oldest ?? sent;
    },
  });

  const handOver = (producer: Producer): void => {
    producer.poll();
    for (let count = 0; nextToHandOver < sent && count < BATCH; nextToHandOver += 1, count += 1) {
      const letter = held.get(nextToHandOver);
      const error = letter && tryProduce(producer, { topic, ...letter, tag: nextToHandOver });
      if (!error) continue;
      if (!isQueueFull(error)) link.fail(error);
      return;
    }
  };

  /** Runs while letters are held. The connection is made once; after that the link replaces its producer by itself. */
  const pump = (): void => {
    opening ??= link.open().catch((error: Error) => link.fail(error));
    if (link.producer) handOver(link.producer);
    isPumping = held.size > 0 && !isClosing;
    if (isPumping) setTimeout(pump, PUMP_MS).unref();
  };

  return {
    send(rejected) {
      const payload = Buffer.from(deadLetterJson(rejected, options.clock.wallMs()));
      if (held.size >= LETTERS_MAX || heldBytes + payload.length > LETTER_BYTES_MAX) {
        dropped += 1;
        return;
      }
      held.set(sent, { key: `${rejected.topic}:${rejected.partition}:${rejected.offset}`, payload });
      heldBytes += payload.length;
      sent += 1;
      if (isPumping) return;
      isPumping = true;
      setImmediate(pump);
    },
    sent: () => sent,
    totals: () => ({ acked, dropped, retried, outstanding: held.size }),
    health: () => link.health,
    async close() {
      isClosing = true;
      const endUs = options.clock.monotonicUs() + CLOSE_TIMEOUT_MS * 1000;
      while (held.size > 0 && options.clock.monotonicUs() < endUs) {
        pump();
        await sleep(PUMP_MS);
      }
      await opening;
      await link.close();
    },
  };
}
