/** A hash of the matcher's events, for both sides of a comparison. */
import { ORDER_SLOT_WORDS } from '../engine/market/order-ring.ts';

/** Takes one more slot into the hash; the order of slots counts. */
export function hashSlot(hash: number, words: Int32Array, at: number): number {
  let mixed = hash;
  for (let word = 0; word < ORDER_SLOT_WORDS; word += 1) mixed = (Math.imul(mixed, 31) + words[at + word]!) | 0;
  return mixed;
}
