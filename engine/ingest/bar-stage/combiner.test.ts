import { describe, expect, it } from 'vitest';
import { INSTRUMENT_KIND, OUT_KIND, STAGE_OUT_KIND } from '../../../schemas/records.ts';
import { createPrng, type Prng } from '../../core/prng.ts';
import type { BarRecord } from '../../market/ring-record.ts';
import { type Combiner, type CombinerShape, createCombiner, type OpenBucket } from './combiner.ts';
import type { InputBar } from './json-bar.ts';
import type { KeptBar } from './kept-bars.ts';

const SEED = Number(process.env['SEED'] ?? 7);
const NS = 1_000_000_000n;

function inputBar(change: Partial<InputBar>): InputBar {
  return {
    ...{ symbol: 'A', tsSec: 600, open: 10, high: 12, low: 9, close: 11, volumeLots: 5, tradeCount: 2 },
    ...{ revision: 0, lateCount: 0, vwap: undefined, firstOffsetNs: 0, lastOffsetNs: 0 },
    ...change,
  };
}

/** What stands in the tables after the records of a combiner: rows, kept inputs and open buckets, as the writer would leave them. */
function createTables() {
  const rows = new Map<string, BarRecord>();
  const kept = new Map<string, BarRecord>();
  const open = new Map<number, BarRecord[]>();
  const lates: BarRecord[] = [];
  const faults: string[] = [];
  const keyOf = ({ symbolIndex, timeframeIndex, tsStartNs }: BarRecord): string => `${symbolIndex} ${timeframeIndex} ${tsStartNs / NS}`;
  const fresh = new Set<number>();
  const take = (record: BarRecord): void => {
    const key = keyOf(record);
    const before = rows.get(key);
    if (record.kind === OUT_KIND.barFinal) {
      if (before !== undefined) faults.push(`${key} is final twice`);
      rows.set(key, { ...record });
    } else if (record.kind === STAGE_OUT_KIND.barReplace) {
      rows.set(key, { ...record, revision: before === undefined ? 0 : before.revision + 1 });
    } else if (record.kind === STAGE_OUT_KIND.barInput) kept.set(`${record.symbolIndex} ${record.tsStartNs / NS}`, record);
    else if (record.kind === STAGE_OUT_KIND.barForget) {
      for (const [place, input] of kept) {
        if (input.symbolIndex === record.symbolIndex && input.tsStartNs < record.tsStartNs) kept.delete(place);
      }
    } else if (record.kind === OUT_KIND.barOpen) {
      if (!fresh.has(record.symbolIndex)) open.set(record.symbolIndex, []);
      fresh.add(record.symbolIndex);
      open.get(record.symbolIndex)?.push(record);
    } else if (record.kind === OUT_KIND.symbolClear) open.set(record.symbolIndex, []);
    else lates.push(record);
  };
  /** By partition, as stored with the last listing. */
  const watermarks = new Map<number, number>();
  return { rows, kept, open, lates, faults, take, watermarks, beginListing: () => fresh.clear() };
}

type Tables = ReturnType<typeof createTables>;

function keptOf(record: BarRecord): readonly [number, KeptBar] {
  const { open, high, low, close, tradeCount, lateCount, revision, firstNs, lastNs, tsStartNs } = record;
  const values = { open, high, low, close, volumeLots: Number(record.volumeLots), tradeCount, lateCount, revision };
  const offsets = { firstOffsetNs: Number(firstNs - tsStartNs), lastOffsetNs: Number(lastNs - tsStartNs) };
  return [Number(tsStartNs / NS), { ...values, ...offsets, notional: record.flags === 0 ? Number(record.notional) : Number.NaN }];
}

