/** Commands to a book region and the events that come of them, as plain objects and as the 64-byte records of the rings. */
import * as L from '../../schemas/order-layout.gen.ts';

/** What somebody asks of a book. Which fields count depends on the kind: `schemas/order-records.ts`. */
export interface OrderCommand {
  readonly kind: number;
  readonly symbolIndex: number;
  readonly orderId: bigint;
  readonly tsNs: bigint;
  readonly priceTicks: number;
  readonly quantityLots: number;
  readonly stopTicks: number;
  readonly displayLots: number;
  readonly trailTicks: number;
  readonly shownLots: number;
  readonly expiryNs: bigint;
  readonly owner: number;
  readonly attributes: number;
}

/** What came of a command. `reason` is 0 where the kind has none. */
export interface OrderEvent {
  readonly kind: number;
  readonly reason: number;
  readonly symbolIndex: number;
  readonly orderId: bigint;
  readonly otherId: bigint;
  readonly priceTicks: number;
  readonly quantityLots: number;
  readonly leavesLots: number;
  readonly otherLeavesLots: number;
  readonly tsNs: bigint;
  readonly owner: number;
  readonly otherOwner: number;
  readonly displayLots: number;
  readonly attributes: number;
}

/** The parts of `attributes`; what is left out is 0 or false: a buy, limit, GTC, self-match allowed. */
export interface OrderAttributes {
  readonly side?: number;
  readonly type?: number;
  readonly timeInForce?: number;
  readonly selfMatch?: number;
  readonly isPostOnly?: boolean;
  readonly isAllOrNone?: boolean;
}

/** What a symbol allows, and how it begins. Bounds are inclusive. */
export interface BookInstrument {
  readonly phase: number;
  readonly tickStep: number;
  readonly lotStep: number;
  readonly minLots: number;
  readonly maxLots: number;
  readonly lowerTicks: number;
  readonly upperTicks: number;
  /** Last trade price, or `ORDER_LIMIT_PRICE_NONE`. */
  readonly lastTicks: number;
}

/** Pre-trade limits of an owner; 0 in a limit: none. */
export interface OwnerLimits {
  readonly isBlocked: boolean;
  readonly maxOpenOrders: number;
  readonly maxOrderLots: number;
  /** |price| in ticks x quantity in lots, of one order. */
  readonly maxNotional: bigint;
}

/** An order that stands, as listings give it. What its type has not is 0. */
export interface RestingOrder {
  readonly orderId: bigint;
  readonly book: 'displayed' | 'allOrNone' | 'stop';
  readonly side: 0 | 1;
  readonly priceTicks: number;
  readonly stopTicks: number;
  readonly leavesLots: number;
  /** What the level counts: the slice of an iceberg, else the leaves. */
  readonly shownLots: number;
  readonly displayLots: number;
  readonly trailTicks: number;
  readonly expiryNs: bigint;
  readonly owner: number;
  readonly attributes: number;
}

/** A price of one side of the displayed book: what is shown there. */
export interface BookLevel {
  readonly priceTicks: number;
  readonly quantityLots: bigint;
  readonly orders: number;
}

/** Open, one tick and one lot, no bounds, no last price: whatever limit order can be rests or trades. */
export const OPEN_INSTRUMENT: BookInstrument = {
  phase: L.PHASE_CONTINUOUS,
  tickStep: 1,
  lotStep: 1,
  minLots: 1,
  maxLots: L.ORDER_LIMIT_QUANTITY_MAX,
  lowerTicks: -L.ORDER_LIMIT_PRICE_MAX,
  upperTicks: L.ORDER_LIMIT_PRICE_MAX,
  lastTicks: L.ORDER_LIMIT_PRICE_NONE,
};

export const BUY = 0;
export const SELL = 1;

const TYPE_MASK = 7;
const TIME_IN_FORCE_MASK = 7;
const SELF_MATCH_MASK = 3;
const KIND_MASK = 0xff;
const REASON_SHIFT = 8;

const EMPTY_COMMAND: OrderCommand = {
  kind: L.COMMAND_KIND_NEW,
  symbolIndex: 0,
  orderId: 0n,
  tsNs: 0n,
  priceTicks: 0,
  quantityLots: 0,
  stopTicks: 0,
  displayLots: 0,
  trailTicks: 0,
  shownLots: 0,
  expiryNs: 0n,
  owner: 0,
  attributes: 0,
};

