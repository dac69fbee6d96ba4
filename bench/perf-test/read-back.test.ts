import { describe, expect, it } from 'vitest';
import { parseTimeframes } from '../../engine/market/timeframes.ts';
import { type BarTexts, expectBars, hashBars, mergeTexts, withoutEnds } from './expected-bars.ts';
import { judge, type Published, type Stored } from './read-back.ts';
import { createTickStream, type StreamPlan } from './tick-stream.ts';

const plan: StreamPlan = { symbols: 5, baseTps: 20, seconds: 3, seed: 4, startMs: 1_700_000_100_000 };
const expected = expectBars(createTickStream(plan), parseTimeframes('1s,1m'), 2);

/** A pipeline that has done everything right: what is over is stored and published, the rest is open. */
function flawless(): { closed: BarTexts; open: BarTexts; published: BarTexts } {
  const closed = new Map([...expected.bars].filter(([key]) => expected.passed.has(key)));
  const open = new Map([...expected.bars].filter(([key]) => !expected.passed.has(key)));
  return { closed, open, published: new Map([...closed].map(([key, text]) => [key, withoutEnds(text)])) };
}

function verdictOn({ closed, open, published }: ReturnType<typeof flawless>, more: Partial<Stored & Published> = {}) {
  return judge(expected, { closed, open, hasEnds: true, ...more }, { bars: published, messages: published.size, doubled: [], ...more });
}

describe('the stream', () => {
  it('is the same for the same seed, and holds about as many ticks as it should', () => {
    const again = expectBars(createTickStream(plan), parseTimeframes('1s,1m'), 2);
    expect(hashBars(again.bars)).toBe(hashBars(expected.bars));
    expect(expected.ticks).toBeGreaterThan(200);
    expect(expected.ticks).toBeLessThan(400);
  });

  it('has each tick in one bucket of each timeframe', () => {
    const count = (timeframe: string): number =>
      [...expected.bars]
        .filter(([key]) => key.startsWith(`${timeframe} `))
        .reduce((sum, [, text]) => sum + Number(/ n (\d+)/.exec(text)?.[1]), 0);
    expect([count('1s'), count('1m')]).toEqual([expected.ticks, expected.ticks]);
  });
});

describe('the verdict', () => {
  it('is right when everything is stored, published or open', () => {
    const verdict = verdictOn(flawless());
    expect(verdict).toMatchObject({ isRight: true, differences: [], barsCompared: expected.bars.size });
    expect(verdict.foundHash).toBe(verdict.expectedHash);
  });

  it('tells of a bar that is missing, wrong or too many', () => {
    const key = [...expected.passed][0]!;
    const missing = flawless();
    missing.closed.delete(key);
    expect(verdictOn(missing).differences[0]).toContain(`${key}: missing`);
    const wrong = flawless();
    wrong.closed.set(key, 'o 1');
    expect(verdictOn(wrong)).toMatchObject({ isRight: false });
    const extra = flawless();
    extra.open.set('1s OTHER 1', 'o 1');
    expect(verdictOn(extra).differences).toContain('1s OTHER 1: o 1, expected no such bar');
  });

  it('lets a minute at the end lack the seconds that another program keeps open, and nothing else', () => {
    const lenient = expectBars(createTickStream(plan), parseTimeframes('1s,1m'), 2, { mayKeepSeconds: true });
    const [minute = '', seconds = []] = [...lenient.unsettled][0] ?? [];
    expect(seconds.length).toBeGreaterThan(1);
    const kept = seconds.at(-1) ?? '';
    const short = mergeTexts(seconds.slice(0, -1).map((key) => expected.bars.get(key) ?? ''));
    const judged = (text: string, by = lenient, message = text) => {
      const { closed } = flawless();
      for (const key of seconds.slice(0, -1)) closed.set(key, expected.bars.get(key) ?? '');
      closed.delete(kept);
      const rows = new Map([...closed].map(([key, value]) => [key, withoutEnds(value)]));
      const messages = new Map(rows).set(minute, message);
      return judge(
        by,
        { closed: rows.set(minute, text), open: new Map(), hasEnds: false },
        { bars: messages, messages: messages.size, doubled: [] },
      );
    };
    expect(judged(short)).toMatchObject({ isRight: true, differences: [] });
    expect(judged(short, expected)).toMatchObject({ isRight: false });
    expect(judged('o 1').differences).toEqual([`${minute}: o 1, its seconds come to ${short}`]);
    expect(judged(withoutEnds(expected.bars.get(minute) ?? ''))).toMatchObject({ isRight: false });
    expect(judged(short, lenient, 'o 2').differences).toEqual([`${minute}: published as o 2, stored as ${short}`]);
  });

  it('tells of a bar that was not published, published otherwise, or twice', () => {
    const key = [...expected.passed][0]!;
    const silent = flawless();
    silent.published.delete(key);
    expect(verdictOn(silent).differences).toContain(`${key}: in the table, not in the topic`);
    const other = flawless();
    other.published.set(key, 'o 1');
    expect(verdictOn(other).isRight).toBe(false);
    expect(verdictOn(flawless(), { doubled: [`${key} revision 0`] }).differences).toContain(`${key} revision 0: published again`);
  });

  it('lets others have no open bars, but no wrong ones', () => {
    const { closed, published } = flawless();
    const theirs = new Map([...closed].map(([key, text]) => [key, withoutEnds(text)]));
    const sound = { closed: theirs, open: new Map<string, string>(), published };
    expect(verdictOn(sound, { hasEnds: false }).isRight).toBe(true);
    theirs.delete([...expected.passed][0]!);
    expect(verdictOn(sound, { hasEnds: false }).isRight).toBe(false);
  });
});
