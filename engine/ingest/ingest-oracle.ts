/**
 * The readable twin of ingest: what every shard must receive, record for record, worked out one tick at a time with plain objects.
 * Rings never fill here, and batches do not exist.
 */
import * as L from '../../schemas/layout.gen.ts';
import { INSTRUMENT_KIND, REFUSAL, TICK_KIND } from '../../schemas/records.ts';
import { isInSession, type Session } from '../market/calendar.ts';
import { type InstrumentBook, isSymbolName } from '../market/instrument-book.ts';
import { murmur2Part } from '../market/murmur2.ts';
import { decodeJsonTick, type JsonTickResult, QUANTITY_MAX_LOTS } from './json-tick.ts';
import { decodePacked, type PackedSymbol, type PackedTick } from './packed.ts';
import type { InstrumentSpec } from './source.ts';

/** A slot of a tick ring, by the names of the tick record. */
export interface TickRecord {
  readonly kind: number;
  readonly symbolIndex: number;
  readonly tsEventNs: bigint;
  readonly price: number;
  readonly ask: number;
  readonly low: number;
  readonly close: number;
  readonly quantityLots: bigint;
  readonly tradeCount: number;
  readonly ingestUs: number;
}

export interface OracleOptions {
  readonly shards: number;
  readonly latenessNs: bigint;
  readonly amendNs: bigint;
  /** Latest event time allowed. */
  readonly latestNs: bigint;
  readonly ingestUs: number;
  readonly book: InstrumentBook;
  readonly isStrict: boolean;
  readonly symbolCapacity: number;
}

export interface IngestOracle {
  /** Records of each shard, in order. */
  readonly shards: readonly TickRecord[][];
  /** Count of each reason. */
  readonly refused: Map<number, number>;
  register(spec: InstrumentSpec): number;
  /** Offers one record as a source would stage it; returns 0 or the refusal code. */
  offer(record: TickRecord, partition: number): number;
  /** `decoded` is what the message decodes to, where the caller has it already. */
  offerJson(message: Uint8Array, partition: number, decoded?: JsonTickResult): number;
  /** Returns [record index or -1, refusal code] of what was refused. */
  offerPacked(message: Uint8Array, partition: number): [number, number][];
}

interface OracleSymbol {
  readonly spec: InstrumentSpec;
  readonly shard: number;
  readonly localIndex: number;
  readonly session: Session | undefined;
}

const SECOND_NS = 1_000_000_000n;
const EVENT_TIME_LIMIT_NS = BigInt(Date.UTC(2200, 0)) * 1_000_000n;
const PRICE_UNITS_MAX = 2 ** 62;
const EMPTY: Omit<TickRecord, 'kind' | 'symbolIndex'> = {
  tsEventNs: 0n,
  price: 0,
  ask: 0,
  low: 0,
  close: 0,
  quantityLots: 0n,
  tradeCount: 0,
  ingestUs: 0,
};

interface OracleState {
  readonly options: OracleOptions;
  readonly shards: TickRecord[][];
  readonly refused: Map<number, number>;
  readonly symbols: OracleSymbol[];
  /** By partition. */
  readonly watermarks: Map<number, bigint>;
}

export function createIngestOracle(options: OracleOptions): IngestOracle {
  const state: OracleState = {
    options,
    shards: Array.from({ length: options.shards }, () => []),
    refused: new Map(),
    symbols: [],
    watermarks: new Map(),
  };
  return {
    shards: state.shards,
    refused: state.refused,
    register: (spec) => register(state, spec),
    offer: (record, partition) => offer(state, record, partition),
    offerJson(message, partition, decoded = decodeJsonTick(message)) {
      const { tick, refusal } = decoded;
      if (!tick) return refuse(state, refusal);
      const symbolIndex = register(state, { symbol: tick.symbol, kind: 'trade', priceDecimals: 2, lotDecimals: 0, partition });
      if (symbolIndex < 0) return refuse(state, -symbolIndex);
      const { tsEventNs, price, quantityLots } = tick;
      return offer(state, { ...EMPTY, kind: TICK_KIND.trade, symbolIndex, tsEventNs, price, quantityLots }, partition);
    },
    offerPacked(message, partition) {
      const decoded = decodePacked(message);
      if (!decoded) return [[-1, refuse(state, REFUSAL.malformed)]];
      const indices = decoded.header.symbols.map((symbol) => register(state, { ...symbol, partition }));
      const refusals: [number, number][] = [];
      for (const [position, { tick, refusal }] of decoded.records.entries()) {
        const record = tick ? unpack(tick, decoded.header.symbols, indices, state.symbols) : refusal;
        const reason = typeof record === 'number' ? refuse(state, record) : offer(state, record, partition);
        if (reason !== 0) refusals.push([position, reason]);
      }
      return refusals;
    },
  };
}

