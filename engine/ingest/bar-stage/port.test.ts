import { describe, expect, it } from 'vitest';
import { BARRIER_FLAG, OUT_KIND, REFUSAL, STAGE_OUT_KIND } from '../../../schemas/records.ts';
import { createManualClock, type ManualClock } from '../../core/clock.ts';
import { createMemory } from '../../kernel/host.ts';
import { createInstrumentBook } from '../../market/instrument-book.ts';
import { allocateSymbols, openSymbols } from '../../market/instruments.ts';
import { formatRegion, mapRegion, outRingOf, type RegionShape } from '../../memory/region.ts';
import { amend, createAmendments } from '../../sinks/postgres/amend.ts';
import { readBar } from '../../sinks/postgres/bar-record.ts';
import { createBatch, createCollector, type EpochBatch } from '../../sinks/postgres/collect.ts';
import { BAR_WORDS } from '../../sinks/postgres/record-list.ts';
import { type BarStage, createBarStage } from './port.ts';

const START_MS = 1_700_000_400_000;

interface Bench {
  readonly stage: BarStage;
  readonly clock: ManualClock;
  readonly rejected: string[];
  /** Hands messages over; returns how many were taken. */
  send(messages: readonly object[], partition?: number): number;
  /** What the writer gets with the next epoch. */
  epoch(): EpochBatch;
}

function createBench(outCapacity = 1024, isStrict = false): Bench {
  const shape: RegionShape = {
    ...{ shardIndex: 0, tickCapacity: 1024, outCapacity, symbolCapacity: 8, partitionCapacity: 4, latenessNs: 0, amendNs: 0n },
    ...{ latePolicy: 'amend', timeframeSeconds: [180, 300] },
  };
  const region = createMemory(mapRegion(shape).sizeBytes);
  formatRegion(region, shape);
  const clock = createManualClock(START_MS);
  const stage = createBarStage({
    region,
    clock,
    symbols: openSymbols(allocateSymbols(8)),
    book: createInstrumentBook([{ symbol: 'Q', kind: 'quote', priceDecimals: 2, lotDecimals: 0 }]),
    input: { seconds: 60, timeframe: '1m' },
    seconds: [180, 300],
    latenessMs: 100,
    amendSec: 3600,
    futureMs: 2000,
    isStrict,
  });
  const collector = createCollector([outRingOf(region)], createBatch());
  const rejected: string[] = [];
  let epochs = 0;
  return {
    stage,
    clock,
    rejected,
    send(messages, partition = 0) {
      return stage.commitMessages({
        encoding: 'json',
        partition,
        count: messages.length,
        values: messages.map((message) => Buffer.from(JSON.stringify(message))),
        onRejected: (index, record, refusal) => void rejected.push(`${index} ${record} ${refusal}`),
      });
    },
    epoch() {
      epochs += 1;
      expect(stage.publishBarrier(epochs, BARRIER_FLAG.withOpenState)).toBe(true);
      while (!collector.isComplete) collector.drain(64);
      return collector.take(createBatch());
    },
  };
}

function bar(ts: number, change: object = {}): object {
  return { symbol: 'A', ts, o: 10, h: 12, l: 9, c: 11, vol: 5, n_trades: 2, vwap: 10.2, rev: 0, late: 0, ...change };
}

const FROM = 1_699_999_200;

