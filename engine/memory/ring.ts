/**
 * A single-producer, single-consumer ring in shared memory. The kernels use the same header (`kernels/lib/ring.ts`).
 *
 *   head ─ written by the producer after the slots: a consumer that sees the new head sees the slots
 *   tail ─ written by the consumer when it has done with the slots: a producer that sees the new tail may overwrite them
 *   consumerWaiting ─ 1 while the consumer sleeps on it; the producer wakes it after it has stored head
 *
 * Positions count slots, are i32 and wrap; `position & (capacity - 1)` is the slot. Runs never cross the end of the ring.
 */
import { RING_CAPACITY, RING_CONSUMER_WAITING, RING_HEAD, RING_SIZE, RING_SLOT_BYTES, RING_TAIL } from '../../schemas/layout.gen.ts';

export interface Ring {
  readonly capacity: number;
  readonly slotBytes: number;
  /** All words of the memory that the ring lies in. */
  readonly words: Int32Array;
  /** Slots in use, seen from either side; may be out of date by the time it is read. */
  depth(): number;

  /** Producer: free slots. */
  free(): number;
  /** Producer: copies `count` slots from `source` (index of the first word) and publishes them. The caller has checked `free`. */
  publish(source: Int32Array, sourceIndex: number, count: number): void;

  /** Consumer: published slots from the tail that lie in one piece. */
  run(): number;
  /** Consumer: word index in `words` of the slot at the tail. */
  tailIndex(): number;
  /** Consumer: gives `count` slots back. */
  release(count: number): void;
  /** Consumer: sleeps until something is published or the time is over. Only on threads that may block. */
  park(timeoutMs: number): void;
}

/** So many are copied word by word: a view costs as much, and leaves garbage that a thread which publishes often would stop for. */
const FEW_SLOTS = 4;

export function createRing(buffer: ArrayBufferLike, address: number): Ring {
  const words = new Int32Array(buffer);
  const base = address >> 2;
  const headWord = base + (RING_HEAD >> 2);
  const tailWord = base + (RING_TAIL >> 2);
  const waitingWord = base + (RING_CONSUMER_WAITING >> 2);
  const capacity = words[base + (RING_CAPACITY >> 2)]!;
  const slotBytes = words[base + (RING_SLOT_BYTES >> 2)]!;
  const slotWords = slotBytes >> 2;
  const firstSlot = base + (RING_SIZE >> 2);
  const mask = capacity - 1;

  const depth = (): number => (Atomics.load(words, headWord) - Atomics.load(words, tailWord)) | 0;

  return {
    capacity,
    slotBytes,
    words,
    depth,
    free: () => capacity - depth(),
    publish(source, sourceIndex, count) {
      const head = words[headWord]!;
      const slot = head & mask;
      const whole = Math.min(count, capacity - slot);
      if (whole === count && count <= FEW_SLOTS) {
        const at = firstSlot + slot * slotWords;
        for (let word = 0; word < count * slotWords; word += 1) words[at + word] = source[sourceIndex + word]!;
      } else {
        words.set(source.subarray(sourceIndex, sourceIndex + whole * slotWords), firstSlot + slot * slotWords);
        if (whole < count) {
          words.set(source.subarray(sourceIndex + whole * slotWords, sourceIndex + count * slotWords), firstSlot);
        }
      }
      Atomics.store(words, headWord, (head + count) | 0);
      if (Atomics.load(words, waitingWord) === 1 && Atomics.compareExchange(words, waitingWord, 1, 0) === 1) {
        Atomics.notify(words, waitingWord, 1);
      }
    },
    run() {
      const tail = words[tailWord]!;
      const ready = (Atomics.load(words, headWord) - tail) | 0;
      return Math.min(ready, capacity - (tail & mask));
    },
    tailIndex: () => firstSlot + (words[tailWord]! & mask) * slotWords,
    release(count) {
      Atomics.store(words, tailWord, (words[tailWord]! + count) | 0);
    },
    park(timeoutMs) {
      Atomics.store(words, waitingWord, 1);
      if (depth() === 0) Atomics.wait(words, waitingWord, 1, timeoutMs);
      Atomics.store(words, waitingWord, 0);
    },
  };
}

/** A ring in a shared buffer of its own, for records that pass between two JavaScript threads. */
export function allocateRing(capacity: number, slotBytes: number): SharedArrayBuffer {
  const buffer = new SharedArrayBuffer(RING_SIZE + capacity * slotBytes);
  const words = new Int32Array(buffer);
  words[RING_CAPACITY >> 2] = capacity;
  words[RING_SLOT_BYTES >> 2] = slotBytes;
  return buffer;
}
