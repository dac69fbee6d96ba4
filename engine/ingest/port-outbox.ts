/**
 * The producer's end of a shard's tick ring, or of the out ring of a stage that reads bars. What finds no room waits here, in order, and goes out before anything else; so a symbol
 * can be registered at any time, and nothing is lost when a ring is full. Main thread only.
 */
import { assert } from '../core/errors.ts';
import type { Ring } from '../memory/ring.ts';
import { TICK_WORDS } from './port-kernel.ts';

export interface Outbox {
  /** Slots free in the ring after what waits has gone out; 0 or less while something still waits. */
  room(): number;
  /** Puts `count` records, from index `sourceIndex` of `source`, behind what waits, and publishes what the ring takes. */
  put(source: Int32Array, sourceIndex: number, count: number): void;
}

/** `recordsMax` bounds what may wait: callers ask `room()` first, and only registrations come unasked. */
export function createOutbox(ring: Ring, recordsMax: number, recordWords = TICK_WORDS): Outbox {
  let waiting = new Int32Array(0);
  let from = 0;
  let to = 0;

  const drain = (): void => {
    const count = Math.min(ring.free(), to - from);
    if (count === 0) return;
    ring.publish(waiting, from * recordWords, count);
    from += count;
    if (from === to) {
      from = 0;
      to = 0;
    }
  };

  const reserve = (count: number): void => {
    assert(to - from + count <= recordsMax, `${to - from + count} records wait for a tick ring, at most ${recordsMax}`);
    if ((to + count) * recordWords <= waiting.length) return;
    const grown = new Int32Array(Math.max(64, (to - from + count) * 2) * recordWords);
    grown.set(waiting.subarray(from * recordWords, to * recordWords));
    waiting = grown;
    to -= from;
    from = 0;
  };

  return {
    room() {
      if (to > from) drain();
      return ring.free() - (to - from);
    },
    put(source, sourceIndex, count) {
      if (count === 0) return;
      if (to > from) drain();
      if (to === from && ring.free() >= count) {
        ring.publish(source, sourceIndex, count);
        return;
      }
      reserve(count);
      waiting.set(source.subarray(sourceIndex, sourceIndex + count * recordWords), to * recordWords);
      to += count;
      drain();
    },
  };
}
