import fc from 'fast-check';
import { expect, it } from 'vitest';
import { median } from '../harness.ts';
import { coverageOf, estimateMedian, estimateRatio, relativeDifference } from './statistics.ts';

const positive = fc.double({ min: 1e-3, max: 1e6, noNaN: true });

it('takes the range of five repeats, since a 95 % interval of their median is no narrower', () => {
  expect(estimateMedian([5, 1, 4, 2, 3])).toEqual({ median: 3, low: 1, high: 5, count: 5 });
});

it('narrows with more repeats: of 101 evenly spaced values it holds the ranks that the binomial law gives', () => {
  const estimate = estimateMedian(Array.from({ length: 101 }, (_, index) => index));
  expect(estimate?.median).toBe(50);
  // The exact distribution-free interval of 101 values is from rank 41 to 61 (0-based 40 to 60).
  expect(estimate?.low).toBeGreaterThanOrEqual(38);
  expect(estimate?.low).toBeLessThanOrEqual(42);
  expect(estimate?.high).toBeGreaterThanOrEqual(58);
  expect(estimate?.high).toBeLessThanOrEqual(62);
});

it('gives no interval of two values, and nothing of none', () => {
  expect(estimateMedian([4, 2])).toEqual({ median: 3, low: null, high: null, count: 2 });
  expect(estimateMedian([null, undefined])).toBeUndefined();
  expect(estimateMedian([null, 7])).toMatchObject({ median: 7, count: 1 });
});

it('says the same of the same values, and the interval holds the median', () => {
  fc.assert(
    fc.property(fc.array(positive, { minLength: 3, maxLength: 12 }), (values) => {
      const estimate = estimateMedian(values)!;
      expect(estimateMedian(values)).toEqual(estimate);
      expect(estimate.low).toBeLessThanOrEqual(estimate.median);
      expect(estimate.high).toBeGreaterThanOrEqual(estimate.median);
      expect(estimate.low).toBeGreaterThanOrEqual(Math.min(...values));
      expect(estimate.high).toBeLessThanOrEqual(Math.max(...values));
    }),
    { numRuns: 20 },
  );
});

it('covers the true median about as often as it claims', () => {
  // 200 samples of five from a known law: the range of five holds its median in 15 of 16 cases.
  const laws = Array.from({ length: 200 }, (_, trial) => fc.sample(positive, { numRuns: 5, seed: trial + 1 }));
  const all = median(laws.flat());
  const held = laws.filter((values) => {
    const { low, high } = estimateMedian(values)!;
    return low! <= all && all <= high!;
  }).length;
  expect(coverageOf(5)).toBe(0.9375);
  expect(held / laws.length).toBeGreaterThan(0.88);
  expect(held / laws.length).toBeLessThan(0.99);
});

it('holds 1 for a ratio of equals, and not for a clear difference', () => {
  const same = estimateRatio([10, 11, 12, 13, 14], [10, 11, 12, 13, 14])!;
  expect(same.median).toBe(1);
  expect(same.low).toBeLessThan(1);
  expect(same.high).toBeGreaterThan(1);
  const twice = estimateRatio([20, 21, 22], [10, 10.5, 11])!;
  expect(twice).toMatchObject({ median: 2, count: 3 });
  expect(twice.low).toBeGreaterThan(1.8);
});

it('refuses ratios to nothing', () => {
  expect(estimateRatio([1, 2, 3], [])).toBeUndefined();
  expect(estimateRatio([1, 2, 3], [1, 0, 1])).toBeUndefined();
  expect(estimateRatio([4], [2])).toEqual({ median: 2, low: null, high: null, count: 1 });
});

it('knows how often the range of few values holds the median', () => {
  expect(coverageOf(3)).toBe(0.75);
  expect(coverageOf(6)).toBe(0.95);
  expect(relativeDifference(9, 11)).toBeCloseTo(0.2);
  expect(relativeDifference(0, 0)).toBe(0);
});
