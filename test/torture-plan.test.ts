import { describe, expect, it } from 'vitest';
import { parseOptions } from './torture/options.ts';
import { type ExchangeShare, FAULTS, planRound, roundSeed } from './torture/plan.ts';
import { applyPatch, SABOTAGES } from './torture/sabotage.ts';

const drawSeed = (): number => 77;

describe('torture: the plan', () => {
  it('is the same for the same seed, and the first round has the seed of the run', () => {
    const options = { seed: 9, kinds: FAULTS, enginesMax: 3, exchange: 'some' } as const;
    expect(planRound(options)).toEqual(planRound(options));
    expect(planRound({ ...options, seed: 10 })).not.toEqual(planRound(options));
    expect(roundSeed(9, 0)).toBe(9);
  });

  it('draws every kind of fault, one to four a round, and none when told so', () => {
    const rounds = Array.from({ length: 500 }, (_, seed) => planRound({ seed, kinds: FAULTS, enginesMax: 3, exchange: 'some' }));
    expect(new Set(rounds.flatMap(({ faults }) => faults.map(({ kind }) => kind)))).toEqual(new Set(FAULTS));
    for (const { faults, feedMs, engines } of rounds) {
      expect(faults.length).toBeGreaterThanOrEqual(1);
      expect(faults.length).toBeLessThanOrEqual(4);
      expect(faults.every(({ atMs, forMs }) => atMs <= feedMs && forMs >= 0)).toBe(true);
      expect(engines.length).toBeLessThanOrEqual(3);
    }
    expect(planRound({ seed: 1, kinds: [], enginesMax: 1, exchange: 'none' })).toMatchObject({ faults: [], engines: [expect.anything()] });
  });

  it('has an exchange in about one round of four, with every journal, and in all or none when told so', () => {
    const draw = (exchange: ExchangeShare) =>
      Array.from({ length: 500 }, (_, seed) => planRound({ seed, kinds: FAULTS, enginesMax: 3, exchange }));
    const some = draw('some');
    const drawn = some.filter((plan) => plan.exchange !== undefined);
    expect(drawn.length).toBeGreaterThan(80);
    expect(drawn.length).toBeLessThan(170);
    expect(new Set(drawn.map(({ exchange }) => exchange?.journal))).toEqual(new Set(['file', 'kafka']));
    expect(draw('none').filter(({ exchange }) => exchange !== undefined)).toEqual([]);
    const all = draw('all');
    expect(all.filter(({ exchange }) => exchange === undefined)).toEqual([]);
    expect(all.every(({ engines }) => engines.length <= 2)).toBe(true);
    // The exchange changes nothing else of a round.
    for (const [seed, plan] of some.entries()) {
      expect({ feed: all[seed]?.feed, faults: all[seed]?.faults }).toEqual({ feed: plan.feed, faults: plan.faults });
      if (plan.exchange !== undefined) expect(all[seed]).toEqual(plan);
    }
  });
});

describe('torture: the command line', () => {
  it('has a default for everything', () => {
    const wanted = { rounds: 20, seed: 77, kinds: FAULTS, enginesMax: 3, exchange: 'some', isKept: false, sabotage: undefined };
    expect(parseOptions([], drawSeed)).toEqual(wanted);
  });

  it('takes kinds of faults by name', () => {
    expect(parseOptions(['--only', 'kill,pg-slow', '--rounds', '3'], drawSeed)).toMatchObject({ kinds: ['kill', 'pg-slow'], rounds: 3 });
    expect(parseOptions(['--only', 'none'], drawSeed).kinds).toEqual([]);
  });

  it('says what is wrong and what is expected', () => {
    expect(() => parseOptions(['--rounds', '0'], drawSeed)).toThrow(`--rounds '0': expected a whole number, 1 to 100000`);
    expect(() => parseOptions(['--only', 'kil'], drawSeed)).toThrow(`--only 'kil': expected none, or some of kill, freeze`);
    expect(() => parseOptions(['--engines', '4'], drawSeed)).toThrow('1 to 3');
    expect(() => parseOptions(['--exchange', 'most'], drawSeed)).toThrow(`--exchange 'most': expected one of some, all, none`);
    expect(() => parseOptions(['--what'], drawSeed)).toThrow('torture: ');
  });
});

describe('torture: a bug put in', () => {
  const patch = { file: 'engine/x.js', find: 'a = 1;', replace: 'a = $&;' };

  it('changes the place it names, literally', () => {
    expect(applyPatch('let a = 1; b', patch)).toBe('let a = $&; b');
  });

  it('says loudly that the place is gone or not the only one', () => {
    expect(() => applyPatch('let a = 2;', patch)).toThrow('dist/engine/x.js: the place to change is there 0 times, expected once: a = 1;');
    expect(() => applyPatch('a = 1; a = 1;', patch)).toThrow('2 times');
  });

  it('has names that differ', () => {
    expect(new Set(SABOTAGES.map(({ name }) => name)).size).toBe(SABOTAGES.length);
  });
});
