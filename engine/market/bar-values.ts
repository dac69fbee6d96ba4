/** The arithmetic of bars on plain objects: what one tick makes, how two merge, VWAP. */
import * as L from '../../schemas/layout.gen.ts';
import type { BarRecord, TickRecord } from './ring-record.ts';

const I64_MAX = 2n ** 63n - 1n;
const I64_MIN = -(2n ** 63n);

/** What must be known of a symbol to make its bars. */
export interface BarSymbol {
  readonly symbolIndex: number;
  readonly partition: number;
  readonly isQuote: boolean;
  /** 10^priceDecimals */
  readonly priceScale: number;
}

/** Start of the bucket of `seconds` that a time is in; both in ns since the epoch. */
export function bucketStart(tsNs: bigint, seconds: number): bigint {
  const sizeNs = BigInt(seconds) * 1_000_000_000n;
  const remainder = tsNs % sizeNs;
  return tsNs - (remainder < 0n ? remainder + sizeNs : remainder);
}

/** The bar of one trade, quote or source bar, in no bucket yet. */
export function barOfTick(tick: TickRecord, symbol: BarSymbol): BarRecord {
  const isSourceBar = tick.kind === L.TICK_KIND_BAR;
  const ask = symbol.isQuote ? tick.ask : 0;
  return {
    kind: 0,
    symbolIndex: symbol.symbolIndex,
    tsStartNs: 0n,
    firstNs: tick.tsEventNs,
    lastNs: tick.tsEventNs,
    tradeCount: isSourceBar ? tick.tradeCount : 1,
    lateCount: 0,
    timeframeIndex: 0,
    revision: 0,
    open: tick.price,
    close: isSourceBar ? tick.close : tick.price,
    high: isSourceBar ? tick.ask : tick.price,
    low: isSourceBar ? tick.low : tick.price,
    volumeLots: symbol.isQuote ? 0n : tick.quantityLots,
    notional: symbol.isQuote || isSourceBar ? 0n : priceUnits(tick.price, symbol.priceScale) * tick.quantityLots,
    priceScale: symbol.isQuote ? 0 : symbol.priceScale,
    askOpen: ask,
    askClose: ask,
    askHigh: ask,
    askLow: ask,
    flags: isSourceBar ? L.BAR_FLAG_NOTIONAL_UNKNOWN : 0,
    missedMask: 0,
    partition: symbol.partition,
    instrumentKind: symbol.isQuote ? L.INSTRUMENT_KIND_QUOTE : L.INSTRUMENT_KIND_TRADE,
  };
}

/**
 * Merges a later arrival into a bar: the earliest event time gives the open, the latest the close; among equal times the first to
 * arrive opens and the last to arrive closes.
 */
export function mergeBar(into: BarRecord, from: BarRecord): void {
  if (from.firstNs < into.firstNs) {
    into.firstNs = from.firstNs;
    into.open = from.open;
    into.askOpen = from.askOpen;
  }
  if (from.lastNs >= into.lastNs) {
    into.lastNs = from.lastNs;
    into.close = from.close;
    into.askClose = from.askClose;
  }
  into.high = Math.max(into.high, from.high);
  into.low = Math.min(into.low, from.low);
  into.askHigh = Math.max(into.askHigh, from.askHigh);
  into.askLow = Math.min(into.askLow, from.askLow);
  into.tradeCount = (into.tradeCount + from.tradeCount) | 0;
  into.lateCount = (into.lateCount + from.lateCount) | 0;
  into.volumeLots = BigInt.asIntN(64, into.volumeLots + from.volumeLots);
  into.notional = BigInt.asIntN(128, into.notional + from.notional);
  into.flags |= from.flags;
}

/** nearest(price x scale), ties to even, held within 64 bits. */
export function priceUnits(price: number, priceScale: number): bigint {
  const scaled = price * priceScale;
  if (scaled >= 2 ** 63) return I64_MAX;
  if (scaled <= -(2 ** 63)) return I64_MIN;
  const below = Math.floor(scaled);
  const rest = scaled - below;
  const isUp = rest > 0.5 || (rest === 0.5 && below % 2 !== 0);
  return BigInt(isUp ? below + 1 : below);
}

/** VWAP of an exact notional, taken to f64 by its 64-bit halves; null when the volume is 0. */
export function vwapOf(notional: bigint, volumeLots: bigint, priceScale: number): number | null {
  if (volumeLots === 0n) return null;
  const total = Number(notional >> 64n) * 2 ** 64 + Number(BigInt.asUintN(64, notional));
  return total / (Number(volumeLots) * priceScale);
}
