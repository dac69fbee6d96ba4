import fc from 'fast-check';
import { expect, it } from 'vitest';
import { type BarValues, mergeDelta, readBar, writeBar } from './bar-record.ts';
import { BAR_WORDS } from './record-list.ts';

const seed = process.env['SEED'] === undefined ? Date.now() & 0x7fffffff : Number(process.env['SEED']);

const anyTick = fc.record({
  atNs: fc.bigInt({ min: 0n, max: 20n }),
  price: fc.integer({ min: 1, max: 50 }),
  lots: fc.bigInt({ min: 0n, max: 2n ** 40n }),
  isNotionalKnown: fc.boolean(),
});
type Tick = typeof anyTick extends fc.Arbitrary<infer T> ? T : never;

function barOf({ atNs, price, lots, isNotionalKnown }: Tick): BarValues {
  return {
    firstNs: atNs,
    lastNs: atNs,
    tradeCount: 1,
    lateCount: 1,
    revision: 0,
    prices: { open: price, high: price, low: price, close: price },
    ask: undefined,
    volumeLots: lots,
    notional: isNotionalKnown ? lots * BigInt(price) * 2n ** 40n : undefined,
  };
}

it('makes of ticks merged one by one what they are together, whatever their order of arrival', () => {
  fc.assert(
    fc.property(fc.array(anyTick, { minLength: 1, maxLength: 20 }), (ticks) => {
      const merged = ticks.map(barOf).reduce(mergeDelta);
      const inTime = ticks.map((tick, arrival) => ({ ...tick, arrival })).sort((a, b) => Number(a.atNs - b.atNs) || a.arrival - b.arrival);
      const prices = ticks.map(({ price }) => price);
      const sum = ticks.reduce((total, { lots, price }) => total + lots * BigInt(price) * 2n ** 40n, 0n);
      expect(merged).toEqual({
        firstNs: inTime[0]?.atNs,
        lastNs: inTime.at(-1)?.atNs,
        tradeCount: ticks.length,
        lateCount: ticks.length,
        revision: ticks.length - 1,
        prices: { open: inTime[0]?.price, high: Math.max(...prices), low: Math.min(...prices), close: inTime.at(-1)?.price },
        ask: undefined,
        volumeLots: ticks.reduce((total, { lots }) => total + lots, 0n),
        notional: ticks.every(({ isNotionalKnown }) => isNotionalKnown) ? sum : undefined,
      });
    }),
    { seed },
  );
});

it('reads back from a record what was written, 128-bit sums included', () => {
  fc.assert(
    fc.property(fc.bigInt({ min: -(2n ** 127n), max: 2n ** 127n - 1n }), fc.boolean(), (notional, isKnown) => {
      const i32 = new Int32Array(BAR_WORDS);
      const views = { i32, f64: new Float64Array(i32.buffer), i64: new BigInt64Array(i32.buffer) };
      const bar = { ...barOf({ atNs: 7n, price: 3, lots: 5n, isNotionalKnown: true }), notional: isKnown ? notional : undefined };
      writeBar(views, 0, bar);
      expect(readBar(views, 0)).toEqual(bar);
    }),
    { seed },
  );
});

it('refuses sums that leave their type', () => {
  const full = { ...barOf({ atNs: 1n, price: 1, lots: 2n ** 63n - 1n, isNotionalKnown: true }), tradeCount: 2147483647 };
  const one = barOf({ atNs: 1n, price: 1, lots: 1n, isNotionalKnown: true });
  expect(() => mergeDelta(full, { ...one, volumeLots: 0n })).toThrow(/2147483648 ticks, at most 2147483647/);
  expect(() => mergeDelta({ ...full, tradeCount: 1 }, one)).toThrow(/volume 9223372036854775808 lots/);
});
