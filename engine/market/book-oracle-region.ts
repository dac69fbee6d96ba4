/** The state of the plain book: orders in arrays, in the order of docs/reference/matching.md; how they come to stand and leave; events. */
import * as L from '../../schemas/order-layout.gen.ts';
import { assert } from '../core/errors.ts';
import {
  type BookInstrument,
  BUY,
  isAllOrNone,
  type OrderCommand,
  type OrderEvent,
  type OwnerLimits,
  type RestingOrder,
  SELL,
  sideOf,
  timeInForceOf,
  typeOf,
} from './order-command.ts';

/** Levels live in pages of so many neighbouring ticks (M7). */
const PAGE_TICKS = 512;
const TYPE_MASK = 7 << L.ORDER_BITS_TYPE_SHIFT;

export type Side = 0 | 1;
export type BookName = RestingOrder['book'];
export const SIDES: readonly Side[] = [BUY, SELL];

export interface RegionShape {
  readonly symbols: number;
  readonly orders: number;
  readonly pages: number;
  readonly owners: number;
}

/** An order; what its type has not is 0 (M6). */
export interface Order {
  readonly orderId: bigint;
  readonly symbolIndex: number;
  readonly side: Side;
  readonly owner: number;
  readonly displayLots: number;
  readonly expiryNs: bigint;
  attributes: number;
  priceTicks: number;
  stopTicks: number;
  trailTicks: number;
  leavesLots: number;
  shownLots: number;
}

/** By side, the orders in book order: best price first, FIFO within. */
type SideArrays = readonly [Order[], Order[]];

export interface BookSymbol {
  readonly symbolIndex: number;
  instrument: BookInstrument;
  readonly books: Readonly<Record<BookName, SideArrays>>;
  /** Triggered orders that wait to act (S2). */
  readonly queue: Order[];
  /** What trades did since the last look (S1). */
  seen: { low: number; high: number; last: number } | undefined;
}

export interface BookRegion {
  readonly shape: RegionShape;
  readonly symbols: Map<number, BookSymbol>;
  readonly limits: Map<number, OwnerLimits>;
  /** The orders that stand. */
  readonly orders: Map<bigint, Order>;
  /** How many orders stand in each page that is in use. */
  readonly pages: Map<string, number>;
  events: OrderEvent[];
  nowNs: bigint;
}

/** What an order carries into an event; the fields of `OrderEvent` that are left out are 0. */
type EventFields = Partial<Omit<OrderEvent, 'kind' | 'tsNs' | 'symbolIndex'>>;

export function createSymbol(symbolIndex: number, instrument: BookInstrument): BookSymbol {
  return {
    symbolIndex,
    instrument,
    books: { displayed: [[], []], allOrNone: [[], []], stop: [[], []] },
    queue: [],
    seen: undefined,
  };
}

export function emit(region: BookRegion, kind: number, symbolIndex: number, fields: EventFields): void {
  region.events.push({
    kind,
    reason: 0,
    symbolIndex,
    orderId: 0n,
    otherId: 0n,
    priceTicks: 0,
    quantityLots: 0,
    leavesLots: 0,
    otherLeavesLots: 0,
    tsNs: region.nowNs,
    owner: 0,
    otherOwner: 0,
    displayLots: 0,
    attributes: 0,
    ...fields,
  });
}

/** An event about an order as it is now. */
export function emitOrder(region: BookRegion, kind: number, order: Order, fields: EventFields = {}): void {
  emit(region, kind, order.symbolIndex, {
    orderId: order.orderId,
    priceTicks: order.priceTicks,
    leavesLots: order.leavesLots,
    otherLeavesLots: order.stopTicks,
    owner: order.owner,
    displayLots: order.displayLots,
    attributes: order.attributes,
    ...fields,
  });
}

/** What is left of the order goes: it is in no book any more. */
export function emitGone(region: BookRegion, order: Order, reason: number): void {
  const isExpiry = reason === L.ORDER_REASON_SESSION_END || reason === L.ORDER_REASON_TIME_PASSED;
  emitOrder(region, isExpiry ? L.EVENT_KIND_EXPIRED : L.EVENT_KIND_CANCELLED, order, {
    reason,
    quantityLots: order.leavesLots,
    leavesLots: 0,
  });
}

/** The order of a `new` or `restore` command, with what its type has and 0 elsewhere (M6). Its trigger and price may still change. */
export function orderOf(command: OrderCommand): Order {
  const type = typeOf(command.attributes);
  const isPriced = type === L.ORDER_TYPE_LIMIT || type === L.ORDER_TYPE_STOP_LIMIT;
  const isStop = type === L.ORDER_TYPE_STOP || type === L.ORDER_TYPE_STOP_LIMIT || type === L.ORDER_TYPE_TRAILING_STOP;
  return {
    orderId: command.orderId,
    symbolIndex: command.symbolIndex,
    side: sideOf(command.attributes),
    owner: command.owner,
    displayLots: command.displayLots,
    expiryNs: timeInForceOf(command.attributes) === L.TIME_IN_FORCE_GTD ? command.expiryNs : 0n,
    attributes: command.attributes,
    priceTicks: isPriced ? command.priceTicks : 0,
    stopTicks: isStop ? command.stopTicks : 0,
    trailTicks: type === L.ORDER_TYPE_TRAILING_STOP ? command.trailTicks : 0,
    leavesLots: command.quantityLots,
    shownLots: sliceOf(command.displayLots, command.quantityLots),
  };
}

