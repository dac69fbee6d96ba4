/** Routes staged records through the kernel, publishes what it put out, and counts. Main thread only. */
import * as L from '../../schemas/layout.gen.ts';
import { REFUSAL } from '../../schemas/records.ts';
import type { Clock } from '../core/clock.ts';
import { assert } from '../core/errors.ts';
import { sessionDayOf } from '../market/calendar.ts';
import { type IngestKernel, STAGING_CAPACITY, TICK_WORDS } from './port-kernel.ts';
import type { Outbox } from './port-outbox.ts';
import type { Registry } from './port-registry.ts';

export interface IngestCounts {
  /** Ticks and messages that came; a packed message counts its records, or 1 when it is malformed as a whole. */
  readonly offered: number;
  /** Trades, and the trades in source bars. */
  readonly acceptedTrades: number;
  /** Their quantity; lots of different instruments add up. */
  readonly acceptedLots: bigint;
  readonly acceptedQuotes: number;
  readonly acceptedBars: number;
  /** By name of the reason. `tooLate` ticks went to the shards, for late_ticks. */
  readonly refused: ReadonlyMap<string, number>;
}

/** What was accepted of one partition: trades with their quantity, and quotes. */
export interface AcceptedSums {
  readonly partition: number;
  readonly volumeLots: bigint;
  readonly tradeCount: bigint;
  readonly quoteCount: bigint;
}

export interface RouterOptions {
  readonly kernel: IngestKernel;
  readonly clock: Clock;
  /** How far an event time may be ahead of the wall clock. */
  readonly futureMs: number;
  readonly registry: Registry;
  readonly outboxes: readonly Outbox[];
  readonly partitionCapacity: number;
  /** Called when records of a partition went out, with the wall time. */
  readonly onArrival: (partition: number, wallMs: number) => void;
}

export interface Router {
  /** Routes the first `count` staged records and returns how many were refused; the kernel keeps their list until the next call. */
  routeStaged(count: number, partition: number, isStamped: boolean): number;
  /** Counts what never became a record. */
  refuse(reason: number, count: number): void;
  counts(): IngestCounts;
  /** What was accepted since the last call, by partition; partitions without anything are left out. */
  takeAccepted(): AcceptedSums[];
  /** Counts from 0 again. */
  forgetCounts(): void;
}

const REASONS = Object.entries(REFUSAL);
const OUTPUT_WORDS = 2 * STAGING_CAPACITY * TICK_WORDS;

export function createRouter(options: RouterOptions): Router {
  const { kernel, clock, futureMs, registry, outboxes, onArrival } = options;
  const { exports, i32 } = kernel;
  const accepted = createAcceptedTally(kernel, options.partitionCapacity);
  const refusedBy = new Float64Array(Math.max(...Object.values(REFUSAL)) + 1);
  let offered = 0;
  let base = { trades: 0n, lots: 0n, quotes: 0n, bars: 0n };

  /** Tells the kernel the session's day that the staged record at `staged` lies in. */
  const setDayOf = (staged: number): void => {
    const at = kernel.stagingI32 + staged * TICK_WORDS;
    const symbolIndex = i32[at + L.TICK_SYMBOL_INDEX_I32]!;
    const session = registry.sessionOf(symbolIndex);
    assert(session !== undefined, `symbol ${symbolIndex} has a session in the kernel only`);
    const day = sessionDayOf(session, kernel.i64[(at >> 1) + L.TICK_TS_EVENT_NS_I64]!);
    exports.setSessionDay(symbolIndex, day.fromNs, day.toNs);
    exports.setSessionHours(symbolIndex, day.openNs, day.closeNs);
  };

  /** Publishes the kernel's output; returns how many records that were, over all shards. */
  const publish = (): number => {
    let published = 0;
    for (let shard = 0; shard < outboxes.length; shard += 1) {
      const records = i32[kernel.outputCountsI32 + shard]!;
      outboxes[shard]?.put(i32, kernel.outputsI32 + shard * OUTPUT_WORDS, records);
      published += records;
    }
    return published;
  };

  return {
    routeStaged(count, partition, isStamped) {
      const nowMs = clock.wallMs();
      const latestNs = BigInt(Math.floor(nowMs + futureMs)) * 1_000_000n;
      const ingestUs = isStamped ? 0 : clock.monotonicUs() % 4294967296;
      exports.beginBatch(partition, latestNs, ingestUs, isStamped ? 1 : 0);
      let at = exports.route(0, count);
      while (at < count) {
        setDayOf(at);
        at = exports.route(at, count);
      }
      offered += count;
      accepted.note(partition);
      const refused = exports.refusedCount();
      for (let index = 0; index < refused; index += 1) {
        const reason = i32[kernel.refusalsI32 + index * 2 + 1]!;
        refusedBy[reason] = refusedBy[reason]! + 1;
      }
      if (publish() > 0) onArrival(partition, nowMs);
      return refused;
    },
    refuse(reason, count) {
      assert(
        REASONS.some(([, code]) => code === reason),
        `${reason} is no refusal code`,
      );
      offered += count;
      refusedBy[reason] = refusedBy[reason]! + count;
    },
    counts: () => ({
      offered,
      acceptedTrades: Number(exports.acceptedTrades() - base.trades),
      acceptedLots: exports.acceptedLots() - base.lots,
      acceptedQuotes: Number(exports.acceptedQuotes() - base.quotes),
      acceptedBars: Number(exports.acceptedBars() - base.bars),
      refused: new Map(REASONS.map(([name, code]) => [name, refusedBy[code]!])),
    }),
    takeAccepted: accepted.take,
    forgetCounts() {
      accepted.take();
      offered = 0;
      refusedBy.fill(0);
      base = {
        trades: exports.acceptedTrades(),
        lots: exports.acceptedLots(),
        quotes: exports.acceptedQuotes(),
        bars: exports.acceptedBars(),
      };
    },
  };
}

/** Shares out the kernel's counts by partition: one batch is of one partition. */
function createAcceptedTally({ exports }: IngestKernel, partitions: number): { note(partition: number): void; take(): AcceptedSums[] } {
  const lots = new BigInt64Array(partitions);
  const trades = new BigInt64Array(partitions);
  const quotes = new BigInt64Array(partitions);
  const touched = new Set<number>();
  let seenLots = exports.acceptedLots();
  let seenTrades = exports.acceptedTrades();
  let seenQuotes = exports.acceptedQuotes();
  return {
    note(partition) {
      const lotsNow = exports.acceptedLots();
      const tradesNow = exports.acceptedTrades();
      const quotesNow = exports.acceptedQuotes();
      lots[partition]! += lotsNow - seenLots;
      trades[partition]! += tradesNow - seenTrades;
      quotes[partition]! += quotesNow - seenQuotes;
      seenLots = lotsNow;
      seenTrades = tradesNow;
      seenQuotes = quotesNow;
      touched.add(partition);
    },
    take() {
      const sums = [...touched].map((partition) => ({
        partition,
        volumeLots: lots[partition]!,
        tradeCount: trades[partition]!,
        quoteCount: quotes[partition]!,
      }));
      for (const partition of touched) {
        lots[partition] = 0n;
        trades[partition] = 0n;
        quotes[partition] = 0n;
      }
      touched.clear();
      return sums;
    },
  };
}
