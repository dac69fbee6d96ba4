/** The packed encoding of ticks: many binary records in one Kafka message. Documented in schemas/packed.md. */
import { REFUSAL } from '../../schemas/records.ts';
import { EngineError } from '../core/errors.ts';
import { isSymbolName, LOT_DECIMALS_MAX, PRICE_DECIMALS_MAX } from '../market/instrument-book.ts';

/** Value of the Kafka header `encoding` that announces a packed message. */
export const PACKED_ENCODING = 'tickwright-packed-1';
export const PACKED_RECORD_BYTES = 32;
/** Most records, and most symbols, of one message. */
export const PACKED_RECORDS_MAX = 512;
export const PACKED_HEADER_BYTES = 12;

export const PACKED_MAGIC = 0x504b5754; // "TWKP", the first byte lowest
export const PACKED_VERSION = 1;
const SYMBOL_HEADER_BYTES = 4;
const KIND_TRADE = 0;
const KIND_QUOTE = 1;

export interface PackedSymbol {
  readonly symbol: string;
  readonly kind: 'trade' | 'quote';
  readonly priceDecimals: number;
  readonly lotDecimals: number;
}

export interface PackedTick {
  /** Position in the message's symbols. */
  readonly symbolRef: number;
  readonly tsEventNs: bigint;
  /** Trade price, or bid of a quote. */
  readonly price: number;
  /** Trades: quantity in lots of the symbol's lotDecimals. Quotes: 0. */
  readonly quantityLots: bigint;
  /** Quotes: ask. Trades: 0. */
  readonly ask: number;
}

export interface PackedHeader {
  readonly symbols: readonly PackedSymbol[];
  readonly recordCount: number;
  /** Byte at which the records begin. */
  readonly recordsOffset: number;
}

export type PackedRecord = { readonly tick: PackedTick; readonly refusal: 0 } | { readonly tick: undefined; readonly refusal: number };

const encoder = new TextEncoder();
const decoder = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });

/**
 * Encodes one message.
 * @throws EngineError PACKED_INVALID when there are too many or no records, or a symbol or reference cannot be encoded
 */
export function encodePacked(symbols: readonly PackedSymbol[], ticks: readonly PackedTick[]): Uint8Array {
  assertCount('symbols', symbols.length);
  assertCount('records', ticks.length);
  const names = symbols.map(({ symbol }) => encoder.encode(symbol));
  const tableBytes = names.reduce((sum, name) => sum + SYMBOL_HEADER_BYTES + name.length, 0);
  const recordsOffset = alignRecords(PACKED_HEADER_BYTES + tableBytes);
  const message = new Uint8Array(recordsOffset + ticks.length * PACKED_RECORD_BYTES);
  const view = new DataView(message.buffer);
  view.setUint32(0, PACKED_MAGIC, true);
  view.setUint16(4, PACKED_VERSION, true);
  view.setUint16(6, symbols.length, true);
  view.setUint16(8, ticks.length, true);
  let at = PACKED_HEADER_BYTES;
  for (const [index, symbol] of symbols.entries()) {
    const name = names[index] ?? new Uint8Array();
    if (!isSymbolName(symbol.symbol) || !areDecimals(symbol.priceDecimals, symbol.lotDecimals)) {
      throw new EngineError('PACKED_INVALID', `packed symbol ${JSON.stringify(symbol)}: a name of 1 to 40 bytes, decimals of 0 to 15`);
    }
    message.set([name.length, symbol.kind === 'quote' ? KIND_QUOTE : KIND_TRADE, symbol.priceDecimals, symbol.lotDecimals], at);
    message.set(name, at + SYMBOL_HEADER_BYTES);
    at += SYMBOL_HEADER_BYTES + name.length;
  }
  at = recordsOffset;
  for (const tick of ticks) {
    const symbol = symbols[tick.symbolRef];
    if (!symbol) throw new EngineError('PACKED_INVALID', `packed record of symbol ${tick.symbolRef}: there are ${symbols.length}`);
    view.setUint32(at, tick.symbolRef, true);
    view.setBigInt64(at + 8, tick.tsEventNs, true);
    view.setFloat64(at + 16, tick.price, true);
    if (symbol.kind === 'quote') view.setFloat64(at + 24, tick.ask, true);
    else view.setBigInt64(at + 24, tick.quantityLots, true);
    at += PACKED_RECORD_BYTES;
  }
  return message;
}

/** Reads the symbol that begins at a byte of a message; undefined when it is malformed. */
export type SymbolReader = (message: Uint8Array, at: number) => PackedSymbol | undefined;

/** Symbols that a reader remembers; beyond, it begins anew. */
const SYMBOLS_REMEMBERED = 65_536;

