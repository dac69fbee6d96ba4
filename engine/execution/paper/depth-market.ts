/**
 * A market known by sizes: price levels and trades (L2), best quotes and trades (L1), or trades alone. Who stands where within a level is not
 * known; a trade is told as of nobody in particular.
 */
import type { DepthKind } from '../../market/depth-message.ts';
import { createLadder, forgetTaken, sideHit } from './levels.ts';
import { isBetter, type MarketListener, type MarketView, type Side, type World } from './market.ts';

/** Lots of a level that are not there for a world: those of the real order that it must not have. */
export type HiddenLots = (world: World, side: Side, priceTicks: number) => number;

interface Level {
  lots: number;
  /** What each account of ours has taken of it. */
  taken: Map<number, number> | undefined;
}

export interface DepthMarket extends MarketView {
  readonly kind: DepthKind;
  /** A level's size is now `lots`; 0: it is gone. */
  level(side: Side, priceTicks: number, lots: number, tsNs: bigint): void;
  /** The best of a side is now this; what was better is gone, what is worse is no longer known. `lots` 0: the side is empty. */
  quote(side: Side, priceTicks: number, lots: number, tsNs: bigint): void;
  /** A trade; `side` is of the order that rested, undefined when the feed does not say. Tell trades before the sizes they leave behind. */
  trade(side: Side | undefined, priceTicks: number, lots: number, tsNs: bigint): void;
  /** Ends the moment. */
  settle(): void;
  /** Nothing is known any more, until a level or a quote is told: a gap in the feed, or its beginning. What rests keeps its place. */
  clear(): void;
}

export function createDepthMarket(kind: DepthKind, listener: MarketListener, hiddenLots: HiddenLots = () => 0): DepthMarket {
  const ladders = [createLadder<Level>(0), createLadder<Level>(1)] as const;
  let nextRank = 0;
  let lastNs = 0n;
  let isLost = false;

  function set(side: Side, priceTicks: number, lots: number): void {
    const ladder = ladders[side];
    const level = ladder.get(priceTicks);
    if (lots <= 0) ladder.drop(priceTicks);
    else if (level === undefined) ladder.open(priceTicks, { lots, taken: undefined });
    else {
      // What goes off a level goes off its front, and there stood the lots that were taken.
      if (lots < level.lots && level.taken !== undefined) forgetTaken(level.taken, level.lots - lots);
      level.lots = lots;
    }
    listener.changed(side, priceTicks);
  }

  /** Visits what a world can take, best price first, until `visit` says enough. */
  function walk(world: World, side: Side, limitTicks: number, visit: (priceTicks: number, level: Level, free: number) => boolean): void {
    const ladder = ladders[side];
    for (let place = ladder.prices.length - 1; place >= 0; place -= 1) {
      const priceTicks = ladder.prices[place]!;
      const level = ladder.get(priceTicks);
      if (level === undefined || isBetter(side, limitTicks, priceTicks)) return;
      const free = Math.max(0, level.lots - (level.taken?.get(world.account) ?? 0));
      if (free > 0 && !visit(priceTicks, level, free)) return;
    }
  }

  return {
    kind,
    get lastNs() {
      return lastNs;
    },
    level(side, priceTicks, lots, tsNs) {
      lastNs = tsNs;
      isLost = false;
      set(side, priceTicks, lots);
    },
    quote(side, priceTicks, lots, tsNs) {
      lastNs = tsNs;
      for (const other of [...ladders[side].prices]) if (other !== priceTicks) set(side, other, 0);
      set(side, priceTicks, lots);
    },
    trade(side, priceTicks, lots, tsNs) {
      lastNs = tsNs;
      const hit = side ?? sideHit(ladders, priceTicks);
      // Of a trade on an unknown side of an unknown book either side may have been the one that waited.
      const sides: readonly Side[] = hit !== undefined ? [hit] : kind === 'trades' ? [0, 1] : [];
      for (const each of sides) listener.traded({ side: each, priceTicks, lots, rank: Number.POSITIVE_INFINITY, orderId: 0n });
    },
    settle: () => listener.settled(lastNs),
    clear() {
      isLost = true;
      for (const side of [0, 1] as const) for (const priceTicks of [...ladders[side].prices]) set(side, priceTicks, 0);
    },
    isComplete(side, priceTicks) {
      if (kind === 'levels') return !isLost;
      const best = ladders[side].best();
      return kind === 'quotes' && best !== undefined && !isBetter(side, best, priceTicks);
    },
    bestTicks: (side) => ladders[side].best(),
    bestFor: (_world, side) => ladders[side].best(),
    lotsAt: (world, side, priceTicks) => Math.max(0, (ladders[side].get(priceTicks)?.lots ?? 0) - hiddenLots(world, side, priceTicks)),
    takeRank: () => nextRank++,
    available(world, side, limitTicks, lots) {
      let found = 0;
      walk(world, side, limitTicks, (_price, _level, free) => {
        found += free;
        return found < lots;
      });
      return Math.min(found, lots);
    },
    take(world, side, limitTicks, lots, taken) {
      let left = lots;
      walk(world, side, limitTicks, (priceTicks, level, free) => {
        const part = Math.min(free, left);
        level.taken ??= new Map();
        level.taken.set(world.account, (level.taken.get(world.account) ?? 0) + part);
        left -= part;
        taken(priceTicks, part);
        return left > 0;
      });
      return lots - left;
    },
  };
}
