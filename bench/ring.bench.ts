/** The tick ring with both ends in WASM, each on a worker thread, against the same ring between two C++ threads. */
import { execFileSync } from 'node:child_process';
import { once } from 'node:events';
import { Worker } from 'node:worker_threads';
import { EngineError } from '../engine/core/errors.ts';
import { createMemory } from '../engine/kernel/host.ts';
import { RING_CAPACITY, RING_SIZE, RING_SLOT_BYTES, TICK_SIZE } from '../schemas/layout.gen.ts';
import { buildCpp } from './cpp.ts';
import type { BenchContext } from './harness.ts';
import type { RingWorkerDone, RingWorkerStart, RingWorkerTask } from './ring-worker.ts';

export const name = 'ring';

const CAPACITY = 16384;
const RING_ADDRESS = 2048;
const GATE_ADDRESS = 1536;
const BATCHES = [64, 256] as const;

interface Measured {
  readonly ticksPerSecond: number;
  readonly checksums: readonly string[];
}

export async function run(context: BenchContext): Promise<void> {
  const total = context.isQuick ? 4_000_000 : 24_000_000;
  const pair = await startPair();
  try {
    if (!context.hasCompiler) {
      for (const batch of BATCHES)
        context.report(`ring, WASM, batches of ${batch}`, { 'ticks/s': (await pair.run(total, batch)).ticksPerSecond });
      context.log('  skipped: the comparison with C++ needs g++');
      return;
    }
    const program = buildCpp('ring');
    for (const batch of BATCHES) {
      let expected = '';
      const check = ({ ticksPerSecond, checksums }: Measured): number => {
        expected ||= checksums.join();
        if (checksums.join() !== expected)
          throw new EngineError('BENCH_CHECKSUM', `ring: checksums ${checksums.join()}, expected ${expected}`);
        return ticksPerSecond;
      };
      await context.compare({
        work: `ring, WASM both ends, batches of ${batch}`,
        against: 'C++ two threads',
        atLeast: 0.85,
        unit: 'ticks/s',
        run: { work: async () => check(await pair.run(total, batch)), against: () => check(runCpp(program, total, batch)) },
      });
    }
  } finally {
    await pair.close();
  }
}

function runCpp(program: string, total: number, batch: number): Measured {
  return JSON.parse(execFileSync(program, [String(total), String(batch), String(CAPACITY)], { encoding: 'utf8' }));
}

interface Pair {
  run(total: number, batch: number): Promise<Measured>;
  close(): Promise<void>;
}

/** Starts a producer and a consumer thread over one ring. */
async function startPair(): Promise<Pair> {
  const memory = createMemory(RING_ADDRESS + RING_SIZE + CAPACITY * TICK_SIZE);
  const words = new Int32Array(memory.buffer);
  words[(RING_ADDRESS + RING_CAPACITY) >> 2] = CAPACITY;
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
      return { ticksPerSecond: total / ((Math.max(sent.endUs, seen.endUs) - startUs) / 1e6), checksums: seen.checksums };
    },
    async close() {
      await Promise.all(workers.map((worker) => worker.terminate()));
    },
  };
}
