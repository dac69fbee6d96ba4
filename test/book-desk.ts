/** A desk at a book for directed tests: orders and changes in short words, what came of them as lines (`book-text.ts`). */
import {
  attributesOf,
  type BookInstrument,
  type BookLevel,
  newCommand,
  OPEN_INSTRUMENT,
  type OrderAttributes,
  type OrderCommand,
  type OrderEvent,
  type OwnerLimits,
  type RestingOrder,
} from '../engine/market/order-command.ts';
import * as L from '../schemas/order-layout.gen.ts';
import { linesOf } from './book-text.ts';
import type { RegionPools } from './order-arbitraries.ts';

/** The face that every book of ours has. */
export interface RuleBook {
  configure(symbolIndex: number, instrument: BookInstrument): void;
  limit(owner: number, limits: OwnerLimits): void;
  apply(command: OrderCommand): readonly OrderEvent[];
  list(symbolIndex: number): readonly RestingOrder[];
  levels(symbolIndex: number, side: 0 | 1): readonly BookLevel[];
  lastTicks(symbolIndex: number): number;
}

export type CreateBook = (pools: RegionPools) => RuleBook;

/** What an order may have besides its terms. */
export type OrderOptions = Partial<OrderCommand> & Omit<OrderAttributes, 'side'>;

export interface Desk {
  readonly book: RuleBook;
  /** Any command, as given. */
  send(fields: Partial<OrderCommand>): string[];
  /** Terms such as `10@100`, `10` (market), `10 from 95` (stop), `10@94 from 95` (stop limit), `10 trailing 5`. */
  buy(orderId: number, terms: string, options?: OrderOptions): string[];
  sell(orderId: number, terms: string, options?: OrderOptions): string[];
  cancel(orderId: number, fields?: Partial<OrderCommand>): string[];
  reduce(orderId: number, quantityLots: number, fields?: Partial<OrderCommand>): string[];
  /** New terms, as of `buy`. */
  replace(orderId: number, terms: string, fields?: Partial<OrderCommand>): string[];
  move(orderId: number, priceTicks: number, fields?: Partial<OrderCommand>): string[];
  phase(phase: number, symbolIndex?: number): string[];
  band(lowerTicks: number, upperTicks: number): string[];
  time(tsNs: bigint): string[];
  /** What stands, such as `buy 1: 10@100`, `sell aon 2: 5@101`, `buy stop 3: 10 from 105`; icebergs with `shows 2`. */
  standing(symbolIndex?: number): string[];
}

export const DESK_POOLS: RegionPools = { symbols: 3, orders: 100, pages: 20, owners: 5 };

interface DeskOptions {
  readonly instrument?: Partial<BookInstrument>;
  readonly pools?: Partial<RegionPools>;
  /** Symbols 0 to this are set up alike. */
  readonly symbols?: number;
}

const TERMS = /^(\d+)(?:@(-?\d+))?(?: from (-?\d+)| trailing (-?\d+))?$/;

export function openDesk(create: CreateBook, { instrument = {}, pools = {}, symbols = 1 }: DeskOptions = {}): Desk {
  const book = create({ ...DESK_POOLS, ...pools });
  for (let symbolIndex = 0; symbolIndex < symbols; symbolIndex += 1) book.configure(symbolIndex, { ...OPEN_INSTRUMENT, ...instrument });
  const send = (fields: Partial<OrderCommand>): string[] => linesOf(book.apply(newCommand(fields)));
  const change = (kind: number, orderId: number, fields: Partial<OrderCommand>): string[] =>
    send({ kind, orderId: BigInt(orderId), ...fields });
  const enter = (side: 0 | 1, orderId: number, terms: string, options: OrderOptions): string[] =>
    send(orderFields(side, orderId, terms, options));
  return {
    book,
    send,
    buy: (orderId, terms, options = {}) => enter(0, orderId, terms, options),
    sell: (orderId, terms, options = {}) => enter(1, orderId, terms, options),
    cancel: (orderId, fields = {}) => change(L.COMMAND_KIND_CANCEL, orderId, fields),
    reduce: (orderId, quantityLots, fields = {}) => change(L.COMMAND_KIND_REDUCE, orderId, { quantityLots, ...fields }),
    replace: (orderId, terms, fields = {}) => change(L.COMMAND_KIND_REPLACE, orderId, { ...termsOf(terms).fields, ...fields }),
    move: (orderId, priceTicks, fields = {}) => change(L.COMMAND_KIND_MOVE, orderId, { priceTicks, ...fields }),
    phase: (quantityLots, symbolIndex = 0) => send({ kind: L.COMMAND_KIND_PHASE, quantityLots, symbolIndex }),
    band: (priceTicks, stopTicks) => send({ kind: L.COMMAND_KIND_BAND, priceTicks, stopTicks }),
    time: (tsNs) => send({ kind: L.COMMAND_KIND_TIME, tsNs }),
    standing: (symbolIndex = 0) => book.list(symbolIndex).map(standingText),
  };
}

/** The fields of a new order. */
export function orderFields(side: 0 | 1, orderId: number, terms: string, options: OrderOptions = {}): Partial<OrderCommand> {
  const { type, fields } = termsOf(terms);
  const { type: given = type, timeInForce = 0, selfMatch = 0, isPostOnly = false, isAllOrNone = false, ...others } = options;
  const attributes = attributesOf({ side, type: given, timeInForce, selfMatch, isPostOnly, isAllOrNone });
  return { kind: L.COMMAND_KIND_NEW, orderId: BigInt(orderId), attributes, ...fields, ...others };
}

function termsOf(terms: string): { type: number; fields: Partial<OrderCommand> } {
  const match = TERMS.exec(terms);
  if (!match) throw new Error(`terms '${terms}': expected such as 10@100, 10 from 95, 10 trailing 5`);
  const [, quantity, price, stop, trail] = match;
  const fields = {
    quantityLots: Number(quantity),
    priceTicks: Number(price ?? 0),
    stopTicks: Number(stop ?? 0),
    trailTicks: Number(trail ?? 0),
  };
  if (trail !== undefined) return { type: L.ORDER_TYPE_TRAILING_STOP, fields };
  if (stop !== undefined) return { type: price === undefined ? L.ORDER_TYPE_STOP : L.ORDER_TYPE_STOP_LIMIT, fields };
  return { type: price === undefined ? L.ORDER_TYPE_MARKET : L.ORDER_TYPE_LIMIT, fields };
}

function standingText(order: RestingOrder): string {
  const book = { displayed: '', allOrNone: ' aon', stop: ' stop' }[order.book];
  const type = (order.attributes >>> L.ORDER_BITS_TYPE_SHIFT) & 7;
  const price = type === L.ORDER_TYPE_LIMIT || type === L.ORDER_TYPE_STOP_LIMIT ? `@${order.priceTicks}` : '';
  const trigger = order.book === 'stop' ? ` from ${order.stopTicks}` : '';
  const shows = order.displayLots === 0 ? '' : ` shows ${order.shownLots}`;
  return `${order.side === 0 ? 'buy' : 'sell'}${book} ${order.orderId}: ${order.leavesLots}${price}${trigger}${shows}`;
}
