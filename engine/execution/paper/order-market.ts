/**
 * A market known order by order: follows the messages of one symbol and says of each lot that leaves whether it traded or was withdrawn.
 *
 * A maker named by `fill` has traded at once; the cancel or modify that takes the same lots off the book afterwards is only its echo. Where
 * a feed reports a trade and names no maker, cancels at that price in the same moment are taken for it. What then is left of a trade
 * belonged to an order that is not shown.
 */
import { BOOK_ACTION, BOOK_FLAG, BOOK_SIDE, type BookBatch } from '../../market/book-message.ts';
import type { BookChange, MarketListener, MarketView, Side } from './market.ts';
import { createOpenTrades } from './open-trades.ts';
import { type BookOrder, createOrderLadders, UNKNOWN_ID, UNKNOWN_RANK } from './order-ladders.ts';

/** What becomes of single orders, for who studies the feed. */
export interface OrderWatcher {
  added(order: BookOrder, tsNs: bigint, isSnapshot: boolean): void;
  traded(order: BookOrder, lots: number, tsNs: bigint): void;
  withdrawn(order: BookOrder, lots: number, tsNs: bigint): void;
  /** Its owner changed it other than by making it smaller. */
  replaced(order: BookOrder): void;
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

type Change = { -readonly [Field in keyof BookChange]: BookChange[Field] };

/** Messages of one symbol in, calls to the listener out. */
export function createOrderMarket(listener: MarketListener, watcher?: OrderWatcher): OrderMarket {
  const orders = new Map<bigint, BookOrder>();
  const ladders = createOrderLadders((side, priceTicks) => listener.changed(side, priceTicks));
  const openTrades = createOpenTrades();
  /** Makers that traded in this moment, each the last of its level so far. */
  const makers: BookOrder[] = [];
  const change: Change = { side: 0, priceTicks: 0, lots: 0, rank: 0, orderId: 0n };
  let nextRank = UNKNOWN_RANK + 1;
  let lastNs = 0n;
  let unknownCount = 0;
  let hasNews = false;

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
    listener.traded({ side, priceTicks, lots, rank, orderId: UNKNOWN_ID });
  }

  function trade(order: BookOrder, lots: number): void {
    if (lots <= 0) return;
    ladders.lower(order, lots);
    noteMaker(order);
    listener.traded(changeOf(order, lots));
    watcher?.traded(order, lots, lastNs);
  }

  function noteMaker(order: BookOrder): void {
    const last = makers.at(-1);
    if (last === undefined || last.side !== order.side || last.priceTicks !== order.priceTicks) makers.push(order);
    else if (last.rank < order.rank) makers[makers.length - 1] = order;
  }

  /**
   * An order that was passed over and whose place was in doubt has lost it. This is looked at after the moment, so that no order of ours
   * gains by the very trade that shows it. Who keeps its place and is passed over was not allowed to trade with that taker.
   */
  function sendBackPassed(): void {
    for (const maker of makers) {
      for (const order of ladders.doubtful(maker.side, maker.priceTicks, maker.rank)) {
        const rank = order.doubtfulRank ?? order.rank;
        listener.sentBack(changeOf(order, order.leavesLots), rank);
        ladders.sendBack(order, rank);
      }
    }
    makers.length = 0;
  }

  function withdraw(order: BookOrder, lots: number): void {
    if (lots <= 0) return;
    ladders.lower(order, lots);
    listener.withdrawn(changeOf(order, lots));
    watcher?.withdrawn(order, lots, lastNs);
  }

  function add(id: bigint, side: Side, priceTicks: number, lots: number): BookOrder {
    const order: BookOrder = {
      id,
      side,
      priceTicks,
      leavesLots: lots,
      rank: nextRank++,
      doubtfulRank: undefined,
      echoLots: 0,
      taken: undefined,
    };
    orders.set(id, order);
    ladders.rest(order);
    return order;
  }

  /** The order a message is about; when none is known, the unknown size at its price. */
  function find(batch: BookBatch, index: number): BookOrder | undefined {
    const known = orders.get(batch.orderId[index]!);
    const side = sideOf(batch.side[index]!);
    return known ?? (side === undefined ? undefined : ladders.unknownAt(side, batch.priceTicks[index]!));
  }

  function forgetIfGone(order: BookOrder): void {
    if (order.leavesLots === 0 && order.echoLots === 0) orders.delete(order.id);
  }

  /** The named maker of a trade: known at once, its echo follows. */
  function fill(order: BookOrder, lots: number): void {
    const visible = Math.min(lots, order.leavesLots);
    order.echoLots += visible;
    trade(order, visible);
    // An iceberg traded more than it showed: slices that came to the end of the queue one after the other.
    if (lots > visible) tradeOutside(order.side, order.priceTicks, lots - visible, Number.POSITIVE_INFINITY);
  }

  function cancel(order: BookOrder, lots: number): void {
    const echo = Math.min(lots, order.echoLots);
    order.echoLots -= echo;
    const gone = Math.min(lots - echo, order.leavesLots);
    const traded = openTrades.claimUnnamed(order.side, order.priceTicks, gone);
    trade(order, traded);
    withdraw(order, gone - traded);
    forgetIfGone(order);
  }

