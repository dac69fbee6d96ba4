/** Encoding bars for the sinks: the kernel against its readable twins. */
import { SYSTEM_CLOCK } from '../engine/core/clock.ts';
import { EngineError } from '../engine/core/errors.ts';
import { type BarEncoder, createBarEncoder } from '../engine/kernel/encode.ts';
import { createTwinEncoder } from '../engine/kernel/encode-twin.ts';
import { allocateSymbols, openSymbols } from '../engine/market/instruments.ts';
import * as L from '../schemas/layout.gen.ts';
import type { BenchContext } from './harness.ts';

export const name = 'encode';

const SYMBOLS = 500;
const BARS = 4096;
const WORDS = L.BAR_SIZE >> 2;

function symbolName(index: number): string {
  return `SIM${String(index + 1).padStart(4, '0')}`;
}

/** Fills the input with 1 s bars as the simulator makes them: two decimals, a score of trades each. */
function fill(encoder: BarEncoder): void {
  const { i32, f64, i64, inputI32Index } = encoder;
  for (let i = 0; i < BARS; i += 1) {
    const word = inputI32Index + i * WORDS;
    const at = word >> 1;
    const startNs = (1_700_000_000n + BigInt(Math.floor(i / SYMBOLS))) * 1_000_000_000n;
    const cents = 250_000 + ((i * 7919) % 5000);
    i32[word + L.BAR_KIND_I32] = L.OUT_KIND_BAR_FINAL;
    i32[word + L.BAR_SYMBOL_INDEX_I32] = i % SYMBOLS;
    i32[word + L.BAR_TRADE_COUNT_I32] = 20;
    i64[at + L.BAR_TS_START_NS_I64] = startNs;
    i64[at + L.BAR_FIRST_NS_I64] = startNs + 12_345_678n + BigInt(i);
    i64[at + L.BAR_LAST_NS_I64] = startNs + 987_654_321n - BigInt(i);
    f64[at + L.BAR_OPEN_F64] = cents / 100;
    f64[at + L.BAR_CLOSE_F64] = (cents + 13) / 100;
    f64[at + L.BAR_HIGH_F64] = (cents + 45) / 100;
    f64[at + L.BAR_LOW_F64] = (cents - 31) / 100;
    i64[at + L.BAR_VOLUME_LOTS_I64] = 57n;
    i64[at + L.BAR_NOTIONAL_LO_I64] = BigInt(cents) * 57n + BigInt(i % 311);
    f64[at + L.BAR_PRICE_SCALE_F64] = 100;
  }
}

/** Bars a second over `repeats` calls of `encode`, each of which returns the bytes it made. */
function rateOf(repeats: number, encode: () => number): number {
  const startUs = SYSTEM_CLOCK.monotonicUs();
  let bytes = 0;
  for (let repeat = 0; repeat < repeats; repeat += 1) bytes += encode();
  if (bytes === 0) throw new EngineError('BENCH_OUTPUT', 'encode: no bytes came out');
  return (repeats * BARS) / ((SYSTEM_CLOCK.monotonicUs() - startUs) / 1e6);
}

export async function run(context: BenchContext): Promise<void> {
  const symbols = openSymbols(allocateSymbols(SYMBOLS));
  for (let index = 0; index < SYMBOLS; index += 1) {
    symbols.write(index, {
      name: symbolName(index),
      partition: 0,
      shard: 0,
      localIndex: index,
      priceDecimals: 2,
      lotDecimals: 0,
      isQuote: false,
    });
  }
  const encoder = createBarEncoder(symbols, ['1s']);
  fill(encoder);
  const twin = createTwinEncoder(encoder, ['1s'], symbolName);
  const request = { count: BARS, timeframeIndex: 0, isQuote: false, run: 1 };
  const payloads = (): string => Array.from({ length: BARS }, (_, i) => twin.payload(i)).join('');
  if (Buffer.compare(encoder.copyRows(BARS, 0, false, 1), twin.copyRows(request)) !== 0) throw different('COPY rows');
  if (Buffer.from(encoder.json(BARS).bytes).toString() !== payloads()) throw different('payloads');

  const repeats = context.isQuick ? 20 : 200;
  await context.compare({
    work: 'bar COPY encoding, WASM',
    against: 'DataView',
    atLeast: 4,
    unit: 'rows/s',
    run: {
      work: () => rateOf(repeats * 4, () => encoder.copyRows(BARS, 0, false, 1).length),
      against: () => rateOf(repeats, () => twin.copyRows(request).length),
    },
  });
  await context.compare({
    work: 'bar JSON encoding, WASM',
    against: 'JSON.stringify',
    unit: 'bars/s',
    run: {
      work: () => rateOf(repeats, () => encoder.json(BARS).bytes.length),
      against: () => rateOf(Math.ceil(repeats / 4), () => Buffer.from(payloads()).length),
    },
  });
}

function different(what: string): EngineError {
  return new EngineError('BENCH_OUTPUT', `${what}: the kernel and its twin differ`);
}
