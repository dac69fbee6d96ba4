/**
 * The displayed and the all-or-none books of a region, rebuilt from the matcher's events alone: an order stands from its `accepted`,
 * `triggered` or `replaced` on, at the end of its level. Orders that were restored without events are unknown to it.
 */
import * as L from '../../schemas/order-layout.gen.ts';
import { assert } from '../core/errors.ts';
import { BUY, isAllOrNone, type OrderEvent, type RestingOrder, SELL, sideOf, timeInForceOf, typeOf } from './order-command.ts';

export interface BookReplay {
  /** Takes the next event of the region. */
  apply(event: OrderEvent): void;
  /** What stands: displayed buys, displayed sells, all-or-none buys, all-or-none sells; best price first, FIFO within. */
  list(symbolIndex: number): RestingOrder[];
}

type ReplayBook = 'displayed' | 'allOrNone';

interface ReplayOrder {
  readonly symbolIndex: number;
  readonly orderId: bigint;
  readonly owner: number;
  readonly displayLots: number;
  readonly expiryNs: bigint;
  attributes: number;
  priceTicks: number;
  leavesLots: number;
  shownLots: number;
  /** It has its place in a book; a waiting stop and an order that only takes have none. */
  isStanding: boolean;
}

interface ReplayState {
  readonly orders: Map<bigint, ReplayOrder>;
  /** By symbol, book and side, best first. */
  readonly sides: Map<string, ReplayOrder[]>;
  /** The order that came last: its trades are of the whole of it, not of a slice. */
  arriving: ReplayOrder | undefined;
}

const TYPE_MASK = 7 << L.ORDER_BITS_TYPE_SHIFT;
const BOOKS: readonly ReplayBook[] = ['displayed', 'allOrNone'];

export function createBookReplay(): BookReplay {
  const state: ReplayState = { orders: new Map(), sides: new Map(), arriving: undefined };
  return {
    apply(event) {
      if (event.kind === L.EVENT_KIND_ACCEPTED) accept(state, event);
      else if (event.kind === L.EVENT_KIND_TRADE) trade(state, event);
      else if (event.kind === L.EVENT_KIND_CANCELLED || event.kind === L.EVENT_KIND_EXPIRED) remove(state, orderAt(state, event.orderId));
      else if (event.kind === L.EVENT_KIND_REPLACED) replace(state, event);
      else if (event.kind === L.EVENT_KIND_TRIGGERED) trigger(state, event);
      else if (event.kind === L.EVENT_KIND_REFRESHED) refresh(state, event);
      else if (event.kind === L.EVENT_KIND_PHASE) state.arriving = undefined;
    },
    list: (symbolIndex) =>
      BOOKS.flatMap((book) => [BUY, SELL].flatMap((side) => sideAt(state, symbolIndex, book, side).map((order) => listed(book, order)))),
  };
}

function sideAt(state: ReplayState, symbolIndex: number, book: ReplayBook, side: number): ReplayOrder[] {
  const key = `${symbolIndex} ${book} ${side}`;
  const orders = state.sides.get(key) ?? [];
  state.sides.set(key, orders);
  return orders;
}

function sideFor(state: ReplayState, order: ReplayOrder): ReplayOrder[] {
  return sideAt(state, order.symbolIndex, isAllOrNone(order.attributes) ? 'allOrNone' : 'displayed', sideOf(order.attributes));
}

function orderAt(state: ReplayState, orderId: bigint): ReplayOrder {
  const order = state.orders.get(orderId);
  assert(order !== undefined, `an event of order ${orderId}, which is not live`);
  return order;
}

function becomeType(order: ReplayOrder, type: number): void {
  order.attributes = (order.attributes & ~TYPE_MASK) | (type << L.ORDER_BITS_TYPE_SHIFT);
}

function slice(order: ReplayOrder): number {
  return order.displayLots === 0 ? order.leavesLots : Math.min(order.displayLots, order.leavesLots);
}