function refuse({ refused }: OracleState, reason: number): number {
  refused.set(reason, (refused.get(reason) ?? 0) + 1);
  return reason;
}

function register({ options, shards, symbols }: OracleState, spec: InstrumentSpec): number {
  const known = symbols.findIndex((symbol) => symbol.spec.symbol === spec.symbol);
  if (known >= 0) return known;
  const entry = options.book.find(spec.symbol);
  if (!entry && options.isStrict) return -REFUSAL.unknownSymbol;
  if (!isSymbolName(spec.symbol)) return -REFUSAL.malformed;
  if (symbols.length >= options.symbolCapacity) return -REFUSAL.capacity;
  const inForce = entry ? { ...spec, ...entry, kind: entry.kind ?? spec.kind } : spec;
  const shard = murmur2Part(new TextEncoder().encode(spec.symbol), options.shards);
  const localIndex = symbols.filter((symbol) => symbol.shard === shard).length;
  const index = symbols.length;
  symbols.push({ spec: inForce, shard, localIndex, session: entry?.session });
  const kind = inForce.kind === 'quote' ? INSTRUMENT_KIND.quote : INSTRUMENT_KIND.trade;
  shards[shard]?.push({
    ...EMPTY,
    kind: TICK_KIND.symbol,
    symbolIndex: localIndex,
    price: 10 ** inForce.priceDecimals,
    tradeCount: spec.partition,
    ingestUs: (index | (kind << 31)) >>> 0,
  });
  return index;
}

function offer(state: OracleState, record: TickRecord, partition: number): number {
  const { options, shards, watermarks } = state;
  const symbol = state.symbols[record.symbolIndex];
  if (!symbol) return refuse(state, REFUSAL.unknownSymbol);
  const reason = reasonFor(options, record, symbol, partition);
  if (reason !== 0) return refuse(state, reason);
  const routed = { ...record, symbolIndex: symbol.localIndex, ingestUs: options.ingestUs };
  const before = watermarks.get(partition);
  if (before !== undefined && floorSecond(record.tsEventNs) + SECOND_NS + options.amendNs <= before) {
    shards[symbol.shard]?.push({ ...routed, kind: TICK_KIND.late });
    return refuse(state, REFUSAL.tooLate);
  }
  const reached = floorSecond(record.tsEventNs - options.latenessNs);
  if (before === undefined || reached > before) {
    watermarks.set(partition, reached);
    for (const shard of shards) shard.push({ ...EMPTY, kind: TICK_KIND.watermark, symbolIndex: partition, tsEventNs: reached });
  }
  shards[symbol.shard]?.push(routed);
  return 0;
}

function reasonFor(options: OracleOptions, record: TickRecord, symbol: OracleSymbol, partition: number): number {
  if (symbol.spec.partition !== partition) return REFUSAL.wrongPartition;
  const reason = reasonOfValues(record, symbol.spec);
  if (reason !== 0) return reason;
  if (record.tsEventNs <= 0n || record.tsEventNs >= EVENT_TIME_LIMIT_NS) return REFUSAL.eventTimeInvalid;
  if (record.tsEventNs > options.latestNs) return REFUSAL.eventTimeInFuture;
  return symbol.session && !isInSession(symbol.session, record.tsEventNs) ? REFUSAL.outOfSession : 0;
}

