/**
 * Decimal text and whole numbers of a fixed decimal unit, exactly: no float stands between them. A quantity of `1.25` with two decimals
 * is 125 lots. Text is an optional sign, digits with an optional point, and an optional exponent. A scaled value fits an i64,
 * either sign, or is refused as too large.
 */
import { writeNanos } from './int64.ts';

/** How a piece of text was understood. */
export const DECIMAL_STATUS = {
  exact: 0,
  /** Not a decimal number. */
  malformed: 1,
  /** A number, but not a whole number of units. */
  offUnit: 2,
  /** Beyond 2^63 - 1. */
  tooLarge: 3,
} as const;

export type DecimalStatus = (typeof DECIMAL_STATUS)[keyof typeof DECIMAL_STATUS];

const POINT = 46;
const PLUS = 43;
const MINUS = 45;
const ZERO = 48;
const EXPONENT_MAX = 60;
const LEADING_DIGITS = 15;
const DIGITS_MAX = 19;
// 2^63 - 1, cut after its 15th digit.
const I64_LEADING = 922337203685477;
const I64_TRAILING = 5807;
const POWERS = Float64Array.from({ length: 16 }, (_, power) => 10 ** power);

// What `scan` found: (leading x 10^trailingDigits + trailing), negated when isNegative. One thread, used up before the next scan.
let leading = 0;
let trailing = 0;
let trailingDigits = 0;
let isNegative = false;

/** The price that `text[start, end)` denotes, correctly rounded; NaN when it is not a decimal number. */
export function parsePrice(text: string, start: number, end: number): number {
  return isDecimal(text, start, end) ? Number(text.slice(start, end)) : Number.NaN;
}

/**
 * Writes `text[start, end)` x 10^decimals as an i64 at `view[index]`, when it is exact.
 * @returns how it was understood; the view is untouched unless `exact`.
 */
export function writeScaled(view: Int32Array, index: number, text: string, span: Span): DecimalStatus {
  const status = scan(text, span.start, span.end, span.decimals);
  if (status !== DECIMAL_STATUS.exact) return status;
  const seconds = trailingDigits === 0 ? Math.floor(leading / 1e9) : Math.floor(leading / POWERS[9 - trailingDigits]!);
  const rest = trailingDigits === 0 ? leading % 1e9 : (leading % POWERS[9 - trailingDigits]!) * POWERS[trailingDigits]! + trailing;
  writeNanos(view, index, seconds, rest);
  if (isNegative) negate(view, index);
  return status;
}

/** A piece of text and the decimals of the unit it is counted in. Callers on hot paths keep one and change it. */
export interface Span {
  start: number;
  end: number;
  decimals: number;
}

/** `text[start, end)` x 10^decimals as a number, |value| <= 10^15; NaN when it is no such whole number. */
export function parseScaled(text: string, span: Span): number {
  const isExact = scan(text, span.start, span.end, span.decimals) === DECIMAL_STATUS.exact && trailingDigits === 0;
  if (!isExact) return Number.NaN;
  return isNegative ? 0 - leading : leading;
}

/** `value` x 10^-decimals as plain decimal text with exactly that many decimals. */
export function formatScaled(value: bigint, decimals: number): string {
  const digits = (value < 0n ? -value : value).toString().padStart(decimals + 1, '0');
  const point = digits.length - decimals;
  const text = decimals === 0 ? digits : `${digits.slice(0, point)}.${digits.slice(point)}`;
  return value < 0n ? `-${text}` : text;
}

/**
 * The one way to write a decimal number: no exponent, no superfluous zero, no point without decimals. Two texts denote the same
 * number exactly when these are equal. Undefined when `text` is not a decimal number or its exponent is beyond 60.
 */
export function canonicalDecimal(text: string): string | undefined {
  const plain = isDecimal(text, 0, text.length) ? expand(text) : undefined;
  if (plain === undefined) return undefined;
  const match = /^([+-]?)0*(\d*)\.?(\d*?)0*$/.exec(plain.includes('.') ? plain : `${plain}.`);
  if (!match) return undefined;
  const whole = match[2] === '' ? '0' : match[2];
  const absolute = match[3] === '' ? whole : `${whole}.${match[3]}`;
  return match[1] === '-' && absolute !== '0' ? `-${absolute}` : absolute;
}

