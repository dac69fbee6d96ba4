/** Where requests stand before they are matched, in one order for ever. */

export interface JournalEntry {
  /** Position in the journal; it only grows. */
  readonly offset: bigint;
  /** JSON of the request, on one line. */
  readonly text: string;
  /** When it was appended, for requests that do not say when they were let in. */
  readonly tsNs?: bigint;
}

export interface OrderJournal {
  /** Which journal it is: offsets of another mean nothing here. */
  readonly identity: string;
  /** Offset behind the last entry, durable or not. */
  readonly nextOffset: bigint;
  /** Entries that are durable and not taken yet. */
  readonly waiting: number;
  /** Entries appended and not durable yet. */
  readonly unsynced: number;
  /** True when as many wait as may, or as much text: nothing is to be appended until some are matched. */
  readonly isFull: boolean;
  /** Appends a request; it waits until it is durable, and is then given by `take`. The caller has looked at `isFull`. */
  append(text: string, symbol: string): void;
  /** The next durable entries, in order: up to `count`, and no further than `characters` of text, but one at least. They are taken once. */
  take(count: number, characters: number): JournalEntry[];
  /** Goes back to `offset`, which is not above what was taken: its entries are given again. */
  rewind(offset: bigint): void;
  /** Entries below `offset` are matched and stored for good: they need not be kept. */
  release(offset: bigint): Promise<void>;
  /** What ails it for now; empty when nothing does. */
  trouble(): string;
  /** What keeps it from going on, if anything does. */
  failure(): Error | undefined;
  /** Waits until all that was appended is durable. */
  close(): Promise<void>;
}
