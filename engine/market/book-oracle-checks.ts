/** Why the plain book refuses an order: checks C1 to C14 of docs/reference/matching.md, in their order. 0: it does not. */
import * as L from '../../schemas/order-layout.gen.ts';
import { type BookName, type BookRegion, type BookSymbol, bookOf, hasPage, opposite, ordersOf, type Side } from './book-oracle-region.ts';
import { BUY, isAllOrNone, isPostOnly, type OrderCommand, sideOf, timeInForceOf, typeOf } from './order-command.ts';

const ATTRIBUTE_BITS = (1 << 11) - 1;
const FINE = 0;

/** What an order asks for, by a new order or a replacement. */
interface Terms {
  readonly attributes: number;
  readonly owner: number;
  readonly priceTicks: number;
  readonly stopTicks: number;
  readonly quantityLots: number;
}

const isLimited = (type: number): boolean => type === L.ORDER_TYPE_LIMIT || type === L.ORDER_TYPE_STOP_LIMIT;
const isTriggered = (type: number): boolean => type === L.ORDER_TYPE_STOP || type === L.ORDER_TYPE_STOP_LIMIT;
const isStanding = (timeInForce: number): boolean =>
  timeInForce === L.TIME_IN_FORCE_GTC || timeInForce === L.TIME_IN_FORCE_DAY || timeInForce === L.TIME_IN_FORCE_GTD;
const isInRange = (priceTicks: number): boolean => Math.abs(priceTicks) <= L.ORDER_LIMIT_PRICE_MAX;

export function checkNew(region: BookRegion, command: OrderCommand): number {
  const symbol = region.symbols.get(command.symbolIndex);
  if (!symbol) return L.ORDER_REASON_UNKNOWN_SYMBOL;
  return (
    checkId(region, command) ||
    checkAttributes(command.attributes) ||
    checkCombination(command) ||
    checkArrivalPhase(symbol, command.attributes) ||
    checkQuantity(symbol, command.quantityLots) ||
    checkPrice(symbol, command) ||
    checkStop(symbol, command) ||
    checkTrail(symbol, command) ||
    checkDisplay(region, symbol, command) ||
    checkExpiry(region, command) ||
    checkOwner(region, command) ||
    checkOwnerOrders(region, command.owner) ||
    checkTerms(region, symbol, command) ||
    checkLiquidity(symbol, command) ||
    checkRoom(region, symbol, command) ||
    checkPostOnly(symbol, command)
  );
}

/** A9: what a restored order needs. */
export function checkRestore(region: BookRegion, command: OrderCommand): number {
  const symbol = region.symbols.get(command.symbolIndex);
  if (!symbol) return L.ORDER_REASON_UNKNOWN_SYMBOL;
  const refused = checkId(region, command) || checkAttributes(command.attributes) || checkCombination(command);
  if (refused) return refused;
  const type = typeOf(command.attributes);
  if (type === L.ORDER_TYPE_MARKET || type === L.ORDER_TYPE_MARKET_TO_LIMIT || !isStanding(timeInForceOf(command.attributes)))
    return L.ORDER_REASON_UNSUPPORTED_COMBINATION;
  if (command.quantityLots < 1) return L.ORDER_REASON_QUANTITY_NOT_POSITIVE;
  if (command.quantityLots > L.ORDER_LIMIT_QUANTITY_MAX) return L.ORDER_REASON_QUANTITY_TOO_LARGE;
  if (isLimited(type) && !isInRange(command.priceTicks)) return L.ORDER_REASON_PRICE_OUT_OF_RANGE;
  const book = bookOf(command.attributes);
  const isTrailWrong = type === L.ORDER_TYPE_TRAILING_STOP && (command.trailTicks < 1 || command.trailTicks > L.ORDER_LIMIT_PRICE_MAX);
  if (book === 'stop' && (isTrailWrong || !isInRange(command.stopTicks))) return L.ORDER_REASON_STOP_INVALID;
  const shownMax = Math.min(command.displayLots, command.quantityLots);
  const isShownWrong = command.displayLots !== 0 && (command.shownLots < 1 || command.shownLots > shownMax);
  if (command.displayLots < 0 || isShownWrong || checkSlices(region, command)) return L.ORDER_REASON_DISPLAY_INVALID;
  if (command.owner !== 0 && command.owner >= region.shape.owners) return L.ORDER_REASON_OWNER_UNKNOWN;
  return checkPools(region, symbol, { book, priceTicks: book === 'stop' ? command.stopTicks : command.priceTicks });
}

