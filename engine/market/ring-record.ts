/** Ring records as plain objects, for readable twins and tests; the engine itself never makes one per tick. */
import * as L from '../../schemas/layout.gen.ts';

/** A slot of a tick ring, see the `tick` record. */
export interface TickRecord {
  readonly kind: number;
  readonly symbolIndex: number;
  readonly tsEventNs: bigint;
  readonly price: number;
  readonly ask: number;
  readonly low: number;
  readonly close: number;
  readonly quantityLots: bigint;
  readonly tradeCount: number;
  readonly ingestUs: number;
}

/** A slot of an out ring, see the `bar` record. Fields that an instrument's kind does not have are 0. */
export interface BarRecord {
  kind: number;
  symbolIndex: number;
  tsStartNs: bigint;
  firstNs: bigint;
  lastNs: bigint;
  tradeCount: number;
  lateCount: number;
  timeframeIndex: number;
  revision: number;
  open: number;
  close: number;
  high: number;
  low: number;
  volumeLots: bigint;
  /** Sum of price units x lots, signed, 128 bits. */
  notional: bigint;
  priceScale: number;
  askOpen: number;
  askClose: number;
  askHigh: number;
  askLow: number;
  flags: number;
  missedMask: number;
  partition: number;
  instrumentKind: number;
}

export function writeTick(view: DataView, at: number, tick: TickRecord): void {
  view.setInt32(at + L.TICK_KIND, tick.kind, true);
  view.setInt32(at + L.TICK_SYMBOL_INDEX, tick.symbolIndex, true);
  view.setBigInt64(at + L.TICK_TS_EVENT_NS, tick.tsEventNs, true);
  view.setFloat64(at + L.TICK_PRICE, tick.price, true);
  view.setFloat64(at + L.TICK_ASK, tick.ask, true);
  view.setFloat64(at + L.TICK_LOW, tick.low, true);
  view.setFloat64(at + L.TICK_CLOSE, tick.close, true);
  view.setBigInt64(at + L.TICK_QUANTITY_LOTS, tick.quantityLots, true);
  view.setInt32(at + L.TICK_TRADE_COUNT, tick.tradeCount, true);
  view.setUint32(at + L.TICK_INGEST_US, tick.ingestUs, true);
}

export function readTick(view: DataView, at: number): TickRecord {
  return {
    kind: view.getInt32(at + L.TICK_KIND, true),
    symbolIndex: view.getInt32(at + L.TICK_SYMBOL_INDEX, true),
    tsEventNs: view.getBigInt64(at + L.TICK_TS_EVENT_NS, true),
    price: view.getFloat64(at + L.TICK_PRICE, true),
    ask: view.getFloat64(at + L.TICK_ASK, true),
    low: view.getFloat64(at + L.TICK_LOW, true),
    close: view.getFloat64(at + L.TICK_CLOSE, true),
    quantityLots: view.getBigInt64(at + L.TICK_QUANTITY_LOTS, true),
    tradeCount: view.getInt32(at + L.TICK_TRADE_COUNT, true),
    ingestUs: view.getUint32(at + L.TICK_INGEST_US, true),
  };
}

