/** Any stream of ticks and any way to drive a shard with it, for properties of the bar kernel. */
import fc from 'fast-check';
import type { DriveOptions, StreamOptions } from './bar-streams.ts';

export const SEED = process.env['SEED'] === undefined ? undefined : Number(process.env['SEED']);
/** Parameters of a property: `SEED=` replays a run. */
export const runs = (numRuns: number): fc.Parameters<unknown> => (SEED === undefined ? { numRuns } : { numRuns, seed: SEED });

const TIMEFRAMES = [
  [1],
  [1, 60],
  [1, 60, 180, 300, 900],
  [1, 60, 180, 300, 900, 3600, 86400],
  [1, 2, 3, 5, 15, 60, 180, 300, 900, 3600, 86400, 7 * 86400],
];

export const anyStream: fc.Arbitrary<StreamOptions> = fc.record({
  seed: fc.nat(),
  ticks: fc.integer({ min: 1, max: 1500 }),
  symbols: fc.constantFrom(1, 2, 5, 30, 200),
  partitions: fc.integer({ min: 1, max: 4 }),
  shards: fc.integer({ min: 1, max: 4 }),
  latePolicy: fc.constantFrom('amend', 'side'),
  timeframeSeconds: fc.constantFrom(...TIMEFRAMES),
  latenessMs: fc.constantFrom(0, 1, 100, 999, 1000, 2500, 7000),
  amendSeconds: fc.constantFrom(0, 5, 60, 3600),
  gapUs: fc.constantFrom(10, 1000, 30_000, 700_000, 20_000_000),
  jitterMs: fc.constantFrom(0, 5, 300, 3000),
  lateOneIn: fc.constantFrom(0, 3, 20),
  duplicateOneIn: fc.constantFrom(0, 4),
  silenceOneIn: fc.constantFrom(0, 50, 400),
  isHuge: fc.boolean(),
  hasSourceBars: fc.boolean(),
  barrierOneIn: fc.constantFrom(0, 3, 40),
  isClosed: fc.boolean(),
});

export const anyDrive: fc.Arbitrary<DriveOptions> = fc.record({
  seed: fc.nat(),
  tickCapacity: fc.constantFrom(2, 16, 1024),
  outCapacity: fc.constantFrom(16, 64, 4096),
});
