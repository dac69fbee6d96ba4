/** The tick ring with both ends in WASM, each on a worker thread, against the same ring between two C++ threads. */
import { execFileSync } from 'node:child_process';
import { EngineError } from '../engine/core/errors.ts';
import { buildCpp } from './cpp.ts';
import type { BenchContext } from './harness.ts';
import { RING_PAIR_CAPACITY, type RingMeasured, startRingPair } from './ring-pair.ts';

export const name = 'ring';

const BATCHES = [64, 256] as const;

type Passed = Pick<RingMeasured, 'ticksPerSecond' | 'checksums'>;

export async function run(context: BenchContext): Promise<void> {
  const total = context.isQuick ? 4_000_000 : 24_000_000;
  const pair = await startRingPair();
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
      const check = ({ ticksPerSecond, checksums }: Passed): number => {
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

function runCpp(program: string, total: number, batch: number): Passed {
  return JSON.parse(execFileSync(program, [String(total), String(batch), String(RING_PAIR_CAPACITY)], { encoding: 'utf8' }));
}
