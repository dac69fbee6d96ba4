/** Trading sessions: from local times of a time zone to instants, across changes of the clocks. */

const DAY_MS = 86_400_000;
const NS_PER_MS = 1_000_000n;
const CACHE_LIMIT = 4096;

/** A daily session in local time. `open` is in the session, `close` is not; an open after the close means overnight trading. */
export interface Session {
  /** IANA name, such as Asia/Kolkata. */
  readonly timezone: string;
  /** HH:MM, 00:00 to 23:59. */
  readonly open: string;
  readonly close: string;
}

/** One local day `[fromNs, toNs)` with the instants of its open and close. */
export interface SessionDay {
  readonly fromNs: bigint;
  readonly toNs: bigint;
  readonly openNs: bigint;
  readonly closeNs: bigint;
}

/** A date of a local calendar: `month` from 0, `day` from 1; days beyond the end of a month run on into the next. */
export interface LocalDate {
  readonly year: number;
  readonly month: number;
  readonly day: number;
}

const formatters = new Map<string, Intl.DateTimeFormat>();
const days = new Map<string, SessionDay>();

/** True when the runtime knows the time zone. */
export function isTimezone(name: string): boolean {
  try {
    formatterOf(name);
    return true;
  } catch (error) {
    if (error instanceof RangeError) return false;
    throw error;
  }
}

/** The local day of `tsEventNs` (since the Unix epoch). */
export function sessionDayOf(session: Session, tsEventNs: bigint): SessionDay {
  const today = localDateOf(session.timezone, tsEventNs);
  const key = `${session.timezone} ${session.open} ${session.close} ${Date.UTC(today.year, today.month, today.day) / DAY_MS}`;
  const known = days.get(key);
  if (known) return known;
  if (days.size >= CACHE_LIMIT) days.clear();
  const day = {
    fromNs: instantNs(session.timezone, today, '00:00'),
    toNs: instantNs(session.timezone, { ...today, day: today.day + 1 }, '00:00'),
    openNs: instantNs(session.timezone, today, session.open),
    closeNs: instantNs(session.timezone, today, session.close),
  };
  days.set(key, day);
  return day;
}

/** True when the instant lies in the session. */
export function isInSession(session: Session, tsEventNs: bigint): boolean {
  const { openNs, closeNs } = sessionDayOf(session, tsEventNs);
  const isAfterOpen = tsEventNs >= openNs;
  const isBeforeClose = tsEventNs < closeNs;
  return openNs > closeNs ? isAfterOpen || isBeforeClose : isAfterOpen && isBeforeClose;
}

/** The date that the calendars of the zone show at `tsNs`. */
export function localDateOf(timezone: string, tsNs: bigint): LocalDate {
  const date = new Date(localTime(timezone, floorMs(tsNs)));
  return { year: date.getUTCFullYear(), month: date.getUTCMonth(), day: date.getUTCDate() };
}

/**
 * The first instant at which the clocks of the zone show this time, HH:MM or HH:MM:SS. A time that they skip stands for the same time
 * before the change, which is the change itself when midnight is skipped.
 */
export function instantNs(timezone: string, date: LocalDate, time: string): bigint {
  const [hours, minutes, seconds] = [time.slice(0, 2), time.slice(3, 5), time.slice(6)].map(Number);
  const wanted = Date.UTC(date.year, date.month, date.day, hours, minutes, seconds);
  const before = wanted - offsetMs(timezone, wanted - DAY_MS);
  const after = wanted - offsetMs(timezone, wanted + DAY_MS);
  const matches = [before, after].filter((instant) => localTime(timezone, instant) === wanted);
  return BigInt(matches.length > 0 ? Math.min(...matches) : before) * NS_PER_MS;
}

function offsetMs(timezone: string, instantMs: number): number {
  return localTime(timezone, instantMs) - instantMs;
}

/** What the clocks show, as the instant at which UTC clocks show the same. */
function localTime(timezone: string, instantMs: number): number {
  const wholeSecond = Math.floor(instantMs / 1000) * 1000;
  const field: Record<string, number> = {};
  for (const { type, value } of formatterOf(timezone).formatToParts(wholeSecond)) field[type] = Number(value);
  const shown = Date.UTC(field['year'] ?? 0, (field['month'] ?? 1) - 1, field['day'], field['hour'], field['minute'], field['second']);
  return shown + (instantMs - wholeSecond);
}

function formatterOf(timezone: string): Intl.DateTimeFormat {
  let formatter = formatters.get(timezone);
  if (!formatter) {
    formatter = new Intl.DateTimeFormat('en-US', {
      timeZone: timezone,
      calendar: 'iso8601',
      hourCycle: 'h23',
      year: 'numeric',
      month: 'numeric',
      day: 'numeric',
      hour: 'numeric',
      minute: 'numeric',
      second: 'numeric',
    });
    formatters.set(timezone, formatter);
  }
  return formatter;
}

function floorMs(ns: bigint): number {
  const quotient = ns / NS_PER_MS;
  return Number(ns % NS_PER_MS < 0n ? quotient - 1n : quotient);
}
