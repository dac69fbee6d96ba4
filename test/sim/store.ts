/**
 * What Postgres is to the engine, in memory: lanes with owners and epochs, rows with absolute values, open buckets, positions, sums, the outbox.
 * A transaction is applied whole or not at all; after each one everything that was accepted must be found again.
 */
import { assert, EngineError } from '../../engine/core/errors.ts';
import type { SymbolEntry } from '../../engine/market/instruments.ts';
import { type BarRecord, readBar } from '../../engine/market/ring-record.ts';
import type { Timeframe } from '../../engine/market/timeframes.ts';
import { timeframeParents } from '../../engine/memory/region.ts';
import { judgeConservation, type TimeframeSums } from '../../engine/monitor/conservation.ts';
import type { Accepted, OpenState, OutboxRow } from '../../engine/sinks/messages.ts';
import type { BarValues } from '../../engine/sinks/postgres/bar-record.ts';
import type { OpenBuckets } from '../../engine/sinks/postgres/open-since.ts';
import { BAR_SIZE } from '../../schemas/layout.gen.ts';

export interface LaneRow {
  owner: bigint | undefined;
  transactionalId: string | undefined;
  unfenced: readonly string[];
  epoch: number;
}

export interface StoredRow {
  readonly symbol: string;
  readonly timeframeIndex: number;
  readonly tsStartNs: bigint;
  readonly isQuote: boolean;
  readonly priceScale: number;
  readonly values: BarValues;
}

export interface PartitionRow {
  nextOffset: bigint | undefined;
  watermarkNs: bigint | undefined;
  volumeLots: bigint;
  tradeCount: bigint;
  quoteCount: bigint;
}

export interface OpenRow {
  readonly state: OpenState;
  readonly buckets: OpenBuckets;
}

/** What an epoch's transaction changes. */
export interface EpochChange {
  readonly lanes: readonly number[];
  readonly databaseEpoch: number;
  readonly instruments: readonly SymbolEntry[];
  readonly firsts: readonly StoredRow[];
  readonly amended: readonly StoredRow[];
  readonly lateTicks: readonly string[];
  readonly offsets: readonly (readonly [partition: number, offset: bigint])[];
  readonly watermarks: readonly (readonly [partition: number, watermarkNs: bigint])[];
  readonly accepted: readonly Accepted[];
  readonly opens: ReadonlyMap<string, OpenRow>;
  readonly clears: readonly string[];
  readonly outbox: readonly OutboxRow[];
  readonly published: number;
}

export interface Store {
  readonly lanes: Map<number, LaneRow>;
  readonly rows: Map<string, StoredRow>;
  readonly open: Map<string, OpenRow>;
  readonly partitions: Map<number, PartitionRow>;
  readonly lateTicks: string[];
  readonly instruments: Map<string, SymbolEntry>;
  outbox: OutboxRow[];
  /** Every line that was ever committed to be published. */
  readonly lines: ReadonlySet<string>;
  readonly transactions: number;
  nextToken(): bigint;
  /** Moves the lanes' epoch on; false when it is there already. @throws EngineError FENCED */
  takeEpoch(lanes: readonly number[], token: bigint, databaseEpoch: number): boolean;
  apply(change: EpochChange): void;
  applyOffsets(change: EpochChange): void;
}

/** A new lane counts from here, as real ones count from the clock. */
const FIRST_EPOCH = 1000;

export function newLane(): LaneRow {
  return { owner: undefined, transactionalId: undefined, unfenced: [], epoch: FIRST_EPOCH };
}

export function rowKey(row: Pick<StoredRow, 'symbol' | 'timeframeIndex' | 'tsStartNs'>): string {
  return `${row.timeframeIndex} ${row.symbol} ${row.tsStartNs}`;
}

interface Sums {
  volumeLots: bigint;
  tradeCount: bigint;
  quoteCount: bigint;
}

function noSums(): Sums {
  return { volumeLots: 0n, tradeCount: 0n, quoteCount: 0n };
}

function add(sums: Sums, isQuote: boolean, count: number, lots: bigint): void {
  if (isQuote) sums.quoteCount += BigInt(count);
  else {
    sums.tradeCount += BigInt(count);
    sums.volumeLots += lots;
  }
}

