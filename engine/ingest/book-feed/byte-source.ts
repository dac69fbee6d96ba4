/** The bytes of a recorded feed file, whatever it is wrapped in: plain, gzip or zstd, told apart by the first bytes. */
import { closeSync, createReadStream, openSync, readSync } from 'node:fs';
import { createGunzip } from 'node:zlib';
import { ZSTDDecoder } from 'zstddec/stream';
import { EngineError, messageOf } from '../../core/errors.ts';

const CHUNK_BYTES = 131_072;
const ZSTD_MAGIC = 0xfd2fb528;
const GZIP_MAGIC = 0x8b1f;
/** The decoder gives nothing for as many turns only when the frame is damaged: it then never moves on. */
const EMPTY_TURNS_MAX = 64;

/** Pieces of a file in order. One reader. */
export interface ByteSource {
  /**
   * The next piece, never empty, valid until the next call; undefined at the end.
   * @throws EngineError FEED_FILE when the file is damaged or cut off
   */
  next(): Promise<Uint8Array | undefined>;
  close(): Promise<void>;
}

/** @throws EngineError FEED_FILE when the file cannot be read */
export async function openBytes(path: string): Promise<ByteSource> {
  const descriptor = openFile(path);
  const magic = Buffer.alloc(4);
  const length = readAt(path, descriptor, magic, 0);
  if (length >= 2 && magic.readUInt16LE() === GZIP_MAGIC) {
    closeSync(descriptor);
    return openGzip(path);
  }
  const file = createFileChunks(path, descriptor);
  if (length < 4 || magic.readUInt32LE() !== ZSTD_MAGIC) {
    const chunks = file.chunks();
    return { next: async () => chunks.next().value ?? undefined, close: async () => file.close() };
  }
  const decoder = new ZSTDDecoder();
  await decoder.init();
  const decoded = decodeZstd(path, decoder, file.chunks());
  return { next: async () => decoded.next().value ?? undefined, close: async () => file.close() };
}

function openFile(path: string): number {
  try {
    return openSync(path, 'r');
  } catch (cause) {
    throw new EngineError('FEED_FILE', `${path}: ${messageOf(cause)}`, { cause });
  }
}

function readAt(path: string, descriptor: number, into: Uint8Array, position: number): number {
  try {
    return readSync(descriptor, into, 0, into.length, position);
  } catch (cause) {
    throw new EngineError('FEED_FILE', `${path}: ${messageOf(cause)}`, { cause });
  }
}

interface FileChunks {
  chunks(): Generator<Uint8Array, undefined>;
  close(): void;
}

/** Reads run on the caller's thread: a replay has nothing else to do meanwhile. */
function createFileChunks(path: string, descriptor: number): FileChunks {
  let isOpen = true;
  const close = (): void => {
    if (isOpen) closeSync(descriptor);
    isOpen = false;
  };
  function* chunks(): Generator<Uint8Array, undefined> {
    const buffer = new Uint8Array(CHUNK_BYTES);
    for (let position = 0; isOpen; ) {
      const length = readAt(path, descriptor, buffer, position);
      if (length === 0) break;
      position += length;
      yield buffer.subarray(0, length);
    }
    close();
    return undefined;
  }
  return { chunks, close };
}

function* decodeZstd(path: string, decoder: ZSTDDecoder, chunks: Iterable<Uint8Array>): Generator<Uint8Array, undefined> {
  let emptyTurns = 0;
  try {
    for (const piece of decoder.decodeStreaming(chunks)) {
      emptyTurns = piece.length === 0 ? emptyTurns + 1 : 0;
      if (emptyTurns > EMPTY_TURNS_MAX) throw new EngineError('FEED_FILE', `${path}: the zstd frame is damaged`);
      if (piece.length > 0) yield piece;
    }
  } catch (cause) {
    if (cause instanceof EngineError) throw cause;
    throw new EngineError('FEED_FILE', `${path}: not a whole zstd file: ${messageOf(cause)}`, { cause });
  }
  return undefined;
}

function openGzip(path: string): ByteSource {
  const file = createReadStream(path, { highWaterMark: CHUNK_BYTES });
  const gunzip = createGunzip({ chunkSize: CHUNK_BYTES });
  file.on('error', (error) => gunzip.destroy(error));
  const pieces = file.pipe(gunzip)[Symbol.asyncIterator]();
  return {
    async next() {
      try {
        const { value, done } = await pieces.next();
        return done ? undefined : (value as Uint8Array); // A cast: a stream without encoding gives Buffers.
      } catch (cause) {
        throw new EngineError('FEED_FILE', `${path}: not a whole gzip file: ${messageOf(cause)}`, { cause });
      }
    },
    async close() {
      gunzip.destroy();
      file.destroy();
    },
  };
}
