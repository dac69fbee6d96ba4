/**
 * The committed ring as the publisher's window. A slot stays in the ring until its message is acknowledged, so the ring is also what
 * is sent again after a failure; nothing is copied aside.
 *
 *   tail ──── acknowledged in part, in flight ────▶ sent ──── committed, not sent yet ────▶ head
 *
 * Positions count slots since the window was opened and never wrap: 2^53 of them outlast any run.
 */

import { RING_SIZE } from '../../../schemas/layout.gen.ts';
import type { Ring } from '../../memory/ring.ts';

export interface PublishWindow {
  /** Slots sent and not acknowledged. */
  readonly inFlight: number;
  /** Slots not given back yet, sent or not. */
  outstanding(): number;
  /** Slots that can be sent next, in one piece of the ring. */
  unsentRun(): number;
  /** Position of the next slot to send. */
  readonly sentPosition: number;
  /** Index in the ring's words of the record at a position. */
  wordAt(position: number): number;
  isAcknowledged(position: number): boolean;
  /** The next `count` slots have been sent, those among them that are acknowledged already being left out. */
  markSent(count: number): void;
  /** False when the position was acknowledged before or given back. */
  acknowledge(position: number): boolean;
  /** Gives back what is acknowledged from the tail on. */
  settle(): void;
  /** Everything not acknowledged is to be sent again; returns how many were in flight. */
  rewind(): number;
}

/** @param ring at address 0 of its own buffer; this is its only consumer */
export function createPublishWindow(ring: Ring): PublishWindow {
  const { capacity } = ring;
  const slotWords = ring.slotBytes >> 2;
  const firstSlot = RING_SIZE >> 2;
  const acknowledged = new Uint8Array(capacity);
  let tail = (ring.tailIndex() - firstSlot) / slotWords;
  let sent = tail;
  let inFlight = 0;

  return {
    get inFlight() {
      return inFlight;
    },
    get sentPosition() {
      return sent;
    },
    outstanding: () => ring.depth(),
    unsentRun: () => Math.min(ring.depth() - (sent - tail), capacity - (sent % capacity)),
    wordAt: (position) => firstSlot + (position % capacity) * slotWords,
    isAcknowledged: (position) => acknowledged[position % capacity] === 1,
    markSent(count) {
      for (const end = sent + count; sent < end; sent += 1) inFlight += 1 - acknowledged[sent % capacity]!;
    },
    acknowledge(position) {
      if (position < tail || position >= sent || acknowledged[position % capacity] === 1) return false;
      acknowledged[position % capacity] = 1;
      inFlight -= 1;
      return true;
    },
    settle() {
      let count = 0;
      for (; tail < sent && acknowledged[tail % capacity] === 1; tail += 1) {
        acknowledged[tail % capacity] = 0;
        count += 1;
      }
      if (count > 0) ring.release(count);
    },
    rewind() {
      const count = inFlight;
      sent = tail;
      inFlight = 0;
      return count;
    },
  };
}
