import { describe, expect, it } from 'vitest';
import { type BarRecord, writeTick } from '../../engine/market/ring-record.ts';
import { headerWord, outRingOf, SHARD_HEADER_ADDRESS, slotCountFor, tickRingOf, timeframeParents } from '../../engine/memory/region.ts';
import * as L from '../../schemas/layout.gen.ts';
import { barsFromBytes, createShard, makeStream, PLAIN_STREAM, regionShape, type StreamOptions } from '../../test/bar-streams.ts';
import { createBarKernelRunner, OUT_CAPACITY, SLOT_COUNT } from '../bar-kernel-runner.ts';
import { makeBarStream, ORIGIN_NS, TIMEFRAME_SECONDS } from '../bar-stream.ts';
import { createMapBars } from './map-bars.ts';
import * as T from './twin.ts';
import { createTypedBars } from './typed-bars.ts';

const RECORDS_PER_POLL = 4096;
const CREATORS = { 'typed-array': createTypedBars, Map: createMapBars };

/** Late by up to two hours, out of order, twice, after silences, refused as too late; two partitions. */
const LATE_STREAM: StreamOptions = {
  ...PLAIN_STREAM,
  seed: Number(process.env['SEED'] ?? 5),
  ticks: 30_000,
  partitions: 2,
  latenessMs: 1500,
  gapUs: 50_000,
  jitterMs: 900,
  lateOneIn: 20,
  duplicateOneIn: 50,
  silenceOneIn: 3000,
  barrierOneIn: 500,
  hasSourceBars: true,
};

interface Outcome {
  readonly bars: readonly BarRecord[];
  /** By poll. */
  readonly stamps: readonly (readonly number[])[];
  readonly counts: T.BarCounts;
}

/** The trades of the stream with their symbols, watermarks, refusals, and barriers without open state; as the twins take it. */
function makeLateTrades(): ArrayBuffer {
  const records = makeStream(LATE_STREAM).records[0]!.filter((record) => record.kind !== L.TICK_KIND_BAR);
  const view = new DataView(new ArrayBuffer(records.length * L.TICK_SIZE));
  records.forEach((record, index) => {
    const symbolIndex = record.kind === L.TICK_KIND_BARRIER ? record.symbolIndex & ~L.BARRIER_FLAG_WITH_OPEN_STATE : record.symbolIndex;
    writeTick(view, index * L.TICK_SIZE, { ...record, symbolIndex });
  });
  return view.buffer;
}

function runKernel(ticks: ArrayBuffer): Outcome {
  const records = ticks.byteLength / L.TICK_SIZE;
  const { memory, kernel } = createShard(regionShape(LATE_STREAM, 0, { seed: 0, tickCapacity: 65536, outCapacity: OUT_CAPACITY }));
  const ring = tickRingOf(memory);
  const out = outRingOf(memory);
  ring.publish(new Int32Array(ticks), 0, records);
  const stamps: number[][] = [];
  while (ring.depth() > 0) {
    kernel.poll(RECORDS_PER_POLL);
    const from = headerWord(memory, L.SHARD_STAMPS_I32) >> 2;
    stamps.push([...new Uint32Array(memory.buffer).subarray(from, from + 2 * headerWord(memory, L.SHARD_STAMP_COUNT_I32))]);
  }
  const bytes = Buffer.from(memory.buffer, out.tailIndex() << 2, out.depth() * L.BAR_SIZE);
  const counters = (offset: number, length: number) => new Float64Array(memory.buffer, SHARD_HEADER_ADDRESS + offset, length);
  const timeframes = LATE_STREAM.timeframeSeconds.length;
  const counts = {
    ticksMerged: counters(L.SHARD_TICKS_MERGED, 1)[0]!,
    lateTicks: counters(L.SHARD_LATE_TICKS, 1)[0]!,
    lateRefused: counters(L.SHARD_LATE_REFUSED, 1)[0]!,
    barsOut: counters(L.SHARD_BARS_OUT, timeframes),
    amendmentsOut: counters(L.SHARD_AMENDMENTS_OUT, timeframes),
    openBars: counters(L.SHARD_OPEN_BARS, timeframes),
  };
  return { bars: barsFromBytes(bytes), stamps, counts };
}

