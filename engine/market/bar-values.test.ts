import { expect, it } from 'vitest';
import { bucketStart, priceUnits, vwapOf } from './bar-values.ts';

it('rounds a scaled price to the nearest unit, ties to even, within 64 bits', () => {
  expect([0.5, 1.5, 2.5, 2.4999, 2.5001].map((price) => priceUnits(price, 1))).toEqual([0n, 2n, 2n, 2n, 3n]);
  expect(priceUnits(1.005, 1000)).toBe(1005n);
  expect(priceUnits(1e300, 10)).toBe(2n ** 63n - 1n);
});

it('takes VWAP by the halves of the notional, and has none without volume', () => {
  expect(vwapOf(2550n, 1n, 100)).toBe(25.5);
  expect(vwapOf(3n * 2n ** 64n + 2n ** 63n, 2n, 1)).toBe((3 * 2 ** 64 + 2 ** 63) / 2);
  expect(vwapOf(0n, 0n, 100)).toBeNull();
});

it('starts buckets at or before a time, also before the epoch', () => {
  expect(bucketStart(61_999_999_999n, 60)).toBe(60_000_000_000n);
  expect(bucketStart(-1n, 60)).toBe(-60_000_000_000n);
  expect(bucketStart(-60_000_000_000n, 60)).toBe(-60_000_000_000n);
});
