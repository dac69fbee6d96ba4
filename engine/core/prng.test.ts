import { expect, it } from 'vitest';
import { createPrng, createPrngFromState } from './prng.ts';

it('follows the definition of xoshiro128** from a known state', () => {
  const prng = createPrngFromState(Uint32Array.of(1, 2, 3, 4));
  const drawn = Array.from({ length: 6 }, () => prng.nextUint32());
  expect(drawn).toEqual([11520, 0, 5927040, 70819200, 2031721883, 1637235492]);
});

it('repeats itself from the same seed, and not from the next one', () => {
  const draw = (seed: number) => {
    const prng = createPrng(seed);
    return Array.from({ length: 8 }, () => prng.nextUint32());
  };
  expect(draw(7)).toEqual(draw(7));
  expect(draw(7)).not.toEqual(draw(8));
});

it('spreads floats and bounded integers evenly', () => {
  const prng = createPrng(1);
  const counts = new Array<number>(7).fill(0);
  let sum = 0;
  for (let draw = 0; draw < 70_000; draw += 1) {
    const index = prng.nextBelow(7);
    counts[index] = counts[index]! + 1;
    const value = prng.nextFloat();
    if (value < 0 || value >= 1) throw new Error(`float ${value}`);
    sum += value;
  }
  // Five standard deviations: 5 x sqrt(70,000 x 6/49), and 5 x sqrt(1 / (12 x 70,000)).
  for (const count of counts) expect(Math.abs(count - 10_000)).toBeLessThan(463);
  expect(Math.abs(sum / 70_000 - 0.5)).toBeLessThan(0.0055);
});

it('draws exponential gaps with mean 1 and variance 1', () => {
  const prng = createPrng(2);
  let sum = 0;
  let squares = 0;
  for (let draw = 0; draw < 100_000; draw += 1) {
    const gap = prng.nextExponential();
    if (gap < 0) throw new Error(`gap ${gap}`);
    sum += gap;
    squares += gap * gap;
  }
  expect(Math.abs(sum / 100_000 - 1)).toBeLessThan(0.016);
  expect(Math.abs(squares / 100_000 - 2)).toBeLessThan(0.08);
});
