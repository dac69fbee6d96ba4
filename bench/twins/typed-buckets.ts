/**
 * Open buckets of the typed-array twin: one Float64Array, a bucket is 16 doubles (two cache lines) in the order of the fields that go out.
 * An empty one has FIRST = Infinity and holds identities, so that a merge needs no case for it.
 */
import * as T from './twin.ts';

// Constants of this module, since V8 folds these, and loads and checks an imported one at every use.
const { START, FIRST, LAST, OPEN, CLOSE, HIGH, LOW, LOTS, NOTIONAL_LOW, NOTIONAL_HIGH, TRADES, LATE } = T;
const { PRICE_SCALE, SYMBOL, PARTITION, TIMEFRAME, LOW_LIMIT } = T;

/** Doubles of a bucket. */
export const STRIDE = 16;

export interface BucketIdentity {
  readonly symbolIndex: number;
  readonly partition: number;
  readonly priceScale: number;
  readonly timeframe: number;
}

export function formatBucket(buckets: Float64Array, at: number, identity: BucketIdentity): void {
  buckets[at + SYMBOL] = identity.symbolIndex;
  buckets[at + PARTITION] = identity.partition;
  buckets[at + PRICE_SCALE] = identity.priceScale;
  buckets[at + TIMEFRAME] = identity.timeframe;
  emptyBucket(buckets, at);
}

export function emptyBucket(buckets: Float64Array, at: number): void {
  buckets[at + FIRST] = Infinity;
  buckets[at + LAST] = -Infinity;
  buckets[at + HIGH] = -Infinity;
  buckets[at + LOW] = Infinity;
  buckets[at + LOTS] = 0;
  buckets[at + NOTIONAL_LOW] = 0;
  buckets[at + NOTIONAL_HIGH] = 0;
  buckets[at + TRADES] = 0;
  buckets[at + LATE] = 0;
}

/** Merges the bucket at `from` into that at `into`, which starts at `startNs`; true when this opens it. */
export function mergeBucket(buckets: Float64Array, into: number, from: number, startNs: number): boolean {
  const firstNs = buckets[into + FIRST]!;
  const isOpening = firstNs === Infinity;
  if (isOpening) buckets[into + START] = startNs;
  else if (buckets[into + START] !== startNs) throw new RangeError(`bucket ${buckets[into + START]} ns is asked to start at ${startNs} ns`);
  if (buckets[from + FIRST]! < firstNs) {
    buckets[into + FIRST] = buckets[from + FIRST]!;
    buckets[into + OPEN] = buckets[from + OPEN]!;
  }
  if (buckets[from + LAST]! >= buckets[into + LAST]!) {
    buckets[into + LAST] = buckets[from + LAST]!;
    buckets[into + CLOSE] = buckets[from + CLOSE]!;
  }
  if (buckets[from + HIGH]! > buckets[into + HIGH]!) buckets[into + HIGH] = buckets[from + HIGH]!;
  if (buckets[from + LOW]! < buckets[into + LOW]!) buckets[into + LOW] = buckets[from + LOW]!;
  buckets[into + LOTS]! += buckets[from + LOTS]!;
  buckets[into + TRADES]! += buckets[from + TRADES]!;
  buckets[into + LATE]! += buckets[from + LATE]!;
  addNotional(buckets, into, buckets[from + NOTIONAL_LOW]!, buckets[from + NOTIONAL_HIGH]!);
  return isOpening;
}

/** Adds nearest(scaledPrice) x lots exactly, however large. */
export function addProduct(buckets: Float64Array, at: number, scaledPrice: number, lots: number): void {
  const units = T.nearest(scaledPrice);
  const product = units * lots;
  if (product >= 0 && product < LOW_LIMIT) {
    addNotional(buckets, at, product, 0);
    return;
  }
  const exact = BigInt(units) * BigInt(lots);
  addNotional(buckets, at, Number(BigInt.asUintN(52, exact)), Number(exact >> 52n));
}

/** Adds high x 2^52 + low, 0 <= low < 2^52, and carries. */
function addNotional(buckets: Float64Array, at: number, low: number, high: number): void {
  const sum = buckets[at + NOTIONAL_LOW]! + low;
  const carry = sum >= LOW_LIMIT ? 1 : 0;
  buckets[at + NOTIONAL_LOW] = carry === 1 ? sum - LOW_LIMIT : sum;
  buckets[at + NOTIONAL_HIGH]! += high + carry;
}
