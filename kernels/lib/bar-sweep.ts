// Closing buckets as a watermark moves. It stops when the out ring is full and goes on where it stood, so its place is kept in the
// shard header.
//
// The order of what comes out is by bucket end, then timeframe, then registration of the symbol, as if the watermark moved second by
// second. That is done literally while 1 s buckets can be open; beyond, each timeframe has at most one open bucket a symbol, and
// only their ends matter.
import {
  BAR_FIRST_NS,
  BAR_TIMEFRAME_INDEX,
  BAR_TS_START_NS,
  OUT_KIND_BAR_FINAL,
  PARTITION_FIRST_LOCAL_INDEX,
  PARTITION_WATERMARK_NS,
  SHARD_BARS_OUT,
  SHARD_OPEN_BARS,
  SHARD_SLOT_COUNT,
  SHARD_SWEEP_BOUNDARY_NS,
  SHARD_SWEEP_FLAGS,
  SHARD_SWEEP_FROM_NS,
  SHARD_SWEEP_LOCAL_INDEX,
  SHARD_SWEEP_PARTITION,
  SHARD_SWEEP_STAGE,
  SHARD_SWEEP_TARGET_NS,
  SHARD_TIMEFRAME_COUNT,
  SHARD_TIMEFRAME_PARENT,
  SYMBOL_META_NEXT_LOCAL_INDEX,
  SYMBOL_META_SIZE,
} from "../../schemas/layout.gen";
import { emitBar, outHasRoom } from "./bar-out";
import {
  accumulatorRow,
  addTo,
  EMPTY,
  emptyBucket,
  floorDivide,
  mergeBar,
  metaOf,
  NO_WATERMARK,
  NS_PER_SECOND,
  partitionOf,
  sizeNsOf,
  slotOf,
  slotRow,
  touch,
} from "./bar-state";

const BAR_SHIFT: usize = 7;

// sweepFlags: bits 0 to 11 timeframes that may hold something in the jump, then these, then the seconds still to be taken one by one.
const ALL_TIMEFRAMES: i32 = 0xfff;
const IS_FIRST_WATERMARK: i32 = 1 << 12;
const STEPS_SHIFT: i32 = 16;

/** Starts to move the watermark of `partition` to `targetNs`, in whole seconds or i64.MAX_VALUE. It never goes back. */
export function beginSweep(header: usize, partition: i32, targetNs: i64): void {
  const address = partitionOf(header, partition);
  let fromNs = load<i64>(address, PARTITION_WATERMARK_NS);
  if (targetNs <= fromNs) return;
  if (targetNs != i64.MAX_VALUE && targetNs % NS_PER_SECOND != 0) unreachable();
  let flags = ALL_TIMEFRAMES | (load<i32>(header, SHARD_SLOT_COUNT) << STEPS_SHIFT);
  if (fromNs == NO_WATERMARK) {
    flags = ALL_TIMEFRAMES | IS_FIRST_WATERMARK;
    fromNs = min(earliestOpenSecond(header, address), targetNs);
  }
  store<i32>(header, partition, SHARD_SWEEP_PARTITION);
  store<i32>(header, flags, SHARD_SWEEP_FLAGS);
  store<i64>(header, targetNs, SHARD_SWEEP_TARGET_NS);
  store<i64>(header, fromNs, SHARD_SWEEP_FROM_NS);
  store<i64>(header, fromNs, SHARD_SWEEP_BOUNDARY_NS);
}

/** Goes on with the sweep under way; false when the out ring is full before it is done. */
export function runSweep(header: usize): bool {
  const partition = partitionOf(header, load<i32>(header, SHARD_SWEEP_PARTITION));
  const targetNs = load<i64>(header, SHARD_SWEEP_TARGET_NS);
  let fromNs = load<i64>(header, SHARD_SWEEP_FROM_NS);
  let boundaryNs = load<i64>(header, SHARD_SWEEP_BOUNDARY_NS);
  for (;;) {
    if (boundaryNs == fromNs) {
      if (fromNs == targetNs) break;
      boundaryNs = nextBoundary(header, partition, fromNs);
      store<i64>(header, boundaryNs, SHARD_SWEEP_BOUNDARY_NS);
      store<i32>(header, 0, SHARD_SWEEP_STAGE);
      store<i32>(header, load<i32>(partition, PARTITION_FIRST_LOCAL_INDEX), SHARD_SWEEP_LOCAL_INDEX);
    }
    if (!closeBoundary(header, partition, fromNs, boundaryNs)) return false;
    fromNs = boundaryNs;
    store<i64>(header, fromNs, SHARD_SWEEP_FROM_NS);
  }
  // Before the first watermark anything may have come; from now on a bucket out of reach of the sweeps would be lost.
  if (load<i32>(header, SHARD_SWEEP_FLAGS) & IS_FIRST_WATERMARK && !partitionFits(header, partition, targetNs)) unreachable();
  store<i64>(partition, targetNs, PARTITION_WATERMARK_NS);
  store<i32>(header, -1, SHARD_SWEEP_PARTITION);
  store<i32>(header, 0, SHARD_SWEEP_FLAGS);
  return true;
}

