/** What the Postgres writer counts, for metrics: slots of one shared Float64Array that the writer alone writes. */
import { TIMEFRAMES_LIMIT } from '../../memory/region.ts';

export const WRITER_COUNTER = {
  epochs: 0,
  /** The last epoch that is durable. */
  committedEpoch: 1,
  /** Amended revisions, all timeframes and kinds. */
  amendments: 2,
  lateTicks: 3,
  /** Transactions begun again after a failure that may pass. */
  retries: 4,
  lastFlushRows: 5,
  /** From BEGIN to the end of COMMIT. */
  lastFlushMs: 6,
  /** Bytes of COPY rows of bars. */
  bytes: 7,
  /** Epochs written by staging and upsert since rows with equal keys were there. */
  upsertEpochs: 8,
  instruments: 9,
  /** Bars handed on for publication. */
  published: 10,
  /** Rests while the committed ring was full. */
  publishWaits: 11,
  /** 1 while the database answers. */
  isUp: 12,
  flushMsSum: 13,
  /** Records of the epoch being collected. */
  collecting: 14,
  /** Goes up each time round the writer's loop, also while the database does not answer: standing still, the thread is stuck. */
  heartbeat: 15,
  /** First slot of rows written by timeframe, trade bars: TIMEFRAMES_LIMIT slots. */
  barRows: 16,
  /** The same for quote bars. */
  quoteRows: 16 + TIMEFRAMES_LIMIT,
} as const;

const SLOTS = 16 + 2 * TIMEFRAMES_LIMIT;
export const WRITER_COUNTERS_BYTES = SLOTS * Float64Array.BYTES_PER_ELEMENT;

export interface WriterCounters {
  /** The single counters by name. */
  readonly named: ReadonlyMap<string, number>;
  /** Rows of trade and quote bars written, revisions included, by timeframe: TIMEFRAMES_LIMIT of them. */
  readonly rowsByTimeframe: readonly number[];
}

/** Reads the counters in any thread. */
export function readWriterCounters(counters: Float64Array): WriterCounters {
  const named = Object.entries(WRITER_COUNTER).filter(([, slot]) => slot < WRITER_COUNTER.barRows);
  return {
    named: new Map(named.map(([name, slot]) => [name, counters[slot]!])),
    rowsByTimeframe: Array.from(
      { length: TIMEFRAMES_LIMIT },
      (_, index) => counters[WRITER_COUNTER.barRows + index]! + counters[WRITER_COUNTER.quoteRows + index]!,
    ),
  };
}
