/** What the instruments file says: decimals, kinds and sessions of known instruments. */
import { readFileSync } from 'node:fs';
import { z } from 'zod';
import { EngineError, messageOf } from '../core/errors.ts';
import { isTimezone, type Session } from './calendar.ts';
import { SYMBOL_NAME_BYTES_MAX } from './instruments.ts';

/** More price decimals than this leave no room for a price in 62 bits. */
export const PRICE_DECIMALS_MAX = 15;
export const LOT_DECIMALS_MAX = 15;

export interface Instrument {
  readonly symbol: string;
  /** Absent: as the source says. */
  readonly kind?: 'trade' | 'quote' | undefined;
  readonly priceDecimals: number;
  readonly lotDecimals: number;
  readonly session?: Session | undefined;
}

export interface InstrumentBook {
  readonly instruments: readonly Instrument[];
  find(symbol: string): Instrument | undefined;
}

const time = z.string().regex(/^([01]\d|2[0-3]):[0-5]\d$/, 'expected HH:MM, 00:00 to 23:59');

const session = z
  .strictObject({ timezone: z.string().refine(isTimezone, 'expected a time zone such as Asia/Kolkata'), open: time, close: time })
  .refine((value) => value.open !== value.close, 'open and close are the same');

const instrument = z.strictObject({
  symbol: z.string().refine(isSymbolName, `expected 1 to ${SYMBOL_NAME_BYTES_MAX} bytes of UTF-8 without control characters`),
  kind: z.enum(['trade', 'quote']).optional(),
  priceDecimals: z.int().min(0).max(PRICE_DECIMALS_MAX),
  lotDecimals: z.int().min(0).max(LOT_DECIMALS_MAX),
  session: session.optional(),
});

const encoder = new TextEncoder();

/** True for what may be a symbol: 1 to 40 bytes of well-formed text without control characters. */
export function isSymbolName(name: string): boolean {
  if (name.length === 0 || name.length > SYMBOL_NAME_BYTES_MAX || /\p{Cc}|\p{Cs}/u.test(name)) return false;
  return encoder.encode(name).length <= SYMBOL_NAME_BYTES_MAX;
}

export function createInstrumentBook(instruments: readonly Instrument[]): InstrumentBook {
  const bySymbol = new Map(instruments.map((entry) => [entry.symbol, entry]));
  return { instruments, find: (symbol) => bySymbol.get(symbol) };
}

/**
 * Reads the JSON text of an instruments file: an array of instruments. `origin` names the file in errors.
 * @throws EngineError INSTRUMENTS_INVALID with every fault
 */
export function parseInstruments(text: string, origin: string): InstrumentBook {
  let json: unknown;
  try {
    json = JSON.parse(text);
  } catch (cause) {
    throw new EngineError('INSTRUMENTS_INVALID', `${origin}: not JSON: ${messageOf(cause)}`, { cause });
  }
  const parsed = z.array(instrument).safeParse(json);
  const faults = parsed.success ? [] : parsed.error.issues.map((issue) => faultText(json, issue));
  const entries = parsed.success ? parsed.data : [];
  for (const symbol of repeated(json)) faults.push(`${symbol} is named more than once`);
  if (faults.length > 0) throw new EngineError('INSTRUMENTS_INVALID', `${origin}: ${faults.join('; ')}`);
  return createInstrumentBook(entries);
}

/**
 * Reads an instruments file.
 * @throws EngineError INSTRUMENTS_INVALID
 */
export function loadInstruments(path: string): InstrumentBook {
  let text: string;
  try {
    text = readFileSync(path, 'utf8');
  } catch (cause) {
    throw new EngineError('INSTRUMENTS_INVALID', `INSTRUMENTS_FILE ${path}: ${messageOf(cause)}`, { cause });
  }
  return parseInstruments(text, path);
}

function faultText(json: unknown, issue: z.core.$ZodIssue): string {
  let value: unknown = json;
  for (const key of issue.path) value = typeof value === 'object' && value !== null ? Reflect.get(value, key) : undefined;
  const where = issue.path.length > 0 ? issue.path.join('.') : 'file';
  return `${where} ${JSON.stringify(value)?.slice(0, 80)}: ${issue.message}`;
}

function repeated(json: unknown): Set<string> {
  const seen = new Set<string>();
  const twice = new Set<string>();
  for (const entry of Array.isArray(json) ? json : []) {
    const symbol: unknown = typeof entry === 'object' && entry !== null ? Reflect.get(entry, 'symbol') : undefined;
    if (typeof symbol !== 'string') continue;
    if (seen.has(symbol)) twice.add(symbol);
    seen.add(symbol);
  }
  return twice;
}
