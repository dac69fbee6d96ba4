/**
 * LOBSTER message files as a book feed. A line is `time,type,order,size,price,direction[,...]`: seconds after midnight in New York, price
 * x 10,000, direction 1 for a resting buy. The book file beside a message file gives the sizes that stood before the first message.
 */
import { basename } from 'node:path';
import { ORDER_LIMIT } from '../../../schemas/order-records.ts';
import { parseScaled } from '../../core/decimal.ts';
import { EngineError } from '../../core/errors.ts';
import {
  appendMessage,
  BOOK_ACTION,
  BOOK_FLAG,
  BOOK_SIDE,
  type BookFeed,
  type BookMessage,
  FEED_STATUS,
  type FeedInstrument,
} from '../../market/book-message.ts';
import { type ByteSource, openBytes } from './byte-source.ts';
import { linesOf } from './lines.ts';
import { type BookFeedOptions, createRefusals, inferTickNanos, midnightNs, parseTickSize } from './options.ts';

const NANOS_PER_UNIT = 100_000;
/** Prices of this many lines at the beginning tell the tick. */
const LOOK_AHEAD_LINES = 4096;
const EMPTY_LEVEL = 9_999_999_999;
const TYPE = { add: 1, reduce: 2, remove: 3, execute: 4, hidden: 5, cross: 6, halt: 7 } as const;

interface Line {
  readonly tsNs: bigint;
  readonly type: number;
  readonly orderId: bigint;
  readonly size: number;
  readonly price: number;
  readonly direction: number;
}

/** @throws EngineError FEED_FILE, FEED_OPTION */
export async function openLobsterFeed(files: readonly string[], options: BookFeedOptions): Promise<BookFeed> {
  const refused = createRefusals();
  const instruments: FeedInstrument[] = [];
  const sources: ByteSource[] = [];
  const messages = createMessages();
  async function* createMessages(): AsyncGenerator<Converted, undefined> {
    for (const path of files.filter((file) => !isBookFile(file))) {
      const source = await openBytes(path);
      sources.push(source);
      const lines = parsedLines(linesOf(source, path), midnightNs(options.date ?? dateOf(path)), () => {
        refused.malformed += 1;
      });
      const ahead: Line[] = [];
      for (let next = await lines.next(); !next.done; next = await lines.next()) {
        ahead.push(next.value);
        if (ahead.length === LOOK_AHEAD_LINES) break;
      }
      const tickNanos = tickOf(ahead, options.tickSize);
      const symbolIndex = indexOf(instruments, { symbol: symbolOf(path), tickNanos });
      const convert = createConverter(tickNanos, symbolIndex, refused);
      const bookFile = files.find((file) => isBookFile(file) && basename(file).replace('_orderbook_', '_message_') === basename(path));
      const first = ahead[0];
      if (bookFile !== undefined && first) yield* snapshotOf(await firstRow(bookFile), first, convert);
      let previous: Line | undefined;
      for await (const line of chain(ahead, lines)) {
        if (previous) yield* convert(previous, isSameEvent(previous, line));
        previous = line;
      }
      if (previous) yield* convert(previous, false);
      await source.close();
    }
    return undefined;
  }
  let held: IteratorResult<Converted, undefined> | undefined;
  if (options.symbol !== undefined && files.some((file) => !isBookFile(file) && symbolOf(file) !== options.symbol)) {
    throw new EngineError('FEED_OPTION', `symbol '${options.symbol}': the files are of ${[...new Set(files.map(symbolOf))].join(', ')}`);
  }
  return {
    name: 'lobster',
    instruments,
    refused,
    ignored: 0,
    async read(batch) {
      batch.count = 0;
      for (;;) {
        held ??= await messages.next();
        if (held.done || !appendMessage(batch, held.value)) return batch.count;
        held = undefined;
      }
    },
    async close() {
      for (const source of sources) await source.close();
      await messages.return(undefined);
    },
  };
}

/** True for a name such as `AAPL_2012-06-21_34200000_57600000_orderbook_10.csv`. */
export function isBookFile(path: string): boolean {
  return /_orderbook_\d+\.csv/.test(basename(path));
}

function symbolOf(path: string): string {
  return basename(path).split('_')[0] ?? '';
}

function dateOf(path: string): string | undefined {
  return /_(\d{4}-\d\d-\d\d)_/.exec(basename(path))?.[1];
}

function indexOf(instruments: FeedInstrument[], instrument: FeedInstrument): number {
  const found = instruments.findIndex(({ symbol, tickNanos }) => symbol === instrument.symbol && tickNanos === instrument.tickNanos);
  return found >= 0 ? found : instruments.push(instrument) - 1;
}

function tickOf(lines: readonly Line[], tickSize: string | undefined): number {
  if (tickSize !== undefined) return parseTickSize(tickSize);
  const resting = lines.filter(({ type }) => type >= TYPE.add && type <= TYPE.execute);
  return inferTickNanos(resting.map(({ price }) => BigInt(price) * BigInt(NANOS_PER_UNIT)));
}

async function* parsedLines(lines: AsyncIterable<string>, midnight: bigint, refuse: () => void): AsyncGenerator<Line, undefined> {
  for await (const text of lines) {
    const line = parseLine(text, midnight);
    if (line) yield line;
    else refuse();
  }
  return undefined;
}

