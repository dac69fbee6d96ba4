/** One end of the ring bench: runs its loop in WASM each time it is told to. */
import { parentPort, workerData } from 'node:worker_threads';
import { SYSTEM_CLOCK } from '../engine/core/clock.ts';
import { loadKernel } from '../engine/kernel/host.ts';

export interface RingWorkerStart {
  readonly memory: WebAssembly.Memory;
  /** A word on which both ends meet before they start; main sets it to 0. */
  readonly gateAddress: number;
  readonly role: 'produce' | 'consume';
  readonly ringAddress: number;
}

export interface RingWorkerTask {
  readonly total: number;
  readonly batch: number;
}

export interface RingWorkerDone {
  readonly startUs: number;
  readonly endUs: number;
  readonly checksums: readonly string[];
}

type RingKernel = {
  reset(): void;
  meet(gate: number): void;
  checksums(address: number): void;
  produce(ring: number, first: number, total: number, batch: number): void;
  consume(ring: number, total: number): void;
};

/** Ticks a call: later calls of a round use what the compiler made of the code meanwhile. */
const CHUNK = 500_000;
/** Each end leaves its checksums in a place of its own, below the ring. */
const CHECKSUM_ADDRESS = { produce: 1024, consume: 1152 } as const;

const start: RingWorkerStart = workerData;
const kernel = loadKernel<RingKernel>('ring-bench', start.memory);
parentPort?.on('message', ({ total, batch }: RingWorkerTask) => {
  kernel.reset();
  kernel.meet(start.gateAddress);
  const startUs = SYSTEM_CLOCK.monotonicUs();
  for (let done = 0; done < total; done += CHUNK) {
    const count = Math.min(CHUNK, total - done);
    if (start.role === 'produce') kernel.produce(start.ringAddress, done, count, batch);
    else kernel.consume(start.ringAddress, count);
  }
  const endUs = SYSTEM_CLOCK.monotonicUs();
  const address = CHECKSUM_ADDRESS[start.role];
  kernel.checksums(address);
  const checksums = [...new BigUint64Array(start.memory.buffer, address, 4)].map(String);
  parentPort?.postMessage({ startUs, endUs, checksums } satisfies RingWorkerDone);
});
parentPort?.postMessage('ready');
