/** Files as they lie on disk: plain, gzip or zip, told apart by their first bytes and read as streams. */
import { createReadStream } from 'node:fs';
import { open } from 'node:fs/promises';
import { basename } from 'node:path';
import { type Readable, Transform } from 'node:stream';
import { crc32, createGunzip, createInflateRaw } from 'node:zlib';
import { type Entry, openPromise, type ZipFile } from 'yauzl';
import { EngineError, messageOf } from '../../core/errors.ts';
import type { FileName } from './format.ts';

const CHUNK_BYTES = 65536;
const STORED = 0;
const DEFLATED = 8;

/** Streams to connect: the first reads from disk, the last gives the content. */
export type StreamChain = readonly [Readable, ...Transform[]];

/** One stream of lines: a file, or a member of a zip. */
export interface Member {
  readonly name: FileName;
  open(): Promise<StreamChain>;
}

export interface Container {
  readonly members: readonly Member[];
  close(): void;
}

/** @throws EngineError REPLAY_FILE_UNREADABLE when the file is missing or its zip directory is broken */
export async function openContainer(path: string): Promise<Container> {
  const magic = await readMagic(path);
  if (magic.readUInt32BE() === 0x504b0304 || magic.readUInt32BE() === 0x504b0506) return openZip(path);
  const isGzip = magic.readUInt16BE() === 0x1f8b;
  const base = basename(path);
  const read = (): Readable => createReadStream(path, { highWaterMark: CHUNK_BYTES });
  const member: Member = isGzip
    ? { name: { label: path, base: base.replace(/\.gz$/i, '') }, open: async () => [read(), createGunzip({ chunkSize: CHUNK_BYTES })] }
    : { name: { label: path, base }, open: async () => [read()] };
  return { members: [member], close() {} };
}

async function readMagic(path: string): Promise<Buffer> {
  const magic = Buffer.alloc(4);
  try {
    const file = await open(path);
    try {
      await file.read(magic, 0, magic.length, 0);
    } finally {
      await file.close();
    }
  } catch (cause) {
    throw new EngineError('REPLAY_FILE_UNREADABLE', `${path}: ${messageOf(cause)}`, { cause });
  }
  return magic;
}

async function openZip(path: string): Promise<Container> {
  let zip: ZipFile | undefined;
  const entries: Entry[] = [];
  try {
    zip = await openPromise(path, { autoClose: false, lazyEntries: true });
    for await (const entry of zip.eachEntry()) if (!entry.fileName.endsWith('/')) entries.push(entry);
  } catch (cause) {
    zip?.close();
    throw new EngineError('REPLAY_FILE_UNREADABLE', `${path}: not a readable zip: ${messageOf(cause)}`, { cause });
  }
  const opened = zip;
  return {
    members: entries.map(
      (entry): Member => ({
        name: { label: `${path} (${entry.fileName})`, base: basename(entry.fileName) },
        open: () => openEntry(opened, path, entry),
      }),
    ),
    close: () => opened.close(),
  };
}

async function openEntry(zip: ZipFile, path: string, entry: Entry): Promise<StreamChain> {
  const { compressionMethod: method } = entry;
  if (entry.isEncrypted() || (method !== STORED && method !== DEFLATED)) {
    const what = entry.isEncrypted() ? 'encrypted' : `compressed by method ${method}`;
    throw new EngineError('REPLAY_FILE_UNREADABLE', `${path} (${entry.fileName}): ${what}; stored and deflated members can be read`);
  }
  const raw = await zip.openReadStreamPromise(entry, { decodeFileData: false });
  const check = createChecksum(entry);
  return method === STORED ? [raw, check] : [raw, createInflateRaw({ chunkSize: CHUNK_BYTES }), check];
}

/** Passes content on, and fails at its end when length or checksum are not those of the zip's directory. */
function createChecksum(entry: Entry): Transform {
  let sum = 0;
  let length = 0;
  return new Transform({
    transform(chunk: Buffer, _encoding, done) {
      sum = crc32(chunk, sum);
      length += chunk.length;
      done(null, chunk);
    },
    flush(done) {
      const isWhole = sum === entry.crc32 && length === entry.uncompressedSize;
      const found = `${length} bytes with checksum ${sum}, its directory says ${entry.uncompressedSize} and ${entry.crc32}`;
      done(isWhole ? null : new Error(`content of ${entry.fileName} is damaged: ${found}`));
    },
  });
}