/** A combiner as the next owner of the lane makes it from the tables. */
function restored(shape: CombinerShape, tables: Tables, symbols: number): Combiner {
  const combiner = createCombiner(shape, tables.take);
  for (const [partition, sec] of tables.watermarks) combiner.restorePartition(partition, sec);
  for (let symbolIndex = 0; symbolIndex < symbols; symbolIndex += 1) {
    combiner.addSymbol({ symbolIndex, partition: symbolIndex % 2, priceScale: 100 });
    const inputs = [...tables.kept.values()].filter((record) => record.symbolIndex === symbolIndex).map(keptOf);
    const open = (tables.open.get(symbolIndex) ?? []).map(
      ({ timeframeIndex, tsStartNs }): OpenBucket => ({ timeframeIndex, startSec: Number(tsStartNs / NS) }),
    );
    combiner.restore(symbolIndex, inputs, open);
  }
  return combiner;
}

interface Delivered {
  readonly symbolIndex: number;
  readonly bar: InputBar;
}

/** Bars in order of time by symbol; among them later revisions, repeats, bars that come late, and stretches without any. */
function makeStream(prng: Prng, inputSeconds: number, symbols: number): Delivered[] {
  const stream: Delivered[] = [];
  const nextSec = Array.from({ length: symbols }, () => 86_400);
  const sent: Delivered[] = [];
  for (let step = 0; step < 600; step += 1) {
    const symbolIndex = prng.nextBelow(symbols);
    const draw = prng.nextFloat();
    const old = sent[Math.max(0, sent.length - 1 - prng.nextBelow(60))];
    if (draw < 0.1 && old !== undefined) stream.push(old);
    else if (draw < 0.2 && old !== undefined) {
      const bar = { ...valuesOf(prng), symbol: 'S', tsSec: old.bar.tsSec, revision: old.bar.revision + 1 + prng.nextBelow(2) };
      const next = { symbolIndex: old.symbolIndex, bar };
      sent.push(next);
      stream.push(next);
    } else {
      const skip = draw < 0.25 ? prng.nextBelow(40) : draw < 0.5 ? 1 : 0;
      nextSec[symbolIndex]! += (1 + skip) * inputSeconds;
      const lateBy = draw > 0.95 ? prng.nextBelow(30) * inputSeconds : 0;
      const next = { symbolIndex, bar: { ...valuesOf(prng), symbol: 'S', tsSec: nextSec[symbolIndex]! - lateBy, revision: 0 } };
      sent.push(next);
      stream.push(next);
    }
  }
  return stream;
}

function valuesOf(prng: Prng): Omit<InputBar, 'symbol' | 'tsSec' | 'revision'> {
  const low = 1 + prng.nextBelow(1000);
  const high = low + prng.nextBelow(50);
  const inside = (): number => low + prng.nextBelow(high - low + 1);
  const prices = { open: inside(), high, low, close: inside() };
  const offsets = { firstOffsetNs: prng.nextBelow(1000), lastOffsetNs: 1000 + prng.nextBelow(1000) };
  return {
    ...prices,
    ...offsets,
    volumeLots: prng.nextBelow(100),
    tradeCount: 1 + prng.nextBelow(9),
    lateCount: prng.nextBelow(2),
    vwap: undefined,
  };
}

/** Rows by the plainest means: of each bar the highest revision that was taken, by bucket. */
function expectedRows(taken: ReadonlyMap<string, Delivered>, seconds: readonly number[]): Map<string, object> {
  const rows = new Map<string, object>();
  const inOrder = [...taken.values()].sort((left, right) => left.bar.tsSec - right.bar.tsSec);
  for (const [timeframeIndex, size] of seconds.entries()) {
    const groups = new Map<string, InputBar[]>();
    for (const { symbolIndex, bar } of inOrder) {
      const key = `${symbolIndex} ${timeframeIndex} ${bar.tsSec - (bar.tsSec % size)}`;
      groups.set(key, [...(groups.get(key) ?? []), bar]);
    }
    for (const [key, bars] of groups) {
      const [first, last] = [bars[0], bars.at(-1)];
      rows.set(key, {
        open: first?.open,
        close: last?.close,
        high: Math.max(...bars.map(({ high }) => high)),
        low: Math.min(...bars.map(({ low }) => low)),
        volumeLots: bars.reduce((sum, { volumeLots }) => sum + BigInt(volumeLots), 0n),
        tradeCount: bars.reduce((sum, { tradeCount }) => sum + tradeCount, 0),
        lateCount: bars.reduce((sum, { lateCount }) => sum + lateCount, 0),
        firstNs: BigInt(first?.tsSec ?? 0) * NS + BigInt(first?.firstOffsetNs ?? 0),
        lastNs: BigInt(last?.tsSec ?? 0) * NS + BigInt(last?.lastOffsetNs ?? 0),
      });
    }
  }
  return rows;
}

