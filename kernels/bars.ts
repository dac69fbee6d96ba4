// Builds the bars of a shard: reads its tick ring, merges ticks into open 1 s buckets, closes buckets as watermarks move, and writes
// what closes to its out ring. All state lies in the shard's region; the variables here are caches of this instance.
import {
  BAR_ASK_HIGH,
  BAR_FIRST_NS,
  BAR_FLAGS,
  BAR_HIGH,
  BAR_SYMBOL_INDEX,
  BAR_TIMEFRAME_INDEX,
  BAR_TS_START_NS,
  BARRIER_FLAG_WITH_OPEN_STATE,
  INSTRUMENT_KIND_QUOTE,
  INSTRUMENT_KIND_TRADE,
  LAYOUT_HASH,
  OUT_KIND_BARRIER,
  PARTITION_FIRST_LOCAL_INDEX,
  PARTITION_LAST_LOCAL_INDEX,
  PARTITION_WATERMARK_NS,
  RING_CAPACITY,
  RING_SIZE,
  RING_TAIL,
  SHARD_BLOCKED_POLLS,
  SHARD_LAYOUT_HASH,
  SHARD_OPEN_BARS,
  SHARD_OUT_RING,
  SHARD_PARTITION_CAPACITY,
  SHARD_POLL_STATE,
  SHARD_SHARD_INDEX,
  SHARD_SLOT_COUNT,
  SHARD_STAMP_CAPACITY,
  SHARD_STAMP_COUNT,
  SHARD_STAMPS,
  SHARD_SWEEP_FLAGS,
  SHARD_SWEEP_PARTITION,
  SHARD_SYMBOL_CAPACITY,
  SHARD_SYMBOL_COUNT,
  SHARD_TICK_RING,
  SHARD_TICKS_MERGED,
  SHARD_TIMEFRAME_COUNT,
  SYMBOL_META_INSTRUMENT_KIND,
  SYMBOL_META_IS_TOUCHED,
  SYMBOL_META_NEXT_LOCAL_INDEX,
  SYMBOL_META_PARTITION,
  SYMBOL_META_PRICE_SCALE,
  SYMBOL_META_SYMBOL_INDEX,
  TICK_INGEST_US,
  TICK_KIND,
  TICK_KIND_BARRIER,
  TICK_KIND_BAR,
  TICK_KIND_LATE,
  TICK_KIND_SYMBOL,
  TICK_KIND_WATERMARK,
  TICK_PRICE,
  TICK_SIZE,
  TICK_SYMBOL_INDEX,
  TICK_TRADE_COUNT,
  TICK_TS_EVENT_NS,
} from "../schemas/layout.gen";
import { MERGED, mergeLate, NO_ROOM, PASSED_ON, passOnLate } from "./lib/bar-late";
import { emitEmpty, outHasRoom, outOpen, outPublish } from "./lib/bar-out";
import {
  accumulatorRow,
  addTo,
  barOfTick,
  count,
  EMPTY,
  formatBucket,
  highAndMinusLow,
  mergeBar,
  metaOf,
  NO_WATERMARK,
  NS_PER_SECOND,
  partitionOf,
  scratchBar,
  slotOf,
  slotRow,
  touch,
} from "./lib/bar-state";
import { newlyOpened, takeQuotes, takeTicks, takeTrades } from "./lib/bar-take";
import { endListing, listTouched, resetListing, setListed, takeSlot } from "./lib/bar-listing";
import { ringReady, ringRelease } from "./lib/ring";
import { beginSweep, bucketFits, partitionFits, runSweep } from "./lib/bar-sweep";

export { takeQuotes, takeTrades };

const BAR_SHIFT: usize = 7;

/** Beside MERGED, PASSED_ON and NO_ROOM: the second of this tick is in hand now. */
const AGAIN: i32 = 3;

const STATE_IDLE: i32 = 0;
const STATE_MORE: i32 = 1;
const STATE_BLOCKED: i32 = 2;

/** A start from which no event time is less than a second away. */
const NO_SECOND: i64 = i64.MIN_VALUE;

// The second in hand, known to be open for every symbol and to own its slot row; event times in it need no other check.
let secondNs: i64 = NO_SECOND;
let secondRow: usize = 0;

// Seconds that are open for every partition that has symbols here lie in [openFromNs, openToNs).
let isWindowKnown: bool = false;
let openFromNs: i64 = 0;
let openToNs: i64 = 0;

export function layoutHash(): i32 {
  return LAYOUT_HASH;
}

