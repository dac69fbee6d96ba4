/** What the JavaScript twins of the bar kernel have in common. They take trades in time, or late within the lateness, of one partition. */
import * as L from '../../schemas/layout.gen.ts';

export interface BarTwinShape {
  readonly symbols: number;
  readonly slotCount: number;
  /** Each divides a day. */
  readonly timeframeSeconds: readonly number[];
  readonly timeframeParents: readonly number[];
  readonly priceScale: number;
  /** Times are counted from here, a whole day in ns since the epoch, so that they are exact in a double and buckets start at multiples. */
  readonly originNs: number;
  /** Closed bars: BAR_FIELDS doubles each. The last ones stay, as in an out ring; `length / BAR_FIELDS` is a power of two. */
  readonly out: Float64Array;
}

/** A closed bar: timeframe, symbol, start, first and last event time (ns from the origin), o, h, l, c, lots, trades, notional. */
export const BAR_FIELDS = 12;

export interface BarTwin {
  /** Takes tick records `from` to `to`: `words` and `doubles` are two views of the same records. */
  run(words: Int32Array, doubles: Float64Array, from: number, to: number): void;
  /** Bars closed so far. */
  readonly bars: number;
}

const TWO_32 = 4294967296;

/** Event time of the record at `word`, from the origin; exact within 2^53 ns of it. */
export function offsetNs(words: Int32Array, word: number, shape: { readonly originNs: number }): number {
  const high = words[word + (L.TICK_TS_EVENT_NS >> 2) + 1]!;
  const low = words[word + (L.TICK_TS_EVENT_NS >> 2)]! >>> 0;
  const originHigh = Math.floor(shape.originNs / TWO_32);
  return (high - originHigh) * TWO_32 + (low - (shape.originNs - originHigh * TWO_32));
}

/** Lots of the record at `word`; exact below 2^53. */
export function lotsOf(words: Int32Array, word: number): number {
  const at = word + (L.TICK_QUANTITY_LOTS >> 2);
  return words[at + 1]! * TWO_32 + (words[at]! >>> 0);
}
