/**
 * What is committed and not yet published: the committed ring, and before it what had to be taken out of the ring. A slot stays in the ring
 * until its transaction is committed, so what has to be sent again is read from the ring again. Only an epoch larger than the ring is moved
 * aside, into memory of main, since the writer cannot announce it before all of it is put; one such epoch bounds that memory.
 *
 *   tail ──── aside ────▶ ring tail ──── ring ────▶ head
 *
 * Positions count records since the backlog was opened and never wrap: 2^53 of them outlast any run.
 */
import { RING_SIZE } from '../../../schemas/layout.gen.ts';
import type { Ring } from '../../memory/ring.ts';

/** Records that lie in one piece. */
export interface Piece {
  readonly words: Int32Array;
  readonly wordIndex: number;
  readonly count: number;
}

export interface CommittedBacklog {
  /** Position of the oldest record held. */
  readonly tail: number;
  /** Records held. */
  outstanding(): number;
  /** The records from a position on, at most `count`, as far as they lie in one piece. */
  piece(position: number, count: number): Piece;
  /** Lets go of the oldest `count` records. */
  release(count: number): void;
  /** True when the ring is half full, so that its writer may soon wait. */
  readonly isCrowded: boolean;
  /** Moves what is in the ring aside. */
  moveAside(): void;
}

interface Chunk {
  readonly start: number;
  readonly count: number;
  readonly words: Int32Array;
}

/** @param ring at address 0 of its own buffer; this is its only consumer */
export function createCommittedBacklog(ring: Ring): CommittedBacklog {
  const { capacity } = ring;
  const slotWords = ring.slotBytes >> 2;
  const firstSlot = RING_SIZE >> 2;
  const chunks: Chunk[] = [];
  let tail = 0;
  /** Position of the record at the tail of the ring. */
  let ringTail = 0;

  return {
    get tail() {
      return tail;
    },
    outstanding: () => ringTail - tail + ring.depth(),
    piece(position, count) {
      const chunk = chunks.find((candidate) => position < candidate.start + candidate.count);
      if (chunk) {
        const index = position - chunk.start;
        return { words: chunk.words, wordIndex: index * slotWords, count: Math.min(count, chunk.count - index) };
      }
      const slot = ((ring.tailIndex() - firstSlot) / slotWords + (position - ringTail)) % capacity;
      return { words: ring.words, wordIndex: firstSlot + slot * slotWords, count: Math.min(count, capacity - slot) };
    },
    release(count) {
      tail += count;
      while (chunks[0] !== undefined && chunks[0].start + chunks[0].count <= tail) chunks.shift();
      if (tail <= ringTail) return;
      ring.release(tail - ringTail);
      ringTail = tail;
    },
    get isCrowded() {
      return ring.depth() >= capacity >> 1;
    },
    moveAside() {
      for (let count = ring.run(); count > 0; count = ring.run()) {
        const from = ring.tailIndex();
        chunks.push({ start: ringTail, count, words: ring.words.slice(from, from + count * slotWords) });
        ringTail += count;
        ring.release(count);
      }
    },
  };
}
