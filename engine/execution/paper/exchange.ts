/**
 * A paper exchange: our orders against a market that is recorded or live and that they never change.
 *
 * Two clocks: the venue's, in which the market's messages are stamped and orders arrive, and ours, which is behind by the feed's latency and
 * ahead by the entry's. A request sent at our time t arrives at t plus the entry leg; what happens at the venue at v is heard of at v
 * plus the response leg. Requests of an account arrive in the order they were sent, and answers come back in order, as on one connection.
 */
import { ORDER_LIMIT } from '../../../schemas/order-records.ts';
import { BOOK_FLAG, type BookBatch } from '../../market/book-message.ts';
import type { DepthKind, DepthMessage } from '../../market/depth-message.ts';
import { createFees, type FeeAccount, notionalAttoOf } from '../fees/fees.ts';
import { createDepthMarket, type DepthMarket } from './depth-market.ts';
import { createLatency } from './latency.ts';
import type { MarketListener, Side, World } from './market.ts';
import { createOrderMarket, type OrderMarket } from './order-market.ts';
import {
  createQueuePlace,
  isDone,
  PAPER_REASON,
  type PaperFill,
  type PaperOrder,
  type PaperReason,
  type PaperRequest,
} from './paper-order.ts';
import type { PaperSettings } from './settings.ts';
import { assertModelFits, createVenue, type Venue, type VenueFill, type VenueHooks } from './venue.ts';

/** What a tick and a lot of a symbol are worth: billionths of the currency, billionths of a unit. */
export interface PaperSymbol {
  readonly tickNanos: number;
  readonly lotNanos: number;
}

export interface PaperReport {
  readonly kind: 'accepted' | 'refused' | 'replaced' | 'fill' | 'cancelled';
  readonly order: PaperOrder;
  /** Of `refused` and `cancelled`. A refused cancel or replace leaves its order as it is. */
  readonly reason?: PaperReason;
  /** Of `fill`. */
  readonly fill?: PaperFill;
  /** Time at the venue, and when we hear of it. */
  readonly tsNs: bigint;
  readonly localNs: bigint;
}

export interface PaperExchangeOptions {
  readonly settings: PaperSettings;
  symbolOf(symbolIndex: number): PaperSymbol;
  onReport(report: PaperReport): void;
}

export interface PaperExchange {
  readonly settings: PaperSettings;
  /** Orders of one account share what reaches them; accounts are worlds apart. `hiddenId`: a real order this world must not have. */
  openAccount(hiddenId?: bigint): World;
  /** Sends an order at our time `nowNs`; what is wrong with it by itself is reported at once. */
  submit(world: World, request: PaperRequest, nowNs: bigint): PaperOrder;
  cancel(order: PaperOrder, nowNs: bigint): void;
  /** @param leavesLots what is to be left, at least 1 */
  replace(order: PaperOrder, to: { priceTicks: number; leavesLots: number }, nowNs: bigint): void;
  /** Lets every request arrive that is due at the venue's time `tsNs` or before. */
  advance(tsNs: bigint): void;
  /** When something that happens at the venue now is seen by us: never before what was seen earlier. */
  seenNs(tsNs: bigint): bigint;
}

export interface OrderPaperExchange extends PaperExchange {
  /** Takes message `index`. Requests due before its time arrive first, but not within a moment of the venue. */
  apply(batch: BookBatch, index: number): void;
  market(symbolIndex: number): OrderMarket;
}

export interface DepthPaperExchange extends PaperExchange {
  /** Takes a message. Requests due before its time arrive first. */
  apply(message: DepthMessage): void;
  /** Without `apply`: feed it, and call `advance` before each message and `settle` after each moment. */
  market(symbolIndex: number): DepthMarket;
}

/** Against order-by-order data; every model works on it. */
export function createOrderExchange(options: PaperExchangeOptions): OrderPaperExchange {
  const core = createCore(options, (listener) => createOrderMarket(listener));
  let isWithinMoment = false;
  return {
    ...core.face,
    apply(batch, index) {
      if (!isWithinMoment) core.face.advance(batch.tsNs[index]! - 1n);
      core.venueOf(batch.symbolIndex[index]!).market.apply(batch, index);
      isWithinMoment = (batch.flags[index]! & BOOK_FLAG.last) === 0;
    },
    market: (symbolIndex) => core.venueOf(symbolIndex).market,
  };
}

