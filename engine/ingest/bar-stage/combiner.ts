/**
 * Makes longer bars of bars. It keeps what it has read, so that a later revision of an input takes the place of the earlier one: the buckets
 * that it lies in are folded anew from what is kept.
 *
 *   input ─▶ kept ─┬─▶ bucket open:   listed at barriers, put out once it closes
 *                  └─▶ bucket closed: put out again at once, with absolute values
 *
 * First revisions of a symbol come in order of time. So a bucket is over when the symbol's own bar that reaches its end is there, or when the
 * partition, read to its end, has gone past it (`advance`).
 *
 * An input is forgotten once nothing may change that it is part of. Where there is more to read, revisions may follow the bars of a whole epoch
 * of their producer, which in a backlog covers any length of event time: until the partition is read to its end, so many more bars have to pass.
 */
import { BAR_FLAG, INSTRUMENT_KIND, LATE_FLAG, OUT_KIND, STAGE_OUT_KIND } from '../../../schemas/records.ts';
import { assert } from '../../core/errors.ts';
import type { BarRecord } from '../../market/ring-record.ts';
import type { InputBar } from './json-bar.ts';
import { createKeptBars, type Folded, type KeptBar, type KeptBars } from './kept-bars.ts';
import { notionalOf } from './notional.ts';

export interface CombinerShape {
  readonly inputSeconds: number;
  /** Seconds of the bars that are built, ascending. */
  readonly seconds: readonly number[];
  /** What is over for longer than this may be forgotten; then an input is too late. */
  readonly amendSec: number;
  /** Bars of the partition that have to pass before that in a backlog; the most that an epoch of ours holds, and half of it again, unless given. */
  readonly passing?: number;
}

export interface CombinedSymbol {
  readonly symbolIndex: number;
  readonly partition: number;
  readonly priceScale: number;
}

/** What became of an input. */
export type Taken = 'added' | 'replaced' | 'duplicate' | 'tooLate';

/** By how much the sums of what was accepted have moved. */
export interface TakenResult {
  readonly outcome: Taken;
  readonly volumeLots: number;
  readonly tradeCount: number;
}

export interface Combiner {
  addSymbol(symbol: CombinedSymbol): void;
  take(symbolIndex: number, bar: InputBar): TakenResult;
  /** Of this partition everything before `sec` has been read. */
  advance(partition: number, sec: number): void;
  /** Puts out every open bucket of the symbols touched since the last call, or a symbolClear for one that has none. */
  listTouched(): void;
  /** Up to where a partition had been advanced; before the symbols are restored. */
  restorePartition(partition: number, sec: number): void;
  /** Puts back what was stored of a symbol: inputs first, then which buckets are open. What lies in neither is closed. */
  restore(symbolIndex: number, inputs: Iterable<readonly [tsSec: number, bar: KeptBar]>, open: Iterable<OpenBucket>): void;
  /** Open buckets by timeframe. */
  openCounts(): number[];
}

export interface OpenBucket {
  readonly timeframeIndex: number;
  readonly startSec: number;
}

interface SymbolState extends CombinedSymbol {
  readonly kept: KeptBars;
  /** By timeframe: starts of open buckets, ascending. */
  readonly open: readonly number[][];
  /** What ends at or before this is closed. */
  overSec: number;
  /** Times before which all may be forgotten, each with the count of the partition from which on. */
  readonly leaving: { readonly untilSec: number; readonly fromCount: number }[];
}

const NS_PER_SECOND = 1_000_000_000n;
const PASSING = 393_216;
const NONE: BarRecord = {
  ...{ kind: 0, symbolIndex: 0, tsStartNs: 0n, firstNs: 0n, lastNs: 0n, tradeCount: 0, lateCount: 0, timeframeIndex: 0, revision: 0 },
  ...{ open: 0, close: 0, high: 0, low: 0, volumeLots: 0n, notional: 0n, priceScale: 0 },
  ...{ askOpen: 0, askClose: 0, askHigh: 0, askLow: 0, flags: 0, missedMask: 0, partition: 0, instrumentKind: INSTRUMENT_KIND.trade },
};

