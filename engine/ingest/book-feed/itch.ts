/**
 * NASDAQ TotalView-ITCH 5.0 files as a book feed: big-endian messages, each after its length (u16). Every message begins
 *
 *   0 type | 1 stock locate u16 | 3 tracking u16 | 5 ns since midnight in New York u48
 *
 * Most messages name an order by its number alone, so the feed keeps what rests, to say side, price and size with every message.
 */
import { basename } from 'node:path';
import { ORDER_LIMIT } from '../../../schemas/order-records.ts';
import { EngineError } from '../../core/errors.ts';
import {
  appendMessage,
  BOOK_ACTION,
  BOOK_FLAG,
  BOOK_SIDE,
  type BookBatch,
  type BookFeed,
  type BookMessage,
  FEED_STATUS,
  type FeedInstrument,
  type FeedRefusal,
} from '../../market/book-message.ts';
import { type ByteSource, openBytes } from './byte-source.ts';
import { type BookFeedOptions, createRefusals, midnightNs, parseTickSize } from './options.ts';

/** Lengths of all messages, without the length field. */
export const ITCH_BYTES: Readonly<Record<string, number>> = {
  S: 12,
  R: 39,
  H: 25,
  Y: 20,
  L: 26,
  V: 35,
  W: 12,
  K: 28,
  J: 35,
  h: 21,
  A: 36,
  F: 40,
  E: 31,
  C: 36,
  X: 23,
  D: 19,
  U: 35,
  P: 44,
  Q: 40,
  B: 19,
  I: 50,
  N: 20,
  O: 48,
};
const NANOS_PER_UNIT = 100_000;
/** Finer than a cent is only allowed below a dollar; the default loses nothing. */
const TICK_NANOS = NANOS_PER_UNIT;
const LENGTH_BYTES = 2;
const BUY = 66;

interface Resting {
  readonly side: number;
  readonly priceTicks: number;
  leaves: number;
}

type Message = Partial<BookMessage> & Pick<BookMessage, 'action' | 'tsNs'>;

/** @throws EngineError FEED_FILE, FEED_OPTION */
export async function openItchFeed(files: readonly string[], options: BookFeedOptions): Promise<BookFeed> {
  const decoder = createItchDecoder(options);
  let nextFile = 0;
  let source: ByteSource | undefined;
  let label = '';
  let bytes: Uint8Array = new Uint8Array(0);
  let at = 0;
  /** Reads more of the files; false at the end of the last one. */
  const more = async (): Promise<boolean> => {
    for (;;) {
      if (!source) {
        const path = files[nextFile];
        if (path === undefined) return false;
        nextFile += 1;
        label = path;
        source = await openBytes(path);
        decoder.begin(midnightNs(options.date ?? dateOf(path)));
      }
      const piece = await source.next();
      if (piece) {
        bytes = at === bytes.length ? piece : Buffer.concat([bytes.subarray(at), piece]);
        at = 0;
        return true;
      }
      if (at < bytes.length) throw new EngineError('FEED_FILE', `${label}: ends within a message`);
      await source.close();
      source = undefined;
    }
  };
  return {
    name: 'itch',
    instruments: decoder.instruments,
    refused: decoder.refused,
    get ignored() {
      return decoder.ignored;
    },
    async read(batch) {
      batch.count = 0;
      for (;;) {
        const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
        while (bytes.length - at >= LENGTH_BYTES && batch.count < batch.capacity) {
          const length = view.getUint16(at);
          if (bytes.length - at < LENGTH_BYTES + length) break;
          if (length > 0) decoder.take(new DataView(view.buffer, view.byteOffset + at + LENGTH_BYTES, length), batch);
          at += LENGTH_BYTES + length;
        }
        if (batch.count === batch.capacity || !(await more())) return batch.count;
      }
    },
    async close() {
      await source?.close();
      source = undefined;
      nextFile = files.length;
    },
  };
}

