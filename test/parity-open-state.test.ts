/** The listings before barriers, applied one after the other, against all that the twin has open at each of them. */
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { TickRecord } from '../engine/market/ring-record.ts';
import * as L from '../schemas/layout.gen.ts';
import { anyDrive, anyStream, runs, SEED } from './bar-arbitraries.ts';
import { createListedState, type OpenState, openStateOf } from './bar-listings.ts';
import {
  barsFromBytes,
  bytesOfBars,
  createShard,
  drive,
  makeStream,
  oracleOf,
  PLAIN_STREAM,
  regionShape,
  type StreamOptions,
} from './bar-streams.ts';

/** What is open at each barrier that lists, by the twin. */
function* openStates(options: StreamOptions, shard: number, records: readonly TickRecord[]): Generator<OpenState> {
  const oracle = oracleOf(options, shard);
  for (const record of records) {
    oracle.push(record);
    const isListed = record.kind === L.TICK_KIND_BARRIER && (record.symbolIndex & L.BARRIER_FLAG_WITH_OPEN_STATE) !== 0;
    if (isListed) yield openStateOf(oracle.openState());
  }
}

/** Byte for byte, symbol by symbol; shows the first symbol that differs. */
function expectEqualStates(found: OpenState, expected: OpenState, where: string): void {
  expect(new Set(found.keys()), where).toEqual(new Set(expected.keys()));
  for (const [symbolIndex, bars] of expected) {
    const listed = found.get(symbolIndex)!;
    if (Buffer.compare(bytesOfBars(listed), bytesOfBars(bars)) === 0) continue;
    expect(listed, `${where}, symbol ${symbolIndex}`).toEqual(bars);
    expect(bytesOfBars(listed), `${where}, symbol ${symbolIndex}`).toEqual(bytesOfBars(bars));
  }
}

/** Runs every shard of a stream; returns how many records its listings had, and how many all open bars at those barriers would be. */
function checkStream(options: StreamOptions, driveOptions: { seed: number; tickCapacity: number; outCapacity: number }) {
  const counts = { listed: 0, open: 0, clears: 0, barriers: 0 };
  makeStream(options).records.forEach((records, shardIndex) => {
    const shard = createShard(regionShape(options, shardIndex, driveOptions));
    const states = openStates(options, shardIndex, records);
    const store = createListedState();
    for (const record of barsFromBytes(drive(shard, records, driveOptions.seed))) {
      if (record.kind === L.OUT_KIND_BAR_OPEN) counts.listed += 1;
      if (record.kind === L.OUT_KIND_SYMBOL_CLEAR) counts.clears += 1;
      if (!store.push(record)) continue;
      const { value } = states.next();
      if (value === undefined) throw new Error(`barrier ${record.tsStartNs} of shard ${shardIndex} was never asked for`);
      expectEqualStates(store.open, value, `barrier ${record.tsStartNs} of shard ${shardIndex}`);
      counts.open += store.bars().length;
      counts.barriers += 1;
    }
    expect(states.next().done).toBe(true);
  });
  return counts;
}

describe('listings before barriers', () => {
  it('make up all that is open at each of them, however they are cut short by a full out ring', { timeout: 300_000 }, () => {
    fc.assert(
      fc.property(
        anyStream,
        anyDrive,
        fc.integer({ min: 1, max: 500 }),
        fc.constantFrom(1, 7, 40),
        (options, driveOptions, ticks, oneIn) => {
          checkStream({ ...options, ticks, barrierOneIn: oneIn }, driveOptions);
        },
      ),
      runs(120),
    );
  });

  it('hold a part of what is open, and say which symbols have nothing left', () => {
    const options = { ...PLAIN_STREAM, seed: SEED ?? 3, ticks: 4000, symbols: 300, partitions: 2, gapUs: 150_000, barrierOneIn: 20 };
    const oneTimeframe = checkStream({ ...options, timeframeSeconds: [1] }, { seed: 1, tickCapacity: 64, outCapacity: 16 });
    const many = checkStream(options, { seed: 1, tickCapacity: 64, outCapacity: 16 });
    expect(oneTimeframe.clears).toBeGreaterThan(500);
    expect(many.barriers).toBeGreaterThan(100);
    expect(many.listed).toBeGreaterThan(1000);
    expect(many.listed).toBeLessThan(many.open / 5);
  });

  it('name no symbol that nothing has happened to, from 70 slots or one', () => {
    for (const latenessMs of [0, 100_000]) {
      const options = { ...PLAIN_STREAM, seed: SEED ?? 4, ticks: 900, symbols: 40, latenessMs, jitterMs: 80_000, barrierOneIn: 5 };
      const counts = checkStream({ ...options, isClosed: false }, { seed: 2, tickCapacity: 256, outCapacity: 128 });
      expect(counts.listed).toBeLessThan(counts.open / 2);
      const twice = makeStream({ ...options, ticks: 300, isClosed: false }).records[0]!.flatMap((record) =>
        record.kind === L.TICK_KIND_BARRIER ? [record, record] : [record],
      );
      const bytes = drive(createShard(regionShape(options, 0, { seed: 2, tickCapacity: 256, outCapacity: 128 })), twice, 2);
      const kinds = barsFromBytes(bytes).map((bar) => bar.kind);
      const barriers = kinds.flatMap((kind, index) => (kind === L.OUT_KIND_BARRIER ? [index] : []));
      for (let index = 1; index < barriers.length; index += 2) expect(barriers[index]).toBe(barriers[index - 1]! + 1);
    }
  });
});
