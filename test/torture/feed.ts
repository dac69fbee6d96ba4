/**
 * A seeded stream of `ticks` messages: JSON and packed, in disorder, late, too late, twice, and among them messages that are no ticks. Pure:
 * the same shape gives the same messages, whoever delivers them.
 */
import { createPrng, type Prng } from '../../engine/core/prng.ts';
import { encodePacked, type PackedSymbol, type PackedTick } from '../../engine/ingest/packed.ts';
import { murmur2Part } from '../../engine/market/murmur2.ts';
import { makePoison } from './poison.ts';

export interface FeedShape {
  readonly seed: number;
  readonly partitions: number;
  readonly tradeSymbols: number;
  readonly quoteSymbols: number;
  /** Ticks, poison not counted. */
  readonly ticks: number;
  /** Event time at which the stream begins. */
  readonly baseNs: bigint;
  /** Event time that the stream covers. */
  readonly spanSec: number;
  readonly latenessMs: number;
  readonly amendSec: number;
  /** One message in this many is poison; 0 for none. */
  readonly poisonOneIn: number;
  /** Most ticks of a packed message; 40 unless given. */
  readonly packedMost?: number;
}

export interface FeedMessage {
  readonly partition: number;
  /** Null is a tombstone. */
  readonly value: Uint8Array | null;
  readonly isPacked: boolean;
  /** Kind of poison; undefined for what should be taken whole. */
  readonly poison: string | undefined;
}

export interface FeedSymbol {
  readonly name: string;
  readonly partition: number;
  readonly isQuote: boolean;
}

interface Draw {
  readonly shape: FeedShape;
  readonly prng: Prng;
  readonly symbols: readonly FeedSymbol[];
  readonly trades: readonly FeedSymbol[];
  /** Price of each symbol, in hundredths. */
  readonly cents: Map<string, number>;
}

const PRICE_DECIMALS = 2;
const PACKED_ONE_IN = 12;
const PACKED_MOST = 40;
const DUPLICATE_ONE_IN = 40;
const JITTER_MS = 300;
const NS_PER_MS = 1_000_000n;

/** Symbols of a shape; every partition has a trade symbol when there are enough of them. */
export function feedSymbols({ partitions, tradeSymbols, quoteSymbols }: FeedShape): FeedSymbol[] {
  const of = (prefix: string, isQuote: boolean, count: number): FeedSymbol[] =>
    Array.from({ length: count }, (_, index) => {
      const name = `${prefix}${index}`;
      return { name, partition: murmur2Part(new TextEncoder().encode(name), partitions), isQuote };
    });
  return [...of('T', false, tradeSymbols), ...of('Q', true, quoteSymbols)];
}

/** The messages in the order in which they are sent. */
export function makeFeed(shape: FeedShape): FeedMessage[] {
  const symbols = feedSymbols(shape);
  const trades = symbols.filter((symbol) => !symbol.isQuote);
  const draw: Draw = { shape, prng: createPrng(shape.seed), symbols, trades, cents: new Map() };
  const { prng } = draw;
  const messages: FeedMessage[] = [];
  const last = new Map<number, FeedMessage>();
  let ticks = 0;
  while (ticks < shape.ticks) {
    const progress = ticks / shape.ticks;
    let message: FeedMessage;
    if (shape.poisonOneIn > 0 && prng.nextBelow(shape.poisonOneIn) === 0) {
      message = makePoison(prng, trades[prng.nextBelow(trades.length)]!, eventTime(draw, progress));
    } else if (prng.nextBelow(PACKED_ONE_IN) === 0) {
      const count = 1 + prng.nextBelow(shape.packedMost ?? PACKED_MOST);
      message = packedMessage(draw, progress, count);
      ticks += count;
    } else {
      message = jsonMessage(draw, progress);
      ticks += 1;
    }
    messages.push(message);
    const before = last.get(message.partition);
    if (before && prng.nextBelow(DUPLICATE_ONE_IN) === 0) messages.push(before);
    if (message.poison === undefined) last.set(message.partition, message);
  }
  return messages;
}

/**
 * Event time of a tick sent at `progress` of the stream: most of them a little behind, some behind by up to the lateness, some later
 * than that, a few later than an amendment reaches.
 */
