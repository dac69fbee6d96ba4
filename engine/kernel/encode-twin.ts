/**
 * What the encode kernel does, in readable TypeScript: COPY rows through a DataView, payloads through JSON.stringify. Tests
 * hold the kernel to it byte for byte, and benchmarks measure against it.
 */
import * as L from '../../schemas/layout.gen.ts';
import { tradeCountType } from '../../schemas/tables.ts';

/** Bars in memory: bar `i` is the `bar` record at word `inputI32Index + i * 32`. */
export interface BarInput {
  readonly i32: Int32Array;
  readonly f64: Float64Array;
  readonly i64: BigInt64Array;
  readonly inputI32Index: number;
}

export interface TwinRequest {
  readonly count: number;
  readonly timeframeIndex: number;
  readonly isQuote: boolean;
  readonly run: number;
}

/** Microseconds from the Unix epoch to PostgreSQL's, 2000-01-01. */
const POSTGRES_EPOCH_US = 946_684_800_000_000n;
const WORDS = L.BAR_SIZE >> 2;
const ROW_BYTES_MAX = 288;

export interface TwinEncoder {
  copyRows(request: TwinRequest): Uint8Array;
  /** The payload of input bar `i`. */
  payload(i: number): string;
}

/** `nameOf` gives the name of a symbol index. */
export function createTwinEncoder(input: BarInput, timeframeNames: readonly string[], nameOf: (index: number) => string): TwinEncoder {
  const { i32, i64, inputI32Index } = input;
  const names = new Map<number, Buffer>();
  let out = new Uint8Array(0);

  return {
    copyRows({ count, timeframeIndex, isQuote, run }) {
      if (out.length < count * ROW_BYTES_MAX) out = new Uint8Array(count * ROW_BYTES_MAX);
      const view = new DataView(out.buffer);
      const isWide = tradeCountType(timeframeNames[timeframeIndex] ?? '') === 'bigint';
      let at = 0;
      for (let i = 0; i < count; i += 1) {
        const word = inputI32Index + i * WORDS;
        if (i32[word + L.BAR_TIMEFRAME_INDEX_I32] !== timeframeIndex) continue;
        if ((i32[word + L.BAR_INSTRUMENT_KIND_I32] === L.INSTRUMENT_KIND_QUOTE) !== isQuote) continue;
        const symbolIndex = i32[word + L.BAR_SYMBOL_INDEX_I32]!;
        let name = names.get(symbolIndex);
        if (!name) {
          name = Buffer.from(nameOf(symbolIndex));
          names.set(symbolIndex, name);
        }
        view.setInt16(at, isQuote ? 16 : 15);
        view.setInt32(at + 2, name.length);
        out.set(name, at + 6);
        at = putInt64(view, at + 6 + name.length, i64[(word >> 1) + L.BAR_TS_START_NS_I64]! / 1000n - POSTGRES_EPOCH_US);
        at = isQuote ? putQuote(view, at, input, word) : putTrade(view, at, input, { word, isWide });
        at = putHalves(view, at, i32, word + (L.BAR_FIRST_NS >> 2));
        at = putHalves(view, at, i32, word + (L.BAR_LAST_NS >> 2));
        at = putInt32(view, at, run);
      }
      return out.subarray(0, at);
    },
    payload(i) {
      return payloadOf(input, inputI32Index + i * WORDS, timeframeNames, nameOf);
    },
  };
}

function putTrade(view: DataView, at: number, input: BarInput, { word, isWide }: { word: number; isWide: boolean }): number {
  const { i32 } = input;
  at = putPrices(view, at, input.f64, (word >> 1) + L.BAR_OPEN_F64);
  at = putHalves(view, at, i32, word + (L.BAR_VOLUME_LOTS >> 2));
  const tradeCount = i32[word + L.BAR_TRADE_COUNT_I32]!;
  at = isWide ? putWide(view, at, tradeCount) : putInt32(view, at, tradeCount);
  at = putInt32(view, at, i32[word + L.BAR_REVISION_I32]!);
  at = putInt32(view, at, i32[word + L.BAR_LATE_COUNT_I32]!);
  const vwap = vwapOf(input, word);
  at = vwap === null ? putNull(view, at) : putFloat64(view, at, vwap);
  if (isNotionalUnknown(input, word)) return putNull(view, at);
  const low = input.i64[(word >> 1) + L.BAR_NOTIONAL_LO_I64]!;
  const high = input.i64[(word >> 1) + L.BAR_NOTIONAL_HI_I64]!;
  return putNumeric(view, at, (high << 64n) | BigInt.asUintN(64, low));
}

function putQuote(view: DataView, at: number, input: BarInput, word: number): number {
  const { i32 } = input;
  at = putPrices(view, at, input.f64, (word >> 1) + L.BAR_OPEN_F64);
  at = putPrices(view, at, input.f64, (word >> 1) + L.BAR_ASK_OPEN_F64);
  at = putWide(view, at, i32[word + L.BAR_TRADE_COUNT_I32]!);
  at = putInt32(view, at, i32[word + L.BAR_REVISION_I32]!);
  return putInt32(view, at, i32[word + L.BAR_LATE_COUNT_I32]!);
}