/** @param isAdditive a bug: rows that are there are added to */
export function createStore(timeframes: readonly Timeframe[], isAdditive: boolean): Store {
  const parents = timeframeParents(timeframes.map(({ seconds }) => seconds));
  const rowSums = timeframes.map(noSums);
  const lines = new Set<string>();
  let token = 0n;
  let transactions = 0;

  const putRow = (row: StoredRow): void => {
    const key = rowKey(row);
    const before = store.rows.get(key);
    const sums = rowSums[row.timeframeIndex]!;
    if (before) add(sums, row.isQuote, -before.values.tradeCount, -before.values.volumeLots);
    const values =
      before && isAdditive
        ? {
            ...row.values,
            volumeLots: before.values.volumeLots + row.values.volumeLots,
            tradeCount: before.values.tradeCount + row.values.tradeCount,
          }
        : row.values;
    add(sums, row.isQuote, values.tradeCount, values.volumeLots);
    store.rows.set(key, { ...row, values });
  };

  const partitionOf = (partition: number): PartitionRow => {
    const row = store.partitions.get(partition) ?? { nextOffset: undefined, watermarkNs: undefined, ...noSums() };
    store.partitions.set(partition, row);
    return row;
  };

  /** For each timeframe: rows, and what is open in it and in the shorter ones that it is made of, are what was accepted. */
  const assertConserved = (what: string): void => {
    const accepted = noSums();
    for (const row of store.partitions.values()) {
      accepted.volumeLots += row.volumeLots;
      accepted.tradeCount += row.tradeCount;
      accepted.quoteCount += row.quoteCount;
    }
    const openSums = timeframes.map(noSums);
    for (const { state } of store.open.values()) {
      for (const bar of recordsOf(state)) add(openSums[bar.timeframeIndex]!, state.isQuote, bar.tradeCount, bar.volumeLots);
    }
    const inputs = timeframes.map(({ name }, index) => {
      const held = { ...rowSums[index]! };
      for (let part = index; part >= 0; part = parents[part]!) {
        held.volumeLots += openSums[part]!.volumeLots;
        held.tradeCount += openSums[part]!.tradeCount;
        held.quoteCount += openSums[part]!.quoteCount;
      }
      return { timeframe: name, held, missed: noSums() };
    });
    for (const { timeframe, expected, found, isConserved } of judgeConservation(accepted, inputs)) {
      if (!isConserved) throw new SimFault(`${what}: ${timeframe} holds ${textOf(found)}, accepted were ${textOf(expected)}`);
    }
  };

  const applyOffsets = ({ offsets, watermarks }: EpochChange): void => {
    for (const [partition, offset] of offsets) {
      const row = partitionOf(partition);
      if (row.nextOffset !== undefined && offset < row.nextOffset) throw new SimFault(`offset of partition ${partition} goes back`);
      row.nextOffset = offset;
    }
    for (const [partition, watermarkNs] of watermarks) partitionOf(partition).watermarkNs = watermarkNs;
  };

  const store: Store = {
    lanes: new Map(),
    rows: new Map(),
    open: new Map(),
    partitions: new Map(),
    lateTicks: [],
    instruments: new Map(),
    outbox: [],
    lines,
    get transactions() {
      return transactions;
    },
    nextToken() {
      token += 1n;
      return token;
    },
    takeEpoch(lanes, owner, databaseEpoch) {
      const rows = lanes.map((lane) => store.lanes.get(lane));
      if (rows.every((row) => row?.owner === owner && row.epoch < databaseEpoch)) return true;
      if (rows.every((row) => row?.owner === owner && row.epoch === databaseEpoch)) return false;
      throw new EngineError('FENCED', `claim ${owner} no longer owns lanes ${lanes.join(', ')}`);
    },
    apply(change) {
      const { databaseEpoch, lanes } = change;
      transactions += 1;
      for (const lane of lanes) {
        const row = store.lanes.get(lane);
        assert(row !== undefined, `lane ${lane} was claimed`);
        row.epoch = databaseEpoch;
        row.unfenced = [];
      }
      for (const entry of change.instruments) store.instruments.set(entry.name, entry);
      for (const row of change.firsts) {
        if (store.rows.has(rowKey(row)) && !isAdditive) throw new SimFault(`a second first revision of ${rowKey(row)}`);
        putRow(row);
      }
      for (const row of change.amended) putRow(row);
      store.lateTicks.push(...change.lateTicks);
      applyOffsets(change);
      for (const { partition, volumeLots, tradeCount, quoteCount } of change.accepted) {
        const row = partitionOf(partition);
        row.volumeLots += volumeLots;
        row.tradeCount += tradeCount;
        row.quoteCount += quoteCount;
      }
      for (const symbol of change.clears) store.open.delete(symbol);
      for (const [symbol, row] of change.opens) store.open.set(symbol, row);
      for (const row of change.outbox) for (const line of row.lines.split('\n')) lines.add(line);
      store.outbox.push(...change.outbox);
      store.outbox = store.outbox.filter(({ lane, epoch }) => !lanes.includes(lane) || epoch > change.published);
      assertConserved(`epoch ${databaseEpoch} of lanes ${lanes.join(', ')}`);
    },
    applyOffsets,
  };
  return store;
}

/** Something that must never be. */
export class SimFault extends Error {}

/** The open buckets of a symbol. */
export function recordsOf({ bars }: OpenState): BarRecord[] {
  const view = new DataView(bars.buffer, bars.byteOffset, bars.byteLength);
  return Array.from({ length: bars.byteLength / BAR_SIZE }, (_, index) => readBar(view, index * BAR_SIZE));
}

function textOf({ volumeLots, tradeCount, quoteCount }: TimeframeSums): string {
  return `${volumeLots} lots, ${tradeCount} trades, ${quoteCount} quotes`;
}
