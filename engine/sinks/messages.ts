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
  readonly kind: 'bars' | 'dlq';
  /** Position among the rows of this lane, epoch and kind. */
  readonly part: number;
  /** Payloads as they go to Kafka, one to a line. */
  readonly lines: string;
}

export interface WriterStart {
  readonly connectionString: string;
  readonly schema: string;
  readonly run: number;
  /** Runs whose rows an amendment may build on: this one, and those that it continues. */
  readonly lineage: number;
  readonly source: string;
  readonly timeframes: readonly { readonly name: string; readonly seconds: number }[];
  readonly regions: readonly WebAssembly.Memory[];
  readonly symbols: SharedArrayBuffer;
  readonly committedRing: SharedArrayBuffer | undefined;
  /** Float64Array of WRITER_COUNTER slots that the writer alone writes. */
  readonly counters: SharedArrayBuffer;
  readonly isLive: boolean;
}

export type ToWriter =
  | {
      readonly type: 'epoch';
      readonly epoch: number;
      readonly offsets: readonly (readonly [partition: number, offset: bigint])[];
      readonly watermarks: readonly (readonly [partition: number, watermarkNs: bigint])[];
      readonly isFinal: boolean;
    }
  | { readonly type: 'abandon' };

export type FromWriter =
  | { readonly type: 'ready' }
  | {
      readonly type: 'committed';
      readonly epoch: number;
      readonly isFinal: boolean;
      /** The epoch as the database counts it: over all sessions. */
      readonly databaseEpoch: number;
      /** Records of the epoch that were put into the committed ring, before this message. */
      readonly bars: number;
    }
  | { readonly type: 'health'; readonly isUp: boolean; readonly detail: string; readonly sinceMs: number }
  /** HDR histograms since the last one, in the compressed encoding of the HdrHistogram libraries. Microseconds. */
  | { readonly type: 'latency'; readonly stage: 'barToCommit' | 'flush'; readonly encoded: string }
  | { readonly type: 'failed'; readonly message: string };
