/** Price levels of one side: what rests at each price, and the prices in order. */
import { isBetter, type Side } from './market.ts';

/** Levels by price, the best last, so that what changes most is at the end of the array. */
export interface Ladder<Level> {
  readonly levels: ReadonlyMap<number, Level>;
  /** Worst to best. */
  readonly prices: readonly number[];
  best(): number | undefined;
  get(priceTicks: number): Level | undefined;
  open(priceTicks: number, level: Level): Level;
  drop(priceTicks: number): void;
  clear(): void;
}

export function createLadder<Level>(side: Side): Ladder<Level> {
  const levels = new Map<number, Level>();
  const prices: number[] = [];
  /** Index of the first price that is not worse than `priceTicks`. */
  const placeOf = (priceTicks: number): number => {
    let low = 0;
    let high = prices.length;
    while (low < high) {
      const middle = (low + high) >> 1;
      if (isBetter(side, priceTicks, prices[middle]!)) low = middle + 1;
      else high = middle;
    }
    return low;
  };
  return {
    levels,
    prices,
    best: () => prices[prices.length - 1],
    get: (priceTicks) => levels.get(priceTicks),
    open(priceTicks, level) {
      levels.set(priceTicks, level);
      prices.splice(placeOf(priceTicks), 0, priceTicks);
      return level;
    },
    drop(priceTicks) {
      if (levels.delete(priceTicks)) prices.splice(placeOf(priceTicks), 1);
    },
    clear() {
      levels.clear();
      prices.length = 0;
    },
  };
}

/** Which side a trade without one has hit: the bids when it was at or below them, the asks at or above them; in between nobody knows. */
export function sideHit(ladders: readonly [Ladder<unknown>, Ladder<unknown>], priceTicks: number): Side | undefined {
  const bid = ladders[0].best();
  const ask = ladders[1].best();
  const isBid = bid !== undefined && priceTicks <= bid;
  const isAsk = ask !== undefined && priceTicks >= ask;
  if (isBid === isAsk) return undefined;
  return isBid ? 0 : 1;
}

/** Lots left the front of a level or of an order, and there stood what each account has taken: that much is forgotten. */
export function forgetTaken(taken: Map<number, number>, lots: number): void {
  for (const [account, part] of taken) {
    if (part > lots) taken.set(account, part - lots);
    else taken.delete(account);
  }
}
