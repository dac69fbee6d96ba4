import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { runs } from '../../test/bar-arbitraries.ts';
import { createTradingCalendar, type DayTimes, faultOfTimes, type TradingCalendarRules } from './trading-calendar.ts';

const NS_PER_MS = 1_000_000n;
const at = (text: string): bigint => BigInt(Date.parse(text)) * NS_PER_MS;
const shown = (change: { tsNs: bigint; phase: string } | undefined): string =>
  change === undefined ? 'none' : `${new Date(Number(change.tsNs / NS_PER_MS)).toISOString().slice(0, 19)} ${change.phase}`;

const NSE: TradingCalendarRules = {
  timezone: 'Asia/Kolkata',
  times: { openCall: '09:00', open: '09:15', closeCall: '15:30', close: '15:40' },
  weekdays: new Set([1, 2, 3, 4, 5]),
  holidays: new Set(['2026-01-26']),
  specialDays: new Map([['2026-11-08', { open: '18:00', close: '19:15' }]]),
};

/** The changes after `from`, `count` of them. */
function follow(rules: TradingCalendarRules, from: string, count: number): string[] {
  const calendar = createTradingCalendar(rules);
  const found: string[] = [];
  let tsNs = at(from);
  for (let step = 0; step < count; step += 1) {
    const change = calendar.next(tsNs);
    if (change === undefined) break;
    found.push(shown(change));
    tsNs = change.tsNs;
  }
  return found;
}

describe('a trading calendar', () => {
  it('goes through call, open, call and close of a day, and passes over weekends and holidays', () => {
    // 2026-01-23 is a Friday, the Monday behind it a holiday.
    expect(follow(NSE, '2026-01-23T00:00:00Z', 5)).toEqual([
      '2026-01-23T03:30:00 call',
      '2026-01-23T03:45:00 continuous',
      '2026-01-23T10:00:00 call',
      '2026-01-23T10:10:00 closed',
      '2026-01-27T03:30:00 call',
    ]);
  });

  it('takes the times of a special day whatever the weekday', () => {
    // A Sunday with an evening session, without calls.
    expect(follow(NSE, '2026-11-06T12:00:00Z', 3)).toEqual([
      '2026-11-08T12:30:00 continuous',
      '2026-11-08T13:45:00 closed',
      '2026-11-09T03:30:00 call',
    ]);
  });

  it('knows the change that an instant is in, the very instant of a change included', () => {
    const calendar = createTradingCalendar(NSE);
    expect(shown(calendar.last(at('2026-01-26T06:00:00Z')))).toBe('2026-01-23T10:10:00 closed');
    expect(shown(calendar.last(at('2026-01-23T03:45:00Z')))).toBe('2026-01-23T03:45:00 continuous');
    expect(shown(calendar.last(at('2026-01-23T03:45:00Z') - 1n))).toBe('2026-01-23T03:30:00 call');
  });

  it('follows changes of the clocks', () => {
    const xnys = { ...NSE, timezone: 'America/New_York', times: { open: '09:30', close: '16:00' } };
    expect(follow(xnys, '2026-03-06T12:00:00Z', 3)).toEqual([
      '2026-03-06T14:30:00 continuous',
      '2026-03-06T21:00:00 closed',
      '2026-03-09T13:30:00 continuous',
    ]);
  });

  it('runs past midnight, as a day of the date on which it begins', () => {
    const globex = { ...NSE, timezone: 'UTC', times: { openCall: '16:45:30', open: '17:00', close: '16:00' }, weekdays: new Set([4]) };
    expect(follow(globex, '2026-01-22T00:00:00Z', 3)).toEqual([
      '2026-01-22T16:45:30 call',
      '2026-01-22T17:00:00 continuous',
      '2026-01-23T16:00:00 closed',
    ]);
  });

  it('has no change where there is no trading day', () => {
    const calendar = createTradingCalendar({ ...NSE, weekdays: new Set(), specialDays: new Map() });
    expect(calendar.next(at('2026-01-01T00:00:00Z'))).toBeUndefined();
    expect(calendar.last(at('2026-01-01T00:00:00Z'))).toBeUndefined();
  });

  it('gives changes that only go forward, and the last of an instant is the one before its next, on any clock', () => {
    fc.assert(
      fc.property(
        fc.constantFrom('Asia/Kolkata', 'America/New_York', 'Europe/Berlin', 'Australia/Lord_Howe', 'Africa/Cairo'),
        fc.uniqueArray(fc.integer({ min: 0, max: 1439 }), { minLength: 4, maxLength: 4 }),
        fc.bigInt({ min: at('2024-01-01T00:00:00Z'), max: at('2028-01-01T00:00:00Z') }),
        (timezone, minutes, tsNs) => {
          const [openCall = '', open = '', closeCall = '', close = ''] = minutes
            .toSorted((one, other) => one - other)
            .map((minute) => `${String(Math.floor(minute / 60)).padStart(2, '0')}:${String(minute % 60).padStart(2, '0')}`);
          const calendar = createTradingCalendar({ ...NSE, timezone, times: { openCall, open, closeCall, close } });
          const next = calendar.next(tsNs);
          expect(next?.tsNs).toBeGreaterThan(tsNs);
          expect(calendar.last(next?.tsNs ?? 0n)).toEqual(next);
          const last = calendar.last(tsNs);
          expect(last?.tsNs).toBeLessThanOrEqual(tsNs);
          expect(calendar.next(last?.tsNs ?? 0n)).toEqual(next);
        },
      ),
      runs(100),
    );
  });

  it.each<[DayTimes, boolean]>([
    [{ open: '09:15', close: '15:30' }, true],
    [{ open: '17:00', close: '16:59' }, true],
    [{ open: '09:15', close: '09:15' }, false],
    [{ openCall: '09:20', open: '09:15', close: '15:30' }, false],
    [{ openCall: '09:00', open: '09:15', closeCall: '15:30', close: '15:20' }, false],
    [{ openCall: '23:50', open: '00:10', close: '12:00' }, true],
  ])('of times %o it is %s that they follow each other within a day', (times, isFine) => {
    expect(faultOfTimes(times) === undefined).toBe(isFine);
  });
});
