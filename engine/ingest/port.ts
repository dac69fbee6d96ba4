/**
 * Ingest: the way from sources into the tick rings. Sources stage records or hand over messages; the ingest kernel refuses,
 * moves watermarks and routes; this publishes what it put out, once per shard and batch.
 *
 *   staging ─▶ kernel: check, watermark, route ─▶ output of each shard ─▶ outbox ─▶ tick ring
 *
 * Main thread only.
 */
import * as L from '../../schemas/layout.gen.ts';
import { REFUSAL, TICK_KIND } from '../../schemas/records.ts';
import type { Clock } from '../core/clock.ts';
import { assert, EngineError } from '../core/errors.ts';
import { sessionDayOf } from '../market/calendar.ts';
import type { InstrumentBook } from '../market/instrument-book.ts';
import type { SymbolDictionary } from '../market/instruments.ts';
import { headerWord, tickRingOf } from '../memory/region.ts';
import { createIngestKernel, STAGING_CAPACITY, TICK_WORDS } from './port-kernel.ts';
import { createMessageReader } from './port-messages.ts';
import { createOutbox } from './port-outbox.ts';
import { createRegistry } from './port-registry.ts';
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

export interface IngestCounts {
  /** Ticks and messages that came; a packed message counts its records, or 1 when it is malformed as a whole. */
  readonly offered: number;
  /** Trades, and the trades in source bars. */
  readonly acceptedTrades: number;
  /** Their quantity; lots of different instruments add up. */
  readonly acceptedLots: bigint;
  readonly acceptedQuotes: number;
  readonly acceptedBars: number;
  /** By name of the reason. `tooLate` ticks went to the shards, for late_ticks. */
  readonly refused: ReadonlyMap<string, number>;
}

export interface Ingest extends IngestPort, Watermarks {
  /** Puts a barrier into every tick ring, or into none when one has no room. `flags` are of BARRIER_FLAG. */
  publishBarrier(epoch: number, flags: number): boolean;
  /** Registers a symbol of stored state, with the decimals it had. Returns its index, or minus the refusal code. */
  restoreSymbol(spec: InstrumentSpec): number;
  counts(): IngestCounts;
}

const DEFAULT_FUTURE_NS = 2e9;
const REASONS = Object.entries(REFUSAL);

