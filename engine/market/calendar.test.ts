import fc from 'fast-check';
import { expect, it } from 'vitest';
import { isInSession, isTimezone, type Session, sessionDayOf } from './calendar.ts';

const ns = (iso: string): bigint => BigInt(Date.parse(iso)) * 1_000_000n;
const iso = (value: bigint): string => new Date(Number(value / 1_000_000n)).toISOString();
const INDIA: Session = { timezone: 'Asia/Kolkata', open: '09:15', close: '15:30' };

it('opens at the open and closes just before the close', () => {
  expect(isInSession(INDIA, ns('2026-11-20T03:45:00Z'))).toBe(true);
  expect(isInSession(INDIA, ns('2026-11-20T03:45:00Z') - 1n)).toBe(false);
  expect(isInSession(INDIA, ns('2026-11-20T10:00:00Z') - 1n)).toBe(true);
  expect(isInSession(INDIA, ns('2026-11-20T10:00:00Z'))).toBe(false);
});

it.each([
  ['a day of 23 hours', 'America/New_York', '2026-03-08T15:00:00Z', '2026-03-08T05:00:00.000Z', '2026-03-09T04:00:00.000Z'],
  ['a day of 25 hours', 'America/New_York', '2026-11-01T15:00:00Z', '2026-11-01T04:00:00.000Z', '2026-11-02T05:00:00.000Z'],
  ['a day without midnight', 'America/Sao_Paulo', '2018-11-04T15:00:00Z', '2018-11-04T03:00:00.000Z', '2018-11-05T02:00:00.000Z'],
  [
    'a day whose midnight comes twice in part',
    'America/Havana',
    '2026-11-01T15:00:00Z',
    '2026-11-01T04:00:00.000Z',
    '2026-11-02T05:00:00.000Z',
  ],
])('knows %s', (_, timezone, at, from, to) => {
  const day = sessionDayOf({ timezone, open: '09:30', close: '16:00' }, ns(at));
  expect([iso(day.fromNs), iso(day.toNs)]).toEqual([from, to]);
});

it('takes a session whose open is after its close as overnight trading', () => {
  const session: Session = { timezone: 'America/Chicago', open: '17:00', close: '16:00' };
  expect(isInSession(session, ns('2026-11-20T21:59:59Z'))).toBe(true);
  expect(isInSession(session, ns('2026-11-20T22:30:00Z'))).toBe(false);
  expect(isInSession(session, ns('2026-11-20T23:00:00Z'))).toBe(true);
});

it('gives every instant a day that contains it, and days that meet', () => {
  const zones = ['Asia/Kolkata', 'America/New_York', 'Australia/Lord_Howe', 'America/Sao_Paulo', 'Pacific/Apia', 'UTC'];
  const instants = fc.integer({ min: Date.UTC(2011, 0), max: Date.UTC(2030, 0) });
  fc.assert(
    fc.property(fc.constantFrom(...zones), instants, (timezone, ms) => {
      const session = { timezone, open: '00:00', close: '23:59' };
      const at = BigInt(ms) * 1_000_000n;
      const day = sessionDayOf(session, at);
      expect(day.fromNs <= at && at < day.toNs).toBe(true);
      expect(sessionDayOf(session, day.toNs).fromNs).toBe(day.toNs);
      expect(sessionDayOf(session, day.fromNs - 1n).toNs).toBe(day.fromNs);
    }),
    seeded({ numRuns: 400 }),
  );
});

it('knows which time zones exist', () => {
  expect([isTimezone('Asia/Kolkata'), isTimezone('Asia/Nowhere')]).toEqual([true, false]);
});

function seeded(options: { numRuns: number }): { numRuns: number; seed?: number } {
  const seed = process.env['SEED'];
  return seed === undefined ? options : { ...options, seed: Number(seed) };
}
