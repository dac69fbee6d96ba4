/** `npm run paper`: its options and files. */
import { readFileSync } from 'node:fs';
import { parseScaled } from '../../core/decimal.ts';
import { EngineError, messageOf } from '../../core/errors.ts';
import { openBookFeed } from '../../ingest/book-feed/open.ts';
import { runPaper } from './paper-run.ts';
import { parseRequestLines } from './request-lines.ts';
import { parsePaperSettings } from './settings.ts';

/** As they stand on the command line. */
export interface PaperFlags {
  readonly requests: string;
  readonly settings?: string;
  readonly lotSize: string;
  readonly format?: string;
  readonly symbol?: string;
  readonly tickSize?: string;
}

const NANO_DIGITS = 9;

/**
 * Plays recorded files and the requests of a file, and prints a JSON line for each answer and a report at the end.
 * @returns 0
 * @throws EngineError PAPER_SETTINGS, PAPER_REQUESTS, PAPER_OPTIONS, and what reading the feed throws
 */
export async function runPaperCommand(files: string[], flags: PaperFlags, say: (line: string) => void): Promise<number> {
  const { format, symbol, tickSize } = flags;
  const settings = parsePaperSettings(flags.settings === undefined ? {} : readPaperSettings(flags.settings));
  const requests = parseRequestLines(readText('PAPER_REQUESTS', 'requests', flags.requests));
  const lotNanos = parseScaled(flags.lotSize, { start: 0, end: flags.lotSize.length, decimals: NANO_DIGITS });
  if (!(lotNanos > 0))
    throw new EngineError('PAPER_OPTIONS', `--lot-size '${flags.lotSize}': expected a decimal above 0, at most 9 digits after the point`);
  const feed = await openBookFeed(files, { ...(format && { format }), ...(symbol && { symbol }), ...(tickSize && { tickSize }) });
  await runPaper(feed, { settings, requests, lotNanos, say });
  return 0;
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
