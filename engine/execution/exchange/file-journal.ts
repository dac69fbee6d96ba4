/**
 * The journal as local files: a line each entry, a checksum before it. What is appended while a group is being synced makes the next group.
 *
 *   FOLDER/journal-00000000000000000000.log      named by the offset of its first entry
 *     5f0d2c1a {"journal":"b1f7...","first":"0"}   which journal it is
 *     9a3e0b77 {"op":"new",...}                    offset 0
 *     ...
 *   FOLDER/lock                                  process id of the engine that appends
 *
 * A group that the machine lost in the middle leaves a broken line, which was never acknowledged: what follows it is cut off at the next start.
 */
import { randomUUID } from 'node:crypto';
import { type FileHandle, mkdir, open, readdir, readFile, rm, truncate, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { crc32 } from 'node:zlib';
import { EngineError, messageOf } from '../../core/errors.ts';
import { createEntryQueue } from './entry-queue.ts';
import type { JournalEntry, OrderJournal } from './journal.ts';

export interface FileJournalOptions {
  readonly folder: string;
  /** The first entry that is wanted: what stands before it has been matched. A new journal begins here. */
  readonly from: bigint;
  /** The journal that `from` is of; undefined: none yet. */
  readonly identity: string | undefined;
  /** Bytes after which another file begins. 64 MiB unless given. */
  readonly segmentBytes?: number;
  /** Entries that may wait; 65,536 unless given. */
  readonly capacity?: number;
  /** Characters of their text; 64 Mi unless given. */
  readonly characters?: number;
  /** Told what was cut off a file that ends in the middle of a group. */
  onCut?(file: string, bytes: number): void;
}

interface Segment {
  readonly path: string;
  readonly first: bigint;
}

/** What the files hold. */
interface Contents {
  readonly identity: string;
  readonly segments: Segment[];
  readonly nextOffset: bigint;
  readonly lastBytes: number;
  /** From the wanted offset on. */
  readonly entries: JournalEntry[];
}

const SEGMENT_BYTES = 67_108_864;
const CAPACITY = 65_536;
const CHARACTERS = 67_108_864;
const CHECKSUM_CHARS = 8;
const OFFSET_DIGITS = 20;

/**
 * Opens the journal, or begins one.
 * @throws EngineError JOURNAL_TAKEN, JOURNAL_OTHER, JOURNAL_BEHIND, JOURNAL_INVALID
 */
export async function openFileJournal(options: FileJournalOptions): Promise<OrderJournal> {
  await mkdir(options.folder, { recursive: true });
  await takeLock(options.folder);
  try {
    const found = (await readJournal(options)) ?? (await beginJournal(options));
    assertFits(found, options);
    return await createJournal(found, options);
  } catch (error) {
    await rm(join(options.folder, 'lock'), { force: true });
    throw error;
  }
}

async function createJournal(
  found: Contents,
  { folder, from, segmentBytes = SEGMENT_BYTES, capacity = CAPACITY, characters = CHARACTERS }: FileJournalOptions,
): Promise<OrderJournal> {
  const { identity, segments } = found;
  const queue = createEntryQueue(from);
  for (const entry of found.entries) queue.push(entry);
  let durableTo = found.nextOffset;
  let nextOffset = found.nextOffset;
  let unsynced: string[] = [];
  /** Characters appended and not durable. */
  let unsyncedCharacters = 0;
  let failure: Error | undefined;
  let flushing: Promise<void> | undefined;
  let handle = await open(segments.at(-1)?.path ?? '', 'a');
  let bytes = found.lastBytes;

  const write = async (texts: readonly string[]): Promise<void> => {
    if (bytes >= segmentBytes && durableTo > (segments.at(-1)?.first ?? durableTo)) {
      await handle.close();
      const segment = await createSegment(folder, identity, durableTo);
      segments.push(segment);
      handle = await open(segment.path, 'a');
      bytes = (await handle.stat()).size;
    }
    const group = Buffer.from(texts.map(lineOf).join(''));
    await writeAll(handle, group);
    await handle.datasync();
    bytes += group.length;
  };

  const flush = async (): Promise<void> => {
    try {
      while (unsynced.length > 0) {
        const texts = unsynced;
        unsynced = [];
        await write(texts);
        for (const text of texts) {
          queue.push({ offset: durableTo, text });
          unsyncedCharacters -= text.length;
          durableTo += 1n;
        }
      }
    } catch (cause) {
      // Whether a sync that failed has kept anything is not known: the files are read again before anything else is written.
      failure = new EngineError('JOURNAL_FAILED', `order journal ${folder}: ${messageOf(cause)}`, { cause });
    } finally {
      flushing = undefined;
    }
  };

  return {
    identity,
    get nextOffset() {
      return nextOffset;
    },
    get waiting() {
      return queue.waiting;
    },
    get unsynced() {
      return Number(nextOffset - durableTo);
    },
    get isFull() {
      if (failure !== undefined) return true;
      return queue.characters + unsyncedCharacters >= characters || queue.waiting + Number(nextOffset - durableTo) >= capacity;
    },
    append(text) {
      unsynced.push(text);
      unsyncedCharacters += text.length;
      nextOffset += 1n;
      flushing ??= flush();
    },
    take: queue.take,
    rewind(offset) {
      if (!queue.rewind(offset)) throw new EngineError('JOURNAL_BEHIND', `order journal ${folder}: offset ${offset} is not kept`);
    },
    async release(offset) {
      queue.release(offset);
      while (segments.length > 1 && (segments[1]?.first ?? offset) <= offset) {
        const old = segments.shift();
        if (old !== undefined) await rm(old.path, { force: true });
      }
    },
    trouble: () => '',
    failure: () => failure,
    async close() {
      await flushing;
      await handle.close();
      await rm(join(folder, 'lock'), { force: true });
    },
  };
}

async function writeAll(handle: FileHandle, group: Buffer): Promise<void> {
  for (let from = 0; from < group.length; ) from += (await handle.write(group, from)).bytesWritten;
}

function lineOf(text: string): string {
  return `${checksum(text)} ${text}\n`;
}

function checksum(text: string): string {
  return crc32(text).toString(16).padStart(CHECKSUM_CHARS, '0');
}

/** Reads all files in order; undefined when there is none. */
async function readJournal({ folder, from, onCut }: FileJournalOptions): Promise<Contents | undefined> {
  const names = (await readdir(folder)).filter((name) => /^journal-\d+\.log$/.test(name)).toSorted();
  const segments: Segment[] = [];
  const entries: JournalEntry[] = [];
  let identity: string | undefined;
  let offset: bigint | undefined;
  let lastBytes = 0;
  for (const [index, name] of names.entries()) {
    const path = join(folder, name);
    const { lines, goodBytes, bytes } = readLines(await readFile(path));
    const isLast = index === names.length - 1;
    const header = headerOf(lines[0]);
    if (header === undefined && isLast && index > 0) {
      // Begun and lost at once: nothing was acknowledged of it.
      onCut?.(path, bytes);
      await rm(path);
      continue;
    }
    if (
      header === undefined ||
      (identity !== undefined && header.identity !== identity) ||
      (offset !== undefined && header.first !== offset)
    ) {
      throw new EngineError(
        'JOURNAL_INVALID',
        `${path}: expected the file of journal ${identity ?? '(any)'} that begins with offset ${offset ?? '(any)'}`,
      );
    }
    if (goodBytes < bytes) {
      if (!isLast) throw new EngineError('JOURNAL_INVALID', `${path}: broken at byte ${goodBytes} of ${bytes}, and other files follow it`);
      onCut?.(path, bytes - goodBytes);
      await truncate(path, goodBytes);
    }
    identity = header.identity;
    offset = header.first;
    segments.push({ path, first: header.first });
    for (const text of lines.slice(1)) {
      if (offset >= from) entries.push({ offset, text });
      offset += 1n;
    }
    lastBytes = goodBytes;
  }
  if (identity === undefined || offset === undefined) return undefined;
  return { identity, segments, nextOffset: offset, lastBytes, entries };
}

/** The whole lines of a file, up to the first that is not as it was written. */
function readLines(content: Buffer): { lines: string[]; goodBytes: number; bytes: number } {
  const lines: string[] = [];
  let goodBytes = 0;
  for (;;) {
    const end = content.indexOf(10, goodBytes);
    if (end < 0) break;
    const line = content.toString('utf8', goodBytes, end);
    const text = line.slice(CHECKSUM_CHARS + 1);
    if (line[CHECKSUM_CHARS] !== ' ' || checksum(text) !== line.slice(0, CHECKSUM_CHARS)) break;
    lines.push(text);
    goodBytes = end + 1;
  }
  return { lines, goodBytes, bytes: content.length };
}

function headerOf(text: string | undefined): { identity: string; first: bigint } | undefined {
  const match = /^\{"journal":"([0-9a-f-]{36})","first":"(\d{1,20})"\}$/.exec(text ?? '');
  return match ? { identity: match[1]!, first: BigInt(match[2]!) } : undefined;
}

async function beginJournal({ folder, from }: FileJournalOptions): Promise<Contents> {
  const identity = randomUUID();
  const segment = await createSegment(folder, identity, from);
  const lastBytes = (await readFile(segment.path)).length;
  return { identity, segments: [segment], nextOffset: from, lastBytes, entries: [] };
}

async function createSegment(folder: string, identity: string, first: bigint): Promise<Segment> {
  const path = join(folder, `journal-${String(first).padStart(OFFSET_DIGITS, '0')}.log`);
  await writeFile(path, lineOf(JSON.stringify({ journal: identity, first: String(first) })), { flush: true, flag: 'wx' });
  // The name of the file has to be durable too.
  const directory = await open(folder, 'r');
  await directory.sync();
  await directory.close();
  return { path, first };
}

/** Whether the files go on from where the database is. */
function assertFits({ identity, segments, nextOffset, entries }: Contents, { folder, from, identity: wanted }: FileJournalOptions): void {
  const isNew = entries.length === 0 && segments.length === 1 && segments[0]?.first === nextOffset;
  if (wanted !== undefined && wanted !== identity && !(isNew && nextOffset === from)) {
    throw new EngineError(
      'JOURNAL_OTHER',
      `order journal ${folder} is ${identity}, the database goes on from ${wanted}; restore that one, or move this away`,
    );
  }
  if (nextOffset < from) {
    throw new EngineError(
      'JOURNAL_BEHIND',
      `order journal ${folder} ends at ${nextOffset}, the database is at ${from}: entries are missing`,
    );
  }
  const first = segments[0]?.first ?? 0n;
  if (first > from) {
    throw new EngineError(
      'JOURNAL_INVALID',
      `order journal ${folder} begins with ${first}, the database goes on from ${from}: entries are missing`,
    );
  }
}

/** One process appends. A lock whose process is gone was left by a kill. */
async function takeLock(folder: string): Promise<void> {
  const path = join(folder, 'lock');
  const holder = Number.parseInt(await readFile(path, 'utf8').catch(() => ''), 10);
  if (Number.isInteger(holder) && holder !== process.pid && isAlive(holder)) {
    throw new EngineError('JOURNAL_TAKEN', `order journal ${folder}: process ${holder} appends to it; stop it, or use another STATE_DIR`);
  }
  await writeFile(path, String(process.pid));
}

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    // Not ours to signal, but there.
    return error instanceof Error && 'code' in error && error.code === 'EPERM';
  }
}
