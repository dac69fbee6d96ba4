import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import * as L from '../../schemas/layout.gen.ts';
import { type Column, quoteBarColumns, tradeBarColumns } from '../../schemas/tables.ts';
import { allocateSymbols, openSymbols } from '../market/instruments.ts';
import { type BarEncoder, createBarEncoder } from './encode.ts';
import { createTwinEncoder } from './encode-twin.ts';

const TIMEFRAMES = ['1s', '1m', '3m', '5m', '15m', '60m', '1d'];
const SEED = Number(process.env['SEED'] ?? Math.floor(Math.random() * 2 ** 31));
const NAMES = ['SIM0001', 'A', 'x'.repeat(40), 'Ünïcødé/円', 'quo"te\\back', '\u0001'.repeat(40), '\u2028🙂', 'BTC-USD'];

interface Bar {
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
const decimalPrice = fc
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
const anyBar: fc.Arbitrary<Bar> = fc.record({
  symbolIndex: fc.nat(NAMES.length - 1),
  timeframeIndex: fc.nat(TIMEFRAMES.length - 1),
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

function put(encoder: BarEncoder, i: number, bar: Bar): void {
  const { i32, f64, i64 } = encoder;
  const word = encoder.inputI32Index + i * (L.BAR_SIZE >> 2);
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

function setUp(names: readonly string[] = NAMES) {
  const symbols = openSymbols(allocateSymbols(16));
  for (const [index, name] of names.entries()) {
    symbols.write(index, { name, partition: 0, shard: 0, localIndex: index, priceDecimals: 2, lotDecimals: 0, isQuote: false });
  }
  const encoder = createBarEncoder(symbols, TIMEFRAMES);
  return { symbols, encoder, twin: createTwinEncoder(encoder, TIMEFRAMES, (index) => names[index] ?? '?') };
}

function payloadsOf(encoder: BarEncoder, count: number): string[] {
  const { bytes, ends } = encoder.json(count);
  return [...ends].map((end, i) => Buffer.from(bytes.subarray(i === 0 ? 0 : ends[i - 1]!, end)).toString());
}

/** Reads one COPY row as text values, driven by the column list alone. */
function readRow(row: DataView, columns: readonly Column[], start: number): { values: (string | null)[]; end: number } {
  expect(row.getInt16(start)).toBe(columns.length);
  let at = start + 2;
  const values = columns.map((column) => {
    const length = row.getInt32(at);
    at += 4 + Math.max(length, 0);
    return length < 0 ? null : readField(row, column, at - length, length);
  });
  return { values, end: at };
}

function readField(row: DataView, column: Column, at: number, length: number): string {
  const width = { bigint: 8, timestamptz: 8, 'double precision': 8, integer: 4, text: length, numeric: length }[column.type];
  expect(length).toBe(width);
  if (column.type === 'text') return Buffer.from(row.buffer, row.byteOffset + at, length).toString();
  if (column.type === 'double precision') return String(row.getFloat64(at));
  if (column.type === 'integer') return String(row.getInt32(at));
  if (column.type === 'numeric') return readNumeric(row, at);
  return String(row.getBigInt64(at));
}

function readNumeric(row: DataView, at: number): string {
  let value = 0n;
  const count = row.getInt16(at);
  const weight = row.getInt16(at + 2);
  for (let index = 0; index < count; index += 1) value += BigInt(row.getInt16(at + 8 + index * 2)) * 10000n ** BigInt(weight - index);
  return String(row.getUint16(at + 4) === 0x4000 ? -value : value);
}

describe('encode kernel', () => {
  it('writes COPY rows byte for byte as the twin does, for every timeframe and kind', () => {
    const { encoder, twin } = setUp();
    fc.assert(
      fc.property(fc.array(anyBar, { maxLength: 40 }), fc.integer(), (bars, run) => {
        for (const [i, bar] of bars.entries()) put(encoder, i, bar);
        for (const isQuote of [false, true]) {
          for (let timeframeIndex = 0; timeframeIndex < TIMEFRAMES.length; timeframeIndex += 1) {
            const rows = encoder.copyRows(bars.length, timeframeIndex, isQuote, run);
            const expected = twin.copyRows({ count: bars.length, timeframeIndex, isQuote, run });
            expect(Buffer.compare(rows, expected)).toBe(0);
          }
        }
      }),
      { seed: SEED, numRuns: 300 },
    );
  });

  it('writes payloads character for character as JSON.stringify does', () => {
    const { encoder, twin } = setUp();
    fc.assert(
      fc.property(fc.array(anyBar, { maxLength: 40 }), (bars) => {
        for (const [i, bar] of bars.entries()) put(encoder, i, bar);
        const expected = bars.map((bar, i) => (bar.isQuote ? '' : twin.payload(i)));
        expect(payloadsOf(encoder, bars.length)).toEqual(expected);
      }),
      { seed: SEED, numRuns: 1000 },
    );
  });

  it('prints every double in its shortest form, with any price scale', () => {
    const { encoder } = setUp();
    const bits = new BigUint64Array(1);
    const fromBits = new Float64Array(bits.buffer);
    const anyDouble = fc.oneof(
      fc.double(),
      decimalPrice,
      fc.bigInt({ min: 0n, max: 2n ** 64n - 1n }).map((pattern) => {
        bits[0] = pattern;
        return fromBits[0]!;
      }),
      fc.integer({ min: -1074, max: 1023 }).map((exponent) => 2 ** exponent),
      fc.integer({ min: -323, max: 308 }).map((exponent) => Number(`1e${exponent}`)),
    );
    fc.assert(
      fc.property(fc.array(anyDouble, { minLength: 400, maxLength: 400 }), fc.nat(16), (values, decimals) => {
        const bar = { ...PLAIN, priceScale: 10 ** decimals };
        for (let i = 0; i < 100; i += 1) put(encoder, i, { ...bar, prices: values.slice(i * 4, i * 4 + 4) });
        const printed = payloadsOf(encoder, 100).flatMap((text) => {
          const match = /"o":(.*),"h":(.*),"l":(.*),"c":(.*),"vol"/.exec(text);
          return [match?.[1], match?.[4], match?.[2], match?.[3]];
        });
        expect(printed).toEqual(values.map((value) => JSON.stringify(value)));
      }),
      { seed: SEED, numRuns: 300 },
    );
  });

  it('puts each value under its column as schemas/tables.ts orders them', () => {
    const { encoder } = setUp();
    for (const [timeframeIndex, timeframe] of TIMEFRAMES.entries()) {
      put(encoder, 0, { ...PLAIN, timeframeIndex });
      put(encoder, 1, { ...PLAIN, timeframeIndex, isQuote: true });
      const trades = encoder.copyRows(2, timeframeIndex, false, 7);
      const trade = readRow(new DataView(trades.buffer, trades.byteOffset, trades.length), tradeBarColumns(timeframe), 0);
      expect(trade.end).toBe(trades.length);
      const key = ['BTC-USD', String((1_700_000_000n - 946_684_800n) * 1_000_000n)];
      const times = ['1700000000000000001', '1700000000999999999', '7'];
      const sums = ['1000', '25', '1', '2', '2.5', '250000'];
      expect(trade.values).toEqual([...key, '1.5', '4', '0.5', '2', ...sums, ...times]);
      const quotes = encoder.copyRows(2, timeframeIndex, true, 7);
      const quote = readRow(new DataView(quotes.buffer, quotes.byteOffset, quotes.length), quoteBarColumns(), 0);
      expect(quote.end).toBe(quotes.length);
      expect(quote.values).toEqual([...key, '1.5', '4', '0.5', '2', '11.5', '14', '10.5', '12', '25', '1', '2', ...times]);
    }
  });

  it('leaves vwap out when the volume is 0, and vwap and notional when the notional is unknown', () => {
    const { encoder } = setUp();
    put(encoder, 0, { ...PLAIN, volumeLots: 0n, notional: 0n });
    put(encoder, 1, { ...PLAIN, isNotionalUnknown: true });
    const rows = encoder.copyRows(2, 0, false, 1);
    const view = new DataView(rows.buffer, rows.byteOffset, rows.length);
    const first = readRow(view, tradeBarColumns('1s'), 0);
    const second = readRow(view, tradeBarColumns('1s'), first.end);
    expect(first.values.slice(10, 12)).toEqual([null, '0']);
    expect(second.values.slice(10, 12)).toEqual([null, null]);
    expect(payloadsOf(encoder, 2).every((text) => text.includes('"vwap":null,'))).toBe(true);
  });

  it('returns memory that is not shared', () => {
    const { encoder } = setUp();
    put(encoder, 0, PLAIN);
    expect(encoder.copyRows(1, 0, false, 1).buffer).toBeInstanceOf(ArrayBuffer);
    const { bytes, ends } = encoder.json(1);
    expect(bytes.buffer).toBeInstanceOf(ArrayBuffer);
    expect(ends.buffer).toBeInstanceOf(ArrayBuffer);
  });

  it('encodes a full input area of the longest rows', () => {
    const { encoder, twin } = setUp();
    const longest = { ...PLAIN, symbolIndex: 5, notional: -(2n ** 127n), volumeLots: -(2n ** 63n), firstNs: -(2n ** 63n) };
    const bar = { ...longest, counts: [-(2 ** 31), -(2 ** 31), -(2 ** 31)], prices: Array(8).fill((-0.1 - 0.2) * 1e-300) };
    for (let i = 0; i < encoder.inputCapacity; i += 1) put(encoder, i, bar);
    const request = { count: encoder.inputCapacity, timeframeIndex: 0, isQuote: false, run: -1 };
    expect(Buffer.compare(encoder.copyRows(request.count, 0, false, -1), twin.copyRows(request))).toBe(0);
    expect(new Set(payloadsOf(encoder, request.count))).toEqual(new Set([twin.payload(0)]));
  });

  it('meets symbols that were registered after it was made', () => {
    const { encoder, symbols } = setUp(['A']);
    symbols.write(9, { name: 'LATER', partition: 0, shard: 0, localIndex: 1, priceDecimals: 2, lotDecimals: 0, isQuote: false });
    put(encoder, 0, { ...PLAIN, symbolIndex: 0 });
    put(encoder, 1, { ...PLAIN, symbolIndex: 9 });
    expect(payloadsOf(encoder, 2).map((text) => JSON.parse(text).symbol)).toEqual(['A', 'LATER']);
  });

  it.each([3, 16, -1])('refuses a bar of symbol index %i that the dictionary does not have', (symbolIndex) => {
    const { encoder } = setUp(['A']);
    put(encoder, 0, { ...PLAIN, symbolIndex });
    const refusal = new RegExp(`symbol index ${symbolIndex}: .*0 to 15`);
    expect(() => encoder.copyRows(1, 0, false, 1)).toThrow(refusal);
    expect(() => encoder.json(1)).toThrow(refusal);
  });
});

const PLAIN: Bar = {
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