/** Prepares a formatted region: no symbols, no watermarks, nothing open. */
export function init(header: usize): void {
  if (load<i32>(header, SHARD_LAYOUT_HASH) != LAYOUT_HASH) unreachable();
  const partitions = load<i32>(header, SHARD_PARTITION_CAPACITY);
  for (let partition = 0; partition < partitions; ++partition) {
    const address = partitionOf(header, partition);
    store<i64>(address, NO_WATERMARK, PARTITION_WATERMARK_NS);
    store<i32>(address, -1, PARTITION_FIRST_LOCAL_INDEX);
    store<i32>(address, -1, PARTITION_LAST_LOCAL_INDEX);
  }
  store<i32>(header, 0, SHARD_SYMBOL_COUNT);
  store<i32>(header, -1, SHARD_SWEEP_PARTITION);
  store<i32>(header, 0, SHARD_SWEEP_FLAGS);
  resetListing(header);
  forgetWindow();
}

/** Registers the symbol of a `symbol` record; its index within the shard must be the next one. */
export function registerSymbol(header: usize, record: usize): void {
  const localIndex = load<i32>(record, TICK_SYMBOL_INDEX);
  if (localIndex != load<i32>(header, SHARD_SYMBOL_COUNT)) unreachable();
  if (localIndex >= load<i32>(header, SHARD_SYMBOL_CAPACITY)) unreachable();
  const partitionIndex = load<i32>(record, TICK_TRADE_COUNT);
  const partition = partitionOf(header, partitionIndex);
  const identity = load<u32>(record, TICK_INGEST_US);
  const meta = metaOf(header, localIndex);
  store<i32>(meta, <i32>(identity & 0x7fffffff), SYMBOL_META_SYMBOL_INDEX);
  store<i32>(meta, partitionIndex, SYMBOL_META_PARTITION);
  store<i32>(meta, -1, SYMBOL_META_NEXT_LOCAL_INDEX);
  store<i32>(meta, identity >> 31 ? INSTRUMENT_KIND_QUOTE : INSTRUMENT_KIND_TRADE, SYMBOL_META_INSTRUMENT_KIND);
  store<f64>(meta, load<f64>(record, TICK_PRICE), SYMBOL_META_PRICE_SCALE);
  store<i32>(meta, 0, SYMBOL_META_IS_TOUCHED);
  const last = load<i32>(partition, PARTITION_LAST_LOCAL_INDEX);
  if (last < 0) store<i32>(partition, localIndex, PARTITION_FIRST_LOCAL_INDEX);
  else store<i32>(metaOf(header, last), localIndex, SYMBOL_META_NEXT_LOCAL_INDEX);
  store<i32>(partition, localIndex, PARTITION_LAST_LOCAL_INDEX);
  const offset = (<usize>localIndex) << BAR_SHIFT;
  const slots = load<i32>(header, SHARD_SLOT_COUNT);
  for (let slot = 0; slot < slots; ++slot) formatBucket(slotRow(header, slot) + offset, meta, 0);
  const timeframes = load<i32>(header, SHARD_TIMEFRAME_COUNT);
  for (let timeframe = 1; timeframe < timeframes; ++timeframe) formatBucket(accumulatorRow(header, timeframe) + offset, meta, timeframe);
  store<i32>(header, localIndex + 1, SHARD_SYMBOL_COUNT);
  forgetWindow();
}

/**
 * Sets the watermark of a partition without closing anything, before or after its open buckets are restored. Returns 0, and sets
 * nothing, when one of them cannot be open at that watermark.
 */
export function setWatermark(header: usize, partition: i32, watermarkNs: i64): i32 {
  const address = partitionOf(header, partition);
  if (!partitionFits(header, address, watermarkNs)) return 0;
  store<i64>(address, watermarkNs, PARTITION_WATERMARK_NS);
  forgetWindow();
  return 1;
}

/**
 * Puts a `barOpen` record back into its place, where it counts as listed; its lows are negated there and then. Returns 0 when it was
 * not: there is no such symbol or timeframe, it cannot be open at its partition's watermark, or its place is taken.
 */
export function restoreBar(header: usize, localIndex: i32, record: usize): i32 {
  if (<u32>localIndex >= <u32>load<i32>(header, SHARD_SYMBOL_COUNT)) return 0;
  const meta = metaOf(header, localIndex);
  const timeframe = load<i32>(record, BAR_TIMEFRAME_INDEX);
  if (<u32>timeframe >= <u32>load<i32>(header, SHARD_TIMEFRAME_COUNT)) return 0;
  const watermarkNs = load<i64>(partitionOf(header, load<i32>(meta, SYMBOL_META_PARTITION)), PARTITION_WATERMARK_NS);
  if (!bucketFits(header, record, watermarkNs)) return 0;
  const startNs = load<i64>(record, BAR_TS_START_NS);
  const row = timeframe == 0 ? slotRow(header, slotOf(header, startNs)) : accumulatorRow(header, timeframe);
  const bucket = row + ((<usize>localIndex) << BAR_SHIFT);
  if (load<i64>(bucket, BAR_FIRST_NS) != EMPTY) return 0;
  negateLows(record, meta);
  mergeBar(header, bucket, record, startNs);
  if (timeframe == 0) setListed(bucket);
  return 1;
}

