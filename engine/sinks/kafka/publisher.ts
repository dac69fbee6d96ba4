/**
 * Publishes committed epochs. Runs on main, between the committed ring and a Kafka client.
 *
 *   announced epochs ─▶ one transaction: bars of whole epochs, their letters, the marker ─▶ slots go back to the ring
 *
 * Readers of what is committed see each bar once, whoever stops where; bars of a symbol go to one partition in the order of the ring. On
 * the embedded cluster the same calls are made, but nothing there hides what an aborted transaction has sent.
 */
import type { KafkaAccess } from '../../../config/kafka-access.ts';
import * as L from '../../../schemas/layout.gen.ts';
import { type Clock, type Pause, SYSTEM_PAUSE } from '../../core/clock.ts';
import { EngineError } from '../../core/errors.ts';
import { readInt64 } from '../../core/int64.ts';
import { createHistogram, encodeHistogram } from '../../core/latency.ts';
import type { SymbolDictionary } from '../../market/instruments.ts';
import type { Timeframe } from '../../market/timeframes.ts';
import { createRing } from '../../memory/ring.ts';
import { createBarHandover } from './bar-handover.ts';
import { createCommittedBacklog } from './committed-backlog.ts';
import type { DeadLetter } from './dlq.ts';
import { createEpochQueue, type Epoch } from './epoch-queue.ts';
import type { HangingCheck } from './hanging-check.ts';
import type { TransactionLane } from './lane.ts';
import type { TransactionOptions } from './marker.ts';
import { type Outlet, putAll } from './outlet.ts';
import type { Rdkafka } from './rdkafka.ts';
import { deadLetterTopic } from './topics.ts';
import { createTransactor, type LinkHealth } from './transactor.ts';

const DRAIN_REST_MS = 1;
/** A transaction that does not go on for this long means that the brokers are away, whatever the client says of them. */
const STALL_MS = 3000;

export interface BarPublisherOptions extends KafkaAccess {
  readonly library: Rdkafka;
  readonly prefix: string;
  /** Ring of `bar` records that the Postgres writer fills after each commit; the publisher is its only consumer. */
  readonly committedRing: SharedArrayBuffer;
  readonly symbols: SymbolDictionary;
  readonly timeframes: readonly Timeframe[];
  readonly clock: Clock;
  /** As in `TransactorOptions`. */
  readonly pause?: Pause;
  /** Latencies are recorded only where event times follow the wall clock. */
  readonly isLive: boolean;
  readonly lingerMs: number;
  /** As in `TransactorOptions`. */
  readonly retryFirstMs?: number;
  readonly transactions: TransactionOptions;
  /** By default librdkafka's. */
  readonly lane?: TransactionLane;
  /** As in `TransactorOptions`; its counts are told with the lane's. */
  readonly hanging?: Pick<HangingCheck, 'find' | 'end' | 'counts'>;
}

/** An epoch that the database holds, all of whose bars were put into the committed ring before. */
export interface CommittedEpoch {
  readonly databaseEpoch: number;
  /** Records of the epoch in the ring. */
  readonly bars: number;
  readonly letters: readonly DeadLetter[];
}

export interface PublisherCounters {
  /** Bars published, by timeframe. */
  readonly published: Float64Array;
  /** Failures of transactions, by librdkafka's text. */
  readonly failed: ReadonlyMap<string, number>;
}

/** Since the start, in bars; failures in attempts. */
export interface PublisherTotals {
  readonly acked: number;
  readonly failed: number;
  /** Bars of transactions that were sent again. */
  readonly retried: number;
  /** Bars of the transaction under way. */
  readonly inFlight: number;
  readonly outstanding: number;
  readonly letters: number;
  readonly transactions: number;
}

export interface BarPublisher {
  /** @throws EngineError KAFKA_UNREACHABLE (retryable), FENCED */
  connect(): Promise<void>;
  /** Says that an epoch is committed; in order. */
  epochCommitted(epoch: CommittedEpoch): void;
  /** Starts what can be started; returns how many bars were handed over since the last call. Never blocks. */
  poll(): number;
  /** Committed bars and announced letters not published yet. */
  outstanding(): number;
  /** Database epoch up to which everything is known to be published; 0 before the first. */
  readonly publishedEpoch: number;
  /** FENCED, or what will not pass: nothing more is published. */
  failure(): Error | undefined;
  /** Polls until everything is published, the publisher failed, or the time is over; returns how many are left. */
  drain(timeoutMs: number): Promise<number>;
  counters(): PublisherCounters;
  totals(): PublisherTotals;
  /** What the producers of its lane count, by name, and transactions that hung. */
  laneCounts(): Readonly<Record<string, number>>;
  /** Bucket end to commit in microseconds, since the last call, encoded; undefined when there is none. First revisions only. */
  takeLatency(): string | undefined;
  health(): LinkHealth;
  close(): Promise<void>;
}

interface Announced extends Epoch {
  readonly bars: number;
  /** Position behind the epoch's last bar. */
  readonly end: number;
  readonly letters: readonly DeadLetter[];
}

