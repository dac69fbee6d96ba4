import { expect, it } from 'vitest';
import { createBenchContext, median } from './harness.ts';

function setUp() {
  const lines: string[] = [];
  return { lines, ...createBenchContext({ hasCompiler: false, isQuick: true, print: (line) => lines.push(line) }) };
}

it('alternates both sides, flips the order each round and drops the first two', async () => {
  const { context, results } = setUp();
  const order: string[] = [];
  const rates = { work: [1, 1, 30, 20, 40, 10, 20], against: [100, 100, 10, 10, 10, 10, 10] };
  const rateOf = (side: 'work' | 'against') => () => {
    order.push(side[0] ?? '');
    return rates[side].shift() ?? Number.NaN;
  };
  await context.compare({ work: 'w', against: 'a', atLeast: 2, unit: 'x/s', run: { work: rateOf('work'), against: rateOf('against') } });
  expect(order.join('')).toBe('waawwaawwaawwa');
  expect(results.ratios).toEqual([
    {
      work: 'w',
      against: 'a',
      unit: 'x/s',
      rounds: 5,
      ratio: 2,
      low: 1,
      high: 4,
      workRate: 20,
      againstRate: 10,
      atLeast: 2,
      isReached: true,
    },
  ]);
});

it('shows a ratio below its target loudly', async () => {
  const { context, results, lines } = setUp();
  await context.compare({ work: 'w', against: 'a', atLeast: 2, unit: 'x/s', run: { work: () => 19, against: () => 10 } });
  expect(results.ratios[0]).toMatchObject({ ratio: 1.9, isReached: false });
  expect(lines.join()).toContain('AT LEAST 2: NO');
});

it.each([0, -1, Number.NaN, Number.POSITIVE_INFINITY])('refuses a rate of %d', async (rate) => {
  const { context } = setUp();
  const compared = context.compare({ work: 'w', against: 'a', unit: 'x/s', run: { work: () => rate, against: () => 1 } });
  await expect(compared).rejects.toMatchObject({ code: 'BENCH_RATE' });
});

it('takes the middle of an odd number of values, and the mean of the two middle ones of an even number', () => {
  expect(median([9, 1, 2])).toBe(2);
  expect(median([9, 1, 2, 4])).toBe(3);
});
