import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import * as L from '../../schemas/layout.gen.ts';
import { createListedState } from '../../test/bar-listings.ts';
import {
  barrierRecord,
  barsFromBytes,
  bytesOfBars,
  consult,
  createShard,
  drive,
  makeStream,
  oracleOf,
  PLAIN_STREAM,
  regionShape,
  type Shard,
  type StreamOptions,
  symbolRecord,
  tradeRecord,
  watermarkRecord,
} from '../../test/bar-streams.ts';
import type { BarSymbol } from '../market/bar-values.ts';
import type { BarRecord, TickRecord } from '../market/ring-record.ts';
import { headerWord } from '../memory/region.ts';

const S = 1_000_000_000n;
const MS = 1_000_000n;
/** A minute, and a quarter of an hour, in UTC. */
const T0 = 1_699_999_200n * S;
const DRIVE = { seed: 1, tickCapacity: 64, outCapacity: 32 };
const SYMBOL: BarSymbol = { symbolIndex: 7, partition: 0, isQuote: false, priceScale: 100 };
const RUN: StreamOptions = { ...PLAIN_STREAM, symbols: 4, partitions: 2, latenessMs: 1500 };

function freshShard(options: StreamOptions = RUN): Shard {
  return createShard(regionShape(options, 0, DRIVE));
}

/** What comes out of a fresh shard with SYMBOL registered and its watermark at T0. */
function run(records: readonly TickRecord[], options: StreamOptions = RUN): BarRecord[] {
  const all = [symbolRecord(0, SYMBOL), watermarkRecord(0, T0), ...records];
  return barsFromBytes(drive(freshShard(options), all, 1));
}

const brief = (bar: BarRecord): (number | bigint)[] => [
  bar.timeframeIndex,
  bar.tsStartNs,
  bar.open,
  bar.high,
  bar.low,
  bar.close,
  bar.tradeCount,
];
const ofKind = (bars: readonly BarRecord[], kind: number): BarRecord[] => bars.filter((bar) => bar.kind === kind);

