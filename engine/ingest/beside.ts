/**
 * Publishes the ticks that a source hands to the rings to the ticks topic as well: best effort. Ticks are copied into a bounded queue; from it
 * messages are made while the source is on schedule, for a part of each turn. What finds the queue full is counted and not published,
 * so that the rings never wait for Kafka.
 */
import { setImmediate as nextTurn } from 'node:timers/promises';
import { TICK_KIND_QUOTE, TICK_KIND_TRADE, TICK_SIZE } from '../../schemas/layout.gen.ts';
import type { Clock } from '../core/clock.ts';
import { assert } from '../core/errors.ts';
import type { LoggedSymbol, LogWriter } from './log-writer.ts';
import type { IngestPort, Source } from './source.ts';
import type { TickLog } from './tick-log.ts';

const WORDS = TICK_SIZE >> 2;
const CAPACITY = 65_536;
/** Microseconds of a turn that messages may be made in. */
const TURN_US = 500;
/** Ticks between two looks at the clock. */
const LOOK_EVERY = 32;
/** A source further behind its schedule needs the turn for itself. */
const BEHIND_MS = 5;

export interface BesideOptions {
  readonly log: TickLog;
  readonly writer: LogWriter;
  readonly clock: Clock;
  /** Ticks that may wait; 65,536 unless given. */
  readonly capacity?: number;
}

export interface Beside {
  /** The source with its ticks published beside. Several may follow one another. */
  attach(source: Source): Source;
  /** Ticks that were not published because the queue was full, or because their message cannot express them. */
  readonly dropped: number;
  /** Publishes what waits, for so long at most; what is left then is counted as dropped. */
  settle(limitMs: number): Promise<void>;
}

export function createBeside({ log, writer, clock, capacity = CAPACITY }: BesideOptions): Beside {
  const buffer = new ArrayBuffer(capacity * TICK_SIZE);
  const words = { i32: new Int32Array(buffer), i64: new BigInt64Array(buffer), f64: new Float64Array(buffer) };
  const owners: LoggedSymbol[] = [];
  let head = 0;
  let count = 0;
  let dropped = 0;

  const put = (symbol: LoggedSymbol, from: Int32Array, at: number): void => {
    const isTick = from[at] === (symbol.isQuote ? TICK_KIND_QUOTE : TICK_KIND_TRADE);
    if (count === capacity || !isTick) {
      dropped += 1;
      return;
    }
    const slot = (head + count) % capacity;
    owners[slot] = symbol;
    for (let word = 0; word < WORDS; word += 1) words.i32[slot * WORDS + word] = from[at + word]!;
    count += 1;
  };

  const make = (limitUs: number): void => {
    const endUs = clock.monotonicUs() + limitUs;
    let room = log.room() - writer.pendingTicks;
    for (let done = 0; count > 0 && room > 0; done += 1) {
      if (done % LOOK_EVERY === LOOK_EVERY - 1 && clock.monotonicUs() >= endUs) return;
      if (!writer.add(owners[head]!, words, head * WORDS)) dropped += 1;
      head = (head + 1) % capacity;
      count -= 1;
      room -= 1;
    }
  };

  const portBeside = (port: IngestPort): IngestPort => {
    const symbols: LoggedSymbol[] = [];
    const { i32, f64, u8, stagingI32Index, stagingCapacity } = port;
    return {
      i32,
      f64,
      u8,
      stagingI32Index,
      stagingCapacity,
      room: () => port.room(),
      decimalsOf: (index) => port.decimalsOf(index),
      refuse: (reason, refused) => port.refuse(reason, refused),
      register(spec) {
        const index = port.register(spec);
        // The decimals in force are those that quantities are staged in.
        if (index >= 0) symbols[index] = writer.symbolOf({ ...spec, ...port.decimalsOf(index) });
        return index;
      },
      commit(records, partition, isStamped) {
        // Before the port has them: it may write over what is staged.
        for (let record = 0; record < records; record += 1) {
          const at = stagingI32Index + record * WORDS;
          const symbol = symbols[i32[at + 1]!];
          assert(symbol !== undefined, `symbol index ${i32[at + 1]} was not registered here`);
          put(symbol, i32, at);
        }
        return port.commit(records, partition, isStamped);
      },
      commitMessages() {
        throw new Error('invariant broken: messages of a topic are not published beside');
      },
    };
  };

  const turn = (source: Source): void => {
    if (source.lagMs < BEHIND_MS) make(TURN_US);
    writer.pump(false);
    log.poll();
  };

  return {
    attach: (source) => ({
      name: source.name,
      isReplayable: source.isReplayable,
      isLive: source.isLive,
      start: (port, from) => source.start(portBeside(port), from),
      poll(budget) {
        const work = source.poll(budget);
        turn(source);
        return work;
      },
      get offered() {
        return source.offered;
      },
      get lagMs() {
        return source.lagMs;
      },
      isCaughtUp: (partition) => source.isCaughtUp(partition),
      get partitions() {
        return source.partitions;
      },
      position: () => source.position(),
      get isEnded() {
        return source.isEnded;
      },
      failure: () => source.failure(),
      committed: (position) => source.committed(position),
      stop: () => source.stop(),
    }),
    get dropped() {
      return dropped;
    },
    async settle(limitMs) {
      const untilMs = clock.wallMs() + limitMs;
      while (count > 0 && clock.wallMs() < untilMs) {
        make(TURN_US);
        log.poll();
        await nextTurn();
      }
      dropped += count;
      count = 0;
      writer.pump(true);
      await log.flush(Math.max(0, untilMs - clock.wallMs()));
    },
  };
}
