/** Several recorded files as one sequence of rows in the order of the merge, pulled without waiting. */
import { type Container, openContainer } from './container.ts';
import type { SymbolTable } from './format.ts';
import { createStreamHeap } from './merge.ts';
import { openStream, type RecordedStream } from './stream.ts';

/**
 * How the sequence stands. `ready`: `head` is the next row. `waiting`: a file has not been read far enough to know which row comes
 * next. `ended`: there is no more. `failed`: see `failure`.
 */
export type MergeState = 'ready' | 'waiting' | 'ended' | 'failed';

export interface MergedRows {
  readonly state: MergeState;
  /** The stream whose row comes next; only while `ready`. */
  readonly head: RecordedStream;
  readonly failure: Error | undefined;
  /** Lines that were understood and carry no tick. */
  readonly ignoredCount: number;
  /** Goes on to the row after the head; only while `ready`. */
  advance(): void;
  /** Looks whether what was waited for has been read. */
  refresh(): void;
  close(): void;
}

export interface MergeOptions {
  readonly files: readonly string[];
  readonly symbols: SymbolTable;
  readonly format: string | undefined;
  readonly symbol: string | undefined;
}

/** @throws EngineError as `openContainer` and `openStream` do; nothing stays open then */
export async function openMerged(options: MergeOptions): Promise<MergedRows> {
  const containers: Container[] = [];
  const streams: RecordedStream[] = [];
  const close = (): void => {
    for (const stream of streams) stream.close();
    for (const container of containers) container.close();
  };
  try {
    for (const file of options.files) containers.push(await openContainer(file));
    for (const member of containers.flatMap((container) => container.members)) {
      streams.push(await openStream({ ...options, member, order: streams.length }));
    }
  } catch (error) {
    close();
    throw error;
  }
  return mergeStreams(streams, close);
}

function mergeStreams(streams: readonly RecordedStream[], close: () => void): MergedRows {
  const heap = createStreamHeap();
  // Streams whose head is not known yet: which row comes next is not known before they are.
  let headless: readonly RecordedStream[] = streams;
  let failure: Error | undefined;

  const refresh = (): void => {
    if (headless.length === 0) return;
    const waiting: RecordedStream[] = [];
    for (const stream of headless) {
      const found = stream.advance();
      if (found === 'row') heap.push(stream);
      else if (found === 'waiting') waiting.push(stream);
      failure ??= stream.failure;
    }
    headless = waiting;
  };
  return {
    get state() {
      if (failure) return 'failed';
      if (headless.length > 0) return 'waiting';
      return heap.size > 0 ? 'ready' : 'ended';
    },
    get head() {
      return heap.top();
    },
    get failure() {
      return failure;
    },
    get ignoredCount() {
      return streams.reduce((sum, stream) => sum + stream.ignoredCount, 0);
    },
    advance() {
      const stream = heap.top();
      const found = stream.advance();
      if (found === 'row') {
        heap.reorderTop();
        return;
      }
      heap.removeTop();
      if (found === 'waiting') headless = [stream];
    },
    refresh,
    close,
  };
}
