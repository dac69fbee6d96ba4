/**
 * The plain order book: docs/reference/matching.md on arrays of objects, rule by rule. It is the readable twin of the matcher kernel and
 * has the same bounds. It is slow, and meant to be.
 */
import * as L from '../../schemas/order-layout.gen.ts';
import { assert } from '../core/errors.ts';
import {
  bestPrice,
  checkNew,
  checkPhase,
  checkPostOnly,
  checkPrice,
  checkReplacement,
  checkRestore,
  trailedTicks,
} from './book-oracle-checks.ts';
import { arrive, settle, uncross } from './book-oracle-matching.ts';
import {
  type BookRegion,
  type BookSymbol,
  becomeType,
  bookOf,
  createSymbol,
  emit,
  emitGone,
  emitOrder,
  hasPage,
  leave,
  listed,
  type Order,
  opposite,
  orderOf,
  type RegionShape,
  type Side,
  shrink,
  sidesOf,
  stand,
  standingOrders,
} from './book-oracle-region.ts';
import { emitTop, levelsOf, topOf } from './book-oracle-views.ts';
import {
  type BookInstrument,
  type BookLevel,
  type OrderCommand,
  type OrderEvent,
  type OwnerLimits,
  type RestingOrder,
  sideOf,
  timeInForceOf,
  typeOf,
} from './order-command.ts';

export interface BookOracle {
  /** Sets a symbol up, before its first command. */
  configure(symbolIndex: number, instrument: BookInstrument): void;
  /** Sets the limits of an owner, 1 and up. */
  limit(owner: number, limits: OwnerLimits): void;
  /** Does a command; returns what came of it, in order. */
  apply(command: OrderCommand): OrderEvent[];
  /** The orders of a symbol, the books in order. */
  list(symbolIndex: number): RestingOrder[];
  /** The displayed book of a side, best price first. */
  levels(symbolIndex: number, side: Side): BookLevel[];
  /** Last trade price, or `ORDER_LIMIT_PRICE_NONE`. */
  lastTicks(symbolIndex: number): number;
}

const MASS_BITS = 1 | L.MASS_SCOPE_BY_SIDE | L.MASS_SCOPE_BY_SYMBOL | L.MASS_SCOPE_BY_OWNER;

/** `symbols`, `orders`, `pages` and `owners` bound the region; owners are numbered below `owners`, 0 is nobody. */
export function createBookOracle(shape: RegionShape): BookOracle {
  const region: BookRegion = {
    shape,
    symbols: new Map(),
    limits: new Map(),
    orders: new Map(),
    pages: new Map(),
    events: [],
    nowNs: 0n,
  };
  const symbolAt = (symbolIndex: number): BookSymbol => {
    const symbol = region.symbols.get(symbolIndex);
    assert(symbol !== undefined, `symbol ${symbolIndex} is not set up`);
    return symbol;
  };
  return {
    configure(symbolIndex, instrument) {
      assert(symbolIndex >= 0 && symbolIndex < shape.symbols, `symbol ${symbolIndex} of ${shape.symbols}`);
      const symbol = region.symbols.get(symbolIndex);
      if (symbol) symbol.instrument = instrument;
      else region.symbols.set(symbolIndex, createSymbol(symbolIndex, instrument));
    },
    limit(owner, limits) {
      assert(owner >= 1 && owner < shape.owners, `owner ${owner} of ${shape.owners}`);
      region.limits.set(owner, limits);
    },
    apply(command) {
      region.events = [];
      apply(region, command);
      return region.events;
    },
    list: (symbolIndex) => standingOrders(symbolAt(symbolIndex)).map(listed),
    levels: (symbolIndex, side) => levelsOf(symbolAt(symbolIndex), side),
    lastTicks: (symbolIndex) => symbolAt(symbolIndex).instrument.lastTicks,
  };
}

/** "Each command, in order", steps 1 to 4. */
function apply(region: BookRegion, command: OrderCommand): void {
  if (command.tsNs > region.nowNs) region.nowNs = command.tsNs;
  if (command.kind === L.COMMAND_KIND_RESTORE) {
    restore(region, command);
    return;
  }
  const symbols = symbolsOf(region, command);
  const tops = symbols.map(topOf);
  for (const symbol of symbols) expire(region, symbol);
  perform(region, command);
  for (const symbol of symbols) settle(region, symbol);
  symbols.forEach((symbol, index) => {
    emitTop(region, symbol, tops[index]);
  });
}

