/** The books of an exchange: which symbols have one, and in which units their orders are written. */
import { readFileSync } from 'node:fs';
import { z } from 'zod';
import { ORDER_LIMIT, PHASE } from '../../../schemas/order-records.ts';
import { EngineError, messageOf } from '../../core/errors.ts';
import type { Session } from '../../market/calendar.ts';
import { isSymbolName } from '../../market/instrument-book.ts';
import type { TradingCalendar } from '../../market/trading-calendar.ts';
import { type BookSession, bookSessionShape, calendarOf } from './book-session.ts';

/** One book. A tick is 10^-priceDecimals; prices are multiples of tickStep ticks. Lots are whole. */
export interface BookSpec {
  readonly symbol: string;
  readonly symbolIndex: number;
  readonly priceDecimals: number;
  readonly tickStep: number;
  readonly lotStep: number;
  readonly minLots: number;
  readonly maxLots: number;
  readonly lowerTicks: number;
  readonly upperTicks: number;
  /** PHASE that a new book begins in. */
  readonly phase: number;
  /** When its phase changes; undefined: only when somebody asks for it. */
  readonly calendar: TradingCalendar | undefined;
}

/** Pre-trade limits of an owner; 0: none. */
export interface OwnerSpec {
  readonly owner: number;
  readonly isBlocked: boolean;
  readonly maxOpenOrders: number;
  readonly maxOrderLots: number;
  readonly maxNotional: bigint;
}

export interface Catalogue {
  readonly books: readonly BookSpec[];
  readonly owners: readonly OwnerSpec[];
  find(symbol: string): BookSpec | undefined;
}

const { priceMax, quantityMax } = ORDER_LIMIT;
const OWNERS_MAX = 65_535;

const bookShape = z
  .strictObject({
    symbol: z.string().refine(isSymbolName, 'expected a symbol name'),
    priceDecimals: z.int().min(0).max(9),
    tickStep: z.int().min(1).max(priceMax).default(1),
    lotStep: z.int().min(1).max(quantityMax).default(1),
    minLots: z.int().min(1).max(quantityMax).default(1),
    maxLots: z.int().min(1).max(quantityMax).default(quantityMax),
    lowerTicks: z.int().min(-priceMax).max(priceMax).default(-priceMax),
    upperTicks: z.int().min(-priceMax).max(priceMax).default(priceMax),
    phase: z.enum(['closed', 'call', 'continuous', 'halted']).default('continuous'),
    session: bookSessionShape.optional(),
  })
  .refine(({ minLots, maxLots }) => minLots <= maxLots, 'minLots is above maxLots')
  .refine(({ lowerTicks, upperTicks }) => lowerTicks <= upperTicks, 'lowerTicks is above upperTicks');

const ownerShape = z.strictObject({
  owner: z.int().min(1).max(OWNERS_MAX),
  isBlocked: z.boolean().default(false),
  maxOpenOrders: z.int().min(0).max(quantityMax).default(0),
  maxOrderLots: z.int().min(0).max(quantityMax).default(0),
  maxNotional: z.int().min(0).default(0),
});

const fileShape = z.strictObject({ books: z.array(bookShape), owners: z.array(ownerShape).default([]) });

/** The session that an instrument is known to have. */
export type SessionOf = (symbol: string) => Session | undefined;

/**
 * Reads the JSON of a books file. `origin` names it in errors.
 * @throws EngineError BOOKS_INVALID with every fault
 */
export function parseCatalogue(text: string, origin: string, sessionOf: SessionOf = () => undefined): Catalogue {
  let json: unknown;
  try {
    json = JSON.parse(text);
  } catch (cause) {
    throw new EngineError('BOOKS_INVALID', `${origin}: ${messageOf(cause)}`, { cause });
  }
  const parsed = fileShape.safeParse(json);
  if (!parsed.success) {
    const faults = parsed.error.issues.map(({ path, message }) => `${path.join('.')}: ${message}`);
    throw new EngineError('BOOKS_INVALID', `${origin}: ${faults.join('; ')}`);
  }
  const calendars = createCalendars(origin, sessionOf);
  const books = parsed.data.books.map(
    ({ session, ...book }, symbolIndex): BookSpec => ({
      ...book,
      symbolIndex,
      phase: PHASE[book.phase],
      calendar: session && calendars(book.symbol, session),
    }),
  );
  const twice = books.find(({ symbol }, index) => books.findIndex((other) => other.symbol === symbol) !== index);
  if (twice !== undefined) throw new EngineError('BOOKS_INVALID', `${origin}: symbol ${twice.symbol} stands there twice`);
  const owners = parsed.data.owners.map((owner): OwnerSpec => ({ ...owner, maxNotional: BigInt(owner.maxNotional) }));
  return createCatalogue(books, owners);
}

export function createCatalogue(books: readonly BookSpec[], owners: readonly OwnerSpec[]): Catalogue {
  const bySymbol = new Map(books.map((book) => [book.symbol, book]));
  return { books, owners, find: (symbol) => bySymbol.get(symbol) };
}

/** Calendars by what they say: books with the same trading days share one. */
function createCalendars(origin: string, sessionOf: SessionOf): (symbol: string, session: BookSession) => TradingCalendar {
  const known = new Map<string, TradingCalendar>();
  return (symbol, session) => {
    const instrument = sessionOf(symbol);
    const key = JSON.stringify([session, instrument]);
    const calendar = known.get(key) ?? calendarOf(session, instrument);
    if (typeof calendar === 'string') throw new EngineError('BOOKS_INVALID', `${origin}: book of ${symbol}: ${calendar}`);
    known.set(key, calendar);
    return calendar;
  };
}

/** @throws EngineError BOOKS_INVALID */
export function loadCatalogue(path: string, sessionOf: SessionOf): Catalogue {
  try {
    return parseCatalogue(readFileSync(path, 'utf8'), path, sessionOf);
  } catch (cause) {
    if (cause instanceof EngineError) throw cause;
    throw new EngineError('BOOKS_INVALID', `BOOKS_FILE '${path}': ${messageOf(cause)}`, { cause });
  }
}