describe('combiner', () => {
  it('puts a bucket out when the bar that reaches its end is there, first revisions in order of time', () => {
    const tables = createTables();
    const out: string[] = [];
    const combiner = createCombiner({ inputSeconds: 60, seconds: [180, 300], amendSec: 3600 }, (record) => {
      tables.take(record);
      if (record.kind === OUT_KIND.barFinal) out.push(`${record.timeframeIndex} ${record.tsStartNs / NS}`);
    });
    combiner.addSymbol({ symbolIndex: 0, partition: 0, priceScale: 100 });
    for (let tsSec = 900; tsSec < 1800; tsSec += 60) combiner.take(0, inputBar({ tsSec }));
    expect(out).toEqual(['0 900', '1 900', '0 1080', '0 1260', '1 1200', '0 1440', '0 1620', '1 1500']);
    expect(combiner.openCounts()).toEqual([0, 0]);
  });

  it('lets a later revision take the place of the earlier one, in an open bucket and in a closed one', () => {
    const tables = createTables();
    const combiner = createCombiner({ inputSeconds: 1, seconds: [60], amendSec: 3600 }, tables.take);
    combiner.addSymbol({ symbolIndex: 0, partition: 0, priceScale: 100 });
    combiner.take(0, inputBar({ tsSec: 600, high: 50, low: 1, volumeLots: 5 }));
    expect(combiner.take(0, inputBar({ tsSec: 600, revision: 1, volumeLots: 3, tradeCount: 1 }))).toEqual({
      outcome: 'replaced',
      volumeLots: -2,
      tradeCount: -1,
    });
    combiner.take(0, inputBar({ tsSec: 659, open: 11, high: 30, low: 11, close: 20, volumeLots: 1 }));
    expect(tables.rows.get('0 0 600')).toMatchObject({ revision: 0, open: 10, high: 30, low: 9, close: 20, volumeLots: 4n, tradeCount: 3 });
    combiner.take(0, inputBar({ tsSec: 659, revision: 2, open: 11, high: 12, low: 11, close: 12, volumeLots: 2 }));
    expect(tables.rows.get('0 0 600')).toMatchObject({ revision: 1, high: 12, low: 9, close: 12, volumeLots: 5n, tradeCount: 3 });
  });

  it('drops what it has had by symbol, time and revision, and lower revisions', () => {
    const tables = createTables();
    const combiner = createCombiner({ inputSeconds: 1, seconds: [60], amendSec: 3600 }, tables.take);
    combiner.addSymbol({ symbolIndex: 0, partition: 0, priceScale: 100 });
    expect(combiner.take(0, inputBar({ revision: 1 })).outcome).toBe('added');
    expect(combiner.take(0, inputBar({ revision: 1, volumeLots: 9 })).outcome).toBe('duplicate');
    expect(combiner.take(0, inputBar({ revision: 0 })).outcome).toBe('duplicate');
    expect(combiner.take(0, inputBar({ revision: 2 })).outcome).toBe('replaced');
  });

  it('closes by the time of the partition only what is not ahead of it', () => {
    const tables = createTables();
    const combiner = createCombiner({ inputSeconds: 1, seconds: [60], amendSec: 3600 }, tables.take);
    for (const symbolIndex of [0, 1]) combiner.addSymbol({ symbolIndex, partition: symbolIndex, priceScale: 100 });
    combiner.take(0, inputBar({ tsSec: 601 }));
    combiner.take(1, inputBar({ tsSec: 601 }));
    combiner.advance(0, 659);
    expect(tables.rows.size).toBe(0);
    combiner.advance(0, 660);
    expect([...tables.rows.keys()]).toEqual(['0 0 600']);
  });

  it('forgets, once read to the end, what no amendment reaches, and refuses what would need it', () => {
    const tables = createTables();
    const combiner = createCombiner({ inputSeconds: 1, seconds: [60], amendSec: 100 }, tables.take);
    combiner.addSymbol({ symbolIndex: 0, partition: 0, priceScale: 100 });
    combiner.take(0, inputBar({ tsSec: 600 }));
    combiner.take(0, inputBar({ tsSec: 1000 }));
    // Not read to the end: a revision that follows its bar's whole epoch is still taken.
    expect(combiner.take(0, inputBar({ tsSec: 600, revision: 1 })).outcome).toBe('replaced');
    combiner.advance(0, 1001);
    expect([...tables.kept.keys()]).toEqual(['0 1000']);
    expect(combiner.take(0, inputBar({ tsSec: 600, revision: 2 })).outcome).toBe('tooLate');
    expect(tables.lates).toMatchObject([{ tsStartNs: 600n * NS, volumeLots: 5n }]);
    expect(combiner.take(0, inputBar({ tsSec: 930 })).outcome).toBe('added');
  });

  it('forgets in a backlog after so many bars of the partition', () => {
    const tables = createTables();
    const combiner = createCombiner({ inputSeconds: 1, seconds: [60], amendSec: 100, passing: 5 }, tables.take);
    combiner.addSymbol({ symbolIndex: 0, partition: 0, priceScale: 100 });
    combiner.take(0, inputBar({ tsSec: 600 }));
    for (let more = 0; more < 5; more += 1) combiner.take(0, inputBar({ tsSec: 1000 + more }));
    expect(tables.kept.has('0 600')).toBe(true);
    combiner.take(0, inputBar({ tsSec: 1005 }));
    expect(tables.kept.has('0 600')).toBe(false);
  });

  for (let round = 0; round < 12; round += 1) {
    const seed = SEED * 1000 + round;
    it(`comes to what the highest revisions make, restored in between (seed ${seed})`, () => {
      const prng = createPrng(seed);
      const shape: CombinerShape =
        round % 2 === 0
          ? { inputSeconds: 1, seconds: [60], amendSec: 200, passing: 40 }
          : { inputSeconds: 60, seconds: [120, 180, 300, 900], amendSec: 5000, passing: 40 };
      const symbols = 3;
      const tables = createTables();
      let combiner = restored(shape, tables, symbols);
      const taken = new Map<string, Delivered>();
      let trades = 0;
      for (const delivered of makeStream(prng, shape.inputSeconds, symbols)) {
        const { symbolIndex, bar } = delivered;
        const { outcome, tradeCount } = combiner.take(symbolIndex, bar);
        trades += tradeCount;
        if (outcome === 'added' || outcome === 'replaced') taken.set(`${symbolIndex} ${bar.tsSec}`, delivered);
        if (prng.nextFloat() < 0.05) {
          const sec = Math.max(tables.watermarks.get(symbolIndex % 2) ?? 0, bar.tsSec + prng.nextBelow(100));
          tables.watermarks.set(symbolIndex % 2, sec);
          combiner.advance(symbolIndex % 2, sec);
        }
        if (prng.nextFloat() > 0.1) continue;
        tables.beginListing();
        combiner.listTouched();
        if (prng.nextFloat() < 0.5) combiner = restored(shape, tables, symbols);
      }
      for (const partition of [0, 1]) combiner.advance(partition, 2 ** 31);
      expect(tables.faults).toEqual([]);
      expect(combiner.openCounts()).toEqual(shape.seconds.map(() => 0));
      const expected = expectedRows(taken, shape.seconds);
      expect([...tables.rows.keys()].toSorted()).toEqual([...expected.keys()].toSorted());
      for (const [key, row] of expected) expect(tables.rows.get(key), key).toMatchObject({ ...row, instrumentKind: INSTRUMENT_KIND.trade });
      const perTimeframe = [...tables.rows.values()].filter(({ timeframeIndex }) => timeframeIndex === 0);
      expect(perTimeframe.reduce((sum, { tradeCount }) => sum + tradeCount, 0)).toBe(trades);
    });
  }
});
