// Where the buckets of a shard lie, what an empty one looks like, and how values are merged into one. A bucket in the state is a
// `bar` record whose lows are negated: one pmax then serves high and low. An empty one has firstNs = i64.MAX_VALUE and holds
// identities, so that a merge needs no case for it; symbol, partition, timeframe and price scale stay in it for good.
import {
  BAR_ASK_CLOSE,
  BAR_ASK_HIGH,
  BAR_ASK_OPEN,
  BAR_CLOSE,
  BAR_FIRST_NS,
  BAR_FLAGS,
  BAR_FLAG_NOTIONAL_UNKNOWN,
  BAR_HIGH,
  BAR_INSTRUMENT_KIND,
  BAR_LAST_NS,
  BAR_LATE_COUNT,
  BAR_MISSED_MASK,
  BAR_NOTIONAL_HI,
  BAR_NOTIONAL_LO,
  BAR_OPEN,
  BAR_PARTITION,
  BAR_PRICE_SCALE,
  BAR_REVISION,
  BAR_SIZE,
  BAR_SYMBOL_INDEX,
  BAR_TIMEFRAME_INDEX,
  BAR_TRADE_COUNT,
  BAR_TS_START_NS,
  BAR_VOLUME_LOTS,
  INSTRUMENT_KIND_QUOTE,
  PARTITION_SIZE,
  SHARD_ACCUMULATORS,
  SHARD_OPEN_BARS,
  SHARD_PARTITIONS,
  SHARD_PARTITION_CAPACITY,
  SHARD_SLOTS,
  SHARD_SLOT_COUNT,
  SHARD_SYMBOL_CAPACITY,
  SHARD_SYMBOL_META,
  SHARD_TIMEFRAME_SECONDS,
  SYMBOL_META_INSTRUMENT_KIND,
  SYMBOL_META_IS_TOUCHED,
  SYMBOL_META_PARTITION,
  SYMBOL_META_PRICE_SCALE,
  SYMBOL_META_SIZE,
  SYMBOL_META_SYMBOL_INDEX,
  TICK_ASK,
  TICK_CLOSE,
  TICK_KIND,
  TICK_KIND_BAR,
  TICK_LOW,
  TICK_PRICE,
  TICK_QUANTITY_LOTS,
  TICK_TRADE_COUNT,
  TICK_TS_EVENT_NS,
} from "../../schemas/layout.gen";

export const NS_PER_SECOND: i64 = 1000000000;
/** No first event time yet: the bucket is empty. */
export const EMPTY: i64 = i64.MAX_VALUE;
/** A partition without a watermark. */
export const NO_WATERMARK: i64 = i64.MIN_VALUE;

/** 1.5 x 2^52: adding it to |x| < 2^51 rounds x to the nearest whole number, ties to even, into the low bits. */
const ROUNDER: f64 = 6755399441055744.0;
/** Below this, units and lots have a product that fits 62 bits. */
const SMALL: u64 = 0x80000000;

export function metaOf(header: usize, localIndex: i32): usize {
  return <usize>load<i32>(header, SHARD_SYMBOL_META) + <usize>localIndex * SYMBOL_META_SIZE;
}

export function partitionOf(header: usize, partition: i32): usize {
  if (<u32>partition >= <u32>load<i32>(header, SHARD_PARTITION_CAPACITY)) unreachable();
  return <usize>load<i32>(header, SHARD_PARTITIONS) + <usize>partition * PARTITION_SIZE;
}

/** The 1 s buckets of slot `slot`, one per symbol. */
export function slotRow(header: usize, slot: i32): usize {
  return <usize>load<i32>(header, SHARD_SLOTS) + <usize>slot * <usize>load<i32>(header, SHARD_SYMBOL_CAPACITY) * BAR_SIZE;
}

/** The accumulators of timeframe `timeframe`, one per symbol. */
export function accumulatorRow(header: usize, timeframe: i32): usize {
  return <usize>load<i32>(header, SHARD_ACCUMULATORS) + <usize>timeframe * <usize>load<i32>(header, SHARD_SYMBOL_CAPACITY) * BAR_SIZE;
}

/** One bar for what is in hand: the first record of the accumulators' unused row. */
export function scratchBar(header: usize): usize {
  return <usize>load<i32>(header, SHARD_ACCUMULATORS);
}

/** Slot of the 1 s bucket that starts at `startNs`. */
export function slotOf(header: usize, startNs: i64): i32 {
  return <i32>(floorDivide(startNs, NS_PER_SECOND) & <i64>(load<i32>(header, SHARD_SLOT_COUNT) - 1));
}

export function sizeNsOf(header: usize, timeframe: i32): i64 {
  return <i64>load<i32>(header + ((<usize>timeframe) << 2), SHARD_TIMEFRAME_SECONDS) * NS_PER_SECOND;
}

/** Watermarks may lie before the epoch, by the lateness. */
export function floorDivide(value: i64, size: i64): i64 {
  const quotient = value / size;
  return quotient * size > value ? quotient - 1 : quotient;
}

