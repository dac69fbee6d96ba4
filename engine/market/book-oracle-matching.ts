/** How the plain book matches: arrivals (O1 to O10), taking (T1 to T4), settling (S1 to S3) and the uncross (U1 to U3) of docs/reference/matching.md. */
import * as L from '../../schemas/order-layout.gen.ts';
import { assert } from '../core/errors.ts';
import { isWithin } from './book-oracle-checks.ts';
import {
  type BookRegion,
  type BookSymbol,
  becomeType,
  bookOf,
  emit,
  emitGone,
  emitOrder,
  hasPage,
  leave,
  type Order,
  opposite,
  ordersOf,
  SIDES,
  type Side,
  stand,
} from './book-oracle-region.ts';
import { BUY, isAllOrNone, isPostOnly, SELL, selfMatchOf, timeInForceOf, typeOf } from './order-command.ts';

/** An order that is in no book meets the market (O1 to O6), or only stands: when nothing matches, and when it is post-only (O7). */
export function arrive(region: BookRegion, symbol: BookSymbol, order: Order): void {
  if (bookOf(order.attributes) === 'stop') arriveStop(region, symbol, order);
  else if (symbol.instrument.phase !== L.PHASE_CONTINUOUS || isPostOnly(order.attributes)) stand(region, symbol, order);
  else if (isAllOrNone(order.attributes)) arriveAllOrNone(region, symbol, order);
  else meetMarket(region, symbol, order);
}

/** O9: a stop whose trigger the last price has reached is the first of the queue, else it waits. */
function arriveStop(region: BookRegion, symbol: BookSymbol, order: Order): void {
  const { phase, lastTicks } = symbol.instrument;
  const isReached = lastTicks !== L.ORDER_LIMIT_PRICE_NONE && isTriggerReached(order, lastTicks);
  if (phase === L.PHASE_CONTINUOUS && isReached) symbol.queue.push(order);
  else stand(region, symbol, order);
}

/** O6. */
function arriveAllOrNone(region: BookRegion, symbol: BookSymbol, order: Order): void {
  if (dryRun(symbol, order) === order.leavesLots) takeWhole(region, symbol, order);
  else stand(region, symbol, order);
}

/** O1 to O5: takes what it may; the rest stands or is cancelled. */
function meetMarket(region: BookRegion, symbol: BookSymbol, order: Order): void {
  const isMarket = typeOf(order.attributes) === L.ORDER_TYPE_MARKET;
  const timeInForce = timeInForceOf(order.attributes);
  if (timeInForce === L.TIME_IN_FORCE_FOK) {
    if (dryRun(symbol, order) === order.leavesLots) takeWhole(region, symbol, order);
    else emitGone(region, order, L.ORDER_REASON_UNFILLED);
    return;
  }
  const before = order.leavesLots;
  const isStopped = take(region, symbol, order);
  if (order.leavesLots === 0) return;
  if (isStopped) emitGone(region, order, L.ORDER_REASON_SELF_MATCH);
  else if (isMarket) emitGone(region, order, order.leavesLots === before ? L.ORDER_REASON_NO_LIQUIDITY : L.ORDER_REASON_REMAINDER);
  else if (timeInForce === L.TIME_IN_FORCE_IOC) emitGone(region, order, L.ORDER_REASON_REMAINDER);
  else stand(region, symbol, order);
}

function takeWhole(region: BookRegion, symbol: BookSymbol, order: Order): void {
  take(region, symbol, order);
  assert(order.leavesLots === 0, `the dry run promised the whole of order ${order.orderId}, ${order.leavesLots} are left`);
}

/** The worst price at which the order takes; T4: of a market order the band's limit. */
function limitOf(symbol: BookSymbol, order: Order): number {
  if (typeOf(order.attributes) !== L.ORDER_TYPE_MARKET) return order.priceTicks;
  return order.side === BUY ? symbol.instrument.upperTicks : symbol.instrument.lowerTicks;
}

