/**
 * The readable twin of the bar kernel: the same records in, the same records out in the same order, on maps of plain objects.
 * No slots, no resumption: what closes first comes out first.
 */
import * as L from '../../schemas/layout.gen.ts';
import { assert } from '../core/errors.ts';
import { type BarSymbol, barOfTick, bucketStart, mergeBar } from './bar-values.ts';
import type { BarRecord, TickRecord } from './ring-record.ts';

export interface OracleShape {
  readonly shardIndex: number;
  readonly latePolicy: 'amend' | 'side';
  /** Seconds of each timeframe; the first is 1. */
  readonly timeframeSeconds: readonly number[];
  /** By timeframe, the index of the one it is built from; -1 for the first. */
  readonly timeframeParents: readonly number[];
}

export interface BarOracle {
  /** Takes the next record of a shard's tick ring; returns what comes out. */
  push(record: TickRecord): readonly BarRecord[];
  /** All open buckets as barOpen: by symbol in order of registration, timeframe, start. */
  openState(): readonly BarRecord[];
}

interface SymbolState extends BarSymbol {
  /** By timeframe: open buckets by start. */
  readonly open: readonly Map<bigint, BarRecord>[];
  /** A bucket was opened, merged into or closed since the symbol was last listed. */
  isTouched: boolean;
}

interface PartitionState {
  /** Undefined: nothing is closed yet. */
  watermarkNs: bigint | undefined;
  readonly symbols: SymbolState[];
}

interface OracleState {
  readonly shape: OracleShape;
  readonly symbols: SymbolState[];
  readonly partitions: Map<number, PartitionState>;
  readonly out: BarRecord[];
}

const NS_PER_SECOND = 1_000_000_000n;

export function createBarOracle(shape: OracleShape): BarOracle {
  const state: OracleState = { shape, symbols: [], partitions: new Map(), out: [] };
  return {
    push(record) {
      state.out.length = 0;
      if (record.kind === L.TICK_KIND_SYMBOL) register(state, record);
      else if (record.kind === L.TICK_KIND_WATERMARK) moveWatermark(state, record.symbolIndex, record.tsEventNs);
      else if (record.kind === L.TICK_KIND_BARRIER) passBarrier(state, record);
      else if (record.kind === L.TICK_KIND_LATE) passOnLate(state, record);
      else takeTick(state, record);
      return [...state.out];
    },
    openState: () => state.symbols.flatMap(openBuckets),
  };
}

function register(state: OracleState, record: TickRecord): void {
  assert(record.symbolIndex === state.symbols.length, `symbol ${record.symbolIndex} comes after ${state.symbols.length} others`);
  const symbol: SymbolState = {
    symbolIndex: record.ingestUs & 0x7fffffff,
    partition: record.tradeCount,
    isQuote: record.ingestUs >>> 31 === L.INSTRUMENT_KIND_QUOTE,
    priceScale: record.price,
    open: state.shape.timeframeSeconds.map(() => new Map()),
    isTouched: false,
  };
  state.symbols.push(symbol);
  partitionOf(state, symbol.partition).symbols.push(symbol);
}

function takeTick(state: OracleState, tick: TickRecord): void {
  const symbol = state.symbols[tick.symbolIndex]!;
  const { watermarkNs } = partitionOf(state, symbol.partition);
  const bar = barOfTick(tick, symbol);
  if (isOpen(tick.tsEventNs, 1, watermarkNs)) join(state, symbol, 0, bar);
  else takeLateTick(state, symbol, bar, watermarkNs);
}

/** Each timeframe by itself: amended when its bucket is closed, joined when only that of its parent is, else fed by the cascade later. */
function takeLateTick(state: OracleState, symbol: SymbolState, bar: BarRecord, watermarkNs: bigint | undefined): void {
  const { timeframeSeconds, timeframeParents, latePolicy } = state.shape;
  bar.lateCount = 1;
  let missedMask = 0;
  timeframeSeconds.forEach((seconds, timeframe) => {
    const parentSeconds = timeframeSeconds[timeframeParents[timeframe]!];
    if (!isOpen(bar.firstNs, seconds, watermarkNs)) {
      missedMask |= 1 << timeframe;
      if (latePolicy === 'side') return;
      const tsStartNs = bucketStart(bar.firstNs, seconds);
      state.out.push({ ...bar, kind: L.OUT_KIND_BAR_AMEND, timeframeIndex: timeframe, tsStartNs });
    } else if (parentSeconds !== undefined && !isOpen(bar.firstNs, parentSeconds, watermarkNs)) {
      join(state, symbol, timeframe, bar);
    }
  });
  if (latePolicy === 'side') state.out.push(lateRecord(bar, missedMask));
}

function passOnLate(state: OracleState, tick: TickRecord): void {
  const bar = barOfTick(tick, state.symbols[tick.symbolIndex]!);
  bar.lateCount = 1;
  state.out.push(lateRecord(bar, ((1 << state.shape.timeframeSeconds.length) - 1) | L.LATE_FLAG_REFUSED));
}

