/**
 * Recorded frames of Binance as messages of levels, quotes or trades. For levels, whose sizes are told some time after the trades that they show,
 * frames are put in the order of the venue's times first: a trade comes before the sizes that it left behind. Best prices of spot have no times:
 * quotes and trades stay in the order in which they were received.
 */
import { ORDER_LIMIT } from '../../../schemas/order-records.ts';
import { EngineError } from '../../core/errors.ts';
import { createDepthBook, type DepthBook } from '../../market/depth-book.ts';
import type { DepthFeed, DepthInstrument, DepthKind, DepthMessage, DepthRefusals } from '../../market/depth-message.ts';
import { type DepthFrame, numberingOf, readDepthFrames } from '../book-feed/depth-frames.ts';
import { inferTickNanos, parseTickSize } from '../book-feed/options.ts';

export interface DepthFeedOptions {
  /** Only this instrument. */
  readonly symbol?: string;
  /** One tick, and one lot, as decimals; found out unless given. */
  readonly tickSize?: string;
  readonly lotSize?: string;
}

const DECIMALS = { price: 8, quantity: 8 } as const;
/** Billionths in a unit of 8 decimals. */
const NANOS_PER_UNIT = 10;
const BUFFER_CAPACITY = 10_000;
/** Frames from whose prices and quantities tick and lot are found out. */
const SCAN_FRAMES = 20_000;
/** A frame may come so much later than others of its time; one that is later still is taken at the time that has been reached. */
const WINDOW_MS = 1000;
const NS_PER_MS = 1_000_000n;

/** @throws EngineError FEED_FILE, FEED_OPTION, FEED_FORMAT when there is nothing in it */
export async function openFrameFeed(files: readonly string[], shows: DepthKind, options: DepthFeedOptions): Promise<DepthFeed> {
  const instruments = await scan(files, options);
  const refused: DepthRefusals = { malformed: 0, offTick: 0, offLot: 0 };
  const books = new Map<number, DepthBook>();
  const indexOf = new Map(instruments.map(({ symbol }, index) => [symbol, index]));
  return {
    name: 'binance',
    shows,
    hasSizes: true,
    instruments,
    refused,
    get gaps() {
      return [...books.values()].reduce((sum, { counts }) => sum + counts.gaps, 0);
    },
    async *messages() {
      const units = createUnits(instruments, refused);
      const teller = shows === 'levels' ? tellLevels(books, units) : shows === 'quotes' ? tellQuotes(units) : tellTrades(units);
      let lastNs = 0n;
      if (shows === 'levels') yield instruments.map((_, symbolIndex) => ({ kind: 'clear', tsNs: 0n, symbolIndex }));
      for await (const { frame, tsMs, symbol } of inOrder(readDepthFrames(files, DECIMALS), shows === 'levels' ? WINDOW_MS : 0)) {
        if (frame.kind === 'malformed') refused.malformed += 1;
        const symbolIndex = indexOf.get(symbol);
        if (symbolIndex === undefined) continue;
        const tsNs = BigInt(tsMs) * NS_PER_MS;
        if (tsNs > lastNs) lastNs = tsNs;
        yield [...teller(frame, symbolIndex, lastNs)];
      }
      yield instruments.map((_, symbolIndex) => ({ kind: 'settle', tsNs: lastNs, symbolIndex }));
      return undefined;
    },
  };
}

type Teller = (frame: DepthFrame, symbolIndex: number, tsNs: bigint) => Iterable<DepthMessage>;

