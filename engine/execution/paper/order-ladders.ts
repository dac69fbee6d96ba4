/** The resting orders of a feed by side, price and arrival, and what worlds of ours have taken of them. */
import { createLadder, forgetTaken, sideHit } from './levels.ts';
import { isBetter, type Side, type Taken, type World } from './market.ts';

/** A resting order of the feed. */
export interface BookOrder {
  readonly id: bigint;
  readonly side: Side;
  readonly priceTicks: number;
  /** Less every lot that is known to have traded. */
  leavesLots: number;
  /** Place by arrival; lower is earlier. */
  rank: number;
  /**
   * The place it has if its last change, which showed nothing, cost it its place: some venues tell of the change and not of the place.
   * Undefined when there was none.
   */
  doubtfulRank: number | undefined;
  /** Lots known to have traded that the book has not yet lost. */
  echoLots: number;
  /** What each account of ours has taken of it; none most of the time. */
  taken: Map<number, number> | undefined;
}

/** Of sizes that no order is known for: they stand before every order of their level. */
export const UNKNOWN_RANK = 0;
export const UNKNOWN_ID = 0n;

interface Level {
  lots: number;
  /** In order of arrival. */
  orders: Set<BookOrder>;
}

export interface OrderLadders {
  best(side: Side): number | undefined;
  /** Puts an order at the end of its level. */
  rest(order: BookOrder): void;
  /** Takes lots off an order; at 0 it is gone from its level. */
  lower(order: BookOrder, lots: number): void;
  /** Sizes with no known order at a price: one order, first of its level. */
  addUnknown(side: Side, priceTicks: number, lots: number): void;
  unknownAt(side: Side, priceTicks: number): BookOrder | undefined;
  /** Orders of a level before `rank` whose place is in doubt. */
  doubtful(side: Side, priceTicks: number, rank: number): BookOrder[];
  /** The doubt was right: the order stands where it would have come when it was changed. */
  sendBack(order: BookOrder, rank: number): void;
  /** Which side a trade at a price has hit, when the feed does not say. */
  sideHit(priceTicks: number): Side | undefined;
  clear(): void;
  lotsAt(side: Side, priceTicks: number): number;
  bestFor(world: World, side: Side): number | undefined;
  available(world: World, side: Side, limitTicks: number, lots: number): number;
  take(world: World, side: Side, limitTicks: number, lots: number, taken: Taken): number;
}

/** `changed` is called for each level whose size is another. */
export function createOrderLadders(changed: (side: Side, priceTicks: number) => void): OrderLadders {
  const ladders = [createLadder<Level>(0), createLadder<Level>(1)] as const;

  function rest(order: BookOrder): Level {
    const ladder = ladders[order.side];
    const level = ladder.get(order.priceTicks) ?? ladder.open(order.priceTicks, { lots: 0, orders: new Set() });
    level.lots += order.leavesLots;
    level.orders.add(order);
    changed(order.side, order.priceTicks);
    return level;
  }

  function unknownAt(side: Side, priceTicks: number): BookOrder | undefined {
    for (const first of ladders[side].get(priceTicks)?.orders ?? []) return first.id === UNKNOWN_ID ? first : undefined;
    return undefined;
  }

  /** Visits what a world can take, best price first, in order of arrival, until `visit` says enough. */
  function walk(world: World, side: Side, limitTicks: number, visit: (order: BookOrder, free: number) => boolean): void {
    const ladder = ladders[side];
    for (let place = ladder.prices.length - 1; place >= 0; place -= 1) {
      const priceTicks = ladder.prices[place]!;
      if (isBetter(side, limitTicks, priceTicks)) return;
      for (const order of ladder.get(priceTicks)?.orders ?? []) {
        const free = freeOf(order, world);
        if (free > 0 && !visit(order, free)) return;
      }
    }
  }

  return {
    best: (side) => ladders[side].best(),
    rest,
    lower(order, lots) {
      const ladder = ladders[order.side];
      const level = ladder.get(order.priceTicks);
      order.leavesLots -= lots;
      if (order.taken !== undefined) forgetTaken(order.taken, lots);
      if (level === undefined) return;
      level.lots -= lots;
      if (order.leavesLots === 0) {
        level.orders.delete(order);
        if (level.orders.size === 0) ladder.drop(order.priceTicks);
      }
      changed(order.side, order.priceTicks);
    },
    addUnknown(side, priceTicks, lots) {
      const known = unknownAt(side, priceTicks);
      if (known !== undefined) {
        known.leavesLots += lots;
        ladders[side].get(priceTicks)!.lots += lots;
        changed(side, priceTicks);
        return;
      }
      const order = {
        id: UNKNOWN_ID,
        side,
        priceTicks,
        leavesLots: lots,
        rank: UNKNOWN_RANK,
        doubtfulRank: undefined,
        echoLots: 0,
        taken: undefined,
      };
      const level = rest(order);
      if (level.orders.size > 1) level.orders = new Set([order, ...level.orders]);
    },
    unknownAt,
    doubtful(side, priceTicks, rank) {
      const found: BookOrder[] = [];
      for (const order of ladders[side].get(priceTicks)?.orders ?? []) {
        if (order.rank >= rank) break;
        if (order.doubtfulRank !== undefined) found.push(order);
      }
      return found;
    },
    sendBack(order, rank) {
      const level = ladders[order.side].get(order.priceTicks);
      order.rank = rank;
      order.doubtfulRank = undefined;
      if (level !== undefined) level.orders = new Set([...level.orders].sort((one, other) => one.rank - other.rank));
    },
    sideHit: (priceTicks) => sideHit(ladders, priceTicks),
    clear() {
      for (const side of [0, 1] as const) {
        for (const priceTicks of ladders[side].prices) changed(side, priceTicks);
        ladders[side].clear();
      }
    },
    lotsAt: (side, priceTicks) => ladders[side].get(priceTicks)?.lots ?? 0,
    bestFor(world, side) {
      let best: number | undefined;
      walk(world, side, side === 0 ? Number.NEGATIVE_INFINITY : Number.POSITIVE_INFINITY, (order) => {
        best = order.priceTicks;
        return false;
      });
      return best;
    },
    available(world, side, limitTicks, lots) {
      let found = 0;
      walk(world, side, limitTicks, (_order, free) => {
        found += free;
        return found < lots;
      });
      return Math.min(found, lots);
    },
    take(world, side, limitTicks, lots, taken) {
      let left = lots;
      walk(world, side, limitTicks, (order, free) => {
        const part = Math.min(free, left);
        order.taken ??= new Map();
        order.taken.set(world.account, (order.taken.get(world.account) ?? 0) + part);
        left -= part;
        taken(order.priceTicks, part);
        return left > 0;
      });
      return lots - left;
    },
  };
}

/** Lots of an order that a world can take: none of an order it must not have, none it has taken already. */
function freeOf(order: BookOrder, world: World): number {
  return order.id === world.hiddenId ? 0 : Math.max(0, order.leavesLots - (order.taken?.get(world.account) ?? 0));
}