/** Adds one to an f64 counter. */
export function count(address: usize): void {
  store<f64>(address, load<f64>(address) + 1);
}

/** Adds to an f64 counter or gauge. */
export function addTo(address: usize, amount: i32): void {
  store<f64>(address, load<f64>(address) + <f64>amount);
}

/** The next listing has this symbol in it. */
export function touch(meta: usize): void {
  store<i32>(meta, 1, SYMBOL_META_IS_TOUCHED);
}

/** Gives a bucket its symbol and leaves it empty. */
export function formatBucket(bucket: usize, meta: usize, timeframe: i32): void {
  memory.fill(bucket, 0, BAR_SIZE);
  store<i32>(bucket, load<i32>(meta, SYMBOL_META_SYMBOL_INDEX), BAR_SYMBOL_INDEX);
  store<i32>(bucket, load<i32>(meta, SYMBOL_META_PARTITION), BAR_PARTITION);
  store<i32>(bucket, load<i32>(meta, SYMBOL_META_INSTRUMENT_KIND), BAR_INSTRUMENT_KIND);
  store<i32>(bucket, timeframe, BAR_TIMEFRAME_INDEX);
  if (load<i32>(meta, SYMBOL_META_INSTRUMENT_KIND) != INSTRUMENT_KIND_QUOTE) {
    store<f64>(bucket, load<f64>(meta, SYMBOL_META_PRICE_SCALE), BAR_PRICE_SCALE);
  }
  emptyBucket(bucket);
}

/** Back to identities. */
export function emptyBucket(bucket: usize): void {
  store<i64>(bucket, EMPTY, BAR_FIRST_NS);
  store<i64>(bucket, i64.MIN_VALUE, BAR_LAST_NS);
  store<i64>(bucket, 0, BAR_TRADE_COUNT); // with lateCount beside it
  v128.store(bucket, f64x2.splat(-Infinity), BAR_HIGH);
  store<i32>(bucket, 0, BAR_FLAGS);
  if (load<i32>(bucket, BAR_INSTRUMENT_KIND) == INSTRUMENT_KIND_QUOTE) {
    v128.store(bucket, f64x2.splat(-Infinity), BAR_ASK_HIGH);
  } else {
    store<i64>(bucket, 0, BAR_VOLUME_LOTS);
    store<i64>(bucket, 0, BAR_NOTIONAL_LO);
    store<i64>(bucket, 0, BAR_NOTIONAL_HI);
  }
}

/**
 * Merges `from` into the bucket that starts at `startNs`: the earliest event time gives the open, the latest the close; among equal times
 * what was there opens and what comes closes. A bucket that holds another start is a broken invariant.
 */
export function mergeBar(header: usize, into: usize, from: usize, startNs: i64): void {
  const firstNs = load<i64>(into, BAR_FIRST_NS);
  if (firstNs == EMPTY) {
    store<i64>(into, startNs, BAR_TS_START_NS);
    count(header + SHARD_OPEN_BARS + ((<usize>load<i32>(into, BAR_TIMEFRAME_INDEX)) << 3));
  } else if (load<i64>(into, BAR_TS_START_NS) != startNs) unreachable();
  const isEarlier = load<i64>(from, BAR_FIRST_NS) < firstNs;
  const isLater = load<i64>(from, BAR_LAST_NS) >= load<i64>(into, BAR_LAST_NS);
  if (isEarlier) {
    store<i64>(into, load<i64>(from, BAR_FIRST_NS), BAR_FIRST_NS);
    store<f64>(into, load<f64>(from, BAR_OPEN), BAR_OPEN);
  }
  if (isLater) {
    store<i64>(into, load<i64>(from, BAR_LAST_NS), BAR_LAST_NS);
    store<f64>(into, load<f64>(from, BAR_CLOSE), BAR_CLOSE);
  }
  v128.store(into, f64x2.pmax(v128.load(into, BAR_HIGH), v128.load(from, BAR_HIGH)), BAR_HIGH);
  store<i32>(into, load<i32>(into, BAR_TRADE_COUNT) + load<i32>(from, BAR_TRADE_COUNT), BAR_TRADE_COUNT);
  store<i32>(into, load<i32>(into, BAR_LATE_COUNT) + load<i32>(from, BAR_LATE_COUNT), BAR_LATE_COUNT);
  store<i32>(into, load<i32>(into, BAR_FLAGS) | load<i32>(from, BAR_FLAGS), BAR_FLAGS);
  if (load<i32>(into, BAR_INSTRUMENT_KIND) == INSTRUMENT_KIND_QUOTE) {
    if (isEarlier) store<f64>(into, load<f64>(from, BAR_ASK_OPEN), BAR_ASK_OPEN);
    if (isLater) store<f64>(into, load<f64>(from, BAR_ASK_CLOSE), BAR_ASK_CLOSE);
    v128.store(into, f64x2.pmax(v128.load(into, BAR_ASK_HIGH), v128.load(from, BAR_ASK_HIGH)), BAR_ASK_HIGH);
  } else {
    store<i64>(into, load<i64>(into, BAR_VOLUME_LOTS) + load<i64>(from, BAR_VOLUME_LOTS), BAR_VOLUME_LOTS);
    addNotional(into, load<u64>(from, BAR_NOTIONAL_LO), load<i64>(from, BAR_NOTIONAL_HI));
  }
}

