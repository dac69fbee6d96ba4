// The JSON payload of a bar, and the tables that it is made from. The readable form is in engine/kernel/encode-twin.ts.
//
//   tables ─ SCRATCH 64 B │ FRAGMENTS of JSON text │ FRAMES, one a timeframe │ POWERS of ten, 16 B each
//   names  ─ one entry a symbol, NAME_BYTES each; a length of 0: not filled in yet
//   escaped ─ the same names as they stand between the quotes of a JSON string, ESCAPED_BYTES each
//
// The host fills all three (engine/kernel/encode-tables.ts). Writers return the address after the last byte, and may store up to
// SLACK_BYTES beyond it.
import {
  BAR_CLOSE, BAR_FIRST_NS, BAR_FLAG_NOTIONAL_UNKNOWN, BAR_FLAGS, BAR_HIGH, BAR_LAST_NS, BAR_LATE_COUNT, BAR_LOW, BAR_NOTIONAL_HI,
  BAR_NOTIONAL_LO, BAR_OPEN, BAR_PRICE_SCALE, BAR_REVISION, BAR_SYMBOL_INDEX, BAR_TIMEFRAME_INDEX, BAR_TRADE_COUNT, BAR_TS_START_NS,
  BAR_VOLUME_LOTS,
} from "../../schemas/layout.gen";
import { POWER_MAX, POWER_MIN } from "./encode-decimal";
import { openText, useGrid, writeDouble, writeSigned } from "./encode-text";

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

/**
 * A name entry: big-endian length and name as COPY wants them, then at 48 the length of the escaped form, at 52 that of the name, at 56 the
 * murmur2 of the name without its sign.
 */
export const NAME_BYTES: i32 = 64;
export const NAME_ESCAPED_LENGTH: i32 = 48;
export const NAME_LENGTH: i32 = 52;
export const NAME_HASH: i32 = 56;
export const ESCAPED_BYTES: i32 = 256;

/** The most that one payload takes, and what the last of an area needs beyond it. */
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

const TWO_64: f64 = 18446744073709551616.0;
const NULL_TEXT: u32 = 0x6c6c756e;

let tables: usize = 0;
let names: usize = 0;
let escaped: usize = 0;
let symbolCapacity: u32 = 0;

export function openPayloads(tablesAt: usize, namesAt: usize, escapedAt: usize, capacity: i32): void {
  tables = tablesAt;
  names = namesAt;
  escaped = escapedAt;
  symbolCapacity = <u32>capacity;
  openText(tables, tables + POWERS);
}

/** The name entry of a bar's symbol, or 0 when there is none. */
export function nameOf(bar: usize): usize {
  const index = load<u32>(bar, BAR_SYMBOL_INDEX);
  if (index >= symbolCapacity) return 0;
  const entry = names + <usize>index * NAME_BYTES;
  return load<i32>(entry, NAME_LENGTH) == 0 ? 0 : entry;
}

export function hasVwap(bar: usize): bool {
  return load<i64>(bar, BAR_VOLUME_LOTS) != 0 && (load<i32>(bar, BAR_FLAGS) & BAR_FLAG_NOTIONAL_UNKNOWN) == 0;
}

export function vwapOf(bar: usize): f64 {
  const notional = <f64>load<i64>(bar, BAR_NOTIONAL_HI) * TWO_64 + <f64>load<u64>(bar, BAR_NOTIONAL_LO);
  return notional / (<f64>load<i64>(bar, BAR_VOLUME_LOTS) * load<f64>(bar, BAR_PRICE_SCALE));
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

/** The payload of a bar whose name entry is `name`: at least 64 bytes, at most PAYLOAD_BYTES_MAX. */
export function writePayload(p: usize, name: usize, bar: usize): usize {
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
