/**
 * How far back a source would have to be read to see every tick that is still open: for each open bucket an offset that none of its ticks
 * lies before. Exact offsets of ticks are not known here, so it errs to the older side, by the ticks of one epoch.
 *
 *   a bucket that is new:        the place where the epoch began
 *   a bucket that was there:     what it had
 *   either, with shorter buckets that ended in it during the epoch: the least of theirs too, since their ticks are in it now
 */

/** The open buckets of one symbol, in columns. */
export interface OpenBuckets {
  readonly seconds: readonly number[];
  readonly startNs: readonly bigint[];
  /** By bucket; null where the source has no offsets. */
  readonly since: readonly (bigint | null)[];
}

export interface OpenSince {
  /**
   * The offsets of a symbol's buckets as they are at the end of the epoch under way. May be asked again for the same epoch.
   * @param startOffset the place where the epoch began in the symbol's partition; null without offsets
   */
  plan(symbolIndex: number, buckets: Omit<OpenBuckets, 'since'>, startOffset: bigint | null): OpenBuckets['since'];
  /** The symbol has nothing open any more. */
  planClear(symbolIndex: number): void;
  /** The epoch under way is begun again, or has not been begun: what was planned is forgotten. */
  restart(): void;
  /** The epoch is durable: what was planned holds. */
  settle(): void;
}

const NS_PER_SECOND = 1_000_000_000n;

/** @param stored what was open when the writer began, by symbol */
export function createOpenSince(stored: ReadonlyMap<string, OpenBuckets>, nameOf: (symbolIndex: number) => string): OpenSince {
  const known = new Map<number, OpenBuckets | undefined>();
  const planned = new Map<number, OpenBuckets | undefined>();
  const before = (symbolIndex: number): OpenBuckets | undefined =>
    known.has(symbolIndex) ? known.get(symbolIndex) : stored.get(nameOf(symbolIndex));
  return {
    plan(symbolIndex, buckets, startOffset) {
      const since = sinceOf(before(symbolIndex), buckets, startOffset);
      planned.set(symbolIndex, { ...buckets, since });
      return since;
    },
    planClear(symbolIndex) {
      planned.set(symbolIndex, undefined);
    },
    restart() {
      planned.clear();
    },
    settle() {
      for (const [symbolIndex, buckets] of planned) known.set(symbolIndex, buckets);
      planned.clear();
    },
  };
}

/** The offset of each bucket of `now`, by the rule above. */
export function sinceOf(before: OpenBuckets | undefined, now: Omit<OpenBuckets, 'since'>, startOffset: bigint | null): (bigint | null)[] {
  if (startOffset === null) return now.seconds.map(() => null);
  const since: bigint[] = [];
  for (let index = 0; index < now.seconds.length; index += 1) {
    const at = before === undefined ? -1 : indexOf(before, now.seconds[index]!, now.startNs[index]!);
    since.push((at < 0 ? undefined : before?.since[at]) ?? startOffset);
  }
  if (before === undefined) return since;
  for (let gone = 0; gone < before.seconds.length; gone += 1) {
    const seconds = before.seconds[gone]!;
    const startNs = before.startNs[gone]!;
    if (indexOf(now, seconds, startNs) >= 0) continue;
    // A bucket without an offset was open before the source had any.
    const from = before.since[gone] ?? 0n;
    for (let index = 0; index < now.seconds.length; index += 1) {
      const lengthNs = BigInt(now.seconds[index]!) * NS_PER_SECOND;
      const isInside = now.seconds[index]! > seconds && startNs >= now.startNs[index]! && startNs < now.startNs[index]! + lengthNs;
      if (isInside && from < since[index]!) since[index] = from;
    }
  }
  return since;
}

function indexOf(buckets: Omit<OpenBuckets, 'since'>, seconds: number, startNs: bigint): number {
  for (let index = 0; index < buckets.seconds.length; index += 1) {
    if (buckets.seconds[index] === seconds && buckets.startNs[index] === startNs) return index;
  }
  return -1;
}