/** The next bucket end after `fromNs` at which something may close, or the target. */
function nextBoundary(header: usize, partition: usize, fromNs: i64): i64 {
  const flags = load<i32>(header, SHARD_SWEEP_FLAGS);
  let limitNs = load<i64>(header, SHARD_SWEEP_TARGET_NS);
  if (flags & IS_FIRST_WATERMARK) {
    const secondNs = earliestOpenSecond(header, partition);
    if (secondNs == fromNs) {
      store<i32>(header, flags | ALL_TIMEFRAMES, SHARD_SWEEP_FLAGS);
      return fromNs + NS_PER_SECOND;
    }
    limitNs = min(limitNs, secondNs);
  } else if (flags >> STEPS_SHIFT > 0) {
    store<i32>(header, flags - (1 << STEPS_SHIFT), SHARD_SWEEP_FLAGS);
    return fromNs + NS_PER_SECOND;
  }
  let boundaryNs = limitNs;
  let ending = 0;
  const timeframes = load<i32>(header, SHARD_TIMEFRAME_COUNT);
  for (let timeframe = 1; timeframe < timeframes; ++timeframe) {
    if ((flags & (1 << timeframe)) == 0) continue;
    const sizeNs = sizeNsOf(header, timeframe);
    const endNs = (floorDivide(fromNs, sizeNs) + 1) * sizeNs;
    if (endNs > boundaryNs) continue;
    if (endNs < boundaryNs) ending = 0;
    boundaryNs = endNs;
    ending |= 1 << timeframe;
  }
  store<i32>(header, flags & ~ending, SHARD_SWEEP_FLAGS);
  return boundaryNs;
}

/** Closes, timeframe by timeframe, what ends in (fromNs, boundaryNs]; false when the out ring is full. */
function closeBoundary(header: usize, partition: usize, fromNs: i64, boundaryNs: i64): bool {
  const timeframes = load<i32>(header, SHARD_TIMEFRAME_COUNT);
  const first = load<i32>(partition, PARTITION_FIRST_LOCAL_INDEX);
  let timeframe = load<i32>(header, SHARD_SWEEP_STAGE);
  let localIndex = load<i32>(header, SHARD_SWEEP_LOCAL_INDEX);
  for (; timeframe < timeframes; ++timeframe) {
    const sizeNs = sizeNsOf(header, timeframe);
    if (floorDivide(boundaryNs, sizeNs) > floorDivide(fromNs, sizeNs)) {
      localIndex = closeTimeframe(header, timeframe, localIndex, fromNs);
      if (localIndex >= 0) {
        store<i32>(header, timeframe, SHARD_SWEEP_STAGE);
        store<i32>(header, localIndex, SHARD_SWEEP_LOCAL_INDEX);
        return false;
      }
    }
    localIndex = first;
  }
  return true;
}

/** Closes one timeframe for the symbols from `localIndex` on; returns the symbol for which the out ring had no room, or -1. */
function closeTimeframe(header: usize, timeframe: i32, localIndex: i32, secondNs: i64): i32 {
  const row = timeframe == 0 ? slotRow(header, slotOf(header, secondNs)) : accumulatorRow(header, timeframe);
  const metas = metaOf(header, 0);
  const children = childrenOf(header, timeframe);
  let closed = 0;
  while (localIndex >= 0) {
    const bucket = row + ((<usize>localIndex) << BAR_SHIFT);
    const meta = metas + <usize>localIndex * SYMBOL_META_SIZE;
    if (load<i64>(bucket, BAR_FIRST_NS) != EMPTY && (timeframe != 0 || load<i64>(bucket, BAR_TS_START_NS) == secondNs)) {
      if (!outHasRoom(1)) break;
      emitBar(bucket, OUT_KIND_BAR_FINAL);
      for (let left = children; left != 0; left &= left - 1) feed(header, ctz(left), localIndex, bucket);
      emptyBucket(bucket);
      touch(meta);
      closed += 1;
    }
    localIndex = load<i32>(meta, SYMBOL_META_NEXT_LOCAL_INDEX);
  }
  addTo(header + SHARD_BARS_OUT + ((<usize>timeframe) << 3), closed);
  addTo(header + SHARD_OPEN_BARS + ((<usize>timeframe) << 3), -closed);
  return localIndex;
}

