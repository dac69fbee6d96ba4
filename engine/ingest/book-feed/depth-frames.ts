/** Recorded frames of Binance's depth and trade streams: a line is the local time in ns, a space, and the frame or a snapshot as JSON. */
import { parseScaled } from '../../core/decimal.ts';
import type { DepthDifference, DepthLevels, DepthNumbering, DepthSnapshot } from '../../market/depth-book.ts';
import { openBytes } from './byte-source.ts';
import { linesOf } from './lines.ts';

/** Decimals in which prices and quantities are counted. */
export interface DepthDecimals {
  readonly price: number;
  readonly quantity: number;
}

/** `tsMs`: the venue's time, undefined where it does not say, as with best prices of spot. */
export type DepthFrame =
  | { readonly kind: 'difference'; readonly symbol: string; readonly difference: DepthDifference; readonly tsMs: number | undefined }
  | { readonly kind: 'snapshot'; readonly snapshot: DepthSnapshot }
  | { readonly kind: 'trade'; readonly symbol: string; readonly trade: DepthTrade }
  | { readonly kind: 'ticker'; readonly symbol: string; readonly ticker: DepthTicker; readonly tsMs: number | undefined }
  | { readonly kind: 'other' }
  | { readonly kind: 'malformed' };

export interface DepthTrade {
  readonly tsMs: number;
  readonly price: number;
  readonly quantity: number;
  /** Of the order that took: 0 buy, 1 sell. */
  readonly side: number;
}

/** The best of both sides at an update. */
export interface DepthTicker {
  readonly id: number;
  readonly bid: readonly [price: number, quantity: number];
  readonly ask: readonly [price: number, quantity: number];
}

const MALFORMED: DepthFrame = { kind: 'malformed' };
const OTHER: DepthFrame = { kind: 'other' };

/**
 * Frames of the files, one file after the other.
 * @throws EngineError FEED_FILE
 */
export async function* readDepthFrames(files: readonly string[], decimals: DepthDecimals): AsyncGenerator<DepthFrame, undefined> {
  for (const path of files) {
    const source = await openBytes(path);
    try {
      for await (const line of linesOf(source, path)) yield parseDepthLine(line, decimals);
    } finally {
      await source.close();
    }
  }
  return undefined;
}

/** `futures` when differences name the one before them, as the streams of both kinds of futures do. */
export function numberingOf(difference: DepthDifference): DepthNumbering {
  return difference.previousId === undefined ? 'spot' : 'futures';
}

/** Parses a line; `malformed` when it has not the fields of its kind, or a number with more decimals than are counted. */
export function parseDepthLine(line: string, decimals: DepthDecimals): DepthFrame {
  const at = line.indexOf(' ');
  if (at <= 0) return MALFORMED;
  let value: unknown;
  try {
    value = JSON.parse(line.slice(at + 1));
  } catch {
    return MALFORMED;
  }
  if (!isObject(value)) return MALFORMED;
  if ('lastUpdateId' in value) return snapshotOf(value, decimals);
  const data = value['data'];
  if (!isObject(data)) return OTHER;
  if (data['e'] === 'depthUpdate') return differenceOf(data, decimals);
  if (data['e'] === 'trade') return tradeOf(data, decimals);
  return 'B' in data && 'A' in data ? tickerOf(data, decimals) : OTHER;
}

function snapshotOf(value: Record<string, unknown>, decimals: DepthDecimals): DepthFrame {
  const [lastId, bids, asks] = [value['lastUpdateId'], levelsOf(value['bids'], decimals), levelsOf(value['asks'], decimals)];
  return isId(lastId) && bids && asks ? { kind: 'snapshot', snapshot: { lastId, bids, asks } } : MALFORMED;
}

function differenceOf(data: Record<string, unknown>, decimals: DepthDecimals): DepthFrame {
  const [symbol, firstId, lastId, previousId] = [data['s'], data['U'], data['u'], data['pu']];
  const [bids, asks] = [levelsOf(data['b'], decimals), levelsOf(data['a'], decimals)];
  if (typeof symbol !== 'string' || !isId(firstId) || !isId(lastId) || !bids || !asks) return MALFORMED;
  if (previousId !== undefined && !isId(previousId)) return MALFORMED;
  const difference = { firstId, lastId, bids, asks, ...(previousId === undefined ? {} : { previousId }) };
  return { kind: 'difference', symbol, difference, tsMs: timeOf(data) };
}

function tradeOf(data: Record<string, unknown>, decimals: DepthDecimals): DepthFrame {
  const [symbol, tsMs, isBuyerMaker] = [data['s'], data['T'], data['m']];
  const pair = pairOf([data['p'], data['q']], decimals);
  if (typeof symbol !== 'string' || !isId(tsMs) || typeof isBuyerMaker !== 'boolean' || !pair) return MALFORMED;
  return { kind: 'trade', symbol, trade: { tsMs, price: pair[0], quantity: pair[1], side: isBuyerMaker ? 1 : 0 } };
}

function tickerOf(data: Record<string, unknown>, decimals: DepthDecimals): DepthFrame {
  const [symbol, id] = [data['s'], data['u']];
  const [bid, ask] = [pairOf([data['b'], data['B']], decimals), pairOf([data['a'], data['A']], decimals)];
  return typeof symbol === 'string' && isId(id) && bid && ask
    ? { kind: 'ticker', symbol, ticker: { id, bid, ask }, tsMs: timeOf(data) }
    : MALFORMED;
}

/** Time of the transaction, or of the event where there is no other. */
function timeOf(data: Record<string, unknown>): number | undefined {
  return [data['T'], data['E']].find(isId);
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

function isId(value: unknown): value is number {
  return Number.isSafeInteger(value);
}

function levelsOf(value: unknown, decimals: DepthDecimals): DepthLevels | undefined {
  if (!Array.isArray(value)) return undefined;
  const levels: (readonly [number, number])[] = [];
  for (const entry of value) {
    const pair = Array.isArray(entry) ? pairOf(entry, decimals) : undefined;
    if (!pair) return undefined;
    levels.push(pair);
  }
  return levels;
}

function pairOf([price, quantity]: readonly unknown[], decimals: DepthDecimals): readonly [number, number] | undefined {
  if (typeof price !== 'string' || typeof quantity !== 'string') return undefined;
  const units = parseScaled(price, { start: 0, end: price.length, decimals: decimals.price });
  const lots = parseScaled(quantity, { start: 0, end: quantity.length, decimals: decimals.quantity });
  return Number.isNaN(units) || Number.isNaN(lots) || lots < 0 ? undefined : [units, lots];
}