/** The day in a name such as `01302019.NASDAQ_ITCH50` or `S081321-v50.txt`. */
export function dateOf(path: string): string | undefined {
  const name = basename(path);
  const long = /(?:^|\D)(\d\d)(\d\d)(20\d\d)(?:\D|$)/.exec(name);
  if (long) return `${long[3]}-${long[1]}-${long[2]}`;
  const short = /^S(\d\d)(\d\d)(\d\d)-v50/.exec(name);
  return short ? `20${short[3]}-${short[1]}-${short[2]}` : undefined;
}

interface ItchDecoder {
  readonly instruments: FeedInstrument[];
  readonly refused: Record<FeedRefusal, number>;
  readonly ignored: number;
  /** A file begins: its midnight. What rested is gone. */
  begin(midnight: bigint): void;
  /** Decodes one message; appends one to the batch, which has room, or none. */
  take(view: DataView, batch: BookBatch): void;
}

function createItchDecoder(options: BookFeedOptions): ItchDecoder {
  const tickNanos = options.tickSize === undefined ? TICK_NANOS : parseTickSize(options.tickSize);
  const instruments: FeedInstrument[] = [];
  const refused = createRefusals();
  /** Symbol index by locate; below 0: not wanted. */
  const locates = new Map<number, number>();
  const resting = new Map<bigint, Resting>();
  let midnight = 0n;
  let ignored = 0;

  const register = (locate: number, symbol: string): void => {
    const isWanted = options.symbol === undefined || options.symbol === symbol;
    let index = instruments.findIndex((instrument) => instrument.symbol === symbol);
    if (isWanted && index < 0) index = instruments.push({ symbol, tickNanos }) - 1;
    locates.set(locate, isWanted ? index : -1);
  };
  const timeOf = (view: DataView): bigint => midnight + BigInt(view.getUint16(5) * 4_294_967_296 + view.getUint32(7));
  /** A price in ticks, or the refusal. */
  const priceOf = (units: number, isReport: boolean): { priceTicks: number; flags: number } | FeedRefusal => {
    const priceTicks = Math.floor((units * NANOS_PER_UNIT) / tickNanos);
    const isBetween = priceTicks * tickNanos !== units * NANOS_PER_UNIT;
    if (priceTicks > ORDER_LIMIT.priceMax) return 'priceOutOfRange';
    if (isBetween && !isReport) return 'offTick';
    return { priceTicks, flags: BOOK_FLAG.last | (isBetween ? BOOK_FLAG.betweenTicks : 0) };
  };
  const isQuantity = (shares: number): boolean => shares >= 1 && shares <= ORDER_LIMIT.quantityMax;
  /** Takes shares off a resting order; an order that is not known gives a message without side and price. */
  const takeOff = (view: DataView, action: number, shares: number | undefined): Message | FeedRefusal => {
    const orderId = view.getBigUint64(11);
    const order = resting.get(orderId);
    const quantityLots = shares ?? order?.leaves ?? 0;
    if (!isQuantity(quantityLots)) return order ? 'quantityOutOfRange' : 'malformed';
    if (order) order.leaves -= quantityLots;
    if (order && order.leaves <= 0) resting.delete(orderId);
    const known = order ? { side: order.side, priceTicks: order.priceTicks } : {};
    return { tsNs: timeOf(view), action, orderId, quantityLots, ...known, flags: BOOK_FLAG.last };
  };
  const place = (view: DataView, orderId: bigint, at: { side: number; shares: number; units: number }): Message | FeedRefusal => {
    const price = priceOf(at.units, false);
    if (typeof price === 'string') return price;
    if (!isQuantity(at.shares)) return 'quantityOutOfRange';
    resting.set(orderId, { side: at.side, priceTicks: price.priceTicks, leaves: at.shares });
    const { side, shares: quantityLots } = at;
    return { tsNs: timeOf(view), action: BOOK_ACTION.add, orderId, side, quantityLots, ...price };
  };
  const executeAt = (view: DataView): Message | FeedRefusal => {
    const price = priceOf(view.getUint32(32), true);
    if (typeof price === 'string') return price;
    const message = takeOff(view, BOOK_ACTION.execute, view.getUint32(19));
    return typeof message === 'string' ? message : { ...message, ...price };
  };
  const replace = (view: DataView): Message | FeedRefusal => {
    const orderId = view.getBigUint64(11);
    const old = resting.get(orderId);
    if (!old) return { tsNs: timeOf(view), action: BOOK_ACTION.replace, orderId, newOrderId: view.getBigUint64(19), flags: BOOK_FLAG.last };
    const added = place(view, view.getBigUint64(19), { side: old.side, shares: view.getUint32(27), units: view.getUint32(31) });
    if (typeof added === 'string') return added;
    resting.delete(orderId);
    return { ...added, action: BOOK_ACTION.replace, orderId, newOrderId: view.getBigUint64(19) };
  };
  /** A trade with an order that was not shown, or a cross. The side that took is not told. */
  const trade = (view: DataView, at: { shares: number; units: number }): Message | FeedRefusal => {
    const price = priceOf(at.units, true);
    if (typeof price === 'string') return price;
    return isQuantity(at.shares)
      ? { tsNs: timeOf(view), action: BOOK_ACTION.trade, quantityLots: at.shares, ...price }
      : 'quantityOutOfRange';
  };
  const status = (view: DataView): Message => {
    const letter = String.fromCharCode(view.getUint8(19));
    const known: Record<string, number> = { H: FEED_STATUS.halted, P: FEED_STATUS.halted, Q: FEED_STATUS.quoting, T: FEED_STATUS.trading };
    return { tsNs: timeOf(view), action: BOOK_ACTION.status, quantityLots: known[letter] ?? FEED_STATUS.other, flags: BOOK_FLAG.last };
  };
  const decode = (type: string, view: DataView): Message | FeedRefusal | undefined => {
    if (type === 'A' || type === 'F') {
      const side = view.getUint8(19) === BUY ? BOOK_SIDE.buy : BOOK_SIDE.sell;
      return place(view, view.getBigUint64(11), { side, shares: view.getUint32(20), units: view.getUint32(32) });
    }
    if (type === 'E') return takeOff(view, BOOK_ACTION.execute, view.getUint32(19));
    if (type === 'C') return executeAt(view);
    if (type === 'X') return takeOff(view, BOOK_ACTION.cancel, view.getUint32(19));
    if (type === 'D') return takeOff(view, BOOK_ACTION.cancel, undefined);
    if (type === 'U') return replace(view);
    if (type === 'P') return trade(view, { shares: view.getUint32(20), units: view.getUint32(32) });
    if (type === 'Q') return trade(view, { shares: Number(view.getBigUint64(11)), units: view.getUint32(27) });
    return type === 'H' ? status(view) : undefined;
  };
  return {
    instruments,
    refused,
    get ignored() {
      return ignored;
    },
    begin(at) {
      midnight = at;
      resting.clear();
    },
    take(view, batch) {
      const type = String.fromCharCode(view.getUint8(0));
      if (ITCH_BYTES[type] !== view.byteLength) {
        refused.malformed += 1;
        return;
      }
      const locate = view.getUint16(1);
      if (type === 'R') register(locate, textOf(view, 11));
      else if (type === 'A' || type === 'F') {
        if (!locates.has(locate)) register(locate, textOf(view, 24));
      }
      const symbolIndex = locates.get(locate) ?? -1;
      const message = symbolIndex < 0 ? undefined : decode(type, view);
      if (typeof message === 'string') refused[message] += 1;
      else if (message) appendMessage(batch, { ...message, symbolIndex });
      else ignored += 1;
    },
  };
}

/** Eight characters, filled up with spaces. */
function textOf(view: DataView, at: number): string {
  return Buffer.from(view.buffer, view.byteOffset + at, 8)
    .toString('latin1')
    .trimEnd();
}
