/**
 * What every source of ticks is. A source is pulled: the duty cycle of main calls `poll` with the room there is in the rings, and the source
 * hands over runs of records, never one callback per tick. It may read ahead into a bounded buffer of its own.
 */
import type { TICK_KIND } from '../../schemas/records.ts';

/** What must be known of an instrument before its first tick. */
export interface InstrumentSpec {
  readonly symbol: string;
  readonly kind: 'trade' | 'quote';
  readonly priceDecimals: number;
  readonly lotDecimals: number;
  readonly partition: number;
}

/** Where a source stands: next offset by partition. Sources without offsets leave it empty. */
export interface SourcePosition {
  readonly offsets: ReadonlyMap<number, bigint>;
}

/** A message that was not understood, with its coordinates. */
export interface Rejected {
  readonly topic: string;
  readonly partition: number;
  readonly offset: bigint;
  /** Index of the record within a packed message, -1 for the whole message. */
  readonly recordIndex: number;
  readonly reason: string;
  readonly raw: Uint8Array;
}

/** The way in: staging memory of `tick` records (see schemas/records.ts), and what to do with them. */
export interface IngestPort {
  /** Words of the staging area; record `i` starts at word `stagingI32Index + i * 16`. Valid for the life of the port. */
  readonly i32: Int32Array;
  readonly f64: Float64Array;
  readonly u8: Uint8Array;
  readonly stagingI32Index: number;
  /** Records the staging area holds. */
  readonly stagingCapacity: number;
  /** Records that may be accepted now, given the free slots of every ring; at most `stagingCapacity`. */
  room(): number;
  /**
   * Registers a symbol when first seen (idempotent), and returns its engine-wide index, or minus the refusal code
   * (`unknownSymbol` under SYMBOLS=strict, `capacity`). Decimals given in the instruments file win over those in `spec`.
   */
  register(spec: InstrumentSpec): number;
  /** Decimals in force for a registered symbol: quantities must be written to staging as lots with `lotDecimals`. */
  decimalsOf(symbolIndex: number): { readonly priceDecimals: number; readonly lotDecimals: number };
  /**
   * Validates, refuses or routes the first `count` staged records, all of one partition: kind, symbolIndex (from `register`),
   * tsEventNs, prices, quantityLots, tradeCount. The port fills `ingestUs` unless `isStamped`. `count` must not exceed `room()`.
   * Returns how many were accepted; refusals are counted by reason.
   */
  commit(count: number, partition: number, isStamped?: boolean): number;
  /** Counts a tick that never became a record, by refusal code. */
  refuse(reason: number, count: number): void;
  /**
   * Decodes and commits `count` Kafka messages whose bytes lie in `bytes` at [offset, length] pairs of `index`. Those that do not
   * decode, and those refused, come back in `rejected` as [message index, record index or -1, refusal code] triples.
   * `encoding` is that of all of them. `messages consumed` is returned: fewer than `count` when there was no room for the next.
   */
  commitMessages(batch: MessageBatch): number;
  /** The same for records that lie in memory of the port's already; undefined where messages are always copied. */
  readonly records?: RecordPort;
}

/** Records listed where they lie (kernels/lib/record-batch.ts). */
export interface RecordPort {
  /** Where they have to lie. It may be grown at its end. */
  readonly memory: WebAssembly.Memory;
  /** Decodes and commits the values of a run; returns how many were consumed. */
  commit(run: RecordRun): number;
}

export interface RecordRun extends Omit<MessageBatch, 'values'> {
  /** Address of the first one's entry. */
  readonly entriesAt: number;
  /** The value of one as it lies; empty when it is null. */
  readonly view: (index: number) => Uint8Array;
}

export interface MessageBatch {
  readonly encoding: 'json' | 'packed';
  readonly partition: number;
  readonly count: number;
  readonly values: readonly Uint8Array[];
  /** Called for each message or packed record that was refused. */
  readonly onRejected: (messageIndex: number, recordIndex: number, refusal: number) => void;
}

export interface Source {
  readonly name: string;
  /** True when it can be read again from an offset. */
  readonly isReplayable: boolean;
  /** True when event times follow the wall clock: idle partitions advance, bar latencies are recorded. */
  readonly isLive: boolean;
  start(port: IngestPort, from: SourcePosition | undefined): Promise<void>;
  /** Hands over at most `port.room()` records and `budget`; returns how many it offered. Never blocks. */
  poll(budget: number): number;
  /** Ticks offered so far, before any refusal: the count of the conservation verdict. */
  readonly offered: number;
  /** How far the source is behind its schedule, in ms; 0 where it has none. */
  readonly lagMs: number;
  /** True for a partition that has nothing to deliver now and is not paused, behind or disconnected. */
  isCaughtUp(partition: number): boolean;
  readonly partitions: readonly number[];
  /** Next offsets after everything handed over by `poll` so far. */
  position(): SourcePosition;
  /** True once everything has been handed over and nothing more will come. */
  readonly isEnded: boolean;
  /** True when its partitions are wanted by another engine: what is open has to be stored, and the source stopped. */
  readonly isRevoked?: boolean;
  /** A failure since the last call, if any; the engine decides. */
  failure(): Error | undefined;
  /** Called after an epoch with these offsets is durable. */
  committed(position: SourcePosition): void;
  stop(): Promise<void>;
}

export type TickKind = (typeof TICK_KIND)[keyof typeof TICK_KIND];
