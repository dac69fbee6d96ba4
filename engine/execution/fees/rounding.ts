/** Exact products of amounts and rates, rounded once. */

/** Billionths in one. */
export const NANO = 1_000_000_000n;

/** Nearest whole number of `value / unit`, halves away from zero. `unit` is above 0. */
export function roundHalfUp(value: bigint, unit: bigint): bigint {
  return value < 0n ? -((-value * 2n + unit) / (unit * 2n)) : (value * 2n + unit) / (unit * 2n);
}

/** Least whole number that is not below `value / unit`, for values from 0 on. */
export function roundUp(value: bigint, unit: bigint): bigint {
  return (value + unit - 1n) / unit;
}
