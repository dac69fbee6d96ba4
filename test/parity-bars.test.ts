/** The bar kernel against its readable twin, byte for byte, and both against bars computed from all ticks at once. */
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { barsOf, sortBars } from '../engine/market/bar-batch.ts';
import { mergeBar } from '../engine/market/bar-values.ts';
import type { BarRecord } from '../engine/market/ring-record.ts';
import * as L from '../schemas/layout.gen.ts';
import { anyDrive, anyStream, runs, SEED } from './bar-arbitraries.ts';
import {
  barsFromBytes,
  bytesOfBars,
  consult,
  createShard,
  type DriveOptions,
  drive,
  makeStream,
  oracleOf,
  PLAIN_STREAM,
  regionShape,
  type Stream,
} from './bar-streams.ts';

function runKernel(stream: Stream, options: DriveOptions): Uint8Array[] {
  return stream.records.map((records, shard) => drive(createShard(regionShape(stream.options, shard, options)), records, options.seed));
}

/** Compares whole records; shows the first that differs as an object. */
function expectEqualRecords(actual: Uint8Array, expected: Uint8Array): void {
  if (Buffer.compare(actual, expected) === 0) return;
  const [ours, theirs] = [barsFromBytes(actual), barsFromBytes(expected)];
  const at = ours.findIndex((_, index) => {
    const [from, to] = [index * L.BAR_SIZE, (index + 1) * L.BAR_SIZE];
    return Buffer.compare(actual.subarray(from, to), expected.subarray(from, to)) !== 0;
  });
  expect({ at, length: ours.length, record: ours[at] }).toEqual({ at, length: theirs.length, record: theirs[at] });
  expect(actual).toEqual(expected);
}

/** Final bars with their amendments merged in order, as the database has them; late count and revision set to 0. */
function lastRevisions(records: readonly BarRecord[]): BarRecord[] {
  const bars = new Map<string, BarRecord>();
  for (const record of records) {
    if (record.kind !== L.OUT_KIND_BAR_FINAL && record.kind !== L.OUT_KIND_BAR_AMEND) continue;
    const key = `${record.timeframeIndex} ${record.symbolIndex} ${record.tsStartNs}`;
    const bar = bars.get(key);
    if (!bar) bars.set(key, { ...record });
    else {
      expect(record.kind, `second final bar ${key}`).toBe(L.OUT_KIND_BAR_AMEND);
      mergeBar(bar, record);
    }
  }
  return sortBars([...bars.values()]).map((bar) => ({ ...bar, kind: 0, lateCount: 0 }));
}

describe('bar kernel', () => {
  it('agrees with its twin byte for byte on any stream, however it is batched', { timeout: 300_000 }, () => {
    fc.assert(
      fc.property(anyStream, anyDrive, (options, driveOptions) => {
        const stream = makeStream(options);
        runKernel(stream, driveOptions).forEach((bytes, shard) => {
          expectEqualRecords(bytes, bytesOfBars(consult(oracleOf(options, shard), stream.records[shard]!)));
        });
      }),
      runs(150),
    );
  });

  it('makes the bars of all ticks at once, with amendments merged, whatever the order of arrival and the number of shards', {
    timeout: 300_000,
  }, () => {
    fc.assert(
      fc.property(anyStream, anyDrive, (options, driveOptions) => {
        const stream = makeStream({ ...options, latePolicy: 'amend', isClosed: true });
        const made = runKernel(stream, driveOptions).flatMap(barsFromBytes);
        expect(lastRevisions(made)).toEqual(barsOf(stream.accepted, options.timeframeSeconds));
      }),
      runs(60),
    );
  });

  it('emits and lists the same bars from 1, 2, 3 and 4 shards', { timeout: 120_000 }, () => {
    const outcomes = [1, 2, 3, 4].map((shards) => {
      const stream = makeStream({
        ...PLAIN_STREAM,
        seed: SEED ?? 7,
        symbols: 50,
        partitions: 3,
        shards,
        jitterMs: 400,
        lateOneIn: 20,
        barrierOneIn: 30,
      });
      const records = runKernel(stream, { seed: shards, tickCapacity: 256, outCapacity: 64 }).flatMap(barsFromBytes);
      const bars = records.filter((record) => record.kind !== L.OUT_KIND_BARRIER);
      return bars.map((bar) => Buffer.from(bytesOfBars([bar])).toString('hex')).sort();
    });
    expect(outcomes[0]!.length).toBeGreaterThan(1000);
    for (const outcome of outcomes.slice(1)) expect(outcome).toEqual(outcomes[0]);
  });

  it('agrees with its twin on 5,000 symbols', { timeout: 120_000 }, () => {
    const options = {
      ...PLAIN_STREAM,
      seed: SEED ?? 11,
      ticks: 40_000,
      symbols: 5000,
      partitions: 2,
      gapUs: 300,
      jitterMs: 500,
      lateOneIn: 100,
    };
    const stream = makeStream(options);
    const [bytes] = runKernel(stream, { seed: 3, tickCapacity: 4096, outCapacity: 128 });
    expectEqualRecords(bytes!, bytesOfBars(consult(oracleOf(options, 0), stream.records[0]!)));
  });
});
