/**
 * What became of each order, from the events of the matcher: status, sums, fills and the audit of every change. It decides nothing; it takes
 * the matcher at its word, and fails when an event speaks of an order that it does not know.
 *
 *   NEW ─▶ ACK ─▶ PARTIAL ─▶ FILLED
 *    │      └────────┴─────▶ CANCELED, EXPIRED
 *    └─▶ REJECTED
 */
import { COMMAND_KIND, EVENT_KIND, ORDER_BITS, ORDER_TYPE, TIME_IN_FORCE } from '../../../schemas/order-records.ts';
import { assert } from '../../core/errors.ts';
import { type OrderCommand, type OrderEvent, sideOf, timeInForceOf, typeOf } from '../../market/order-command.ts';
import type { BookSpec, Catalogue } from './catalogue.ts';
import { reasonWord } from './refusal.ts';
import { GIVEN_ID_PREFIX, type OrderRequest } from './request.ts';
import type { OrderHandle } from './resolve.ts';

export type OrderStatus = 'NEW' | 'ACK' | 'PARTIAL' | 'FILLED' | 'CANCELED' | 'EXPIRED' | 'REJECTED';

/** An order as its row says. Quantities in lots; quantityLots is cumLots + leavesLots while it is live. */
export interface OrderRow extends OrderHandle {
  readonly clientOrderId: string;
  readonly side: 0 | 1;
  readonly type: number;
  readonly timeInForce: number;
  readonly owner: number;
  readonly strategy: string;
  readonly why: string;
  readonly riskBucket: string;
  readonly extra: string;
  readonly tsNs: bigint;
  quantityLots: number;
  priceTicks: number;
  stopTicks: number;
  status: OrderStatus;
  cumLots: number;
  leavesLots: number;
  /** Sum of price in ticks x lots over the fills. */
  notionalTicks: bigint;
  endReason: number;
  updatedNs: bigint;
}

export interface FillRow {
  readonly tradeId: bigint;
  readonly order: OrderRow;
  readonly quantityLots: number;
  readonly priceTicks: number;
  readonly liquidity: 'maker' | 'taker' | 'auction';
  readonly tsNs: bigint;
}

export interface AuditRow {
  readonly orderId: bigint;
  readonly clientOrderId: string;
  readonly from: OrderStatus | null;
  readonly to: OrderStatus;
  readonly note: string;
  readonly meta: Readonly<Record<string, number>>;
  readonly tsNs: bigint;
}

/** What a book is set to, beside its orders. */
export interface BookSettings {
  phase: number;
  lowerTicks: number;
  upperTicks: number;
  /** When the calendar had the last change of phase that the book has gone through; 0: none yet. */
  calendarNs: bigint;
}

/** What an epoch changes. */
export interface LedgerChanges {
  /** Orders in the order in which they were first touched. */
  readonly orders: readonly OrderRow[];
  readonly fills: readonly FillRow[];
  readonly audits: readonly AuditRow[];
  /** Symbols whose books may differ from what is stored. */
  readonly symbols: ReadonlySet<number>;
  readonly nextTradeId: bigint;
}

/** What came of one request. */
export interface Outcome {
  /** 0 when it was not about one order. */
  readonly orderId: bigint;
  readonly clientOrderId: string;
  readonly status: OrderStatus | '';
  readonly leavesLots: number;
  readonly cumLots: number;
  /** Executions of the order by this request, in order. */
  readonly fills: readonly { readonly quantityLots: number; readonly priceTicks: number }[];
  /** ORDER_REASON of a refusal, or of what ended the order; 0: none. */
  readonly reason: number;
  readonly isRefused: boolean;
}

export interface LedgerState {
  readonly live: readonly OrderRow[];
  readonly nextTradeId: bigint;
}

export interface Ledger {
  readonly live: ReadonlyMap<bigint, OrderRow>;
  readonly settings: readonly BookSettings[];
  findOrder(orderId: bigint, clientOrderId: string): OrderRow | undefined;
  /** The order of that name which is live, or ended in this epoch. */
  named(clientOrderId: string): OrderRow | undefined;
  /** Takes the events of one command in. @param request of a new order, for what only it knows */
  apply(command: OrderCommand, request: OrderRequest, events: readonly OrderEvent[]): Outcome;
  /** Takes the events of a command in that is of no request: the calendar's. */
  applyChange(command: OrderCommand, events: readonly OrderEvent[]): void;
  /** What has changed since the last call of `settle`. */
  changes(): LedgerChanges;
  /** The changes are durable: they begin anew. */
  settle(): void;
}

const ENDED = new Set<OrderStatus>(['FILLED', 'CANCELED', 'EXPIRED', 'REJECTED']);
const PRICED = new Set<number>([ORDER_TYPE.limit, ORDER_TYPE.stopLimit, ORDER_TYPE.marketToLimit]);
const TRIGGERED = new Set<number>([ORDER_TYPE.stop, ORDER_TYPE.stopLimit, ORDER_TYPE.trailingStop]);
const FORCE_NAMES = new Map<number, string>(Object.entries(TIME_IN_FORCE).map(([name, code]) => [code, name.toUpperCase()]));
const TYPE_NAMES = new Map<number, string>([
  [ORDER_TYPE.market, 'MKT'],
  [ORDER_TYPE.limit, 'LMT'],
  [ORDER_TYPE.marketToLimit, 'MTL'],
  [ORDER_TYPE.stop, 'STP'],
  [ORDER_TYPE.stopLimit, 'STP_LMT'],
  [ORDER_TYPE.trailingStop, 'TRAIL'],
]);