function eventTime({ shape, prng }: Draw, progress: number): bigint {
  const nowMs = progress * shape.spanSec * 1000;
  const amendMs = shape.amendSec * 1000;
  const chance = prng.nextFloat();
  let behindMs = prng.nextFloat() * Math.min(JITTER_MS, shape.latenessMs);
  if (chance > 0.9) behindMs = prng.nextFloat() * shape.latenessMs;
  if (chance > 0.95) behindMs = shape.latenessMs + prng.nextFloat() * Math.min(amendMs, Math.max(2000, nowMs));
  if (chance > 0.99) behindMs = shape.latenessMs + amendMs + prng.nextFloat() * 60_000;
  const timeMs = nowMs - behindMs;
  // A whole second now and then: the edges of buckets are where mistakes are.
  const exactMs = prng.nextBelow(10) === 0 ? Math.floor(timeMs / 1000) * 1000 : Math.floor(timeMs);
  const restNs = exactMs % 1000 === 0 ? 0 : prng.nextBelow(1_000_000);
  return shape.baseNs + BigInt(exactMs) * NS_PER_MS + BigInt(restNs);
}

function nextPrice({ prng, cents }: Draw, symbol: string): number {
  const moved = (cents.get(symbol) ?? 10_000 + prng.nextBelow(90_000)) + prng.nextBelow(41) - 20;
  cents.set(symbol, Math.max(100, moved));
  // Prices finer than the instrument's decimals keep their value, and are rounded for VWAP only.
  const finer = prng.nextBelow(20) === 0 ? prng.nextBelow(100_000) / 10_000_000 : 0;
  return Math.max(100, moved) / 100 + finer;
}

function nextLots(prng: Prng): bigint {
  return prng.nextBelow(50) === 0 ? BigInt(prng.nextUint32()) * 1000n : BigInt(prng.nextBelow(10));
}

function jsonMessage(draw: Draw, progress: number): FeedMessage {
  const { prng, trades } = draw;
  const symbol = trades[prng.nextBelow(trades.length)]!;
  const time = eventTime(draw, progress);
  const price = nextPrice(draw, symbol.name);
  const lots = nextLots(prng);
  const value = new TextEncoder().encode(jsonText(prng.nextBelow(30), { symbol: symbol.name, time, price, lots }));
  return { partition: symbol.partition, value, isPacked: false, poison: undefined };
}

interface JsonParts {
  readonly symbol: string;
  readonly time: bigint;
  readonly price: number;
  readonly lots: bigint;
}

/** Mostly as a producer writes it, now and then in another spelling that means the same. */
function jsonText(form: number, { symbol, time, price, lots }: JsonParts): string {
  if (form === 0) return `{ "vol" : ${lots}.0 , "ltp":${price}, "event_ts": ${time}, "symbol":"${symbol}" }`;
  if (form === 1) return `{"symbol":"${symbol}","event_ts":${time},"ltp":${price.toExponential()},"vol":${lots},"venue":{"vol":[1,-2]}}`;
  return `{"symbol":"${symbol}","event_ts":${time},"ltp":${price},"vol":${lots}}`;
}

/** A message of one partition's symbols, quotes and trades mixed. */
function packedMessage(draw: Draw, progress: number, count: number): FeedMessage {
  const { prng, symbols } = draw;
  const { partition } = symbols[prng.nextBelow(symbols.length)]!;
  const own = symbols.filter((symbol) => symbol.partition === partition);
  const table: PackedSymbol[] = own.map(({ name, isQuote }) => ({
    symbol: name,
    kind: isQuote ? 'quote' : 'trade',
    priceDecimals: PRICE_DECIMALS,
    lotDecimals: 0,
  }));
  const ticks = Array.from({ length: count }, (): PackedTick => {
    const symbolRef = prng.nextBelow(own.length);
    const { name, isQuote } = own[symbolRef]!;
    const price = nextPrice(draw, name);
    return {
      symbolRef,
      tsEventNs: eventTime(draw, progress),
      price,
      quantityLots: isQuote ? 0n : nextLots(prng),
      ask: isQuote ? price + prng.nextBelow(50) / 100 : 0,
    };
  });
  return { partition, value: encodePacked(table, ticks), isPacked: true, poison: undefined };
}
