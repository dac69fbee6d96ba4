/**
 * Fills packed messages from tick records, without an object for each. The encoding is that of schemas/packed.md; `encodePacked` is the
 * readable twin.
 */
import * as L from '../../schemas/layout.gen.ts';
import { PACKED_HEADER_BYTES, PACKED_MAGIC, PACKED_RECORD_BYTES, PACKED_RECORDS_MAX, PACKED_VERSION } from './packed.ts';

const RECORD_WORDS = PACKED_RECORD_BYTES >> 2;
const SYMBOL_HEADER_BYTES = 4;
const NAME_BYTES_MAX = 40;

/** A symbol as messages name it. All its records go through one writer: the writer keeps here where the message in hand has it. */
export interface PackedName {
  /** At most 40 bytes of UTF-8. */
  readonly name: Uint8Array;
  readonly isQuote: boolean;
  readonly priceDecimals: number;
  readonly lotDecimals: number;
  /** Position in the message's symbols, when `message` is the number of the message in hand. */
  reference: number;
  message: number;
}

export interface PackedWriter {
  /** Records of the message in hand; at PACKED_RECORDS_MAX it has to be taken before the next is added. */
  readonly recordCount: number;
  /** Adds the trade or quote record that begins at word `at`. */
  add(symbol: PackedName, i32: Int32Array, at: number): void;
  /** The message in hand; the next one begins. */
  take(): Buffer;
}

export function createPackedWriter(): PackedWriter {
  const records = new Int32Array(PACKED_RECORDS_MAX * RECORD_WORDS);
  const table = Buffer.alloc(PACKED_RECORDS_MAX * (SYMBOL_HEADER_BYTES + NAME_BYTES_MAX));
  let message = 1;
  let recordCount = 0;
  let symbolCount = 0;
  let tableBytes = 0;

  const refer = (symbol: PackedName): void => {
    symbol.message = message;
    symbol.reference = symbolCount;
    symbolCount += 1;
    table[tableBytes] = symbol.name.length;
    table[tableBytes + 1] = symbol.isQuote ? 1 : 0;
    table[tableBytes + 2] = symbol.priceDecimals;
    table[tableBytes + 3] = symbol.lotDecimals;
    table.set(symbol.name, tableBytes + SYMBOL_HEADER_BYTES);
    tableBytes += SYMBOL_HEADER_BYTES + symbol.name.length;
  };

  return {
    get recordCount() {
      return recordCount;
    },
    add(symbol, i32, at) {
      if (symbol.message !== message) refer(symbol);
      const to = recordCount * RECORD_WORDS;
      const last = at + (symbol.isQuote ? L.TICK_ASK_F64 * 2 : L.TICK_QUANTITY_LOTS_I64 * 2);
      records[to] = symbol.reference;
      records[to + 1] = 0;
      records[to + 2] = i32[at + L.TICK_TS_EVENT_NS_I64 * 2]!;
      records[to + 3] = i32[at + L.TICK_TS_EVENT_NS_I64 * 2 + 1]!;
      records[to + 4] = i32[at + L.TICK_PRICE_F64 * 2]!;
      records[to + 5] = i32[at + L.TICK_PRICE_F64 * 2 + 1]!;
      records[to + 6] = i32[last]!;
      records[to + 7] = i32[last + 1]!;
      recordCount += 1;
    },
    take() {
      const recordsOffset = Math.ceil((PACKED_HEADER_BYTES + tableBytes) / 8) * 8;
      const recordBytes = recordCount * PACKED_RECORD_BYTES;
      const taken = Buffer.alloc(recordsOffset + recordBytes);
      taken.writeUInt32LE(PACKED_MAGIC, 0);
      taken.writeUInt16LE(PACKED_VERSION, 4);
      taken.writeUInt16LE(symbolCount, 6);
      taken.writeUInt16LE(recordCount, 8);
      taken.set(table.subarray(0, tableBytes), PACKED_HEADER_BYTES);
      taken.set(new Uint8Array(records.buffer, 0, recordBytes), recordsOffset);
      message += 1;
      recordCount = 0;
      symbolCount = 0;
      tableBytes = 0;
      return taken;
    },
  };
}
