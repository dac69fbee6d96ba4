import { describe, expect, it } from 'vitest';
import { createLatency } from './latency.ts';
import { describeSettings, parsePaperSettings } from './settings.ts';

const sample = (draw: () => number, count: number): number[] => Array.from({ length: count }, draw);
const median = (values: readonly number[]): number => [...values].sort((one, other) => one - other)[values.length >> 1]!;

describe('latency', () => {
  it('a constant leg is always the same, each leg its own', () => {
    const settings = parsePaperSettings({
      feed: { kind: 'constant', ns: 7 },
      entry: { kind: 'constant', ns: 8 },
      response: { kind: 'constant', ns: 9 },
    });
    const latency = createLatency(settings);
    expect([latency.feedNs(), latency.entryNs(), latency.responseNs(), latency.entryNs()]).toEqual([7, 8, 9, 8]);
  });

  it('sampled legs keep to their distribution, and the seed gives them again', () => {
    const settings = parsePaperSettings({
      feed: { kind: 'uniform', minNs: 100, maxNs: 300 },
      entry: { kind: 'lognormal', medianNs: 50_000, sigma: 0.5, maxNs: 120_000 },
      response: { kind: 'measured', samplesNs: [11, 12, 13] },
      seed: 5,
    });
    const latency = createLatency(settings);
    const feed = sample(latency.feedNs, 4000);
    expect(Math.min(...feed)).toBe(100);
    expect(Math.max(...feed)).toBe(300);
    const entry = sample(latency.entryNs, 4000);
    expect(median(entry)).toBeGreaterThan(48_000);
    expect(median(entry)).toBeLessThan(52_000);
    expect(Math.max(...entry)).toBe(120_000);
    // One sigma above the median stand 15.9 % of a normal distribution.
    const above = entry.filter((ns) => ns > 50_000 * Math.exp(0.5)).length / entry.length;
    expect(above).toBeGreaterThan(0.14);
    expect(above).toBeLessThan(0.18);
    expect(new Set(sample(latency.responseNs, 200))).toEqual(new Set([11, 12, 13]));
    expect(sample(createLatency(settings).entryNs, 100)).toEqual(entry.slice(0, 100));
    expect(sample(createLatency({ ...settings, seed: 6 }).entryNs, 100)).not.toEqual(entry.slice(0, 100));
  });
});

describe('paper settings', () => {
  it('every fault is named with its value and limit', () => {
    const refuse = (given: object) => () => parsePaperSettings(given);
    expect(refuse({ model: 'lucky', staleAfterMs: -1 })).toThrow(/paper settings refused: model: .*staleAfterMs: /s);
    expect(refuse({ modle: 'exact' })).toThrow(/modle/);
    expect(refuse({ entry: { kind: 'uniform', minNs: 9, maxNs: 3 } })).toThrow('entry: minNs 9: expected at most maxNs, 3');
    expect(refuse({ fees: { kind: 'indiaEquity', product: 'futures' } })).toThrow(/fees.product/);
  });

  it('are told in one line', () => {
    const settings = parsePaperSettings({
      model: 'assumed',
      assumedAheadLots: 30,
      entry: { kind: 'uniform', minNs: 1, maxNs: 2 },
      fees: { kind: 'alpaca' },
    });
    expect(describeSettings(settings)).toBe(
      'queue assumed (30 lots ahead); latency feed 0 ns, entry uniform 1 to 2 ns, response 0 ns, seed 1; stale after off; fees alpaca',
    );
  });
});