/** @throws EngineError KERNEL_MISSING, KERNEL_LAYOUT */
export function createBarPublisher(options: BarPublisherOptions): BarPublisher {
  const { clock, timeframes, transactions, pause = SYSTEM_PAUSE } = options;
  const backlog = createCommittedBacklog(createRing(options.committedRing, 0));
  const handOver = createBarHandover(options, backlog);
  const transactor = createTransactor(options);
  const letterTopic = deadLetterTopic(options.prefix);
  const published = new Float64Array(timeframes.length);
  const latency = createHistogram();
  const startedUs = clock.wallMs() * 1000;
  let announcedEnd = 0;
  let inFlight = 0;
  let handedOver = 0;
  let acked = 0;
  let letters = 0;
  let pendingLetters = 0;
  let retried = 0;
  let count = 0;

  const send = async (outlet: Outlet, epochs: readonly Announced[]): Promise<void> => {
    const end = epochs.at(-1)?.end ?? backlog.tail;
    inFlight = end - backlog.tail;
    for (let position = backlog.tail; position < end; ) {
      const taken = await handOver(outlet, position, end);
      position += taken;
      handedOver += taken;
    }
    const all = epochs.flatMap((epoch) => epoch.letters);
    await putAll(outlet, all, ({ key, json }) => ({ topic: letterTopic, key, payload: Buffer.from(json) }));
  };

  /** Counts what a committed transaction held, and gives its slots back. */
  const settle = (end: number): void => {
    const nowUs = clock.wallMs() * 1000;
    while (backlog.tail < end) {
      const { words, wordIndex, count: size } = backlog.piece(backlog.tail, end - backlog.tail);
      for (let word = wordIndex, index = 0; index < size; index += 1, word += L.BAR_SIZE >> 2) {
        if (words[word + L.BAR_INSTRUMENT_KIND_I32] === L.INSTRUMENT_KIND_QUOTE) continue;
        const timeframe = words[word + L.BAR_TIMEFRAME_INDEX_I32]!;
        published[timeframe]! += 1;
        acked += 1;
        if (!options.isLive || words[word + L.BAR_REVISION_I32] !== 0) continue;
        const endUs = readInt64(words, word + (L.BAR_TS_START_NS >> 2)) / 1000 + (timeframes[timeframe]?.seconds ?? 0) * 1e6;
        // A bucket that had ended before the engine began (restored, or of a backlog) tells nothing about the engine.
        if (endUs >= startedUs) latency.recordValue(Math.max(0, Math.round(nowUs - endUs)));
      }
      backlog.release(size);
    }
    inFlight = 0;
  };

  const queue = createEpochQueue<Announced>({
    transactor,
    lanes: transactions.lanes,
    sizeOf: (epoch) => epoch.bars + epoch.letters.length,
    send,
    onPublished(epochs, size, attempts) {
      const letterCount = epochs.reduce((sum, epoch) => sum + epoch.letters.length, 0);
      retried += Math.max(0, attempts - 1) * (size - letterCount);
      count += size > 0 ? 1 : 0;
      letters += letterCount;
      pendingLetters -= letterCount;
      settle(epochs.at(-1)?.end ?? backlog.tail);
    },
  });

  const poll = (): number => {
    // Without an epoch to publish nothing gives slots back: a writer that waits for them is putting an epoch larger than the ring.
    if (queue.length === 0 && backlog.isCrowded) backlog.moveAside();
    queue.poll();
    const done = handedOver;
    handedOver = 0;
    return done;
  };
  const outstanding = (): number => backlog.outstanding() + pendingLetters;

  return {
    connect: () => transactor.open(),
    epochCommitted(epoch) {
      const latest = queue.announcedEpoch;
      if (epoch.databaseEpoch <= latest || announcedEnd + epoch.bars > backlog.tail + backlog.outstanding()) {
        const text = `epoch ${epoch.databaseEpoch} of ${epoch.bars} bars: expected one after ${latest}, with its bars in the committed ring`;
        throw new EngineError('EPOCH_ORDER', text);
      }
      announcedEnd += epoch.bars;
      pendingLetters += epoch.letters.length;
      queue.announce({ ...epoch, end: announcedEnd });
    },
    poll,
    outstanding,
    get publishedEpoch() {
      return queue.publishedEpoch;
    },
    failure: queue.failure,
    async drain(timeoutMs) {
      const endUs = clock.monotonicUs() + timeoutMs * 1000;
      for (;;) {
        const taken = poll();
        if (queue.failure() || (outstanding() === 0 && queue.length === 0) || clock.monotonicUs() >= endUs) return outstanding();
        await pause(taken > 0 ? 0 : DRAIN_REST_MS);
      }
    },
    counters: () => ({ published, failed: transactor.failed }),
    laneCounts: () => ({ ...options.lane?.counts?.(), ...options.hanging?.counts }),
    totals: () => ({
      acked,
      failed: [...transactor.failed.values()].reduce((sum, failures) => sum + failures, 0),
      retried,
      inFlight,
      outstanding: outstanding(),
      letters,
      transactions: count,
    }),
    takeLatency() {
      if (latency.totalCount === 0) return undefined;
      const encoded = encodeHistogram(latency);
      latency.reset();
      return encoded;
    },
    health() {
      const { health, isBusy } = queue;
      const { progressMs } = transactor;
      if (!health.isUp || !isBusy || clock.wallMs() - progressMs < STALL_MS) return health;
      return { isUp: false, detail: `${inFlight} bars in flight, no answer for ${STALL_MS} ms`, sinceMs: progressMs };
    },
    close: () => transactor.close(),
  };
}