/** From an out record, whose lows are plain, to an accumulator. */
function negateLows(record: usize, meta: usize): void {
  v128.store(record, highAndMinusLow(load<f64>(record, BAR_HIGH), load<f64>(record, BAR_HIGH + 8)), BAR_HIGH);
  if (load<i32>(meta, SYMBOL_META_INSTRUMENT_KIND) != INSTRUMENT_KIND_QUOTE) return;
  v128.store(record, highAndMinusLow(load<f64>(record, BAR_ASK_HIGH), load<f64>(record, BAR_ASK_HIGH + 8)), BAR_ASK_HIGH);
}

/**
 * Reads at most `maxRecords` of the tick ring and returns how many were done with. It ends early when the out ring is full (poll state 2)
 * or when there is no place for another ingest stamp (1). A sweep that was cut short is finished first.
 */
export function poll(header: usize, maxRecords: i32): i32 {
  const ring = <usize>load<i32>(header, SHARD_TICK_RING);
  const tail = load<i32>(ring, RING_TAIL);
  const ready = ringReady(ring);
  const limit = min(ready, maxRecords);
  const ringEnd = ring + RING_SIZE + <usize>load<i32>(ring, RING_CAPACITY) * TICK_SIZE;
  const stamps = <usize>load<i32>(header, SHARD_STAMPS);
  const stampEnd = stamps + (<usize>load<i32>(header, SHARD_STAMP_CAPACITY) << 3);
  let tick = ring + RING_SIZE + <usize>(tail & (load<i32>(ring, RING_CAPACITY) - 1)) * TICK_SIZE;
  let done = 0;
  let stamp = stamps;
  let stampUs: u32 = 0;
  let stampFrom = 0;
  let merged = 0;
  let state = STATE_IDLE;

  outOpen(<usize>load<i32>(header, SHARD_OUT_RING));
  if (load<i32>(header, SHARD_SWEEP_PARTITION) >= 0) {
    forgetWindow();
    if (!runSweep(header)) state = STATE_BLOCKED;
  }
  if (!isWindowKnown) learnWindow(header);
  let startNs = secondNs;
  let row = secondRow;
  while (done < limit && state == STATE_IDLE) {
    const kind = load<i32>(tick, TICK_KIND);
    const end = min(ringEnd, tick + <usize>(limit - done) * TICK_SIZE);
    const from = tick;
    tick = takeTicks(tick, end, startNs, row, stampUs);
    if (tick != from) {
      const taken = <i32>((tick - from) / TICK_SIZE);
      merged += taken;
      done += taken;
    } else {
      if (kind <= TICK_KIND_BAR && load<u32>(tick, TICK_INGEST_US) != stampUs) {
        stamp = writeStamp(stamp, stampUs, merged - stampFrom);
        stampFrom = merged;
        stampUs = load<u32>(tick, TICK_INGEST_US);
        if (stamp < stampEnd) continue;
        state = STATE_MORE;
        break;
      }
      const outcome = kind <= TICK_KIND_BAR ? mergeSlowly(header, tick, load<i64>(tick, TICK_TS_EVENT_NS)) : obey(header, tick, kind);
      if (outcome == NO_ROOM) {
        state = STATE_BLOCKED;
        break;
      }
      startNs = secondNs;
      row = secondRow;
      if (outcome == AGAIN) continue;
      if (outcome == MERGED) merged += 1;
      if (load<i32>(header, SHARD_SWEEP_PARTITION) >= 0) state = STATE_BLOCKED;
      done += 1;
      tick += TICK_SIZE;
    }
    if (tick == ringEnd) tick = ring + RING_SIZE;
  }
  stamp = writeStamp(stamp, stampUs, merged - stampFrom);
  store<i32>(header, <i32>((stamp - stamps) >> 3), SHARD_STAMP_COUNT);
  addTo(header + SHARD_TICKS_MERGED, merged);
  addTo(header + SHARD_OPEN_BARS, newlyOpened());
  if (state == STATE_BLOCKED) count(header + SHARD_BLOCKED_POLLS);
  else if (done < ready) state = STATE_MORE;
  store<i32>(header, state, SHARD_POLL_STATE);
  outPublish();
  ringRelease(ring, tail + done);
  return done;
}