/** C2. */
function checkId(region: BookRegion, command: OrderCommand): number {
  if (command.orderId === 0n) return L.ORDER_REASON_MALFORMED;
  return region.orders.has(command.orderId) ? L.ORDER_REASON_DUPLICATE_ID : FINE;
}

/** C3. Every code of self-match exists. */
function checkAttributes(attributes: number): number {
  const isKnown =
    (attributes & ~ATTRIBUTE_BITS) === 0 &&
    typeOf(attributes) <= L.ORDER_TYPE_TRAILING_STOP &&
    timeInForceOf(attributes) <= L.TIME_IN_FORCE_FOK;
  return isKnown ? FINE : L.ORDER_REASON_MALFORMED;
}

/** C4. */
function checkCombination(command: OrderCommand): number {
  const type = typeOf(command.attributes);
  const timeInForce = timeInForceOf(command.attributes);
  const isPlainLimit = type === L.ORDER_TYPE_LIMIT && isStanding(timeInForce);
  const isStop = isTriggered(type) || type === L.ORDER_TYPE_TRAILING_STOP;
  const isRefused =
    (isPostOnly(command.attributes) && !isPlainLimit) ||
    (isAllOrNone(command.attributes) && (!isPlainLimit || command.displayLots !== 0 || isPostOnly(command.attributes))) ||
    (command.displayLots !== 0 && !(isLimited(type) && isStanding(timeInForce))) ||
    (isStop && !isStanding(timeInForce)) ||
    (timeInForce === L.TIME_IN_FORCE_GTD && command.expiryNs === 0n) ||
    (type === L.ORDER_TYPE_MARKET && timeInForce === L.TIME_IN_FORCE_GTD);
  return isRefused ? L.ORDER_REASON_UNSUPPORTED_COMBINATION : FINE;
}

/** C5, for orders that come new. */
function checkArrivalPhase(symbol: BookSymbol, attributes: number): number {
  const closed = checkPhase(symbol);
  if (closed) return closed;
  const type = typeOf(attributes);
  const needsMatching =
    type === L.ORDER_TYPE_MARKET ||
    type === L.ORDER_TYPE_MARKET_TO_LIMIT ||
    !isStanding(timeInForceOf(attributes)) ||
    isPostOnly(attributes) ||
    isAllOrNone(attributes);
  return symbol.instrument.phase === L.PHASE_CALL && needsMatching ? L.ORDER_REASON_NOT_IN_CALL : FINE;
}

/** C5, for orders that stand already. */
export function checkPhase(symbol: BookSymbol): number {
  if (symbol.instrument.phase === L.PHASE_CLOSED) return L.ORDER_REASON_SESSION_CLOSED;
  return symbol.instrument.phase === L.PHASE_HALTED ? L.ORDER_REASON_HALTED : FINE;
}

/** C6. */
export function checkQuantity(symbol: BookSymbol, quantityLots: number): number {
  const { maxLots, minLots, lotStep } = symbol.instrument;
  if (quantityLots < 1) return L.ORDER_REASON_QUANTITY_NOT_POSITIVE;
  if (quantityLots > L.ORDER_LIMIT_QUANTITY_MAX || quantityLots > maxLots) return L.ORDER_REASON_QUANTITY_TOO_LARGE;
  if (quantityLots < minLots) return L.ORDER_REASON_QUANTITY_TOO_SMALL;
  return quantityLots % lotStep === 0 ? FINE : L.ORDER_REASON_OFF_LOT;
}