/** The symbols that a command can touch, by index. */
function symbolsOf(region: BookRegion, command: OrderCommand): BookSymbol[] {
  const isMass = command.kind === L.COMMAND_KIND_MASS_CANCEL && (command.attributes & L.MASS_SCOPE_BY_SYMBOL) === 0;
  if (command.kind === L.COMMAND_KIND_TIME || isMass) return everySymbol(region);
  const symbol = region.symbols.get(command.symbolIndex);
  return symbol ? [symbol] : [];
}

function everySymbol(region: BookRegion): BookSymbol[] {
  return [...region.symbols.values()].sort((one, other) => one.symbolIndex - other.symbolIndex);
}

function expire(region: BookRegion, symbol: BookSymbol): void {
  const due: Order[] = [];
  for (const orders of sidesOf(symbol)) {
    for (const order of orders) {
      if (timeInForceOf(order.attributes) === L.TIME_IN_FORCE_GTD && order.expiryNs <= region.nowNs) due.push(order);
    }
  }
  for (const order of due) remove(region, symbol, order, L.ORDER_REASON_TIME_PASSED);
}

function perform(region: BookRegion, command: OrderCommand): void {
  if (command.kind === L.COMMAND_KIND_NEW) enter(region, command);
  else if (command.kind === L.COMMAND_KIND_CANCEL) cancel(region, command);
  else if (command.kind === L.COMMAND_KIND_REDUCE) reduce(region, command);
  else if (command.kind === L.COMMAND_KIND_REPLACE) replace(region, command);
  else if (command.kind === L.COMMAND_KIND_MOVE) move(region, command);
  else if (command.kind === L.COMMAND_KIND_MASS_CANCEL) massCancel(region, command);
  else if (command.kind === L.COMMAND_KIND_PHASE) changePhase(region, command);
  else if (command.kind === L.COMMAND_KIND_BAND) changeBand(region, command);
  else if (command.kind !== L.COMMAND_KIND_TIME) reject(region, command, L.ORDER_REASON_MALFORMED);
}

function reject(region: BookRegion, command: OrderCommand, reason: number): void {
  emit(region, L.EVENT_KIND_REJECTED, command.symbolIndex, {
    reason,
    orderId: command.orderId,
    priceTicks: command.priceTicks,
    quantityLots: command.quantityLots,
    otherLeavesLots: command.stopTicks,
    owner: command.owner,
    otherOwner: command.kind >>> 0,
    displayLots: command.displayLots,
    attributes: command.attributes,
  });
}

/** The order leaves its book for good. */
function remove(region: BookRegion, symbol: BookSymbol, order: Order, reason: number): void {
  leave(region, symbol, order);
  emitGone(region, order, reason);
}

/** A new order: the checks, `accepted`, then O1 to O10. */
function enter(region: BookRegion, command: OrderCommand): void {
  const reason = checkNew(region, command);
  const symbol = region.symbols.get(command.symbolIndex);
  if (reason || !symbol) {
    reject(region, command, reason);
    return;
  }
  const order = orderOf(command);
  const type = typeOf(order.attributes);
  if (type === L.ORDER_TYPE_TRAILING_STOP) order.stopTicks = trailedTicks(symbol, order);
  if (type === L.ORDER_TYPE_MARKET_TO_LIMIT) order.priceTicks = bestPrice(symbol, opposite(order.side)) ?? 0;
  emitOrder(region, L.EVENT_KIND_ACCEPTED, order, {
    quantityLots: order.leavesLots,
    otherId: BigInt.asUintN(64, order.expiryNs),
    otherOwner: order.trailTicks,
  });
  if (type === L.ORDER_TYPE_MARKET_TO_LIMIT) becomeType(order, L.ORDER_TYPE_LIMIT);
  arrive(region, symbol, order);
}

