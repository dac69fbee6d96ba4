// The loops that nearly every tick goes through. The kernel exports them, only so that each stays a function of its own: the
// compiler would put them into poll, where they run out of registers.
import {
  BAR_ASK_HIGH,
  BAR_ASK_OPEN,
  BAR_FIRST_NS,
  BAR_HIGH,
  BAR_OPEN,
  BAR_PRICE_SCALE,
  BAR_TRADE_COUNT,
  BAR_TS_START_NS,
  BAR_VOLUME_LOTS,
  TICK_ASK,
  TICK_INGEST_US,
  TICK_KIND,
  TICK_KIND_QUOTE,
  TICK_KIND_TRADE,
  TICK_PRICE,
  TICK_QUANTITY_LOTS,
  TICK_SIZE,
  TICK_SYMBOL_INDEX,
  TICK_TS_EVENT_NS,
} from "../../schemas/layout.gen";
import { addProduct, EMPTY, highAndMinusLow, NS_PER_SECOND } from "./bar-state";

const BAR_SHIFT: usize = 7;
/** From the tick in hand to the one whose bucket is fetched. */
const LOOK_AHEAD: usize = 8 * TICK_SIZE;

// 1 s buckets opened since they were last asked for.
let opened: i32 = 0;

/** 1 s buckets opened since the last call. */
export function newlyOpened(): i32 {
  const count = opened;
  opened = 0;
  return count;
}

/**
 * Merges ticks from `tick` on into their 1 s buckets, as long as they are of one kind, of the second in hand and of one ingest stamp; returns the
 * first that is not, or `end`. The last ones have none behind them that could be looked ahead to.
 */
export function takeTicks(tick: usize, end: usize, startNs: i64, row: usize, stampUs: u32): usize {
  const kind = load<i32>(tick, TICK_KIND);
  const lastOnes = end - LOOK_AHEAD;
  if (kind == TICK_KIND_TRADE) {
    const next = takeTrades(tick, lastOnes, LOOK_AHEAD, startNs, row, stampUs);
    return next < lastOnes ? next : takeTrades(next, end, 0, startNs, row, stampUs);
  }
  if (kind == TICK_KIND_QUOTE) {
    const next = takeQuotes(tick, lastOnes, LOOK_AHEAD, startNs, row, stampUs);
    return next < lastOnes ? next : takeQuotes(next, end, 0, startNs, row, stampUs);
  }
  return tick;
}

/**
 * As takeTicks, for trades; beside each, the bucket of the tick `ahead` bytes further on is fetched, so there must be one. It has no branch that could
 * not be predicted, though every tenth tick or so opens a bucket, at no place that could be: [first, last] and [open, close] are taken or kept lane
 * by lane.
 */
export function takeTrades(tick: usize, end: usize, ahead: usize, startNs: i64, row: usize, stampUs: u32): usize {
  let newlyOpen = 0;
  for (; tick < end; tick += TICK_SIZE) {
    fetchBucket(tick + ahead, row);
    const tsNs = load<i64>(tick, TICK_TS_EVENT_NS);
    if (load<i32>(tick, TICK_KIND) != TICK_KIND_TRADE || load<u32>(tick, TICK_INGEST_US) != stampUs) break;
    if (<u64>(tsNs - startNs) >= <u64>NS_PER_SECOND) break;
    const bucket = row + ((<usize>load<i32>(tick, TICK_SYMBOL_INDEX)) << BAR_SHIFT);
    const price = load<f64>(tick, TICK_PRICE);
    const lots = load<i64>(tick, TICK_QUANTITY_LOTS);
    const times = v128.load(bucket, BAR_FIRST_NS);
    const isTaken = takenLanes(times, tsNs);
    store<i64>(bucket, startNs, BAR_TS_START_NS);
    v128.store(bucket, v128.bitselect(i64x2.splat(tsNs), times, isTaken), BAR_FIRST_NS);
    v128.store(bucket, v128.bitselect(f64x2.splat(price), v128.load(bucket, BAR_OPEN), isTaken), BAR_OPEN);
    v128.store(bucket, f64x2.pmax(v128.load(bucket, BAR_HIGH), highAndMinusLow(price, price)), BAR_HIGH);
    store<i32>(bucket, load<i32>(bucket, BAR_TRADE_COUNT) + 1, BAR_TRADE_COUNT);
    store<i64>(bucket, load<i64>(bucket, BAR_VOLUME_LOTS) + lots, BAR_VOLUME_LOTS);
    addProduct(bucket, price * load<f64>(bucket, BAR_PRICE_SCALE), lots);
    newlyOpen += i32(i64x2.extract_lane(times, 0) == EMPTY);
  }
  opened += newlyOpen;
  return tick;
}

/** As takeTrades, for quotes: bid and ask. */
export function takeQuotes(tick: usize, end: usize, ahead: usize, startNs: i64, row: usize, stampUs: u32): usize {
  let newlyOpen = 0;
  for (; tick < end; tick += TICK_SIZE) {
    fetchBucket(tick + ahead, row);
    const tsNs = load<i64>(tick, TICK_TS_EVENT_NS);
    if (load<i32>(tick, TICK_KIND) != TICK_KIND_QUOTE || load<u32>(tick, TICK_INGEST_US) != stampUs) break;
    if (<u64>(tsNs - startNs) >= <u64>NS_PER_SECOND) break;
    const bucket = row + ((<usize>load<i32>(tick, TICK_SYMBOL_INDEX)) << BAR_SHIFT);
    const bid = load<f64>(tick, TICK_PRICE);
    const ask = load<f64>(tick, TICK_ASK);
    const times = v128.load(bucket, BAR_FIRST_NS);
    const isTaken = takenLanes(times, tsNs);
    store<i64>(bucket, startNs, BAR_TS_START_NS);
    v128.store(bucket, v128.bitselect(i64x2.splat(tsNs), times, isTaken), BAR_FIRST_NS);
    v128.store(bucket, v128.bitselect(f64x2.splat(bid), v128.load(bucket, BAR_OPEN), isTaken), BAR_OPEN);
    v128.store(bucket, v128.bitselect(f64x2.splat(ask), v128.load(bucket, BAR_ASK_OPEN), isTaken), BAR_ASK_OPEN);
    v128.store(bucket, f64x2.pmax(v128.load(bucket, BAR_HIGH), highAndMinusLow(bid, bid)), BAR_HIGH);
    v128.store(bucket, f64x2.pmax(v128.load(bucket, BAR_ASK_HIGH), highAndMinusLow(ask, ask)), BAR_ASK_HIGH);
    store<i32>(bucket, load<i32>(bucket, BAR_TRADE_COUNT) + 1, BAR_TRADE_COUNT);
    newlyOpen += i32(i64x2.extract_lane(times, 0) == EMPTY);
  }
  opened += newlyOpen;
  return tick;
}

/**
 * Loads the first line of the bucket that `tick` will need, and drops the value; the processor fetches the line behind it too. Every record has a small
 * symbolIndex, whatever its kind, so the address lies in the region.
 */
function fetchBucket(tick: usize, row: usize): void {
  load<i64>(row + ((<usize>load<i32>(tick, TICK_SYMBOL_INDEX)) << BAR_SHIFT));
}

/** All ones in the lanes of [first, last] that `tsNs` takes: first when it is earlier, last when it is not earlier than that. */
function takenLanes(times: v128, tsNs: i64): v128 {
  return v128.xor(i64x2.gt_s(times, i64x2.splat(tsNs)), i64x2(0, -1));
}
