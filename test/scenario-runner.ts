/** Reads the text commands of the matching scenarios and runs them on a book of ours. */
import { attributesOf, type BookInstrument, newCommand, type OrderCommand, type OrderEvent } from '../engine/market/order-command.ts';
import * as L from '../schemas/order-layout.gen.ts';
import { linesOf } from './book-text.ts';

export interface ScenarioBook {
  configure(symbolIndex: number, instrument: BookInstrument): void;
  apply(command: OrderCommand): readonly OrderEvent[];
}

interface ScenarioOrder {
  readonly command: OrderCommand;
  executedLots: number;
}

interface Runner {
  readonly book: ScenarioBook;
  readonly orders: Map<number, ScenarioOrder>;
  readonly lines: string[];
  /** Best prices by the last `top`: bid, ask. */
  best: readonly [number, number];
}

const INSTRUMENT: BookInstrument = {
  phase: L.PHASE_CONTINUOUS,
  tickStep: 1,
  lotStep: 1,
  minLots: 1,
  maxLots: 1_000_000,
  lowerTicks: 1,
  upperTicks: 1_000_000,
  lastTicks: L.ORDER_LIMIT_PRICE_NONE,
};

const TIMES: Readonly<Record<string, number>> = { ioc: L.TIME_IN_FORCE_IOC, fok: L.TIME_IN_FORCE_FOK };

/** The lines of all events, in order. */
export function runScenario(book: ScenarioBook, text: string): string[] {
  const runner: Runner = { book, orders: new Map(), lines: [], best: [L.ORDER_LIMIT_PRICE_NONE, L.ORDER_LIMIT_PRICE_NONE] };
  for (const line of text.split('\n')) {
    const words = line.trim().split(/\s+/);
    if (words[0] !== '' && words[0] !== '#') perform(runner, words);
  }
  return runner.lines;
}

function perform(runner: Runner, words: readonly string[]): void {
  const [verb, what] = words;
  const numbers = words.slice(2).map(Number);
  const is = (...expected: string[]): boolean => verb === expected[0] && (expected[1] === undefined || what === expected[1]);
  if (is('enable', 'matching') || is('add', 'symbol') || is('delete', 'symbol')) return;
  if (is('add', 'book')) runner.book.configure(numbers[0]!, INSTRUMENT);
  else if (is('delete', 'book')) closeBook(runner, numbers[0]!);
  else if (is('add')) addOrder(runner, words.slice(1));
  else if (is('reduce', 'order')) change(runner, numbers[0]!, { kind: L.COMMAND_KIND_REDUCE, quantityLots: numbers[1]! });
  else if (is('delete', 'order')) change(runner, numbers[0]!, { kind: L.COMMAND_KIND_CANCEL });
  else if (is('modify', 'order')) modify(runner, numbers[0]!, numbers[1]!, numbers[2]!);
  else if (is('replace', 'order')) replace(runner, numbers);
  else if (is('mitigate', 'order')) mitigate(runner, numbers[0]!, numbers[1]!, numbers[2]!);
  else throw new Error(`scenario: unknown command '${words.join(' ')}'`);
}

function send(runner: Runner, command: OrderCommand): void {
  const events = runner.book.apply(command);
  for (const event of events) {
    if (event.kind === L.EVENT_KIND_TOP) runner.best = [event.priceTicks, event.otherLeavesLots];
    if (event.kind !== L.EVENT_KIND_TRADE) continue;
    for (const orderId of [event.orderId, event.otherId]) {
      const order = runner.orders.get(Number(orderId));
      if (order) order.executedLots += event.quantityLots;
    }
  }
  runner.lines.push(...linesOf(events));
}

/** A book that is deleted: its orders go and trading closes. */
function closeBook(runner: Runner, symbolIndex: number): void {
  send(runner, newCommand({ kind: L.COMMAND_KIND_MASS_CANCEL, symbolIndex, attributes: L.MASS_SCOPE_BY_SYMBOL }));
  send(runner, newCommand({ kind: L.COMMAND_KIND_PHASE, symbolIndex, quantityLots: L.PHASE_CLOSED }));
}

