/**
 * Orders for a cell, drawn before it: the XC-1 flow of `bench/matcher-flow.ts` for each symbol, the symbols shuffled into one another, and what a plain
 * typed-array book (`bench/twins/typed-book.ts`), which shares nothing with the matcher, makes of each symbol's orders.
 */
import { createPrng } from '../../../engine/core/prng.ts';
import { ORDER_SLOT_WORDS } from '../../../engine/market/order-ring.ts';
import * as L from '../../../schemas/order-layout.gen.ts';
import { type MatcherFlow, makeMatcherFlow, recordsOf } from '../../matcher-flow.ts';
import { COMMAND_FIELDS, createTypedBook, OP, type TypedBook } from '../../twins/typed-book.ts';

export interface BookTotals {
  readonly trades: number;
  readonly lots: number;
  /** Over the trades in order, as in the typed book. */
  readonly hash: number;
  readonly resting: number;
  /** Sum of `hashOrder` over the orders that rest. */
  readonly book: number;
}

/** What one matcher is sent. */
export interface OrderBacklog {
  /** `command` records. */
  readonly words: Int32Array;
  readonly commands: number;
  /** The first so many fill the books. */
  readonly prefill: number;
  /** Commands of these that bring a new order. */
  readonly newOrders: number;
  /** By the symbol's place in the matcher, as every list here. */
  readonly expected: readonly BookTotals[];
}

export interface OrderPlan {
  readonly symbols: number;
  /** Of all symbols together, the filling of the books not counted. */
  readonly orders: number;
  readonly workers: number;
  readonly seed: number;
}

/** As XC-1 has them, until the books of all symbols together get larger than this. */
const RESTING = 1000;
const RESTING_TOTAL = 1_000_000;
const SPAN = 1200;

export interface RestingTotals {
  readonly resting: number;
  readonly book: number;
}

/** Side, price and lots of an order that rests, in 32 bits. */
export function hashOrder(id: number, side: number, price: number, lots: number): number {
  let hash = Math.imul(id, 0x9e3779b1) ^ side;
  for (const value of [price, lots]) {
    hash = Math.imul(hash ^ (hash >>> 15) ^ value, 0x85ebca6b);
  }
  return hash ^ (hash >>> 13);
}

/** Orders that rest in each book. */
export function restingOf(symbols: number): number {
  return Math.min(RESTING, Math.floor(RESTING_TOTAL / symbols));
}

/** A backlog for each worker; symbol `s` is the matter of worker `s % workers`. */
export function drawOrders({ symbols, orders, workers, seed }: OrderPlan): OrderBacklog[] {
  const shape = { name: 'XC-1', operations: Math.ceil(orders / symbols), resting: restingOf(symbols), span: SPAN };
  // Books are large: all flows are drawn with one.
  const book = createTypedBook();
  return Array.from({ length: workers }, (_, worker) => {
    const own = Array.from({ length: symbols }, (__, symbol) => symbol).filter((symbol) => symbol % workers === worker);
    // A symbol has the same orders whichever worker it falls to.
    const drawn = own.map((symbol) => {
      book.clear();
      const flow = makeMatcherFlow(shape, seed + symbol, book);
      // The book has taken the whole flow by now.
      return { flow, totals: totalsOf(flow, book) };
    });
    return mergeFlows(drawn, seed + worker);
  });
}

interface DrawnFlow {
  readonly flow: MatcherFlow;
  readonly totals: BookTotals;
}

function mergeFlows(drawn: readonly DrawnFlow[], seed: number): OrderBacklog {
  const flows = drawn.map(({ flow }) => flow);
  const sources = flows.map((flow) => new Int32Array(recordsOf(flow, 1).buffer));
  const commands = flows.reduce((sum, flow) => sum + flow.commands, 0);
  const words = new Int32Array(commands * ORDER_SLOT_WORDS);
  const prng = createPrng(seed);
  const next = flows.map(() => 0);
  let count = 0;
  const put = (symbol: number): void => {
    const from = next[symbol]! * ORDER_SLOT_WORDS;
    const at = count * ORDER_SLOT_WORDS;
    const source = sources[symbol]!;
    for (let word = 0; word < ORDER_SLOT_WORDS; word += 1) words[at + word] = source[from + word]!;
    words[at + L.ORDER_COMMAND_SYMBOL_INDEX_I32] = symbol;
    // Ids are unique in a matcher: the upper half of each is the symbol.
    words[at + 2 * L.ORDER_COMMAND_ORDER_ID_I64 + 1] = symbol;
    next[symbol] = next[symbol]! + 1;
    count += 1;
  };
  /** Draws among the symbols until each of them has come so far. */
  const putUntil = (ends: readonly number[]): void => {
    const left = ends.flatMap((end, symbol) => (next[symbol]! < end ? [symbol] : []));
    while (left.length > 0) {
      const index = prng.nextBelow(left.length);
      const symbol = left[index]!;
      put(symbol);
      if (next[symbol]! < ends[symbol]!) continue;
      const last = left.pop();
      if (last !== undefined && index < left.length) left[index] = last;
    }
  };
  putUntil(flows.map((flow) => flow.prefill));
  const prefill = count;
  putUntil(flows.map((flow) => flow.commands));
  const newOrders = flows.reduce((sum, flow) => sum + newOrdersOf(flow), 0);
  return { words, commands, prefill, newOrders, expected: drawn.map(({ totals }) => totals) };
}

function newOrdersOf({ words, commands }: MatcherFlow): number {
  let count = 0;
  for (let index = 0; index < commands; index += 1) {
    const op = words[index * COMMAND_FIELDS];
    if (op === OP.limit || op === OP.immediate) count += 1;
  }
  return count;
}

function totalsOf({ words, commands }: MatcherFlow, book: TypedBook): BookTotals {
  let sum = 0;
  for (let index = 0; index < commands; index += 1) {
    const at = index * COMMAND_FIELDS;
    const [op, id] = [words[at]!, words[at + 1]!];
    // Each order comes in once: what is left of it is met once.
    if (op !== OP.limit || book.lotsOf(id) === 0) continue;
    sum = (sum + hashOrder(id, book.sideOf(id), book.priceOf(id), book.lotsOf(id))) | 0;
  }
  return { trades: book.trades, lots: book.lots, hash: book.hash, resting: book.resting, book: sum };
}
