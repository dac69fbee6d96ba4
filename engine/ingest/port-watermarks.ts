/** Watermarks that move without a tick: of idle partitions, of partitions restored from stored state, and at the end of everything. */
import * as L from '../../schemas/layout.gen.ts';
import { TICK_KIND } from '../../schemas/records.ts';
import { type IngestKernel, TICK_WORDS } from './port-kernel.ts';
import type { Outbox } from './port-outbox.ts';

export interface Watermarks {
  /**
   * Moves the watermark of a partition that has been silent for `idleMs` at wall time `nowMs`: to its last event time plus
   * the wall time since the last arrival, less the lateness, never past the wall clock, in whole seconds. The engine calls this only for a
   * source that is live and caught up. A partition that was just restored waits for its first tick. Returns true when it moved;
   * when a ring has no room it stays, and the next call tries again.
   */
  advanceIdle(partition: number, nowMs: number, idleMs: number): boolean;
  /** Closes every partition. Returns false when rings filled up meanwhile: call again. */
  closeAll(): boolean;
  /** Watermarks of partitions that have one, by partition. */
  watermarks(): (readonly [partition: number, watermarkNs: bigint])[];
  /** Sets the watermark of a partition from stored state, in whole seconds, and tells the shards. */
  restorePartition(partition: number, watermarkNs: bigint): void;
}

export interface WatermarkOptions {
  readonly kernel: IngestKernel;
  readonly outboxes: readonly Outbox[];
  readonly partitionCapacity: number;
  readonly latenessNs: bigint;
}

/** What the port tells: that a partition exists, before anything else of it, and when something of it arrived. */
export interface WatermarkState extends Watermarks {
  notePartition(partition: number): void;
  noteArrival(partition: number, wallMs: number): void;
}

const I64_MIN = -(2n ** 63n);
const I64_MAX = 2n ** 63n - 1n;
const SECOND_NS = 1_000_000_000n;

export function createWatermarks(options: WatermarkOptions): WatermarkState {
  const { outboxes, latenessNs } = options;
  const { exports } = options.kernel;
  const isKnown = new Uint8Array(options.partitionCapacity);
  /** Wall time of the last arrival; NaN before the first. */
  const arrivedMs = new Float64Array(options.partitionCapacity).fill(Number.NaN);
  const record = new Int32Array(TICK_WORDS);
  const recordI64 = new BigInt64Array(record.buffer);

  const hasRoom = (): boolean => outboxes.every((outbox) => outbox.room() >= 1);

  const move = (partition: number, watermarkNs: bigint): void => {
    exports.setWatermark(partition, watermarkNs);
    record[L.TICK_KIND_I32] = TICK_KIND.watermark;
    record[L.TICK_SYMBOL_INDEX_I32] = partition;
    recordI64[L.TICK_TS_EVENT_NS_I64] = watermarkNs;
    for (const outbox of outboxes) outbox.put(record, 0, 1);
  };

  return {
    notePartition(partition) {
      isKnown[partition] = 1;
    },
    noteArrival(partition, wallMs) {
      arrivedMs[partition] = wallMs;
    },
    advanceIdle(partition, nowMs, idleMs) {
      const silentMs = nowMs - arrivedMs[partition]!;
      // Also false for NaN: nothing has arrived yet.
      if (!(silentMs >= idleMs)) return false;
      let target = floorSecond(exports.maxEvent(partition) + msToNs(silentMs) - latenessNs);
      const wallClock = floorSecond(msToNs(nowMs));
      if (target > wallClock) target = wallClock;
      if (target <= exports.watermark(partition) || !hasRoom()) return false;
      move(partition, target);
      return true;
    },
    closeAll() {
      for (let partition = 0; partition < isKnown.length; partition += 1) {
        if (isKnown[partition] !== 1 || exports.watermark(partition) === I64_MAX) continue;
        if (!hasRoom()) return false;
        move(partition, I64_MAX);
      }
      return true;
    },
    watermarks() {
      const found: (readonly [number, bigint])[] = [];
      for (let partition = 0; partition < isKnown.length; partition += 1) {
        const watermarkNs = isKnown[partition] === 1 ? exports.watermark(partition) : I64_MIN;
        if (watermarkNs !== I64_MIN) found.push([partition, watermarkNs]);
      }
      return found;
    },
    restorePartition(partition, watermarkNs) {
      if (watermarkNs === I64_MIN) return;
      // The largest event time that gives this watermark and no less: an idle advance then starts from there.
      if (watermarkNs !== I64_MAX) exports.setMaxEvent(partition, watermarkNs + latenessNs);
      move(partition, watermarkNs);
    },
  };
}

function msToNs(ms: number): bigint {
  const whole = Math.floor(ms);
  return BigInt(whole) * 1_000_000n + BigInt(Math.floor((ms - whole) * 1e6));
}

function floorSecond(ns: bigint): bigint {
  const rest = ns % SECOND_NS;
  return rest < 0n ? ns - rest - SECOND_NS : ns - rest;
}
