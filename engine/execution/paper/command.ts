/** `npm run paper`: its options and files. */
import { readFileSync } from 'node:fs';
import { parseScaled } from '../../core/decimal.ts';
import { EngineError, messageOf } from '../../core/errors.ts';
import { isBookFormat, isDepthFile, openBookFeed } from '../../ingest/book-feed/open.ts';
import { openFrameFeed } from '../../ingest/depth-feed/frames.ts';
import { openTickFeed } from '../../ingest/depth-feed/ticks.ts';
import type { DepthFeed, DepthKind } from '../../market/depth-message.ts';
import { DEFAULT_MODEL } from './knowledge.ts';
import { runDepthPaper, runPaper } from './paper-run.ts';
import { parseRequestLines } from './request-lines.ts';
import { parsePaperSettings } from './settings.ts';

/** As they stand on the command line. */
export interface PaperFlags {
  readonly requests: string;
  readonly settings?: string;
  readonly lotSize?: string;
  /** What to look at of frames that show more: levels, quotes or trades. */
  readonly shows?: string;
  readonly format?: string;
  readonly symbol?: string;
  readonly tickSize?: string;
}

const NANO_DIGITS = 9;
const KINDS: readonly DepthKind[] = ['levels', 'quotes', 'trades'];

/**
 * Plays recorded files and the requests of a file, and prints a JSON line for each answer and a report at the end.
 * @returns 0
 * @throws EngineError PAPER_SETTINGS, PAPER_REQUESTS, PAPER_OPTIONS, and what reading the feed throws
 */
export async function runPaperCommand(files: string[], flags: PaperFlags, say: (line: string) => void): Promise<number> {
  const { format, symbol, tickSize, lotSize = '1' } = flags;
  const given = flags.settings === undefined ? {} : readPaperSettings(flags.settings);
  const requests = parseRequestLines(readText('PAPER_REQUESTS', 'requests', flags.requests));
  const lotNanos = parseScaled(lotSize, { start: 0, end: lotSize.length, decimals: NANO_DIGITS });
  if (!(lotNanos > 0))
    throw new EngineError('PAPER_OPTIONS', `--lot-size '${lotSize}': expected a decimal above 0, at most 9 digits after the point`);
  const depth = await openDepth(files, flags);
  if (depth !== undefined) {
    const model = DEFAULT_MODEL[depth.shows === 'quotes' && !depth.hasSizes ? 'bareQuotes' : depth.shows];
    await runDepthPaper(depth, { settings: parsePaperSettings({ model, ...given }), requests, say });
    return 0;
  }
  const settings = parsePaperSettings({ model: DEFAULT_MODEL.orders, ...given });
  const feed = await openBookFeed(files, { ...(format && { format }), ...(symbol && { symbol }), ...(tickSize && { tickSize }) });
  await runPaper(feed, { settings, requests, lotNanos, say });
  return 0;
}

/** A feed of levels, quotes or trades; undefined when the files are order by order. */
async function openDepth(files: string[], { format, symbol, tickSize, lotSize, shows }: PaperFlags): Promise<DepthFeed | undefined> {
  const options = { ...(symbol && { symbol }), ...(tickSize && { tickSize }), ...(lotSize && { lotSize }) };
  const kind = KINDS.find((known) => known === (shows ?? 'levels'));
  if (kind === undefined) throw new EngineError('PAPER_OPTIONS', `--shows '${shows}': expected one of ${KINDS.join(', ')}`);
  const [first = ''] = files;
  if (format === undefined ? await isDepthFile(first) : format === 'binance') return await openFrameFeed(files, kind, options);
  if (shows !== undefined)
    throw new EngineError('PAPER_OPTIONS', `--shows ${shows}: ${first} holds no frames of levels, quotes and trades to choose from`);
  return (await isBookFormat(first, format)) ? undefined : await openTickFeed(files, format, options);
}

/**
 * Settings of a paper exchange, not yet checked.
 * @throws EngineError PAPER_SETTINGS when the file holds no JSON object
 */
export function readPaperSettings(file: string): object {
  const text = readText('PAPER_SETTINGS', 'paper settings', file);
  try {
    const parsed: unknown = JSON.parse(text);
    if (typeof parsed === 'object' && parsed !== null && !Array.isArray(parsed)) return parsed;
  } catch (error) {
    throw new EngineError('PAPER_SETTINGS', `paper settings '${file}': ${messageOf(error)}`, { cause: error });
  }
  throw new EngineError('PAPER_SETTINGS', `paper settings '${file}': expected a JSON object`);
}

function readText(code: string, what: string, file: string): string {
  try {
    return readFileSync(file, 'utf8');
  } catch (error) {
    throw new EngineError(code, `${what} '${file}': ${messageOf(error)}`, { cause: error });
  }
}