/** Finds the instruments, and tick and lot of each: the greatest common divisor of what is seen first. */
async function scan(files: readonly string[], { symbol: only, tickSize, lotSize }: DepthFeedOptions): Promise<DepthInstrument[]> {
  const seen = new Map<string, { readonly prices: Set<bigint>; readonly quantities: Set<bigint> }>();
  let frames = 0;
  for await (const frame of readDepthFrames(files, DECIMALS)) {
    frames += 1;
    if (frames > SCAN_FRAMES) break;
    if (!('symbol' in frame) || (only !== undefined && frame.symbol !== only)) continue;
    const found = seen.get(frame.symbol) ?? { prices: new Set(), quantities: new Set() };
    seen.set(frame.symbol, found);
    for (const [price, quantity] of pairsOf(frame)) {
      found.prices.add(BigInt(price * NANOS_PER_UNIT));
      if (quantity > 0) found.quantities.add(BigInt(quantity * NANOS_PER_UNIT));
    }
  }
  if (seen.size === 0) {
    throw new EngineError('FEED_FORMAT', `${files.join(', ')}: no frame of ${only ?? 'any symbol'} in the first ${SCAN_FRAMES}`);
  }
  return [...seen].map(([symbol, { prices, quantities }]) => ({
    symbol,
    tickNanos: tickSize === undefined ? inferTickNanos(prices) : parseTickSize(tickSize),
    lotNanos: lotSize === undefined ? inferTickNanos(quantities) : parseTickSize(lotSize),
  }));
}

function pairsOf(frame: DepthFrame): readonly (readonly [price: number, quantity: number])[] {
  if (frame.kind === 'trade') return [[frame.trade.price, frame.trade.quantity]];
  if (frame.kind === 'ticker') return [frame.ticker.bid, frame.ticker.ask];
  return frame.kind === 'difference' ? [...frame.difference.bids, ...frame.difference.asks] : [];
}

interface TimedFrame {
  readonly frame: DepthFrame;
  readonly tsMs: number;
  /** Empty where it is about none. */
  readonly symbol: string;
  readonly rank: number;
}

/** Frames by the venue's time, trades first, where there is a window; a frame without one is taken at the latest time before it. Differences keep their own order. */
async function* inOrder(frames: AsyncGenerator<DepthFrame, undefined>, windowMs: number): AsyncGenerator<TimedFrame, undefined> {
  let waiting: TimedFrame[] = [];
  let reachedMs = 0;
  let differenceMs = 0;
  let symbol = '';
  for await (const frame of frames) {
    let tsMs = frame.kind === 'trade' ? frame.trade.tsMs : 'tsMs' in frame ? (frame.tsMs ?? reachedMs) : reachedMs;
    if (frame.kind === 'difference') {
      differenceMs = Math.max(differenceMs, tsMs);
      tsMs = differenceMs;
      symbol = frame.symbol;
    } else if (frame.kind === 'snapshot') tsMs = Math.max(differenceMs, reachedMs);
    reachedMs = Math.max(reachedMs, tsMs);
    // A snapshot does not name its symbol: it is that of the differences before it.
    const of = 'symbol' in frame ? frame.symbol : frame.kind === 'snapshot' ? symbol : '';
    const timed = { frame, tsMs, symbol: of, rank: frame.kind === 'trade' ? 0 : 1 };
    if (windowMs === 0) {
      yield timed;
      continue;
    }
    let place = waiting.length;
    while (place > 0 && isAfter(waiting[place - 1]!, timed)) place -= 1;
    waiting.splice(place, 0, timed);
    const ready = waiting.findIndex((each) => each.tsMs + windowMs > reachedMs);
    if (ready <= 0) continue;
    yield* waiting.slice(0, ready);
    waiting = waiting.slice(ready);
  }
  yield* waiting;
  return undefined;
}

function isAfter(one: TimedFrame, other: TimedFrame): boolean {
  return one.tsMs === other.tsMs ? one.rank > other.rank : one.tsMs > other.tsMs;
}

interface Units {
  /** Undefined: no whole number of ticks, or too far; it is counted. */
  ticks(symbolIndex: number, price: number): number | undefined;
  lots(symbolIndex: number, quantity: number): number;
}

function createUnits(instruments: readonly DepthInstrument[], refused: DepthRefusals): Units {
  return {
    ticks(symbolIndex, price) {
      const ticks = (price * NANOS_PER_UNIT) / instruments[symbolIndex]!.tickNanos;
      if (Number.isInteger(ticks) && Math.abs(ticks) <= ORDER_LIMIT.priceMax) return ticks;
      refused.offTick += 1;
      return undefined;
    },
    lots(symbolIndex, quantity) {
      const lots = (quantity * NANOS_PER_UNIT) / instruments[symbolIndex]!.lotNanos;
      if (!Number.isInteger(lots)) refused.offLot += 1;
      return Math.floor(lots);
    },
  };
}

