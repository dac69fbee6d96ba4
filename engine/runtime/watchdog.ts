/** Notices a worker that is alive but does not move: its heartbeat in shared memory stands still. */
import type { Clock, Pause } from '../core/clock.ts';
import { EngineError } from '../core/errors.ts';

export interface Heartbeat {
  readonly name: string;
  /** A number that changes as long as the worker goes round its loop, and is 0 before it does. */
  read(): number;
  /** True when the worker has ended in order: then it need not beat. */
  isStopped(): boolean;
}

/** A shard parks for 20 ms at most, and the writer waits for nothing: this long is far beyond either. */
const WEDGED_MS = 1500;
/** A thread that starts loads its code first, and others may have the processors. */
const STARTING_MS = 10_000;
const CHECK_MS = 100;
/** A longer gap between two looks means that main itself got no processor, or the whole process stood still: no more than this is held against a worker. */
const GAP_MS = 150;

/** Returns a function to be called often; it returns the failure once a worker has stood still. */
export function createWatchdog(beats: readonly Heartbeat[], clock: Clock): () => Error | undefined {
  const seen = beats.map((beat) => ({ beat, value: 0, hasBegun: false, stillMs: 0 }));
  let lookedUs = clock.monotonicUs();
  return () => {
    const nowUs = clock.monotonicUs();
    const gapMs = (nowUs - lookedUs) / 1000;
    if (gapMs < CHECK_MS) return undefined;
    lookedUs = nowUs;
    for (const entry of seen) {
      const value = entry.beat.read();
      entry.stillMs = value !== entry.value || entry.beat.isStopped() ? 0 : entry.stillMs + Math.min(gapMs, GAP_MS);
      entry.value = value;
      entry.hasBegun ||= value !== 0;
      if (entry.stillMs >= (entry.hasBegun ? WEDGED_MS : STARTING_MS)) {
        return new EngineError('WORKER_WEDGED', `worker ${entry.beat.name}: no sign of life for ${Math.round(entry.stillMs)} ms`);
      }
    }
    return undefined;
  };
}

/**
 * Waits for workers that start.
 * @throws what `ready` throws, and EngineError WORKER_WEDGED
 */
export async function untilReady(ready: Promise<void>, wedged: () => Error | undefined, pause: Pause): Promise<void> {
  const settled = new AbortController();
  const watch = async (): Promise<void> => {
    while (!settled.signal.aborted) {
      const failure = wedged();
      if (failure) throw failure;
      await pause(CHECK_MS, settled.signal);
    }
  };
  try {
    await Promise.race([ready, watch()]);
  } finally {
    settled.abort();
  }
}