/** A record holds open, close, high, low; a table open, high, low, close. */
function putPrices(view: DataView, at: number, f64: Float64Array, index: number): number {
  at = putFloat64(view, at, f64[index]!);
  at = putFloat64(view, at, f64[index + 2]!);
  at = putFloat64(view, at, f64[index + 3]!);
  return putFloat64(view, at, f64[index + 1]!);
}

function putNull(view: DataView, at: number): number {
  view.setInt32(at, -1);
  return at + 4;
}

function putInt32(view: DataView, at: number, value: number): number {
  view.setInt32(at, 4);
  view.setInt32(at + 4, value);
  return at + 8;
}

/** A 32-bit value in an int8 column. */
function putWide(view: DataView, at: number, value: number): number {
  view.setInt32(at, 8);
  view.setInt32(at + 4, value < 0 ? -1 : 0);
  view.setInt32(at + 8, value);
  return at + 12;
}

function putInt64(view: DataView, at: number, value: bigint): number {
  view.setInt32(at, 8);
  view.setBigInt64(at + 4, value);
  return at + 12;
}

/** An int8 from its two halves: no BigInt is made. */
function putHalves(view: DataView, at: number, i32: Int32Array, index: number): number {
  view.setInt32(at, 8);
  view.setInt32(at + 4, i32[index + 1]!);
  view.setInt32(at + 8, i32[index]!);
  return at + 12;
}

function putFloat64(view: DataView, at: number, value: number): number {
  view.setInt32(at, 8);
  view.setFloat64(at + 4, value);
  return at + 12;
}

/** numeric: digit count, weight of the first digit, sign, scale 0, then digits in base 10000 without zeros at the end. */
function putNumeric(view: DataView, at: number, value: bigint): number {
  const digits: number[] = [];
  let rest = value < 0n ? -value : value;
  for (; rest > 9_007_199_254_740_991n; rest /= 10000n) digits.push(Number(rest % 10000n));
  for (let small = Number(rest); small > 0; small = Math.floor(small / 10000)) digits.push(small % 10000);
  const weight = Math.max(digits.length - 1, 0);
  let skipped = 0;
  while (digits[skipped] === 0) skipped += 1;
  const count = digits.length - skipped;
  view.setInt32(at, 8 + count * 2);
  view.setInt16(at + 4, count);
  view.setInt16(at + 6, weight);
  view.setUint16(at + 8, value < 0n ? 0x4000 : 0);
  view.setInt16(at + 10, 0);
  for (let index = 0; index < count; index += 1) view.setInt16(at + 12 + index * 2, digits[digits.length - 1 - index] ?? 0);
  return at + 12 + count * 2;
}

function isNotionalUnknown(input: BarInput, word: number): boolean {
  return (input.i32[word + L.BAR_FLAGS_I32]! & L.BAR_FLAG_NOTIONAL_UNKNOWN) !== 0;
}

/** Volume-weighted average price of the trade bar at `word`; null when the volume is 0 or the notional is not known. */
export function vwapOf(input: BarInput, word: number): number | null {
  const at = word >> 1;
  const volume = input.i64[at + L.BAR_VOLUME_LOTS_I64]!;
  if (volume === 0n || isNotionalUnknown(input, word)) return null;
  const high = Number(input.i64[at + L.BAR_NOTIONAL_HI_I64]!);
  const low = Number(BigInt.asUintN(64, input.i64[at + L.BAR_NOTIONAL_LO_I64]!));
  return (high * 2 ** 64 + low) / (Number(volume) * input.f64[at + L.BAR_PRICE_SCALE_F64]!);
}

/** A volume beyond 2^53 is printed with all its digits, which JSON.stringify of a number would not do. */
function payloadOf(input: BarInput, word: number, timeframeNames: readonly string[], nameOf: (index: number) => string): string {
  const { i32, f64, i64 } = input;
  const at = word >> 1;
  const volume = i64[at + L.BAR_VOLUME_LOTS_I64]!;
  const text = JSON.stringify({
    symbol: nameOf(i32[word + L.BAR_SYMBOL_INDEX_I32]!),
    tf: timeframeNames[i32[word + L.BAR_TIMEFRAME_INDEX_I32]!],
    ts: Number(i64[at + L.BAR_TS_START_NS_I64]! / 1_000_000_000n),
    o: f64[at + L.BAR_OPEN_F64]!,
    h: f64[at + L.BAR_HIGH_F64]!,
    l: f64[at + L.BAR_LOW_F64]!,
    c: f64[at + L.BAR_CLOSE_F64]!,
    vol: Number(volume),
    n_trades: i32[word + L.BAR_TRADE_COUNT_I32]!,
    rev: i32[word + L.BAR_REVISION_I32]!,
    late: i32[word + L.BAR_LATE_COUNT_I32]!,
    vwap: vwapOf(input, word),
    first_ns: String(i64[at + L.BAR_FIRST_NS_I64]!),
    last_ns: String(i64[at + L.BAR_LAST_NS_I64]!),
  });
  if (Number.isSafeInteger(Number(volume))) return text;
  // The name is the only other text, and a quote in it is escaped.
  return text.replace(/,"vol":[^,]*,/, `,"vol":${volume},`);
}