describe('bar kernel', () => {
  it('D-01: a late tick within the lateness joins its own second and leaves the newer one open', () => {
    const bars = run([
      tradeRecord(0, T0 + 100n * MS, 10, 1n),
      tradeRecord(0, T0 + 400n * MS, 12, 1n),
      tradeRecord(0, T0 + S + 100n * MS, 11, 1n),
      tradeRecord(0, T0 + 200n * MS, 9, 1n),
      tradeRecord(0, T0 + S + 200n * MS, 13, 1n),
      watermarkRecord(0, T0 + 2n * S),
    ]);
    expect(bars.map(brief)).toEqual([
      [0, T0, 10, 12, 9, 12, 3],
      [0, T0 + S, 11, 13, 11, 13, 2],
    ]);
    expect(bars.map((bar) => bar.kind)).toEqual([L.OUT_KIND_BAR_FINAL, L.OUT_KIND_BAR_FINAL]);
  });

  it('D-01: a tick behind the watermark amends its closed second alone, and joins the open minute', () => {
    const bars = run([
      tradeRecord(0, T0 + 500n * MS, 10, 1n),
      watermarkRecord(0, T0 + S),
      tradeRecord(0, T0 + S + 500n * MS, 11, 1n),
      tradeRecord(0, T0 + 100n * MS, 20, 3n),
      watermarkRecord(0, T0 + 60n * S),
    ]);
    expect(ofKind(bars, L.OUT_KIND_BAR_AMEND).map(brief)).toEqual([[0, T0, 20, 20, 20, 20, 1]]);
    expect(ofKind(bars, L.OUT_KIND_BAR_FINAL).map(brief)).toEqual([
      [0, T0, 10, 10, 10, 10, 1],
      [0, T0 + S, 11, 11, 11, 11, 1],
      [1, T0, 20, 20, 10, 11, 3],
    ]);
    expect(bars.at(-1)).toMatchObject({ lateCount: 1, volumeLots: 5n, notional: 1000n + 1100n + 6000n, firstNs: T0 + 100n * MS });
  });

  it('D-02: a three-minute bar comes once, after its third minute, however late the watermark', () => {
    const ticks = [0n, 61n, 125n].map((second, index) => tradeRecord(0, T0 + second * S, 10 + index, 100n));
    const atOnce = run(
      [...ticks.slice(0, 1), watermarkRecord(0, T0 + 60n * S), ...ticks.slice(1, 2), watermarkRecord(0, T0 + 120n * S)].concat(
        ticks.slice(2),
        watermarkRecord(0, T0 + 124n * S),
        watermarkRecord(0, T0 + 185n * S),
      ),
    );
    const threeMinutes = atOnce.filter((bar) => bar.timeframeIndex === 2);
    expect(threeMinutes.map(brief)).toEqual([[2, T0, 10, 12, 10, 12, 3]]);
    expect(threeMinutes[0]!.volumeLots).toBe(300n);
    const order = atOnce.map((bar) => bar.timeframeIndex);
    expect(order.lastIndexOf(1)).toBeLessThan(order.indexOf(2));
  });

  it('D-03: open and close follow event time, whichever half comes first', () => {
    const early = [tradeRecord(0, T0 + 100n * MS, 10), tradeRecord(0, T0 + 200n * MS, 12)];
    const late = [tradeRecord(0, T0 + 800n * MS, 11), tradeRecord(0, T0 + 900n * MS, 9)];
    const close = watermarkRecord(0, T0 + 900n * S);
    const inOrder = run([...early, ...late, close]);
    expect(inOrder).toHaveLength(5);
    for (const bar of inOrder) expect(bar).toMatchObject({ open: 10, close: 9, high: 12, low: 9, tradeCount: 4 });
    expect(run([...late, ...early, close])).toEqual(inOrder);
  });

  it('D-19: the last nanosecond of a second stays in it', () => {
    const bars = run([tradeRecord(0, T0 + 999_999_999n, 10), tradeRecord(0, T0 + S, 11), watermarkRecord(0, T0 + 2n * S)]);
    expect(bars.map(brief)).toEqual([
      [0, T0, 10, 10, 10, 10, 1],
      [0, T0 + S, 11, 11, 11, 11, 1],
    ]);
    expect(bars[0]).toMatchObject({ firstNs: T0 + 999_999_999n, lastNs: T0 + 999_999_999n });
  });

  it('D-20: a tick for an earlier minute neither closes the current one nor opens the old one again', () => {
    const bars = run([
      tradeRecord(0, T0 + 2n * S, 10),
      watermarkRecord(0, T0 + 70n * S),
      tradeRecord(0, T0 + 71n * S, 11),
      tradeRecord(0, T0 + 20n * S, 5),
      tradeRecord(0, T0 + 72n * S, 12),
      watermarkRecord(0, T0 + 120n * S),
      watermarkRecord(0, T0 + 180n * S),
    ]);
    expect(ofKind(bars, L.OUT_KIND_BAR_AMEND).map(brief)).toEqual([
      [0, T0 + 20n * S, 5, 5, 5, 5, 1],
      [1, T0, 5, 5, 5, 5, 1],
    ]);
    expect(
      ofKind(bars, L.OUT_KIND_BAR_FINAL)
        .filter((bar) => bar.timeframeIndex > 0)
        .map(brief),
    ).toEqual([
      [1, T0, 10, 10, 10, 10, 1],
      [1, T0 + 60n * S, 11, 12, 11, 12, 2],
      [2, T0, 10, 12, 5, 12, 4],
    ]);
  });

  it('passes a late tick to late_ticks with the timeframes it missed, and lets it join those that are open', () => {
    const bars = run(
      [
        tradeRecord(0, T0 + 100n * MS, 10),
        watermarkRecord(0, T0 + 60n * S),
        tradeRecord(0, T0 + 200n * MS, 12, 4n),
        watermarkRecord(0, T0 + 180n * S),
      ],
      { ...RUN, latePolicy: 'side' },
    );
    expect(ofKind(bars, L.OUT_KIND_LATE_TICK)).toMatchObject([
      { missedMask: 0b11, open: 12, close: 0, volumeLots: 4n, tsStartNs: T0 + 200n * MS, symbolIndex: 7, partition: 0 },
    ]);
    expect(ofKind(bars, L.OUT_KIND_BAR_FINAL).at(-1)).toMatchObject({ timeframeIndex: 2, high: 12, volumeLots: 5n, lateCount: 1 });
  });

  it.each(['amend', 'side'] as const)('marks a tick that ingest had refused as too late, when late ticks %s', (latePolicy) => {
    const refused = { ...tradeRecord(0, T0 - 7200n * S, 13), kind: L.TICK_KIND_LATE };
    const bars = run([watermarkRecord(0, T0), refused], { ...RUN, latePolicy });
    expect(ofKind(bars, L.OUT_KIND_LATE_TICK)).toMatchObject([{ missedMask: 0b11111 | L.LATE_FLAG_REFUSED, lateCount: 1 }]);
  });

  it('keeps the notional exact beyond 64 bits', () => {
    const lots = 2n ** 62n;
    const ticks = [tradeRecord(0, T0, 90_000_000_000_000, lots), tradeRecord(0, T0, 0.01, 3n), tradeRecord(0, T0, 90_000_000_000_000, 1n)];
    expect(run([...ticks, watermarkRecord(0, T0 + S)])[0]!.notional).toBe(9_000_000_000_000_000n * (lots + 1n) + 3n);
  });

  it('carries into the high half of the notional what products of less than 64 bits come to', () => {
    const most = 2n ** 31n - 1n;
    const ticks = Array.from({ length: 9 }, (_, i) => tradeRecord(0, T0 + BigInt(i), Number(most) / 100, most));
    expect(run([...ticks, watermarkRecord(0, T0 + S)])[0]!.notional).toBe(9n * most * most);
  });

  it('loses nothing that came before the first watermark, and stops when a bucket would be out of reach after it', () => {
    const seconds = fc.array(fc.tuple(fc.nat(1), fc.integer({ min: 0, max: 3 }), fc.nat(999)), { minLength: 1, maxLength: 40 });
    fc.assert(
      fc.property(
        seconds,
        fc.constantFrom(0n, 1n, 2n, 4n, 59n, 900n, 100_000n),
        fc.integer({ min: 0, max: 100_000 }),
        (ticks, ahead, apart) => {
          const records: TickRecord[] = [symbolRecord(0, SYMBOL), symbolRecord(1, { ...SYMBOL, symbolIndex: 3 })];
          // The second symbol's ticks lie far from those of the first: each has its own slots.
          let lastSecond = 0;
          for (const [symbol, second, ms] of ticks) {
            lastSecond = Math.max(lastSecond, second + symbol * apart);
            records.push(tradeRecord(symbol, T0 + BigInt(second + symbol * apart) * S + BigInt(ms) * MS, 10 + ms));
          }
          records.push(watermarkRecord(0, T0 + ahead * S), watermarkRecord(0, 2n ** 63n - 1n));
          const shard = freshShard();
          if (lastSecond >= Number(ahead) + headerWord(shard.memory, L.SHARD_SLOT_COUNT_I32)) {
            expect(() => drive(shard, records, 5)).toThrow(/unreachable/);
          } else {
            expect(drive(shard, records, 5)).toEqual(Buffer.from(bytesOfBars(consult(oracleOf(RUN, 0), records))));
          }
        },
      ),
    );
  });

  it('stops rather than put two seconds into one bucket', () => {
    const slots = headerWord(freshShard().memory, L.SHARD_SLOT_COUNT_I32);
    const beyond = [tradeRecord(0, T0 + BigInt(slots) * S, 10)];
    expect(() => run(beyond)).toThrow(/unreachable/);
    const withoutWatermark = [symbolRecord(0, SYMBOL), tradeRecord(0, T0, 10), ...beyond];
    expect(() => drive(freshShard(), withoutWatermark, 1)).toThrow(/unreachable/);
  });

  it('counts what it read, closed and amended, and what is open', () => {
    const shard = freshShard();
    const records = [
      symbolRecord(0, SYMBOL),
      watermarkRecord(0, T0),
      tradeRecord(0, T0, 10),
      watermarkRecord(0, T0 + S),
      tradeRecord(0, T0, 11),
      tradeRecord(0, T0 + S, 12),
      { ...tradeRecord(0, T0 - 7200n * S, 13), kind: L.TICK_KIND_LATE },
      barrierRecord(1n, 0),
    ];
    drive(shard, records, 1);
    const counter = (index: number): number => new Float64Array(shard.memory.buffer)[(1024 >> 3) + index]!;
    expect({
      merged: counter(L.SHARD_TICKS_MERGED_F64),
      late: counter(L.SHARD_LATE_TICKS_F64),
      refused: counter(L.SHARD_LATE_REFUSED_F64),
      finals: counter(L.SHARD_BARS_OUT_F64),
      amendments: counter(L.SHARD_AMENDMENTS_OUT_F64),
      open: [0, 1, 2].map((timeframe) => counter(L.SHARD_OPEN_BARS_F64 + timeframe)),
    }).toEqual({ merged: 3, late: 1, refused: 1, finals: 1, amendments: 1, open: [1, 1, 0] });
  });
});

