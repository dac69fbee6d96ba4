/** What main and the Postgres writer say to each other, beside the rings. Positions and counts that exceed 2^53 are bigint. */

/** One bucket that is open, as it is stored per symbol and given back to a shard at the next start. 128 bytes, the `bar` record. */
export interface OpenState {
  readonly symbol: string;
  readonly partition: number;
  readonly priceDecimals: number;
  readonly lotDecimals: number;
  readonly isQuote: boolean;
  /** `bar` records, one after the other; timeframeIndex by position in TIMEFRAMES. */
  readonly bars: Uint8Array;
}

/** What is to be published of an epoch, as the transaction that committed it has stored it. */
export interface OutboxRow {
  readonly lane: number;
  /** Database epoch. */
  readonly epoch: number;
  readonly kind: 'bars' | 'dlq' | 'fills';
  /** Position among the rows of this lane, epoch and kind. */
  readonly part: number;
  /** Payloads as they go to Kafka, one to a line. */
  readonly lines: string;
}

export interface WriterStart {
  readonly connectionString: string;
  readonly schema: string;
  readonly run: number;
  readonly source: string;
  readonly timeframes: readonly { readonly name: string; readonly seconds: number }[];
  readonly regions: readonly WebAssembly.Memory[];
  readonly symbols: SharedArrayBuffer;
  readonly committedRing: SharedArrayBuffer | undefined;
  /** False only to measure what checkpoints cost: then nothing is put into the outbox. */
  readonly isCheckpointed: boolean;
  /** Partitions whose open buckets were built again from the source: the first epoch replaces all that is stored of them. */
  readonly rebuiltPartitions: readonly number[];
  /** Float64Array of WRITER_COUNTER slots that the writer alone writes. */
  readonly counters: SharedArrayBuffer;
  readonly isLive: boolean;
  /** True for a stage that reads bars, and keeps them. */
  readonly readsBars?: boolean;
  /** What this engine owns of the source, by the claim `token`. */
  readonly lanes: readonly number[];
  /** True when a lane is a partition, so that engines share the source; else lane 0 stands for all partitions. */
  readonly isLaned: boolean;
  readonly token: bigint;
  /** The database counts epochs from here: its epoch is baseEpoch plus the session's. */
  readonly baseEpoch: number;
}

/** Sums over the ticks of one partition that were accepted since the epoch before. */
export interface Accepted {
  readonly partition: number;
  readonly volumeLots: bigint;
  readonly tradeCount: bigint;
  readonly quoteCount: bigint;
}

export type ToWriter =
  | {
      readonly type: 'epoch';
      readonly epoch: number;
      readonly offsets: readonly (readonly [partition: number, offset: bigint])[];
      readonly watermarks: readonly (readonly [partition: number, watermarkNs: bigint])[];
      readonly isFinal: boolean;
      readonly accepted: readonly Accepted[];
      /** Payloads for the topic dlq of what the epoch could not take. */
      readonly letters: readonly { readonly lane: number; readonly json: string }[];
      /** Database epoch up to which everything is published; 0: none known. */
      readonly published: number;
    }
  | { readonly type: 'abandon' };

export type FromWriter =
  | { readonly type: 'ready' }
  | {
      readonly type: 'committed';
      readonly epoch: number;
      readonly isFinal: boolean;
      readonly databaseEpoch: number;
      /** Records of this epoch in the committed ring, put there before this message. */
      readonly bars: number;
    }
  | { readonly type: 'health'; readonly isUp: boolean; readonly detail: string; readonly sinceMs: number }
  /** HDR histograms since the last one, in the compressed encoding of the HdrHistogram libraries. Microseconds. */
  | { readonly type: 'latency'; readonly stage: 'barToCommit' | 'flush'; readonly encoded: string }
  /** The code is that of the EngineError, '' otherwise. */
  | { readonly type: 'failed'; readonly message: string; readonly code: string };
