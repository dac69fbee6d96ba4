/** Filling a row from pieces of a line. */
import {
  TICK_ASK_F64,
  TICK_CLOSE_F64,
  TICK_KIND_I32,
  TICK_LOW_F64,
  TICK_PRICE_F64,
  TICK_QUANTITY_LOTS,
  TICK_SIZE,
  TICK_SYMBOL_INDEX_I32,
  TICK_TRADE_COUNT_I32,
  TICK_TS_EVENT_NS,
} from '../../../schemas/layout.gen.ts';
import { REFUSAL } from '../../../schemas/records.ts';
import { DECIMAL_STATUS, parsePrice, parseScaled, type Span, writeScaled } from '../../core/decimal.ts';
import { writeNanos } from '../../core/int64.ts';
import type { Row, RowKind, SymbolRef } from './format.ts';

const MS_DECIMALS = 6;
const NANOS = 1e9;
/** Far beyond any recording; keeps seconds within what an event time in nanoseconds holds. */
const EPOCH_MS_LIMIT = 9.2e12;
const NAME_CHARACTERS_MAX = 40;

// One thread, used up before the next call.
const span: Span = { start: 0, end: 0, decimals: 0 };

export function createRow(): Row {
  const buffer = new ArrayBuffer(TICK_SIZE);
  return { i32: new Int32Array(buffer), f64: new Float64Array(buffer), seconds: 0, nanos: 0 };
}

/** Begins a record: everything but what is given here is 0. */
export function beginRow(row: Row, kind: RowKind): void {
  row.i32.fill(0);
  row.i32[TICK_KIND_I32] = kind;
}

/** Gives the record its symbol. Returns 0, or the code with which the symbol was refused. */
export function setSymbol(row: Row, ref: SymbolRef): number {
  row.i32[TICK_SYMBOL_INDEX_I32] = ref.index;
  return ref.index < 0 ? -ref.index : 0;
}

/** Event time from a base in seconds and nanoseconds after it, 0 <= nanos < 2^53. */
export function setTime(row: Row, baseSeconds: number, nanos: number): void {
  const seconds = Math.floor(nanos / NANOS);
  row.seconds = baseSeconds + seconds;
  row.nanos = nanos - seconds * NANOS;
  writeNanos(row.i32, TICK_TS_EVENT_NS >> 2, row.seconds, row.nanos);
}

/** Event time from text: milliseconds after the base, with at most six decimals. False when it is not that. */
export function setTimeFromMs(row: Row, baseSeconds: number, line: string, field: Field): boolean {
  span.start = field.start;
  span.end = field.end;
  span.decimals = MS_DECIMALS;
  const nanos = parseScaled(line, span);
  if (!(nanos >= 0)) return false;
  setTime(row, baseSeconds, nanos);
  return true;
}

/** Event time from text: whole milliseconds since the epoch, below 9.2 x 10^12. False when it is not that. */
export function setTimeFromEpochMs(row: Row, line: string, field: Field): boolean {
  span.start = field.start;
  span.end = field.end;
  span.decimals = 0;
  const millis = parseScaled(line, span);
  if (!(millis >= 0 && millis < EPOCH_MS_LIMIT)) return false;
  const seconds = Math.floor(millis / 1000);
  setTime(row, seconds, (millis - seconds * 1000) * 1e6);
  return true;
}

/** Event time from text: whole nanoseconds since the epoch, 0 to 2^63 - 1. False when it is not that. */
export function setTimeFromNanos(row: Row, text: string): boolean {
  if (!/^\d{1,19}$/.test(text)) return false;
  span.start = 0;
  span.end = text.length;
  span.decimals = 0;
  if (writeScaled(row.i32, TICK_TS_EVENT_NS >> 2, text, span) !== DECIMAL_STATUS.exact) return false;
  row.seconds = Number(text.slice(0, -9));
  row.nanos = Number(text.slice(-9));
  return true;
}

/** Lots from decimal text. Returns 0, or the code of the refusal. */
export function setQuantity(row: Row, line: string, field: Field, lotDecimals: number): number {
  span.start = field.start;
  span.end = field.end;
  span.decimals = lotDecimals;
  const status = writeScaled(row.i32, TICK_QUANTITY_LOTS >> 2, line, span);
  if (status === DECIMAL_STATUS.exact) return 0;
  return status === DECIMAL_STATUS.offUnit ? REFUSAL.quantityOffLot : REFUSAL.malformed;
}

/** Price of a trade. False when the text is no decimal number. */
export function setPrice(row: Row, line: string, field: Field): boolean {
  const price = parsePrice(line, field.start, field.end);
  row.f64[TICK_PRICE_F64] = price;
  row.i32[TICK_TRADE_COUNT_I32] = 1;
  return !Number.isNaN(price);
}

/** Bid and ask from two fields. False when either is no decimal number. */
export function setQuote(row: Row, line: string, bid: Field, ask: Field): boolean {
  const isBid = setPrice(row, line, bid);
  row.f64[TICK_ASK_F64] = parsePrice(line, ask.start, ask.end);
  return isBid && !Number.isNaN(row.f64[TICK_ASK_F64]);
}

/** Open, high, low and close from four fields beginning at `first`. False when one is no decimal number. */
export function setBar(row: Row, line: string, fields: readonly Field[], first: number): boolean {
  const places = [TICK_PRICE_F64, TICK_ASK_F64, TICK_LOW_F64, TICK_CLOSE_F64];
  for (let index = 0; index < 4; index += 1) {
    const field = fields[first + index]!;
    const price = parsePrice(line, field.start, field.end);
    if (Number.isNaN(price)) return false;
    row.f64[places[index]!] = price;
  }
  return true;
}

/** A piece of a line: [start, end). */
export interface Field {
  start: number;
  end: number;
}

/** Cuts lines at commas into fields that it keeps and changes. */
export interface FieldCutter {
  readonly fields: readonly Field[];
  /** False when the line does not have exactly the expected number of fields. */
  cut(line: string): boolean;
}

export function createFieldCutter(count: number): FieldCutter {
  const fields: Field[] = Array.from({ length: count }, () => ({ start: 0, end: 0 }));
  return {
    fields,
    cut(line) {
      let start = 0;
      for (let index = 0; index < count; index += 1) {
        const comma = line.indexOf(',', start);
        const isLast = index === count - 1;
        if (isLast !== (comma === -1)) return false;
        const field = fields[index]!;
        field.start = start;
        field.end = isLast ? line.length : comma;
        start = field.end + 1;
      }
      return true;
    },
  };
}

/** Whether a text can be the name of a symbol: 1 to 40 bytes, no control characters, decoded without loss. */
export function isSymbolName(text: string): boolean {
  if (text.length === 0 || text.length > NAME_CHARACTERS_MAX || /[\p{Cc}\uFFFD]/u.test(text)) return false;
  return Buffer.byteLength(text) <= NAME_CHARACTERS_MAX;
}