function runTwin(create: (shape: T.BarTwinShape) => T.BarTwin, ticks: ArrayBuffer): Outcome {
  const out = new Float64Array(OUT_CAPACITY * T.BAR_FIELDS);
  const pairs = new Uint32Array(2 * 512);
  const twin = create({
    symbols: LATE_STREAM.symbols,
    partitions: LATE_STREAM.partitions,
    slotCount: slotCountFor(LATE_STREAM.latenessMs * 1e6),
    timeframeSeconds: LATE_STREAM.timeframeSeconds,
    timeframeParents: timeframeParents(LATE_STREAM.timeframeSeconds),
    originNs: ORIGIN_NS,
    out,
    stamps: pairs,
  });
  const views = { words: new Int32Array(ticks), doubles: new Float64Array(ticks) };
  const records = ticks.byteLength / L.TICK_SIZE;
  const stamps: number[][] = [];
  for (let at = 0; at < records; ) {
    at += twin.run(views, at, Math.min(at + RECORDS_PER_POLL, records));
    stamps.push([...pairs.subarray(0, 2 * twin.stampCount)]);
  }
  return { bars: Array.from({ length: twin.bars }, (_, bar) => barOfRow(out, bar * T.BAR_FIELDS)), stamps, counts: twin.counts };
}

function barOfRow(out: Float64Array, at: number): BarRecord {
  const field = (index: number): number => out[at + index]!;
  const isBarrier = field(T.KIND) === L.OUT_KIND_BARRIER;
  const timeNs = (index: number): bigint => BigInt(field(index)) + (isBarrier ? 0n : BigInt(ORIGIN_NS));
  return {
    kind: field(T.KIND),
    symbolIndex: field(T.SYMBOL),
    tsStartNs: timeNs(T.START),
    firstNs: timeNs(T.FIRST),
    lastNs: timeNs(T.LAST),
    tradeCount: field(T.TRADES),
    lateCount: field(T.LATE),
    timeframeIndex: field(T.TIMEFRAME),
    revision: field(T.REVISION),
    open: field(T.OPEN),
    close: field(T.CLOSE),
    high: field(T.HIGH),
    low: field(T.LOW),
    volumeLots: BigInt(field(T.LOTS)),
    notional: BigInt(field(T.NOTIONAL_HIGH)) * BigInt(T.LOW_LIMIT) + BigInt(field(T.NOTIONAL_LOW)),
    priceScale: field(T.PRICE_SCALE),
    ...{ askOpen: 0, askClose: 0, askHigh: 0, askLow: 0 },
    flags: field(T.FLAGS),
    missedMask: field(T.MISSED),
    partition: field(T.PARTITION),
    instrumentKind: field(T.INSTRUMENT_KIND),
  };
}

describe.each(Object.entries(CREATORS))('the %s twin of the bar bench', (_, create) => {
  it('makes the bars that the kernel makes of the stream of the bench', () => {
    const stream = makeBarStream(20, 20_000);
    const kernel = createBarKernelRunner(stream);
    kernel.run();
    const out = new Float64Array(OUT_CAPACITY * T.BAR_FIELDS);
    const twin = create({
      symbols: stream.symbols,
      partitions: 1,
      slotCount: SLOT_COUNT,
      timeframeSeconds: TIMEFRAME_SECONDS,
      timeframeParents: timeframeParents(TIMEFRAME_SECONDS),
      originNs: ORIGIN_NS,
      out,
      stamps: new Uint32Array(2 * 512),
    });
    const done = twin.run(
      { words: new Int32Array(stream.bytes.buffer), doubles: new Float64Array(stream.bytes.buffer) },
      0,
      stream.records,
    );
    expect(done).toBe(stream.records);
    expect(kernel.bars).toBeGreaterThan(1500);
    expect(twin.bars).toBe(kernel.bars);
    expect(T.checksumOf(out, twin.bars, twin.bars)).toBe(kernel.checksum);
  });

  it(`writes every field, stamp and count that the kernel writes for late ticks of two partitions, SEED=${LATE_STREAM.seed}`, () => {
    const ticks = makeLateTrades();
    const kernel = runKernel(ticks);
    const twin = runTwin(create, ticks);
    expect(kernel.counts.lateTicks).toBeGreaterThan(300);
    expect(kernel.counts.lateRefused).toBeGreaterThan(50);
    expect(Math.min(...kernel.counts.amendmentsOut)).toBeGreaterThan(20);
    expect(new Set(kernel.bars.map((bar) => bar.partition)).size).toBe(2);
    expect(kernel.bars.some((bar) => bar.kind === L.OUT_KIND_BAR_FINAL && bar.timeframeIndex > 0 && bar.lateCount > 0)).toBe(true);
    expect(twin.bars.length).toBe(kernel.bars.length);
    twin.bars.forEach((bar, index) => {
      expect(bar, `record ${index}`).toEqual(kernel.bars[index]);
    });
    expect(twin.stamps).toEqual(kernel.stamps);
    expect(twin.counts).toEqual(kernel.counts);
  });
});
