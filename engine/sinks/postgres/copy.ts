/** COPY into tables: bars as binary rows from the encode kernel, everything else as text. */
import { pipeline } from 'node:stream/promises';
import { setImmediate as nextTurn } from 'node:timers/promises';
import { from as copyFrom } from 'pg-copy-streams';
import type { BarEncoder } from '../../kernel/encode.ts';
import type { Connection } from './connection.ts';
import { BAR_WORDS, type RecordList } from './record-list.ts';

/** Signature, flags, length of the header extension: what every binary COPY begins with. */
export const BINARY_HEADER = Buffer.concat([Buffer.from('PGCOPY\n\xff\r\n\0', 'latin1'), Buffer.alloc(8)]);
/** A field count of -1 ends it. */
export const BINARY_TRAILER = Buffer.from([0xff, 0xff]);
const TEXT_CHUNK_CHARS = 65536;
/** Rows encoded in one go: few enough that the thread is free again at once, also before the kernel's code is optimised. */
const ROWS_PER_CHUNK = 1024;

/** Runs a COPY .. FROM STDIN; resolves with the bytes sent once the server has taken them. */
export async function copyChunks(client: Connection, statement: string, chunks: Iterable<Buffer>): Promise<number> {
  let bytes = 0;
  const counted = async function* (): AsyncGenerator<Buffer> {
    for (const chunk of chunks) {
      bytes += chunk.length;
      yield chunk;
      // A socket that takes all at once would keep the thread here for the whole COPY, and the thread is taken for wedged.
      await nextTurn();
    }
  };
  await pipeline(counted(), client.query(copyFrom(statement)));
  return bytes;
}

export interface RowSelection {
  readonly timeframeIndex: number;
  readonly isQuote: boolean;
  readonly run: number;
}

/** Binary rows of those bars of a list that belong to one table, with header and trailer. */
export function* binaryRows(encoder: BarEncoder, list: RecordList, { timeframeIndex, isQuote, run }: RowSelection): Generator<Buffer> {
  yield BINARY_HEADER;
  for (let start = 0; start < list.length; start += ROWS_PER_CHUNK) {
    const count = Math.min(ROWS_PER_CHUNK, list.length - start);
    encoder.i32.set(list.i32.subarray(start * BAR_WORDS, (start + count) * BAR_WORDS), encoder.inputI32Index);
    const rows = encoder.copyRows(count, timeframeIndex, isQuote, run);
    // The encoder reuses its buffer; the socket may hold this one until later.
    if (rows.length > 0) yield Buffer.from(rows);
  }
  yield BINARY_TRAILER;
}

/** Rows in COPY's text format; null is a null. */
export function* textRows(rows: Iterable<readonly (string | null)[]>): Generator<Buffer> {
  let text = '';
  for (const row of rows) {
    text += `${row.map(textField).join('\t')}\n`;
    if (text.length < TEXT_CHUNK_CHARS) continue;
    yield Buffer.from(text);
    text = '';
  }
  if (text !== '') yield Buffer.from(text);
}

const ESCAPES: Readonly<Record<string, string>> = { '\\': '\\\\', '\t': '\\t', '\n': '\\n', '\r': '\\r' };

function textField(value: string | null): string {
  return value === null ? '\\N' : value.replace(/[\\\t\n\r]/g, (found) => ESCAPES[found] ?? found);
}
