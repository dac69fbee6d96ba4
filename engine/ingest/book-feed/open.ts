/** Opens recorded order-by-order files: the format is found out from the name and the first bytes. */
import { basename } from 'node:path';
import { EngineError } from '../../core/errors.ts';
import type { BookFeed } from '../../market/book-message.ts';
import { openBytes } from './byte-source.ts';
import { openDbnFeed } from './dbn.ts';
import { openItchFeed } from './itch.ts';
import { openLobsterFeed } from './lobster.ts';
import type { BookFeedOptions } from './options.ts';

const HEAD_BYTES = 64;

type Opener = (files: readonly string[], options: BookFeedOptions) => Promise<BookFeed>;

const FORMATS: Readonly<Record<string, Opener>> = { dbn: openDbnFeed, itch: openItchFeed, lobster: openLobsterFeed };

/**
 * One feed over files of one format, read one after the other: a snapshot first, then what follows it.
 * @throws EngineError FEED_FILE when a file cannot be read, FEED_FORMAT when its format is not known or not that of the others, FEED_OPTION
 */
export async function openBookFeed(files: readonly string[], options: BookFeedOptions = {}): Promise<BookFeed> {
  if (files.length === 0) throw new EngineError('FEED_FORMAT', 'feed: no file; expected at least one');
  const formats = new Set<string>();
  for (const path of files) formats.add(options.format ?? (await formatOf(path)));
  const [name = ''] = formats;
  const opener = FORMATS[name];
  if (formats.size === 1 && opener) return opener(files, options);
  const known = Object.keys(FORMATS).join(', ');
  throw new EngineError('FEED_FORMAT', `feed: files of ${[...formats].join(' and ')}; expected one format out of ${known}`);
}

/**
 * True for recorded frames of a depth stream, which hold levels and not orders: readDepthFrames reads them.
 * @throws EngineError FEED_FILE
 */
export async function isDepthFile(path: string): Promise<boolean> {
  return /^\d{13,19} \{/.test((await headOf(path)).toString('latin1'));
}

async function headOf(path: string): Promise<Buffer> {
  const source = await openBytes(path);
  const piece = await source.next();
  await source.close();
  return Buffer.from(piece?.subarray(0, HEAD_BYTES) ?? []);
}

/**
 * True for a file of orders, by the name of its format or else by what is in it.
 * @throws EngineError FEED_FILE
 */
export async function isBookFormat(path: string, format: string | undefined): Promise<boolean> {
  return format === undefined ? (await findFormat(path)) !== undefined : Object.hasOwn(FORMATS, format);
}

/** @throws EngineError FEED_FILE, FEED_FORMAT */
async function formatOf(path: string): Promise<string> {
  const format = await findFormat(path);
  if (format !== undefined) return format;
  throw new EngineError('FEED_FORMAT', `${path}: neither DBN, nor ITCH 5.0, nor a LOBSTER message file; --format says which it is`);
}

async function findFormat(path: string): Promise<string | undefined> {
  const head = await headOf(path);
  if (head.toString('latin1', 0, 3) === 'DBN') return 'dbn';
  if (/_(message|orderbook)_\d+\.csv/.test(basename(path)) || /^\d+(\.\d+)?,[1-7],\d+,\d+,-?\d+,-?1[,\r\n]/.test(head.toString('latin1'))) {
    return 'lobster';
  }
  // The first message is a system event, 12 bytes, or a stock directory, 39.
  const begins = head.toString('latin1', 0, 3);
  if (begins === '\0\x0cS' || begins === '\0\x27R' || /itch/i.test(basename(path))) return 'itch';
  return undefined;
}
