/** What the ticks of a cell must come to: each bucket of each timeframe, by grouping alone. No watermark, no lateness, no batch is in it. */
import { createHash } from 'node:crypto';
import { murmur2Part } from '../../engine/market/murmur2.ts';
import type { Timeframe } from '../../engine/market/timeframes.ts';
import type { TickStream } from './tick-stream.ts';

/** A bucket; prices in cents, times in ns since the epoch. */
export interface Bucket {
  /** Index in the timeframes. */
  readonly timeframeIndex: number;
  readonly symbol: string;
  readonly startSec: number;
  open: number;
  high: number;
  low: number;
  close: number;
  volume: number;
  /** Sum of cents x quantity. */
  notional: number;
  count: number;
  firstNs: bigint;
  lastNs: bigint;
}

/** By `<timeframe> <symbol> <start in seconds>`. */
export type BarTexts = Map<string, string>;

const NS_PER_SECOND = 1_000_000_000n;

export interface ExpectedBars {
  readonly bars: BarTexts;
  /** Those that the ticks of their own partition have passed: every pipeline must have closed them. */
  readonly passed: ReadonlySet<string>;
  /** Those that may be there without some of their seconds, with the keys of these in order. */
  readonly unsettled: ReadonlyMap<string, readonly string[]>;
  readonly ticks: number;
}

export interface ExpectOptions {
  /** A bucket is passed when its partition is so far past its end; 0 unless given. */
  readonly marginSec?: number;
  /**
   * Another program builds the seconds: it may keep the last ones open for ever, while the wall clock closes what is built from them. A longer
   * bucket that is not passed is unsettled then. The first timeframe is that of seconds.
   */
  readonly mayKeepSeconds?: boolean;
}

/** Draws the whole stream. Ticks come in the order of their times. */
export function expectBars(
  stream: TickStream,
  timeframes: readonly Timeframe[],
  partitions: number,
  { marginSec = 0, mayKeepSeconds = false }: ExpectOptions = {},
): ExpectedBars {
  const latest = new Map<number, number>();
  const partitionOf = new Map<string, number>();
  const { buckets, ticks } = groupTicks(stream, timeframes, ({ symbol }, second) => {
    const partition = partitionOf.get(symbol) ?? murmur2Part(Buffer.from(symbol), partitions);
    partitionOf.set(symbol, partition);
    latest.set(partition, second);
  });
  const isPassed = ({ timeframeIndex, symbol, startSec }: Bucket): boolean =>
    startSec + (timeframes[timeframeIndex]?.seconds ?? 0) + marginSec <= (latest.get(partitionOf.get(symbol) ?? -1) ?? 0);
  const bars = new Map([...buckets].map(([key, bucket]) => [key, textOf(bucket)]));
  const passed = new Set([...buckets].filter(([, bucket]) => isPassed(bucket)).map(([key]) => key));
  const unsettled = new Map<string, string[]>();
  if (mayKeepSeconds) {
    for (const [key, { timeframeIndex }] of buckets) if (timeframeIndex > 0 && !passed.has(key)) unsettled.set(key, []);
    for (const [second, { timeframeIndex, symbol, startSec }] of buckets) {
      if (timeframeIndex > 0) continue;
      for (const { name, seconds } of timeframes) {
        unsettled.get(`${name} ${symbol} ${startSec - (startSec % seconds)}`)?.push(second);
      }
    }
  }
  return { bars, passed, unsettled, ticks };
}

export interface GroupedTicks {
  /** By key, in the order of their first ticks. */
  readonly buckets: ReadonlyMap<string, Bucket>;
  readonly ticks: number;
}

