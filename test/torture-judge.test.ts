/** The judgement of what an engine said of itself while something was wrong: it finds silence, wrong parts and wrong times. */
import { expect, it } from 'vitest';
import { hasStopped } from './torture/engines.ts';
import { isGreen, judgeBounds, judgeHealth, type Trouble } from './torture/judge.ts';
import type { Look } from './torture/watch.ts';

const TROUBLE: Trouble = { fromMs: 100_000, toMs: 160_000, reds: ['postgres'], mayBeRed: ['engine'] };

/** A look every second; `redSince` gives a part's since, or undefined while it is green. */
function looks(redSince: (atMs: number, part: string) => number | undefined, metrics: Readonly<Record<string, number>> = {}): Look[] {
  return Array.from({ length: 80 }, (_, index) => {
    const atMs = 90_000 + index * 1000;
    const parts = ['engine', 'postgres', 'kafka'].map((name) => {
      const sinceMs = redSince(atMs, name);
      return { name, isUp: sinceMs === undefined, detail: sinceMs === undefined ? 'fine' : 'away', sinceMs: sinceMs ?? 0 };
    });
    return { atMs, parts, metrics: new Map(Object.entries(metrics)) };
  });
}

const isDuring = (atMs: number): boolean => atMs > 101_000 && atMs < 161_000;
const whatOf = (found: readonly { readonly what: string; readonly found: string }[]) =>
  found.map(({ what, found: text }) => `${what}: ${text}`);

it('finds nothing in what is right', () => {
  const right = looks((atMs, part) => (isDuring(atMs) && part !== 'kafka' ? 100_500 : undefined));
  expect(judgeHealth(right, TROUBLE)).toEqual([]);
  expect(right.filter(isGreen).length).toBeGreaterThan(10);
});

it('finds a part that stays green', () => {
  expect(
    whatOf(
      judgeHealth(
        looks(() => undefined),
        TROUBLE,
      ),
    ),
  ).toEqual(['health postgres: green in 61 looks']);
});

it('finds a since that is not when the trouble began', () => {
  const young = looks((atMs, part) => (isDuring(atMs) && part === 'postgres' ? atMs - 100 : undefined));
  expect(whatOf(judgeHealth(young, TROUBLE))).toEqual(['health postgres: since 59900 ms']);
  const old = looks((atMs, part) => (isDuring(atMs) && part === 'postgres' ? 50_000 : undefined));
  expect(whatOf(judgeHealth(old, TROUBLE))).toEqual(['health postgres: since -50000 ms']);
});

it('finds another part that is red, and one that was red before', () => {
  const both = looks((atMs, part) => (isDuring(atMs) && part !== 'engine' ? 100_500 : undefined));
  expect(whatOf(judgeHealth(both, TROUBLE))).toEqual(['health kafka: red: away']);
  const before = looks((atMs, part) => ((atMs === 91_000 || isDuring(atMs)) && part === 'postgres' ? 100_500 : undefined));
  expect(whatOf(judgeHealth(before, TROUBLE))).toEqual(['health postgres before: red: away']);
});

it('finds memory that grows without bound, and a third open epoch', () => {
  const small = looks(() => undefined, { process_resident_memory_bytes: 2e8, tickwright_open_epochs: 2 });
  expect(judgeBounds(small)).toEqual([]);
  const large = looks(() => undefined, { process_resident_memory_bytes: 2e9, tickwright_open_epochs: 3 });
  expect(judgeBounds([...small, ...large]).map(({ what }) => what)).toEqual(['memory', 'open epochs']);
});

it('takes the end by the signal for a stop only of an engine that has said that all was conserved', () => {
  const said = 'Conservation: CONSERVED (ticks counted before the rings against bars read back from Postgres)';
  expect(hasStopped(said, 0, null)).toBe(true);
  expect(hasStopped(said, null, 'SIGTERM')).toBe(true);
  expect(hasStopped('', null, 'SIGTERM')).toBe(false);
  expect(hasStopped('Conservation: NOT CONSERVED (…)', null, 'SIGTERM')).toBe(false);
  expect(hasStopped(said, null, 'SIGKILL')).toBe(false);
  expect(hasStopped(said, 1, null)).toBe(false);
});
