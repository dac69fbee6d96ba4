/** What a barrier lists, case by case; test/parity-open-state.test.ts has the property. */
import { expect, it } from 'vitest';
import * as L from '../../schemas/layout.gen.ts';
import {
  barrierRecord,
  barsFromBytes,
  bytesOfBars,
  createShard,
  drive,
  PLAIN_STREAM,
  regionShape,
  type Shard,
  symbolRecord,
  tradeRecord,
  watermarkRecord,
} from '../../test/bar-streams.ts';
import type { BarRecord, TickRecord } from '../market/ring-record.ts';
import { SHARD_HEADER_ADDRESS } from '../memory/region.ts';

const S = 1_000_000_000n;
/** A quarter of an hour, in UTC. */
const T0 = 1_699_999_200n * S;
const OPTIONS = { ...PLAIN_STREAM, symbols: 40, partitions: 2, latenessMs: 1500, timeframeSeconds: [1, 60] };
const DRIVE = { seed: 1, tickCapacity: 64, outCapacity: 16 };
const BARRIER = barrierRecord(1n, L.BARRIER_FLAG_WITH_OPEN_STATE);
const QUIET_BARRIER = barrierRecord(2n, 0);
const SYMBOLS = [0, 1].map((localIndex) =>
  symbolRecord(localIndex, { symbolIndex: 7 + localIndex, partition: localIndex, isQuote: false, priceScale: 100 }),
);
const START = [...SYMBOLS, watermarkRecord(0, T0), watermarkRecord(1, T0)];

function sourceBar(localIndex: number, tsEventNs: bigint, price: number): TickRecord {
  const values = { price, ask: price, low: price, close: price };
  return { ...tradeRecord(localIndex, tsEventNs, price, 0n), ...values, kind: L.TICK_KIND_BAR, tradeCount: 0 };
}

/** By barrier, what was listed before it: a symbol with its open buckets as `timeframe:trades`, or with `clear`. */
function listings(records: readonly TickRecord[], shard: Shard = createShard(regionShape(OPTIONS, 0, DRIVE))): string[] {
  const texts: string[] = [];
  let text = '';
  for (const bar of barsFromBytes(drive(shard, records, 1))) {
    if (bar.kind === L.OUT_KIND_BAR_OPEN) text += ` ${bar.symbolIndex}=${bar.timeframeIndex}:${bar.tradeCount}`;
    if (bar.kind === L.OUT_KIND_SYMBOL_CLEAR) text += ` ${bar.symbolIndex}=clear`;
    if (bar.kind !== L.OUT_KIND_BARRIER) continue;
    texts.push(text.trim());
    text = '';
  }
  return texts;
}

it('lists a symbol when a tick has joined it, and not again while it rests', () => {
  const texts = listings([...START, tradeRecord(0, T0, 10), BARRIER, BARRIER, tradeRecord(1, T0, 10), BARRIER, BARRIER]);
  expect(texts).toEqual(['7=0:1', '', '8=0:1', '']);
});

it('sees ticks that go on in a second that was in hand before the barrier', () => {
  const tick = tradeRecord(0, T0, 10);
  expect(listings([...START, tick, BARRIER, tick, BARRIER, tick, tick, BARRIER, BARRIER])).toEqual(['7=0:1', '7=0:2', '7=0:4', '']);
});

it('keeps what was touched over a barrier that lists nothing', () => {
  expect(listings([...START, tradeRecord(0, T0, 10), QUIET_BARRIER, BARRIER])).toEqual(['', '7=0:1']);
});

it('lists all open buckets of a symbol when one was touched', () => {
  const first = [tradeRecord(0, T0, 10), watermarkRecord(0, T0 + S), tradeRecord(0, T0 + S, 10), tradeRecord(0, T0 + 2n * S, 10), BARRIER];
  expect(listings([...START, ...first, tradeRecord(0, T0 + 2n * S, 11), BARRIER])).toEqual(['7=0:1 7=0:1 7=1:1', '7=0:1 7=0:2 7=1:1']);
});

it('lists a symbol whose bucket closed, and says once when nothing is left', () => {
  const ticks = [tradeRecord(0, T0, 10), BARRIER, watermarkRecord(0, T0 + S), BARRIER, watermarkRecord(0, T0 + 60n * S), BARRIER, BARRIER];
  expect(listings([...START, ...ticks])).toEqual(['7=0:1', '7=1:1', '7=clear', '']);
});

it('says that a symbol has nothing open when all opened and closed since', () => {
  const oneTimeframe = createShard(regionShape({ ...OPTIONS, timeframeSeconds: [1] }, 0, DRIVE));
  expect(listings([...START, tradeRecord(0, T0, 10), watermarkRecord(0, T0 + S), BARRIER], oneTimeframe)).toEqual(['7=clear']);
});

