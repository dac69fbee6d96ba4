/**
 * Publishes committed bars. Runs on main, between the committed ring and librdkafka.
 *
 * Order: bars of a symbol go to one partition in the order of the ring. The producer is idempotent and stops at the first failure that would
 * leave a gap; then it is replaced, and everything not acknowledged is sent again in order. A bar may so arrive twice, never out of
 * order, and its values are absolute.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import * as L from '../../../schemas/layout.gen.ts';
import type { Clock } from '../../core/clock.ts';
import { EngineError } from '../../core/errors.ts';
import { readInt64 } from '../../core/int64.ts';
import { createHistogram, encodeHistogram } from '../../core/latency.ts';
import { createBarEncoder } from '../../kernel/encode.ts';
import type { SymbolDictionary } from '../../market/instruments.ts';
import type { Timeframe } from '../../market/timeframes.ts';
import { createRing, type Ring } from '../../memory/ring.ts';
import { createProducerLink, isQueueFull, type LinkHealth, tryProduce } from './producer-link.ts';
import { createPublishWindow, type PublishWindow } from './publish-window.ts';
import type { Producer, Rdkafka } from './rdkafka.ts';
import { barsTopic } from './topics.ts';

/** Bars encoded and handed over in one poll. */
const BATCH = 2048;
/** Below librdkafka's own queue limit, so that a full queue is the exception. */
const IN_FLIGHT_MAX = 32_768;
const DRAIN_REST_MS = 1;
/** Bars in flight without any acknowledgement for this long mean that the brokers are away, whatever the client says of them. */
const STALL_MS = 3000;

export interface BarPublisherOptions {
  readonly library: Rdkafka;
  readonly brokers: string;
  readonly prefix: string;
  /** Ring of `bar` records that the Postgres writer fills after each commit; the publisher is its only consumer. */
  readonly committedRing: SharedArrayBuffer;
  readonly symbols: SymbolDictionary;
  readonly timeframes: readonly Timeframe[];
  readonly clock: Clock;
  /** Latencies are recorded only where event times follow the wall clock. */
  readonly isLive: boolean;
  readonly lingerMs: number;
  /** As in `ProducerLinkOptions`. */
  readonly retryFirstMs?: number;
}

export interface PublisherCounters {
  /** Bars acknowledged, by timeframe. */
  readonly published: Float64Array;
  /** Failures to deliver or hand over, by librdkafka's text. */
  readonly failed: ReadonlyMap<string, number>;
}

/** Since the start, in bars; failures in messages. */
export interface PublisherTotals {
  readonly acked: number;
  readonly failed: number;
  /** Bars sent again after a failure. */
  readonly retried: number;
  readonly inFlight: number;
  readonly outstanding: number;
}

export interface BarPublisher {
  /** @throws EngineError KAFKA_UNREACHABLE (retryable) */
  connect(): Promise<void>;
  /** Takes delivery reports in and hands over what is committed, bounded; returns how many bars. Never blocks. */
  poll(): number;
  /** Committed bars not acknowledged yet. */
  outstanding(): number;
  /** Polls until everything is acknowledged or the time is over; returns how many are left. */
  drain(timeoutMs: number): Promise<number>;
  counters(): PublisherCounters;
  totals(): PublisherTotals;
  /** Bucket end to acknowledgement in microseconds, since the last call, encoded; undefined when there is none. First revisions only. */
  takeLatency(): string | undefined;
  health(): LinkHealth;
  close(): Promise<void>;
}