/** @param emit takes each record of the out ring, in order */
export function createCombiner(shape: CombinerShape, emit: (record: BarRecord) => void): Combiner {
  const { inputSeconds, seconds, amendSec, passing = PASSING } = shape;
  const longestSec = Math.max(...seconds);
  const symbols: SymbolState[] = [];
  const touched = new Set<SymbolState>();
  /** Bars taken, by partition. */
  const counts = new Map<number, number>();
  /** Where each partition was advanced to last. A symbol that comes later is no further behind. */
  const advancedSec = new Map<number, number>();

  const stateOf = (symbolIndex: number): SymbolState => {
    const state = symbols[symbolIndex];
    assert(state !== undefined, `symbol index ${symbolIndex} of ${symbols.length} registered symbols`);
    return state;
  };

  const touch = (state: SymbolState): void => void touched.add(state);

  const close = (state: SymbolState, sec: number): void => {
    if (sec <= state.overSec) return;
    state.overSec = sec;
    for (const [timeframeIndex, starts] of state.open.entries()) {
      const size = seconds[timeframeIndex]!;
      while (starts.length > 0 && starts[0]! + size <= sec) {
        emit(recordOf(state, OUT_KIND.barFinal, timeframeIndex, { startSec: starts.shift() ?? 0, size }));
        touch(state);
      }
    }
  };

  /** A bucket may begin in one chunk and end in the next, so both are kept for as long as either may be amended. */
  const leavingSec = ({ overSec }: SymbolState): number => {
    const sec = overSec - amendSec - longestSec - inputSeconds;
    return sec - (sec % longestSec);
  };

  const forget = (state: SymbolState, untilSec: number): void => {
    if (!state.kept.forgetUntil(untilSec)) return;
    const tsStartNs = BigInt(untilSec) * NS_PER_SECOND;
    emit({ ...NONE, kind: STAGE_OUT_KIND.barForget, symbolIndex: state.symbolIndex, partition: state.partition, tsStartNs });
  };

  const forgetPassed = (state: SymbolState, count: number): void => {
    const { leaving } = state;
    const untilSec = leavingSec(state);
    if (untilSec > (leaving.at(-1)?.untilSec ?? 0)) leaving.push({ untilSec, fromCount: count + passing });
    while (leaving.length > 0 && (leaving[0]?.fromCount ?? 0) <= count) forget(state, leaving.shift()?.untilSec ?? 0);
  };

  /** Nothing is left of what it would be merged with, or may be left. */
  const isTooLate = (state: SymbolState, tsSec: number): boolean => {
    if (tsSec + inputSeconds + amendSec > state.overSec) return false;
    const oldestSec = state.kept.oldestSec();
    return seconds.some((size) => tsSec - (tsSec % size) < oldestSec);
  };

  /** The buckets that an input lies in: closed ones are put out again, others are open from now on. */
  const renew = (state: SymbolState, tsSec: number): void => {
    for (const [timeframeIndex, size] of seconds.entries()) {
      const startSec = tsSec - (tsSec % size);
      if (startSec + size <= state.overSec) emit(recordOf(state, STAGE_OUT_KIND.barReplace, timeframeIndex, { startSec, size }));
      else insert(state.open[timeframeIndex]!, startSec);
    }
    touch(state);
  };

  return {
    addSymbol(symbol) {
      assert(symbol.symbolIndex === symbols.length, `symbol index ${symbol.symbolIndex}, expected ${symbols.length}`);
      symbols.push({
        ...symbol,
        kept: createKeptBars({ inputSeconds, chunkSeconds: longestSec }),
        open: seconds.map(() => []),
        overSec: advancedSec.get(symbol.partition) ?? Number.NEGATIVE_INFINITY,
        leaving: [],
      });
    },
    take(symbolIndex, bar) {
      const state = stateOf(symbolIndex);
      const before = state.kept.find(bar.tsSec);
      if (before !== undefined && before.revision >= bar.revision) return { outcome: 'duplicate', volumeLots: 0, tradeCount: 0 };
      const now = keptOf(bar, state.priceScale);
      const count = (counts.get(state.partition) ?? 0) + 1;
      counts.set(state.partition, count);
      if (isTooLate(state, bar.tsSec)) {
        emit(lateRecord(state, bar.tsSec, now, seconds.length));
        return { outcome: 'tooLate', volumeLots: 0, tradeCount: 0 };
      }
      state.kept.put(bar.tsSec, now);
      emit(inputRecord(state, bar.tsSec, now));
      renew(state, bar.tsSec);
      close(state, bar.tsSec + inputSeconds);
      forgetPassed(state, count);
      return {
        outcome: before === undefined ? 'added' : 'replaced',
        volumeLots: now.volumeLots - (before?.volumeLots ?? 0),
        tradeCount: now.tradeCount - (before?.tradeCount ?? 0),
      };
    },
    advance(partition, sec) {
      advancedSec.set(partition, sec);
      for (const state of symbols) {
        if (state.partition !== partition) continue;
        close(state, sec);
        state.leaving.length = 0;
        if (Number.isFinite(state.overSec)) forget(state, leavingSec(state));
      }
    },
    listTouched() {
      for (const state of touched) listSymbol(state, seconds, emit);
      touched.clear();
    },
    restorePartition: (partition, sec) => void advancedSec.set(partition, sec),
    restore(symbolIndex, inputs, open) {
      const state = stateOf(symbolIndex);
      for (const [tsSec, bar] of inputs) state.kept.put(tsSec, bar);
      for (const { timeframeIndex, startSec } of open) insert(state.open[timeframeIndex]!, startSec);
      for (const tsSec of state.kept.starts())
        state.overSec = Math.max(state.overSec, tsSec + inputSeconds, closedEnd(state, tsSec, seconds));
    },
    openCounts: () => seconds.map((_, timeframeIndex) => symbols.reduce((sum, { open }) => sum + open[timeframeIndex]!.length, 0)),
  };
}

