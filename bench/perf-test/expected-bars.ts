/** What the ticks of a cell must come to: each bucket of each timeframe, by grouping alone. No watermark, no lateness, no batch is in it. */
import { createHash } from 'node:crypto';
import { murmur2Part } from '../../engine/market/murmur2.ts';
import type { Timeframe } from '../../engine/market/timeframes.ts';
import type { TickStream } from './tick-stream.ts';

/** A bucket; prices in cents, times in ns since the epoch. */
interface Bucket {
  open: number;
  high: number;
  low: number;
  close: number;
  volume: number;
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
  readonly ticks: number;
}

export interface PassedRule {
  readonly partitions: number;
  /** A bucket counts as passed when its partition is so far past its end. */
  readonly marginSec?: number;
}

/** Draws the whole stream. Ticks come in the order of their times. */
export function expectBars(stream: TickStream, timeframes: readonly Timeframe[], { partitions, marginSec = 0 }: PassedRule): ExpectedBars {
  const latest = new Map<number, number>();
  const partitionOf = new Map<string, number>();
  const buckets = new Map<string, Bucket>();
  /** By timeframe and symbol the bucket of the tick before, which is that of the next one nearly always. */
  const recent = timeframes.map(() => new Map<string, { readonly start: number; readonly bucket: Bucket }>());
  const { tick } = stream;
  let ticks = 0;
  while (stream.next()) {
    ticks += 1;
    const second = Number(tick.tsEventNs / NS_PER_SECOND);
    const partition = partitionOf.get(tick.symbol) ?? murmur2Part(Buffer.from(tick.symbol), partitions);
    partitionOf.set(tick.symbol, partition);
    latest.set(partition, second);
    for (const [index, { name, seconds }] of timeframes.entries()) {
      const start = second - (second % seconds);
      const last = recent[index]!.get(tick.symbol);
      const key = last?.start === start ? undefined : `${name} ${tick.symbol} ${start}`;
      const bucket = key === undefined ? last?.bucket : buckets.get(key);
      if (bucket) merge(bucket, tick);
      else if (key !== undefined) {
        const { cents, quantity, tsEventNs } = tick;
        const prices = { open: cents, high: cents, low: cents, close: cents };
        const made = { ...prices, volume: quantity, count: 1, firstNs: tsEventNs, lastNs: tsEventNs };
        buckets.set(key, made);
        recent[index]!.set(tick.symbol, { start, bucket: made });
      }
    }
  }
  const seconds = new Map(timeframes.map((timeframe) => [timeframe.name, timeframe.seconds]));
  const isPassed = (key: string): boolean => {
    const [timeframe = '', symbol = '', start] = key.split(' ');
    return Number(start) + (seconds.get(timeframe) ?? 0) + marginSec <= (latest.get(partitionOf.get(symbol) ?? -1) ?? 0);
  };
  const bars = new Map([...buckets].map(([key, bucket]) => [key, textOf(bucket)]));
  return { bars, passed: new Set([...bars.keys()].filter(isPassed)), ticks };
}

function merge(bucket: Bucket, { cents, quantity, tsEventNs }: TickStream['tick']): void {
  bucket.high = Math.max(bucket.high, cents);
  bucket.low = Math.min(bucket.low, cents);
  bucket.close = cents;
  bucket.volume += quantity;
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
