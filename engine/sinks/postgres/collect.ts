/**
 * Collects what the shards put out into epochs. A shard's records up to its barrier belong to the epoch; after the barrier its ring is
 * left alone until the barriers of all the others are there. So at most one epoch is being collected while another is committed.
 */
import * as L from '../../../schemas/layout.gen.ts';
import { INSTRUMENT_KIND, OUT_KIND, STAGE_OUT_KIND } from '../../../schemas/records.ts';
import { assert } from '../../core/errors.ts';
import { readInt64 } from '../../core/int64.ts';
import { TIMEFRAMES_LIMIT } from '../../memory/region.ts';
import type { Ring } from '../../memory/ring.ts';
import { BAR_WORDS, createRecordList, type RecordList } from './record-list.ts';

export interface EpochBatch {
  /** 0 until its first barrier was seen. */
  epoch: number;
  /** First revisions, amendment deltas (or next revisions in full), open buckets, symbols with nothing open and late ticks, each in order of arrival per shard. */
  readonly finals: RecordList;
  readonly deltas: RecordList;
  readonly opens: RecordList;
  readonly clears: RecordList;
  readonly lates: RecordList;
  /** Bars that a stage has read, where it reads bars. */
  readonly inputs: RecordList;
  /** Up to where it has forgotten them. */
  readonly forgets: RecordList;
  /** First revisions by `tableIndex`. */
  readonly finalCounts: Int32Array;
}

export interface Collector {
  /** Moves up to `budget` records out of the rings; returns how many. */
  drain(budget: number): number;
  /** True when the barrier of every shard is there. */
  readonly isComplete: boolean;
  /** Records of the epoch being collected. */
  readonly length: number;
  readonly epoch: number;
  /** Hands over the complete epoch and goes on with `next`, which is emptied. */
  take(next: EpochBatch): EpochBatch;
}

/** Position of a table among all: timeframes of trade bars, then those of quote bars. */
export function tableIndex(timeframeIndex: number, isQuote: boolean): number {
  return timeframeIndex + (isQuote ? TIMEFRAMES_LIMIT : 0);
}

export function createBatch(): EpochBatch {
  return {
    epoch: 0,
    finals: createRecordList(),
    deltas: createRecordList(),
    opens: createRecordList(),
    clears: createRecordList(),
    lates: createRecordList(),
    inputs: createRecordList(),
    forgets: createRecordList(),
    finalCounts: new Int32Array(2 * TIMEFRAMES_LIMIT),
  };
}

export function createCollector(rings: readonly Ring[], first: EpochBatch): Collector {
  const isPast = rings.map(() => false);
  let pastCount = 0;
  let length = 0;
  let batch = first;

  const passBarrier = (words: Int32Array, at: number, shard: number): void => {
    const epoch = readInt64(words, at + (L.BAR_TS_START_NS >> 2));
    assert(batch.epoch === 0 || batch.epoch === epoch, `barrier of shard ${shard} is of epoch ${epoch}, of others ${batch.epoch}`);
    batch.epoch = epoch;
    isPast[shard] = true;
    pastCount += 1;
  };

  /** Takes records of one shard, at most `budget`, up to its barrier. */
  const drainShard = (ring: Ring, shard: number, budget: number): number => {
    let taken = 0;
    while (taken < budget && !isPast[shard]) {
      const count = Math.min(ring.run(), budget - taken);
      if (count === 0) break;
      const { words } = ring;
      const start = ring.tailIndex();
      let index = 0;
      while (index < count && !isPast[shard]) {
        const at = start + index * BAR_WORDS;
        const kind = words[at + L.BAR_KIND_I32]!;
        if (kind === OUT_KIND.barrier) {
          passBarrier(words, at, shard);
          index += 1;
          continue;
        }
        let end = index + 1;
        while (end < count && words[start + end * BAR_WORDS + L.BAR_KIND_I32] === kind) end += 1;
        if (kind === OUT_KIND.barFinal) countTables(batch.finalCounts, words, at, end - index);
        listOf(batch, kind).append(words, at, end - index);
        length += end - index;
        index = end;
      }
      ring.release(index);
      taken += index;
    }
    return taken;
  };

  return {
    drain(budget) {
      let taken = 0;
      for (let shard = 0; shard < rings.length && taken < budget; shard += 1) taken += drainShard(rings[shard]!, shard, budget - taken);
      return taken;
    },
    get isComplete() {
      return pastCount === rings.length;
    },
    get length() {
      return length;
    },
    get epoch() {
      return batch.epoch;
    },
    take(next) {
      assert(pastCount === rings.length, `epoch ${batch.epoch}: ${pastCount} of ${rings.length} barriers`);
      const complete = batch;
      for (const list of [next.finals, next.deltas, next.opens, next.clears, next.lates, next.inputs, next.forgets]) list.clear();
      next.finalCounts.fill(0);
      next.epoch = 0;
      isPast.fill(false);
      pastCount = 0;
      length = 0;
      batch = next;
      return complete;
    },
  };
}

function listOf(batch: EpochBatch, kind: number): RecordList {
  if (kind === OUT_KIND.barFinal) return batch.finals;
  if (kind === OUT_KIND.barAmend || kind === STAGE_OUT_KIND.barReplace) return batch.deltas;
  if (kind === OUT_KIND.barOpen) return batch.opens;
  if (kind === OUT_KIND.symbolClear) return batch.clears;
  if (kind === STAGE_OUT_KIND.barInput) return batch.inputs;
  if (kind === STAGE_OUT_KIND.barForget) return batch.forgets;
  assert(kind === OUT_KIND.lateTick, `out ring record of kind ${kind}`);
  return batch.lates;
}

function countTables(counts: Int32Array, words: Int32Array, first: number, count: number): void {
  for (let index = 0, at = first; index < count; index += 1, at += BAR_WORDS) {
    const isQuote = words[at + L.BAR_INSTRUMENT_KIND_I32] === INSTRUMENT_KIND.quote;
    counts[tableIndex(words[at + L.BAR_TIMEFRAME_INDEX_I32]!, isQuote)]! += 1;
  }
}