/** The bytes of a record, as they lie in a ring. */
export function encodeTickRecord(record: TickRecord): Uint8Array {
  const view = new DataView(new ArrayBuffer(L.TICK_SIZE));
  view.setInt32(L.TICK_KIND, record.kind, true);
  view.setInt32(L.TICK_SYMBOL_INDEX, record.symbolIndex, true);
  view.setBigInt64(L.TICK_TS_EVENT_NS, record.tsEventNs, true);
  view.setFloat64(L.TICK_PRICE, record.price, true);
  view.setFloat64(L.TICK_ASK, record.ask, true);
  view.setFloat64(L.TICK_LOW, record.low, true);
  view.setFloat64(L.TICK_CLOSE, record.close, true);
  view.setBigInt64(L.TICK_QUANTITY_LOTS, record.quantityLots, true);
  view.setInt32(L.TICK_TRADE_COUNT, record.tradeCount, true);
  view.setUint32(L.TICK_INGEST_US, record.ingestUs, true);
  return new Uint8Array(view.buffer);
}

function unpack(
  tick: PackedTick,
  table: readonly PackedSymbol[],
  indices: readonly number[],
  symbols: readonly OracleSymbol[],
): TickRecord | number {
  const packed = table[tick.symbolRef];
  const symbolIndex = indices[tick.symbolRef] ?? -REFUSAL.malformed;
  if (!packed || symbolIndex < 0) return -symbolIndex;
  const kind = packed.kind === 'quote' ? TICK_KIND.quote : TICK_KIND.trade;
  const { tsEventNs, price, ask } = tick;
  const shift = (symbols[symbolIndex]?.spec.lotDecimals ?? 0) - packed.lotDecimals;
  const divisor = 10n ** BigInt(Math.max(0, -shift));
  if (tick.quantityLots % divisor !== 0n) return REFUSAL.quantityOffLot;
  const quantityLots = (tick.quantityLots / divisor) * 10n ** BigInt(Math.max(0, shift));
  if (quantityLots > QUANTITY_MAX_LOTS) return REFUSAL.quantityOffLot;
  // Only its sign is looked at before it is refused, and its product may not fit.
  return { ...EMPTY, kind, symbolIndex, tsEventNs, price, ask, quantityLots: quantityLots < 0n ? -1n : quantityLots };
}

function reasonOfValues(record: TickRecord, spec: InstrumentSpec): number {
  const isQuote = spec.kind === 'quote';
  const isKindRight = isQuote ? record.kind === TICK_KIND.quote : record.kind === TICK_KIND.trade || record.kind === TICK_KIND.bar;
  if (!isKindRight) return REFUSAL.wrongKind;
  const prices = [record.price];
  if (record.kind !== TICK_KIND.trade) prices.push(record.ask);
  if (record.kind === TICK_KIND.bar) prices.push(record.low, record.close);
  for (const price of prices) {
    if (!Number.isFinite(price) || price > PRICE_UNITS_MAX / 10 ** spec.priceDecimals) return REFUSAL.priceNotFinite;
    if (price <= 0) return REFUSAL.priceNotPositive;
  }
  if (isQuote) return 0;
  if (record.quantityLots < 0n) return REFUSAL.quantityNegative;
  if (record.quantityLots > QUANTITY_MAX_LOTS) return REFUSAL.quantityOffLot;
  return record.kind === TICK_KIND.bar && !isBarConsistent(record) ? REFUSAL.barInconsistent : 0;
}

function isBarConsistent(bar: TickRecord): boolean {
  const high = bar.ask;
  const isOrdered = bar.low <= Math.min(bar.price, bar.close) && high >= Math.max(bar.price, bar.close);
  return isOrdered && bar.tsEventNs % SECOND_NS === 0n && bar.tradeCount >= 0;
}

function floorSecond(ns: bigint): bigint {
  const rest = ns % SECOND_NS;
  return rest < 0n ? ns - rest - SECOND_NS : ns - rest;
}