/** A1's checks: the order, or why the command is refused. */
function findOrder(region: BookRegion, command: OrderCommand): { symbol: BookSymbol; order: Order } | number {
  const order = region.orders.get(command.orderId);
  const symbol = region.symbols.get(command.symbolIndex);
  if (!order || !symbol || order.symbolIndex !== command.symbolIndex) return L.ORDER_REASON_UNKNOWN_ORDER;
  return command.owner !== 0 && command.owner !== order.owner ? L.ORDER_REASON_NOT_OWNER : { symbol, order };
}

/** A1. */
function cancel(region: BookRegion, command: OrderCommand): void {
  const found = findOrder(region, command);
  if (typeof found === 'number') reject(region, command, found);
  else remove(region, found.symbol, found.order, L.ORDER_REASON_REQUESTED);
}

/** A2. */
function reduce(region: BookRegion, command: OrderCommand): void {
  const found = findOrder(region, command);
  if (typeof found === 'number') {
    reject(region, command, found);
    return;
  }
  const { symbol, order } = found;
  const { quantityLots } = command;
  if (quantityLots < 1) reject(region, command, L.ORDER_REASON_QUANTITY_NOT_POSITIVE);
  else if (quantityLots % symbol.instrument.lotStep !== 0) reject(region, command, L.ORDER_REASON_OFF_LOT);
  else if (quantityLots >= order.leavesLots) remove(region, symbol, order, L.ORDER_REASON_REQUESTED);
  else shrinkInPlace(region, order, order.leavesLots - quantityLots);
}

function shrinkInPlace(region: BookRegion, order: Order, leavesLots: number): void {
  const before = order.leavesLots;
  shrink(order, leavesLots);
  emitOrder(region, L.EVENT_KIND_REPLACED, order, { quantityLots: before });
}

/** A3 and A4. */
function replace(region: BookRegion, command: OrderCommand): void {
  const found = findOrder(region, command);
  if (typeof found === 'number') {
    reject(region, command, found);
    return;
  }
  const { symbol, order } = found;
  const type = typeOf(order.attributes);
  const terms = {
    orderId: order.orderId,
    displayLots: order.displayLots,
    attributes: order.attributes,
    owner: order.owner,
    quantityLots: command.quantityLots,
    priceTicks: type === L.ORDER_TYPE_LIMIT || type === L.ORDER_TYPE_STOP_LIMIT ? command.priceTicks : order.priceTicks,
    stopTicks: type === L.ORDER_TYPE_STOP || type === L.ORDER_TYPE_STOP_LIMIT ? command.stopTicks : order.stopTicks,
  };
  const refused = checkReplacement(region, symbol, terms);
  const isSamePlace = terms.priceTicks === order.priceTicks && terms.stopTicks === order.stopTicks;
  if (refused) reject(region, command, refused);
  else if (isSamePlace && terms.quantityLots <= order.leavesLots) shrinkInPlace(region, order, terms.quantityLots);
  else enterAgain(region, symbol, order, { command, ...terms });
}

/** A5. */
function move(region: BookRegion, command: OrderCommand): void {
  const found = findOrder(region, command);
  if (typeof found === 'number') {
    reject(region, command, found);
    return;
  }
  const { symbol, order } = found;
  const { attributes, owner, stopTicks, leavesLots: quantityLots } = order;
  const terms = { attributes, owner, stopTicks, quantityLots, priceTicks: command.priceTicks };
  const refused = bookOf(attributes) === 'displayed' ? checkPrice(symbol, terms) : L.ORDER_REASON_UNSUPPORTED_COMBINATION;
  if (refused) reject(region, command, refused);
  else enterAgain(region, symbol, order, { command, ...terms });
}

interface NewTerms {
  readonly command: OrderCommand;
  readonly attributes: number;
  readonly owner: number;
  readonly quantityLots: number;
  readonly priceTicks: number;
  readonly stopTicks: number;
}