it('gives a cleared symbol its index and partition, and nothing else', () => {
  const records = [...START, tradeRecord(1, T0, 10), watermarkRecord(1, T0 + 60n * S), BARRIER];
  const bars = barsFromBytes(drive(createShard(regionShape(OPTIONS, 0, DRIVE)), records, 1));
  const clear = bars.filter((bar) => bar.kind === L.OUT_KIND_SYMBOL_CLEAR);
  const zeroes = barsFromBytes(new Uint8Array(L.BAR_SIZE));
  expect(clear).toEqual([{ ...zeroes[0], kind: L.OUT_KIND_SYMBOL_CLEAR, symbolIndex: 8, partition: 1 } satisfies Partial<BarRecord>]);
});

it('lists a bucket that opened with the same count in the place of one that closed', () => {
  // A lateness of 1500 ms makes eight slots: the same one is in use again 8 s later.
  const next = [watermarkRecord(0, T0 + 8n * S), tradeRecord(0, T0 + 8n * S, 11), BARRIER, BARRIER];
  expect(listings([...START, tradeRecord(0, T0, 10), BARRIER, ...next])).toEqual(['7=0:1', '7=0:1 7=1:1', '']);
});

it('lists a bucket into which a source bar without trades was merged', () => {
  const bar = sourceBar(0, T0, 10);
  expect(listings([...START, bar, BARRIER, bar, BARRIER, BARRIER])).toEqual(['7=0:0', '7=0:0', '']);
});

it('lists a symbol whose minute a late tick joined, and leaves one that was only amended', () => {
  const past = [tradeRecord(0, T0, 10), watermarkRecord(0, T0 + 5n * S), BARRIER, tradeRecord(0, T0 + S, 12), BARRIER];
  const amended = [watermarkRecord(0, T0 + 60n * S), BARRIER, tradeRecord(0, T0 + S, 12), BARRIER];
  expect(listings([...START, ...past, ...amended])).toEqual(['7=1:1', '7=1:2', '7=clear', '']);
});

it('counts restored buckets as listed, and sees what joins them', () => {
  const stop = [tradeRecord(0, T0, 10), watermarkRecord(0, T0 + S), tradeRecord(0, T0 + S, 10), BARRIER];
  const before = barsFromBytes(drive(createShard(regionShape(OPTIONS, 0, DRIVE)), [...START, ...stop], 1));
  const shard = createShard(regionShape(OPTIONS, 0, DRIVE));
  for (const localIndex of [0, 1]) {
    shard.kernel.registerSymbol({ localIndex, symbolIndex: 7 + localIndex, partition: localIndex, priceScale: 100, isQuote: false });
    shard.kernel.setWatermark(localIndex, T0 + S);
  }
  const open = before.filter((bar) => bar.kind === L.OUT_KIND_BAR_OPEN);
  expect(open).toHaveLength(2);
  for (const bar of open) shard.kernel.restoreBar(0, bytesOfBars([bar]));
  const [ours, others] = [tradeRecord(0, T0 + S, 11), tradeRecord(1, T0 + S, 11)];
  expect(listings([BARRIER, others, BARRIER, ours, BARRIER, BARRIER], shard)).toEqual(['', '8=0:1', '7=0:2 7=1:1', '']);
});

it('goes on with a listing that a full out ring cut short, wherever that was', () => {
  const many = Array.from({ length: 40 }, (_, index) => index);
  const symbols = many.map((index) => symbolRecord(index, { symbolIndex: index, partition: 0, isQuote: false, priceScale: 100 }));
  // Every third symbol has a second and a minute open, every third a minute, every third nothing any more.
  const first = many.filter((index) => index % 3 === 2).map((index) => tradeRecord(index, T0 - 60n * S, 10));
  const second = many.filter((index) => index % 3 !== 2).map((index) => tradeRecord(index, T0, 10));
  const third = many.filter((index) => index % 3 === 0).map((index) => tradeRecord(index, T0 + S, 10));
  const marks = [watermarkRecord(0, T0 - 60n * S), watermarkRecord(0, T0), watermarkRecord(0, T0 + S)];
  const records = [...symbols, marks[0]!, ...first, marks[1]!, ...second, marks[2]!, ...third, BARRIER];
  const expected = many.map((index) => [`${index}=0:1 ${index}=1:1`, `${index}=1:1`, `${index}=clear`][index % 3]).join(' ');
  for (const outCapacity of [2, 4, 16]) {
    const shard = createShard(regionShape(OPTIONS, 0, { ...DRIVE, outCapacity }));
    expect(listings([...records, BARRIER], shard)).toEqual([expected, '']);
    const header = new Float64Array(shard.memory.buffer, SHARD_HEADER_ADDRESS);
    expect(header[L.SHARD_BLOCKED_POLLS_F64]).toBeGreaterThan(54 / outCapacity - 1);
  }
});
