/**
 * Recorded files as a source. Every file (and every member of a zip) is a stream of lines; streams are merged by the event time of their
 * heads, ties by the order of the files, and each keeps its own order of lines. Lines are parsed when they are handed over, so what
 * is registered and refused, and in which order, depends on the files alone; only reading and decompressing run ahead.
 */
import { TICK_SIZE } from '../../schemas/layout.gen.ts';
import type { Clock } from '../core/clock.ts';
import { EngineError } from '../core/errors.ts';
import { createSymbolTable } from './replay/format.ts';
import { type MergedRows, openMerged } from './replay/merged.ts';
import { createPace, type Pace } from './replay/pace.ts';
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
  const pace = createPace(options.speed, options.clock);
  let port: IngestPort | undefined;
  let rows: MergedRows | undefined;
  let skipTo = 0;
  // Lines passed over or handed over.
  let offset = 0;
  let offered = 0;
  let failure: Error | undefined;
  let isFailed = false;
  let isStopped = false;

  const hasHead = (): boolean => rows?.state === 'ready' && offset >= skipTo && !isFailed;
  /** Brings the sequence to a row that may be handed over; false when there is none now. */
  const prepare = (sequence: MergedRows): boolean => {
    sequence.refresh();
    for (let left = SKIP_BUDGET; sequence.state === 'ready' && offset < skipTo && left > 0; left -= 1) {
      sequence.advance();
      offset += 1;
    }
    failure = sequence.state === 'ended' && offset < skipTo ? beyondEnd(skipTo, offset) : sequence.failure;
    isFailed = failure !== undefined;
    return hasHead();
  };
  return {
    name: 'replay',
    isReplayable: true,
    isLive: false,
    partitions: [PARTITION],
    async start(target, from) {
      skipTo = Number(from?.offsets.get(PARTITION) ?? 0n);
      const { files, format, symbol } = options;
      rows = await openMerged({ files, symbols: createSymbolTable(target, PARTITION), format, symbol });
      port = target;
    },
    poll(budget) {
      if (!port || !rows || isStopped || isFailed) return 0;
      const limit = Math.min(budget, port.room(), port.stagingCapacity);
      if (limit <= 0 || !prepare(rows)) return 0;
      const count = handOver(rows, pace, port, limit);
      offset += count;
      offered += count;
      return count;
    },
    get offered() {
      return offered;
    },
    get ignoredCount() {
      return rows?.ignoredCount ?? 0;
    },
    get lagMs() {
      return rows && hasHead() ? pace.lagMs(rows.head.row) : 0;
    },
    get isEnded() {
      return rows?.state === 'ended' && !isStopped && !isFailed && offset >= skipTo;
    },
    isCaughtUp: () => rows?.state === 'ended' || (rows !== undefined && hasHead() && !pace.isDue(rows.head.row)),
    position: () => ({ offsets: new Map([[PARTITION, BigInt(Math.max(offset, skipTo))]]) }),
    failure() {
      const found = failure;
      failure = undefined;
      return found;
    },
    committed() {},
    async stop() {
      isStopped = true;
      rows?.close();
    },
  };
}

function beyondEnd(wanted: number, found: number): EngineError {
  return new EngineError('REPLAY_OFFSET_BEYOND_END', `offset ${wanted}: the files have ${found} lines`);
}

/** Hands over what is known and due, at most `limit` lines; returns how many. */
function handOver(rows: MergedRows, pace: Pace, port: IngestPort, limit: number): number {
  let staged = 0;
  let count = 0;
  while (count < limit && rows.state === 'ready') {
    const { row, refusal } = rows.head;
    if (!pace.isDue(row)) break;
    if (refusal === 0) {
      port.i32.set(row.i32, port.stagingI32Index + staged * WORDS);
      staged += 1;
    } else {
      port.refuse(refusal, 1);
    }
    count += 1;
    rows.advance();
  }
  if (staged > 0) port.commit(staged, PARTITION);
  return count;
}