describe('restoring open bars', () => {
  const settings = fc.record({
    seed: fc.nat(),
    jitterMs: fc.constantFrom(0, 900),
    latePolicy: fc.constantFrom('amend' as const, 'side' as const),
    barrierOneIn: fc.constantFrom(0, 5, 60),
    isClosed: fc.boolean(),
    hasSourceBars: fc.boolean(),
  });

  it('goes on as if there had been no stop, wherever the stop falls', () => {
    fc.assert(
      fc.property(settings, fc.double({ min: 0, max: 1, noNaN: true }), fc.boolean(), (some, where, isWatermarkFirst) => {
        const options = {
          ...RUN,
          ...some,
          ticks: 400,
          symbols: 9,
          timeframeSeconds: [1, 60, 180, 300, 900, 3600, 86400],
          gapUs: 800_000,
          lateOneIn: 10,
        };
        const { records } = makeStream(options);
        const all = records[0]!;
        const cut = Math.floor(where * all.length);
        const unbroken = barsFromBytes(drive(freshShard(options), all, 1));
        const listing = barrierRecord(99n, L.BARRIER_FLAG_WITH_OPEN_STATE);
        const before = barsFromBytes(drive(freshShard(options), [...all.slice(0, cut), listing], 2));
        const stored = createListedState();
        for (const record of before) stored.push(record);
        const next = freshShard(options);
        restore(next, all.slice(0, cut), stored.bars(), isWatermarkFirst);
        const after = barsFromBytes(drive(next, [listing, ...all.slice(cut)], 3));
        expect(after[0], 'a barrier right after the restore lists nothing').toMatchObject({ kind: L.OUT_KIND_BARRIER, tsStartNs: 99n });
        expect([...resultsOf(before), ...resultsOf(after)]).toEqual(resultsOf(unbroken));
        for (const record of after) stored.push(record);
        const expected = createListedState();
        for (const record of unbroken) expected.push(record);
        expect(new Map(stored.open)).toEqual(new Map(expected.open));
      }),
      { numRuns: 60, ...(process.env['SEED'] === undefined ? {} : { seed: Number(process.env['SEED']) }) },
    );
  });

  it('refuses a bar that cannot be open, and says why', () => {
    const open = ofKind(run([tradeRecord(0, T0, 10), barrierRecord(1n, L.BARRIER_FLAG_WITH_OPEN_STATE)]), L.OUT_KIND_BAR_OPEN);
    const bytes = bytesOfBars(open);
    const { kernel } = freshShard();
    kernel.registerSymbol({ ...SYMBOL, localIndex: 0 });
    expect(() => kernel.restoreBar(1, bytes)).toThrow(/OPEN_BAR|open bar of symbol 1/);
    kernel.setWatermark(0, T0 + S);
    expect(() => kernel.restoreBar(0, bytes)).toThrow(`open bar of symbol 0, timeframe 0, start ${T0} ns`);
    kernel.setWatermark(0, T0);
    kernel.restoreBar(0, bytes);
    expect(() => kernel.restoreBar(0, bytes)).toThrow(/restored twice/);
    expect(() => kernel.setWatermark(0, T0 + S)).toThrow(/watermark .* of partition 0/);
  });
});

