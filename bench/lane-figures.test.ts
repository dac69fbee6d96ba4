import { expect, it } from 'vitest';
import { createHistogram } from '../engine/core/latency.ts';
import { compareLanes, type LaneRound, laneFigures } from './lane-figures.ts';

/** 999 ticks of `us` and one of `worstUs`. */
function round(us: number, worstUs: number, sent = 1000): LaneRound {
  const latency = createHistogram();
  latency.recordValueWithCount(us, 999);
  latency.recordValue(worstUs);
  const sendLag = createHistogram();
  sendLag.recordValueWithCount(300, 1000);
  return { latency, sendLag, due: 1000, sent };
}

it('takes the percentiles of all rounds together', () => {
  const figures = laneFigures([round(1000, 5000), round(1000, 90_000), round(3000, 5000)]);
  expect(figures).toMatchObject({ ticks: 3000, rounds: 3, held: 'yes', 'p50 ms': 1, 'p99 ms': 3, 'sent late p99 ms': 0.3 });
  expect(figures['max ms']).toBeCloseTo(90, 0);
});

it('says that a rate was not offered', () => {
  expect(laneFigures([round(1000, 5000), round(1000, 5000, 900)])['held']).toBe('LATE: 95.0 % were sent in time');
});

it('compares lanes round by round, and calls worse what is so in the middle', () => {
  const lane = [round(1000, 1000), round(2000, 2000), round(900, 900)];
  const other = [round(2000, 2000), round(1000, 1000), round(1000, 1000)];
  expect(compareLanes(lane, other)['p50']).toBe('0.90 (0.50 to 2.00)');
  expect(compareLanes(other, lane)['p50']).toBe('1.11 (0.50 to 2.00) WORSE');
  expect(compareLanes(lane, lane)['p99.9']).toBe('1.00 (1.00 to 1.00)');
});
