/** From a request to the command that a book takes: names become indices, decimal prices become ticks. */
import { COMMAND_KIND, MASS_SCOPE, ORDER_LIMIT, ORDER_REASON, ORDER_TYPE } from '../../../schemas/order-records.ts';
import { parseScaled } from '../../core/decimal.ts';
import { attributesOf, newCommand, type OrderCommand } from '../../market/order-command.ts';
import type { BookSpec, Catalogue } from './catalogue.ts';
import { DOOR_REASON, isRefusal, Refusal } from './refusal.ts';
import type { OrderOp, OrderRequest } from './request.ts';

/** An order that a request may name. */
export interface OrderHandle {
  readonly orderId: bigint;
  readonly symbolIndex: number;
  /** As they are now: a change that names no price keeps them. */
  readonly priceTicks: number;
  readonly stopTicks: number;
}

export interface ResolveContext {
  readonly catalogue: Catalogue;
  /** Of the command: of a new order its own id. */
  readonly orderId: bigint;
  readonly tsNs: bigint;
  /** A live order by its id or, when that is 0, its client_order_id. */
  findOrder(orderId: bigint, clientOrderId: string): OrderHandle | undefined;
}

const KIND_OF: Readonly<Record<OrderOp, number>> = {
  exec: COMMAND_KIND.new,
  new: COMMAND_KIND.new,
  cancel: COMMAND_KIND.cancel,
  reduce: COMMAND_KIND.reduce,
  replace: COMMAND_KIND.replace,
  move: COMMAND_KIND.move,
  mass_cancel: COMMAND_KIND.massCancel,
  phase: COMMAND_KIND.phase,
  band: COMMAND_KIND.band,
  time: COMMAND_KIND.time,
};

/** What stops a request at the door already: it depends on the request and the catalogue alone. Undefined: let it in. */
export function refuseAtDoor(request: OrderRequest, catalogue: Catalogue): Refusal | undefined {
  const spec = catalogue.find(request.symbol);
  if (request.symbol !== '' && spec === undefined) return noBook(request.symbol);
  if (spec === undefined) return undefined;
  const prices = ticksOf(request, spec);
  return isRefusal(prices) ? prices : undefined;
}

/** The command of a request, or why there is none. */
export function resolveRequest(request: OrderRequest, context: ResolveContext): OrderCommand | Refusal {
  const { op } = request;
  if (op === 'time') return newCommand({ kind: COMMAND_KIND.time, tsNs: context.tsNs });
  if (op === 'mass_cancel') return resolveMassCancel(request, context);
  if (op === 'cancel' || op === 'reduce' || op === 'replace' || op === 'move') return resolveChange(request, context);
  const spec = context.catalogue.find(request.symbol);
  if (spec === undefined) return noBook(request.symbol);
  const prices = ticksOf(request, spec);
  if (isRefusal(prices)) return prices;
  const common = { kind: KIND_OF[op], symbolIndex: spec.symbolIndex, tsNs: context.tsNs, ...prices };
  if (op === 'phase') return newCommand({ ...common, quantityLots: request.phase });
  if (op === 'band') return newCommand(common);
  return newCommand({
    ...common,
    orderId: context.orderId,
    quantityLots: request.quantityLots,
    displayLots: request.displayLots,
    expiryNs: request.expiryNs,
    owner: request.owner,
    attributes: attributesOf({ ...request, side: request.side ?? 0 }),
  });
}

function resolveChange(request: OrderRequest, { catalogue, tsNs, findOrder }: ResolveContext): OrderCommand | Refusal {
  const order = findOrder(request.orderId, request.clientOrderId);
  const spec = order && catalogue.books[order.symbolIndex];
  const isOfSymbol = request.symbol === '' || request.symbol === spec?.symbol;
  if (order === undefined || spec === undefined || !isOfSymbol) {
    const name = request.orderId === 0n ? request.clientOrderId : String(request.orderId);
    return new Refusal(ORDER_REASON.unknownOrder, `order ${name}: not live${isOfSymbol ? '' : ` in ${request.symbol}`}`);
  }
  const prices = ticksOf(request, spec);
  if (isRefusal(prices)) return prices;
  const { orderId, symbolIndex } = order;
  const { quantityLots, owner } = request;
  const priceTicks = request.price === undefined ? order.priceTicks : prices.priceTicks;
  const stopTicks = request.stopPrice === undefined ? order.stopTicks : prices.stopTicks;
  return newCommand({ kind: KIND_OF[request.op], symbolIndex, orderId, tsNs, quantityLots, owner, priceTicks, stopTicks });
}

function resolveMassCancel({ symbol, owner, side }: OrderRequest, { catalogue, tsNs }: ResolveContext): OrderCommand | Refusal {
  const spec = symbol === '' ? undefined : catalogue.find(symbol);
  if (symbol !== '' && spec === undefined) return noBook(symbol);
  const scope = (spec ? MASS_SCOPE.bySymbol : 0) | (owner === 0 ? 0 : MASS_SCOPE.byOwner) | (side === undefined ? 0 : MASS_SCOPE.bySide);
  return newCommand({ kind: COMMAND_KIND.massCancel, symbolIndex: spec?.symbolIndex ?? 0, tsNs, owner, attributes: scope | (side ?? 0) });
}

interface Ticks {
  readonly priceTicks: number;
  readonly stopTicks: number;
  readonly trailTicks: number;
}

/** The prices of a request in ticks. One that its op needs and does not have is a fault, and so is one between two ticks. */
function ticksOf(request: OrderRequest, spec: BookSpec): Ticks | Refusal {
  const missing = missingPrice(request);
  if (missing !== undefined) return new Refusal(DOOR_REASON.badArgs, `${missing}: missing`);
  const found: number[] = [];
  for (const text of [request.price, request.stopPrice, request.trail]) {
    const ticks = text === undefined ? 0 : parseScaled(text, { start: 0, end: text.length, decimals: spec.priceDecimals });
    if (Number.isNaN(ticks)) {
      const isWide = Math.abs(Number(text)) * 10 ** spec.priceDecimals > ORDER_LIMIT.priceMax;
      const reason = isWide ? ORDER_REASON.priceOutOfRange : ORDER_REASON.offTick;
      return new Refusal(reason, `price ${text} of ${spec.symbol}: expected at most ${spec.priceDecimals} decimals`);
    }
    if (Math.abs(ticks) > ORDER_LIMIT.priceMax) {
      return new Refusal(ORDER_REASON.priceOutOfRange, `price ${text} of ${spec.symbol}: expected at most ${ORDER_LIMIT.priceMax} ticks`);
    }
    found.push(ticks);
  }
  const [priceTicks = 0, stopTicks = 0, trailTicks = 0] = found;
  return { priceTicks, stopTicks, trailTicks };
}

function missingPrice({ op, type, price, stopPrice, trail }: OrderRequest): string | undefined {
  if (op === 'move') return price === undefined ? 'price' : undefined;
  if (op === 'band') return price === undefined ? 'lower' : stopPrice === undefined ? 'upper' : undefined;
  if (op !== 'new') return undefined;
  const { limit, stop, stopLimit, trailingStop } = ORDER_TYPE;
  if ((type === limit || type === stopLimit) && price === undefined) return 'price';
  if ((type === stop || type === stopLimit) && stopPrice === undefined) return 'stop_price';
  return type === trailingStop && trail === undefined ? 'trail' : undefined;
}

function noBook(symbol: string): Refusal {
  return new Refusal(DOOR_REASON.noBook, `symbol ${symbol.slice(0, 40)}: has no book`);
}
