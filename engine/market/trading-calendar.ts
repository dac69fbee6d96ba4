/** When a market changes its phase: opening call, open, closing call and close of each trading day, with holidays and days of other times. */
import { assert } from '../core/errors.ts';
import { instantNs, type LocalDate, localDateOf } from './calendar.ts';

/** Local times of one trading day, HH:MM or HH:MM:SS, one after the other; one at or before its predecessor is of the next date. */
export interface DayTimes {
  /** Orders gather from here to the open; without it the market opens at once. */
  readonly openCall?: string | undefined;
  readonly open: string;
  /** Orders gather from here to the close; without it the market closes out of continuous trading. */
  readonly closeCall?: string | undefined;
  readonly close: string;
}

export interface TradingCalendarRules {
  /** IANA name, such as Asia/Kolkata. */
  readonly timezone: string;
  readonly times: DayTimes;
  /** Days of the week with trading, 0 for Sunday. Of a day that runs past midnight the one on which it begins. */
  readonly weekdays: ReadonlySet<number>;
  /** Dates without trading, YYYY-MM-DD. */
  readonly holidays: ReadonlySet<string>;
  /** Dates with times of their own, whatever the weekday and the holidays say. */
  readonly specialDays: ReadonlyMap<string, DayTimes>;
}

export type SessionPhase = 'call' | 'continuous' | 'closed';

export interface PhaseChange {
  readonly tsNs: bigint;
  readonly phase: SessionPhase;
}

export interface TradingCalendar {
  /** The first change after `tsNs`; undefined when there is none for `SEARCH_DAYS`. */
  next(tsNs: bigint): PhaseChange | undefined;
  /** The last change at `tsNs` or before; undefined when there was none for `SEARCH_DAYS`. */
  last(tsNs: bigint): PhaseChange | undefined;
}

/** Dates looked at for a change before there is taken to be none. */
const SEARCH_DAYS = 400;
const CACHED_DAYS = 64;
const SECONDS_PER_DAY = 86_400;

export function createTradingCalendar(rules: TradingCalendarRules): TradingCalendar {
  const { timezone, times, weekdays, holidays, specialDays } = rules;
  const cache = new Map<string, readonly PhaseChange[]>();

  /** The changes of the trading day that begins on the date, in order of time. */
  const changesOf = (date: LocalDate): readonly PhaseChange[] => {
    const name = dateName(date);
    const known = cache.get(name);
    if (known !== undefined) return known;
    const isOff = holidays.has(name) || !weekdays.has(new Date(Date.UTC(date.year, date.month, date.day)).getUTCDay());
    const today = specialDays.get(name) ?? (isOff ? undefined : times);
    const changes = today === undefined ? [] : instantsOf(timezone, date, today);
    if (cache.size >= CACHED_DAYS) cache.clear();
    cache.set(name, changes);
    return changes;
  };
  /** The changes of the date `offset` days from the one of `tsNs`. */
  const near = (date: LocalDate, offset: number): readonly PhaseChange[] => changesOf({ ...date, day: date.day + offset });

  return {
    next(tsNs) {
      const date = localDateOf(timezone, tsNs);
      // A day that runs past midnight began on the date before.
      for (let offset = -1; offset < SEARCH_DAYS; offset += 1) {
        const found = near(date, offset).find((change) => change.tsNs > tsNs);
        if (found !== undefined) return found;
      }
      return undefined;
    },
    last(tsNs) {
      const date = localDateOf(timezone, tsNs);
      for (let offset = 0; offset > -SEARCH_DAYS; offset -= 1) {
        const found = near(date, offset).findLast((change) => change.tsNs <= tsNs);
        if (found !== undefined) return found;
      }
      return undefined;
    },
  };
}

/** What is wrong with the times of a day; undefined when nothing is. */
export function faultOfTimes(times: DayTimes): string | undefined {
  const seconds = inOrder(times).map(([time]) => secondsOf(time));
  const first = seconds[0] ?? 0;
  let last = first;
  for (const each of seconds.slice(1)) last += (each - (last % SECONDS_PER_DAY) + SECONDS_PER_DAY) % SECONDS_PER_DAY || SECONDS_PER_DAY;
  if (last - first < SECONDS_PER_DAY) return undefined;
  const shown = inOrder(times).map(([time]) => time);
  return `times ${shown.join(', ')}: expected openCall, open, closeCall, close one after the other within 24 hours`;
}

/** YYYY-MM-DD. */
function dateName({ year, month, day }: LocalDate): string {
  return new Date(Date.UTC(year, month, day)).toISOString().slice(0, 10);
}

function inOrder({ openCall, open, closeCall, close }: DayTimes): [time: string, phase: SessionPhase][] {
  const steps: [string | undefined, SessionPhase][] = [
    [openCall, 'call'],
    [open, 'continuous'],
    [closeCall, 'call'],
    [close, 'closed'],
  ];
  return steps.flatMap(([time, phase]): [string, SessionPhase][] => (time === undefined ? [] : [[time, phase]]));
}

/** Where the clocks skip or repeat an hour, two changes may fall together: the later one then comes 1 ns behind. */
function instantsOf(timezone: string, date: LocalDate, times: DayTimes): PhaseChange[] {
  const changes: PhaseChange[] = [];
  let day = date.day;
  let before = -1;
  for (const [time, phase] of inOrder(times)) {
    const seconds = secondsOf(time);
    if (seconds <= before) day += 1;
    before = seconds;
    const tsNs = instantNs(timezone, { ...date, day }, time);
    const earliest = (changes.at(-1)?.tsNs ?? tsNs - 1n) + 1n;
    changes.push({ tsNs: tsNs > earliest ? tsNs : earliest, phase });
  }
  return changes;
}

function secondsOf(time: string): number {
  const [hours = 0, minutes = 0, seconds = 0] = time.split(':').map(Number);
  assert(Number.isInteger(hours + minutes + seconds), `time ${time} is HH:MM or HH:MM:SS`);
  return hours * 3600 + minutes * 60 + seconds;
}