export function orderTypeName(type: number): string {
  return TYPE_NAMES.get(type) ?? '';
}

export function timeInForceName(timeInForce: number): string {
  return FORCE_NAMES.get(timeInForce) ?? '';
}

export function hasPrice(order: OrderRow): boolean {
  return PRICED.has(order.type);
}

export function hasStop(order: OrderRow): boolean {
  return TRIGGERED.has(order.type);
}

export function createLedger(catalogue: Catalogue, state: LedgerState): Ledger {
  const live = new Map(state.live.map((order) => [order.orderId, order]));
  const byClientId = new Map(state.live.map((order) => [order.clientOrderId, order]));
  const settings = catalogue.books.map(
    ({ phase, lowerTicks, upperTicks }): BookSettings => ({ phase, lowerTicks, upperTicks, calendarNs: 0n }),
  );
  let touched = new Map<bigint, OrderRow>();
  let fills: FillRow[] = [];
  let audits: AuditRow[] = [];
  let symbols = new Set<number>();
  let nextTradeId = state.nextTradeId;

  const orderOf = (orderId: bigint, event: OrderEvent): OrderRow => {
    const order = live.get(orderId) ?? touched.get(orderId);
    assert(order !== undefined, `order ${orderId} of event kind ${event.kind} is known to the ledger`);
    return order;
  };

  const move = (order: OrderRow, to: OrderStatus, note: string, { tsNs, reason }: OrderEvent): void => {
    const { orderId, clientOrderId, cumLots, leavesLots, priceTicks } = order;
    const meta = { cum: cumLots, leaves: leavesLots, price_ticks: priceTicks, ...(reason === 0 ? {} : { reason }) };
    audits.push({ orderId, clientOrderId, from: order.status, to, note, meta, tsNs });
    order.status = to;
    order.updatedNs = tsNs;
    touched.set(orderId, order);
    if (!ENDED.has(to)) return;
    live.delete(orderId);
    order.endReason = reason;
  };

  const end = (order: OrderRow, to: OrderStatus, event: OrderEvent): void => {
    order.leavesLots = 0;
    move(order, to, event.reason === 0 ? to.toLowerCase() : reasonWord(event.reason), event);
  };

  const fill = (order: OrderRow, leavesLots: number, event: OrderEvent, liquidity: FillRow['liquidity']): void => {
    const { quantityLots, priceTicks, tsNs } = event;
    order.cumLots += quantityLots;
    assert(
      order.cumLots + leavesLots === order.quantityLots,
      `order ${order.orderId}: ${order.cumLots} filled and ${leavesLots} left of ${order.quantityLots}`,
    );
    order.leavesLots = leavesLots;
    order.notionalTicks += BigInt(priceTicks) * BigInt(quantityLots);
    fills.push({ tradeId: nextTradeId, order, quantityLots, priceTicks, liquidity, tsNs });
    move(order, leavesLots === 0 ? 'FILLED' : 'PARTIAL', liquidity, event);
  };

  const trade = (event: OrderEvent, isAuction: boolean): void => {
    fill(orderOf(event.orderId, event), event.leavesLots, event, isAuction ? 'auction' : 'taker');
    fill(orderOf(event.otherId, event), event.otherLeavesLots, event, isAuction ? 'auction' : 'maker');
    nextTradeId += 1n;
  };

  const replace = (order: OrderRow, event: OrderEvent): void => {
    order.leavesLots = event.leavesLots;
    order.quantityLots = order.cumLots + event.leavesLots;
    if (hasPrice(order)) order.priceTicks = event.priceTicks;
    // A triggered order has no trigger any more; its row keeps the one that it had.
    if (TRIGGERED.has(typeOf(event.attributes))) order.stopTicks = event.otherLeavesLots;
    move(order, order.status, 'replaced', event);
  };

  const enter = (command: OrderCommand, request: OrderRequest): OrderRow => {
    const order = rowOf(command, request);
    live.set(order.orderId, order);
    byClientId.set(order.clientOrderId, order);
    touched.set(order.orderId, order);
    const { orderId, clientOrderId, tsNs } = order;
    audits.push({ orderId, clientOrderId, from: null, to: 'NEW', note: 'insert', meta: {}, tsNs });
    return order;
  };

  const take = (event: OrderEvent, isAuction: boolean): void => {
    const { kind } = event;
    if (kind === EVENT_KIND.top || kind === EVENT_KIND.refreshed) return;
    if (kind === EVENT_KIND.trade) {
      trade(event, isAuction);
      return;
    }
    if (kind === EVENT_KIND.phase) {
      settings[event.symbolIndex]!.phase = event.quantityLots;
      return;
    }
    const order = orderOf(event.orderId, event);
    if (kind === EVENT_KIND.accepted) {
      if (hasPrice(order)) order.priceTicks = event.priceTicks;
      if (hasStop(order)) order.stopTicks = event.otherLeavesLots;
      move(order, 'ACK', 'accepted', event);
    } else if (kind === EVENT_KIND.cancelled) end(order, 'CANCELED', event);
    else if (kind === EVENT_KIND.expired) end(order, 'EXPIRED', event);
    else if (kind === EVENT_KIND.replaced) replace(order, event);
    else {
      assert(kind === EVENT_KIND.triggered, `event kind ${kind} is known to the ledger`);
      move(order, order.status, 'triggered', event);
    }
  };

  const takeAll = (events: readonly OrderEvent[], onRejected: (event: OrderEvent) => void): void => {
    let isUncross = false;
    for (const event of events) {
      if (event.kind === EVENT_KIND.rejected) {
        onRejected(event);
        continue;
      }
      symbols.add(event.symbolIndex);
      isUncross = event.kind === EVENT_KIND.phase || (isUncross && stillUncross(event));
      take(event, isUncross);
    }
  };

  return {
    live,
    settings,
    findOrder: (orderId, clientOrderId) => {
      const order = orderId === 0n ? byClientId.get(clientOrderId) : live.get(orderId);
      return order !== undefined && !ENDED.has(order.status) ? order : undefined;
    },
    named: (clientOrderId) => byClientId.get(clientOrderId),
    apply(command, request, events) {
      const isNew = command.kind === COMMAND_KIND.new;
      const order = isNew ? enter(command, request) : live.get(command.orderId);
      const firstFill = fills.length;
      let refusal = 0;
      takeAll(events, (event) => {
        refusal = event.reason;
        if (isNew && order !== undefined) end(order, 'REJECTED', event);
      });
      if (command.kind === COMMAND_KIND.band && refusal === 0) {
        const band = settings[command.symbolIndex]!;
        band.lowerTicks = command.priceTicks;
        band.upperTicks = command.stopTicks;
        symbols.add(command.symbolIndex);
      }
      const own = order === undefined ? [] : fills.slice(firstFill).filter((entry) => entry.order === order);
      return {
        orderId: order?.orderId ?? 0n,
        clientOrderId: order?.clientOrderId ?? '',
        status: order?.status ?? '',
        leavesLots: order?.leavesLots ?? 0,
        cumLots: order?.cumLots ?? 0,
        fills: own.map(({ quantityLots, priceTicks }) => ({ quantityLots, priceTicks })),
        reason: refusal || (order?.endReason ?? 0),
        isRefused: refusal !== 0,
      };
    },
    applyChange(command, events) {
      takeAll(events, ({ reason }) => {
        assert(false, `command ${command.kind} of symbol ${command.symbolIndex} is taken by the matcher: it was refused with ${reason}`);
      });
    },
    changes: () => ({ orders: [...touched.values()], fills, audits, symbols, nextTradeId }),
    settle() {
      for (const order of touched.values()) if (ENDED.has(order.status)) byClientId.delete(order.clientOrderId);
      touched = new Map();
      fills = [];
      audits = [];
      symbols = new Set();
    },
  };
}

