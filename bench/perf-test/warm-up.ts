/**
 * Servers that have just been started are slower than they will be: a Java process compiles in its first seconds, a database has empty caches. One
 * cell that nobody counts takes that upon itself, so that the first one that counts is like the others.
 */
import { messageOf } from '../../engine/core/errors.ts';
import type { PerfOptions } from './options.ts';
import type { CellPlan, CellResult } from './report-model.ts';
import { OURS } from './runtime-names.ts';

/** Ticks of the cell: its fetches, transactions and COPYs are those of all cells, and enough of them to be compiled. */
const TICKS = 300_000;
const SYMBOLS = 200;
const BASE_TPS = 20;

const PLAN: CellPlan = {
  ...{ id: 'warm_up', runtime: OURS, scenario: 'warm-up', mode: 'catch-up', encoding: 'json' },
  ...{ workers: 1, symbols: SYMBOLS, repeat: 1, role: 'measure' },
};

export interface WarmUpParts {
  readonly options: PerfOptions;
  run(plan: CellPlan, options: PerfOptions): Promise<CellResult>;
  say(text: string): void;
}

/** Whatever comes of it, the cells that count will tell for themselves. */
export async function warmUp({ options, run, say }: WarmUpParts): Promise<void> {
  say('warming up: a cell that does not count');
  try {
    const { verdict } = await run(PLAN, { ...options, backlogTicks: TICKS, baseTps: BASE_TPS });
    if (!verdict.isRight) say(`  it came out wrong: ${verdict.differences[0]}`);
  } catch (error) {
    say(`  it failed: ${messageOf(error)}`);
  }
}