describe('a stage that reads bars', () => {
  it('gives the writer closed buckets, open ones, and what it keeps', () => {
    const { send, epoch, stage } = createBench();
    expect(send([0, 60, 120, 180].map((offset) => bar(FROM + offset)))).toBe(4);
    const { finals, opens, inputs, clears } = epoch();
    expect([finals.length, opens.length, inputs.length, clears.length]).toEqual([1, 2, 4, 0]);
    expect(readBar(finals, 0)).toMatchObject({ tradeCount: 6, volumeLots: 15n, notional: 15_300n });
    expect(stage.takeAccepted()).toEqual([{ partition: 0, volumeLots: 20n, tradeCount: 8n, quoteCount: 0n }]);
    expect(epoch().opens.length).toBe(0);
  });

  it('counts a bar that comes again as a duplicate, and makes no dead letter of it', () => {
    const { send, stage, rejected } = createBench();
    send([bar(FROM), bar(FROM), bar(FROM, { rev: 1 }), bar(FROM)]);
    const { offered, acceptedBars, acceptedTrades, refused } = stage.counts();
    expect({ offered, acceptedBars, acceptedTrades, duplicates: refused.get('duplicateBar') }).toEqual({
      ...{ offered: 4, acceptedBars: 2, acceptedTrades: 2, duplicates: 2 },
    });
    expect(rejected).toEqual([]);
  });

  it('rejects poison by reason: each message of its own', () => {
    const { send, rejected, stage } = createBench();
    send([{ symbol: 'A' }, bar(FROM, { h: 1 }), bar(FROM), bar(START_MS / 1000 + 20 * 60), bar(FROM, { symbol: 'Q' })]);
    send([bar(FROM + 60)], 1);
    expect(rejected).toEqual([
      `0 -1 ${REFUSAL.malformed}`,
      `1 -1 ${REFUSAL.barInconsistent}`,
      `3 -1 ${REFUSAL.eventTimeInFuture}`,
      `4 -1 ${REFUSAL.wrongKind}`,
      `0 -1 ${REFUSAL.wrongPartition}`,
    ]);
    expect(stage.counts().offered).toBe(6);
  });

  it('takes only symbols of the instruments file where that is asked for', () => {
    const { send, rejected } = createBench(1024, true);
    send([bar(FROM)]);
    expect(rejected).toEqual([`0 -1 ${REFUSAL.unknownSymbol}`]);
  });

  it('takes less while the out ring is full, and loses nothing', () => {
    const { send, epoch } = createBench(16);
    const stream = Array.from({ length: 40 }, (_, index) => bar(FROM - 7200 + index * 60));
    let taken = 0;
    let inputs = 0;
    for (let turn = 0; turn < 40 && taken < stream.length; turn += 1) {
      taken += send(stream.slice(taken));
      inputs += epoch().inputs.length;
    }
    expect([taken, inputs]).toEqual([40, 40]);
  });

  it('closes by time only what is caught up: at once to the last bar, and with the wall clock once silent', () => {
    const { send, epoch, stage, clock } = createBench();
    send([bar(FROM)]);
    send([bar(FROM + 180, { symbol: 'B' })]);
    expect(epoch().finals.length).toBe(0);
    expect(stage.advanceIdle(0, clock.wallMs(), 1000)).toBe(true);
    expect(epoch().finals.length).toBe(1);
    expect(stage.advanceIdle(0, clock.wallMs(), 1000)).toBe(false);
    clock.advanceMs(200_000);
    expect(stage.advanceIdle(0, clock.wallMs(), 1000)).toBe(true);
    expect(stage.watermarks()).toEqual([[0, BigInt(FROM + 240 + 199) * 1_000_000_000n]]);
  });

  it('replaces the row of a closed bucket by its next revision in full', async () => {
    const { send, epoch } = createBench();
    send([0, 60, 120].map((offset) => bar(FROM + offset, { h: 20 })));
    const first = epoch();
    const row = { ...readBar(first.finals, 0), revision: 4 };
    send([bar(FROM, { rev: 1, h: 11, vol: 1 }), bar(FROM + 60, { rev: 1, h: 11 }), bar(FROM + 120, { rev: 1, h: 11 })]);
    const batch = epoch();
    expect(batch.deltas.i32[0]).toBe(STAGE_OUT_KIND.barReplace);
    const amendments = createAmendments();
    await amend(async (wanted) => wanted.map(() => row), batch, amendments);
    expect([amendments.revisions.length, amendments.last.length]).toEqual([3, 1]);
    expect(readBar(amendments.last, 0)).toMatchObject({ revision: 7, volumeLots: 11n, prices: { high: 11, low: 9 } });
  });

  it('goes on from what was stored', () => {
    const before = createBench();
    before.send([bar(FROM), bar(FROM + 60)]);
    const stored = before.epoch();
    const { stage, send, epoch } = createBench();
    const inputs = [FROM, FROM + 60].map((tsSec, index) => {
      const { prices, volumeLots, notional, ...values } = readBar(stored.inputs, index);
      const offsets = { firstOffsetNs: 0, lastOffsetNs: 0 };
      return [tsSec, { ...prices, ...values, ...offsets, volumeLots: Number(volumeLots), notional: Number(notional) }] as const;
    });
    const open = [0, 1].map((timeframeIndex) => ({ timeframeIndex, startSec: FROM }));
    stage.restoreInputs({ symbol: 'A', kind: 'trade', priceDecimals: 2, lotDecimals: 0, partition: 0, inputs, open });
    send([bar(FROM + 60), bar(FROM + 120)]);
    const { finals } = epoch();
    expect(stage.counts().refused.get('duplicateBar')).toBe(1);
    expect(finals.i32[BAR_WORDS * 0]).toBe(OUT_KIND.barFinal);
    expect(readBar(finals, 0)).toMatchObject({ tradeCount: 6, volumeLots: 15n });
  });
});
