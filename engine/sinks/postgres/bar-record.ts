/** A `bar` record as an object with exact integers, for the few places that take a bar apart: amendments and open state. */
import * as L from '../../../schemas/layout.gen.ts';
import { BAR_FLAG, INSTRUMENT_KIND } from '../../../schemas/records.ts';
import { EngineError } from '../../core/errors.ts';
import { BAR_WORDS, type RecordList } from './record-list.ts';

export interface Prices {
  readonly open: number;
  readonly high: number;
  readonly low: number;
  readonly close: number;
}

export interface BarValues {
  readonly firstNs: bigint;
  readonly lastNs: bigint;
  readonly tradeCount: number;
  readonly lateCount: number;
  readonly revision: number;
  /** Trades, or bids of quotes. */
  readonly prices: Prices;
  /** Quotes only. */
  readonly ask: Prices | undefined;
  /** Trades only, in lots. */
  readonly volumeLots: bigint;
  /** Sum of price units x lots; undefined when unknown and for quotes. */
  readonly notional: bigint | undefined;
}

const I32_MAX = 2147483647;
const I64_MAX = 9223372036854775807n;

type BarViews = Pick<RecordList, 'i32' | 'f64' | 'i64'>;

export function isQuoteRecord(views: Pick<BarViews, 'i32'>, index: number): boolean {
  return views.i32[index * BAR_WORDS + L.BAR_INSTRUMENT_KIND_I32] === INSTRUMENT_KIND.quote;
}

export function readBar(views: BarViews, index: number): BarValues {
  const { i32, f64, i64 } = views;
  const at = index * BAR_WORDS;
  const at64 = at >> 1;
  const isQuote = isQuoteRecord(views, index);
  const isNotionalUnknown = isQuote || (i32[at + L.BAR_FLAGS_I32]! & BAR_FLAG.notionalUnknown) !== 0;
  return {
    firstNs: i64[at64 + L.BAR_FIRST_NS_I64]!,
    lastNs: i64[at64 + L.BAR_LAST_NS_I64]!,
    tradeCount: i32[at + L.BAR_TRADE_COUNT_I32]!,
    lateCount: i32[at + L.BAR_LATE_COUNT_I32]!,
    revision: i32[at + L.BAR_REVISION_I32]!,
    prices: readPrices(f64, at64 + L.BAR_OPEN_F64),
    ask: isQuote ? readPrices(f64, at64 + L.BAR_ASK_OPEN_F64) : undefined,
    volumeLots: isQuote ? 0n : i64[at64 + L.BAR_VOLUME_LOTS_I64]!,
    notional: isNotionalUnknown
      ? undefined
      : (i64[at64 + L.BAR_NOTIONAL_HI_I64]! << 64n) | BigInt.asUintN(64, i64[at64 + L.BAR_NOTIONAL_LO_I64]!),
  };
}

/** Puts values into a record that has its identity (symbol, timeframe, start, kind, price scale) already. */
export function writeBar(views: BarViews, index: number, bar: BarValues): void {
  const { i32, f64, i64 } = views;
  const at = index * BAR_WORDS;
  const at64 = at >> 1;
  i64[at64 + L.BAR_FIRST_NS_I64] = bar.firstNs;
  i64[at64 + L.BAR_LAST_NS_I64] = bar.lastNs;
  i32[at + L.BAR_TRADE_COUNT_I32] = bar.tradeCount;
  i32[at + L.BAR_LATE_COUNT_I32] = bar.lateCount;
  i32[at + L.BAR_REVISION_I32] = bar.revision;
  writePrices(f64, at64 + L.BAR_OPEN_F64, bar.prices);
  if (bar.ask !== undefined) {
    writePrices(f64, at64 + L.BAR_ASK_OPEN_F64, bar.ask);
    return;
  }
  i64[at64 + L.BAR_VOLUME_LOTS_I64] = bar.volumeLots;
  const notional = bar.notional ?? 0n;
  i64[at64 + L.BAR_NOTIONAL_LO_I64] = BigInt.asIntN(64, notional);
  i64[at64 + L.BAR_NOTIONAL_HI_I64] = notional >> 64n;
  const flags = i32[at + L.BAR_FLAGS_I32]! & ~BAR_FLAG.notionalUnknown;
  i32[at + L.BAR_FLAGS_I32] = bar.notional === undefined ? flags | BAR_FLAG.notionalUnknown : flags;
}

/**
 * The bar with a delta that arrived after it, as its next revision. Of equal event times the first to arrive opens and the last closes.
 * @throws EngineError BAR_OVERFLOW when a sum leaves its type
 */
export function mergeDelta(bar: BarValues, delta: BarValues): BarValues {
  const opens = delta.firstNs < bar.firstNs;
  const closes = delta.lastNs >= bar.lastNs;
  const merged: BarValues = {
    firstNs: opens ? delta.firstNs : bar.firstNs,
    lastNs: closes ? delta.lastNs : bar.lastNs,
    tradeCount: bar.tradeCount + delta.tradeCount,
    lateCount: bar.lateCount + delta.lateCount,
    revision: bar.revision + 1,
    prices: mergePrices(bar.prices, delta.prices, { opens, closes }),
    ask: bar.ask === undefined || delta.ask === undefined ? undefined : mergePrices(bar.ask, delta.ask, { opens, closes }),
    volumeLots: bar.volumeLots + delta.volumeLots,
    notional: bar.notional === undefined || delta.notional === undefined ? undefined : bar.notional + delta.notional,
  };
  if (merged.tradeCount > I32_MAX) throw new EngineError('BAR_OVERFLOW', `amended bar: ${merged.tradeCount} ticks, at most ${I32_MAX}`);
  if (merged.volumeLots > I64_MAX)
    throw new EngineError('BAR_OVERFLOW', `amended bar: volume ${merged.volumeLots} lots, at most ${I64_MAX}`);
  return merged;
}

function mergePrices(bar: Prices, delta: Prices, { opens, closes }: { opens: boolean; closes: boolean }): Prices {
  return {
    open: opens ? delta.open : bar.open,
    high: Math.max(bar.high, delta.high),
    low: Math.min(bar.low, delta.low),
    close: closes ? delta.close : bar.close,
  };
}

/** A record holds open, close, high, low. */
function readPrices(f64: Float64Array, at: number): Prices {
  return { open: f64[at]!, close: f64[at + 1]!, high: f64[at + 2]!, low: f64[at + 3]! };
}

function writePrices(f64: Float64Array, at: number, prices: Prices): void {
  f64[at] = prices.open;
  f64[at + 1] = prices.close;
  f64[at + 2] = prices.high;
  f64[at + 3] = prices.low;
}
