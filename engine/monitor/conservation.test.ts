import { expect, it } from 'vitest';
import { judgeConservation, type TimeframeSums } from './conservation.ts';

const sums = (volumeLots: bigint, tradeCount: bigint, quoteCount = 0n): TimeframeSums => ({ volumeLots, tradeCount, quoteCount });

it('is conserved when what is held equals what was accepted less what was missed', () => {
  const [line] = judgeConservation(sums(100n, 10n), [{ timeframe: '1s', held: sums(97n, 9n), missed: sums(3n, 1n) }]);
  expect(line).toEqual({ timeframe: '1s', expected: sums(97n, 9n), found: sums(97n, 9n), isConserved: true });
});

it.each([
  ['volume', sums(101n, 10n)],
  ['trades', sums(100n, 9n)],
  ['quotes', sums(100n, 10n, 1n)],
])('is not conserved when %s differ', (_what, held) => {
  const [line] = judgeConservation(sums(100n, 10n), [{ timeframe: '1s', held, missed: sums(0n, 0n) }]);
  expect(line?.isConserved).toBe(false);
});