/** Adds {ingestUs, count} to the stamps unless the count is 0; returns where the next one goes. */
function writeStamp(stamp: usize, ingestUs: u32, merged: i32): usize {
  if (merged == 0) return stamp;
  store<u32>(stamp, ingestUs, 0);
  store<i32>(stamp, merged, 4);
  return stamp + 8;
}

/** A tick outside the second in hand, or a source bar. A second that is open for everyone is taken in hand instead, for another look. */
function mergeSlowly(header: usize, tick: usize, tsNs: i64): i32 {
  const localIndex = load<i32>(tick, TICK_SYMBOL_INDEX);
  if (<u32>localIndex >= <u32>load<i32>(header, SHARD_SYMBOL_COUNT) || tsNs < 0) unreachable();
  const meta = metaOf(header, localIndex);
  const watermarkNs = load<i64>(partitionOf(header, load<i32>(meta, SYMBOL_META_PARTITION)), PARTITION_WATERMARK_NS);
  const startNs = tsNs - (tsNs % NS_PER_SECOND);
  if (watermarkNs != NO_WATERMARK) {
    if (startNs + NS_PER_SECOND <= watermarkNs) return mergeLate(header, tick, watermarkNs);
    if (startNs - watermarkNs >= <i64>load<i32>(header, SHARD_SLOT_COUNT) * NS_PER_SECOND) unreachable();
  }
  const slot = slotOf(header, startNs);
  const row = slotRow(header, slot);
  if (load<i32>(tick, TICK_KIND) != TICK_KIND_BAR && startNs >= openFromNs && startNs < openToNs) {
    takeSlot(header, slot);
    secondNs = startNs;
    secondRow = row;
    return AGAIN;
  }
  const bar = scratchBar(header);
  barOfTick(bar, tick, meta);
  mergeBar(header, row + ((<usize>localIndex) << BAR_SHIFT), bar, startNs);
  touch(meta);
  return MERGED;
}

/** A record that is not a tick. */
function obey(header: usize, record: usize, kind: i32): i32 {
  if (kind == TICK_KIND_LATE) return passOnLate(header, record);
  if (kind == TICK_KIND_BARRIER) return passBarrier(header, record);
  if (kind == TICK_KIND_SYMBOL) registerSymbol(header, record);
  else if (kind == TICK_KIND_WATERMARK) {
    beginSweep(header, load<i32>(record, TICK_SYMBOL_INDEX), load<i64>(record, TICK_TS_EVENT_NS));
    if (load<i32>(header, SHARD_SWEEP_PARTITION) >= 0) runSweep(header);
  } else unreachable();
  learnWindow(header);
  return PASSED_ON;
}

/** Passes a barrier to the out ring, after the open buckets of the symbols touched when it asks for them. */
function passBarrier(header: usize, record: usize): i32 {
  const flags = load<i32>(record, TICK_SYMBOL_INDEX);
  if (flags & BARRIER_FLAG_WITH_OPEN_STATE) {
    secondNs = NO_SECOND; // the next tick takes its slot again, for the next listing to look at
    if (!listTouched(header)) return NO_ROOM;
  }
  if (!outHasRoom(1)) return NO_ROOM;
  endListing(header);
  const to = emitEmpty(OUT_KIND_BARRIER);
  store<i32>(to, load<i32>(header, SHARD_SHARD_INDEX), BAR_SYMBOL_INDEX);
  store<i64>(to, load<i64>(record, TICK_TS_EVENT_NS), BAR_TS_START_NS);
  store<i32>(to, flags, BAR_FLAGS);
  return PASSED_ON;
}

function forgetWindow(): void {
  isWindowKnown = false;
  secondNs = NO_SECOND;
}

/** Finds the seconds that are open for every partition with symbols; a partition without a watermark leaves none. */
function learnWindow(header: usize): void {
  const partitions = load<i32>(header, SHARD_PARTITION_CAPACITY);
  let highestNs = i64.MIN_VALUE;
  let lowestNs = i64.MAX_VALUE;
  for (let partition = 0; partition < partitions; ++partition) {
    const address = partitionOf(header, partition);
    if (load<i32>(address, PARTITION_FIRST_LOCAL_INDEX) < 0) continue;
    const watermarkNs = load<i64>(address, PARTITION_WATERMARK_NS);
    highestNs = max(highestNs, watermarkNs);
    lowestNs = min(lowestNs, watermarkNs);
  }
  openFromNs = highestNs;
  const reachNs = <i64>load<i32>(header, SHARD_SLOT_COUNT) * NS_PER_SECOND;
  openToNs = lowestNs == NO_WATERMARK || lowestNs == i64.MAX_VALUE ? i64.MIN_VALUE : lowestNs + reachNs;
  secondNs = NO_SECOND;
  isWindowKnown = true;
}
