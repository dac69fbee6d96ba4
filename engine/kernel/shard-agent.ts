/** The work of a shard's thread: polls the bar kernel and records how long ticks took from ingest to merged. */
import * as L from '../../schemas/layout.gen.ts';
import type { ThreadAgent } from '../core/agent.ts';
import type { Clock } from '../core/clock.ts';
import { createHistogram, encodeHistogram } from '../core/latency.ts';
import { headerWord, outRingOf, SHARD_HEADER_ADDRESS, tickRingOf } from '../memory/region.ts';
import { sleepMs } from '../memory/wait.ts';
import { createBarKernel } from './bars.ts';

const RECORDS_PER_POLL = 4096;
const REPORT_INTERVAL_US = 1_000_000;
/** How long to wait for the consumer of a full out ring before looking again. */
const BLOCKED_SLEEP_MS = 1;

export interface ShardAgentOptions {
  /** A region whose kernel was initialised. */
  readonly memory: WebAssembly.Memory;
  readonly clock: Clock;
  /** Takes an encoded histogram of tick-to-bar latencies in microseconds, about once a second while there are any. */
  readonly onLatency: (encoded: string) => void;
}

/**
 * Each `doWork`, with work or without, counts the shard header's heartbeat up. Done once the final barrier has been passed on. It sleeps for
 * ticks, or a little for room in the out ring, and counts how often.
 */
export function createShardAgent({ memory, clock, onLatency }: ShardAgentOptions): ThreadAgent {
  const kernel = createBarKernel(memory);
  const tickRing = tickRingOf(memory);
  const outRing = outRingOf(memory);
  const words = new Int32Array(memory.buffer);
  const doubles = new Float64Array(memory.buffer);
  const outRingWord = headerWord(memory, L.SHARD_OUT_RING_I32) >> 2;
  const outHeadWord = outRingWord + L.RING_HEAD_I32;
  const stampsWord = headerWord(memory, L.SHARD_STAMPS_I32) >> 2;
  const stampCountWord = (SHARD_HEADER_ADDRESS >> 2) + L.SHARD_STAMP_COUNT_I32;
  const heartbeatWord = (SHARD_HEADER_ADDRESS >> 2) + L.SHARD_HEARTBEAT_I32;
  const parksDouble = (SHARD_HEADER_ADDRESS >> 3) + L.SHARD_PARKS_F64;
  const histogram = createHistogram();
  const name = `shard-${headerWord(memory, L.SHARD_SHARD_INDEX_I32)}`;
  let reportedUs = clock.monotonicUs();
  let isDone = false;

  const report = (nowUs: number): void => {
    reportedUs = nowUs;
    if (histogram.totalCount === 0) return;
    onLatency(encodeHistogram(histogram));
    histogram.reset();
  };

  const recordStamps = (nowUs: number): void => {
    const count = words[stampCountWord]!;
    for (let index = 0, at = stampsWord; index < count; index += 1, at += 2) {
      // A stamp is the intended time under load generation, and may lie a little ahead of the clock it was converted to.
      histogram.recordValueWithCount(Math.max(0, (nowUs - words[at]!) | 0), words[at + 1]!);
    }
  };

  /** Looks at the newest out record: slots of the out ring are written by this thread only, so it may be read without a race. */
  const hasPassedFinal = (): boolean => {
    const position = (words[outHeadWord]! - 1) & (outRing.capacity - 1);
    const at = outRingWord + (L.RING_SIZE >> 2) + position * (L.BAR_SIZE >> 2);
    return words[at + L.BAR_KIND_I32] === L.OUT_KIND_BARRIER && (words[at + L.BAR_FLAGS_I32]! & L.BARRIER_FLAG_FINAL) !== 0;
  };

  return {
    name,
    doWork() {
      // Only this thread writes it; main looks whether it has changed, so that a plain store does.
      words[heartbeatWord]! += 1;
      const done = kernel.poll(RECORDS_PER_POLL);
      const nowUs = clock.monotonicUs();
      recordStamps(nowUs);
      if (done > 0 && hasPassedFinal()) {
        isDone = true;
        report(nowUs);
      }
      if (nowUs - reportedUs >= REPORT_INTERVAL_US) report(nowUs);
      return done;
    },
    get isDone() {
      return isDone;
    },
    park(timeoutMs) {
      doubles[parksDouble]! += 1;
      if (kernel.pollState() === 'blocked' && outRing.free() < outRing.capacity) sleepMs(Math.min(BLOCKED_SLEEP_MS, timeoutMs));
      else tickRing.park(timeoutMs);
    },
    close: () => report(clock.monotonicUs()),
  };
}
