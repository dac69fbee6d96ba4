import fc from 'fast-check';
import { expect, it } from 'vitest';
import { createHistogram, createLatencyStage, encodeHistogram } from './latency.ts';

it('counts values at or below each bound like a plain count', () => {
  fc.assert(
    fc.property(fc.array(fc.integer({ min: 0, max: 900 }), { minLength: 1, maxLength: 200 }), (values) => {
      const bounds = [0, 10, 100, 500, 1000];
      const stage = createLatencyStage(bounds);
      const histogram = createHistogram();
      for (const value of values) histogram.recordValue(value);
      stage.add(encodeHistogram(histogram));
      stage.add(encodeHistogram(histogram));
      const expected = bounds.map((bound) => 2 * values.filter((value) => value <= bound).length);
      expect([...stage.bucketCounts]).toEqual(expected);
      expect(stage.total.totalCount).toBe(2 * values.length);
      expect(stage.sumUs).toBe(2 * values.reduce((sum, value) => sum + value, 0));
    }),
  );
});

it('counts larger values to their three digits', () => {
  const bounds = [1000, 5000, 20_000, 1e6];
  fc.assert(
    fc.property(fc.array(fc.integer({ min: 0, max: 2_000_000 }), { minLength: 1, maxLength: 200 }), (values) => {
      const stage = createLatencyStage(bounds);
      const histogram = createHistogram();
      for (const value of values) histogram.recordValue(value);
      stage.add(encodeHistogram(histogram));
      bounds.forEach((bound, index) => {
        expect(stage.bucketCounts[index]).toBeGreaterThanOrEqual(values.filter((value) => value <= bound * 0.999).length);
        expect(stage.bucketCounts[index]).toBeLessThanOrEqual(values.filter((value) => value <= bound).length);
      });
    }),
  );
});

it('keeps the values of each worker apart, and all together', () => {
  const stage = createLatencyStage([100]);
  const add = (value: number, worker?: string): void => {
    const histogram = createHistogram();
    histogram.recordValue(value);
    stage.add(encodeHistogram(histogram), worker);
  };
  add(10, 'shard-0');
  add(20, 'shard-1');
  add(30, 'shard-0');
  add(40);
  expect([...stage.workers].map(([worker, { totalCount, maxValue }]) => [worker, totalCount, maxValue])).toEqual([
    ['shard-0', 2, 30],
    ['shard-1', 1, 20],
  ]);
  expect([stage.total.totalCount, stage.total.maxValue]).toEqual([4, 40]);
});
