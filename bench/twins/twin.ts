/**
 * What the JavaScript twins of the bar kernel have in common: the fields they write, and the order in which buckets close. They go by the
 * kernel's rules for trades with the late policy `amend`: symbol, watermark, late and barrier records, a watermark for each partition, late
 * ticks that join and amend, {ingest stamp, count} pairs, and every field of a bar. They refuse quotes, source bars and a listing of open
 * buckets, and their out ring has no consumer: it never blocks, so that no sweep has to be cut short.
 */
import * as L from '../../schemas/layout.gen.ts';

export interface BarTwinShape {
  /** Most that are registered. */
  readonly symbols: number;
  readonly partitions: number;
  readonly slotCount: number;
  /** Each divides a day. */
  readonly timeframeSeconds: readonly number[];
  readonly timeframeParents: readonly number[];
  /** Times are counted from here, a whole day in ns since the epoch, so that they are exact in a double and buckets start at multiples. */
  readonly originNs: number;
  /** Records that go out: BAR_FIELDS doubles each. The last ones stay, as in an out ring; `length / BAR_FIELDS` is a power of two. */
  readonly out: Float64Array;
  /** Pairs {ingestUs, count} of the last run; a run ends early when they are full. */
  readonly stamps: Uint32Array;
}

/** Two views of the same tick records. */
export interface TickViews {
  readonly words: Int32Array;
  readonly doubles: Float64Array;
}

export interface BarTwin {
  /** Takes tick records from `from` to `to`, as a poll of the kernel does; returns how many were done with. */
  run(ticks: TickViews, from: number, to: number): number;
  /** Records that went out so far: final bars, amendments, late ticks and barriers. */
  readonly bars: number;
  /** Pairs that the last run wrote to `stamps`. */
  readonly stampCount: number;
  readonly counts: BarCounts;
}

/** The counters and gauges of a shard that trades move; arrays go by timeframe. */
export interface BarCounts {
  ticksMerged: number;
  lateTicks: number;
  lateRefused: number;
  readonly barsOut: Float64Array;
  readonly amendmentsOut: Float64Array;
  readonly openBars: Float64Array;
}

/** Fields of a record that goes out. Those up to TIMEFRAME are also an open bucket of the typed-array twin. Times are ns from the origin. */
export const START = 0;
export const FIRST = 1;
export const LAST = 2;
export const OPEN = 3;
export const CLOSE = 4;
export const HIGH = 5;
export const LOW = 6;
export const LOTS = 7;
/** The notional is NOTIONAL_HIGH x 2^52 + NOTIONAL_LOW, 0 <= NOTIONAL_LOW < 2^52: exact as long as the kernel's 128 bits below 2^105. */
export const NOTIONAL_LOW = 8;
export const NOTIONAL_HIGH = 9;
export const TRADES = 10;
export const LATE = 11;
export const PRICE_SCALE = 12;
export const SYMBOL = 13;
export const PARTITION = 14;
export const TIMEFRAME = 15;
export const KIND = 16;
export const FLAGS = 17;
export const MISSED = 18;
export const REVISION = 19;
export const INSTRUMENT_KIND = 20;
export const BAR_FIELDS = 21;

export const SECOND_NS = 1e9;
export const TWO_32 = 4294967296;
/** Where NOTIONAL_LOW carries into NOTIONAL_HIGH. */
export const LOW_LIMIT = 2 ** 52;
/** 1.5 x 2^52: adding and subtracting it rounds |x| < 2^51 to the nearest whole number, ties to even, as the kernel does. */
const ROUNDER = 6755399441055744;
const LOTS_WORD = L.TICK_QUANTITY_LOTS >> 2;
const ROUND_LIMIT = 2 ** 51;

/** Price units of a price times its scale. Beyond 2^51, where a tie takes more than 15 digits, it goes up. */
export function nearest(scaledPrice: number): number {
  return Math.abs(scaledPrice) < ROUND_LIMIT ? scaledPrice + ROUNDER - ROUNDER : Math.round(scaledPrice);
}