/** A command with the given fields; the others are 0, and the kind is `new`. */
export function newCommand(fields: Partial<OrderCommand>): OrderCommand {
  return { ...EMPTY_COMMAND, ...fields };
}

/** Puts the parts of `attributes` together. */
export function attributesOf(parts: OrderAttributes): number {
  return (
    ((parts.side ?? BUY) << L.ORDER_BITS_SIDE_SHIFT) |
    ((parts.type ?? L.ORDER_TYPE_LIMIT) << L.ORDER_BITS_TYPE_SHIFT) |
    ((parts.timeInForce ?? L.TIME_IN_FORCE_GTC) << L.ORDER_BITS_TIME_IN_FORCE_SHIFT) |
    ((parts.selfMatch ?? L.SELF_MATCH_ALLOW) << L.ORDER_BITS_SELF_MATCH_SHIFT) |
    (parts.isPostOnly ? L.ORDER_BITS_POST_ONLY : 0) |
    (parts.isAllOrNone ? L.ORDER_BITS_ALL_OR_NONE : 0)
  );
}

/** The command that puts a listed order back where it was. */
export function restoreOf(symbolIndex: number, order: RestingOrder): OrderCommand {
  return newCommand({
    kind: L.COMMAND_KIND_RESTORE,
    symbolIndex,
    orderId: order.orderId,
    priceTicks: order.priceTicks,
    quantityLots: order.leavesLots,
    stopTicks: order.stopTicks,
    displayLots: order.displayLots,
    trailTicks: order.trailTicks,
    shownLots: order.shownLots,
    expiryNs: order.expiryNs,
    owner: order.owner,
    attributes: order.attributes,
  });
}

export function sideOf(attributes: number): 0 | 1 {
  return attributes & 1 ? SELL : BUY;
}

export function typeOf(attributes: number): number {
  return (attributes >>> L.ORDER_BITS_TYPE_SHIFT) & TYPE_MASK;
}

export function timeInForceOf(attributes: number): number {
  return (attributes >>> L.ORDER_BITS_TIME_IN_FORCE_SHIFT) & TIME_IN_FORCE_MASK;
}

export function selfMatchOf(attributes: number): number {
  return (attributes >>> L.ORDER_BITS_SELF_MATCH_SHIFT) & SELF_MATCH_MASK;
}

export function isPostOnly(attributes: number): boolean {
  return (attributes & L.ORDER_BITS_POST_ONLY) !== 0;
}

export function isAllOrNone(attributes: number): boolean {
  return (attributes & L.ORDER_BITS_ALL_OR_NONE) !== 0;
}

/** Writes a command as `ORDER_COMMAND_SIZE` little-endian bytes at `offset`. */
export function writeCommand(view: DataView, offset: number, command: OrderCommand): void {
  view.setInt32(offset + L.ORDER_COMMAND_KIND, command.kind, true);
  view.setInt32(offset + L.ORDER_COMMAND_SYMBOL_INDEX, command.symbolIndex, true);
  view.setBigUint64(offset + L.ORDER_COMMAND_ORDER_ID, command.orderId, true);
  view.setBigInt64(offset + L.ORDER_COMMAND_TS_NS, command.tsNs, true);
  view.setInt32(offset + L.ORDER_COMMAND_PRICE_TICKS, command.priceTicks, true);
  view.setInt32(offset + L.ORDER_COMMAND_QUANTITY_LOTS, command.quantityLots, true);
  view.setInt32(offset + L.ORDER_COMMAND_STOP_TICKS, command.stopTicks, true);
  view.setInt32(offset + L.ORDER_COMMAND_DISPLAY_LOTS, command.displayLots, true);
  view.setInt32(offset + L.ORDER_COMMAND_TRAIL_TICKS, command.trailTicks, true);
  view.setInt32(offset + L.ORDER_COMMAND_SHOWN_LOTS, command.shownLots, true);
  view.setBigInt64(offset + L.ORDER_COMMAND_EXPIRY_NS, command.expiryNs, true);
  view.setUint32(offset + L.ORDER_COMMAND_OWNER, command.owner, true);
  view.setInt32(offset + L.ORDER_COMMAND_ATTRIBUTES, command.attributes, true);
}