/** @throws EngineError KERNEL_MISSING, KERNEL_LAYOUT */
export function createBarPublisher(options: BarPublisherOptions): BarPublisher {
  const { clock, timeframes } = options;
  const ring = createRing(options.committedRing, 0);
  const window = createPublishWindow(ring);
  const handOver = createBarHandover(options, ring, window);
  const published = new Float64Array(timeframes.length);
  const latency = createHistogram();
  const startedUs = clock.wallMs() * 1000;
  let acked = 0;
  let retried = 0;
  /** Wall clock of the latest acknowledgement, or of when something was first in flight after a rest. */
  let progressMs = clock.wallMs();

  const link = createProducerLink({
    ...options,
    onAcknowledged(position) {
      if (!window.acknowledge(position)) return;
      const word = window.wordAt(position);
      const timeframe = ring.words[word + L.BAR_TIMEFRAME_INDEX_I32]!;
      published[timeframe]! += 1;
      acked += 1;
      progressMs = clock.wallMs();
      if (!options.isLive || ring.words[word + L.BAR_REVISION_I32] !== 0) return;
      const endUs = readInt64(ring.words, word + (L.BAR_TS_START_NS >> 2)) / 1000 + (timeframes[timeframe]?.seconds ?? 0) * 1e6;
      // A bucket that had ended before the engine began (restored, or of a backlog) tells nothing about the engine.
      if (endUs < startedUs) return;
      latency.recordValue(Math.max(0, Math.round(clock.wallMs() * 1000 - endUs)));
    },
    onReplaced() {
      retried += window.rewind();
    },
  });

  const poll = (): number => {
    window.settle();
    const producer = link.producer;
    if (!producer) return 0;
    producer.poll();
    const count = Math.min(window.unsentRun(), BATCH, IN_FLIGHT_MAX - window.inFlight);
    if (count <= 0) return 0;
    if (window.inFlight === 0) progressMs = clock.wallMs();
    const result = handOver(producer, count);
    if (result.error) link.fail(result.error);
    return result.count;
  };

  return {
    connect: () => link.open(),
    poll,
    outstanding() {
      window.settle();
      return window.outstanding();
    },
    async drain(timeoutMs) {
      const endUs = clock.monotonicUs() + timeoutMs * 1000;
      for (;;) {
        const count = poll();
        if (window.outstanding() === 0 || clock.monotonicUs() >= endUs) return window.outstanding();
        if (count === 0) await sleep(DRAIN_REST_MS);
      }
    },
    counters: () => ({ published, failed: link.failed }),
    totals: () => ({
      acked,
      failed: [...link.failed.values()].reduce((sum, count) => sum + count, 0),
      retried,
      inFlight: window.inFlight,
      outstanding: window.outstanding(),
    }),
    takeLatency() {
      if (latency.totalCount === 0) return undefined;
      const encoded = encodeHistogram(latency);
      latency.reset();
      return encoded;
    },
    health() {
      if (!link.health.isUp || window.inFlight === 0 || clock.wallMs() - progressMs < STALL_MS) return link.health;
      return { isUp: false, detail: `${window.inFlight} bars in flight, none acknowledged for ${STALL_MS} ms`, sinceMs: progressMs };
    },
    close: () => link.close(),
  };
}

interface HandoverResult {
  readonly count: number;
  readonly error: Error | undefined;
}

/** Encodes the next bars of the window and hands them to librdkafka, which copies them; stops where its queue is full. */
function createBarHandover(
  options: BarPublisherOptions,
  ring: Ring,
  window: PublishWindow,
): (producer: Producer, count: number) => HandoverResult {
  const encoder = createBarEncoder(
    options.symbols,
    options.timeframes.map((timeframe) => timeframe.name),
  );
  const topics = options.timeframes.map((timeframe) => barsTopic(options.prefix, timeframe.name));
  const keys: (Buffer | undefined)[] = [];
  const slotWords = L.BAR_SIZE >> 2;

  const keyOf = (symbolIndex: number): Buffer => {
    const known = keys[symbolIndex];
    if (known) return known;
    const entry = options.symbols.read(symbolIndex);
    if (!entry) throw new EngineError('SYMBOL_UNREGISTERED', `committed bar of symbol ${symbolIndex}: no such entry in the dictionary`);
    const key = Buffer.from(entry.name);
    keys[symbolIndex] = key;
    return key;
  };

  return (producer, count) => {
    const first = window.sentPosition;
    const firstWord = window.wordAt(first);
    encoder.i32.set(ring.words.subarray(firstWord, firstWord + count * slotWords), encoder.inputI32Index);
    const { bytes, ends } = encoder.json(count);
    const payloads = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    let start = 0;
    let index = 0;
    let error: Error | undefined;
    for (; index < count; index += 1) {
      const position = first + index;
      const end = ends[index]!;
      // Quote bars have no payload: they are not published.
      const isWanted = end > start && !window.isAcknowledged(position);
      if (isWanted) {
        const word = firstWord + index * slotWords;
        const topic = topics[ring.words[word + L.BAR_TIMEFRAME_INDEX_I32]!] ?? '';
        error = tryProduce(producer, {
          topic,
          payload: payloads.subarray(start, end),
          key: keyOf(ring.words[word + L.BAR_SYMBOL_INDEX_I32]!),
          tag: position,
        });
        if (error) break;
      }
      window.markSent(1);
      if (end === start) window.acknowledge(position);
      start = end;
    }
    return { count: index, error: error && isQueueFull(error) ? undefined : error };
  };
}
