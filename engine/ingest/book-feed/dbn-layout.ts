/**
 * Databento's binary encoding, versions 1 to 3: the header of a file and what is needed of its records. All numbers are little-endian.
 *
 *   0 "DBN" | 3 version u8 | 4 length of the rest u32 | 8 data set, 16 B | 24 schema u16 | 26 start u64 | 34 end u64 | 42 limit u64
 *   version 1:        50 record count u64 | 58 symbols in u8 | 59 symbols out u8 | 60 send times u8 | 61 reserved, 47 B
 *   versions 2 and 3: 50 symbols in u8 | 51 symbols out u8 | 52 send times u8 | 53 symbol length u16 | 55 reserved, 53 B
 *   108 length of a schema definition u32, and that | three lists of symbols: wanted, partly found, not found | list of mappings
 *
 * A list is a u32 count and its items; a symbol has 22 B in version 1 and the stated length after. A mapping is a symbol, a u32 count and
 * intervals of two u32 dates and the symbol it stood for.
 */
import { EngineError } from '../../core/errors.ts';

export const DBN_MAGIC = 'DBN';
export const DBN_PRELUDE_BYTES = 8;
export const DBN_VERSION_MAX = 3;
export const DBN_MBO_BYTES = 56;
export const DBN_TYPE = { definition: 0x13, mbo: 0xa0 } as const;
export const DBN_FLAG = { last: 0x80, topOfBook: 0x40, snapshot: 0x20, level: 0x10 } as const;

const SCHEMA_AT = 24;
const SCHEMA_MBO = 0;
const LISTS_AT = 108;
const SYMBOL_BYTES_V1 = 22;
const SYMBOL_OUT_AT = { first: 59, later: 51 } as const;
const SYMBOL_BYTES_AT = 53;
/** Codes of symbol kinds: the number the venue's instrument has in the records. */
const KIND_INSTRUMENT_ID = 0;

export interface DbnHeader {
  readonly version: number;
  readonly dataset: string;
  /** True when every record is an mbo record, so that no definition is among them. */
  readonly isOnlyMbo: boolean;
  /** Names of the instruments by the id that records carry. */
  readonly symbols: ReadonlyMap<number, string>;
}

/**
 * Reads the header; `bytes` is all of it, as long as the prelude says.
 * @throws EngineError FEED_FILE when it is cut off or contradicts itself
 */
export function parseDbnHeader(bytes: Uint8Array, label: string): DbnHeader {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const version = view.getUint8(3);
  const symbolBytes = version === 1 ? SYMBOL_BYTES_V1 : view.getUint16(SYMBOL_BYTES_AT, true);
  const kindOut = view.getUint8(version === 1 ? SYMBOL_OUT_AT.first : SYMBOL_OUT_AT.later);
  const cursor = createCursor(bytes, label);
  cursor.at = LISTS_AT;
  cursor.skip(cursor.word());
  for (let list = 0; list < 3; list += 1) cursor.skip(cursor.word() * symbolBytes);
  const symbols = new Map<number, string>();
  for (let mappings = cursor.word(); mappings > 0; mappings -= 1) {
    const name = cursor.text(symbolBytes);
    for (let intervals = cursor.word(); intervals > 0; intervals -= 1) {
      cursor.skip(8);
      const other = cursor.text(symbolBytes);
      const [id, symbol] = kindOut === KIND_INSTRUMENT_ID ? [other, name] : [name, other];
      if (/^\d{1,10}$/.test(id)) symbols.set(Number(id), symbol);
    }
  }
  return { version, dataset: textOf(bytes.subarray(8, 24)), isOnlyMbo: view.getUint16(SCHEMA_AT, true) === SCHEMA_MBO, symbols };
}

interface Cursor {
  at: number;
  word(): number;
  skip(length: number): void;
  text(length: number): string;
}

function createCursor(bytes: Uint8Array, label: string): Cursor {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const take = (length: number): number => {
    const from = cursor.at;
    if (from + length > bytes.length) {
      throw new EngineError('FEED_FILE', `${label}: the DBN header needs byte ${from + length} and says that it has ${bytes.length}`);
    }
    cursor.at += length;
    return from;
  };
  const cursor: Cursor = {
    at: 0,
    word: () => view.getUint32(take(4), true),
    skip: (length) => void take(length),
    text: (length) => {
      const from = take(length);
      return textOf(bytes.subarray(from, from + length));
    },
  };
  return cursor;
}

function textOf(bytes: Uint8Array): string {
  const end = bytes.indexOf(0);
  return Buffer.from(end < 0 ? bytes : bytes.subarray(0, end)).toString('utf8');
}
