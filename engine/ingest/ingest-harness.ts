/** What the tests of ingest share: an ingest over fresh shard regions, and a reader that empties its tick rings. */
import { TICK_SIZE } from '../../schemas/layout.gen.ts';
import { createManualClock, type ManualClock } from '../core/clock.ts';
import { createMemory } from '../kernel/host.ts';
import { createInstrumentBook, type InstrumentBook } from '../market/instrument-book.ts';
import { allocateSymbols, openSymbols, type SymbolDictionary } from '../market/instruments.ts';
import { formatRegion, mapRegion, tickRingOf } from '../memory/region.ts';
import type { Ring } from '../memory/ring.ts';
import { createIngest, type Ingest } from './port.ts';

export interface Rig {
  readonly ingest: Ingest;
  readonly clock: ManualClock;
  readonly symbols: SymbolDictionary;
  readonly rings: readonly Ring[];
  /** Bytes that each shard received so far. */
  readonly received: readonly Uint8Array[];
  /** Takes at most `limit` records from each ring; returns how many. */
  drain(limit?: number): number;
}

export interface RigOptions {
  readonly shards: number;
  readonly tickCapacity: number;
  readonly latenessNs: number;
  readonly amendNs: bigint;
  readonly futureNs: number | undefined;
  readonly book: InstrumentBook;
  readonly isStrict: boolean;
  readonly symbolCapacity: number;
  readonly nowMs: number;
}

/** 2026-11-21 10:00:00 UTC. */
export const NOW_MS = Date.UTC(2026, 10, 21, 10);
export const NOW_NS = BigInt(NOW_MS) * 1_000_000n;

const DEFAULTS: RigOptions = {
  shards: 1,
  tickCapacity: 4096,
  latenessNs: 100_000_000,
  amendNs: 3_600_000_000_000n,
  futureNs: 2e9,
  book: createInstrumentBook([]),
  isStrict: false,
  symbolCapacity: 64,
  nowMs: NOW_MS,
};

export const PARTITION_CAPACITY = 8;

export function createRig(changes: Partial<RigOptions> = {}): Rig {
  const options = { ...DEFAULTS, ...changes };
  const regions = Array.from({ length: options.shards }, (_, shardIndex) => {
    const shape = {
      shardIndex,
      tickCapacity: options.tickCapacity,
      outCapacity: 16,
      symbolCapacity: options.symbolCapacity,
      partitionCapacity: PARTITION_CAPACITY,
      latenessNs: options.latenessNs,
      amendNs: options.amendNs,
      latePolicy: 'amend' as const,
      timeframeSeconds: [1],
    };
    const memory = createMemory(mapRegion(shape).sizeBytes);
    formatRegion(memory, shape);
    return memory;
  });
  const clock = createManualClock(options.nowMs);
  const symbols = openSymbols(allocateSymbols(options.symbolCapacity));
  const ingest = createIngest({ ...options, regions, symbols, clock, partitionCapacity: PARTITION_CAPACITY });
  const rings = regions.map((region) => tickRingOf(region));
  const received = rings.map(() => new Uint8Array());
  const drain = (limit = Number.MAX_SAFE_INTEGER): number => {
    let taken = 0;
    for (const [shard, ring] of rings.entries()) {
      for (let left = limit; left > 0; ) {
        const run = Math.min(left, ring.run());
        if (run === 0) break;
        const from = ring.tailIndex() * 4;
        const bytes = new Uint8Array(ring.words.buffer).slice(from, from + run * TICK_SIZE);
        received[shard] = Buffer.concat([received[shard] ?? new Uint8Array(), bytes]);
        ring.release(run);
        left -= run;
        taken += run;
      }
    }
    return taken;
  };
  return { ingest, clock, symbols, rings, received, drain };
}
