/** The tick ring with nothing done at either end but to fill and to check its slots, both ends in WASM on threads of their own. */
import { once } from 'node:events';
import { Worker } from 'node:worker_threads';
import { EngineError } from '../engine/core/errors.ts';
import { createMemory } from '../engine/kernel/host.ts';
import { RING_CAPACITY, RING_SIZE, RING_SLOT_BYTES, TICK_SIZE } from '../schemas/layout.gen.ts';
import type { RingWorkerDone, RingWorkerStart, RingWorkerTask } from './ring-worker.ts';

/** Slots of the ring. */
export const RING_PAIR_CAPACITY = 16384;
const RING_ADDRESS = 2048;
const GATE_ADDRESS = 1536;

export interface RingMeasured {
  readonly ticksPerSecond: number;
  /** From the earlier start of the two to the later end. */
  readonly seconds: number;
  readonly checksums: readonly string[];
}

export interface RingPair {
  /** Passes `total` ticks in batches. @throws EngineError BENCH_CHECKSUM when what was seen is not what was sent */
  run(total: number, batch: number): Promise<RingMeasured>;
  close(): Promise<void>;
}

/** Starts a producer and a consumer thread over one ring. */
export async function startRingPair(): Promise<RingPair> {
  const memory = createMemory(RING_ADDRESS + RING_SIZE + RING_PAIR_CAPACITY * TICK_SIZE);
  const words = new Int32Array(memory.buffer);
  words[(RING_ADDRESS + RING_CAPACITY) >> 2] = RING_PAIR_CAPACITY;
  words[(RING_ADDRESS + RING_SLOT_BYTES) >> 2] = TICK_SIZE;
  const workers = (['produce', 'consume'] as const).map((role) => {
    const workerData: RingWorkerStart = { memory, gateAddress: GATE_ADDRESS, role, ringAddress: RING_ADDRESS };
    return new Worker(new URL('./ring-worker.js', import.meta.url), { workerData });
  });
  await Promise.all(workers.map((worker) => once(worker, 'message')));
  return {
    async run(total, batch) {
      words[GATE_ADDRESS >> 2] = 0;
      const done = Promise.all(workers.map(async (worker): Promise<RingWorkerDone> => (await once(worker, 'message'))[0]));
      const task: RingWorkerTask = { total, batch };
      for (const worker of workers) worker.postMessage(task);
      const [sent, seen] = await done;
      if (!sent || !seen || sent.checksums.join() !== seen.checksums.join()) {
        throw new EngineError('BENCH_CHECKSUM', `ring: sent ${sent?.checksums.join()}, seen ${seen?.checksums.join()}`);
      }
      const startUs = Math.min(sent.startUs, seen.startUs);
      const seconds = (Math.max(sent.endUs, seen.endUs) - startUs) / 1e6;
      return { ticksPerSecond: total / seconds, seconds, checksums: seen.checksums };
    },
    async close() {
      await Promise.all(workers.map((worker) => worker.terminate()));
    },
  };
}