/** Draws the whole stream into buckets. @param onTick hears of each tick with its second */
export function groupTicks(
  stream: TickStream,
  timeframes: readonly Timeframe[],
  onTick: (tick: TickStream['tick'], second: number) => void = () => undefined,
): GroupedTicks {
  const buckets = new Map<string, Bucket>();
  /** By timeframe and symbol the bucket of the tick before, which is that of the next one nearly always. */
  const recent = timeframes.map(() => new Map<string, Bucket>());
  const { tick } = stream;
  let ticks = 0;
  while (stream.next()) {
    ticks += 1;
    const second = Number(tick.tsEventNs / NS_PER_SECOND);
    onTick(tick, second);
    for (const [timeframeIndex, { name, seconds }] of timeframes.entries()) {
      const startSec = second - (second % seconds);
      const last = recent[timeframeIndex]!.get(tick.symbol);
      if (last?.startSec === startSec) merge(last, tick);
      else {
        const key = `${name} ${tick.symbol} ${startSec}`;
        const bucket = buckets.get(key);
        if (bucket) merge(bucket, tick);
        else buckets.set(key, openBucket(tick, timeframeIndex, startSec));
        recent[timeframeIndex]!.set(tick.symbol, buckets.get(key)!);
      }
    }
  }
  return { buckets, ticks };
}

function openBucket({ symbol, cents, quantity, tsEventNs }: TickStream['tick'], timeframeIndex: number, startSec: number): Bucket {
  const prices = { open: cents, high: cents, low: cents, close: cents };
  const sums = { volume: quantity, notional: cents * quantity, count: 1 };
  return { timeframeIndex, symbol, startSec, ...prices, ...sums, firstNs: tsEventNs, lastNs: tsEventNs };
}

function merge(bucket: Bucket, { cents, quantity, tsEventNs }: TickStream['tick']): void {
  bucket.high = Math.max(bucket.high, cents);
  bucket.low = Math.min(bucket.low, cents);
  bucket.close = cents;
  bucket.volume += quantity;
  bucket.notional += cents * quantity;
  bucket.count += 1;
  bucket.lastNs = tsEventNs;
}

function textOf({ open, high, low, close, volume, count, firstNs, lastNs }: Bucket): string {
  return barText({
    o: open / 100,
    h: high / 100,
    l: low / 100,
    c: close / 100,
    vol: volume,
    n: count,
    first: `${firstNs}`,
    last: `${lastNs}`,
  });
}

export interface BarTextFields {
  readonly o: number;
  readonly h: number;
  readonly l: number;
  readonly c: number;
  readonly vol: number | string;
  readonly n: number | string;
  /** Event times in ns; undefined where a pipeline has no such fields. */
  readonly first: string | undefined;
  readonly last: string | undefined;
}

/** A bar as one line. */
export function barText({ o, h, l, c, vol, n, first, last }: BarTextFields): string {
  const ends = first === undefined || last === undefined ? '' : ` first ${first} last ${last}`;
  return `o ${o} h ${h} l ${l} c ${c} vol ${vol} n ${n}${ends}`;
}

/** The bar that others come to, one behind the other, without their event times; nothing of nothing. */
export function mergeTexts(texts: readonly string[]): string {
  const bars = texts.map((text) => {
    const [o = 0, h = 0, l = 0, c = 0, vol = 0, n = 0] = [...text.matchAll(/\w+ (\S+)/g)].map(([, value]) => Number(value));
    return { o, h, l, c, vol, n };
  });
  const [first, last] = [bars[0], bars.at(-1)];
  if (!first || !last) return 'nothing';
  return barText({
    o: first.o,
    h: Math.max(...bars.map(({ h }) => h)),
    l: Math.min(...bars.map(({ l }) => l)),
    c: last.c,
    vol: bars.reduce((sum, { vol }) => sum + vol, 0),
    n: bars.reduce((sum, { n }) => sum + n, 0),
    first: undefined,
    last: undefined,
  });
}

/** What every pipeline of the contract writes: the event times are ours only. */
export function withoutEnds(text: string): string {
  return text.replace(/ first .*$/, '');
}

/** SHA-256 over all bars in the order of their keys. */
export function hashBars(bars: BarTexts): string {
  const hash = createHash('sha256');
  for (const key of [...bars.keys()].sort()) hash.update(`${key} ${bars.get(key)}\n`);
  return hash.digest('hex');
}