/** Writes all 128 bytes. */
export function writeBar(view: DataView, at: number, bar: BarRecord): void {
  view.setInt32(at + L.BAR_KIND, bar.kind, true);
  view.setInt32(at + L.BAR_SYMBOL_INDEX, bar.symbolIndex, true);
  view.setBigInt64(at + L.BAR_TS_START_NS, bar.tsStartNs, true);
  view.setBigInt64(at + L.BAR_FIRST_NS, bar.firstNs, true);
  view.setBigInt64(at + L.BAR_LAST_NS, bar.lastNs, true);
  view.setInt32(at + L.BAR_TRADE_COUNT, bar.tradeCount, true);
  view.setInt32(at + L.BAR_LATE_COUNT, bar.lateCount, true);
  view.setInt32(at + L.BAR_TIMEFRAME_INDEX, bar.timeframeIndex, true);
  view.setInt32(at + L.BAR_REVISION, bar.revision, true);
  view.setFloat64(at + L.BAR_OPEN, bar.open, true);
  view.setFloat64(at + L.BAR_CLOSE, bar.close, true);
  view.setFloat64(at + L.BAR_HIGH, bar.high, true);
  view.setFloat64(at + L.BAR_LOW, bar.low, true);
  if (bar.instrumentKind === L.INSTRUMENT_KIND_QUOTE) {
    view.setFloat64(at + L.BAR_ASK_OPEN, bar.askOpen, true);
    view.setFloat64(at + L.BAR_ASK_CLOSE, bar.askClose, true);
    view.setFloat64(at + L.BAR_ASK_HIGH, bar.askHigh, true);
    view.setFloat64(at + L.BAR_ASK_LOW, bar.askLow, true);
  } else {
    view.setBigInt64(at + L.BAR_VOLUME_LOTS, bar.volumeLots, true);
    view.setBigInt64(at + L.BAR_NOTIONAL_LO, bar.notional, true);
    view.setBigInt64(at + L.BAR_NOTIONAL_HI, bar.notional >> 64n, true);
    view.setFloat64(at + L.BAR_PRICE_SCALE, bar.priceScale, true);
  }
  view.setInt32(at + L.BAR_FLAGS, bar.flags, true);
  view.setInt32(at + L.BAR_MISSED_MASK, bar.missedMask, true);
  view.setInt32(at + L.BAR_PARTITION, bar.partition, true);
  view.setInt32(at + L.BAR_INSTRUMENT_KIND, bar.instrumentKind, true);
}

export function readBar(view: DataView, at: number): BarRecord {
  const i32 = (offset: number): number => view.getInt32(at + offset, true);
  const i64 = (offset: number): bigint => view.getBigInt64(at + offset, true);
  const f64 = (offset: number): number => view.getFloat64(at + offset, true);
  const isQuote = i32(L.BAR_INSTRUMENT_KIND) === L.INSTRUMENT_KIND_QUOTE;
  return {
    kind: i32(L.BAR_KIND),
    symbolIndex: i32(L.BAR_SYMBOL_INDEX),
    tsStartNs: i64(L.BAR_TS_START_NS),
    firstNs: i64(L.BAR_FIRST_NS),
    lastNs: i64(L.BAR_LAST_NS),
    tradeCount: i32(L.BAR_TRADE_COUNT),
    lateCount: i32(L.BAR_LATE_COUNT),
    timeframeIndex: i32(L.BAR_TIMEFRAME_INDEX),
    revision: i32(L.BAR_REVISION),
    open: f64(L.BAR_OPEN),
    close: f64(L.BAR_CLOSE),
    high: f64(L.BAR_HIGH),
    low: f64(L.BAR_LOW),
    volumeLots: isQuote ? 0n : i64(L.BAR_VOLUME_LOTS),
    notional: isQuote ? 0n : (i64(L.BAR_NOTIONAL_HI) << 64n) | BigInt.asUintN(64, i64(L.BAR_NOTIONAL_LO)),
    priceScale: isQuote ? 0 : f64(L.BAR_PRICE_SCALE),
    askOpen: isQuote ? f64(L.BAR_ASK_OPEN) : 0,
    askClose: isQuote ? f64(L.BAR_ASK_CLOSE) : 0,
    askHigh: isQuote ? f64(L.BAR_ASK_HIGH) : 0,
    askLow: isQuote ? f64(L.BAR_ASK_LOW) : 0,
    flags: i32(L.BAR_FLAGS),
    missedMask: i32(L.BAR_MISSED_MASK),
    partition: i32(L.BAR_PARTITION),
    instrumentKind: i32(L.BAR_INSTRUMENT_KIND),
  };
}