export interface DepthExchangeOptions extends PaperExchangeOptions {
  /** Lots of a real order that an account must not see, where there are such orders. */
  hiddenLots?(symbolIndex: number, world: World, side: Side, priceTicks: number): number;
}

/** @throws EngineError PAPER_MODEL when the model needs more than such a feed shows */
export function createDepthExchange(kind: DepthKind, options: DepthExchangeOptions): DepthPaperExchange {
  const { settings, hiddenLots } = options;
  assertModelFits(settings.model, kind);
  const core = createCore(options, (listener, symbolIndex) =>
    createDepthMarket(kind, listener, hiddenLots && ((world, side, priceTicks) => hiddenLots(symbolIndex, world, side, priceTicks))),
  );
  return {
    ...core.face,
    apply(message) {
      core.face.advance(message.tsNs - 1n);
      applyDepth(core.venueOf(message.symbolIndex).market, message);
    },
    market: (symbolIndex) => core.venueOf(symbolIndex).market,
  };
}

function applyDepth(market: DepthMarket, message: DepthMessage): void {
  if (message.kind === 'settle') market.settle();
  else if (message.kind === 'clear') market.clear();
  else if (message.kind === 'trade') market.trade(message.side, message.priceTicks, message.lots, message.tsNs);
  else market[message.kind](message.side, message.priceTicks, message.lots, message.tsNs);
}

interface Account {
  readonly world: World;
  readonly fees: FeeAccount;
  /** The latest arrival and the latest answer so far. */
  arrivalNs: bigint;
  answerNs: bigint;
}

interface Pending {
  readonly dueNs: bigint;
  readonly work: (tsNs: bigint) => void;
}