/** C7. */
export function checkPrice(symbol: BookSymbol, { attributes, priceTicks }: Terms): number {
  if (!isLimited(typeOf(attributes))) return FINE;
  const { tickStep, lowerTicks, upperTicks } = symbol.instrument;
  if (!isInRange(priceTicks)) return L.ORDER_REASON_PRICE_OUT_OF_RANGE;
  if (priceTicks % tickStep !== 0) return L.ORDER_REASON_OFF_TICK;
  return priceTicks >= lowerTicks && priceTicks <= upperTicks ? FINE : L.ORDER_REASON_OUTSIDE_BAND;
}

/** C8, triggers that are given. */
export function checkStop(symbol: BookSymbol, { attributes, stopTicks }: Terms): number {
  if (!isTriggered(typeOf(attributes))) return FINE;
  return isInRange(stopTicks) && stopTicks % symbol.instrument.tickStep === 0 ? FINE : L.ORDER_REASON_STOP_INVALID;
}

/** C8, triggers that trail. */
function checkTrail(symbol: BookSymbol, command: OrderCommand): number {
  if (typeOf(command.attributes) !== L.ORDER_TYPE_TRAILING_STOP) return FINE;
  const isTrail = command.trailTicks >= 1 && command.trailTicks <= L.ORDER_LIMIT_PRICE_MAX;
  const isPlaced = symbol.instrument.lastTicks !== L.ORDER_LIMIT_PRICE_NONE && isInRange(trailedTicks(symbol, command));
  return isTrail && isPlaced ? FINE : L.ORDER_REASON_STOP_INVALID;
}

/** O10: where a new trailing stop stands. There is a last price. */
export function trailedTicks(symbol: BookSymbol, order: { readonly attributes: number; readonly trailTicks: number }): number {
  const { lastTicks } = symbol.instrument;
  return sideOf(order.attributes) === BUY ? lastTicks + order.trailTicks : lastTicks - order.trailTicks;
}

/** C9. */
function checkDisplay(region: BookRegion, symbol: BookSymbol, command: OrderCommand): number {
  const { displayLots, quantityLots } = command;
  const isFine = displayLots === 0 || (displayLots >= 1 && displayLots <= quantityLots && displayLots % symbol.instrument.lotStep === 0);
  return isFine ? checkSlices(region, command) : L.ORDER_REASON_DISPLAY_INVALID;
}

/** C9: the slices of the other icebergs of the region and of this one, with the leaves it would have. */
function checkSlices(region: BookRegion, iceberg: { orderId: bigint; displayLots: number; quantityLots: number }): number {
  if (iceberg.displayLots === 0) return FINE;
  let slices = Math.ceil(iceberg.quantityLots / iceberg.displayLots);
  for (const order of region.orders.values())
    if (order.displayLots !== 0 && order.orderId !== iceberg.orderId) slices += Math.ceil(order.leavesLots / order.displayLots);
  return slices > L.ORDER_LIMIT_SLICES_MAX ? L.ORDER_REASON_DISPLAY_INVALID : FINE;
}

/** C10. */
function checkExpiry(region: BookRegion, command: OrderCommand): number {
  const isPassed = timeInForceOf(command.attributes) === L.TIME_IN_FORCE_GTD && command.expiryNs <= region.nowNs;
  return isPassed ? L.ORDER_REASON_EXPIRY_PASSED : FINE;
}

/** C11 has three parts, in this order: the owner; how many orders it has; quantity and notional. */
function checkOwner(region: BookRegion, { owner }: Terms): number {
  if (owner === 0) return FINE;
  if (owner >= region.shape.owners) return L.ORDER_REASON_OWNER_UNKNOWN;
  return region.limits.get(owner)?.isBlocked ? L.ORDER_REASON_OWNER_BLOCKED : FINE;
}

function checkOwnerOrders(region: BookRegion, owner: number): number {
  const maxOpenOrders = region.limits.get(owner)?.maxOpenOrders ?? 0;
  if (owner === 0 || maxOpenOrders === 0) return FINE;
  const openOrders = [...region.orders.values()].filter((order) => order.owner === owner).length;
  return openOrders < maxOpenOrders ? FINE : L.ORDER_REASON_OWNER_ORDER_LIMIT;
}

