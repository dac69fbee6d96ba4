/**
 * A book of price levels kept from a venue's differences, as Binance sends them. A difference says from which to which update it tells; what is
 * missing in between makes the book wrong for good, so a gap empties it until a snapshot comes.
 *
 *              snapshot that meets the buffered differences
 *   waiting ─────────────────────────────────────────────────▶ live
 *      ▲  differences are buffered                              │ differences are applied
 *      └───────────────── gap: counted ─────────────────────────┘
 */

/** How the update numbers of a venue join. */
export const DEPTH_NUMBERING = {
  /** The next difference begins one after the last one ended. */
  spot: 'spot',
  /** The next difference names the end of the last one. */
  futures: 'futures',
} as const;
export type DepthNumbering = keyof typeof DEPTH_NUMBERING;

/** Prices and quantities in pairs, both in whole units of the instrument's decimals; a quantity of 0 takes the level away. */
export type DepthLevels = readonly (readonly [price: number, quantity: number])[];

export interface DepthDifference {
  readonly firstId: number;
  readonly lastId: number;
  /** End of the difference before it; only with futures numbering. */
  readonly previousId?: number;
  readonly bids: DepthLevels;
  readonly asks: DepthLevels;
}

export interface DepthSnapshot {
  readonly lastId: number;
  readonly bids: DepthLevels;
  readonly asks: DepthLevels;
}

/** What became of a difference: `old` ones tell what the book knows already. */
export type DepthOutcome = 'applied' | 'buffered' | 'old' | 'gap';

export interface DepthCounts {
  applied: number;
  old: number;
  /** Times that updates were missing. */
  gaps: number;
  /** Times that a snapshot made the book live. */
  resyncs: number;
  /** Snapshots older than the book, or with updates missing between them and what was buffered. */
  refusedSnapshots: number;
  /** Differences that the buffer had no room for; the oldest go. */
  overflowed: number;
}

export interface DepthLevel {
  readonly price: number;
  readonly quantity: number;
}

export interface DepthBook {
  readonly state: 'waiting' | 'live';
  /** Update that the book stands at; 0 while waiting. */
  readonly lastId: number;
  readonly counts: Readonly<DepthCounts>;
  difference(difference: DepthDifference): DepthOutcome;
  /** Returns false when the snapshot does not meet what is buffered; a newer one, or a later try, is needed. */
  snapshot(snapshot: DepthSnapshot): boolean;
  /** The best `depth` levels of a side (0 buy, 1 sell), best first; all unless told. */
  levels(side: number, depth?: number): DepthLevel[];
  best(side: number): DepthLevel | undefined;
  levelCount(side: number): number;
}

export interface DepthBookOptions {
  readonly numbering: DepthNumbering;
  /** Differences kept while waiting. */
  readonly bufferCapacity: number;
}

export function createDepthBook({ numbering, bufferCapacity }: DepthBookOptions): DepthBook {
  const sides = [createSide(true), createSide(false)] as const;
  const sideOf = (side: number): DepthSide => (side === 0 ? sides[0] : sides[1]);
  const counts: DepthCounts = { applied: 0, old: 0, gaps: 0, resyncs: 0, refusedSnapshots: 0, overflowed: 0 };
  let buffered: DepthDifference[] = [];
  let state: 'waiting' | 'live' = 'waiting';
  let lastId = 0;
  /** The first difference after a snapshot overlaps it; those after it join exactly. */
  let isFirst = false;

  const buffer = (difference: DepthDifference): void => {
    if (buffered.length === bufferCapacity) {
      buffered.shift();
      counts.overflowed += 1;
    }
    buffered.push(difference);
  };
  const isOld = ({ lastId: end }: DepthDifference): boolean => (numbering === 'spot' || !isFirst ? end <= lastId : end < lastId);
  const joins = ({ firstId, lastId: end, previousId }: DepthDifference): boolean => {
    if (numbering === 'spot') return firstId <= lastId + 1;
    return previousId === lastId || (isFirst && firstId <= lastId && end >= lastId);
  };
  const apply = (difference: DepthDifference): DepthOutcome => {
    if (isOld(difference)) {
      counts.old += 1;
      return 'old';
    }
    if (!joins(difference)) return 'gap';
    sides[0].take(difference.bids);
    sides[1].take(difference.asks);
    lastId = difference.lastId;
    isFirst = false;
    counts.applied += 1;
    return 'applied';
  };
  const lose = (): void => {
    state = 'waiting';
    lastId = 0;
    for (const side of sides) side.clear();
  };
  return {
    counts,
    get state() {
      return state;
    },
    get lastId() {
      return lastId;
    },
    difference(difference) {
      if (state === 'waiting') {
        buffer(difference);
        return 'buffered';
      }
      const outcome = apply(difference);
      if (outcome !== 'gap') return outcome;
      counts.gaps += 1;
      lose();
      buffered = [difference];
      return 'gap';
    },
    snapshot(snapshot) {
      if (state === 'live' && snapshot.lastId <= lastId) {
        counts.refusedSnapshots += 1;
        return false;
      }
      if (state === 'live') buffered = [];
      lose();
      lastId = snapshot.lastId;
      isFirst = true;
      sides[0].take(snapshot.bids);
      sides[1].take(snapshot.asks);
      for (const [index, difference] of buffered.entries()) {
        if (apply(difference) !== 'gap') continue;
        counts.refusedSnapshots += 1;
        buffered = buffered.slice(index);
        lose();
        return false;
      }
      buffered = [];
      state = 'live';
      counts.resyncs += 1;
      return true;
    },
    levels: (side, depth) => sideOf(side).list(depth),
    best: (side) => sideOf(side).list(1)[0],
    levelCount: (side) => sideOf(side).count(),
  };
}

interface DepthSide {
  take(levels: DepthLevels): void;
  clear(): void;
  list(depth?: number): DepthLevel[];
  count(): number;
}

/** Levels in two arrays, worst first, as most changes happen near the best. */
function createSide(isBuy: boolean): DepthSide {
  let prices: number[] = [];
  let quantities: number[] = [];
  /** The index of a price, or of the first one that is better. */
  const find = (price: number): number => {
    let low = 0;
    let high = prices.length;
    while (low < high) {
      const middle = (low + high) >> 1;
      if (isBuy ? prices[middle]! < price : prices[middle]! > price) low = middle + 1;
      else high = middle;
    }
    return low;
  };
  return {
    take(levels) {
      for (const [price, quantity] of levels) {
        const index = find(price);
        const isThere = prices[index] === price;
        if (quantity === 0 && isThere) {
          prices.splice(index, 1);
          quantities.splice(index, 1);
        } else if (quantity !== 0 && isThere) quantities[index] = quantity;
        else if (quantity !== 0) {
          prices.splice(index, 0, price);
          quantities.splice(index, 0, quantity);
        }
      }
    },
    clear() {
      prices = [];
      quantities = [];
    },
    list(depth = prices.length) {
      const last = prices.length - 1;
      const count = Math.min(depth, prices.length);
      return Array.from({ length: count }, (_, index) => ({ price: prices[last - index]!, quantity: quantities[last - index]! }));
    },
    count: () => prices.length,
  };
}