function createCore<Market extends OrderMarket | DepthMarket>(
  { settings, symbolOf, onReport }: PaperExchangeOptions,
  createMarket: (listener: MarketListener, symbolIndex: number) => Market,
): { face: PaperExchange; venueOf(symbolIndex: number): Venue<Market> } {
  const latency = createLatency(settings);
  const accounts: Account[] = [];
  const venues = new Map<number, Venue<Market>>();
  /** By due time, latest first; of equal times the first sent is nearest to the end. */
  const pending: Pending[] = [];
  let nextOrderId = 1n;
  let seenNs = 0n;

  const answerNs = (account: Account, tsNs: bigint): bigint => {
    account.answerNs = latest(account.answerNs, tsNs + BigInt(latency.responseNs()));
    return account.answerNs;
  };
  const accountOf = (order: PaperOrder): Account => accounts[order.world.account]!;
  const tell = (kind: PaperReport['kind'], order: PaperOrder, tsNs: bigint, reason?: PaperReason): void => {
    onReport({ kind, order, tsNs, localNs: answerNs(accountOf(order), tsNs), ...(reason === undefined ? {} : { reason }) });
  };

  const hooks: VenueHooks = {
    accepted: (order, tsNs) => tell('accepted', order, tsNs),
    replaced: (order, tsNs) => tell('replaced', order, tsNs),
    refused: (order, reason, tsNs) => tell('refused', order, tsNs, reason),
    ended(order, reason, tsNs) {
      accountOf(order).fees.forget(order.id);
      tell(order.state === 'refused' ? 'refused' : 'cancelled', order, tsNs, reason);
    },
    filled(order, part, tsNs) {
      const account = accountOf(order);
      const fill = createFill(order, part, tsNs, account);
      order.fills.push(fill);
      if (order.state === 'filled') account.fees.forget(order.id);
      onReport({ kind: 'fill', order, fill, tsNs, localNs: fill.localNs });
    },
  };

  function createFill(order: PaperOrder, part: VenueFill, tsNs: bigint, account: Account): PaperFill {
    const { tickNanos, lotNanos } = symbolOf(order.symbolIndex);
    const { queue } = order;
    return {
      ...part,
      tsNs,
      localNs: answerNs(account, tsNs),
      aheadAtEntryLots: queue.aheadAtEntryLots,
      aheadLots: queue.aheadLots,
      tradedAtLots: queue.tradedAtLots,
      tradedThroughLots: queue.tradedThroughLots,
      fees: account.fees.charge({
        orderId: order.id,
        side: order.side,
        isMaker: part.liquidity === 'maker',
        notionalAtto: notionalAttoOf({ ...part, tickNanos, lotNanos }),
        quantityNanos: BigInt(part.quantityLots) * BigInt(lotNanos),
        tsNs,
      }),
    };
  }

  function venueOf(symbolIndex: number): Venue<Market> {
    const known = venues.get(symbolIndex);
    if (known !== undefined) return known;
    const venue = createVenue((listener) => createMarket(listener, symbolIndex), settings, hooks);
    venues.set(symbolIndex, venue);
    return venue;
  }

  /** On its way to the venue from our time `nowNs` on. */
  function send(world: World, nowNs: bigint, work: Pending['work']): void {
    const account = accounts[world.account]!;
    account.arrivalNs = latest(account.arrivalNs, nowNs + BigInt(latency.entryNs()));
    const dueNs = account.arrivalNs;
    let place = pending.length;
    while (place > 0 && pending[place - 1]!.dueNs <= dueNs) place -= 1;
    pending.splice(place, 0, { dueNs, work });
  }

  const face: PaperExchange = {
    settings,
    openAccount(hiddenId) {
      const world: World = { account: accounts.length, ...(hiddenId === undefined ? {} : { hiddenId }) };
      accounts.push({ world, fees: createFees(settings.fees), arrivalNs: 0n, answerNs: 0n });
      return world;
    },
    submit(world, request, nowNs) {
      const order = createOrder(world, request, nextOrderId++, nowNs);
      const reason = faultOf(request);
      if (reason === undefined) send(world, nowNs, (tsNs) => venueOf(request.symbolIndex).arrive(order, tsNs));
      else {
        order.state = 'refused';
        order.reason = reason;
        onReport({ kind: 'refused', order, reason, tsNs: nowNs, localNs: nowNs });
      }
      return order;
    },
    cancel(order, nowNs) {
      send(order.world, nowNs, (tsNs) => venueOf(order.symbolIndex).cancel(order, tsNs));
    },
    replace(order, to, nowNs) {
      const reason = isDone(order) ? PAPER_REASON.unknownOrder : faultOf({ ...order, ...to, quantityLots: to.leavesLots });
      if (reason === undefined) send(order.world, nowNs, (tsNs) => venueOf(order.symbolIndex).replace(order, to, tsNs));
      else onReport({ kind: 'refused', order, reason, tsNs: nowNs, localNs: nowNs });
    },
    advance(tsNs) {
      for (let next = pending.at(-1); next !== undefined && next.dueNs <= tsNs; next = pending.at(-1)) {
        pending.pop();
        next.work(next.dueNs);
      }
    },
    seenNs(tsNs) {
      seenNs = latest(seenNs, tsNs + BigInt(latency.feedNs()));
      return seenNs;
    },
  };
  return { face, venueOf };
}

function latest(one: bigint, other: bigint): bigint {
  return one > other ? one : other;
}

function createOrder(world: World, request: PaperRequest, id: bigint, sentNs: bigint): PaperOrder {
  return {
    ...request,
    id,
    world,
    sentNs,
    arrivedNs: undefined,
    leavesLots: request.quantityLots,
    state: 'sent',
    reason: undefined,
    queue: createQueuePlace(),
    fills: [],
  };
}

/** What is wrong with a request by itself. */
function faultOf(request: PaperRequest): PaperReason | undefined {
  if (!Number.isInteger(request.quantityLots)) return PAPER_REASON.malformed;
  if (request.quantityLots < 1) return PAPER_REASON.quantityNotPositive;
  if (request.quantityLots > ORDER_LIMIT.quantityMax) return PAPER_REASON.quantityTooLarge;
  if (request.isPostOnly && (request.type === 'market' || request.timeInForce !== 'gtc')) return PAPER_REASON.unsupportedCombination;
  if (request.type === 'market') return undefined;
  if (!Number.isInteger(request.priceTicks)) return PAPER_REASON.malformed;
  return Math.abs(request.priceTicks) > ORDER_LIMIT.priceMax ? PAPER_REASON.priceOutOfRange : undefined;
}
