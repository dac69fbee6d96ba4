// The out ring as the bar kernel writes it: records go behind the published head, which moves on every 64 records and at the end
// of a poll. The variables are a cache of this instance, opened anew by every poll; all state lies in the region.
import {
  BAR_ASK_LOW,
  BAR_INSTRUMENT_KIND,
  BAR_KIND,
  BAR_LOW,
  INSTRUMENT_KIND_QUOTE,
  RING_CAPACITY,
  RING_CONSUMER_WAITING,
  RING_HEAD,
  RING_TAIL,
} from "../../schemas/layout.gen";
import { ringPublish, ringSlot } from "./ring";

const BAR_SHIFT: i32 = 7;
const PUBLISH_MASK: i32 = 63;

let outRing: usize = 0;
let outHead: i32 = 0;
let outLimit: i32 = 0;

/** Starts writing to `ring`. */
export function outOpen(ring: usize): void {
  outRing = ring;
  outHead = load<i32>(ring, RING_HEAD);
  outLimit = atomic.load<i32>(ring, RING_TAIL) + load<i32>(ring, RING_CAPACITY);
}

/** True when `count` more records fit; asks the consumer's position only when the last known one does not do. */
export function outHasRoom(count: i32): bool {
  if (outLimit - outHead >= count) return true;
  outLimit = atomic.load<i32>(outRing, RING_TAIL) + load<i32>(outRing, RING_CAPACITY);
  return outLimit - outHead >= count;
}

/** Publishes what was written, and wakes a consumer that sleeps on the ring. The head is stored before the flag is looked at. */
export function outPublish(): void {
  if (outHead == load<i32>(outRing, RING_HEAD)) return;
  ringPublish(outRing, outHead);
  const waiting = outRing + RING_CONSUMER_WAITING;
  if (atomic.load<i32>(waiting) == 1 && atomic.cmpxchg<i32>(waiting, 1, 0) == 1) atomic.notify(waiting, 1);
}

/** Copies 128 bytes. */
export function copyBar(to: usize, from: usize): void {
  v128.store(to, v128.load(from, 0), 0);
  v128.store(to, v128.load(from, 16), 16);
  v128.store(to, v128.load(from, 32), 32);
  v128.store(to, v128.load(from, 48), 48);
  v128.store(to, v128.load(from, 64), 64);
  v128.store(to, v128.load(from, 80), 80);
  v128.store(to, v128.load(from, 96), 96);
  v128.store(to, v128.load(from, 112), 112);
}

/** The next out record as 128 zero bytes, to be filled at once. The caller has asked `outHasRoom`. */
export function emitEmpty(kind: i32): usize {
  const to = claim();
  const zero = i64x2.splat(0);
  v128.store(to, zero, 0);
  v128.store(to, zero, 16);
  v128.store(to, zero, 32);
  v128.store(to, zero, 48);
  v128.store(to, zero, 64);
  v128.store(to, zero, 80);
  v128.store(to, zero, 96);
  v128.store(to, zero, 112);
  store<i32>(to, kind, BAR_KIND);
  return to;
}

/** Writes an accumulator as an out record, lows with their true sign; returns its address. The caller has asked `outHasRoom`. */
export function emitBar(source: usize, kind: i32): usize {
  const to = claim();
  copyBar(to, source);
  store<i32>(to, kind, BAR_KIND);
  store<f64>(to, -load<f64>(source, BAR_LOW), BAR_LOW);
  if (load<i32>(source, BAR_INSTRUMENT_KIND) == INSTRUMENT_KIND_QUOTE) {
    store<f64>(to, -load<f64>(source, BAR_ASK_LOW), BAR_ASK_LOW);
  }
  return to;
}

/** Publishes the whole blocks of 64 records before the claimed one: those are complete, the claimed one is still to be written. */
function claim(): usize {
  if ((outHead & PUBLISH_MASK) == 0) outPublish();
  const slot = ringSlot(outRing, outHead, BAR_SHIFT);
  outHead += 1;
  return slot;
}