/** An uncross comes right behind its phase event, and neither stops nor all-or-none orders take part in it. */
function stillUncross({ kind, attributes }: OrderEvent): boolean {
  if (kind === EVENT_KIND.trade) return (attributes & ORDER_BITS.allOrNone) === 0;
  return kind === EVENT_KIND.refreshed;
}

function rowOf(command: OrderCommand, request: OrderRequest): OrderRow {
  const { orderId, symbolIndex, tsNs, attributes, quantityLots, owner, priceTicks, stopTicks } = command;
  return {
    orderId,
    symbolIndex,
    clientOrderId: clientOrderIdOf(request, orderId),
    side: sideOf(attributes),
    type: typeOf(attributes),
    timeInForce: timeInForceOf(attributes),
    owner,
    strategy: request.strategy,
    why: request.why,
    riskBucket: request.riskBucket,
    extra: request.extra,
    tsNs,
    quantityLots,
    priceTicks,
    stopTicks,
    status: 'NEW',
    cumLots: 0,
    leavesLots: quantityLots,
    notionalTicks: 0n,
    endReason: 0,
    updatedNs: tsNs,
  };
}

/** The client's own id for its order, or the one that an order without any is given. */
export function clientOrderIdOf({ clientOrderId }: OrderRequest, orderId: bigint): string {
  return clientOrderId === '' ? `${GIVEN_ID_PREFIX}${orderId}` : clientOrderId;
}

/** Average price of what is filled, in units; null before the first fill. The division rounds once. */
export function averagePrice(order: OrderRow, { priceDecimals }: BookSpec): number | null {
  if (order.cumLots === 0) return null;
  return Number(order.notionalTicks) / (order.cumLots * 10 ** priceDecimals);
}

/** Ticks as a price, correctly rounded. */
export function priceOf(ticks: number, { priceDecimals }: BookSpec): number {
  return ticks / 10 ** priceDecimals;
}