/** The prices an order can take at, best first. */
function pricesFor(symbol: BookSymbol, taker: Order): number[] {
  const limitTicks = limitOf(symbol, taker);
  const prices = new Set<number>();
  for (const book of ['displayed', 'allOrNone'] as const) {
    for (const maker of ordersOf(symbol, book, opposite(taker.side))) {
      if (!isWithin(taker.side, maker.priceTicks, limitTicks)) break;
      prices.add(maker.priceTicks);
    }
  }
  return [...prices].sort((one, other) => (taker.side === BUY ? one - other : other - one));
}

/** T2: what the taker's code says about this maker, `allow` when they are not of one owner. */
function selfMatchOfPair(taker: Order, maker: Order): number {
  return taker.owner !== 0 && taker.owner === maker.owner ? selfMatchOf(taker.attributes) : L.SELF_MATCH_ALLOW;
}

/** T1 and T2. True when self-match prevention stopped the taker; what is left of it is then to be cancelled. */
function take(region: BookRegion, symbol: BookSymbol, taker: Order): boolean {
  const side = opposite(taker.side);
  for (const priceTicks of pricesFor(symbol, taker)) {
    const displayed = ordersOf(symbol, 'displayed', side);
    while (taker.leavesLots > 0 && displayed[0]?.priceTicks === priceTicks) {
      const outcome = meetMaker(region, symbol, taker, displayed[0]);
      if (outcome === 'stopped') return true;
    }
    const atPrice = ordersOf(symbol, 'allOrNone', side).filter((maker) => maker.priceTicks === priceTicks);
    for (const maker of atPrice) {
      if (taker.leavesLots === 0 || maker.leavesLots > taker.leavesLots) continue;
      const outcome = meetMaker(region, symbol, taker, maker);
      if (outcome === 'stopped') return true;
    }
  }
  return false;
}

/** One maker: a trade, or what T2 says. */
function meetMaker(region: BookRegion, symbol: BookSymbol, taker: Order, maker: Order): 'goes on' | 'stopped' {
  const selfMatch = selfMatchOfPair(taker, maker);
  if (selfMatch === L.SELF_MATCH_ALLOW) {
    const quantityLots = Math.min(taker.leavesLots, maker.shownLots);
    taker.leavesLots -= quantityLots;
    trade(region, symbol, { taker, maker, quantityLots, priceTicks: maker.priceTicks });
    afterTrade(region, symbol, maker);
    return 'goes on';
  }
  if (selfMatch !== L.SELF_MATCH_CANCEL_NEWEST) {
    leave(region, symbol, maker);
    emitGone(region, maker, L.ORDER_REASON_SELF_MATCH);
  }
  return selfMatch === L.SELF_MATCH_CANCEL_OLDEST ? 'goes on' : 'stopped';
}

interface Execution {
  /** Its leaves are less already. */
  readonly taker: Order;
  readonly maker: Order;
  readonly quantityLots: number;
  readonly priceTicks: number;
}

/** The maker's leaves get less; the event; what S1 looks at. */
function trade(region: BookRegion, symbol: BookSymbol, { taker, maker, quantityLots, priceTicks }: Execution): void {
  maker.leavesLots -= quantityLots;
  maker.shownLots -= quantityLots;
  emit(region, L.EVENT_KIND_TRADE, symbol.symbolIndex, {
    orderId: taker.orderId,
    otherId: maker.orderId,
    priceTicks,
    quantityLots,
    leavesLots: taker.leavesLots,
    otherLeavesLots: maker.leavesLots,
    owner: taker.owner,
    otherOwner: maker.owner,
    attributes: taker.attributes,
  });
  const { seen } = symbol;
  symbol.seen = {
    low: Math.min(seen?.low ?? priceTicks, priceTicks),
    high: Math.max(seen?.high ?? priceTicks, priceTicks),
    last: priceTicks,
  };
  symbol.instrument = { ...symbol.instrument, lastTicks: priceTicks };
}

