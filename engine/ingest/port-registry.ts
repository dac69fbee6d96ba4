/** Registration of symbols: engine-wide index, shard, index within the shard, decimals in force. Main thread only. */
import * as L from '../../schemas/layout.gen.ts';
import { INSTRUMENT_KIND, REFUSAL, TICK_KIND } from '../../schemas/records.ts';
import type { Session } from '../market/calendar.ts';
import { type InstrumentBook, isSymbolName } from '../market/instrument-book.ts';
import type { SymbolDictionary } from '../market/instruments.ts';
import { murmur2Part } from '../market/murmur2.ts';
import { type IngestKernel, TICK_WORDS } from './port-kernel.ts';
import type { Outbox } from './port-outbox.ts';
import type { InstrumentSpec } from './source.ts';

export interface RegistryOptions {
  readonly kernel: IngestKernel;
  readonly symbols: SymbolDictionary;
  readonly book: InstrumentBook;
  readonly isStrict: boolean;
  readonly outboxes: readonly Outbox[];
  /** Symbols that each shard can hold. */
  readonly shardCapacities: readonly number[];
}

export interface Decimals {
  readonly priceDecimals: number;
  readonly lotDecimals: number;
}

export interface Registry {
  /** Engine-wide index of the symbol, or minus the refusal code. The book's decimals and kind win over the spec's. */
  register(spec: InstrumentSpec): number;
  /** The same for a symbol of stored state: its decimals stay as they were, and it is taken even under SYMBOLS=strict. */
  restore(spec: InstrumentSpec): number;
  decimalsOf(symbolIndex: number): Decimals;
  sessionOf(symbolIndex: number): Session | undefined;
}

/** Largest integer form of a price: the kernels hold it in 64 bits, signed. */
const PRICE_UNITS_MAX = 2 ** 62;
const encoder = new TextEncoder();

export function createRegistry(options: RegistryOptions): Registry {
  const { kernel, symbols, book, outboxes } = options;
  const indices = new Map<string, number>();
  const decimals: Decimals[] = [];
  const sessions: (Session | undefined)[] = [];
  const shardCounts = outboxes.map(() => 0);
  const record = new ArrayBuffer(L.TICK_SIZE);
  const recordI32 = new Int32Array(record);
  const recordF64 = new Float64Array(record);

  const add = (spec: InstrumentSpec): number => {
    const name = encoder.encode(spec.symbol);
    const shard = murmur2Part(name, outboxes.length);
    const localIndex = shardCounts[shard] ?? 0;
    const index = decimals.length;
    if (index >= symbols.capacity || localIndex >= (options.shardCapacities[shard] ?? 0)) return -REFUSAL.capacity;
    const { priceDecimals, lotDecimals, partition } = spec;
    const isQuote = spec.kind === 'quote';
    const priceScale = 10 ** priceDecimals;
    // The dictionary first: whoever sees the symbol in a ring finds it there.
    symbols.write(index, { name: spec.symbol, partition, shard, localIndex, priceDecimals, lotDecimals, isQuote });
    const kind = isQuote ? INSTRUMENT_KIND.quote : INSTRUMENT_KIND.trade;
    kernel.exports.addSymbol(shard, localIndex, partition, kind, PRICE_UNITS_MAX / priceScale);
    // Names that JSON escapes are left out: their raw bytes in a message are no valid name, and the slow path finds them here.
    if (!/["\\]/.test(spec.symbol)) {
      kernel.u8.set(name, kernel.nameU8);
      kernel.exports.intern(index, name.length);
    }
    const session = book.find(spec.symbol)?.session;
    // An empty window: the first tick asks for its day.
    if (session) kernel.exports.setSession(index, 0n, 0n, 0n, 0n);
    indices.set(spec.symbol, index);
    decimals.push({ priceDecimals, lotDecimals });
    sessions.push(session);
    shardCounts[shard] = localIndex + 1;
    recordI32[L.TICK_KIND_I32] = TICK_KIND.symbol;
    recordI32[L.TICK_SYMBOL_INDEX_I32] = localIndex;
    recordF64[L.TICK_PRICE_F64] = priceScale;
    recordI32[L.TICK_TRADE_COUNT_I32] = partition;
    recordI32[L.TICK_INGEST_US_I32] = index | (kind << 31);
    outboxes[shard]?.put(recordI32, 0, recordI32.length / TICK_WORDS);
    return index;
  };

  return {
    register(spec) {
      const known = indices.get(spec.symbol);
      if (known !== undefined) return known;
      const entry = book.find(spec.symbol);
      if (!entry && options.isStrict) return -REFUSAL.unknownSymbol;
      if (!isSymbolName(spec.symbol)) return -REFUSAL.malformed;
      if (!entry) return add(spec);
      return add({ ...spec, kind: entry.kind ?? spec.kind, priceDecimals: entry.priceDecimals, lotDecimals: entry.lotDecimals });
    },
    restore: (spec) => indices.get(spec.symbol) ?? add(spec),
    decimalsOf(symbolIndex) {
      const found = decimals[symbolIndex];
      if (!found) throw new Error(`symbol index ${symbolIndex}: ${decimals.length} symbols are registered`);
      return found;
    },
    sessionOf: (symbolIndex) => sessions[symbolIndex],
  };
}