/** Reads the command at `offset`. */
export function readCommand(view: DataView, offset: number): OrderCommand {
  return {
    kind: view.getInt32(offset + L.ORDER_COMMAND_KIND, true),
    symbolIndex: view.getInt32(offset + L.ORDER_COMMAND_SYMBOL_INDEX, true),
    orderId: view.getBigUint64(offset + L.ORDER_COMMAND_ORDER_ID, true),
    tsNs: view.getBigInt64(offset + L.ORDER_COMMAND_TS_NS, true),
    priceTicks: view.getInt32(offset + L.ORDER_COMMAND_PRICE_TICKS, true),
    quantityLots: view.getInt32(offset + L.ORDER_COMMAND_QUANTITY_LOTS, true),
    stopTicks: view.getInt32(offset + L.ORDER_COMMAND_STOP_TICKS, true),
    displayLots: view.getInt32(offset + L.ORDER_COMMAND_DISPLAY_LOTS, true),
    trailTicks: view.getInt32(offset + L.ORDER_COMMAND_TRAIL_TICKS, true),
    shownLots: view.getInt32(offset + L.ORDER_COMMAND_SHOWN_LOTS, true),
    expiryNs: view.getBigInt64(offset + L.ORDER_COMMAND_EXPIRY_NS, true),
    owner: view.getUint32(offset + L.ORDER_COMMAND_OWNER, true),
    attributes: view.getInt32(offset + L.ORDER_COMMAND_ATTRIBUTES, true),
  };
}

/** Writes an event as `ORDER_EVENT_SIZE` little-endian bytes at `offset`. */
export function writeEvent(view: DataView, offset: number, event: OrderEvent): void {
  view.setInt32(offset + L.ORDER_EVENT_KIND, event.kind | (event.reason << REASON_SHIFT), true);
  view.setInt32(offset + L.ORDER_EVENT_SYMBOL_INDEX, event.symbolIndex, true);
  view.setBigUint64(offset + L.ORDER_EVENT_ORDER_ID, event.orderId, true);
  view.setBigUint64(offset + L.ORDER_EVENT_OTHER_ID, event.otherId, true);
  view.setInt32(offset + L.ORDER_EVENT_PRICE_TICKS, event.priceTicks, true);
  view.setInt32(offset + L.ORDER_EVENT_QUANTITY_LOTS, event.quantityLots, true);
  view.setInt32(offset + L.ORDER_EVENT_LEAVES_LOTS, event.leavesLots, true);
  view.setInt32(offset + L.ORDER_EVENT_OTHER_LEAVES_LOTS, event.otherLeavesLots, true);
  view.setBigInt64(offset + L.ORDER_EVENT_TS_NS, event.tsNs, true);
  view.setUint32(offset + L.ORDER_EVENT_OWNER, event.owner, true);
  view.setUint32(offset + L.ORDER_EVENT_OTHER_OWNER, event.otherOwner, true);
  view.setInt32(offset + L.ORDER_EVENT_DISPLAY_LOTS, event.displayLots, true);
  view.setInt32(offset + L.ORDER_EVENT_ATTRIBUTES, event.attributes, true);
}

/** Reads the event at `offset`. */
export function readEvent(view: DataView, offset: number): OrderEvent {
  const kindAndReason = view.getInt32(offset + L.ORDER_EVENT_KIND, true);
  return {
    kind: kindAndReason & KIND_MASK,
    reason: kindAndReason >>> REASON_SHIFT,
    symbolIndex: view.getInt32(offset + L.ORDER_EVENT_SYMBOL_INDEX, true),
    orderId: view.getBigUint64(offset + L.ORDER_EVENT_ORDER_ID, true),
    otherId: view.getBigUint64(offset + L.ORDER_EVENT_OTHER_ID, true),
    priceTicks: view.getInt32(offset + L.ORDER_EVENT_PRICE_TICKS, true),
    quantityLots: view.getInt32(offset + L.ORDER_EVENT_QUANTITY_LOTS, true),
    leavesLots: view.getInt32(offset + L.ORDER_EVENT_LEAVES_LOTS, true),
    otherLeavesLots: view.getInt32(offset + L.ORDER_EVENT_OTHER_LEAVES_LOTS, true),
    tsNs: view.getBigInt64(offset + L.ORDER_EVENT_TS_NS, true),
    owner: view.getUint32(offset + L.ORDER_EVENT_OWNER, true),
    otherOwner: view.getUint32(offset + L.ORDER_EVENT_OTHER_OWNER, true),
    displayLots: view.getInt32(offset + L.ORDER_EVENT_DISPLAY_LOTS, true),
    attributes: view.getInt32(offset + L.ORDER_EVENT_ATTRIBUTES, true),
  };
}
