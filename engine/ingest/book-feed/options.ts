/** What the formats of order-by-order feeds share: options, counters and prices. */
import { DECIMAL_STATUS, type DecimalStatus, writeScaled } from '../../core/decimal.ts';
import { EngineError } from '../../core/errors.ts';
import type { FeedRefusal } from '../../market/book-message.ts';
import { sessionDayOf } from '../../market/calendar.ts';

export interface BookFeedOptions {
  /** `dbn`, `itch` or `lobster`; found out from the file unless given. */
  readonly format?: string;
  /** Only this instrument. */
  readonly symbol?: string;
  /** One tick as a decimal, such as 0.25; found out unless given. */
  readonly tickSize?: string;
  /** Day of files that only tell the time of the day, YYYY-MM-DD; from the file's name unless given. */
  readonly date?: string;
}

/** Times of the US equity formats count from midnight there. */
const EXCHANGE_TIMEZONE = 'America/New_York';
const NANOS_DECIMALS = 9;
const TICK_NANOS_MAX = 1_000_000_000_000;
/** The coarsest tick that is inferred from only a few prices: a cent. */
const CENT_NANOS = 10_000_000n;
const PRICES_ENOUGH = 64;

export function createRefusals(): Record<FeedRefusal, number> {
  return { offTick: 0, priceOutOfRange: 0, quantityOutOfRange: 0, malformed: 0 };
}

/**
 * A tick size in billionths.
 * @throws EngineError FEED_OPTION
 */
export function parseTickSize(text: string): number {
  const words = new Int32Array(2);
  const status: DecimalStatus = writeScaled(words, 0, text, { start: 0, end: text.length, decimals: NANOS_DECIMALS });
  const nanos = status === DECIMAL_STATUS.exact ? Number(new BigInt64Array(words.buffer)[0]) : 0;
  if (nanos > 0 && nanos <= TICK_NANOS_MAX) return nanos;
  throw new EngineError('FEED_OPTION', `tick size '${text}': expected a decimal from 0.000000001 to ${TICK_NANOS_MAX / 1e9}`);
}

/**
 * The tick that `prices` (in billionths) suggest: their greatest common divisor, and of fewer than 64 different prices no more than a cent,
 * as few prices may agree by chance.
 */
export function inferTickNanos(prices: Iterable<bigint>): number {
  const distinct = new Set<bigint>(prices);
  let divisor = 0n;
  for (const price of distinct) divisor = greatestCommonDivisor(divisor, price < 0n ? -price : price);
  if (divisor === 0n) return Number(CENT_NANOS);
  if (distinct.size < PRICES_ENOUGH) divisor = greatestCommonDivisor(divisor, CENT_NANOS);
  return Number(divisor > BigInt(TICK_NANOS_MAX) ? CENT_NANOS : divisor);
}

function greatestCommonDivisor(left: bigint, right: bigint): bigint {
  while (right !== 0n) [left, right] = [right, left % right];
  return left;
}

/**
 * Midnight at the exchange, ns since the epoch; 0 when no day is known, so that times then count from midnight.
 * @param date YYYY-MM-DD
 * @throws EngineError FEED_OPTION
 */
export function midnightNs(date: string | undefined): bigint {
  if (date === undefined) return 0n;
  const noonMs = Date.parse(`${date}T12:00:00Z`);
  if (!/^\d{4}-\d\d-\d\d$/.test(date) || Number.isNaN(noonMs) || new Date(noonMs).toISOString().slice(0, 10) !== date) {
    throw new EngineError('FEED_OPTION', `date '${date}': expected YYYY-MM-DD`);
  }
  return sessionDayOf({ timezone: EXCHANGE_TIMEZONE, open: '00:00', close: '00:00' }, BigInt(noonMs) * 1_000_000n).fromNs;
}
