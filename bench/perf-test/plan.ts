/** Which cells a run has, and in which order: drawn from its seed, so that the drift of a shared machine falls on all alike. */
import { createPrng, type Prng } from '../../engine/core/prng.ts';
import { isLocal } from './local/local-plan.ts';
import type { PerfOptions } from './options.ts';
import type { CellPlan } from './report-model.ts';
import { LIMIT_CONSUME, LIMIT_COPY, LIMIT_RING, NAIVE, OURS, SABOTAGED } from './runtime-names.ts';

/**
 * Every worker count with every load, as often as repeats say, one A/A cell for each pair of them, and the naive twin, limits and peers at each
 * load. What is not ours knows nothing of workers: it has one.
 */
export function planCells(options: PerfOptions): CellPlan[] {
  const { scenario, workers, loads, repeats, seed } = options;
  const mode = modeOf(scenario);
  const cells: CellPlan[] = [];
  const add = (runtime: string, workerCount: number, symbols: number, repeat: number, role: CellPlan['role']): void => {
    const name = runtime.replaceAll('-', '_');
    const id = `${name}_w${workerCount}_s${symbols}_r${repeat}${role === 'aa' ? '_aa' : ''}`;
    cells.push({ id, runtime, scenario, mode, workers: workerCount, symbols, repeat, role });
  };
  const others = options.sabotage === undefined ? othersOf(options) : [];
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
  shuffle(cells, createPrng(seed));
  return cells;
}

function modeOf(scenario: PerfOptions['scenario']): CellPlan['mode'] {
  return scenario === 'pipeline' ? 'live' : 'catch-up';
}

/** What is measured beside the engine. A limit means something only where everything is there at once. */
function othersOf({ scenario, peers }: PerfOptions): string[] {
  if (isLocal(scenario)) return [LIMIT_RING];
  return [NAIVE, ...(modeOf(scenario) === 'catch-up' ? [LIMIT_CONSUME, LIMIT_COPY] : []), ...peers];
}

function shuffle<Item>(items: Item[], prng: Prng): void {
  for (let last = items.length - 1; last > 0; last -= 1) {
    const other = prng.nextBelow(last + 1);
    const item = items[last]!;
    items[last] = items[other]!;
    items[other] = item;
  }
}
