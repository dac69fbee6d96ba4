import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { type Column, quoteBarColumns, tradeBarColumns } from '../../schemas/tables.ts';
import { anyBar, BAR_NAMES, BAR_TIMEFRAMES, decimalPrice, PLAIN_BAR, putBar } from '../../test/bars.ts';
import { allocateSymbols, openSymbols } from '../market/instruments.ts';
import { type BarEncoder, createBarEncoder } from './encode.ts';
import { createTwinEncoder } from './encode-twin.ts';

const SEED = Number(process.env['SEED'] ?? Math.floor(Math.random() * 2 ** 31));

function setUp(names: readonly string[] = BAR_NAMES) {
  const symbols = openSymbols(allocateSymbols(16));
  for (const [index, name] of names.entries()) {
    symbols.write(index, { name, partition: 0, shard: 0, localIndex: index, priceDecimals: 2, lotDecimals: 0, isQuote: false });
  }
  const encoder = createBarEncoder(symbols, BAR_TIMEFRAMES);
  return { symbols, encoder, twin: createTwinEncoder(encoder, BAR_TIMEFRAMES, (index) => names[index] ?? '?') };
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
        for (const [i, bar] of bars.entries()) putBar(encoder, i, bar);
        for (const isQuote of [false, true]) {
          for (let timeframeIndex = 0; timeframeIndex < BAR_TIMEFRAMES.length; timeframeIndex += 1) {
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
        for (const [i, bar] of bars.entries()) putBar(encoder, i, bar);
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
        const bar = { ...PLAIN_BAR, priceScale: 10 ** decimals };
        for (let i = 0; i < 100; i += 1) putBar(encoder, i, { ...bar, prices: values.slice(i * 4, i * 4 + 4) });
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
    for (const [timeframeIndex, timeframe] of BAR_TIMEFRAMES.entries()) {
      putBar(encoder, 0, { ...PLAIN_BAR, timeframeIndex });
      putBar(encoder, 1, { ...PLAIN_BAR, timeframeIndex, isQuote: true });
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
    putBar(encoder, 0, { ...PLAIN_BAR, volumeLots: 0n, notional: 0n });
    putBar(encoder, 1, { ...PLAIN_BAR, isNotionalUnknown: true });
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
    putBar(encoder, 0, PLAIN_BAR);
    expect(encoder.copyRows(1, 0, false, 1).buffer).toBeInstanceOf(ArrayBuffer);
    const { bytes, ends } = encoder.json(1);
    expect(bytes.buffer).toBeInstanceOf(ArrayBuffer);
    expect(ends.buffer).toBeInstanceOf(ArrayBuffer);
  });

  it('encodes a full input area of the longest rows', () => {
    const { encoder, twin } = setUp();
    const longest = { ...PLAIN_BAR, symbolIndex: 5, notional: -(2n ** 127n), volumeLots: -(2n ** 63n), firstNs: -(2n ** 63n) };
    const bar = { ...longest, counts: [-(2 ** 31), -(2 ** 31), -(2 ** 31)], prices: Array(8).fill((-0.1 - 0.2) * 1e-300) };
    for (let i = 0; i < encoder.inputCapacity; i += 1) putBar(encoder, i, bar);
    const request = { count: encoder.inputCapacity, timeframeIndex: 0, isQuote: false, run: -1 };
    expect(Buffer.compare(encoder.copyRows(request.count, 0, false, -1), twin.copyRows(request))).toBe(0);
    expect(new Set(payloadsOf(encoder, request.count))).toEqual(new Set([twin.payload(0)]));
  });

  it('meets symbols that were registered after it was made', () => {
    const { encoder, symbols } = setUp(['A']);
    symbols.write(9, { name: 'LATER', partition: 0, shard: 0, localIndex: 1, priceDecimals: 2, lotDecimals: 0, isQuote: false });
    putBar(encoder, 0, { ...PLAIN_BAR, symbolIndex: 0 });
    putBar(encoder, 1, { ...PLAIN_BAR, symbolIndex: 9 });
    expect(payloadsOf(encoder, 2).map((text) => JSON.parse(text).symbol)).toEqual(['A', 'LATER']);
  });

  it.each([3, 16, -1])('refuses a bar of symbol index %i that the dictionary does not have', (symbolIndex) => {
    const { encoder } = setUp(['A']);
    putBar(encoder, 0, { ...PLAIN_BAR, symbolIndex });
    const refusal = new RegExp(`symbol index ${symbolIndex}: .*0 to 15`);
    expect(() => encoder.copyRows(1, 0, false, 1)).toThrow(refusal);
    expect(() => encoder.json(1)).toThrow(refusal);
  });
});
