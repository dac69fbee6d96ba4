/** One recorded stream: its lines become rows, of which the head waits here to be merged with those of other streams. */
import { EngineError } from '../../core/errors.ts';
import type { Member } from './container.ts';
import { IGNORED, type LineParser, type ReplayFormat, type Row, type SymbolTable } from './format.ts';
import { FORMATS } from './formats.ts';
import { type LineReader, openLines } from './lines.ts';
import { createRow } from './row.ts';

/** What `advance` found. `waiting`: the next line has not been read from disk yet. */
export type Advance = 'row' | 'waiting' | 'ended';

export interface RecordedStream {
  /** The head. A refused line has the event time of the row before it, so that its place in the merge is fixed too. */
  readonly row: Row;
  /** Why the head is refused, by refusal code; 0 when it is a tick. */
  readonly refusal: number;
  /** Place among the streams: decides between equal event times. */
  readonly order: number;
  /** Lines that were understood and carry no tick. */
  readonly ignoredCount: number;
  readonly failure: Error | undefined;
  /** Puts the next line into the head. */
  advance(): Advance;
  close(): void;
}

export interface StreamOptions {
  readonly member: Member;
  readonly order: number;
  readonly symbols: SymbolTable;
  readonly format: string | undefined;
  readonly symbol: string | undefined;
}

/**
 * Opens a stream and finds its format.
 * @throws EngineError REPLAY_FORMAT_UNKNOWN, REPLAY_FILE_UNREADABLE, REPLAY_FILE_DAMAGED, or what the format requires
 */
export async function openStream(options: StreamOptions): Promise<RecordedStream> {
  const { member, order } = options;
  const lines = await openLines(member);
  try {
    const firstLine = (await lines.first()) ?? '';
    const format = findFormat(options, firstLine);
    const parser = format.createParser({ name: member.name, firstLine, symbols: options.symbols, symbol: options.symbol });
    for (let line = 0; line < parser.headerLines; line += 1) lines.next();
    return createStream(lines, parser, order);
  } catch (error) {
    lines.close();
    throw error;
  }
}

function createStream(lines: LineReader, parser: LineParser, order: number): RecordedStream {
  const row = createRow();
  let refusal = 0;
  let ignoredCount = 0;
  return {
    row,
    order,
    get refusal() {
      return refusal;
    },
    get ignoredCount() {
      return ignoredCount;
    },
    get failure() {
      return lines.failure;
    },
    advance() {
      for (;;) {
        const line = lines.next();
        if (line === undefined) return lines.isEnded ? 'ended' : 'waiting';
        if (line === '') continue;
        const { seconds, nanos } = row;
        refusal = parser.parse(line, row);
        if (refusal === 0) return 'row';
        row.seconds = seconds;
        row.nanos = nanos;
        if (refusal !== IGNORED) return 'row';
        ignoredCount += 1;
      }
    },
    close: lines.close,
  };
}

function findFormat(options: StreamOptions, firstLine: string): ReplayFormat {
  const { name } = options.member;
  if (options.format !== undefined) {
    const named = FORMATS.find((format) => format.name === options.format);
    if (named) return named;
    const names = FORMATS.map((format) => format.name).join(', ');
    throw new EngineError('REPLAY_FORMAT_UNKNOWN', `format '${options.format}': expected one of ${names}`);
  }
  const found = FORMATS.find((format) => format.detect(name, firstLine));
  if (found) return found;
  const expected = FORMATS.map((format) => `\n  ${format.name}: ${format.expectation}`).join('');
  const what = describeFirstLine(firstLine);
  throw new EngineError('REPLAY_FORMAT_UNKNOWN', `${name.label}: not a recorded format; ${what}. Expected one of:${expected}`);
}

function describeFirstLine(line: string): string {
  if (line === '') return 'it has no first line';
  return /[\p{Cc}\uFFFD]/u.test(line.slice(0, 80)) ? 'it is binary, and not gzip or zip' : `its first line is '${line.slice(0, 80)}'`;
}
