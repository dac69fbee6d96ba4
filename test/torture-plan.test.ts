import { describe, expect, it } from 'vitest';
import { createPrng } from '../engine/core/prng.ts';
import { drawMoves } from './torture/leaders.ts';
import { parseOptions, tortureHelp } from './torture/options.ts';
import { CLUSTER_FAULTS, type ExchangeShare, FAULTS, faultsOf, planRound, roundSeed } from './torture/plan.ts';
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

  it('with one broker goes on drawing the same faults at the same times for a seed', () => {
    const faults = (round: number): string =>
      planRound({ seed: roundSeed(4242, round), kinds: faultsOf(1), enginesMax: 3, exchange: 'some' })
        .faults.map(({ kind, atMs, forMs }) => `${kind}@${atMs}+${forMs}`)
        .join(' ');
    expect([0, 1, 2, 3].map(faults)).toEqual([
      'pg-terminate@1177+0 pg-immediate@1258+3278 kafka-kill@2869+517',
      'kill@685+75 pg-slow@974+1269',
      'kill@282+321 pg-silent@663+1076 pg-fast@4055+4549',
      'pg-slow@2864+2388',
    ]);
  });

  it('with three brokers draws what befalls one of them, each of the three, beside all else', () => {
    const rounds = Array.from({ length: 500 }, (_, seed) => planRound({ seed, kinds: faultsOf(3), enginesMax: 3, exchange: 'some' }));
    const faults = rounds.flatMap((round) => round.faults);
    expect(new Set(faults.map(({ kind }) => kind))).toEqual(new Set([...FAULTS, ...CLUSTER_FAULTS]));
    const killed = faults.filter(({ kind }) => kind === 'broker-kill');
    expect(new Set(killed.map(({ engine }) => engine % 3))).toEqual(new Set([0, 1, 2]));
    expect(killed.length).toBeGreaterThan(60);
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

describe('torture: leaders', () => {
  const topics = [
    { code: 0, name: 'ticks', leaders: Array.from({ length: 60 }, (_, partition) => ({ nodeId: 1 + (partition % 3), epoch: 0 })) },
  ];

  it('each partition gets any leader, with the other copies behind it, and is left out when it has that one', () => {
    const moves = drawMoves(topics, 3, createPrng(5));
    expect(moves.length).toBeGreaterThan(20);
    expect(moves.length).toBeLessThan(60);
    for (const { topic, partition, replicas } of moves) {
      expect(topic).toBe('ticks');
      expect(replicas.toSorted()).toEqual([1, 2, 3]);
      expect(replicas[0]).not.toBe(1 + (partition % 3));
    }
    expect(new Set(moves.map(({ replicas }) => replicas[0]))).toEqual(new Set([1, 2, 3]));
  });

  it('a partition without a leader gets one, and a topic that is not there none', () => {
    const odd = [
      { code: 0, name: 'bars', leaders: [undefined] },
      { code: 3, name: 'gone', leaders: [] },
    ];
    expect(drawMoves(odd, 3, createPrng(5)).map(({ topic }) => topic)).toEqual(['bars']);
  });
});

describe('torture: the command line', () => {
  it('has a default for everything', () => {
    const wanted = { rounds: 20, seed: 77, brokers: 1, kinds: FAULTS, enginesMax: 3, exchange: 'some', isKept: false, sabotage: undefined };
    expect(parseOptions([], drawSeed)).toEqual(wanted);
  });

  it('takes kinds of faults by name', () => {
    expect(parseOptions(['--only', 'kill,pg-slow', '--rounds', '3'], drawSeed)).toMatchObject({ kinds: ['kill', 'pg-slow'], rounds: 3 });
    expect(parseOptions(['--only', 'none'], drawSeed)?.kinds).toEqual([]);
  });

  it('has faults of one of several brokers only where there are several', () => {
    expect(parseOptions(['--brokers', '3'], drawSeed)).toMatchObject({ brokers: 3, kinds: [...FAULTS, ...CLUSTER_FAULTS] });
    expect(parseOptions(['--brokers', '3', '--only', 'leader-move'], drawSeed)).toMatchObject({ kinds: ['leader-move'] });
    expect(() => parseOptions(['--only', 'leader-move'], drawSeed)).toThrow(
      `--only 'leader-move': expected none, or with --brokers 1 some of`,
    );
    expect(() => parseOptions(['--brokers', '2'], drawSeed)).toThrow(`--brokers '2': expected 1 or 3`);
  });

  it('lists every option, each of which it takes', () => {
    expect(parseOptions(['--help'], drawSeed)).toBeUndefined();
    const listed = [...tortureHelp().matchAll(/^ {2}--(\w+)/gm)].map((match) => match[1]);
    expect(listed).toEqual(['rounds', 'seed', 'brokers', 'only', 'engines', 'exchange', 'keep', 'scenario', 'seconds', 'sabotage', 'help']);
    for (const fault of faultsOf(3)) expect(tortureHelp()).toContain(fault);
  });

  it('says what is wrong and what is expected', () => {
    expect(() => parseOptions(['--rounds', '0'], drawSeed)).toThrow(`--rounds '0': expected a whole number, 1 to 100000`);
    expect(() => parseOptions(['--only', 'kil'], drawSeed)).toThrow(
      `--only 'kil': expected none, or with --brokers 1 some of kill, freeze`,
    );
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
