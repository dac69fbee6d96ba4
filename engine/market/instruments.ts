/** The symbol dictionary: a shared table that ingest writes once per symbol, before the symbol enters any ring, and every thread reads. */
import {
  SYMBOL_DECIMALS_I32,
  SYMBOL_LOCAL_INDEX_I32,
  SYMBOL_NAME,
  SYMBOL_NAME_LENGTH_I32,
  SYMBOL_PARTITION_I32,
  SYMBOL_SHARD_I32,
  SYMBOL_SIZE,
} from '../../schemas/layout.gen.ts';

export const SYMBOL_NAME_BYTES_MAX = 40;
const WORDS = SYMBOL_SIZE >> 2;
const decoder = new TextDecoder();
const encoder = new TextEncoder();

export interface SymbolEntry {
  readonly name: string;
  readonly partition: number;
  readonly shard: number;
  readonly localIndex: number;
  readonly priceDecimals: number;
  readonly lotDecimals: number;
  readonly isQuote: boolean;
}

export interface SymbolDictionary {
  readonly buffer: SharedArrayBuffer;
  readonly capacity: number;
  /** Writes entry `index`; it must not be in use. */
  write(index: number, entry: SymbolEntry): void;
  /** Reads entry `index`; undefined when not in use. */
  read(index: number): SymbolEntry | undefined;
}

export function allocateSymbols(capacity: number): SharedArrayBuffer {
  return new SharedArrayBuffer(capacity * SYMBOL_SIZE);
}

export function openSymbols(buffer: SharedArrayBuffer): SymbolDictionary {
  const words = new Int32Array(buffer);
  const bytes = new Uint8Array(buffer);
  return {
    buffer,
    capacity: buffer.byteLength / SYMBOL_SIZE,
    write(index, entry) {
      const at = index * WORDS;
      const name = encoder.encode(entry.name);
      bytes.set(name, index * SYMBOL_SIZE + SYMBOL_NAME);
      words[at + SYMBOL_PARTITION_I32] = entry.partition;
      words[at + SYMBOL_DECIMALS_I32] = entry.priceDecimals | (entry.lotDecimals << 8) | (entry.isQuote ? 1 << 16 : 0);
      words[at + SYMBOL_SHARD_I32] = entry.shard;
      words[at + SYMBOL_LOCAL_INDEX_I32] = entry.localIndex;
      words[at + SYMBOL_NAME_LENGTH_I32] = name.length;
    },
    read(index) {
      const at = index * WORDS;
      const length = words[at + SYMBOL_NAME_LENGTH_I32] ?? 0;
      if (length === 0) return undefined;
      const start = index * SYMBOL_SIZE + SYMBOL_NAME;
      const decimals = words[at + SYMBOL_DECIMALS_I32]!;
      return {
        name: decoder.decode(bytes.slice(start, start + length)),
        partition: words[at + SYMBOL_PARTITION_I32]!,
        shard: words[at + SYMBOL_SHARD_I32]!,
        localIndex: words[at + SYMBOL_LOCAL_INDEX_I32]!,
        priceDecimals: decimals & 255,
        lotDecimals: (decimals >> 8) & 255,
        isQuote: decimals >> 16 !== 0,
      };
    },
  };
}
