/** The trading days of a book, as the books file has them: what it does not say is taken from the session of the instrument. */
import { z } from 'zod';
import { isTimezone, type Session } from '../../market/calendar.ts';
import { createTradingCalendar, type DayTimes, faultOfTimes, type TradingCalendar } from '../../market/trading-calendar.ts';

const WEEKDAYS = ['sun', 'mon', 'tue', 'wed', 'thu', 'fri', 'sat'] as const;
const WORKDAYS = ['mon', 'tue', 'wed', 'thu', 'fri'] as const;
const DATES_MAX = 4096;

const time = z.string().regex(/^([01]\d|2[0-3]):[0-5]\d(:[0-5]\d)?$/, 'expected HH:MM or HH:MM:SS, 00:00 to 23:59:59');
const date = z.string().refine(isDate, 'expected a date YYYY-MM-DD');

export const bookSessionShape = z.strictObject({
  timezone: z.string().refine(isTimezone, 'expected a time zone such as Asia/Kolkata').optional(),
  openCall: time.optional(),
  open: time.optional(),
  closeCall: time.optional(),
  close: time.optional(),
  days: z.array(z.enum(WEEKDAYS)).default([...WORKDAYS]),
  holidays: z.array(date).max(DATES_MAX).default([]),
  specialDays: z
    .array(z.strictObject({ date, openCall: time.optional(), open: time, closeCall: time.optional(), close: time }))
    .max(DATES_MAX)
    .default([]),
});
export type BookSession = z.infer<typeof bookSessionShape>;

/** The calendar of a session, or what is wrong with it. @param instrument session of the book's instrument, if it has one */
export function calendarOf(session: BookSession, instrument: Session | undefined): TradingCalendar | string {
  const { openCall, closeCall, days, holidays, specialDays } = session;
  const timezone = session.timezone ?? instrument?.timezone;
  const open = session.open ?? instrument?.open;
  const close = session.close ?? instrument?.close;
  if (timezone === undefined || open === undefined || close === undefined) {
    const missing = Object.entries({ timezone, open, close }).flatMap(([name, value]) => (value === undefined ? [name] : []));
    return `session: ${missing.join(', ')} missing, and INSTRUMENTS_FILE has no session of the symbol`;
  }
  const times: DayTimes = { openCall, open, closeCall, close };
  const fault = [times, ...specialDays].map(faultOfTimes).find((found) => found !== undefined);
  if (fault !== undefined) return `session: ${fault}`;
  return createTradingCalendar({
    timezone,
    times,
    weekdays: new Set(days.map((day) => WEEKDAYS.indexOf(day))),
    holidays: new Set(holidays),
    specialDays: new Map(specialDays.map((day) => [day.date, day])),
  });
}

function isDate(text: string): boolean {
  if (!/^\d{4}-\d{2}-\d{2}$/.test(text)) return false;
  const found = new Date(`${text}T00:00:00Z`);
  return !Number.isNaN(found.getTime()) && found.toISOString().startsWith(text);
}