  function modify(order: BookOrder, priceTicks: number, lots: number): void {
    const isEcho = order.echoLots > 0;
    order.echoLots = 0;
    if (priceTicks === order.priceTicks && lots <= order.leavesLots && lots > 0) {
      const gone = order.leavesLots - lots;
      const traded = openTrades.claimUnnamed(order.side, order.priceTicks, gone);
      trade(order, traded);
      withdraw(order, gone - traded);
      if (gone === 0 && !isEcho) {
        order.doubtfulRank = nextRank++;
        watcher?.replaced(order);
      }
    } else renew(order, order.id, priceTicks, lots);
  }

  /** Off the book and on again at the end of its level; `lots` 0: only off. */
  function renew(order: BookOrder, id: bigint, priceTicks: number, lots: number): void {
    watcher?.replaced(order);
    settleBefore();
    const lost = order.leavesLots;
    if (lost > 0) {
      ladders.lower(order, lost);
      listener.withdrawn(changeOf(order, lost));
    }
    orders.delete(order.id);
    if (lots > 0) add(id, order.side, priceTicks, lots);
  }

  /** What traded before an order came has nothing to do with it. */
  function settleBefore(): void {
    if (openTrades.count > 0) settle();
  }

  function settle(): void {
    openTrades.close((told, priceTicks, lots) => {
      const side = told ?? ladders.sideHit(priceTicks);
      if (side !== undefined) tradeOutside(side, priceTicks, lots, Number.POSITIVE_INFINITY);
    });
    hasNews = false;
    listener.settled(lastNs);
    if (makers.length > 0) sendBackPassed();
  }

  function enter(batch: BookBatch, index: number): void {
    const id = batch.orderId[index]!;
    const side = sideOf(batch.side[index]!);
    const priceTicks = batch.priceTicks[index]!;
    if (side === undefined) return;
    settleBefore();
    if (id === UNKNOWN_ID) {
      ladders.addUnknown(side, priceTicks, batch.quantityLots[index]!);
      return;
    }
    const old = orders.get(id);
    if (old !== undefined) renew(old, id, priceTicks, 0);
    const order = add(id, side, priceTicks, batch.quantityLots[index]!);
    watcher?.added(order, lastNs, (batch.flags[index]! & BOOK_FLAG.snapshot) !== 0);
  }

  /** Messages about one resting order. */
  function alter(batch: BookBatch, index: number): void {
    const action = batch.action[index]!;
    const lots = batch.quantityLots[index]!;
    const priceTicks = batch.priceTicks[index]!;
    const order = find(batch, index);
    const side = order?.side ?? sideOf(batch.side[index]!);
    if (action === BOOK_ACTION.fill) openTrades.claim(side, priceTicks, lots);
    if (order === undefined || order.id === UNKNOWN_ID) unknownCount += 1;
    if (action === BOOK_ACTION.modify || action === BOOK_ACTION.replace) {
      const id = action === BOOK_ACTION.replace ? batch.newOrderId[index]! : batch.orderId[index]!;
      if (order === undefined || order.id === UNKNOWN_ID) {
        // Of an order from before the recording this is the first that is known of it.
        settleBefore();
        if (side !== undefined && lots > 0) add(id, side, priceTicks, lots);
      } else if (action === BOOK_ACTION.modify) modify(order, priceTicks, lots);
      else renew(order, id, priceTicks, lots);
    } else if (order !== undefined) take(order, action, lots);
    else if (action !== BOOK_ACTION.cancel && side !== undefined) tradeOutside(side, priceTicks, lots, -1);
  }

  /** Lots leave a resting order. */
  function take(order: BookOrder, action: number, lots: number): void {
    if (action === BOOK_ACTION.fill) fill(order, lots);
    else if (action === BOOK_ACTION.cancel) cancel(order, lots);
    else {
      trade(order, Math.min(lots, order.leavesLots));
      forgetIfGone(order);
    }
  }

  function dispatch(batch: BookBatch, index: number): void {
    const action = batch.action[index]!;
    if (action === BOOK_ACTION.add) enter(batch, index);
    else if (action === BOOK_ACTION.trade) {
      // Between two ticks a trade was inside the spread: no order on the grid is reached by it.
      const isBetween = (batch.flags[index]! & BOOK_FLAG.betweenTicks) !== 0;
      if (!isBetween) openTrades.report(batch.side[index]!, batch.priceTicks[index]!, batch.quantityLots[index]!);
    } else if (action === BOOK_ACTION.clear) {
      orders.clear();
      ladders.clear();
    } else if (action !== BOOK_ACTION.status) alter(batch, index);
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
    bestTicks: ladders.best,
    bestFor: ladders.bestFor,
    lotsAt(world, side, priceTicks) {
      const lots = ladders.lotsAt(side, priceTicks);
      const hidden = world.hiddenId === undefined ? undefined : orders.get(world.hiddenId);
      return hidden !== undefined && hidden.side === side && hidden.priceTicks === priceTicks ? lots - hidden.leavesLots : lots;
    },
    takeRank: () => nextRank++,
    available: ladders.available,
    take: ladders.take,
  };
}

function sideOf(side: number): Side | undefined {
  return side === BOOK_SIDE.buy ? 0 : side === BOOK_SIDE.sell ? 1 : undefined;
}
