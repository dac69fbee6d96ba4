import { expect, it } from 'vitest';
import * as L from '../../../schemas/layout.gen.ts';
import { BARRIER_FLAG, OUT_KIND } from '../../../schemas/records.ts';
import { allocateRing, createRing, type Ring } from '../../memory/ring.ts';
import { createBatch, createCollector, tableIndex } from './collect.ts';
import { BAR_WORDS } from './record-list.ts';

function put(ring: Ring, kind: number, fields: { epoch?: number; flags?: number; count?: number; timeframe?: number } = {}): void {
  const words = new Int32Array(BAR_WORDS);
  words[L.BAR_KIND_I32] = kind;
  words[L.BAR_TRADE_COUNT_I32] = fields.count ?? 0;
  words[L.BAR_TIMEFRAME_INDEX_I32] = fields.timeframe ?? 0;
  words[L.BAR_FLAGS_I32] = fields.flags ?? 0;
  new BigInt64Array(words.buffer)[L.BAR_TS_START_NS_I64] = BigInt(fields.epoch ?? 0);
  ring.publish(words, 0, 1);
}

const makeRings = (count: number): Ring[] => Array.from({ length: count }, () => createRing(allocateRing(8, L.BAR_SIZE), 0));

it('leaves alone what lies behind a barrier until every shard has passed its own', () => {
  const [one, two] = makeRings(2);
  if (!one || !two) throw new Error('two rings');
  const collector = createCollector([one, two], createBatch());
  put(one, OUT_KIND.barFinal, { count: 1 });
  put(one, OUT_KIND.barrier, { epoch: 1 });
  put(one, OUT_KIND.barFinal, { count: 2 });
  put(two, OUT_KIND.barAmend, { count: 3 });
  expect(collector.drain(100)).toBe(3);
  expect(collector.isComplete).toBe(false);
  expect(one.depth()).toBe(1);
  put(two, OUT_KIND.barrier, { epoch: 1, flags: BARRIER_FLAG.withOpenState });
  collector.drain(100);
  expect(collector.isComplete).toBe(true);
  const batch = collector.take(createBatch());
  expect([batch.epoch, batch.finals.length, batch.deltas.length]).toEqual([1, 1, 1]);
  expect(collector.drain(100)).toBe(1);
  expect([collector.isComplete, collector.length]).toEqual([false, 1]);
});

it('sorts records by kind and counts first revisions by table, over the end of the ring and whatever the budget', () => {
  const [ring] = makeRings(1);
  if (!ring) throw new Error('one ring');
  const collector = createCollector([ring], createBatch());
  for (let round = 0; round < 5; round += 1) {
    for (const kind of [
      OUT_KIND.barFinal,
      OUT_KIND.barFinal,
      OUT_KIND.barOpen,
      OUT_KIND.lateTick,
      OUT_KIND.barAmend,
      OUT_KIND.symbolClear,
    ]) {
      put(ring, kind, { timeframe: round % 2 });
    }
    while (collector.drain(2) > 0) expect(ring.depth()).toBeLessThan(6);
  }
  put(ring, OUT_KIND.barrier, { epoch: 9 });
  collector.drain(1);
  const batch = collector.take(createBatch());
  expect([batch.finals, batch.opens, batch.lates, batch.deltas, batch.clears].map(({ length }) => length)).toEqual([10, 5, 5, 5, 5]);
  expect([0, 1].map((timeframe) => batch.finalCounts[tableIndex(timeframe, false)])).toEqual([6, 4]);
});

it('fails when shards speak of different epochs, or of a kind that does not exist', () => {
  const [one, two] = makeRings(2);
  if (!one || !two) throw new Error('two rings');
  const collector = createCollector([one, two], createBatch());
  put(one, OUT_KIND.barrier, { epoch: 1 });
  put(two, OUT_KIND.barrier, { epoch: 2 });
  expect(() => collector.drain(10)).toThrow(/barrier of shard 1 is of epoch 2, of others 1/);
  const [odd] = makeRings(1);
  if (!odd) throw new Error('one ring');
  put(odd, 77);
  expect(() => createCollector([odd], createBatch()).drain(1)).toThrow(/kind 77/);
});

it('takes an emptied batch when it goes on', () => {
  const [ring] = makeRings(1);
  if (!ring) throw new Error('one ring');
  const first = createBatch();
  const second = createBatch();
  const collector = createCollector([ring], first);
  for (const [epoch, spare] of [
    [1, second],
    [2, first],
    [3, second],
  ] as const) {
    put(ring, OUT_KIND.barFinal);
    put(ring, OUT_KIND.barrier, { epoch });
    collector.drain(10);
    const batch = collector.take(spare);
    expect([batch.epoch, batch.finals.length, batch.finalCounts[0]]).toEqual([epoch, 1, 1]);
  }
});
