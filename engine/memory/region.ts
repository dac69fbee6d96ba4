/** The map of a shard region: one shared WebAssembly.Memory that holds everything a shard owns. */

import * as L from '../../schemas/layout.gen.ts';
import { BAR_SIZE, LAYOUT_HASH, PARTITION_SIZE, RING_SIZE, SHARD_SIZE, SYMBOL_META_SIZE, TICK_SIZE } from '../../schemas/layout.gen.ts';
import { assert } from '../core/errors.ts';
import { createRing, type Ring } from './ring.ts';

/** Address of the shard header; what lies below is left to the WASM runtime. */
export const SHARD_HEADER_ADDRESS = 1024;
export const TIMEFRAMES_LIMIT = 12;
const STAMP_CAPACITY = 512;
const STAMP_BYTES = 8;

export interface RegionShape {
  readonly shardIndex: number;
  readonly tickCapacity: number;
  readonly outCapacity: number;
  readonly symbolCapacity: number;
  readonly partitionCapacity: number;
  readonly latenessNs: number;
  readonly amendNs: bigint;
  readonly latePolicy: 'amend' | 'side';
  /** Seconds of each timeframe; the first is 1. */
  readonly timeframeSeconds: readonly number[];
}

interface RegionMap {
  readonly tickRing: number;
  readonly outRing: number;
  readonly symbolMeta: number;
  readonly partitions: number;
  readonly slots: number;
  readonly accumulators: number;
  readonly stamps: number;
  readonly slotCount: number;
  readonly sizeBytes: number;
}

/**
 * Open 1 s buckets a symbol can have at once: those between the watermark and the largest event time, which lie within the
 * lateness plus the second that the watermark has not yet crossed, plus the one in hand.
 */
export function slotCountFor(latenessNs: number): number {
  let count = 4;
  while (count < Math.ceil(latenessNs / 1e9) + 3) count *= 2;
  return count;
}

/** Index of the timeframe each one is built from: the longest earlier one that divides it; -1 for the first. */
export function timeframeParents(seconds: readonly number[]): number[] {
  return seconds.map((value, index) => {
    for (let parent = index - 1; parent >= 0; parent -= 1) if (value % seconds[parent]! === 0) return parent;
    return -1;
  });
}

export function mapRegion(shape: RegionShape): RegionMap {
  let next = SHARD_HEADER_ADDRESS;
  const take = (bytes: number): number => {
    const address = next;
    next = Math.ceil((next + bytes) / 128) * 128;
    return address;
  };
  const slotCount = slotCountFor(shape.latenessNs);
  take(SHARD_SIZE);
  return {
    tickRing: take(RING_SIZE + shape.tickCapacity * TICK_SIZE),
    outRing: take(RING_SIZE + shape.outCapacity * BAR_SIZE),
    symbolMeta: take(shape.symbolCapacity * SYMBOL_META_SIZE),
    partitions: take(shape.partitionCapacity * PARTITION_SIZE),
    slots: take(slotCount * shape.symbolCapacity * BAR_SIZE),
    accumulators: take(shape.timeframeSeconds.length * shape.symbolCapacity * BAR_SIZE),
    stamps: take(STAMP_CAPACITY * STAMP_BYTES),
    slotCount,
    sizeBytes: next,
  };
}

/** Writes the header and the ring headers into a zeroed memory of `mapRegion(shape).sizeBytes`. */
export function formatRegion(memory: WebAssembly.Memory, shape: RegionShape): void {
  const map = mapRegion(shape);
  assert(memory.buffer.byteLength >= map.sizeBytes, `region of ${memory.buffer.byteLength} B holds ${map.sizeBytes} B`);
  assert(shape.timeframeSeconds.length <= TIMEFRAMES_LIMIT, `${shape.timeframeSeconds.length} timeframes, at most ${TIMEFRAMES_LIMIT}`);
  const at = SHARD_HEADER_ADDRESS >> 2;
  const i32 = new Int32Array(memory.buffer);
  i32[at + L.SHARD_LAYOUT_HASH_I32] = LAYOUT_HASH;
  i32[at + L.SHARD_SHARD_INDEX_I32] = shape.shardIndex;
  i32[at + L.SHARD_TICK_RING_I32] = map.tickRing;
  i32[at + L.SHARD_OUT_RING_I32] = map.outRing;
  i32[at + L.SHARD_SYMBOL_META_I32] = map.symbolMeta;
  i32[at + L.SHARD_PARTITIONS_I32] = map.partitions;
  i32[at + L.SHARD_SLOTS_I32] = map.slots;
  i32[at + L.SHARD_ACCUMULATORS_I32] = map.accumulators;
  i32[at + L.SHARD_STAMPS_I32] = map.stamps;
  i32[at + L.SHARD_SYMBOL_CAPACITY_I32] = shape.symbolCapacity;
  i32[at + L.SHARD_PARTITION_CAPACITY_I32] = shape.partitionCapacity;
  i32[at + L.SHARD_SLOT_COUNT_I32] = map.slotCount;
  i32[at + L.SHARD_TIMEFRAME_COUNT_I32] = shape.timeframeSeconds.length;
  i32[at + L.SHARD_STAMP_CAPACITY_I32] = STAMP_CAPACITY;
  i32[at + L.SHARD_LATE_POLICY_I32] = shape.latePolicy === 'amend' ? 0 : 1;
  i32[at + L.SHARD_SWEEP_PARTITION_I32] = -1;
  new BigInt64Array(memory.buffer)[(SHARD_HEADER_ADDRESS + L.SHARD_AMEND_NS) >> 3] = shape.amendNs;
  const parents = timeframeParents(shape.timeframeSeconds);
  for (let index = 0; index < parents.length; index += 1) {
    i32[at + L.SHARD_TIMEFRAME_SECONDS_I32 + index] = shape.timeframeSeconds[index]!;
    i32[at + L.SHARD_TIMEFRAME_PARENT_I32 + index] = parents[index]!;
  }
  i32[(map.tickRing + L.RING_CAPACITY) >> 2] = shape.tickCapacity;
  i32[(map.tickRing + L.RING_SLOT_BYTES) >> 2] = TICK_SIZE;
  i32[(map.outRing + L.RING_CAPACITY) >> 2] = shape.outCapacity;
  i32[(map.outRing + L.RING_SLOT_BYTES) >> 2] = BAR_SIZE;
}

/** The tick ring of a formatted region. */
export function tickRingOf(memory: WebAssembly.Memory): Ring {
  return createRing(memory.buffer, headerWord(memory, L.SHARD_TICK_RING_I32));
}

/** The out ring of a formatted region. */
export function outRingOf(memory: WebAssembly.Memory): Ring {
  return createRing(memory.buffer, headerWord(memory, L.SHARD_OUT_RING_I32));
}

/** A word of the shard header, by its index from the layout. */
export function headerWord(memory: WebAssembly.Memory, index: number): number {
  return new Int32Array(memory.buffer)[(SHARD_HEADER_ADDRESS >> 2) + index]!;
}

/** Sets what a shard has counted back to 0; gauges of what is open stay. */
export function clearCounters(memory: WebAssembly.Memory): void {
  const doubles = new Float64Array(memory.buffer);
  const at = SHARD_HEADER_ADDRESS >> 3;
  doubles.fill(0, at + L.SHARD_TICKS_MERGED_F64, at + L.SHARD_OPEN_BARS_F64);
}
