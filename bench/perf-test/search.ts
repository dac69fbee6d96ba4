/** Looks for the highest rate that is held: doubles until a cell fails, then halves the bracket. */
import { createPrng } from '../../engine/core/prng.ts';
import { whyNotHeld } from './held.ts';
import type { PerfOptions } from './options.ts';
import { encodingsOf } from './plan.ts';
import type { CellPlan, CellResult } from './report-model.ts';
import { OURS } from './runtime-names.ts';

/** The search of a worker count and load ends when the bracket is this narrow. */
const BRACKET = 1.12;
/** Ticks a second over all symbols, at most. */
const RATE_MAX = 50_000_000;
/** A first rate that is not held is divided by this. */
const STEP_DOWN = 4;

export interface SearchParts {
  readonly options: PerfOptions;
  run(plan: CellPlan, options: PerfOptions): Promise<CellResult>;
  say(text: string): void;
}

/** The cells at the highest rates that were held, with a note of what came next; and the pairs of worker count and load that held none. */
export async function searchRates(plans: readonly CellPlan[], parts: SearchParts) {
  const held: CellResult[] = [];
  const none: { id: string; reason: string }[] = [];
  for (const plan of plans) {
    const { best, failed } = await searchOne(plan, parts);
    const next = failed === undefined ? 'no higher rate was tried' : `${describeRate(failed.rate)} was not held: ${failed.why}`;
    if (best === undefined) none.push({ id: plan.id, reason: `no rate was held; ${next}` });
    else
      held.push({
        ...best,
        notes: [...best.notes, `the highest rate that was held, within ${((BRACKET - 1) * 100).toFixed(0)} %; ${next}`],
      });
  }
  return { held, none };
}

/** One cell for each worker count and load, in an order drawn from the seed. */
export function planSearch({ scenario, workers, loads, seed, encoding: asked }: PerfOptions): CellPlan[] {
  const encoding = encodingsOf(asked)[0]!;
  const plans = workers.flatMap((workerCount) =>
    loads.map((symbols): CellPlan => {
      const id = `search_w${workerCount}_s${symbols}`;
      return { id, runtime: OURS, scenario, mode: 'live', encoding, workers: workerCount, symbols, repeat: 1, role: 'measure' };
    }),
  );
  const prng = createPrng(seed);
  return plans
    .map((plan) => ({ plan, at: prng.nextFloat() }))
    .sort((a, b) => a.at - b.at)
    .map(({ plan }) => plan);
}

interface Found {
  readonly best: CellResult | undefined;
  readonly failed: { readonly rate: number; readonly why: string } | undefined;
}

async function searchOne(plan: CellPlan, { options, run, say }: SearchParts): Promise<Found> {
  let rate = options.baseTps * plan.symbols;
  let passed: { readonly rate: number; readonly result: CellResult } | undefined;
  let failed: Found['failed'];
  for (let probe = 1; rate <= RATE_MAX && rate >= plan.symbols * 0.01; probe += 1) {
    const result = await run({ ...plan, id: `${plan.id}_q${probe}` }, { ...options, baseTps: rate / plan.symbols });
    const why = whyNotHeld(result, options.p99LimitMs);
    say(`${plan.id}: ${describeRate(rate)} ${why === undefined ? 'held' : `not held: ${why}`}`);
    if (why === undefined) passed = { rate, result: { ...result, id: plan.id } };
    else failed = { rate, why };
    if (passed && failed && failed.rate / passed.rate <= BRACKET) break;
    rate = nextRate(rate, passed?.rate, failed?.rate);
  }
  return { best: passed?.result, failed };
}

export function nextRate(rate: number, passed: number | undefined, failed: number | undefined): number {
  if (failed === undefined) return rate * 2;
  return passed === undefined ? rate / STEP_DOWN : Math.sqrt(passed * failed);
}

function describeRate(rate: number): string {
  return `${Math.round(rate).toLocaleString('en-US')} ticks/s`;
}
