// Encodes bars for the sinks: rows of PostgreSQL's binary COPY, and the JSON payloads of Kafka. The readable form of both is
// engine/kernel/encode-twin.ts.
//
//   tables ─ SCRATCH 64 B │ FRAGMENTS of JSON text │ FRAMES, one a timeframe │ POWERS of ten, 16 B each
//   names  ─ one entry a symbol, NAME_BYTES each; a length of 0: not filled in yet
//   escaped ─ the same names as they stand between the quotes of a JSON string, ESCAPED_BYTES each
//
// The host fills all three and gives the addresses to `configure`. Encoders return the bytes written, or -1 - i when the symbol
// of bar i has no name entry: the host fills it in and starts again.
import {
  BAR_ASK_OPEN, BAR_CLOSE, BAR_FIRST_NS, BAR_FLAG_NOTIONAL_UNKNOWN, BAR_FLAGS, BAR_HIGH, BAR_INSTRUMENT_KIND, BAR_LAST_NS, BAR_LATE_COUNT,
  BAR_LOW, BAR_NOTIONAL_HI, BAR_NOTIONAL_LO, BAR_OPEN, BAR_PRICE_SCALE, BAR_REVISION, BAR_SIZE, BAR_SYMBOL_INDEX, BAR_TIMEFRAME_INDEX,
  BAR_TRADE_COUNT, BAR_TS_START_NS, BAR_VOLUME_LOTS, INSTRUMENT_KIND_QUOTE, INSTRUMENT_KIND_TRADE, LAYOUT_HASH,
} from "../schemas/layout.gen";
import { write4, write8, writeNull, writeNumeric, writePair, writePrices } from "./lib/encode-copy";
import { POWER_MAX, POWER_MIN } from "./lib/encode-decimal";
import { openText, useGrid, writeDouble, writeSigned } from "./lib/encode-text";

/** Layout of the tables, in bytes from their start. */
export const FRAGMENTS: i32 = 64;
/** A fragment is 24 bytes of text and its length, i32, at 24. */
export const FRAGMENT_BYTES: i32 = 32;
export const FRAMES: i32 = 576;
/** A frame: i32 bytes of a trade count (4 or 8), i32 length of the text, text at 8: from the end of the symbol's name to `"ts":`. */
export const FRAME_BYTES: i32 = 64;
export const FRAME_TEXT: i32 = 8;
export const FRAME_COUNT: i32 = 12;
export const POWERS: i32 = 1344;
export const POWERS_FIRST: i32 = POWER_MIN;
export const POWERS_LAST: i32 = POWER_MAX;

/** A name entry: big-endian length and name as COPY wants them, then at 48 the length of the escaped form and at 52 that of the name. */
export const NAME_BYTES: i32 = 64;
export const NAME_ESCAPED_LENGTH: i32 = 48;
export const NAME_LENGTH: i32 = 52;
export const ESCAPED_BYTES: i32 = 256;

/** The most that one bar takes, and what the last of an area needs beyond it. */
export const ROW_BYTES_MAX: i32 = 288;
export const PAYLOAD_BYTES_MAX: i32 = 768;
export const SLACK_BYTES: i32 = 64;

/** The texts between two values, by place in FRAGMENTS. */
export const TEXT_HEAD: i32 = 0;
export const TEXT_OPEN: i32 = 1;
export const TEXT_HIGH: i32 = 2;
export const TEXT_LOW: i32 = 3;
export const TEXT_CLOSE: i32 = 4;
export const TEXT_VOLUME: i32 = 5;
export const TEXT_TRADES: i32 = 6;
export const TEXT_REVISION: i32 = 7;
export const TEXT_LATE: i32 = 8;
export const TEXT_VWAP: i32 = 9;
export const TEXT_FIRST: i32 = 10;
export const TEXT_LAST: i32 = 11;
export const TEXT_TAIL: i32 = 12;

const TRADE_COLUMNS: u16 = 0x0f00; // 15, big-endian
const QUOTE_COLUMNS: u16 = 0x1000; // 16, big-endian
/** Microseconds from the Unix epoch to PostgreSQL's, 2000-01-01. */
const POSTGRES_EPOCH_US: i64 = 946684800000000;
const TWO_64: f64 = 18446744073709551616.0;
const NULL_TEXT: u32 = 0x6c6c756e;

let tables: usize = 0;
let names: usize = 0;
let escaped: usize = 0;
let symbolCapacity: u32 = 0;
let timeframe: i32 = 0;
let countBytes: i32 = 8;
let run: i32 = 0;

export function layoutHash(): i32 {
  return LAYOUT_HASH;
}