function lateRecord(bar: BarRecord, missedMask: number): BarRecord {
  const isTrade = bar.instrumentKind === L.INSTRUMENT_KIND_TRADE && (bar.flags & L.BAR_FLAG_NOTIONAL_UNKNOWN) === 0;
  const close = bar.instrumentKind === L.INSTRUMENT_KIND_QUOTE ? bar.askOpen : isTrade ? 0 : bar.close;
  return { ...bar, kind: L.OUT_KIND_LATE_TICK, tsStartNs: bar.firstNs, close, missedMask };
}

function join(state: OracleState, symbol: SymbolState, timeframe: number, bar: BarRecord): void {
  const open = symbol.open[timeframe]!;
  const tsStartNs = bucketStart(bar.firstNs, state.shape.timeframeSeconds[timeframe]!);
  const bucket = open.get(tsStartNs);
  if (bucket) mergeBar(bucket, bar);
  else open.set(tsStartNs, { ...bar, kind: 0, timeframeIndex: timeframe, tsStartNs });
  symbol.isTouched = true;
}

function moveWatermark(state: OracleState, partitionIndex: number, targetNs: bigint): void {
  const partition = partitionOf(state, partitionIndex);
  if (partition.watermarkNs !== undefined && targetNs <= partition.watermarkNs) return;
  for (let endNs = earliestEnd(state, partition); endNs !== undefined && endNs <= targetNs; endNs = earliestEnd(state, partition)) {
    closeAt(state, partition, endNs);
  }
  partition.watermarkNs = targetNs;
}

/** The end of the open bucket that ends first. */
function earliestEnd(state: OracleState, partition: PartitionState): bigint | undefined {
  let earliest: bigint | undefined;
  for (const symbol of partition.symbols) {
    symbol.open.forEach((buckets, timeframe) => {
      const sizeNs = BigInt(state.shape.timeframeSeconds[timeframe]!) * NS_PER_SECOND;
      for (const startNs of buckets.keys()) if (earliest === undefined || startNs + sizeNs < earliest) earliest = startNs + sizeNs;
    });
  }
  return earliest;
}

/** Emits every bucket that ends at `endNs`, shorter timeframes first, and feeds each into the timeframes built from it. */
function closeAt(state: OracleState, partition: PartitionState, endNs: bigint): void {
  const { timeframeSeconds, timeframeParents } = state.shape;
  timeframeSeconds.forEach((seconds, timeframe) => {
    const startNs = endNs - BigInt(seconds) * NS_PER_SECOND;
    for (const symbol of partition.symbols) {
      const bucket = symbol.open[timeframe]!.get(startNs);
      if (!bucket) continue;
      symbol.open[timeframe]!.delete(startNs);
      symbol.isTouched = true;
      timeframeParents.forEach((parent, child) => {
        if (parent === timeframe) join(state, symbol, child, bucket);
      });
      state.out.push({ ...bucket, kind: L.OUT_KIND_BAR_FINAL });
    }
  });
}

/** After the open buckets of the symbols touched since the last barrier that asked for them, or word that they have none. */
function passBarrier(state: OracleState, record: TickRecord): void {
  const empty = emptyRecord(record);
  if (record.symbolIndex & L.BARRIER_FLAG_WITH_OPEN_STATE) {
    for (const symbol of state.symbols.filter(({ isTouched }) => isTouched)) {
      const { symbolIndex, partition } = symbol;
      const buckets = openBuckets(symbol);
      state.out.push(...(buckets.length > 0 ? buckets : [{ ...empty, kind: L.OUT_KIND_SYMBOL_CLEAR, symbolIndex, partition }]));
      symbol.isTouched = false;
    }
  }
  const { shardIndex } = state.shape;
  state.out.push({ ...empty, kind: L.OUT_KIND_BARRIER, symbolIndex: shardIndex, tsStartNs: record.tsEventNs, flags: record.symbolIndex });
}

/** By timeframe, then by start. */
function openBuckets(symbol: SymbolState): BarRecord[] {
  return symbol.open.flatMap((buckets) =>
    [...buckets.values()].sort((a, b) => (a.tsStartNs < b.tsStartNs ? -1 : 1)).map((bucket) => ({ ...bucket, kind: L.OUT_KIND_BAR_OPEN })),
  );
}

function emptyRecord(record: TickRecord): BarRecord {
  const noTick = { ...record, kind: L.TICK_KIND_TRADE, tsEventNs: 0n, price: 0, quantityLots: 0n };
  return { ...barOfTick(noTick, { symbolIndex: 0, partition: 0, isQuote: false, priceScale: 0 }), tradeCount: 0 };
}

function isOpen(tsNs: bigint, seconds: number, watermarkNs: bigint | undefined): boolean {
  return watermarkNs === undefined || bucketStart(tsNs, seconds) + BigInt(seconds) * NS_PER_SECOND > watermarkNs;
}

function partitionOf(state: OracleState, index: number): PartitionState {
  let partition = state.partitions.get(index);
  if (!partition) {
    partition = { watermarkNs: undefined, symbols: [] };
    state.partitions.set(index, partition);
  }
  return partition;
}