/** @throws EngineError KERNEL_MISSING, KERNEL_LAYOUT */
export function createIngest(options: IngestOptions): Ingest {
  const { regions, clock, partitionCapacity } = options;
  assert(regions.length > 0, 'ingest needs a shard');
  const kernel = createIngestKernel({ ...options, symbolCapacity: options.symbols.capacity, shardCount: regions.length });
  const { exports, i32 } = kernel;
  // Unasked come registrations and watermarks; asked, one batch and what was registered since it was asked for.
  const waitingMax = options.symbols.capacity + 2 * partitionCapacity + 2 * STAGING_CAPACITY;
  const outboxes = regions.map((region) => createOutbox(tickRingOf(region), waitingMax));
  const shardCapacities = regions.map((region) => headerWord(region, L.SHARD_SYMBOL_CAPACITY_I32));
  const registry = createRegistry({ ...options, kernel, outboxes, shardCapacities });
  const watermarks = createWatermarks({ exports, outboxes, partitionCapacity, latenessNs: BigInt(options.latenessNs) });
  const futureMs = (options.futureNs ?? DEFAULT_FUTURE_NS) / 1e6;
  const refusedBy = new Float64Array(Math.max(...Object.values(REFUSAL)) + 1);
  const barrier = new Int32Array(TICK_WORDS);
  const outputWords = 2 * STAGING_CAPACITY * TICK_WORDS;
  let offered = 0;

  const ringRoom = (): number => outboxes.reduce((least, outbox) => Math.min(least, outbox.room()), Number.MAX_SAFE_INTEGER);
  const room = (): number => Math.max(0, Math.min(STAGING_CAPACITY, Math.floor(ringRoom() / 2)));

  const checkPartition = (partition: number): void => {
    if (Number.isInteger(partition) && partition >= 0 && partition < partitionCapacity) return;
    throw new EngineError('PARTITION_INVALID', `source partition ${partition}: expected 0 to ${partitionCapacity - 1}`);
  };

  const setSessionOf = (staged: number): void => {
    const at = kernel.stagingI32 + staged * TICK_WORDS;
    const symbolIndex = i32[at + L.TICK_SYMBOL_INDEX_I32]!;
    const session = registry.sessionOf(symbolIndex);
    assert(session !== undefined, `symbol ${symbolIndex} has a session in the kernel only`);
    const day = sessionDayOf(session, kernel.i64[(at >> 1) + L.TICK_TS_EVENT_NS_I64]!);
    exports.setSession(symbolIndex, day.fromNs, day.toNs, day.openNs, day.closeNs);
  };

  /** Routes and publishes; returns how many were refused. The kernel keeps the list until the next batch. */
  const routeStaged = (count: number, partition: number, isStamped: boolean): number => {
    const nowMs = clock.wallMs();
    const latestNs = BigInt(Math.floor(nowMs + futureMs)) * 1_000_000n;
    const ingestUs = isStamped ? 0 : clock.monotonicUs() % 4294967296;
    exports.beginBatch(partition, latestNs, ingestUs, isStamped ? 1 : 0);
    let at = exports.route(0, count);
    while (at < count) {
      setSessionOf(at);
      at = exports.route(at, count);
    }
    let published = 0;
    for (let shard = 0; shard < outboxes.length; shard += 1) {
      const records = i32[kernel.outputCountsI32 + shard]!;
      outboxes[shard]?.put(i32, kernel.outputsI32 + shard * outputWords, records);
      published += records;
    }
    const refused = exports.refusedCount();
    for (let index = 0; index < refused; index += 1) {
      const reason = i32[kernel.refusalsI32 + index * 2 + 1]!;
      refusedBy[reason] = refusedBy[reason]! + 1;
    }
    offered += count;
    if (published > 0) watermarks.noteArrival(partition, nowMs);
    return refused;
  };

  const refuse = (reason: number, count: number): void => {
    assert(
      REASONS.some(([, code]) => code === reason),
      `${reason} is no refusal code`,
    );
    offered += count;
    refusedBy[reason] = refusedBy[reason]! + count;
  };

  const readMessages = createMessageReader({
    kernel,
    registry,
    room,
    refuse,
    routeStaged: (count, partition) => {
      routeStaged(count, partition, false);
    },
  });

  return {
    i32,
    f64: kernel.f64,
    u8: kernel.u8,
    stagingI32Index: kernel.stagingI32,
    stagingCapacity: STAGING_CAPACITY,
    room,
    register(spec) {
      checkPartition(spec.partition);
      watermarks.notePartition(spec.partition);
      return registry.register(spec);
    },
    decimalsOf: registry.decimalsOf,
    commit(count, partition, isStamped = false) {
      checkPartition(partition);
      assert(count >= 0 && count <= STAGING_CAPACITY, `commit of ${count} records, at most ${STAGING_CAPACITY}`);
      return count === 0 ? 0 : count - routeStaged(count, partition, isStamped);
    },
    refuse,
    commitMessages(batch) {
      checkPartition(batch.partition);
      assert(batch.count <= batch.values.length, `${batch.count} messages, ${batch.values.length} values`);
      watermarks.notePartition(batch.partition);
      return readMessages(batch);
    },
    publishBarrier(epoch, flags) {
      if (ringRoom() < 1) return false;
      barrier[L.TICK_KIND_I32] = TICK_KIND.barrier;
      barrier[L.TICK_SYMBOL_INDEX_I32] = flags;
      new BigInt64Array(barrier.buffer)[L.TICK_TS_EVENT_NS_I64] = BigInt(epoch);
      for (const outbox of outboxes) outbox.put(barrier, 0, 1);
      return true;
    },
    restoreSymbol(spec) {
      checkPartition(spec.partition);
      watermarks.notePartition(spec.partition);
      return registry.restore(spec);
    },
    advanceIdle: watermarks.advanceIdle,
    closeAll: watermarks.closeAll,
    watermarks: watermarks.watermarks,
    restorePartition(partition, watermarkNs) {
      checkPartition(partition);
      watermarks.restorePartition(partition, watermarkNs);
    },
    counts: () => ({
      offered,
      acceptedTrades: Number(exports.acceptedTrades()),
      acceptedLots: exports.acceptedLots(),
      acceptedQuotes: Number(exports.acceptedQuotes()),
      acceptedBars: Number(exports.acceptedBars()),
      refused: new Map(REASONS.map(([name, code]) => [name, refusedBy[code]!])),
    }),
  };
}
