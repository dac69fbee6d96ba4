/**
 * A market known order by order: follows the messages of one symbol and says of each lot that leaves whether it traded or was withdrawn.
 *
 * A maker named by `fill` has traded at once; the cancel or modify that takes the same lots off the book afterwards is only its echo. Where
 * a feed reports a trade and names no maker, cancels at that price in the same moment are taken for it. What then is left of a trade
 * belonged to an order that is not shown.
 */
import { BOOK_ACTION, BOOK_FLAG, BOOK_SIDE, type BookBatch } from '../../market/book-message.ts';
import { createLadder, forgetTaken, sideHit } from './levels.ts';
import { type BookChange, isBetter, type MarketListener, type MarketView, opposite, type Side, type World } from './market.ts';

/** A resting order of the feed. */
export interface BookOrder {
  readonly id: bigint;
  readonly side: Side;
  readonly priceTicks: number;
  /** Less every lot that is known to have traded. */
  leavesLots: number;
  /** Place by arrival; lower is earlier. */
  rank: number;
  /** Lots known to have traded that the book has not yet lost. */
  echoLots: number;
  /** What each account of ours has taken of it; none most of the time. */
  taken: Map<number, number> | undefined;
}

/** What becomes of single orders, for who studies the feed. */
export interface OrderWatcher {
  added(order: BookOrder, tsNs: bigint, isSnapshot: boolean): void;
  traded(order: BookOrder, lots: number, tsNs: bigint): void;
  withdrawn(order: BookOrder, lots: number, tsNs: bigint): void;
  /** Its owner gave it another price, a larger size or another id: it is another order now. */
  replaced(order: BookOrder): void;
}

interface Level {
  lots: number;
  /** In order of arrival. */
  readonly orders: Set<BookOrder>;
}

type Change = { -readonly [Field in keyof BookChange]: BookChange[Field] };

interface OpenTrade {
  side: Side | undefined;
  readonly priceTicks: number;
  leftLots: number;
  /** None of its makers has been named. */
  isAnonymous: boolean;
}

export interface OrderMarket extends MarketView {
  /** Takes message `index` of the batch, which is of this symbol. */
  apply(batch: BookBatch, index: number): void;
  /** Ends the moment: what traded since the last end is told in full. */
  settle(): void;
  order(id: bigint): BookOrder | undefined;
  /** Messages about orders that the feed never added: they stood before the recording began. */
  readonly unknownCount: number;
  readonly orderCount: number;
}

