/** Which cells a run has, and in which order: drawn from its seed, so that the drift of a shared machine falls on all alike. */
import { createPrng, type Prng } from '../../engine/core/prng.ts';
import { isLocal } from './local/local-plan.ts';
import type { PerfOptions } from './options.ts';
import type { CellPlan, Encoding } from './report-model.ts';
import { LIMIT_CONSUME, LIMIT_COPY, LIMIT_RING, NAIVE, OURS, SABOTAGED } from './runtime-names.ts';

/**
 * Every worker count with every load, as often as repeats say, one A/A cell for each pair of them, and the naive twin, limits and peers at each
 * load; all of it for each encoding. What is not ours knows nothing of workers: it has one.
 */
export function planCells(options: PerfOptions): CellPlan[] {
  // Without a topic there is no encoding.
  const encodings = isLocal(options.scenario) ? [undefined] : encodingsOf(options.encoding);
  const cells = encodings.flatMap((encoding) => planEncoding(options, encoding));
  shuffle(cells, createPrng(options.seed));
  return cells;
}

export function encodingsOf(encoding: PerfOptions['encoding']): Encoding[] {
  return encoding === 'both' ? ['json', 'packed'] : [encoding];
}

function planEncoding(options: PerfOptions, encoding: Encoding | undefined): CellPlan[] {
  const { scenario, workers, loads, repeats } = options;
  const mode = modeOf(scenario);
  const cells: CellPlan[] = [];
  const add = (runtime: string, workerCount: number, symbols: number, repeat: number, role: CellPlan['role']): void => {
    const name = runtime.replaceAll('-', '_');
    const id = `${name}_w${workerCount}_s${symbols}_r${repeat}${encoding === 'packed' ? '_pk' : ''}${role === 'aa' ? '_aa' : ''}`;
    const common = { id, runtime, scenario, mode, workers: workerCount, symbols, repeat, role };
    cells.push(encoding === undefined ? common : { ...common, encoding });
  };
  const others = options.sabotage === undefined ? othersOf(options, encoding) : [];
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

function modeOf(scenario: PerfOptions['scenario']): CellPlan['mode'] {
  return scenario === 'pipeline' ? 'live' : 'catch-up';
}

/** What is measured beside the engine. A limit means something only where everything is there at once; packed ticks are ours alone. */
function othersOf({ scenario, peers }: PerfOptions, encoding: Encoding | undefined): string[] {
  if (isLocal(scenario)) return [LIMIT_RING];
  const consume = modeOf(scenario) === 'catch-up' ? [LIMIT_CONSUME] : [];
  if (encoding === 'packed') return consume;
  return [NAIVE, ...consume, ...(modeOf(scenario) === 'catch-up' ? [LIMIT_COPY] : []), ...peers];
}

function shuffle<Item>(items: Item[], prng: Prng): void {
  for (let last = items.length - 1; last > 0; last -= 1) {
    const other = prng.nextBelow(last + 1);
    const item = items[last]!;
    items[last] = items[other]!;
    items[other] = item;
  }
}
