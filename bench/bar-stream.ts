/** A seeded stream of tick records for the bar benches: 10 ticks/s a symbol, 1 % of them late within the lateness. */
import { writeNanos } from '../engine/core/int64.ts';
import { createPrng } from '../engine/core/prng.ts';
import * as L from '../schemas/layout.gen.ts';

export interface BarStream {
  readonly bytes: Uint8Array;
  readonly symbols: number;
  /** Records at the start that register the symbols. */
  readonly symbolRecords: number;
  /** All records, symbols and watermarks included. */
  readonly records: number;
}

export const LATENESS_MS = 1000;
export const TIMEFRAME_SECONDS = [1, 60, 180, 300, 900] as const;
const TICKS_PER_SYMBOL_AND_SECOND = 10;
/** Five seconds before a quarter of an hour, so that even a short stream closes every timeframe. */
const START_SECOND = 1_700_000_100 - 5;
export const PRICE_SCALE = 100;
/** Start of the day of the stream, in ns since the epoch. */
export const ORIGIN_NS = (START_SECOND - (START_SECOND % 86400)) * 1e9;
const WORDS = L.TICK_SIZE >> 2;
const DOUBLES = L.TICK_SIZE >> 3;

/** @param ticks trades in the stream; records are a few more */
export function makeBarStream(symbols: number, ticks: number): BarStream {
  const prng = createPrng(17);
  const stepNs = 1e9 / (TICKS_PER_SYMBOL_AND_SECOND * symbols);
  const most = symbols + ticks + Math.ceil((ticks * stepNs) / 1e9) + 2;
  const bytes = new Uint8Array(most * L.TICK_SIZE);
  const words = new Int32Array(bytes.buffer);
  const doubles = new Float64Array(bytes.buffer);
  let record = 0;
  for (let symbol = 0; symbol < symbols; symbol += 1, record += 1) {
    words[record * WORDS + L.TICK_KIND_I32] = L.TICK_KIND_SYMBOL;
    words[record * WORDS + L.TICK_SYMBOL_INDEX_I32] = symbol;
    words[record * WORDS + L.TICK_INGEST_US_I32] = symbol;
    doubles[record * DOUBLES + L.TICK_PRICE_F64] = PRICE_SCALE;
  }
  let watermark = START_SECOND - 2;
  for (let tick = 0; tick < ticks; tick += 1, record += 1) {
    const nowNs = Math.floor(tick * stepNs);
    const second = START_SECOND + Math.floor(nowNs / 1e9) - LATENESS_MS / 1000;
    if (second > watermark) {
      watermark = second;
      words[record * WORDS + L.TICK_KIND_I32] = L.TICK_KIND_WATERMARK;
      writeNanos(words, record * WORDS + (L.TICK_TS_EVENT_NS >> 2), second, 0);
      record += 1;
    }
    const lateNs = prng.nextBelow(100) === 0 ? prng.nextBelow(LATENESS_MS * 900_000) : 0;
    const tsNs = Math.max(0, nowNs - lateNs);
    words[record * WORDS + L.TICK_KIND_I32] = L.TICK_KIND_TRADE;
    words[record * WORDS + L.TICK_SYMBOL_INDEX_I32] = prng.nextBelow(symbols);
    words[record * WORDS + L.TICK_INGEST_US_I32] = tick >> 8;
    words[record * WORDS + L.TICK_QUANTITY_LOTS_I64 * 2] = 1 + prng.nextBelow(5);
    doubles[record * DOUBLES + L.TICK_PRICE_F64] = (250_000 + prng.nextBelow(1000)) / PRICE_SCALE;
    writeNanos(words, record * WORDS + (L.TICK_TS_EVENT_NS >> 2), START_SECOND + Math.floor(tsNs / 1e9), tsNs % 1e9);
  }
  return { bytes: bytes.subarray(0, record * L.TICK_SIZE), symbols, symbolRecords: symbols, records: record };
}