/** `[slippage] [aon|ioc|fok] limit|market|stop|stop-limit|trailing stop buy|sell ID SYMBOL numbers`. */
function addOrder(runner: Runner, words: readonly string[]): void {
  const sideAt = words.findIndex((word) => word === 'buy' || word === 'sell');
  const kind = words.slice(0, sideAt).join(' ');
  const side = words[sideAt] === 'buy' ? 0 : 1;
  const [orderId, symbolIndex, ...rest] = words.slice(sideAt + 1).map(Number) as [number, number, ...number[]];
  const [modifier] = kind.split(' ');
  const parts = { side, timeInForce: TIMES[modifier ?? ''] ?? L.TIME_IN_FORCE_GTC, isAllOrNone: modifier === 'aon' };
  const terms = termsOf(runner, kind, side, rest);
  const command = newCommand({ ...terms, orderId: BigInt(orderId), symbolIndex, attributes: attributesOf({ ...parts, ...terms.parts }) });
  runner.orders.set(orderId, { command, executedLots: 0 });
  send(runner, command);
}

interface Terms extends Partial<OrderCommand> {
  readonly parts: { readonly type: number; readonly timeInForce?: number };
}

function termsOf(runner: Runner, kind: string, side: number, numbers: readonly number[]): Terms {
  const [first = 0, second = 0, third = 0] = numbers;
  if (kind.endsWith('stop-limit'))
    return { stopTicks: first, priceTicks: second, quantityLots: third, parts: { type: L.ORDER_TYPE_STOP_LIMIT } };
  if (kind.endsWith('limit')) return { priceTicks: first, quantityLots: second, parts: { type: L.ORDER_TYPE_LIMIT } };
  if (kind === 'trailing stop') return { quantityLots: second, trailTicks: third, parts: { type: L.ORDER_TYPE_TRAILING_STOP } };
  if (kind === 'stop') return { stopTicks: first, quantityLots: second, parts: { type: L.ORDER_TYPE_STOP } };
  if (kind === 'market') return { quantityLots: first, parts: { type: L.ORDER_TYPE_MARKET } };
  if (kind !== 'slippage market') throw new Error(`scenario: unknown order '${kind}'`);
  // A market order that may go so far beyond the best price: immediate or cancel with that limit.
  const priceTicks = side === 0 ? runner.best[1] + second : runner.best[0] - second;
  return { quantityLots: first, priceTicks, parts: { type: L.ORDER_TYPE_LIMIT, timeInForce: L.TIME_IN_FORCE_IOC } };
}

function orderAt(runner: Runner, orderId: number): ScenarioOrder {
  const order = runner.orders.get(orderId);
  if (!order) throw new Error(`scenario: order ${orderId} was never added`);
  return order;
}

function change(runner: Runner, orderId: number, fields: Partial<OrderCommand>): void {
  const { symbolIndex } = orderAt(runner, orderId).command;
  send(runner, newCommand({ ...fields, symbolIndex, orderId: BigInt(orderId) }));
}

/** Another price and another quantity left. */
function modify(runner: Runner, orderId: number, priceTicks: number, quantityLots: number): void {
  change(runner, orderId, { kind: L.COMMAND_KIND_REPLACE, priceTicks, quantityLots });
}

/** The order goes, and another with a new id, price and quantity comes. */
function replace(runner: Runner, numbers: readonly number[]): void {
  const [orderId = 0, newId = 0, priceTicks = 0, quantityLots = 0] = numbers;
  const { command } = orderAt(runner, orderId);
  change(runner, orderId, { kind: L.COMMAND_KIND_CANCEL });
  const next = { ...command, orderId: BigInt(newId), priceTicks, quantityLots };
  runner.orders.set(newId, { command: next, executedLots: 0 });
  send(runner, next);
}

/** Another price and another whole quantity, of which what was executed counts. */
function mitigate(runner: Runner, orderId: number, priceTicks: number, quantityLots: number): void {
  const leavesLots = quantityLots - orderAt(runner, orderId).executedLots;
  if (leavesLots > 0) modify(runner, orderId, priceTicks, leavesLots);
  else change(runner, orderId, { kind: L.COMMAND_KIND_CANCEL });
}
