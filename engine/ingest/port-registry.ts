/** Registration of symbols: engine-wide index, shard, index within the shard, decimals in force. Main thread only. */
import * as L from '../../schemas/layout.gen.ts';
import { INSTRUMENT_KIND, REFUSAL, TICK_KIND } from '../../schemas/records.ts';
import { assert } from '../core/errors.ts';
import type { Session } from '../market/calendar.ts';
import { type InstrumentBook, isSymbolName } from '../market/instrument-book.ts';
import type { SymbolDictionary, SymbolEntry } from '../market/instruments.ts';
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

  const add = (spec: InstrumentSpec): number => {
    const name = encoder.encode(spec.symbol);
    const shard = murmur2Part(name, outboxes.length);
    const localIndex = shardCounts[shard] ?? 0;
    const index = decimals.length;
    if (index >= symbols.capacity || localIndex >= (options.shardCapacities[shard] ?? 0)) return -REFUSAL.capacity;
    const { priceDecimals, lotDecimals, partition } = spec;
    const entry = { name: spec.symbol, partition, shard, localIndex, priceDecimals, lotDecimals, isQuote: spec.kind === 'quote' };
    // The dictionary first: whoever sees the symbol in a ring finds it there.
    symbols.write(index, entry);
    const session = book.find(spec.symbol)?.session;
    teachKernel(kernel, index, entry);
    // An empty day: the first tick asks for its own.
    if (session) kernel.exports.setSessionDay(index, 0n, 0n);
    indices.set(spec.symbol, index);
    decimals.push({ priceDecimals, lotDecimals });
    sessions.push(session);
    shardCounts[shard] = localIndex + 1;
    outboxes[shard]?.put(symbolRecord(index, entry), 0, 1);
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
      assert(found !== undefined, `symbol index ${symbolIndex} of ${decimals.length} registered symbols`);
      return found;
    },
    sessionOf: (symbolIndex) => sessions[symbolIndex],
  };
}

function kindOf(entry: SymbolEntry): number {
  return entry.isQuote ? INSTRUMENT_KIND.quote : INSTRUMENT_KIND.trade;
}

/** The kernel counts symbols as this registry does, so that it gives the new one the same index. */
function teachKernel(kernel: IngestKernel, index: number, entry: SymbolEntry): void {
  const added = kernel.exports.addSymbol(entry.shard, entry.localIndex, entry.partition, kindOf(entry));
  assert(added === index, `the kernel gave symbol ${index} the index ${added}`);
  kernel.exports.setPriceMax(index, PRICE_UNITS_MAX / 10 ** entry.priceDecimals);
  // Names that JSON escapes are left out: their raw bytes in a message are no valid name, and the slow path finds them here.
  if (/["\\]/.test(entry.name)) return;
  const name = encoder.encode(entry.name);
  kernel.u8.set(name, kernel.nameU8);
  kernel.exports.intern(index, name.length);
}

/** What tells a shard of its new symbol. */
function symbolRecord(index: number, entry: SymbolEntry): Int32Array {
  const words = new Int32Array(TICK_WORDS);
  words[L.TICK_KIND_I32] = TICK_KIND.symbol;
  words[L.TICK_SYMBOL_INDEX_I32] = entry.localIndex;
  new Float64Array(words.buffer)[L.TICK_PRICE_F64] = 10 ** entry.priceDecimals;
  words[L.TICK_TRADE_COUNT_I32] = entry.partition;
  words[L.TICK_INGEST_US_I32] = index | (kindOf(entry) << 31);
  return words;
}