/** A batch of one symbol's messages in, calls to the listener out. */
export function createOrderMarket(listener: MarketListener, watcher?: OrderWatcher): OrderMarket {
  const orders = new Map<bigint, BookOrder>();
  const ladders = [createLadder<Level>(0), createLadder<Level>(1)] as const;
  const openTrades: OpenTrade[] = [];
  const change: Change = { side: 0, priceTicks: 0, lots: 0, rank: 0, orderId: 0n };
  let nextRank = 0;
  let lastNs = 0n;
  let unknownCount = 0;
  let hasNews = false;

  function rest(order: BookOrder): void {
    const ladder = ladders[order.side];
    const level = ladder.get(order.priceTicks) ?? ladder.open(order.priceTicks, { lots: 0, orders: new Set() });
    level.lots += order.leavesLots;
    level.orders.add(order);
    listener.changed(order.side, order.priceTicks);
  }

  function changeOf(order: BookOrder, lots: number): BookChange {
    change.side = order.side;
    change.priceTicks = order.priceTicks;
    change.lots = lots;
    change.rank = order.rank;
    change.orderId = order.id;
    return change;
  }

  /** A trade that no known order accounts for. */
  function tradeOutside(side: Side, priceTicks: number, lots: number, rank: number): void {
    listener.traded({ side, priceTicks, lots, rank, orderId: 0n });
  }

  /** Takes lots off the book; the order stays known until its echo has come. */
  function lower(order: BookOrder, lots: number): void {
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
    listener.changed(order.side, order.priceTicks);
  }

  function trade(order: BookOrder, lots: number): void {
    if (lots <= 0) return;
    lower(order, lots);
    listener.traded(changeOf(order, lots));
    watcher?.traded(order, lots, lastNs);
  }

  function withdraw(order: BookOrder, lots: number): void {
    if (lots <= 0) return;
    lower(order, lots);
    listener.withdrawn(changeOf(order, lots));
    watcher?.withdrawn(order, lots, lastNs);
  }

  function add(id: bigint, side: Side, priceTicks: number, lots: number): BookOrder {
    const order: BookOrder = { id, side, priceTicks, leavesLots: lots, rank: nextRank++, echoLots: 0, taken: undefined };
    orders.set(id, order);
    rest(order);
    return order;
  }

  /** The named maker of a trade: known at once, its echo follows. */
  function fill(id: bigint, side: number, priceTicks: number, lots: number): void {
    const order = orders.get(id);
    claim(side === BOOK_SIDE.none ? order?.side : sideOf(side), priceTicks, lots);
    if (order === undefined) {
      tellUnknown(sideOf(side), priceTicks, lots);
      return;
    }
    const visible = Math.min(lots, order.leavesLots);
    order.echoLots += visible;
    trade(order, visible);
    // An iceberg traded more than it showed: slices that came to the end of the queue one after the other.
    if (lots > visible) tradeOutside(order.side, order.priceTicks, lots - visible, Number.POSITIVE_INFINITY);
  }

  /** A maker accounts for lots of a reported trade. */
  function claim(side: Side | undefined, priceTicks: number, lots: number): void {
    const open = openTrades.find((each) => isAt(each, side, priceTicks));
    if (open === undefined) return;
    open.side = side;
    open.isAnonymous = false;
    open.leftLots = Math.max(0, open.leftLots - lots);
  }

  function tellUnknown(side: Side | undefined, priceTicks: number, lots: number): void {
    unknownCount += 1;
    if (side !== undefined) tradeOutside(side, priceTicks, lots, -1);
  }

  function cancel(order: BookOrder, lots: number): void {
    const echo = Math.min(lots, order.echoLots);
    order.echoLots -= echo;
    let rest = Math.min(lots - echo, order.leavesLots);
    const open = rest > 0 ? openTrades.find((each) => each.isAnonymous && isAt(each, order.side, order.priceTicks)) : undefined;
    if (open !== undefined) {
      const traded = Math.min(rest, open.leftLots);
      open.leftLots -= traded;
      trade(order, traded);
      rest -= traded;
    }
    withdraw(order, rest);
    if (order.leavesLots === 0 && order.echoLots === 0) orders.delete(order.id);
  }

  function modify(order: BookOrder, priceTicks: number, lots: number): void {
    order.echoLots = 0;
    if (priceTicks === order.priceTicks && lots <= order.leavesLots && lots > 0) {
      withdraw(order, order.leavesLots - lots);
      return;
    }
    watcher?.replaced(order);
    renew(order, order.id, priceTicks, lots);
  }

  /** Off the book and on again at the end of its level. */
  function renew(order: BookOrder, id: bigint, priceTicks: number, lots: number): void {
    settleBefore();
    if (order.leavesLots > 0) {
      const lost = order.leavesLots;
      lower(order, lost);
      listener.withdrawn(changeOf(order, lost));
    }
    orders.delete(order.id);
    if (lots > 0) add(id, order.side, priceTicks, lots);
  }

  /** What traded before an order came has nothing to do with it. */
  function settleBefore(): void {
    if (openTrades.length > 0) settle();
  }

  function settle(): void {
    for (const open of openTrades) {
      if (open.leftLots === 0) continue;
      const side = open.side ?? sideHit(ladders, open.priceTicks);
      if (side !== undefined) tradeOutside(side, open.priceTicks, open.leftLots, Number.POSITIVE_INFINITY);
    }
    openTrades.length = 0;
    hasNews = false;
    listener.settled(lastNs);
  }

  function clear(): void {
    orders.clear();
    for (const ladder of ladders) {
      for (const priceTicks of ladder.prices) listener.changed(ladder === ladders[0] ? 0 : 1, priceTicks);
      ladder.clear();
    }
  }

  function dispatch(batch: BookBatch, index: number): void {
    const action = batch.action[index]!;
    const id = batch.orderId[index]!;
    const side = batch.side[index]!;
    const priceTicks = batch.priceTicks[index]!;
    const lots = batch.quantityLots[index]!;
    if (action === BOOK_ACTION.add) {
      const resting = sideOf(side);
      if (resting === undefined) return;
      settleBefore();
      const old = orders.get(id);
      if (old !== undefined) {
        watcher?.replaced(old);
        renew(old, id, old.priceTicks, 0);
      }
      const order = add(id, resting, priceTicks, lots);
      watcher?.added(order, lastNs, (batch.flags[index]! & BOOK_FLAG.snapshot) !== 0);
    } else if (action === BOOK_ACTION.trade) {
      const isBetween = (batch.flags[index]! & BOOK_FLAG.betweenTicks) !== 0;
      const taker = sideOf(side);
      // Between two ticks a trade was inside the spread: no order on the grid is reached by it.
      if (!isBetween)
        openTrades.push({ side: taker === undefined ? undefined : opposite(taker), priceTicks, leftLots: lots, isAnonymous: true });
    } else if (action === BOOK_ACTION.fill) fill(id, side, priceTicks, lots);
    else if (action === BOOK_ACTION.clear) clear();
    else if (action !== BOOK_ACTION.status) alter(batch, index);
  }

  /** Messages about an order that must be known. */
  function alter(batch: BookBatch, index: number): void {
    const action = batch.action[index]!;
    const lots = batch.quantityLots[index]!;
    const order = orders.get(batch.orderId[index]!);
    if (order === undefined) {
      if (action === BOOK_ACTION.execute) {
        tellUnknown(sideOf(batch.side[index]!), batch.priceTicks[index]!, lots);
        return;
      }
      unknownCount += 1;
      return;
    }
    if (action === BOOK_ACTION.execute) {
      trade(order, Math.min(lots, order.leavesLots));
      if (order.leavesLots === 0) orders.delete(order.id);
    } else if (action === BOOK_ACTION.cancel) cancel(order, lots);
    else if (action === BOOK_ACTION.modify) modify(order, batch.priceTicks[index]!, lots);
    else if (action === BOOK_ACTION.replace) {
      watcher?.replaced(order);
      renew(order, batch.newOrderId[index]!, batch.priceTicks[index]!, lots);
    }
  }

  const freeOf = (order: BookOrder, world: World): number =>
    order.id === world.hiddenId ? 0 : Math.max(0, order.leavesLots - (order.taken?.get(world.account) ?? 0));

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
    get lastNs() {
      return lastNs;
    },
    get unknownCount() {
      return unknownCount;
    },
    get orderCount() {
      return orders.size;
    },
    apply(batch, index) {
      lastNs = batch.tsNs[index]!;
      hasNews = true;
      dispatch(batch, index);
      if ((batch.flags[index]! & BOOK_FLAG.last) !== 0) settle();
    },
    settle() {
      if (hasNews) settle();
    },
    order: (id) => orders.get(id),
    isComplete: () => true,
    bestTicks: (side) => ladders[side].best(),
    bestFor(world, side) {
      let best: number | undefined;
      walk(world, side, side === 0 ? Number.NEGATIVE_INFINITY : Number.POSITIVE_INFINITY, (order) => {
        best = order.priceTicks;
        return false;
      });
      return best;
    },
    lotsAt(world, side, priceTicks) {
      const lots = ladders[side].get(priceTicks)?.lots ?? 0;
      const hidden = world.hiddenId === undefined ? undefined : orders.get(world.hiddenId);
      return hidden !== undefined && hidden.side === side && hidden.priceTicks === priceTicks ? lots - hidden.leavesLots : lots;
    },
    takeRank: () => nextRank++,
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

/** True when the rest of a reported trade can be of an order at this price. */
function isAt(open: OpenTrade, side: Side | undefined, priceTicks: number): boolean {
  return open.leftLots > 0 && open.priceTicks === priceTicks && (open.side === undefined || open.side === side);
}

function sideOf(side: number): Side | undefined {
  return side === BOOK_SIDE.buy ? 0 : side === BOOK_SIDE.sell ? 1 : undefined;
}
