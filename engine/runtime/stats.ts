/** What the engine has counted, read from shared memory and from the parts on main. Nothing here touches the hot loop. */
import * as L from '../../schemas/layout.gen.ts';
import { outRingOf, SHARD_HEADER_ADDRESS, tickRingOf } from '../memory/region.ts';
import type { Ring } from '../memory/ring.ts';

export interface ShardStats {
  readonly tickDepth: number;
  readonly outDepth: number;
  readonly ticksMerged: number;
  readonly lateTicks: number;
  readonly lateRefused: number;
  readonly blockedPolls: number;
  readonly parks: number;
  readonly symbolCount: number;
  /** By timeframe. */
  readonly barsOut: readonly number[];
  readonly amendmentsOut: readonly number[];
  readonly openBars: readonly number[];
}

export interface ShardStatsReader {
  read(): ShardStats;
}

/** Reads the counters of one shard; values are single aligned words, so a reader never sees half of one. */
export function createShardStatsReader(memory: WebAssembly.Memory, timeframeCount: number): ShardStatsReader {
  const f64 = new Float64Array(memory.buffer);
  const i32 = new Int32Array(memory.buffer);
  const at = SHARD_HEADER_ADDRESS >> 3;
  const tickRing: Ring = tickRingOf(memory);
  const outRing: Ring = outRingOf(memory);
  const byTimeframe = (index: number): number[] => [...f64.subarray(at + index, at + index + timeframeCount)];
  return {
    read: () => ({
      tickDepth: tickRing.depth(),
      outDepth: outRing.depth(),
      ticksMerged: f64[at + L.SHARD_TICKS_MERGED_F64]!,
      lateTicks: f64[at + L.SHARD_LATE_TICKS_F64]!,
      lateRefused: f64[at + L.SHARD_LATE_REFUSED_F64]!,
      blockedPolls: f64[at + L.SHARD_BLOCKED_POLLS_F64]!,
      parks: f64[at + L.SHARD_PARKS_F64]!,
      symbolCount: i32[(SHARD_HEADER_ADDRESS >> 2) + L.SHARD_SYMBOL_COUNT_I32]!,
      barsOut: byTimeframe(L.SHARD_BARS_OUT_F64),
      amendmentsOut: byTimeframe(L.SHARD_AMENDMENTS_OUT_F64),
      openBars: byTimeframe(L.SHARD_OPEN_BARS_F64),
    }),
  };
}

/** Element-wise sum of rows of one length. */
export function sumColumns(rows: readonly (readonly number[])[]): number[] {
  return (rows[0] ?? []).map((_, column) => rows.reduce((sum, row) => sum + row[column]!, 0));
}