/** Event time of the record at `word`, from the origin; exact within 2^53 ns of it. */
export function offsetNs(words: Int32Array, word: number, originNs: number): number {
  const at = word + (L.TICK_TS_EVENT_NS >> 2);
  const originHigh = Math.floor(originNs / TWO_32);
  return (words[at + 1]! - originHigh) * TWO_32 + ((words[at]! >>> 0) - (originNs - originHigh * TWO_32));
}

/** Lots of the record at `word`; exact below 2^53. */
export function lotsOf(words: Int32Array, word: number): number {
  const at = word + LOTS_WORD;
  return words[at + 1]! * 4294967296 + (words[at]! >>> 0);
}

export function createCounts(timeframes: number): BarCounts {
  const counters = (): Float64Array => new Float64Array(timeframes);
  return { ticksMerged: 0, lateTicks: 0, lateRefused: 0, barsOut: counters(), amendmentsOut: counters(), openBars: counters() };
}

/** What a sweep asks of the bars of one partition. */
export interface Sweepable {
  readonly sizesNs: readonly number[];
  readonly slotCount: number;
  /** Closes the buckets of a timeframe that end at `endNs`. */
  close(timeframe: number, endNs: number): void;
  /** Start of the earliest open 1 s bucket; Infinity without one. */
  earliestOpenNs(): number;
}

/**
 * Closes what ends in (fromNs, targetNs], by end, then timeframe. `fromNs` is -Infinity for the first watermark of a partition. It goes second
 * by second while 1 s buckets can be open; beyond, each timeframe has at most one open bucket a symbol, and only its end matters.
 */
export function sweep(bars: Sweepable, fromNs: number, targetNs: number): void {
  let reachedNs = fromNs;
  if (fromNs === -Infinity) {
    reachedNs = bars.earliestOpenNs();
    for (let secondNs = reachedNs; secondNs < targetNs; secondNs = bars.earliestOpenNs()) {
      jump(bars, reachedNs, secondNs);
      reachedNs = secondNs + SECOND_NS;
      closeAt(bars, reachedNs);
    }
  } else {
    for (let steps = 0; steps < bars.slotCount && reachedNs < targetNs; steps += 1) {
      reachedNs += SECOND_NS;
      closeAt(bars, reachedNs);
    }
  }
  jump(bars, reachedNs, targetNs);
}

function closeAt(bars: Sweepable, endNs: number): void {
  for (let timeframe = 0; timeframe < bars.sizesNs.length; timeframe += 1) {
    if (endNs % bars.sizesNs[timeframe]! === 0) bars.close(timeframe, endNs);
  }
}

function jump(bars: Sweepable, fromNs: number, targetNs: number): void {
  if (fromNs >= targetNs) return;
  const ends = bars.sizesNs.map((sizeNs) => (Math.floor(fromNs / sizeNs) + 1) * sizeNs);
  ends[0] = Infinity;
  for (;;) {
    const endNs = Math.min(...ends);
    if (endNs > targetNs) return;
    for (let timeframe = 1; timeframe < ends.length; timeframe += 1) {
      if (ends[timeframe] !== endNs) continue;
      bars.close(timeframe, endNs);
      ends[timeframe] = Infinity;
    }
  }
}

/** Sum over the last `count` records before `bars`, added up in the order in which the kernel's is. */
export function checksumOf(out: Float64Array, bars: number, count: number): number {
  const mask = out.length / BAR_FIELDS - 1;
  let sum = 0;
  for (let bar = bars - count; bar < bars; bar += 1) {
    const at = (bar & mask) * BAR_FIELDS;
    const notional = out[at + NOTIONAL_HIGH]! * LOW_LIMIT + out[at + NOTIONAL_LOW]!;
    sum += out[at + OPEN]! + out[at + HIGH]! + out[at + LOW]! + out[at + CLOSE]! + out[at + TRADES]! + out[at + LOTS]! + notional;
  }
  return sum;
}
