/** Compressed batches whose codec has no kernel: gzip is Node's own, zstd is zstddec's. */
import { gunzipSync } from 'node:zlib';
import { ZSTDDecoder } from 'zstddec/stream';
import { EngineError, messageOf } from '../core/errors.ts';

/** As in the attributes of a batch. */
export const CODEC = { none: 0, gzip: 1, snappy: 2, lz4: 3, zstd: 4 } as const;

/** The decoder gives nothing for as many turns only when the frame is damaged: it then never moves on. */
const EMPTY_TURNS_MAX = 64;

/**
 * What `bytes` hold once expanded, at most `limit` bytes.
 * @throws EngineError KAFKA_BATCH_CODEC when they are damaged or hold more
 */
export type Expand = (bytes: Uint8Array, limit: number) => Uint8Array;

/** Codecs of the libraries, by their number; the others are the kernel's. */
export type LibraryCodecs = ReadonlyMap<number, Expand>;

export async function loadCodecs(): Promise<LibraryCodecs> {
  const decoder = new ZSTDDecoder();
  await decoder.init();
  return new Map([
    [CODEC.gzip, expandGzip],
    [CODEC.zstd, (bytes: Uint8Array, limit: number) => expandZstd(decoder, bytes, limit)],
  ]);
}

function expandGzip(bytes: Uint8Array, limit: number): Uint8Array {
  try {
    return gunzipSync(bytes, { maxOutputLength: limit });
  } catch (cause) {
    throw new EngineError('KAFKA_BATCH_CODEC', `gzip of ${bytes.length} bytes, at most ${limit} expanded: ${messageOf(cause)}`, { cause });
  }
}

function expandZstd(decoder: ZSTDDecoder, bytes: Uint8Array, limit: number): Uint8Array {
  const what = `zstd of ${bytes.length} bytes`;
  const pieces: Uint8Array[] = [];
  let length = 0;
  let emptyTurns = 0;
  try {
    for (const piece of decoder.decodeStreaming([bytes])) {
      emptyTurns = piece.length === 0 ? emptyTurns + 1 : 0;
      length += piece.length;
      if (emptyTurns > EMPTY_TURNS_MAX) throw new EngineError('KAFKA_BATCH_CODEC', `${what}: the frame is damaged`);
      if (length > limit) throw new EngineError('KAFKA_BATCH_CODEC', `${what}: more than ${limit} bytes expanded`);
      pieces.push(piece);
    }
  } catch (cause) {
    if (cause instanceof EngineError) throw cause;
    throw new EngineError('KAFKA_BATCH_CODEC', `${what}: ${messageOf(cause)}`, { cause });
  }
  return Buffer.concat(pieces, length);
}
