/**
 * Builds open buckets again from the source, when those stored are of a version that this engine does not read. The source is read from the
 * oldest tick that may still be open up to where the last checkpoint stood, by the same ingest and kernels, on the main thread before any
 * worker runs. Whatever comes out meanwhile is committed already, and is dropped.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import type { Clock } from '../core/clock.ts';
import { EngineError } from '../core/errors.ts';
import type { Ingest } from '../ingest/port.ts';
import type { Source } from '../ingest/source.ts';
import type { BarKernel } from '../kernel/bars.ts';
import { clearCounters, outRingOf } from '../memory/region.ts';
import type { StoredState } from '../sinks/postgres/state.ts';

export interface RebuildParts {
  readonly state: StoredState;
  readonly regions: readonly WebAssembly.Memory[];
  readonly kernels: readonly BarKernel[];
  readonly ingest: Ingest;
  readonly clock: Clock;
  /** A source that ends by itself at these offsets. */
  openUntil(offsets: ReadonlyMap<number, bigint>): Source;
}

const POLL_BUDGET = 4096;
const REST_MS = 1;
/** Without a tick for this long the source does not hold what it should. */
const STALL_MS = 60_000;

/** @throws EngineError REBUILD_STALLED, REBUILD_LATENESS; those of the source */
export async function rebuildOpenState({ state, regions, kernels, ingest, clock, openUntil }: RebuildParts): Promise<void> {
  const isRebuilt = (partition: number): boolean => state.rebuild.has(partition);
  const until = new Map(state.offsets.filter(([partition]) => isRebuilt(partition)));
  const rings = regions.map(outRingOf);
  const drain = (): void => {
    kernels.forEach((kernel, shard) => {
      while (kernel.poll(POLL_BUDGET) > 0 || kernel.pollState() === 'blocked') rings[shard]!.release(rings[shard]!.depth());
      rings[shard]!.release(rings[shard]!.depth());
    });
  };
  const source = openUntil(until);
  await source.start(ingest, { offsets: state.rebuild });
  let movedMs = clock.wallMs();
  while (!source.isEnded) {
    const failure = source.failure();
    if (failure) throw failure;
    if (source.poll(POLL_BUDGET) > 0) movedMs = clock.wallMs();
    else if (clock.wallMs() - movedMs > STALL_MS) {
      const text = [...until].map(([partition, offset]) => `partition ${partition} to ${offset}`).join(', ');
      throw new EngineError('REBUILD_STALLED', `open bars cannot be built again: no tick for ${STALL_MS} ms while reading ${text}`);
    } else await sleep(REST_MS);
    drain();
  }
  await source.stop();
  const reached = new Map(ingest.watermarks());
  // The idle time that had moved the stored watermarks is not in the source.
  for (const [partition, watermarkNs] of state.watermarks) {
    if (!isRebuilt(partition)) continue;
    if ((reached.get(partition) ?? watermarkNs) > watermarkNs) {
      const text = `partition ${partition}: open bars are to be built again, and LATENESS_MS is less than it was; start once with what it was`;
      throw new EngineError('REBUILD_LATENESS', text);
    }
    ingest.restorePartition(partition, watermarkNs);
    drain();
  }
  ingest.forgetCounts();
  for (const region of regions) clearCounters(region);
}
