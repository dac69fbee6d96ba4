/**
 * Ingest: the way from sources into the tick rings. Sources stage records or hand over messages; the ingest kernel refuses,
 * moves watermarks and routes; this publishes what it put out, once per shard and batch.
 *
 *   staging ─▶ kernel: check, watermark, route ─▶ output of each shard ─▶ outbox ─▶ tick ring
 *
 * Main thread only.
 */
import * as L from '../../schemas/layout.gen.ts';
import { TICK_KIND } from '../../schemas/records.ts';
import type { Clock } from '../core/clock.ts';
import { assert, EngineError } from '../core/errors.ts';
import { writeInt64 } from '../core/int64.ts';
import type { InstrumentBook } from '../market/instrument-book.ts';
import type { SymbolDictionary } from '../market/instruments.ts';
import { headerWord, tickRingOf } from '../memory/region.ts';
import { createIngestKernel, STAGING_CAPACITY, TICK_WORDS } from './port-kernel.ts';
import { createMessageReader } from './port-messages.ts';
import { createOutbox, type Outbox } from './port-outbox.ts';
import { createRegistry } from './port-registry.ts';
import { type AcceptedSums, createRouter, type IngestCounts } from './port-router.ts';
import { createWatermarks, type Watermarks } from './port-watermarks.ts';
import type { IngestPort, InstrumentSpec } from './source.ts';

export interface IngestOptions {
  /** Formatted shard regions, in order of shards. */
  readonly regions: readonly WebAssembly.Memory[];
  readonly symbols: SymbolDictionary;
  readonly book: InstrumentBook;
  readonly clock: Clock;
  readonly latenessNs: number;
  readonly amendNs: bigint;
  /** How far an event time may be ahead of the wall clock; undefined: 2 s, for sources that know no limit of their own. */
  readonly futureNs: number | undefined;
  /** SYMBOLS=strict. */
  readonly isStrict: boolean;
  /** Partitions are 0 to this less 1. */
  readonly partitionCapacity: number;
}

export interface Ingest extends IngestPort, Watermarks {
  /** Puts a barrier into every tick ring, or into none when one has no room. `flags` are of BARRIER_FLAG. */
  publishBarrier(epoch: number, flags: number): boolean;
  /** Registers a symbol of stored state, with the decimals it had. Returns its index, or minus the refusal code. */
  restoreSymbol(spec: InstrumentSpec): number;
  counts(): IngestCounts;
  /** What was accepted since the last call, by partition. */
  takeAccepted(): AcceptedSums[];
  /** Counts from 0 again: what came so far had been counted before. */
  forgetCounts(): void;
}

const DEFAULT_FUTURE_NS = 2e9;

/** @throws EngineError KERNEL_MISSING, KERNEL_LAYOUT */
export function createIngest(options: IngestOptions): Ingest {
  const { regions, partitionCapacity } = options;
  assert(regions.length > 0, 'ingest needs a shard');
  const kernel = createIngestKernel({ ...options, symbolCapacity: options.symbols.capacity, shardCount: regions.length });
  // Unasked come registrations and watermarks; asked, one batch and what was registered since it was asked for.
  const waitingMax = options.symbols.capacity + 2 * partitionCapacity + 2 * STAGING_CAPACITY;
  const outboxes = regions.map((region) => createOutbox(tickRingOf(region), waitingMax));
  const shardCapacities = regions.map((region) => headerWord(region, L.SHARD_SYMBOL_CAPACITY_I32));
  const registry = createRegistry({ ...options, kernel, outboxes, shardCapacities });
  const watermarks = createWatermarks({ kernel, outboxes, partitionCapacity, latenessNs: BigInt(options.latenessNs) });
  const futureMs = (options.futureNs ?? DEFAULT_FUTURE_NS) / 1e6;
  const router = createRouter({
    kernel,
    clock: options.clock,
    futureMs,
    registry,
    outboxes,
    partitionCapacity,
    onArrival: watermarks.noteArrival,
  });
  const room = (): number => Math.max(0, Math.min(STAGING_CAPACITY, Math.floor(ringRoom(outboxes) / 2)));
  const messages = createMessageReader({ kernel, registry, router, room });

  const enter = (partition: number): void => {
    assertPartition(partition, partitionCapacity);
    watermarks.notePartition(partition);
  };

  return {
    i32: kernel.i32,
    f64: kernel.f64,
    u8: kernel.u8,
    stagingI32Index: kernel.stagingI32,
    stagingCapacity: STAGING_CAPACITY,
    room,
    register(spec) {
      enter(spec.partition);
      return registry.register(spec);
    },
    decimalsOf: registry.decimalsOf,
    commit(count, partition, isStamped = false) {
      enter(partition);
      assert(count >= 0 && count <= STAGING_CAPACITY, `commit of ${count} records, at most ${STAGING_CAPACITY}`);
      return count === 0 ? 0 : count - router.routeStaged(count, partition, isStamped);
    },
    refuse: router.refuse,
    commitMessages(batch) {
      enter(batch.partition);
      assert(batch.count <= batch.values.length, `${batch.count} messages, ${batch.values.length} values`);
      return messages.commit(batch);
    },
    records: {
      memory: kernel.memory,
      commit(run) {
        enter(run.partition);
        return messages.commitRecords(run);
      },
    },
    publishBarrier: (epoch, flags) => publishBarrier(outboxes, epoch, flags),
    restoreSymbol(spec) {
      enter(spec.partition);
      return registry.restore(spec);
    },
    advanceIdle: watermarks.advanceIdle,
    closeAll: watermarks.closeAll,
    watermarks: watermarks.watermarks,
    restorePartition(partition, watermarkNs) {
      enter(partition);
      watermarks.restorePartition(partition, watermarkNs);
    },
    counts: router.counts,
    takeAccepted: router.takeAccepted,
    forgetCounts: router.forgetCounts,
  };
}

function ringRoom(outboxes: readonly Outbox[]): number {
  return outboxes.reduce((least, outbox) => Math.min(least, outbox.room()), Number.MAX_SAFE_INTEGER);
}

function publishBarrier(outboxes: readonly Outbox[], epoch: number, flags: number): boolean {
  if (ringRoom(outboxes) < 1) return false;
  const barrier = new Int32Array(TICK_WORDS);
  barrier[L.TICK_KIND_I32] = TICK_KIND.barrier;
  barrier[L.TICK_SYMBOL_INDEX_I32] = flags;
  writeInt64(barrier, L.TICK_TS_EVENT_NS_I64 * 2, epoch);
  for (const outbox of outboxes) outbox.put(barrier, 0, 1);
  return true;
}

function assertPartition(partition: number, capacity: number): void {
  if (Number.isInteger(partition) && partition >= 0 && partition < capacity) return;
  throw new EngineError('PARTITION_INVALID', `source partition ${partition}: expected 0 to ${capacity - 1}`);
}
