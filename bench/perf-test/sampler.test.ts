import { encodeIntoCompressedBase64 } from 'hdr-histogram-js';
import { expect, it } from 'vitest';
import { createHistogram } from '../../engine/core/latency.ts';
import { acceptedOf, largest, latencyBetween, parseMetrics } from './sampler.ts';

it('reads a metrics page, labels and all', () => {
  const metrics = parseMetrics(
    '# HELP x y\ntickwright_ring_depth{shard="0"} 5\ntickwright_ring_depth{shard="1"} 9\nbars1s_ticks_total 12\n',
  );
  expect(largest(metrics, 'tickwright_ring_depth')).toBe(9);
  expect(largest(metrics, 'other')).toBeNull();
  expect(acceptedOf(metrics)).toBe(12);
});

it('has only what was recorded between two readings', () => {
  const histogram = createHistogram();
  for (const value of [10_000, 20, 30]) histogram.recordValue(value);
  const before = encodeIntoCompressedBase64(histogram);
  for (let count = 0; count < 100; count += 1) histogram.recordValue(50);
  const latency = latencyBetween(before, encodeIntoCompressedBase64(histogram));
  expect(latency).toMatchObject({ count: 100, p50Us: 50, p999Us: 50 });
  expect(latency.maxUs).toBeLessThan(100);
});

it('takes off a value at the very end of its range', () => {
  for (const largest of [2047, 4094, 4095, 65_519, 65_535, 65_536]) {
    const histogram = createHistogram();
    histogram.recordValue(largest);
    const before = encodeIntoCompressedBase64(histogram);
    histogram.recordValue(1000);
    expect(latencyBetween(before, encodeIntoCompressedBase64(histogram))).toMatchObject({ count: 1, maxUs: 1000 });
  }
});
