import { expect, it } from 'vitest';
import { type OrderRound, orderFigures } from './order-figures.ts';
import { dueTimes } from './order-run.ts';

const P99_MAX_US = 50;

/** 1,000 orders at 100,000 a second: `slow` of them take 80 us, the others 2 us; every tenth trades. */
function round(slow: number, more: Partial<OrderRound> = {}): OrderRound {
  const count = 1000;
  return {
    answeredAfterUs: Float64Array.from({ length: count }, (_, index) => (index < slow ? 80 : 2)),
    sentAfterUs: new Float64Array(count).fill(0.5),
    hasTraded: Uint8Array.from({ length: count }, (_, index) => (index % 10 === 9 ? 1 : 0)),
    count,
    offeredUs: 10_000,
    elapsedUs: 10_002,
    hasOwnCores: true,
    ...more,
  };
}

it('takes the percentiles of all rounds together, and of those that traded', () => {
  const figures = orderFigures([round(0), round(30)], P99_MAX_US);
  expect(figures).toMatchObject({ orders: 2000, fills: 200, rounds: 2, held: 'yes', 'sent late p99 us': 0.5 });
  expect(figures['p50 us']).toBeCloseTo(2, 1);
  // The histogram has three digits. 30 of 2,000 are slow, and 3 of 200 that traded.
  expect(figures['p99 us']).toBeCloseTo(80, 0);
  expect(figures['fills p99 us']).toBeCloseTo(80, 0);
  expect(figures['p99 us of each round']).toBe('2.0 80.1');
});

it('says of rounds without fills nothing about fills, and of threads that were not held to a core each that they were not', () => {
  const figures = orderFigures([round(0, { hasTraded: new Uint8Array(1000) })], P99_MAX_US);
  expect(figures).toMatchObject({ fills: 0, 'a core each': 'yes' });
  expect(Object.keys(figures).filter((key) => key.startsWith('fills '))).toEqual([]);
  expect(orderFigures([round(0), round(0, { hasOwnCores: false })], P99_MAX_US)).toMatchObject({ 'a core each': 'NO' });
});

it('is below the limit when orders and fills both are, and counts the rounds that are', () => {
  const verdictOf = (...rounds: OrderRound[]): unknown[] => {
    const figures = orderFigures(rounds, P99_MAX_US);
    return [figures['p99 below 50 us'], figures['rounds with p99 below 50 us']];
  };
  expect(verdictOf(round(5))).toEqual(['yes', 1]);
  expect(verdictOf(round(15))).toEqual(['NO', 0]);
  expect(verdictOf(round(5), round(30))).toEqual(['NO', 1]);
  // Five of a thousand are slow, and all five traded.
  expect(verdictOf(round(5, { hasTraded: new Uint8Array(1000).fill(1, 0, 100) }))).toEqual(['NO', 0]);
});

it('says that a rate of which less than 99.9 % is achieved is not held', () => {
  expect(orderFigures([round(0, { elapsedUs: 12_500 })], P99_MAX_US)).toMatchObject({
    'orders/s offered': 100_000,
    'orders/s achieved': 80_000,
    held: 'SATURATED: 80.0 % of the rate',
  });
});

it('schedules orders at the rate, evenly or in the gaps of a Poisson process, the same for the same seed', () => {
  const options = { count: 100_000, perSecond: 100_000, seed: 3 };
  const even = dueTimes('evenly spaced', options);
  expect([even[0], even[1], even[99_999]]).toEqual([0, 10, 999_990]);
  const poisson = dueTimes('Poisson', options);
  expect(poisson).toEqual(dueTimes('Poisson', options));
  expect(poisson[99_999]! / 1e6).toBeCloseTo(1, 1);
  const gaps = poisson.slice(1).map((at, index) => at - poisson[index]!);
  // Gaps longer than the mean are e^-1 of all.
  expect(gaps.filter((gap) => gap > 10).length / gaps.length).toBeCloseTo(Math.exp(-1), 1);
});