function checkTerms(region: BookRegion, symbol: BookSymbol, terms: Terms): number {
  const limits = region.limits.get(terms.owner);
  if (terms.owner === 0 || !limits) return FINE;
  if (limits.maxOrderLots !== 0 && terms.quantityLots > limits.maxOrderLots) return L.ORDER_REASON_OWNER_QUANTITY_LIMIT;
  const priceTicks = isLimited(typeOf(terms.attributes)) ? terms.priceTicks : symbol.instrument.lastTicks;
  if (limits.maxNotional === 0n || priceTicks === L.ORDER_LIMIT_PRICE_NONE) return FINE;
  const notional = BigInt(Math.abs(priceTicks)) * BigInt(terms.quantityLots);
  return notional > limits.maxNotional ? L.ORDER_REASON_OWNER_NOTIONAL_LIMIT : FINE;
}

/** A3: what a replacement must meet of C6, C7, C8, C9 and C11. */
export function checkReplacement(region: BookRegion, symbol: BookSymbol, terms: Terms & { orderId: bigint; displayLots: number }): number {
  return (
    checkQuantity(symbol, terms.quantityLots) ||
    checkPrice(symbol, terms) ||
    checkStop(symbol, terms) ||
    checkSlices(region, terms) ||
    checkOwner(region, terms) ||
    checkTerms(region, symbol, terms)
  );
}

/** C13. */
function checkLiquidity(symbol: BookSymbol, { attributes }: OrderCommand): number {
  const isAlone = bestPrice(symbol, opposite(sideOf(attributes))) === undefined;
  return typeOf(attributes) === L.ORDER_TYPE_MARKET_TO_LIMIT && isAlone ? L.ORDER_REASON_NO_LIQUIDITY : FINE;
}

/** C12. */
function checkRoom(region: BookRegion, symbol: BookSymbol, command: OrderCommand): number {
  const type = typeOf(command.attributes);
  if (type === L.ORDER_TYPE_MARKET || !isStanding(timeInForceOf(command.attributes))) return FINE;
  return checkPools(region, symbol, { book: bookOf(command.attributes), priceTicks: wouldStandAt(symbol, command) });
}

function wouldStandAt(symbol: BookSymbol, command: OrderCommand): number {
  const type = typeOf(command.attributes);
  if (isTriggered(type)) return command.stopTicks;
  if (type === L.ORDER_TYPE_TRAILING_STOP) return trailedTicks(symbol, command);
  if (type === L.ORDER_TYPE_LIMIT) return command.priceTicks;
  return bestPrice(symbol, opposite(sideOf(command.attributes))) ?? 0;
}

function checkPools(region: BookRegion, symbol: BookSymbol, at: { book: BookName; priceTicks: number }): number {
  if (region.orders.size >= region.shape.orders) return L.ORDER_REASON_ORDER_POOL_FULL;
  return hasPage(region, symbol.symbolIndex, at) ? FINE : L.ORDER_REASON_PRICE_POOL_FULL;
}

/** C14. */
export function checkPostOnly(symbol: BookSymbol, { attributes, priceTicks }: Terms): number {
  if (!isPostOnly(attributes)) return FINE;
  const side = sideOf(attributes);
  const best = bestPrice(symbol, opposite(side));
  return best !== undefined && isWithin(side, best, priceTicks) ? L.ORDER_REASON_WOULD_TAKE : FINE;
}

/** Best price of a side of the displayed book. */
export function bestPrice(symbol: BookSymbol, side: Side): number | undefined {
  return ordersOf(symbol, 'displayed', side)[0]?.priceTicks;
}

/** True when an order of this side with this limit can trade at the price. */
export function isWithin(side: Side, priceTicks: number, limitTicks: number): boolean {
  return side === BUY ? priceTicks <= limitTicks : priceTicks >= limitTicks;
}