const resultsOf = (bars: readonly BarRecord[]): BarRecord[] =>
  bars.filter(({ kind }) => kind !== L.OUT_KIND_BAR_OPEN && kind !== L.OUT_KIND_SYMBOL_CLEAR && kind !== L.OUT_KIND_BARRIER);

function restore(shard: Shard, past: readonly TickRecord[], open: readonly BarRecord[], isWatermarkFirst: boolean): void {
  const localIndices = new Map<number, number>();
  for (const record of past) {
    if (record.kind !== L.TICK_KIND_SYMBOL) continue;
    const symbolIndex = record.ingestUs & 0x7fffffff;
    localIndices.set(symbolIndex, record.symbolIndex);
    const isQuote = record.ingestUs >>> 31 === 1;
    shard.kernel.registerSymbol({
      localIndex: record.symbolIndex,
      symbolIndex,
      partition: record.tradeCount,
      priceScale: record.price,
      isQuote,
    });
  }
  const setWatermarks = (): void => {
    for (const { kind, symbolIndex, tsEventNs } of past) if (kind === L.TICK_KIND_WATERMARK) last.set(symbolIndex, tsEventNs);
    for (const [partition, watermarkNs] of last) shard.kernel.setWatermark(partition, watermarkNs);
  };
  const last = new Map<number, bigint>();
  if (isWatermarkFirst) setWatermarks();
  for (const bar of open) shard.kernel.restoreBar(localIndices.get(bar.symbolIndex)!, bytesOfBars([bar]));
  if (!isWatermarkFirst) setWatermarks();
}