function accept(state: ReplayState, event: OrderEvent): void {
  const order: ReplayOrder = {
    symbolIndex: event.symbolIndex,
    orderId: event.orderId,
    owner: event.owner,
    displayLots: event.displayLots,
    expiryNs: BigInt.asIntN(64, event.otherId),
    attributes: event.attributes,
    priceTicks: event.priceTicks,
    leavesLots: event.leavesLots,
    shownLots: 0,
    isStanding: false,
  };
  if (typeOf(order.attributes) === L.ORDER_TYPE_MARKET_TO_LIMIT) becomeType(order, L.ORDER_TYPE_LIMIT);
  state.orders.set(order.orderId, order);
  stand(state, order);
}

/** A limit order that may rest goes to the end of its level; others only take, or wait for their trigger. */
function stand(state: ReplayState, order: ReplayOrder): void {
  state.arriving = order;
  order.shownLots = slice(order);
  const timeInForce = timeInForceOf(order.attributes);
  const canStand = timeInForce !== L.TIME_IN_FORCE_IOC && timeInForce !== L.TIME_IN_FORCE_FOK;
  if (typeOf(order.attributes) === L.ORDER_TYPE_LIMIT && canStand) join(state, order);
}

function join(state: ReplayState, order: ReplayOrder): void {
  const orders = sideFor(state, order);
  const isBuy = sideOf(order.attributes) === BUY;
  const isBehind = (other: ReplayOrder): boolean => (isBuy ? other.priceTicks < order.priceTicks : other.priceTicks > order.priceTicks);
  const index = orders.findIndex(isBehind);
  orders.splice(index < 0 ? orders.length : index, 0, order);
  order.isStanding = true;
}

function leave(state: ReplayState, order: ReplayOrder): void {
  if (!order.isStanding) return;
  const orders = sideFor(state, order);
  orders.splice(orders.indexOf(order), 1);
  order.isStanding = false;
}

function remove(state: ReplayState, order: ReplayOrder): void {
  leave(state, order);
  state.orders.delete(order.orderId);
}

function trade(state: ReplayState, event: OrderEvent): void {
  const taker = orderAt(state, event.orderId);
  const maker = orderAt(state, event.otherId);
  taker.leavesLots = event.leavesLots;
  taker.shownLots = taker === state.arriving || taker.displayLots === 0 ? slice(taker) : taker.shownLots - event.quantityLots;
  maker.leavesLots = event.otherLeavesLots;
  maker.shownLots -= event.quantityLots;
  for (const order of [taker, maker]) if (order.leavesLots === 0) remove(state, order);
}

function replace(state: ReplayState, event: OrderEvent): void {
  const order = orderAt(state, event.orderId);
  order.leavesLots = event.leavesLots;
  if (event.otherOwner === 0) {
    order.shownLots = Math.min(order.shownLots, order.leavesLots);
    return;
  }
  leave(state, order);
  order.priceTicks = event.priceTicks;
  stand(state, order);
}

function trigger(state: ReplayState, event: OrderEvent): void {
  const order = orderAt(state, event.orderId);
  const isLimit = typeOf(order.attributes) === L.ORDER_TYPE_STOP_LIMIT;
  becomeType(order, isLimit ? L.ORDER_TYPE_LIMIT : L.ORDER_TYPE_MARKET);
  stand(state, order);
}

function refresh(state: ReplayState, event: OrderEvent): void {
  const order = orderAt(state, event.orderId);
  leave(state, order);
  order.shownLots = event.quantityLots;
  join(state, order);
}

function listed(book: ReplayBook, order: ReplayOrder): RestingOrder {
  return {
    orderId: order.orderId,
    book,
    side: sideOf(order.attributes),
    priceTicks: order.priceTicks,
    stopTicks: 0,
    leavesLots: order.leavesLots,
    shownLots: order.shownLots,
    displayLots: order.displayLots,
    trailTicks: 0,
    expiryNs: order.expiryNs,
    owner: order.owner,
    attributes: order.attributes,
  };
}
