// Encodes bars for the sinks: rows of PostgreSQL's binary COPY, and the JSON payloads of Kafka. The readable form of both is
// engine/kernel/encode-twin.ts.
//
// The host fills the tables of lib/encode-payload.ts and gives the addresses to `configure`. Encoders return the bytes written, or -1 - i
// when the symbol of bar i has no name entry: the host fills it in and starts again.
import {
  BAR_ASK_OPEN, BAR_FIRST_NS, BAR_FLAG_NOTIONAL_UNKNOWN, BAR_FLAGS, BAR_INSTRUMENT_KIND, BAR_LATE_COUNT, BAR_NOTIONAL_HI, BAR_NOTIONAL_LO,
  BAR_OPEN, BAR_REVISION, BAR_SIZE, BAR_TIMEFRAME_INDEX, BAR_TRADE_COUNT, BAR_TS_START_NS, BAR_VOLUME_LOTS, INSTRUMENT_KIND_QUOTE,
  INSTRUMENT_KIND_TRADE, LAYOUT_HASH,
} from "../schemas/layout.gen";
import { write4, write8, writeNull, writeNumeric, writePair, writePrices } from "./lib/encode-copy";
import { FRAME_BYTES, FRAMES, hasVwap, NAME_LENGTH, nameOf, openPayloads, vwapOf, writePayload } from "./lib/encode-payload";

export {
  ESCAPED_BYTES, FRAGMENT_BYTES, FRAGMENTS, FRAME_BYTES, FRAME_COUNT, FRAME_TEXT, FRAMES, NAME_BYTES, NAME_ESCAPED_LENGTH, NAME_HASH,
  NAME_LENGTH, PAYLOAD_BYTES_MAX, POWERS, POWERS_FIRST, POWERS_LAST, SLACK_BYTES,
} from "./lib/encode-payload";

/** The most that one row takes. */
export const ROW_BYTES_MAX: i32 = 288;

const TRADE_COLUMNS: u16 = 0x0f00; // 15, big-endian
const QUOTE_COLUMNS: u16 = 0x1000; // 16, big-endian
/** Microseconds from the Unix epoch to PostgreSQL's, 2000-01-01. */
const POSTGRES_EPOCH_US: i64 = 946684800000000;

let tables: usize = 0;
let timeframe: i32 = 0;
let countBytes: i32 = 8;
let run: i32 = 0;

export function layoutHash(): i32 {
  return LAYOUT_HASH;
}

export function configure(tablesAt: usize, namesAt: usize, escapedAt: usize, capacity: i32): void {
  tables = tablesAt;
  openPayloads(tablesAt, namesAt, escapedAt, capacity);
}

/** Says which rows the next call encodes, and the run that goes into each. */
export function selectRows(timeframeIndex: i32, runNumber: i32): void {
  timeframe = timeframeIndex;
  countBytes = load<i32>(tables + FRAMES + <usize>timeframeIndex * FRAME_BYTES);
  run = runNumber;
}

/** Column count, symbol and ts: the start of every row. */
function writeKey(p: usize, columns: u16, name: usize, bar: usize): usize {
  store<u16>(p, columns);
  v128.store(p, v128.load(name), 2);
  v128.store(p, v128.load(name, 16), 18);
  v128.store(p, v128.load(name, 32), 34);
  p += 6 + <usize>load<i32>(name, NAME_LENGTH);
  return write8(p, <u64>(load<i64>(bar, BAR_TS_START_NS) / 1000 - POSTGRES_EPOCH_US));
}

function writeTradeRow(p: usize, name: usize, bar: usize): usize {
  p = writeKey(p, TRADE_COLUMNS, name, bar);
  p = writePrices(p, bar + BAR_OPEN);
  p = write8(p, load<u64>(bar, BAR_VOLUME_LOTS));
  const tradeCount = load<i32>(bar, BAR_TRADE_COUNT);
  p = countBytes == 4 ? write4(p, <u32>tradeCount) : write8(p, <u64>(<i64>tradeCount));
  p = write4(p, load<u32>(bar, BAR_REVISION));
  p = write4(p, load<u32>(bar, BAR_LATE_COUNT));
  p = hasVwap(bar) ? write8(p, reinterpret<u64>(vwapOf(bar))) : writeNull(p);
  if ((load<i32>(bar, BAR_FLAGS) & BAR_FLAG_NOTIONAL_UNKNOWN) == 0) {
    p = writeNumeric(p, load<i64>(bar, BAR_NOTIONAL_HI), load<u64>(bar, BAR_NOTIONAL_LO), tables);
  } else {
    p = writeNull(p);
  }
  p = writePair(p, bar + BAR_FIRST_NS);
  return write4(p, <u32>run);
}

function writeQuoteRow(p: usize, name: usize, bar: usize): usize {
  p = writeKey(p, QUOTE_COLUMNS, name, bar);
  p = writePrices(p, bar + BAR_OPEN);
  p = writePrices(p, bar + BAR_ASK_OPEN);
  p = write8(p, <u64>(<i64>load<i32>(bar, BAR_TRADE_COUNT)));
  p = write4(p, load<u32>(bar, BAR_REVISION));
  p = write4(p, load<u32>(bar, BAR_LATE_COUNT));
  p = writePair(p, bar + BAR_FIRST_NS);
  return write4(p, <u32>run);
}

/** Rows of the trade bars of the selected timeframe among the `count` bars at `input`. */
export function copyTrades(input: usize, output: usize, count: i32): i32 {
  let p = output;
  for (let i = 0, bar = input; i < count; i++, bar += BAR_SIZE) {
    if (load<i32>(bar, BAR_TIMEFRAME_INDEX) != timeframe || load<i32>(bar, BAR_INSTRUMENT_KIND) != INSTRUMENT_KIND_TRADE) continue;
    const name = nameOf(bar);
    if (name == 0) return -1 - i;
    p = writeTradeRow(p, name, bar);
  }
  return <i32>(p - output);
}

/** Rows of the quote bars of the selected timeframe among the `count` bars at `input`. */
export function copyQuotes(input: usize, output: usize, count: i32): i32 {
  let p = output;
  for (let i = 0, bar = input; i < count; i++, bar += BAR_SIZE) {
    if (load<i32>(bar, BAR_TIMEFRAME_INDEX) != timeframe || load<i32>(bar, BAR_INSTRUMENT_KIND) != INSTRUMENT_KIND_QUOTE) continue;
    const name = nameOf(bar);
    if (name == 0) return -1 - i;
    p = writeQuoteRow(p, name, bar);
  }
  return <i32>(p - output);
}

/** Payloads of the trade bars among the `count` bars at `input`; `ends` gets where each bar's payload ends, empty for a quote bar. */
export function payloads(input: usize, output: usize, count: i32, ends: usize): i32 {
  let p = output;
  for (let i = 0, bar = input; i < count; i++, bar += BAR_SIZE) {
    if (load<i32>(bar, BAR_INSTRUMENT_KIND) == INSTRUMENT_KIND_TRADE) {
      const name = nameOf(bar);
      if (name == 0) return -1 - i;
      p = writePayload(p, name, bar);
    }
    store<u32>(ends + (<usize>i << 2), <u32>(p - output));
  }
  return <i32>(p - output);
}
