/** Which cells a run has, and in which order: drawn from its seed, so that the drift of a shared machine falls on all alike. */
import { createPrng, type Prng } from '../../engine/core/prng.ts';
import type { PerfOptions } from './options.ts';
import type { CellPlan, Encoding } from './report-model.ts';
import { LIMIT_CONSUME, NAIVE, OURS, SABOTAGED } from './runtime-names.ts';

/**
 * Every worker count with every load, as often as repeats say, one A/A cell for each pair of them, and the naive twin and the peers at each
 * load; all of it for each encoding. What is not ours knows nothing of workers: it has one.
 */
export function planCells(options: PerfOptions): CellPlan[] {
  const cells = encodingsOf(options.encoding).flatMap((encoding) => planEncoding(options, encoding));
  shuffle(cells, createPrng(options.seed));
  return cells;
}

export function encodingsOf(encoding: PerfOptions['encoding']): Encoding[] {
  return encoding === 'both' ? ['json', 'packed'] : [encoding];
}

function planEncoding(options: PerfOptions, encoding: Encoding): CellPlan[] {
  const { scenario, workers, loads, repeats } = options;
  const mode = scenario === 'pipeline' ? 'live' : 'catch-up';
  const cells: CellPlan[] = [];
  const add = (runtime: string, workerCount: number, symbols: number, repeat: number, role: CellPlan['role']): void => {
    const name = runtime.replaceAll('-', '_');
    const id = `${name}_w${workerCount}_s${symbols}_r${repeat}${encoding === 'packed' ? '_pk' : ''}${role === 'aa' ? '_aa' : ''}`;
    cells.push({ id, runtime, scenario, mode, encoding, workers: workerCount, symbols, repeat, role });
  };
  // The contract has JSON only. A limit means something only where everything is there at once.
  const all = [...(encoding === 'json' ? [NAIVE, ...options.peers] : []), ...(mode === 'catch-up' ? [LIMIT_CONSUME] : [])];
  const others = options.sabotage === undefined ? all : [];
  for (const symbols of loads) {
    for (let repeat = 1; repeat <= repeats; repeat += 1) {
      for (const workerCount of workers) {
        add(OURS, workerCount, symbols, repeat, 'measure');
        if (options.sabotage !== undefined) add(SABOTAGED, workerCount, symbols, repeat, 'measure');
      }
      for (const runtime of others) add(runtime, 1, symbols, repeat, 'measure');
    }
    for (const workerCount of workers) add(OURS, workerCount, symbols, 1, 'aa');
  }
  return cells;
}

function shuffle<Item>(items: Item[], prng: Prng): void {
  for (let last = items.length - 1; last > 0; last -= 1) {
    const other = prng.nextBelow(last + 1);
    const item = items[last]!;
    items[last] = items[other]!;
    items[other] = item;
  }
}