/** O8: an order that stands and traded goes when it is done, and shows its next slice when this one is used up. */
function afterTrade(region: BookRegion, symbol: BookSymbol, order: Order): void {
  if (order.shownLots > 0) return;
  leave(region, symbol, order);
  if (order.leavesLots === 0) return;
  stand(region, symbol, order);
  emitOrder(region, L.EVENT_KIND_REFRESHED, order, { quantityLots: order.shownLots });
}

/** T3: how much of the order taking would fill. */
function dryRun(symbol: BookSymbol, taker: Order): number {
  const side = opposite(taker.side);
  let filled = 0;
  for (const priceTicks of pricesFor(symbol, taker)) {
    const isHere = (maker: Order): boolean => maker.priceTicks === priceTicks;
    let hidden = 0;
    for (const maker of ordersOf(symbol, 'displayed', side).filter(isHere)) {
      if (filled === taker.leavesLots) return filled;
      const selfMatch = selfMatchOfPair(taker, maker);
      if (selfMatch === L.SELF_MATCH_CANCEL_OLDEST) continue;
      if (selfMatch !== L.SELF_MATCH_ALLOW) return filled;
      filled += Math.min(maker.shownLots, taker.leavesLots - filled);
      hidden += maker.leavesLots - maker.shownLots;
    }
    filled += Math.min(hidden, taker.leavesLots - filled);
    for (const maker of ordersOf(symbol, 'allOrNone', side).filter(isHere)) {
      if (filled === taker.leavesLots) return filled;
      if (maker.leavesLots > taker.leavesLots - filled) continue;
      const selfMatch = selfMatchOfPair(taker, maker);
      if (selfMatch === L.SELF_MATCH_CANCEL_OLDEST) continue;
      if (selfMatch !== L.SELF_MATCH_ALLOW) return filled;
      filled += maker.leavesLots;
    }
  }
  return filled;
}

/** S1 to S3, until nothing moves. Does nothing outside continuous trading. */
export function settle(region: BookRegion, symbol: BookSymbol): void {
  if (symbol.instrument.phase !== L.PHASE_CONTINUOUS) {
    symbol.seen = undefined;
    return;
  }
  do runTriggers(region, symbol);
  while (retryAllOrNone(region, symbol));
}

/** S2: triggered orders act one after the other, and each one's trades may trigger more. */
function runTriggers(region: BookRegion, symbol: BookSymbol): void {
  look(region, symbol);
  for (let order = symbol.queue.shift(); order; order = symbol.queue.shift()) {
    act(region, symbol, order);
    look(region, symbol);
  }
}

/** S1. */
function look(region: BookRegion, symbol: BookSymbol): void {
  const { seen } = symbol;
  symbol.seen = undefined;
  if (!seen) return;
  trigger(region, symbol, { [BUY]: seen.high, [SELL]: seen.low });
  for (const side of SIDES) trail(region, symbol, side, side === BUY ? seen.low : seen.high);
  trigger(region, symbol, { [BUY]: seen.last, [SELL]: seen.last });
}

function isTriggerReached(order: Order, priceTicks: number): boolean {
  return order.side === BUY ? order.stopTicks <= priceTicks : order.stopTicks >= priceTicks;
}

/** Stops that the price of their side has reached leave their book and queue. */
function trigger(region: BookRegion, symbol: BookSymbol, reached: Readonly<Record<Side, number>>): void {
  for (const side of SIDES) {
    for (const order of ordersOf(symbol, 'stop', side).filter((stop) => isTriggerReached(stop, reached[side]))) {
      leave(region, symbol, order);
      symbol.queue.push(order);
    }
  }
}

/** O10: trailing stops follow a price that went their way, each to the end of its new level. */
function trail(region: BookRegion, symbol: BookSymbol, side: Side, priceTicks: number): void {
  for (const order of [...ordersOf(symbol, 'stop', side)]) {
    if (typeOf(order.attributes) !== L.ORDER_TYPE_TRAILING_STOP) continue;
    const stopTicks = side === BUY ? priceTicks + order.trailTicks : priceTicks - order.trailTicks;
    if (side === BUY ? stopTicks >= order.stopTicks : stopTicks <= order.stopTicks) continue;
    leave(region, symbol, order);
    order.stopTicks = stopTicks;
    if (hasPage(region, symbol.symbolIndex, { book: 'stop', priceTicks: stopTicks })) stand(region, symbol, order);
    else emitGone(region, order, L.ORDER_REASON_PRICE_POOL_FULL);
  }
}