function parseLine(text: string, midnight: bigint): Line | undefined {
  const fields = text.split(',');
  const [time = '', typeText = '', id = '', sizeText = '', priceText = '', directionText = ''] = fields;
  const nanos = parseScaled(time, { start: 0, end: time.length, decimals: 9 });
  const [type, size, price, direction] = [typeText, sizeText, priceText, directionText].map(Number) as [number, number, number, number];
  const isWhole = Number.isInteger(nanos) && Number.isInteger(size) && Number.isInteger(price) && /^\d{1,19}$/.test(id);
  const isKnown = type >= TYPE.add && type <= TYPE.halt && Number.isInteger(type) && (direction === 1 || direction === -1);
  if (fields.length < 6 || !isWhole || !isKnown) return undefined;
  return { tsNs: midnight + BigInt(nanos), type, orderId: BigInt(id), size, price, direction };
}

/** Executions of one incoming order follow each other with the same time and side. */
function isSameEvent(line: Line, next: Line): boolean {
  const isExecution = (type: number): boolean => type === TYPE.execute || type === TYPE.hidden;
  return isExecution(line.type) && isExecution(next.type) && line.tsNs === next.tsNs && line.direction === next.direction;
}

type Converted = Partial<BookMessage> & Pick<BookMessage, 'action' | 'tsNs'>;
type Converter = (line: Line, goesOn: boolean, flags?: number) => Generator<Converted>;

function createConverter(tickNanos: number, symbolIndex: number, refused: ReturnType<typeof createRefusals>): Converter {
  return function* convert(line, goesOn, flags = 0) {
    const action = actionOf(line.type);
    const common = { tsNs: line.tsNs, action, symbolIndex };
    flags |= goesOn ? 0 : BOOK_FLAG.last;
    if (action === BOOK_ACTION.status) {
      const status = line.price === -1 ? FEED_STATUS.halted : line.price === 0 ? FEED_STATUS.quoting : FEED_STATUS.trading;
      yield { ...common, quantityLots: status, flags };
      return;
    }
    const isReport = action === BOOK_ACTION.trade;
    const units = line.price * NANOS_PER_UNIT;
    const priceTicks = Math.floor(units / tickNanos);
    const isBetween = priceTicks * tickNanos !== units;
    if (line.size < 1 || line.size > ORDER_LIMIT.quantityMax) refused.quantityOutOfRange += 1;
    else if (Math.abs(priceTicks) > ORDER_LIMIT.priceMax) refused.priceOutOfRange += 1;
    else if (isBetween && !isReport) refused.offTick += 1;
    else {
      const resting = line.direction === 1 ? BOOK_SIDE.buy : BOOK_SIDE.sell;
      const side = line.type === TYPE.cross ? BOOK_SIDE.none : isReport ? 1 - resting : resting;
      // The id of a hidden order is 0; a trade's id would be that of the order that took, which is not told.
      const orderId = isReport ? 0n : line.orderId;
      yield { ...common, side, orderId, priceTicks, quantityLots: line.size, flags: flags | (isBetween ? BOOK_FLAG.betweenTicks : 0) };
    }
  };
}

function actionOf(type: number): number {
  if (type === TYPE.add) return BOOK_ACTION.add;
  if (type === TYPE.reduce || type === TYPE.remove) return BOOK_ACTION.cancel;
  if (type === TYPE.execute) return BOOK_ACTION.execute;
  return type === TYPE.halt ? BOOK_ACTION.status : BOOK_ACTION.trade;
}

/** Levels of a row of the book file: `ask price, ask size, bid price, bid size`, best first. */
export function parseBookRow(row: string): { direction: number; price: number; size: number }[] {
  const numbers = row.split(',').map(Number);
  return numbers.flatMap((price, index) => {
    if (index % 2 === 1 || Math.abs(price) === EMPTY_LEVEL) return [];
    return [{ direction: index % 4 === 0 ? -1 : 1, price, size: numbers[index + 1] ?? 0 }];
  });
}

async function firstRow(path: string): Promise<string> {
  const source = await openBytes(path);
  const { value } = await linesOf(source, path).next();
  await source.close();
  return value ?? '';
}

/** The first row stands after the first message, so what that message did is taken back. Sizes have no ids: they are adds with id 0. */
function* snapshotOf(row: string, first: Line, convert: Converter): Generator<Converted> {
  const changed = first.type === TYPE.add ? -first.size : first.type <= TYPE.execute ? first.size : 0;
  const levels = parseBookRow(row);
  const at = levels.find(({ direction, price }) => direction === first.direction && price === first.price);
  if (at) at.size += changed;
  else if (changed > 0) levels.push({ direction: first.direction, price: first.price, size: changed });
  for (const { direction, price, size } of levels) {
    if (size > 0) yield* convert({ ...first, type: TYPE.add, orderId: 0n, direction, price, size }, false, BOOK_FLAG.snapshot);
  }
}

async function* chain<Item>(first: readonly Item[], then: AsyncIterable<Item>): AsyncGenerator<Item> {
  yield* first;
  yield* then;
}