export function configure(tablesAt: usize, namesAt: usize, escapedAt: usize, capacity: i32): void {
  tables = tablesAt;
  names = namesAt;
  escaped = escapedAt;
  symbolCapacity = <u32>capacity;
  openText(tables, tables + POWERS);
}

/** Says which rows the next call encodes, and the run that goes into each. */
export function selectRows(timeframeIndex: i32, runNumber: i32): void {
  timeframe = timeframeIndex;
  countBytes = load<i32>(tables + FRAMES + <usize>timeframeIndex * FRAME_BYTES);
  run = runNumber;
}

/** The name entry of a bar's symbol, or 0 when there is none. */
function nameOf(bar: usize): usize {
  const index = load<u32>(bar, BAR_SYMBOL_INDEX);
  if (index >= symbolCapacity) return 0;
  const entry = names + <usize>index * NAME_BYTES;
  return load<i32>(entry, NAME_LENGTH) == 0 ? 0 : entry;
}

function hasVwap(bar: usize): bool {
  return load<i64>(bar, BAR_VOLUME_LOTS) != 0 && (load<i32>(bar, BAR_FLAGS) & BAR_FLAG_NOTIONAL_UNKNOWN) == 0;
}

function vwapOf(bar: usize): f64 {
  const notional = <f64>load<i64>(bar, BAR_NOTIONAL_HI) * TWO_64 + <f64>load<u64>(bar, BAR_NOTIONAL_LO);
  return notional / (<f64>load<i64>(bar, BAR_VOLUME_LOTS) * load<f64>(bar, BAR_PRICE_SCALE));
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

function writeText(p: usize, text: i32): usize {
  const fragment = tables + FRAGMENTS + <usize>(text * FRAGMENT_BYTES);
  v128.store(p, v128.load(fragment));
  return p + <usize>load<i32>(fragment, 24);
}

function writeNumber(p: usize, text: i32, value: f64): usize {
  return writeDouble(writeText(p, text), value);
}

/** `{"symbol":"<name>","tf":"<timeframe>","ts":<seconds>` */
function writeHead(p: usize, name: usize, bar: usize): usize {
  p = writeText(p, TEXT_HEAD);
  const from = escaped + <usize>load<u32>(bar, BAR_SYMBOL_INDEX) * ESCAPED_BYTES;
  const length = <usize>load<i32>(name, NAME_ESCAPED_LENGTH);
  for (let done: usize = 0; done < length; done += 16) v128.store(p + done, v128.load(from + done));
  p += length;
  const frame = tables + FRAMES + <usize>load<i32>(bar, BAR_TIMEFRAME_INDEX) * FRAME_BYTES;
  v128.store(p, v128.load(frame, FRAME_TEXT));
  v128.store(p, v128.load(frame, FRAME_TEXT + 16), 16);
  return writeSigned(p + <usize>load<i32>(frame, 4), load<i64>(bar, BAR_TS_START_NS) / 1000000000);
}

function writePayload(p: usize, name: usize, bar: usize): usize {
  p = writeHead(p, name, bar);
  useGrid(load<f64>(bar, BAR_PRICE_SCALE));
  p = writeNumber(p, TEXT_OPEN, load<f64>(bar, BAR_OPEN));
  p = writeNumber(p, TEXT_HIGH, load<f64>(bar, BAR_HIGH));
  p = writeNumber(p, TEXT_LOW, load<f64>(bar, BAR_LOW));
  p = writeNumber(p, TEXT_CLOSE, load<f64>(bar, BAR_CLOSE));
  p = writeSigned(writeText(p, TEXT_VOLUME), load<i64>(bar, BAR_VOLUME_LOTS));
  p = writeSigned(writeText(p, TEXT_TRADES), load<i32>(bar, BAR_TRADE_COUNT));
  p = writeSigned(writeText(p, TEXT_REVISION), load<i32>(bar, BAR_REVISION));
  p = writeSigned(writeText(p, TEXT_LATE), load<i32>(bar, BAR_LATE_COUNT));
  if (hasVwap(bar)) {
    p = writeNumber(p, TEXT_VWAP, vwapOf(bar));
  } else {
    p = writeText(p, TEXT_VWAP);
    store<u32>(p, NULL_TEXT);
    p += 4;
  }
  p = writeSigned(writeText(p, TEXT_FIRST), load<i64>(bar, BAR_FIRST_NS));
  p = writeSigned(writeText(p, TEXT_LAST), load<i64>(bar, BAR_LAST_NS));
  return writeText(p, TEXT_TAIL);
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
