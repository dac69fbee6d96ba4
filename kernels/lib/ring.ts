// Both ends of a ring, for kernels. The protocol is in engine/memory/ring.ts.
import { RING_CAPACITY, RING_HEAD, RING_SIZE, RING_TAIL } from "../../schemas/layout.gen";

/** Consumer: slots published and not yet released. */
export function ringReady(ring: usize): i32 {
  return atomic.load<i32>(ring, RING_HEAD) - load<i32>(ring, RING_TAIL);
}

/** Producer: slots that may be written. */
export function ringFree(ring: usize): i32 {
  return load<i32>(ring, RING_CAPACITY) - (load<i32>(ring, RING_HEAD) - atomic.load<i32>(ring, RING_TAIL));
}

/** Address of the slot at `position`; `shift` is log2 of the slot's bytes. */
export function ringSlot(ring: usize, position: i32, shift: i32): usize {
  return ring + RING_SIZE + ((<usize>(position & (load<i32>(ring, RING_CAPACITY) - 1))) << <usize>shift);
}

/** Consumer: gives everything before `position` back. */
export function ringRelease(ring: usize, position: i32): void {
  atomic.store<i32>(ring, position, RING_TAIL);
}

/** Producer: publishes everything before `position`; slots must have been written before. */
export function ringPublish(ring: usize, position: i32): void {
  atomic.store<i32>(ring, position, RING_HEAD);
}
