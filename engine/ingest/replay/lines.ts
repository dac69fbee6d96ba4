/** Lines of a stream, pulled: a bounded number of chunks is read ahead, and whoever pulls never waits. */
import { pipeline } from 'node:stream';
import { StringDecoder } from 'node:string_decoder';
import { EngineError, messageOf } from '../../core/errors.ts';
import type { Member, StreamChain } from './container.ts';

const READ_AHEAD_CHUNKS = 8;
const RESUME_BELOW_CHUNKS = 4;
const LINE_CHARACTERS_MAX = 4 * 1024 * 1024;
const CARRIAGE_RETURN = 13;

export interface LineReader {
  /** The next line without its end; undefined when it has not been read yet, when there is none, or after a failure. */
  next(): string | undefined;
  /** The first line, which `next` will give all the same; undefined for an empty stream. Call it before `next`. */
  first(): Promise<string | undefined>;
  /** Everything that is left, at once. For small files. */
  all(): Promise<string[]>;
  /** All lines were taken. */
  readonly isEnded: boolean;
  readonly failure: Error | undefined;
  close(): void;
}

/** @throws EngineError REPLAY_FILE_UNREADABLE when the stream cannot be opened; what goes wrong later is in `failure` */
export async function openLines(member: Member): Promise<LineReader> {
  const queue = createChunkQueue(member, await member.open());
  let text = '';
  let at = 0;
  let firstLine: string | undefined;

  const take = (end: number, next: number): string => {
    const line = text.slice(at, end > at && text.charCodeAt(end - 1) === CARRIAGE_RETURN ? end - 1 : end);
    at = next;
    return line;
  };
  const cut = (): string | undefined => {
    while (!queue.failure) {
      const end = text.indexOf('\n', at);
      if (end !== -1) return take(end, end + 1);
      const chunk = queue.shift();
      if (chunk === undefined) return queue.isRead && at < text.length ? take(text.length, text.length) : undefined;
      text = text.slice(at) + chunk;
      at = 0;
      if (text.length > LINE_CHARACTERS_MAX && !text.includes('\n')) queue.fail(`a line of more than ${LINE_CHARACTERS_MAX} characters`);
    }
    return undefined;
  };
  const isEnded = (): boolean => firstLine === undefined && queue.isRead && queue.isEmpty && at >= text.length;
  const next = (): string | undefined => {
    if (firstLine === undefined) return cut();
    const line = firstLine;
    firstLine = undefined;
    return line;
  };
  return {
    next,
    async all() {
      const lines: string[] = [];
      while (!isEnded()) {
        const line = next();
        if (line !== undefined) lines.push(line);
        else if (queue.failure) throw queue.failure;
        else if (!isEnded()) await queue.changed();
      }
      return lines;
    },
    async first() {
      for (;;) {
        const line = cut();
        if (line !== undefined) {
          firstLine = line.startsWith('\uFEFF') ? line.slice(1) : line;
          return firstLine;
        }
        if (queue.failure) throw queue.failure;
        if (isEnded()) return undefined;
        await queue.changed();
      }
    },
    get isEnded() {
      return isEnded();
    },
    get failure() {
      return queue.failure;
    },
    close: queue.close,
  };
}

interface ChunkQueue {
  shift(): string | undefined;
  fail(cause: unknown): void;
  /** Resolves at the next chunk, end or failure. */
  changed(): Promise<void>;
  close(): void;
  readonly isEmpty: boolean;
  /** The stream has ended; chunks may still wait here. */
  readonly isRead: boolean;
  readonly failure: Error | undefined;
}

function createChunkQueue(member: Member, chain: StreamChain): ChunkQueue {
  const content = chain[chain.length - 1] ?? chain[0];
  const decoder = new StringDecoder('utf8');
  const chunks: string[] = [];
  let isRead = false;
  let isClosed = false;
  let failure: Error | undefined;
  let wake = (): void => {};

  const fail = (cause: unknown): void => {
    if (isClosed || failure) return;
    failure = new EngineError('REPLAY_FILE_DAMAGED', `${member.name.label}: ${messageOf(cause)}`, { cause });
    wake();
  };
  // `pipeline` lets go of the last stream once everything was written to it, before all of it was read.
  for (const stream of chain) stream.on('error', fail);
  if (chain.length > 1) pipeline(chain, (error) => error && fail(error));
  content.on('data', (chunk: Buffer) => {
    chunks.push(decoder.write(chunk));
    if (chunks.length >= READ_AHEAD_CHUNKS) content.pause();
    wake();
  });
  content.on('end', () => {
    const rest = decoder.end();
    if (rest !== '') chunks.push(rest);
    isRead = true;
    wake();
  });
  return {
    shift() {
      const chunk = chunks.shift();
      if (chunks.length < RESUME_BELOW_CHUNKS && content.isPaused()) content.resume();
      return chunk;
    },
    fail,
    changed: () =>
      new Promise((resolve) => {
        wake = resolve;
      }),
    close() {
      isClosed = true;
      for (const stream of chain) stream.destroy();
    },
    get isEmpty() {
      return chunks.length === 0;
    },
    get isRead() {
      return isRead;
    },
    get failure() {
      return failure;
    },
  };
}
