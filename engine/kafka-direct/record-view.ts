/** Listed records as values of JavaScript, for those who look at one or at each. */
import { ENTRY } from './fetch-kernel.ts';
import type { RecordDecoder } from './record-decoder.ts';

export interface FetchedRecord {
  readonly offset: number;
  readonly timeMs: number;
  readonly key: Buffer | null;
  readonly value: Buffer | null;
  readonly headers: readonly (readonly [string, Buffer | null])[];
}

/** A copy of record `index` of the decoder's run. */
export function readEntry({ kernel, entriesI32 }: RecordDecoder, index: number): FetchedRecord {
  const { u8, i32, f64 } = kernel.views;
  const word = entriesI32 + index * ENTRY.words;
  const copy = (at: number, length: number): Buffer | null => (length < 0 ? null : Buffer.from(u8.slice(at, at + length)));
  return {
    offset: f64[(word >> 1) + ENTRY.offsetF64]!,
    timeMs: f64[(word >> 1) + ENTRY.timeMsF64]!,
    key: copy(i32[word + ENTRY.keyAt]!, i32[word + ENTRY.keyLength]!),
    value: copy(i32[word + ENTRY.valueAt]!, i32[word + ENTRY.valueLength]!),
    headers: readHeaders(
      Buffer.from(u8.slice(i32[word + ENTRY.headersAt]!, i32[word + ENTRY.headersAt]! + i32[word + ENTRY.headersBytes]!)),
      i32[word + ENTRY.headerCount]!,
    ),
  };
}

/** The kernel has checked every length in them. */
function readHeaders(bytes: Buffer, count: number): (readonly [string, Buffer | null])[] {
  let at = 0;
  const piece = (): Buffer | null => {
    let value = 0;
    let byte = 128;
    for (let shift = 0; byte > 127; shift += 7) {
      byte = bytes[at]!;
      value |= (byte & 127) << shift;
      at += 1;
    }
    const length = (value >>> 1) ^ -(value & 1);
    if (length < 0) return null;
    at += length;
    return bytes.subarray(at - length, at);
  };
  return Array.from({ length: count }, () => [String(piece() ?? ''), piece()] as const);
}