function isDigit(code: number): boolean {
  return code >= ZERO && code <= 57;
}

function isDecimal(text: string, start: number, end: number): boolean {
  let at = start;
  const sign = text.charCodeAt(at);
  if (at < end && (sign === MINUS || sign === PLUS)) at += 1;
  let digits = 0;
  for (; at < end && isDigit(text.charCodeAt(at)); at += 1) digits += 1;
  if (at < end && text.charCodeAt(at) === POINT) {
    for (at += 1; at < end && isDigit(text.charCodeAt(at)); at += 1) digits += 1;
  }
  if (digits === 0) return false;
  return at === end || /^[eE][+-]?\d{1,4}$/.test(text.slice(at, end));
}

function scan(text: string, start: number, end: number, decimals: number): DecimalStatus {
  leading = 0;
  trailing = 0;
  trailingDigits = 0;
  let at = start;
  const sign = at < end ? text.charCodeAt(at) : 0;
  isNegative = sign === MINUS;
  if (isNegative || sign === PLUS) at += 1;
  const first = at;
  let fits = true;
  for (; at < end && isDigit(text.charCodeAt(at)); at += 1) fits = push(text.charCodeAt(at) - ZERO) && fits;
  let digits = at - first;
  let missing = decimals;
  let isWhole = true;
  if (at < end && text.charCodeAt(at) === POINT) {
    const point = at;
    for (at += 1; at < end && isDigit(text.charCodeAt(at)); at += 1) {
      const digit = text.charCodeAt(at) - ZERO;
      if (missing > 0) {
        fits = push(digit) && fits;
        missing -= 1;
      } else if (digit !== 0) {
        isWhole = false;
      }
    }
    digits += at - point - 1;
  }
  if (digits === 0) return DECIMAL_STATUS.malformed;
  if (at < end) {
    const plain = isDecimal(text, start, end) ? expand(text.slice(start, end)) : undefined;
    return plain === undefined ? DECIMAL_STATUS.malformed : scan(plain, 0, plain.length, decimals);
  }
  for (; missing > 0; missing -= 1) fits = push(0) && fits;
  if (!isWhole) return DECIMAL_STATUS.offUnit;
  return fits && isInRange() ? DECIMAL_STATUS.exact : DECIMAL_STATUS.tooLarge;
}

function isInRange(): boolean {
  if (trailingDigits < DIGITS_MAX - LEADING_DIGITS) return true;
  return leading < I64_LEADING || (leading === I64_LEADING && trailing <= I64_TRAILING);
}

/** Appends a digit; false when there are too many. */
function push(digit: number): boolean {
  if (leading < POWERS[LEADING_DIGITS - 1]!) {
    leading = leading * 10 + digit;
    return true;
  }
  if (trailingDigits === DIGITS_MAX - LEADING_DIGITS) return false;
  trailing = trailing * 10 + digit;
  trailingDigits += 1;
  return true;
}

/** The same number without an exponent. */
function expand(text: string): string | undefined {
  const match = /^([+-]?)(\d*)\.?(\d*)(?:[eE]([+-]?\d+))?$/.exec(text);
  if (!match) return undefined;
  const [, sign = '', whole = '', fraction = '', power] = match;
  if (power === undefined) return text;
  const shift = Number(power);
  if (Math.abs(shift) > EXPONENT_MAX) return undefined;
  const digits = `${'0'.repeat(Math.max(0, -shift))}${whole}${fraction}${'0'.repeat(Math.max(0, shift))}`;
  const point = Math.max(0, -shift) + whole.length + shift;
  return `${sign}${digits.slice(0, point)}.${digits.slice(point)}`;
}

function negate(view: Int32Array, index: number): void {
  const low = ~view[index]! + 1;
  view[index + 1] = ~view[index + 1]! + ((low | 0) === 0 ? 1 : 0);
  view[index] = low;
}