/** A reader that knows symbols again by their bytes, and gives the same object for them: messages name the same few, each time in another order. */
export function createSymbolReader(): SymbolReader {
  const known = new Map<string, PackedSymbol>();
  return (message, at) => {
    const end = endOfSymbol(message, at);
    if (end > message.length) return undefined;
    const bytes = Buffer.from(message.buffer, message.byteOffset, message.length).toString('latin1', at, end);
    const found = known.get(bytes);
    if (found !== undefined) return found;
    const symbol = readSymbol(message, at);
    if (symbol === undefined) return undefined;
    if (known.size >= SYMBOLS_REMEMBERED) known.clear();
    known.set(bytes, symbol);
    return symbol;
  };
}

/** Reads header and symbols, and checks that the message has exactly the length that these give it; undefined when malformed. */
export function readPackedHeader(message: Uint8Array, symbolAt: SymbolReader = readSymbol): PackedHeader | undefined {
  if (message.length < PACKED_HEADER_BYTES) return undefined;
  const view = new DataView(message.buffer, message.byteOffset, message.length);
  if (view.getUint32(0, true) !== PACKED_MAGIC || view.getUint16(4, true) !== PACKED_VERSION || view.getUint16(10, true) !== 0)
    return undefined;
  const symbolCount = view.getUint16(6, true);
  const recordCount = view.getUint16(8, true);
  if (!isCount(symbolCount) || !isCount(recordCount)) return undefined;
  const symbols: PackedSymbol[] = [];
  let at = PACKED_HEADER_BYTES;
  for (let index = 0; index < symbolCount; index += 1) {
    const symbol = symbolAt(message, at);
    if (!symbol) return undefined;
    symbols.push(symbol);
    at = endOfSymbol(message, at);
  }
  const recordsOffset = alignRecords(at);
  if (message.length !== recordsOffset + recordCount * PACKED_RECORD_BYTES) return undefined;
  if (message.subarray(at, recordsOffset).some((byte) => byte !== 0)) return undefined;
  return { symbols, recordCount, recordsOffset };
}

/** Decodes all records of a message; undefined when it is malformed as a whole. */
export function decodePacked(message: Uint8Array): { readonly header: PackedHeader; readonly records: PackedRecord[] } | undefined {
  const header = readPackedHeader(message);
  if (!header) return undefined;
  const view = new DataView(message.buffer, message.byteOffset, message.length);
  const records: PackedRecord[] = [];
  for (let index = 0; index < header.recordCount; index += 1) {
    const at = header.recordsOffset + index * PACKED_RECORD_BYTES;
    const symbolRef = view.getUint32(at, true);
    const symbol = header.symbols[symbolRef];
    if (!symbol || view.getUint32(at + 4, true) !== 0) {
      records.push({ tick: undefined, refusal: REFUSAL.malformed });
      continue;
    }
    const isQuote = symbol.kind === 'quote';
    const tick = {
      symbolRef,
      tsEventNs: view.getBigInt64(at + 8, true),
      price: view.getFloat64(at + 16, true),
      quantityLots: isQuote ? 0n : view.getBigInt64(at + 24, true),
      ask: isQuote ? view.getFloat64(at + 24, true) : 0,
    };
    records.push({ tick, refusal: 0 });
  }
  return { header, records };
}

/** Beyond the message when it ends within the symbol. */
function endOfSymbol(message: Uint8Array, at: number): number {
  return at + SYMBOL_HEADER_BYTES + (message[at] ?? 0);
}

function readSymbol(message: Uint8Array, at: number): PackedSymbol | undefined {
  const end = endOfSymbol(message, at);
  if (end > message.length) return undefined;
  const kind = message[at + 1]!;
  const priceDecimals = message[at + 2]!;
  const lotDecimals = message[at + 3]!;
  let symbol: string;
  try {
    symbol = decoder.decode(message.subarray(at + SYMBOL_HEADER_BYTES, end));
  } catch {
    // Not UTF-8: the caller counts the message as malformed.
    return undefined;
  }
  if (!isSymbolName(symbol) || !areDecimals(priceDecimals, lotDecimals) || kind > KIND_QUOTE) return undefined;
  return { symbol, kind: kind === KIND_QUOTE ? 'quote' : 'trade', priceDecimals, lotDecimals };
}

function alignRecords(bytes: number): number {
  return Math.ceil(bytes / 8) * 8;
}

function areDecimals(priceDecimals: number, lotDecimals: number): boolean {
  return priceDecimals >= 0 && priceDecimals <= PRICE_DECIMALS_MAX && lotDecimals >= 0 && lotDecimals <= LOT_DECIMALS_MAX;
}

function isCount(count: number): boolean {
  return count >= 1 && count <= PACKED_RECORDS_MAX;
}

function assertCount(what: string, count: number): void {
  if (!isCount(count)) throw new EngineError('PACKED_INVALID', `packed message of ${count} ${what}: expected 1 to ${PACKED_RECORDS_MAX}`);
}

/** Byte of a packed message at which its record count stands, u16. */
const COUNT_OFFSET = 8;

/** Records that a packed message says it has, of one that the kernel has taken. */
export function packedRecordCount(message: Uint8Array): number {
  return message[COUNT_OFFSET]! + message[COUNT_OFFSET + 1]! * 256;
}