/** The bucket that one trade, quote or source bar makes, in the form of an accumulator; timeframe 0, no start. */
export function barOfTick(bar: usize, tick: usize, meta: usize): void {
  formatBucket(bar, meta, 0);
  const tsNs = load<i64>(tick, TICK_TS_EVENT_NS);
  const price = load<f64>(tick, TICK_PRICE);
  const isSourceBar = load<i32>(tick, TICK_KIND) == TICK_KIND_BAR;
  store<i32>(bar, 0, BAR_REVISION);
  store<i32>(bar, 0, BAR_MISSED_MASK);
  store<i64>(bar, tsNs, BAR_FIRST_NS);
  store<i64>(bar, tsNs, BAR_LAST_NS);
  store<i32>(bar, isSourceBar ? load<i32>(tick, TICK_TRADE_COUNT) : 1, BAR_TRADE_COUNT);
  store<f64>(bar, price, BAR_OPEN);
  store<f64>(bar, isSourceBar ? load<f64>(tick, TICK_CLOSE) : price, BAR_CLOSE);
  const high = isSourceBar ? load<f64>(tick, TICK_ASK) : price;
  const low = isSourceBar ? load<f64>(tick, TICK_LOW) : price;
  v128.store(bar, highAndMinusLow(high, low), BAR_HIGH);
  if (load<i32>(meta, SYMBOL_META_INSTRUMENT_KIND) == INSTRUMENT_KIND_QUOTE) {
    const ask = load<f64>(tick, TICK_ASK);
    store<f64>(bar, ask, BAR_ASK_OPEN);
    store<f64>(bar, ask, BAR_ASK_CLOSE);
    v128.store(bar, highAndMinusLow(ask, ask), BAR_ASK_HIGH);
    return;
  }
  const lots = load<i64>(tick, TICK_QUANTITY_LOTS);
  store<i64>(bar, lots, BAR_VOLUME_LOTS);
  if (isSourceBar) store<i32>(bar, BAR_FLAG_NOTIONAL_UNKNOWN, BAR_FLAGS);
  else addProduct(bar, price * load<f64>(meta, SYMBOL_META_PRICE_SCALE), lots);
}

export function highAndMinusLow(high: f64, low: f64): v128 {
  return f64x2.replace_lane(f64x2.splat(high), 1, -low);
}

/** Adds nearest(scaledPrice) x lots to the 128-bit notional. */
export function addProduct(bar: usize, scaledPrice: f64, lots: i64): void {
  const units = reinterpret<u64>(scaledPrice + ROUNDER) - reinterpret<u64>(ROUNDER);
  if ((units | <u64>lots) < SMALL) {
    const product = units * <u64>lots;
    const low = load<u64>(bar, BAR_NOTIONAL_LO) + product;
    store<u64>(bar, low, BAR_NOTIONAL_LO);
    if (low < product) store<i64>(bar, load<i64>(bar, BAR_NOTIONAL_HI) + 1, BAR_NOTIONAL_HI);
  } else addWideProduct(bar, scaledPrice, lots);
}

/** As addProduct for any size: schoolbook multiplication by 32-bit halves, then the sign. Units beyond 2^63 - 1 stay there. */
function addWideProduct(bar: usize, scaledPrice: f64, lots: i64): void {
  const units = <i64>nearest<f64>(scaledPrice);
  const isNegative = (units < 0) != (lots < 0);
  const a = <u64>(units < 0 ? -units : units);
  const b = <u64>(lots < 0 ? -lots : lots);
  const aLow = a & 0xffffffff;
  const aHigh = a >> 32;
  const bLow = b & 0xffffffff;
  const bHigh = b >> 32;
  const lowLow = aLow * bLow;
  const middle = aHigh * bLow + (lowLow >> 32);
  const cross = aLow * bHigh + (middle & 0xffffffff);
  let low = (cross << 32) | (lowLow & 0xffffffff);
  let high = <i64>(aHigh * bHigh + (middle >> 32) + (cross >> 32));
  if (isNegative) {
    low = ~low + 1;
    high = ~high + <i64>(low == 0);
  }
  addNotional(bar, low, high);
}

function addNotional(bar: usize, low: u64, high: i64): void {
  const sum = load<u64>(bar, BAR_NOTIONAL_LO) + low;
  store<u64>(bar, sum, BAR_NOTIONAL_LO);
  store<i64>(bar, load<i64>(bar, BAR_NOTIONAL_HI) + high + <i64>(sum < low), BAR_NOTIONAL_HI);
}
