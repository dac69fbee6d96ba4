/** Makes the shared memory of every shard. */
import type { Config } from '../../config/knobs.ts';
import { BAR_SIZE, BAR_TIMEFRAME_INDEX, BAR_TS_START_NS } from '../../schemas/layout.gen.ts';
import { createMemory } from '../kernel/host.ts';
import type { Timeframe } from '../market/timeframes.ts';
import { formatRegion, mapRegion, type RegionShape } from '../memory/region.ts';
import type { StoredState } from '../sinks/postgres/state.ts';
import { stageOf } from './stage.ts';

/** Partitions a source may have. */
export const PARTITION_CAPACITY = 256;
/** Slots of an out ring: several seconds of every symbol's bars between two commits. */
const OUT_CAPACITY = 32768;

/** Where regions come from. */
export interface RegionPlace {
  readonly outCapacity: number;
  /** A zeroed memory of at least so many bytes. */
  createMemory(bytes: number): WebAssembly.Memory;
}

/** One formatted region a worker. Open buckets that are to be restored fit, whatever lateness they were made under. */
export function makeRegions(
  config: Config,
  timeframes: readonly Timeframe[],
  stored: StoredState,
  place: RegionPlace = { outCapacity: OUT_CAPACITY, createMemory },
): WebAssembly.Memory[] {
  const latenessNs = Math.max(config.LATENESS_MS * 1e6, openSpanNs(stored));
  // A stage that reads bars has one, of which it uses the out ring.
  const count = stageOf(config).input === undefined ? config.WORKERS : 1;
  return Array.from({ length: count }, (_, shardIndex) => {
    const shape: RegionShape = {
      shardIndex,
      tickCapacity: config.QUEUE,
      outCapacity: place.outCapacity,
      symbolCapacity: config.SYMBOLS_MAX,
      partitionCapacity: PARTITION_CAPACITY,
      latenessNs,
      amendNs: BigInt(config.AMEND_SEC) * 1_000_000_000n,
      latePolicy: config.LATE_POLICY,
      timeframeSeconds: timeframes.map((timeframe) => timeframe.seconds),
    };
    const memory = place.createMemory(mapRegion(shape).sizeBytes);
    formatRegion(memory, shape);
    return memory;
  });
}

/** How far the newest open 1 s bucket lies ahead of its partition's watermark, in ns. */
function openSpanNs(stored: StoredState): number {
  const watermarks = new Map(stored.watermarks);
  let span = 0n;
  for (const { partition, bars } of stored.openState) {
    const view = new DataView(bars.buffer, bars.byteOffset, bars.byteLength);
    const watermark = watermarks.get(partition);
    for (let offset = 0; offset < bars.byteLength; offset += BAR_SIZE) {
      if (watermark === undefined || view.getInt32(offset + BAR_TIMEFRAME_INDEX, true) !== 0) continue;
      const ahead = view.getBigInt64(offset + BAR_TS_START_NS, true) - watermark;
      if (ahead > span) span = ahead;
    }
  }
  return Number(span);
}