/** Merges a bucket that closes into the accumulator of a timeframe that is built from it. Only the first of a bucket needs a division. */
function feed(header: usize, timeframe: i32, localIndex: i32, bucket: usize): void {
  const accumulator = accumulatorRow(header, timeframe) + ((<usize>localIndex) << BAR_SHIFT);
  const sizeNs = sizeNsOf(header, timeframe);
  const bucketNs = load<i64>(bucket, BAR_TS_START_NS);
  const startNs = load<i64>(accumulator, BAR_TS_START_NS);
  const isIn = <u64>(bucketNs - startNs) < <u64>sizeNs && load<i64>(accumulator, BAR_FIRST_NS) != EMPTY;
  mergeBar(header, accumulator, bucket, isIn ? startNs : floorDivide(bucketNs, sizeNs) * sizeNs);
}

/** One bit for each timeframe that is built from `timeframe`. */
function childrenOf(header: usize, timeframe: i32): i32 {
  let children = 0;
  const timeframes = load<i32>(header, SHARD_TIMEFRAME_COUNT);
  for (let child = timeframe + 1; child < timeframes; ++child) {
    if (load<i32>(header + ((<usize>child) << 2), SHARD_TIMEFRAME_PARENT) == timeframe) children |= 1 << child;
  }
  return children;
}

/** True when a bucket is empty or can be open at a watermark: a second within the slots, or the bucket that the watermark is in. */
export function bucketFits(header: usize, bucket: usize, watermarkNs: i64): bool {
  if (load<i64>(bucket, BAR_FIRST_NS) == EMPTY || watermarkNs == NO_WATERMARK) return true;
  const startNs = load<i64>(bucket, BAR_TS_START_NS);
  const timeframe = load<i32>(bucket, BAR_TIMEFRAME_INDEX);
  if (timeframe != 0) return startNs <= watermarkNs && watermarkNs < startNs + sizeNsOf(header, timeframe);
  return startNs >= watermarkNs && startNs - watermarkNs < <i64>load<i32>(header, SHARD_SLOT_COUNT) * NS_PER_SECOND;
}

/** True when every bucket of a partition is empty or can be open at a watermark. */
export function partitionFits(header: usize, partition: usize, watermarkNs: i64): bool {
  const slots = load<i32>(header, SHARD_SLOT_COUNT);
  const timeframes = load<i32>(header, SHARD_TIMEFRAME_COUNT);
  let localIndex = load<i32>(partition, PARTITION_FIRST_LOCAL_INDEX);
  while (localIndex >= 0) {
    const offset = (<usize>localIndex) << BAR_SHIFT;
    for (let slot = 0; slot < slots; ++slot) {
      if (!bucketFits(header, slotRow(header, slot) + offset, watermarkNs)) return false;
    }
    for (let timeframe = 1; timeframe < timeframes; ++timeframe) {
      if (!bucketFits(header, accumulatorRow(header, timeframe) + offset, watermarkNs)) return false;
    }
    localIndex = load<i32>(metaOf(header, localIndex), SYMBOL_META_NEXT_LOCAL_INDEX);
  }
  return true;
}

/** Start of the earliest open 1 s bucket of a partition that has no watermark yet, i64.MAX_VALUE when there is none. */
function earliestOpenSecond(header: usize, partition: usize): i64 {
  const slots = load<i32>(header, SHARD_SLOT_COUNT);
  let earliestNs = i64.MAX_VALUE;
  let localIndex = load<i32>(partition, PARTITION_FIRST_LOCAL_INDEX);
  while (localIndex >= 0) {
    for (let slot = 0; slot < slots; ++slot) {
      const bucket = slotRow(header, slot) + ((<usize>localIndex) << BAR_SHIFT);
      if (load<i64>(bucket, BAR_FIRST_NS) != EMPTY) earliestNs = min(earliestNs, load<i64>(bucket, BAR_TS_START_NS));
    }
    localIndex = load<i32>(metaOf(header, localIndex), SYMBOL_META_NEXT_LOCAL_INDEX);
  }
  return earliestNs;
}
