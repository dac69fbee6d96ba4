/** What came out of a matcher, added up from the slots of its event ring; and whether it is what the orders must come to. */
import { type OrderCommand, sideOf } from '../../../engine/market/order-command.ts';
import { ORDER_RING_KIND } from '../../../engine/market/order-ring.ts';
import * as L from '../../../schemas/order-layout.gen.ts';
import type { Verdict } from '../report-model.ts';
import { type BookTotals, hashOrder, type OrderBacklog, type RestingTotals } from './order-backlog.ts';

export interface OrderSums {
  /** Takes the slot at this word; true when it ends what came of a command. */
  take(words: Int32Array, at: number): boolean;
  readonly accepted: number;
  readonly rejected: number;
  /** Reason of the first rejection. */
  readonly reason: number | undefined;
  readonly books: readonly Omit<BookTotals, keyof RestingTotals>[];
}

const KIND_MASK = 0xff;
const REASON_SHIFT = 8;
const MAKER_WORD = 2 * L.ORDER_EVENT_OTHER_ID_I64;
const DIFFERENCES_SHOWN = 12;

export function createOrderSums(symbols: number): OrderSums {
  const [trades, lots] = [new Float64Array(symbols), new Float64Array(symbols)];
  const hashes = new Int32Array(symbols);
  let [accepted, rejected] = [0, 0];
  let reason: number | undefined;
  return {
    take(words, at) {
      const word = words[at + L.ORDER_EVENT_KIND_I32]!;
      const kind = word & KIND_MASK;
      if (kind === ORDER_RING_KIND.done) return true;
      if (kind === L.EVENT_KIND_TRADE) {
        const symbol = words[at + L.ORDER_EVENT_SYMBOL_INDEX_I32]!;
        const quantity = words[at + L.ORDER_EVENT_QUANTITY_LOTS_I32]!;
        const price = words[at + L.ORDER_EVENT_PRICE_TICKS_I32]!;
        trades[symbol]! += 1;
        lots[symbol]! += quantity;
        // The lower half of the maker's id is its id in the flow.
        hashes[symbol] = (Math.imul(hashes[symbol]!, 31) + words[at + MAKER_WORD]! * 7 + quantity * 13 + price) | 0;
      } else if (kind === L.EVENT_KIND_ACCEPTED) accepted += 1;
      else if (kind === L.EVENT_KIND_REJECTED) {
        rejected += 1;
        reason ??= word >>> REASON_SHIFT;
      }
      return false;
    },
    get accepted() {
      return accepted;
    },
    get rejected() {
      return rejected;
    },
    get reason() {
      return reason;
    },
    get books() {
      return Array.from(trades, (count, symbol) => ({ trades: count, lots: lots[symbol]!, hash: hashes[symbol]! }));
    },
  };
}

/** What one matcher has come to. */
export interface MatcherOutcome {
  readonly backlog: OrderBacklog;
  readonly sums: Pick<OrderSums, 'accepted' | 'rejected' | 'reason' | 'books'>;
  /** Commands that were answered. */
  readonly answered: number;
  /** What rests in each book at the end, as the matcher lists it. */
  readonly resting: readonly RestingTotals[];
}

/** The verdict over all matchers; what is compared are trades. */
export function judgeOrders(outcomes: readonly MatcherOutcome[]): Verdict {
  const differences = outcomes.flatMap(differencesOf);
  const more = differences.length - DIFFERENCES_SHOWN;
  const tradesOf = (books: readonly Pick<BookTotals, 'trades'>[]): number => books.reduce((sum, { trades }) => sum + trades, 0);
  return {
    isRight: differences.length === 0,
    differences: [...differences.slice(0, DIFFERENCES_SHOWN), ...(more > 0 ? [`and ${more} more`] : [])],
    barsCompared: outcomes.reduce((sum, { backlog }) => sum + tradesOf(backlog.expected), 0),
    messagesCompared: 0,
    expectedHash: hashesOf(outcomes.map(({ backlog }) => backlog.expected)),
    foundHash: hashesOf(outcomes.map(({ sums }) => sums.books)),
  };
}

function differencesOf({ backlog, sums, answered, resting }: MatcherOutcome, worker: number): string[] {
  const where = `matcher-${worker}`;
  const wrong: string[] = [];
  if (answered !== backlog.commands) wrong.push(`${where}: ${answered} commands answered of ${backlog.commands}`);
  if (sums.rejected > 0) wrong.push(`${where}: ${sums.rejected} commands rejected, the first for reason ${sums.reason}, expected none`);
  if (sums.accepted !== backlog.newOrders) wrong.push(`${where}: ${sums.accepted} orders accepted, expected ${backlog.newOrders}`);
  for (const [symbol, expected] of backlog.expected.entries()) {
    const found = { ...sums.books[symbol], ...resting[symbol] };
    for (const name of ['trades', 'lots', 'hash', 'resting', 'book'] as const) {
      if (found[name] !== expected[name]) wrong.push(`${where}, book ${symbol}: ${name} ${found[name]}, expected ${expected[name]}`);
    }
  }
  return wrong;
}

/** Totals of a listed book: the `restore` commands of its orders. */
export function restingTotalsOf(orders: readonly OrderCommand[]): RestingTotals {
  let book = 0;
  for (const { orderId, attributes, priceTicks, quantityLots } of orders) {
    // The lower half of an id is the order's id in the flow.
    book = (book + hashOrder(Number(BigInt.asIntN(32, orderId)), sideOf(attributes), priceTicks, quantityLots)) | 0;
  }
  return { resting: orders.length, book };
}

/** The hashes of all books in one text. */
function hashesOf(matchers: readonly (readonly Pick<BookTotals, 'hash'>[])[]): string {
  let [first, second] = [0, 0];
  for (const { hash } of matchers.flat()) {
    first = (Math.imul(first, 31) + hash) | 0;
    second = (Math.imul(second, 0x9e3779b1) ^ hash) | 0;
  }
  return [first, second].map((word) => (word >>> 0).toString(16).padStart(8, '0')).join('');
}
