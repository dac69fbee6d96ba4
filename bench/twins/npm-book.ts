/** Order books from npm under the face of the matcher bench. A move is a cancel and a new order with the same id. */
import { OrderBook as HftOrderBook } from 'hft-limit-order-book';
import { OrderBook as NodejsOrderBook } from 'nodejs-order-book';
import { EngineError } from '../../engine/core/errors.ts';
import { COMMAND_FIELDS, OP } from './typed-book.ts';

/** What the bench uses of both. */
interface NpmOrderBook {
  limit(order: NpmOrder): { readonly err: Error | null };
  cancel(id: string): unknown;
  /** Asks and bids, best first: price and lots. */
  depth(): [[number, number][], [number, number][]];
}

interface NpmOrder {
  readonly id: string;
  readonly side: 'buy' | 'sell';
  readonly size: number;
  readonly price: number;
  readonly timeInForce: 'GTC' | 'IOC';
}

// A cast: the packages want enums for side and time in force, of which they do not export the latter.
const NPM_BOOKS = {
  'nodejs-order-book': (): NpmOrderBook => new NodejsOrderBook() as NpmOrderBook,
  'hft-limit-order-book': (): NpmOrderBook => new HftOrderBook() as NpmOrderBook,
} as const;

export type NpmBookName = keyof typeof NPM_BOOKS;

export interface NpmRun {
  /** Operations done a second. */
  readonly rate: number;
  /** Prices and lots of both sides, best first. */
  readonly bids: readonly (readonly [number, number])[];
  readonly asks: readonly (readonly [number, number])[];
}

interface NpmFlow {
  readonly words: Int32Array;
  readonly prefill: number;
  readonly commands: number;
}

/** Fills a new book and runs the commands after that, timed by `nowUs`. */
export function runNpmBook(name: NpmBookName, { words, prefill, commands }: NpmFlow, nowUs: () => number): NpmRun {
  const book = NPM_BOOKS[name]();
  const send = (from: number, to: number): void => {
    for (let index = from; index < to; index += 1) {
      const [op, id, side, price, size] = words.subarray(index * COMMAND_FIELDS, index * COMMAND_FIELDS + 5);
      const key = String(id);
      if (op === OP.cancel || op === OP.move) book.cancel(key);
      if (op === OP.cancel) continue;
      const result = book.limit({
        id: key,
        side: side === 0 ? 'buy' : 'sell',
        size: size!,
        price: price!,
        timeInForce: op === OP.immediate ? 'IOC' : 'GTC',
      });
      if (result.err) throw new EngineError('BENCH_NPM', `${name}: order ${key}: ${result.err.message}`, { cause: result.err });
    }
  };
  send(0, prefill);
  const fromUs = nowUs();
  send(prefill, commands);
  const rate = ((commands - prefill) * 1e6) / (nowUs() - fromUs);
  const [asks, bids] = book.depth();
  return { rate, bids, asks };
}
