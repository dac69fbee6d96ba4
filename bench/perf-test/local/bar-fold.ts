/**
 * Takes bars in memory in place of a database. Of the first pass over a backlog every bar is kept, to be compared with what its ticks come to; of each
 * later one a sum of hashes, in which the bars' times are moved back to the first pass: the same bars in any order give the same sum.
 */

import { assert } from '../../../engine/core/errors.ts';
import { readInt64 } from '../../../engine/core/int64.ts';
import type { EpochBatch } from '../../../engine/sinks/postgres/collect.ts';
import { BAR_WORDS, createRecordList } from '../../../engine/sinks/postgres/record-list.ts';
import * as L from '../../../schemas/layout.gen.ts';

export interface FoldPlan {
  /** Where the first pass begins, and how long a pass is, ns. */
  readonly baseNs: bigint;
  readonly spanNs: bigint;
  readonly timeframeCount: number;
}

export interface FoldedPass {
  readonly bars: number;
  /** Two sums of 32 bits of two hashes over all words of all bars. */
  readonly hash: readonly [number, number];
  /** Ticks in the bars, by timeframe. */
  readonly ticks: readonly number[];
}

/** What the thread of the fold says when it has seen everything. */
export interface Folded {
  readonly type: 'folded';
  readonly passes: readonly FoldedPass[];
  /** `bar` records of the first pass. */
  readonly first: Int32Array;
  /** Records that a backlog in the order of its times cannot come to. */
  readonly amended: number;
  readonly late: number;
}

export interface BarFold {
  add(batch: Pick<EpochBatch, 'finals' | 'deltas' | 'lates'>): void;
  folded(): Folded;
}

/** The words of the three times; the others stand as they are. */
const TIME_WORDS = [L.BAR_TS_START_NS >> 2, L.BAR_FIRST_NS >> 2, L.BAR_LAST_NS >> 2] as const;
const SEEDS = [0x2545f491, 0x1b873593] as const;
const FACTORS = [0x9e3779b1, 0x85ebca6b] as const;

interface Pass {
  bars: number;
  first: number;
  second: number;
  readonly ticks: number[];
  /** What its times are moved by, as two words. */
  readonly low: number;
  readonly high: number;
}

export function createBarFold({ baseNs, spanNs, timeframeCount }: FoldPlan): BarFold {
  const passes: Pass[] = [];
  const kept = createRecordList();
  const words = new Int32Array(BAR_WORDS);
  const [base, span] = [Number(baseNs), Number(spanNs)];
  let [amended, late] = [0, 0];

  const passOf = (index: number): Pass => {
    for (let next = passes.length; next <= index; next += 1) {
      const shiftNs = spanNs * BigInt(next);
      const ticks = Array.from({ length: timeframeCount }, () => 0);
      passes.push({ bars: 0, first: 0, second: 0, ticks, low: Number(BigInt.asUintN(32, shiftNs)), high: Number(shiftNs >> 32n) });
    }
    return passes[index]!;
  };
  const addBar = (i32: Int32Array, at: number): Pass => {
    // Starts are whole seconds, which a double holds without loss.
    const index = Math.floor((readInt64(i32, at + TIME_WORDS[0]) - base) / span);
    assert(index >= 0, 'a bar begins with the backlog, or later');
    const pass = passOf(index);
    pass.bars += 1;
    const timeframe = i32[at + L.BAR_TIMEFRAME_INDEX_I32]!;
    pass.ticks[timeframe] = pass.ticks[timeframe]! + i32[at + L.BAR_TRADE_COUNT_I32]!;
    for (let word = 0; word < BAR_WORDS; word += 1) words[word] = i32[at + word]!;
    moveBack(words, pass);
    addHashes(pass, words);
    return pass;
  };
  return {
    add({ finals, deltas, lates }) {
      amended += deltas.length;
      late += lates.length;
      const { i32, length } = finals;
      for (let index = 0, at = 0; index < length; index += 1, at += BAR_WORDS) {
        if (addBar(i32, at) === passes[0]) kept.append(i32, at, 1);
      }
    },
    folded: () => ({
      type: 'folded',
      passes: passes.map(({ bars, first, second, ticks }) => ({ bars, hash: [first, second], ticks })),
      first: kept.i32.slice(0, kept.length * BAR_WORDS),
      amended,
      late,
    }),
  };
}

function moveBack(words: Int32Array, { low, high }: Pass): void {
  for (const at of TIME_WORDS) {
    const borrow = words[at]! >>> 0 < low ? 1 : 0;
    words[at] = words[at]! - low;
    words[at + 1] = words[at + 1]! - high - borrow;
  }
}

/** Both hashes in one loop: neither waits for the other. */
function addHashes(pass: Pass, words: Int32Array): void {
  let first: number = SEEDS[0];
  let second: number = SEEDS[1];
  for (let word = 0; word < BAR_WORDS; word += 1) {
    const value = words[word]!;
    first = Math.imul(first ^ value, FACTORS[0]);
    first ^= first >>> 15;
    second = Math.imul(second ^ value, FACTORS[1]);
    second ^= second >>> 15;
  }
  pass.first = (pass.first + first) | 0;
  pass.second = (pass.second + second) | 0;
}
