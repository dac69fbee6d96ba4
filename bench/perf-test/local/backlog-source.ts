/**
 * A source that is never at a loss: one backlog in memory, handed over again and again as fast as it is taken. Each pass lies a whole span after the
 * one before, and a span holds whole buckets of every timeframe, so that every pass must come to the same bars, moved by so many spans.
 */

import { assert } from '../../../engine/core/errors.ts';
import { writeInt64 } from '../../../engine/core/int64.ts';
import type { IngestPort, Source } from '../../../engine/ingest/source.ts';
import type { Timeframe } from '../../../engine/market/timeframes.ts';
import * as L from '../../../schemas/layout.gen.ts';
import { TICK_KIND } from '../../../schemas/records.ts';
import { createTickStream, type StreamPlan, symbolName } from '../tick-stream.ts';

/** 2020-09-13 12:00 UTC: so far back that no number of passes comes near the clock, which ingest holds event times against. */
export const BACKLOG_BASE_MS = 1_599_998_400_000;
/** The source has one partition. */
export const BACKLOG_PARTITION = 0;
const WORDS = L.TICK_SIZE >> 2;
const EVENT_WORD = L.TICK_TS_EVENT_NS >> 2;
const PRICE_DECIMALS = 2;
const FIRST_CAPACITY = 65_536;
const NS_PER_SECOND = 1_000_000_000n;
const TWO_32 = 2 ** 32;

export interface BacklogSource extends Source {
  /** Ticks of a pass. */
  readonly ticks: number;
  readonly passes: number;
}

export interface BacklogOptions {
  readonly stream: StreamPlan;
  readonly spanNs: bigint;
  /** Called before the first pass and after each; true: no pass follows. */
  isOver(): boolean;
}

/** Whole buckets of every timeframe, and no less than the time of the stream. */
export function spanNsOf(seconds: number, timeframes: readonly Timeframe[]): bigint {
  const period = timeframes.reduce((least, timeframe) => leastCommonMultiple(least, BigInt(timeframe.seconds)), 1n);
  const whole = BigInt(Math.ceil(seconds));
  return ((whole + period - 1n) / period) * period * NS_PER_SECOND;
}

export function createBacklogSource({ stream, spanNs, isOver }: BacklogOptions): BacklogSource {
  let words: Int32Array = new Int32Array(0);
  let ticks = 0;
  let port: IngestPort | undefined;
  let [next, passes, offered] = [0, 0, 0];
  let hasBegun = false;
  let isEnded = false;
  // What the times of the pass under way are moved by.
  let shift = { low: 0, high: 0 };

  const endPass = (): void => {
    next = 0;
    passes += 1;
    const shiftNs = spanNs * BigInt(passes);
    shift = { low: Number(BigInt.asUintN(32, shiftNs)), high: Number(shiftNs >> 32n) };
    isEnded = isOver();
  };
  return {
    name: 'backlog',
    isReplayable: false,
    isLive: false,
    partitions: [BACKLOG_PARTITION],
    async start(target) {
      port = target;
      words = drawRecords(stream, target);
      ticks = words.length / WORDS;
      assert(ticks > 0, 'a backlog has a tick');
    },
    poll(budget) {
      if (port === undefined || isEnded) return 0;
      if (!hasBegun) isOver();
      hasBegun = true;
      const count = Math.min(budget, port.room(), port.stagingCapacity, ticks - next);
      if (count === 0) return 0;
      const { i32, stagingI32Index } = port;
      i32.set(words.subarray(next * WORDS, (next + count) * WORDS), stagingI32Index);
      if (passes > 0) moveTimes(i32, stagingI32Index + EVENT_WORD, count, shift);
      port.commit(count, BACKLOG_PARTITION);
      offered += count;
      next += count;
      if (next === ticks) endPass();
      return count;
    },
    get ticks() {
      return ticks;
    },
    get passes() {
      return passes;
    },
    get offered() {
      return offered;
    },
    get isEnded() {
      return isEnded;
    },
    lagMs: 0,
    isCaughtUp: () => false,
    position: () => ({ offsets: new Map() }),
    failure: () => undefined,
    committed: () => undefined,
    stop: async () => undefined,
  };
}

/** Adds to the event times of staged records, as two words each. */
function moveTimes(i32: Int32Array, first: number, count: number, { low, high }: { readonly low: number; readonly high: number }): void {
  for (let index = 0, at = first; index < count; index += 1, at += WORDS) {
    const sum = (i32[at]! >>> 0) + low;
    i32[at] = sum | 0;
    i32[at + 1] = (i32[at + 1]! + high + (sum >= TWO_32 ? 1 : 0)) | 0;
  }
}

/** All ticks of the stream as records with the indices that the port gives their symbols. */
function drawRecords(plan: StreamPlan, port: IngestPort): Int32Array {
  const indices = new Map<string, number>();
  for (let symbol = 0; symbol < plan.symbols; symbol += 1) {
    const name = symbolName(symbol);
    const spec = { symbol: name, kind: 'trade', priceDecimals: PRICE_DECIMALS, lotDecimals: 0, partition: BACKLOG_PARTITION } as const;
    const index = port.register(spec);
    assert(index >= 0, `symbol ${name} is registered, refusal ${-index}`);
    indices.set(name, index);
  }
  let records = recordViews(new Int32Array(FIRST_CAPACITY * WORDS));
  let count = 0;
  const stream = createTickStream(plan);
  const { tick } = stream;
  while (stream.next()) {
    const at = count * WORDS;
    if (at === records.i32.length) {
      const larger = new Int32Array(2 * at);
      larger.set(records.i32);
      records = recordViews(larger);
    }
    const { i32, f64, i64 } = records;
    i32[at + L.TICK_KIND_I32] = TICK_KIND.trade;
    i32[at + L.TICK_SYMBOL_INDEX_I32] = indices.get(tick.symbol) ?? -1;
    i64[(at + EVENT_WORD) >> 1] = tick.tsEventNs;
    f64[(at >> 1) + L.TICK_PRICE_F64] = tick.cents / 100;
    writeInt64(i32, at + (L.TICK_QUANTITY_LOTS >> 2), tick.quantity);
    i32[at + L.TICK_TRADE_COUNT_I32] = 1;
    count += 1;
  }
  return records.i32.subarray(0, count * WORDS);
}

function recordViews(i32: Int32Array<ArrayBuffer>) {
  return { i32, f64: new Float64Array(i32.buffer), i64: new BigInt64Array(i32.buffer) };
}

function leastCommonMultiple(a: bigint, b: bigint): bigint {
  let [x, y] = [a, b];
  while (y > 0n) [x, y] = [y, x % y];
  return (a / x) * b;
}