/** What an order with these leaves shows when it comes to its level. */
export function sliceOf(displayLots: number, leavesLots: number): number {
  return displayLots === 0 ? leavesLots : Math.min(displayLots, leavesLots);
}

export function becomeType(order: Order, type: number): void {
  order.attributes = (order.attributes & ~TYPE_MASK) | (type << L.ORDER_BITS_TYPE_SHIFT);
}

/** The book in which an order of these attributes stands. */
export function bookOf(attributes: number): BookName {
  const type = typeOf(attributes);
  if (type === L.ORDER_TYPE_STOP || type === L.ORDER_TYPE_STOP_LIMIT || type === L.ORDER_TYPE_TRAILING_STOP) return 'stop';
  return isAllOrNone(attributes) ? 'allOrNone' : 'displayed';
}

/** The price at which an order stands in its book. */
export function standingTicks(order: Order): number {
  return bookOf(order.attributes) === 'stop' ? order.stopTicks : order.priceTicks;
}

/** Smaller comes first. In the stop book a buy is best at the lowest trigger. */
function rank(book: BookName, side: Side, priceTicks: number): number {
  return (side === BUY) === (book !== 'stop') ? -priceTicks : priceTicks;
}

export function ordersOf(symbol: BookSymbol, book: BookName, side: Side): Order[] {
  return symbol.books[book][side];
}

export function opposite(side: Side): Side {
  return side === BUY ? SELL : BUY;
}

/** The books in order: displayed, all-or-none, stop; in each buys, then sells. */
export function sidesOf({ books: { displayed, allOrNone, stop } }: BookSymbol): readonly (readonly Order[])[] {
  return [...displayed, ...allOrNone, ...stop];
}

/** What stands now, the books in order. */
export function standingOrders(symbol: BookSymbol): Order[] {
  return sidesOf(symbol).flat();
}

function pageOf(symbolIndex: number, book: BookName, priceTicks: number): string {
  return `${symbolIndex} ${book} ${Math.floor(priceTicks / PAGE_TICKS)}`;
}

/** True when a level at the price has a page, or could get one (C12). */
export function hasPage(region: BookRegion, symbolIndex: number, at: { book: BookName; priceTicks: number }): boolean {
  return region.pages.has(pageOf(symbolIndex, at.book, at.priceTicks)) || region.pages.size < region.shape.pages;
}

/** The order comes to stand at the end of its level, with the slice it shows. */
export function stand(
  region: BookRegion,
  symbol: BookSymbol,
  order: Order,
  shownLots = sliceOf(order.displayLots, order.leavesLots),
): void {
  const book = bookOf(order.attributes);
  const priceTicks = standingTicks(order);
  assert(hasPage(region, symbol.symbolIndex, { book, priceTicks }), `no page for ${priceTicks} in the ${book} book`);
  assert(region.orders.size < region.shape.orders, `no slot for order ${order.orderId}`);
  assert(order.leavesLots > 0, `order ${order.orderId} stands with nothing`);
  order.shownLots = shownLots;
  const orders = ordersOf(symbol, book, order.side);
  const place = rank(book, order.side, priceTicks);
  let index = orders.length;
  while (index > 0 && rank(book, order.side, standingTicks(orders[index - 1]!)) > place) index -= 1;
  orders.splice(index, 0, order);
  region.orders.set(order.orderId, order);
  const page = pageOf(symbol.symbolIndex, book, priceTicks);
  region.pages.set(page, (region.pages.get(page) ?? 0) + 1);
}

/** The order leaves its book; nothing is said. */
export function leave(region: BookRegion, symbol: BookSymbol, order: Order): void {
  const book = bookOf(order.attributes);
  const orders = ordersOf(symbol, book, order.side);
  const index = orders.indexOf(order);
  assert(index >= 0, `order ${order.orderId} does not stand in the ${book} book`);
  orders.splice(index, 1);
  region.orders.delete(order.orderId);
  const page = pageOf(symbol.symbolIndex, book, standingTicks(order));
  const others = (region.pages.get(page) ?? 0) - 1;
  if (others > 0) region.pages.set(page, others);
  else region.pages.delete(page);
}

/** Leaves get less, hidden part first; the place is kept. */
export function shrink(order: Order, leavesLots: number): void {
  order.leavesLots = leavesLots;
  order.shownLots = Math.min(order.shownLots, leavesLots);
}

export function listed(order: Order): RestingOrder {
  const { symbolIndex: _, ...fields } = order;
  return { ...fields, book: bookOf(order.attributes) };
}