/** The last checks of A3 and A5; then the order leaves its place and arrives anew. */
function enterAgain(region: BookRegion, symbol: BookSymbol, order: Order, terms: NewTerms): void {
  const book = bookOf(order.attributes);
  const at = { book, priceTicks: book === 'stop' ? terms.stopTicks : terms.priceTicks };
  const noRoom = hasPage(region, symbol.symbolIndex, at) ? 0 : L.ORDER_REASON_PRICE_POOL_FULL;
  const refused = checkPhase(symbol) || noRoom || checkPostOnly(symbol, terms);
  if (refused) {
    reject(region, terms.command, refused);
    return;
  }
  const before = order.leavesLots;
  leave(region, symbol, order);
  order.priceTicks = terms.priceTicks;
  order.stopTicks = terms.stopTicks;
  order.leavesLots = terms.quantityLots;
  emitOrder(region, L.EVENT_KIND_REPLACED, order, { quantityLots: before, otherOwner: 1 });
  arrive(region, symbol, order);
}

/** A6. */
function massCancel(region: BookRegion, command: OrderCommand): void {
  const { attributes } = command;
  const isBySymbol = (attributes & L.MASS_SCOPE_BY_SYMBOL) !== 0;
  if ((attributes & ~MASS_BITS) !== 0) reject(region, command, L.ORDER_REASON_MALFORMED);
  else if (isBySymbol && !region.symbols.has(command.symbolIndex)) reject(region, command, L.ORDER_REASON_UNKNOWN_SYMBOL);
  else {
    for (const symbol of symbolsOf(region, command)) {
      for (const order of standingOrders(symbol)) {
        if ((attributes & L.MASS_SCOPE_BY_SIDE) !== 0 && order.side !== sideOf(attributes)) continue;
        if ((attributes & L.MASS_SCOPE_BY_OWNER) !== 0 && order.owner !== command.owner) continue;
        remove(region, symbol, order, L.ORDER_REASON_MASS_CANCELLED);
      }
    }
  }
}

/** A7. The settling of step 3 then looks at the last price. */
function changePhase(region: BookRegion, command: OrderCommand): void {
  const symbol = region.symbols.get(command.symbolIndex);
  const phase = command.quantityLots;
  if (!symbol || phase < L.PHASE_CLOSED || phase > L.PHASE_HALTED) {
    reject(region, command, symbol ? L.ORDER_REASON_MALFORMED : L.ORDER_REASON_UNKNOWN_SYMBOL);
    return;
  }
  symbol.instrument = { ...symbol.instrument, phase };
  emit(region, L.EVENT_KIND_PHASE, symbol.symbolIndex, { quantityLots: phase });
  if (phase === L.PHASE_CLOSED || phase === L.PHASE_CONTINUOUS) uncross(region, symbol);
  if (phase === L.PHASE_CLOSED) {
    for (const order of standingOrders(symbol))
      if (timeInForceOf(order.attributes) === L.TIME_IN_FORCE_DAY) remove(region, symbol, order, L.ORDER_REASON_SESSION_END);
  }
  const { lastTicks } = symbol.instrument;
  symbol.seen = lastTicks === L.ORDER_LIMIT_PRICE_NONE ? undefined : { low: lastTicks, high: lastTicks, last: lastTicks };
}

/** A8. */
function changeBand(region: BookRegion, command: OrderCommand): void {
  const symbol = region.symbols.get(command.symbolIndex);
  const [lowerTicks, upperTicks] = [command.priceTicks, command.stopTicks];
  const isBand = lowerTicks <= upperTicks && lowerTicks >= -L.ORDER_LIMIT_PRICE_MAX && upperTicks <= L.ORDER_LIMIT_PRICE_MAX;
  if (!symbol || !isBand) reject(region, command, symbol ? L.ORDER_REASON_MALFORMED : L.ORDER_REASON_UNKNOWN_SYMBOL);
  else symbol.instrument = { ...symbol.instrument, lowerTicks, upperTicks };
}

/** A9. */
function restore(region: BookRegion, command: OrderCommand): void {
  const reason = checkRestore(region, command);
  const symbol = region.symbols.get(command.symbolIndex);
  if (reason || !symbol) {
    reject(region, command, reason);
    return;
  }
  const order = orderOf(command);
  if (order.displayLots === 0 || typeOf(order.attributes) === L.ORDER_TYPE_STOP_LIMIT) stand(region, symbol, order);
  else stand(region, symbol, order, command.shownLots);
}
