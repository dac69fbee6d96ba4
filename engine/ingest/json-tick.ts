/**
 * The JSON encoding of a tick, decoded in full: `{"symbol":"S","event_ts":N,"ltp":N,"vol":N}`. The ingest kernel decodes what is
 * plain; whatever it is not sure of comes here, so this is both its readable twin and its slow path.
 *
 * `event_ts` is an integer of nanoseconds and exceeds 2^53, so numbers are read from the text and not from what JSON.parse makes of them.
 */
import { REFUSAL } from '../../schemas/records.ts';
import { isSymbolName } from '../market/instrument-book.ts';

/** A longer message is no tick. */
export const MESSAGE_BYTES_MAX = 65536;
/** Largest quantity of one tick: sums of a bar stay within 64 bits. */
export const QUANTITY_MAX_LOTS = 9_007_199_254_740_992n;

const I64_MAX = 9_223_372_036_854_775_807n;
const FIELDS = ['symbol', 'event_ts', 'ltp', 'vol'] as const;
// A string, one punctuation mark, or a number or literal. In valid JSON these are all that there is between white space.
const TOKEN = /"[^"\\]*(?:\\.[^"\\]*)*"|[{}[\]:,]|[^\s{}[\]:,"]+/gsu;
const DECIMAL = /^(-?)(\d+)(?:\.(\d+))?(?:[eE]([+-]?\d+))?$/;

type Field = (typeof FIELDS)[number];

export interface JsonTick {
  readonly symbol: string;
  readonly tsEventNs: bigint;
  readonly price: number;
  readonly quantityLots: bigint;
}

export type JsonTickResult = { readonly tick: JsonTick; readonly refusal: 0 } | { readonly tick: undefined; readonly refusal: number };

const decoder = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });

/** Decodes a message, or says by refusal code why it is none. Values are only judged where a record could not hold them. */
export function decodeJsonTick(message: Uint8Array): JsonTickResult {
  const fields = message.length <= MESSAGE_BYTES_MAX ? topLevelFields(message) : undefined;
  const symbolText = fields?.get('symbol');
  const timeText = fields?.get('event_ts');
  const priceText = fields?.get('ltp');
  const quantityText = fields?.get('vol');
  if (!symbolText?.startsWith('"') || !timeText || !isNumber(priceText) || !isNumber(quantityText)) return refuse(REFUSAL.malformed);
  if (!/^-?\d+$/.test(timeText)) return refuse(REFUSAL.malformed);
  const symbol = String(JSON.parse(symbolText));
  if (!isSymbolName(symbol)) return refuse(REFUSAL.malformed);
  const quantityLots = wholeNumber(quantityText);
  if (typeof quantityLots === 'number') return refuse(quantityLots);
  const tsEventNs = BigInt(timeText);
  if (tsEventNs > I64_MAX || tsEventNs <= 0n) return refuse(REFUSAL.eventTimeInvalid);
  return { tick: { symbol, tsEventNs, price: Number(priceText), quantityLots }, refusal: 0 };
}

function refuse(refusal: number): JsonTickResult {
  return { tick: undefined, refusal };
}

function isNumber(text: string | undefined): text is string {
  return text !== undefined && /^[-\d]/.test(text);
}

/** The text of the values of our fields; undefined when the message is not one JSON object, or has a field twice. */
function topLevelFields(message: Uint8Array): Map<Field, string> | undefined {
  let text: string;
  try {
    text = decoder.decode(message);
    JSON.parse(text);
  } catch {
    // Not UTF-8 or not JSON: the caller counts it as malformed.
    return undefined;
  }
  const tokens = text.match(TOKEN) ?? [];
  if (tokens[0] !== '{') return undefined;
  const found = new Map<Field, string>();
  let depth = 0;
  for (let at = 0; at < tokens.length; at += 1) {
    const token = tokens[at]!;
    if (token === '{' || token === '[') depth += 1;
    else if (token === '}' || token === ']') depth -= 1;
    else if (depth === 1 && tokens[at + 1] === ':') {
      const key = String(JSON.parse(token));
      const field = FIELDS.find((name) => name === key);
      if (!field) continue;
      if (found.has(field)) return undefined;
      found.set(field, tokens[at + 2] ?? '');
    }
  }
  return found;
}

/** The value of a JSON number that is whole and in range, or the refusal code. `5.0` and `1e2` are whole. */
function wholeNumber(text: string): bigint | number {
  const match = DECIMAL.exec(text);
  if (!match) return REFUSAL.malformed;
  const decimals = match[3] ?? '';
  const digits = `${match[2]}${decimals}`.replace(/^0+/, '');
  if (digits === '') return 0n;
  if (match[1] === '-') return REFUSAL.quantityNegative;
  const significant = digits.replace(/0+$/, '');
  const zeros = Number(match[4] ?? 0) - decimals.length + (digits.length - significant.length);
  if (zeros < 0 || significant.length + zeros > 16) return REFUSAL.quantityOffLot;
  const value = BigInt(significant) * 10n ** BigInt(zeros);
  return value > QUANTITY_MAX_LOTS ? REFUSAL.quantityOffLot : value;
}
