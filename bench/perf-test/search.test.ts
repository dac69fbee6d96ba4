import { expect, it } from 'vitest';
import { syntheticCell } from '../../test/perf-cells.ts';
import { readPerfOptions } from './options.ts';
import type { CellPlan, CellResult } from './report-model.ts';
import { planSearch, searchRates } from './search.ts';

const options = readPerfOptions(['--search'], { WORKERS: '1', LOADS: '10', SIM_BASE_TPS: '10' });

/** A pipeline that holds what is below its limit. */
function pipelineWith(limit: number) {
  const rates: number[] = [];
  const run = async (plan: CellPlan, { baseTps }: { readonly baseTps: number }): Promise<CellResult> => {
    const rate = baseTps * plan.symbols;
    rates.push(rate);
    return syntheticCell(plan, { isSaturated: rate > limit, source_dropped: 0 });
  };
  return { rates, run };
}

it.each([150, 12_345, 999_999])('finds a limit of %i ticks/s within 12 %', async (limit) => {
  const { rates, run } = pipelineWith(limit);
  const { held, none } = await searchRates(planSearch(options), { options, run, say: () => undefined });
  expect(none).toEqual([]);
  expect(held).toHaveLength(1);
  const best = Math.max(...rates.filter((rate) => rate <= limit));
  expect(limit / best).toBeLessThan(1.12);
  expect(held[0]?.notes.join()).toContain('was not held');
});

it('says when no rate is held', async () => {
  const { run } = pipelineWith(0);
  const { held, none } = await searchRates(planSearch(options), { options, run, say: () => undefined });
  expect(held).toEqual([]);
  expect(none).toMatchObject([{ id: 'search_w1_s10', reason: expect.stringContaining('no rate was held') }]);
});
