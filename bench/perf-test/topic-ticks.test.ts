import { decodeFromCompressedBase64 } from 'hdr-histogram-js';
import { expect, it } from 'vitest';
import { parseTimeframes } from '../../engine/market/timeframes.ts';
import type { Message } from '../../engine/sinks/kafka/rdkafka.ts';
import { expectBars } from './expected-bars.ts';
import { countTicks, streamOf } from './topic-ticks.ts';

const START_MS = 1_700_000_040_000;

function message(afterMs: number, price: string, sentAfterMs = afterMs): Message {
  const text = `{"symbol":"A","event_ts":${START_MS + afterMs}000001,"ltp":${price},"vol":2}`;
  return { topic: 'ticks', partition: 0, offset: 0, value: Buffer.from(text), timestamp: START_MS + sentAfterMs };
}

const STAGE = { stageMs: START_MS + 1000, endMs: START_MS + 2000 };

it('counts what was due in the stage, what of it had gone by its end, and how late', () => {
  const { counts } = countTicks([message(0, '1.25'), message(1100, '1.5', 1103), message(1900, '1', 2005), message(2000, '2')], STAGE);
  expect(counts).toMatchObject({ ticks: 4, due: 2, sent: 1 });
  const lag = decodeFromCompressedBase64(counts.sendLag);
  expect([lag.totalCount, lag.minNonZeroValue]).toEqual([2, 3000]);
  expect(lag.maxValue / 105_000).toBeCloseTo(1, 2);
});

it('gives the oracle the ticks in the order of their times, equal ones as they came', () => {
  const { ticks } = countTicks([message(1500, '3.07'), message(1100, '1.5'), message(1500, '2.5'), message(1200, '9')], STAGE);
  const { bars } = expectBars(streamOf(ticks), parseTimeframes('1s'), 1);
  const ends = `first ${START_MS + 1100}000001 last ${START_MS + 1500}000001`;
  expect([...bars]).toEqual([[`1s A ${START_MS / 1000 + 1}`, `o 1.5 h 9 l 1.5 c 2.5 vol 8 n 4 ${ends}`]]);
});

it('refuses what is no tick, and a price that is not in cents', () => {
  expect(() => countTicks([{ ...message(0, '1'), value: Buffer.from('no tick') }], STAGE)).toThrow(
    /^ticks\[0\]@0: 'no tick': expected a JSON tick/,
  );
  expect(() => countTicks([message(0, '1.005')], STAGE)).toThrow(/at most 2 decimals/);
});
