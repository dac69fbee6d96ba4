/** Replays recorded depth differences, trades and snapshots of Binance, for `npm run feed`. */
import { SYSTEM_CLOCK } from '../core/clock.ts';
import { formatScaled } from '../core/decimal.ts';
import { type DepthTicker, numberingOf, readDepthFrames } from '../ingest/book-feed/depth-frames.ts';
import { createDepthBook, type DepthBook, type DepthCounts } from '../market/depth-book.ts';

/** Every price and quantity that the venue sends is a whole number of these. */
const DECIMALS = { price: 8, quantity: 8 } as const;
const BUFFER_CAPACITY = 10_000;
const TICKERS_KEPT = 4096;

export interface DepthSymbolReport {
  readonly symbol: string;
  readonly state: string;
  readonly counts: DepthCounts;
  readonly bids: DepthSideReport;
  readonly asks: DepthSideReport;
  readonly trades: number;
  readonly tradedQuantity: string;
  /** Best prices of the venue's own ticker at the update that the book stood at: how many there were, and how many were the book's. */
  readonly tickersCompared: number;
  readonly tickersEqual: number;
}

export interface DepthSideReport {
  readonly levels: number;
  readonly quantity: string;
  readonly best: string | null;
}

export interface DepthReport {
  readonly format: 'binance';
  readonly frames: number;
  readonly malformed: number;
  readonly framesPerSecond: number;
  readonly symbols: readonly DepthSymbolReport[];
}

interface Followed {
  book: DepthBook | undefined;
  trades: number;
  tradedQuantity: bigint;
  /** Tickers by their update, the newest TICKERS_KEPT: they arrive before the difference that leads to the same update, or after it. */
  readonly tickers: Map<number, DepthTicker>;
  tickersCompared: number;
  tickersEqual: number;
}

/**
 * Replays the files in order.
 * @throws EngineError FEED_FILE
 */
export async function replayDepth(files: readonly string[]): Promise<DepthReport> {
  const symbols = new Map<string, Followed>();
  const follow = (symbol: string): Followed => {
    const known = symbols.get(symbol);
    if (known) return known;
    const followed = { book: undefined, trades: 0, tradedQuantity: 0n, tickers: new Map(), tickersCompared: 0, tickersEqual: 0 };
    symbols.set(symbol, followed);
    return followed;
  };
  let frames = 0;
  let malformed = 0;
  let latest: Followed | undefined;
  const startedUs = SYSTEM_CLOCK.monotonicUs();
  for await (const frame of readDepthFrames(files, DECIMALS)) {
    frames += 1;
    if (frame.kind === 'malformed') malformed += 1;
    // A snapshot does not name its symbol: it is that of the differences before it.
    else if (frame.kind === 'snapshot') latest?.book?.snapshot(frame.snapshot);
    else if (frame.kind === 'difference') {
      latest = follow(frame.symbol);
      latest.book ??= createDepthBook({ numbering: numberingOf(frame.difference), bufferCapacity: BUFFER_CAPACITY });
      if (latest.book.difference(frame.difference) === 'applied') compareTop(latest);
    } else if (frame.kind === 'trade') {
      const followed = follow(frame.symbol);
      followed.trades += 1;
      followed.tradedQuantity += BigInt(frame.trade.quantity);
    } else if (frame.kind === 'ticker') keepTicker(follow(frame.symbol), frame.ticker);
  }
  const seconds = Math.max(1, SYSTEM_CLOCK.monotonicUs() - startedUs) / 1e6;
  return {
    format: 'binance',
    frames,
    malformed,
    framesPerSecond: Math.round(frames / seconds),
    symbols: [...symbols].map(([symbol, followed]) => reportOf(symbol, followed)),
  };
}

function keepTicker(followed: Followed, ticker: DepthTicker): void {
  followed.tickers.set(ticker.id, ticker);
  const [oldest] = followed.tickers.keys();
  if (followed.tickers.size > TICKERS_KEPT && oldest !== undefined) followed.tickers.delete(oldest);
  if (followed.book?.lastId === ticker.id) compareTop(followed);
}

function compareTop(followed: Followed): void {
  const ticker = followed.tickers.get(followed.book?.lastId ?? 0);
  if (!ticker) return;
  const [bid, ask] = [followed.book?.best(0), followed.book?.best(1)];
  const isEqual =
    bid?.price === ticker.bid[0] && bid?.quantity === ticker.bid[1] && ask?.price === ticker.ask[0] && ask?.quantity === ticker.ask[1];
  followed.tickersCompared += 1;
  if (isEqual) followed.tickersEqual += 1;
}

function reportOf(symbol: string, followed: Followed): DepthSymbolReport {
  const { book, trades, tradedQuantity, tickersCompared, tickersEqual } = followed;
  const sideOf = (side: number): DepthSideReport => {
    const levels = book?.levels(side) ?? [];
    const quantity = levels.reduce((sum, level) => sum + BigInt(level.quantity), 0n);
    const best = levels[0]?.price;
    return {
      levels: levels.length,
      quantity: formatScaled(quantity, DECIMALS.quantity),
      best: best === undefined ? null : formatScaled(BigInt(best), DECIMALS.price),
    };
  };
  const none = { applied: 0, old: 0, gaps: 0, resyncs: 0, refusedSnapshots: 0, overflowed: 0 };
  return {
    symbol,
    state: book?.state ?? 'no differences',
    counts: { ...none, ...book?.counts },
    bids: sideOf(0),
    asks: sideOf(1),
    trades,
    tradedQuantity: formatScaled(tradedQuantity, DECIMALS.quantity),
    tickersCompared,
    tickersEqual,
  };
}

/** The report as text. */
export function depthLines(report: DepthReport): string[] {
  const number = (value: number): string => value.toLocaleString('en');
  const sideText = ({ levels, quantity, best }: DepthSideReport): string =>
    `${number(levels)} levels, quantity ${quantity}, best ${best ?? 'none'}`;
  return [
    `binance: ${number(report.frames)} frames, ${number(report.framesPerSecond)} a second, malformed ${number(report.malformed)}`,
    ...report.symbols.flatMap((symbol) => [
      `${symbol.symbol}: ${symbol.state}; ${Object.entries(symbol.counts)
        .map(([name, count]) => `${name} ${number(count)}`)
        .join(', ')}`,
      `  bids      ${sideText(symbol.bids)}`,
      `  asks      ${sideText(symbol.asks)}`,
      `  trades    ${number(symbol.trades)}, quantity ${symbol.tradedQuantity}`,
      `  best prices of the venue's ticker at the same update: ${number(symbol.tickersEqual)} of ${number(symbol.tickersCompared)} equal`,
    ]),
  ];
}