/** S2: a triggered order becomes a market or a limit order and meets the market. */
function act(region: BookRegion, symbol: BookSymbol, order: Order): void {
  emitOrder(region, L.EVENT_KIND_TRIGGERED, order);
  const isLimit = typeOf(order.attributes) === L.ORDER_TYPE_STOP_LIMIT;
  becomeType(order, isLimit ? L.ORDER_TYPE_LIMIT : L.ORDER_TYPE_MARKET);
  order.stopTicks = 0;
  order.trailTicks = 0;
  if (isLimit && !hasPage(region, symbol.symbolIndex, { book: 'displayed', priceTicks: order.priceTicks }))
    emitGone(region, order, L.ORDER_REASON_PRICE_POOL_FULL);
  else arrive(region, symbol, order);
}

/** S3: the first all-or-none order that can be filled whole by now takes. */
function retryAllOrNone(region: BookRegion, symbol: BookSymbol): boolean {
  const candidates = SIDES.flatMap((side) => ordersOf(symbol, 'allOrNone', side));
  const order = candidates.find((candidate) => dryRun(symbol, candidate) === candidate.leavesLots);
  if (!order) return false;
  leave(region, symbol, order);
  takeWhole(region, symbol, order);
  return true;
}

/** U1 to U3: the gathered orders trade at one price. */
export function uncross(region: BookRegion, symbol: BookSymbol): void {
  const priceTicks = uncrossPrice(symbol);
  if (priceTicks === undefined) return;
  const [buys, sells] = symbol.books.displayed;
  for (;;) {
    const [buy, sell] = [buys[0], sells[0]];
    if (!buy || !sell || buy.priceTicks < priceTicks || sell.priceTicks > priceTicks) return;
    const quantityLots = Math.min(buy.shownLots, sell.shownLots);
    buy.leavesLots -= quantityLots;
    buy.shownLots -= quantityLots;
    trade(region, symbol, { taker: buy, maker: sell, quantityLots, priceTicks });
    afterTrade(region, symbol, buy);
    afterTrade(region, symbol, sell);
  }
}

/** U1. Undefined when nothing crosses. */
export function uncrossPrice(symbol: BookSymbol): number | undefined {
  const [buys, sells] = symbol.books.displayed;
  const [bid, ask] = [buys[0]?.priceTicks, sells[0]?.priceTicks];
  if (bid === undefined || ask === undefined || ask > bid) return undefined;
  const total = (orders: readonly Order[]): number => orders.reduce((sum, order) => sum + order.leavesLots, 0);
  const prices = [...new Set([...buys, ...sells].map((order) => order.priceTicks))].filter((price) => price >= ask && price <= bid);
  const candidates = prices.map((price) => {
    const buy = total(buys.filter((order) => order.priceTicks >= price));
    const sell = total(sells.filter((order) => order.priceTicks <= price));
    return { price, volume: Math.min(buy, sell), surplus: buy - sell };
  });
  const most = Math.max(...candidates.map((one) => one.volume));
  const fullest = candidates.filter((one) => one.volume === most);
  const least = Math.min(...fullest.map((one) => Math.abs(one.surplus)));
  const level = fullest.filter((one) => Math.abs(one.surplus) === least);
  const highest = Math.max(...level.map((one) => one.price));
  if (level.every((one) => one.surplus > 0)) return highest;
  if (level.every((one) => one.surplus < 0)) return Math.min(...level.map((one) => one.price));
  const { lastTicks } = symbol.instrument;
  if (lastTicks === L.ORDER_LIMIT_PRICE_NONE) return highest;
  const distance = (price: number): number => Math.abs(price - lastTicks);
  const nearest = Math.min(...level.map((one) => distance(one.price)));
  return Math.max(...level.map((one) => one.price).filter((price) => distance(price) === nearest));
}
