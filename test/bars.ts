/** Bars for tests of what encodes them: arbitrary ones, a plain one, and how to put one into an encoder's input. */
import fc from 'fast-check';
import type { BarInput } from '../engine/kernel/encode-twin.ts';
import * as L from '../schemas/layout.gen.ts';

export const BAR_TIMEFRAMES = ['1s', '1m', '3m', '5m', '15m', '60m', '1d'];
export const BAR_NAMES = ['SIM0001', 'A', 'x'.repeat(40), 'Ünïcødé/円', 'quo"te\\back', '\u0001'.repeat(40), '\u2028🙂', 'BTC-USD'];

export interface Bar {
  readonly symbolIndex: number;
  readonly timeframeIndex: number;
  readonly isQuote: boolean;
  readonly tsSeconds: number;
  readonly prices: readonly number[];
  readonly volumeLots: bigint;
  readonly notional: bigint;
  readonly priceScale: number;
  readonly isNotionalUnknown: boolean;
  readonly counts: readonly number[];
  readonly firstNs: bigint;
  readonly lastNs: bigint;
}

const int64 = fc.bigInt({ min: -(2n ** 63n), max: 2n ** 63n - 1n });
const int32 = fc.oneof(fc.integer(), fc.integer({ min: 0, max: 100 }), fc.constantFrom(0, -1, 2 ** 31 - 1, -(2 ** 31)));
/** Whole units over a power of ten: a price on a grid of up to 12 decimals. */
export const decimalPrice = fc
  .tuple(fc.maxSafeInteger(), fc.integer({ min: 0, max: 12 }))
  .map(([units, decimals]) => Math.abs(units) / 10 ** decimals);
const price = fc.oneof(
  fc.integer({ min: 1, max: 10_000_000 }).map((cents) => cents / 100),
  decimalPrice,
  fc.double(),
  fc.constantFrom(0, -0, 1e21, 1e-7, 1e-6, 123456789012345680000, Number.MIN_VALUE, Number.MAX_VALUE, 2 ** 53, 0.1 + 0.2, -2.5),
);
const int128 = fc.oneof(
  fc.bigInt({ min: 0n, max: 2n ** 53n }),
  fc.bigInt({ min: -(2n ** 127n), max: 2n ** 127n - 1n }),
  fc.tuple(fc.bigInt({ min: 0n, max: 99n }), fc.integer({ min: 0, max: 36 })).map(([digits, zeros]) => digits * 10n ** BigInt(zeros)),
  fc.constantFrom(0n, 1n, 9999n, 10000n, 2n ** 64n - 1n, 2n ** 64n, -(2n ** 64n), 2n ** 127n - 1n, -(2n ** 127n), 10n ** 32n),
);
/** A bar of any values that its fields can hold; NaN and infinities too. */
export const anyBar: fc.Arbitrary<Bar> = fc.record({
  symbolIndex: fc.nat(BAR_NAMES.length - 1),
  timeframeIndex: fc.nat(BAR_TIMEFRAMES.length - 1),
  isQuote: fc.boolean(),
  tsSeconds: fc.integer({ min: -10_000_000_000 + 784_000_000, max: 9_223_372_036 }),
  prices: fc.array(price, { minLength: 8, maxLength: 8 }),
  volumeLots: fc.oneof(fc.constantFrom(0n, 1n, 2n ** 53n + 1n), fc.bigInt({ min: 0n, max: 1_000_000n }), int64),
  notional: int128,
  priceScale: fc.oneof(
    fc.nat(15).map((decimals) => 10 ** decimals),
    fc.constantFrom(0, 3, 1e16, 1e22, 0.5),
  ),
  isNotionalUnknown: fc.boolean(),
  counts: fc.array(int32, { minLength: 3, maxLength: 3 }),
  firstNs: int64,
  lastNs: int64,
});

/** Makes `bar` the input bar `i`. */
export function putBar(input: BarInput, i: number, bar: Bar): void {
  const { i32, f64, i64 } = input;
  const word = input.inputI32Index + i * (L.BAR_SIZE >> 2);
  const at = word >> 1;
  i32.fill(0, word, word + (L.BAR_SIZE >> 2));
  i32[word + L.BAR_KIND_I32] = L.OUT_KIND_BAR_FINAL;
  i32[word + L.BAR_SYMBOL_INDEX_I32] = bar.symbolIndex;
  i32[word + L.BAR_TIMEFRAME_INDEX_I32] = bar.timeframeIndex;
  i32[word + L.BAR_INSTRUMENT_KIND_I32] = bar.isQuote ? L.INSTRUMENT_KIND_QUOTE : L.INSTRUMENT_KIND_TRADE;
  i32[word + L.BAR_TRADE_COUNT_I32] = bar.counts[0]!;
  i32[word + L.BAR_REVISION_I32] = bar.counts[1]!;
  i32[word + L.BAR_LATE_COUNT_I32] = bar.counts[2]!;
  i64[at + L.BAR_TS_START_NS_I64] = BigInt(bar.tsSeconds) * 1_000_000_000n;
  i64[at + L.BAR_FIRST_NS_I64] = bar.firstNs;
  i64[at + L.BAR_LAST_NS_I64] = bar.lastNs;
  for (let index = 0; index < 4; index += 1) f64[at + L.BAR_OPEN_F64 + index] = bar.prices[index]!;
  if (bar.isQuote) {
    for (let index = 0; index < 4; index += 1) f64[at + L.BAR_ASK_OPEN_F64 + index] = bar.prices[4 + index]!;
    return;
  }
  i64[at + L.BAR_VOLUME_LOTS_I64] = bar.volumeLots;
  i64[at + L.BAR_NOTIONAL_LO_I64] = BigInt.asIntN(64, bar.notional);
  i64[at + L.BAR_NOTIONAL_HI_I64] = bar.notional >> 64n;
  f64[at + L.BAR_PRICE_SCALE_F64] = bar.priceScale;
  i32[word + L.BAR_FLAGS_I32] = bar.isNotionalUnknown ? L.BAR_FLAG_NOTIONAL_UNKNOWN : 0;
}

export const PLAIN_BAR: Bar = {
  symbolIndex: 7,
  timeframeIndex: 0,
  isQuote: false,
  tsSeconds: 1_700_000_000,
  prices: [1.5, 2, 4, 0.5, 11.5, 12, 14, 10.5],
  volumeLots: 1000n,
  notional: 250_000n,
  priceScale: 100,
  isNotionalUnknown: false,
  counts: [25, 1, 2],
  firstNs: 1_700_000_000_000_000_001n,
  lastNs: 1_700_000_000_999_999_999n,
};
