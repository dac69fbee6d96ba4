/**
 * Recorded files as a source. Every file (and every member of a zip) is a stream of lines; streams are merged by the event time of their
 * heads, ties by the order of the files, and each keeps its own order of lines. Lines are parsed when they are handed over, so what
 * is registered and refused, and in which order, depends on the files alone; only reading and decompressing run ahead.
 */
import { TICK_SIZE } from '../../schemas/layout.gen.ts';
import type { Clock } from '../core/clock.ts';
import { EngineError } from '../core/errors.ts';
import { type Container, openContainer } from './replay/container.ts';
import { createSymbolTable } from './replay/format.ts';
import { createStreamHeap } from './replay/merge.ts';
import { openStream, type RecordedStream } from './replay/stream.ts';
import type { IngestPort, Source } from './source.ts';

const PARTITION = 0;
const WORDS = TICK_SIZE >> 2;
/** Lines passed over in one poll on the way to the place where a replay goes on. */
const SKIP_BUDGET = 16384;

export interface ReplayOptions {
  readonly files: readonly string[];
  /** A multiple of real time, by event time; `max` hands over as fast as there is room. */
  readonly speed: number | 'max';
  readonly clock: Clock;
  /** Name of the format of all files; without it each is found out. */
  readonly format?: string;
  /** Symbol of files that do not name theirs, or instead of the one their name gives. */
  readonly symbol?: string;
}

export interface ReplaySource extends Source {
  /** Lines that were understood and carry no tick. */
  readonly ignoredCount: number;
}

/**
 * A source that reads recorded files once and ends. An offset of its one partition counts the lines handed over, refused ones
 * included; started from offset n it passes over the first n.
 */
export function createReplaySource(options: ReplayOptions): ReplaySource {
  const { speed, clock } = options;
  const heap = createStreamHeap();
  const pace = createPace(speed, clock);
  const containers: Container[] = [];
  const streams: RecordedStream[] = [];
  // Streams whose head is not known yet: nothing can be handed over before it is.
  let headless: RecordedStream[] = [];
  let port: IngestPort | undefined;
  let offset = 0;
  let skipTo = 0;
  let offered = 0;
  let failure: Error | undefined;
  let isFailed = false;
  let isStopped = false;

  const closeAll = (): void => {
    for (const stream of streams) stream.close();
    for (const container of containers) container.close();
  };
  const fail = (error: Error): void => {
    failure = error;
    isFailed = true;
  };
  /** True when the head of every stream is known. */
  const findHeads = (): boolean => {
    const waiting: RecordedStream[] = [];
    for (const stream of headless) {
      const found = stream.advance();
      if (found === 'row') heap.push(stream);
      if (found === 'waiting') waiting.push(stream);
      if (stream.failure) fail(stream.failure);
    }
    headless = waiting;
    return headless.length === 0 && !isFailed;
  };
  /** Moves the first stream on; false when its next head is not known yet. */
  const advanceTop = (): boolean => {
    const stream = heap.top();
    const found = stream.advance();
    if (found === 'row') {
      heap.reorderTop();
      return true;
    }
    heap.removeTop();
    if (found === 'ended') return true;
    headless = [stream];
    return false;
  };
  const isAllRead = (): boolean => port !== undefined && heap.size === 0 && headless.length === 0 && !isFailed;
  const isAtStartOrBeyond = (): boolean => headless.length === 0 && heap.size > 0 && offset >= skipTo && !isFailed;
  /** True when the place to begin at has been reached. */
  const skip = (): boolean => {
    for (let budget = SKIP_BUDGET; offset < skipTo && budget > 0; budget -= 1) {
      if (heap.size === 0) {
        fail(new EngineError('REPLAY_OFFSET_BEYOND_END', `offset ${skipTo}: the files have ${offset} lines`));
        return false;
      }
      offset += 1;
      if (!advanceTop()) return false;
    }
    return offset >= skipTo;
  };
  const handOver = (target: IngestPort, limit: number): number => {
    let staged = 0;
    let count = 0;
    while (count < limit && heap.size > 0) {
      const { row, refusal } = heap.top();
      if (!pace.isDue(row)) break;
      if (refusal === 0) {
        target.i32.set(row.i32, target.stagingI32Index + staged * WORDS);
        staged += 1;
      } else {
        target.refuse(refusal, 1);
      }
      count += 1;
      if (!advanceTop()) break;
    }
    offset += count;
    offered += count;
    if (staged > 0) target.commit(staged, PARTITION);
    return count;
  };

  return {
    name: 'replay',
    isReplayable: true,
    isLive: false,
    partitions: [PARTITION],
    async start(target, from) {
      skipTo = Number(from?.offsets.get(PARTITION) ?? 0n);
      try {
        for (const file of options.files) containers.push(await openContainer(file));
        const symbols = createSymbolTable(target, PARTITION);
        const { format, symbol } = options;
        for (const member of containers.flatMap((container) => container.members)) {
          streams.push(await openStream({ member, order: streams.length, symbols, format, symbol }));
        }
      } catch (error) {
        closeAll();
        throw error;
      }
      headless = [...streams];
      port = target;
    },
    poll(budget) {
      if (!port || isStopped || isFailed) return 0;
      const limit = Math.min(budget, port.room(), port.stagingCapacity);
      if (limit <= 0 || !findHeads() || !skip()) return 0;
      return handOver(port, limit);
    },
    get offered() {
      return offered;
    },
    get ignoredCount() {
      return streams.reduce((sum, stream) => sum + stream.ignoredCount, 0);
    },
    get isEnded() {
      return isAllRead() && !isStopped && offset >= skipTo;
    },
    get lagMs() {
      return isAtStartOrBeyond() ? pace.lagMs(heap.top().row) : 0;
    },
    isCaughtUp: () => isAllRead() || (isAtStartOrBeyond() && !pace.isDue(heap.top().row)),
    position: () => ({ offsets: new Map([[PARTITION, BigInt(Math.max(offset, skipTo))]]) }),
    failure() {
      const found = failure;
      failure = undefined;
      return found;
    },
    committed() {},
    async stop() {
      isStopped = true;
      closeAll();
    },
  };
}

interface Pace {
  /** Whether a row's time has come. The first row asked about is due at once, and the others are paced from it. */
  isDue(row: Moment): boolean;
  /** By how many milliseconds of real time a row is overdue; 0 when it is not. */
  lagMs(row: Moment): number;
}

interface Moment {
  readonly seconds: number;
  readonly nanos: number;
}

function createPace(speed: number | 'max', clock: Clock): Pace {
  if (speed === 'max') return { isDue: () => true, lagMs: () => 0 };
  let startMs = Number.NaN;
  let firstSeconds = 0;
  let firstNanos = 0;
  const overdueMs = ({ seconds, nanos }: Moment): number => {
    if (Number.isNaN(startMs)) {
      startMs = clock.wallMs();
      firstSeconds = seconds;
      firstNanos = nanos;
    }
    const eventMs = (seconds - firstSeconds) * 1000 + (nanos - firstNanos) / 1e6;
    return clock.wallMs() - startMs - eventMs / speed;
  };
  return { isDue: (row) => overdueMs(row) >= 0, lagMs: (row) => Math.max(0, overdueMs(row)) };
}