/** Inserts into an ascending list what it does not have. */
function insert(list: number[], value: number): void {
  let at = list.length;
  while (at > 0 && list[at - 1]! > value) at -= 1;
  if (list[at - 1] !== value) list.splice(at, 0, value);
}

/** The latest end of a closed bucket that the input lies in. */
function closedEnd({ open }: SymbolState, tsSec: number, seconds: readonly number[]): number {
  let end = Number.NEGATIVE_INFINITY;
  for (const [timeframeIndex, size] of seconds.entries()) {
    const startSec = tsSec - (tsSec % size);
    if (!open[timeframeIndex]!.includes(startSec)) end = Math.max(end, startSec + size);
  }
  return end;
}

function keptOf(bar: InputBar, priceScale: number): KeptBar {
  const { open, high, low, close, volumeLots, tradeCount, lateCount, revision, firstOffsetNs, lastOffsetNs, vwap } = bar;
  const notional = notionalOf(vwap, volumeLots, priceScale);
  return { open, high, low, close, volumeLots, tradeCount, lateCount, revision, firstOffsetNs, lastOffsetNs, notional };
}

function identityOf({ symbolIndex, partition, priceScale }: SymbolState): Pick<BarRecord, 'symbolIndex' | 'partition' | 'priceScale'> {
  return { symbolIndex, partition, priceScale };
}

interface Bucket {
  readonly startSec: number;
  readonly size: number;
}

/** A bucket as the kept inputs make it. It has one at least: a bucket is opened by an input, and inputs are kept longer than their buckets. */
function recordOf(state: SymbolState, kind: number, timeframeIndex: number, { startSec, size }: Bucket): BarRecord {
  const folded = state.kept.fold(startSec, size);
  assert(folded !== undefined, `symbol ${state.symbolIndex}: bucket of ${size} s at ${startSec} has inputs`);
  return { ...NONE, ...identityOf(state), ...valuesOf(folded), kind, timeframeIndex, tsStartNs: BigInt(startSec) * NS_PER_SECOND };
}

function valuesOf({ notional, ...values }: Folded): Partial<BarRecord> {
  return { ...values, notional: notional ?? 0n, flags: notional === undefined ? BAR_FLAG.notionalUnknown : 0 };
}

function inputRecord(state: SymbolState, tsSec: number, bar: KeptBar): BarRecord {
  const startNs = BigInt(tsSec) * NS_PER_SECOND;
  const { open, high, low, close, tradeCount, lateCount, revision, notional } = bar;
  return {
    ...NONE,
    ...identityOf(state),
    ...{ open, high, low, close, tradeCount, lateCount, revision },
    kind: STAGE_OUT_KIND.barInput,
    tsStartNs: startNs,
    firstNs: startNs + BigInt(bar.firstOffsetNs),
    lastNs: startNs + BigInt(bar.lastOffsetNs),
    volumeLots: BigInt(bar.volumeLots),
    notional: Number.isNaN(notional) ? 0n : BigInt(notional),
    flags: Number.isNaN(notional) ? BAR_FLAG.notionalUnknown : 0,
  };
}

/** For late_ticks: an input that joins no bucket any more. */
function lateRecord(state: SymbolState, tsSec: number, bar: KeptBar, timeframes: number): BarRecord {
  const missedMask = ((1 << timeframes) - 1) | LATE_FLAG.refused;
  return { ...inputRecord(state, tsSec, bar), kind: OUT_KIND.lateTick, revision: 0, missedMask };
}

function listSymbol(state: SymbolState, seconds: readonly number[], emit: (record: BarRecord) => void): void {
  let isClear = true;
  for (const [timeframeIndex, starts] of state.open.entries()) {
    for (const startSec of starts) {
      emit(recordOf(state, OUT_KIND.barOpen, timeframeIndex, { startSec, size: seconds[timeframeIndex]! }));
      isClear = false;
    }
  }
  if (isClear) emit({ ...NONE, kind: OUT_KIND.symbolClear, symbolIndex: state.symbolIndex, partition: state.partition });
}