function* tellTrade(
  { trade }: Extract<DepthFrame, { kind: 'trade' }>,
  at: Pick<DepthMessage, 'tsNs' | 'symbolIndex'>,
  units: Units,
): Generator<DepthMessage> {
  const priceTicks = units.ticks(at.symbolIndex, trade.price);
  const lots = units.lots(at.symbolIndex, trade.quantity);
  // The frame names who took.
  if (priceTicks !== undefined && lots > 0) yield { ...at, kind: 'trade', side: trade.side === 0 ? 1 : 0, priceTicks, lots };
}

/** Trades as they come, levels with each difference, which ends the moment. */
function tellLevels(books: Map<number, DepthBook>, units: Units): Teller {
  function* levels(
    at: Pick<DepthMessage, 'tsNs' | 'symbolIndex'>,
    side: 0 | 1,
    pairs: Iterable<readonly [number, number]>,
  ): Generator<DepthMessage> {
    for (const [price, quantity] of pairs) {
      const priceTicks = units.ticks(at.symbolIndex, price);
      if (priceTicks !== undefined) yield { ...at, kind: 'level', side, priceTicks, lots: units.lots(at.symbolIndex, quantity) };
    }
  }
  return function* tell(frame, symbolIndex, tsNs) {
    const at = { symbolIndex, tsNs };
    if (frame.kind === 'trade') yield* tellTrade(frame, at, units);
    if (frame.kind === 'difference') {
      const { difference } = frame;
      const book = books.get(symbolIndex) ?? createDepthBook({ numbering: numberingOf(difference), bufferCapacity: BUFFER_CAPACITY });
      books.set(symbolIndex, book);
      const outcome = book.difference(difference);
      if (outcome === 'gap') yield { ...at, kind: 'clear' };
      if (outcome === 'applied') {
        yield* levels(at, 0, difference.bids);
        yield* levels(at, 1, difference.asks);
      }
      if (outcome !== 'buffered' && outcome !== 'old') yield { ...at, kind: 'settle' };
    }
    const book = books.get(symbolIndex);
    if (frame.kind === 'snapshot' && book?.snapshot(frame.snapshot)) {
      yield { ...at, kind: 'clear' };
      for (const side of [0, 1] as const) {
        yield* levels(
          at,
          side,
          book.levels(side).map(({ price, quantity }) => [price, quantity] as const),
        );
      }
      yield { ...at, kind: 'settle' };
    }
  };
}

/** Trades as they come, and the best prices, which end the moment. */
function tellQuotes(units: Units): Teller {
  return function* tell(frame, symbolIndex, tsNs) {
    const at = { symbolIndex, tsNs };
    if (frame.kind === 'trade') yield* tellTrade(frame, at, units);
    if (frame.kind !== 'ticker') return;
    for (const [side, [price, quantity]] of [[0, frame.ticker.bid] as const, [1, frame.ticker.ask] as const]) {
      const priceTicks = units.ticks(symbolIndex, price);
      if (priceTicks !== undefined) yield { ...at, kind: 'quote', side, priceTicks, lots: units.lots(symbolIndex, quantity) };
    }
    yield { ...at, kind: 'settle' };
  };
}

/** Trades alone; those of one millisecond are one moment. */
function tellTrades(units: Units): Teller {
  const openNs = new Map<number, bigint>();
  return function* tell(frame, symbolIndex, tsNs) {
    if (frame.kind !== 'trade') return;
    const before = openNs.get(symbolIndex);
    if (before !== undefined && before < tsNs) yield { kind: 'settle', symbolIndex, tsNs: before };
    openNs.set(symbolIndex, tsNs);
    yield* tellTrade(frame, { symbolIndex, tsNs }, units);
  };
}
