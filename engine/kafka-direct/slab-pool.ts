/**
 * Buffers that batches wait in for their acknowledgement, used again and again: fresh ones of such sizes cost page faults when they are
 * written, and garbage collection afterwards.
 */

/** Sizes are powers of two from this one on. */
const SLAB_BYTES_MIN = 4096;
/** Of what nobody uses so much is kept, of all sizes together. */
const FREE_BYTES_MAX = 16_777_216;

export interface SlabPool {
  /** A buffer of at least `bytes` bytes, with whatever was in it. */
  take(bytes: number): Buffer;
  /** Gives one back that `take` returned: nobody reads it any more. */
  give(slab: Buffer): void;
}

export function createSlabPool(): SlabPool {
  const free = new Map<number, Buffer[]>();
  let freeBytes = 0;
  return {
    take(bytes) {
      const size = Math.max(SLAB_BYTES_MIN, 2 ** Math.ceil(Math.log2(bytes)));
      const slab = free.get(size)?.pop();
      if (slab) freeBytes -= size;
      return slab ?? Buffer.allocUnsafeSlow(size);
    },
    give(slab) {
      const { length } = slab;
      if (freeBytes + length > FREE_BYTES_MAX) return;
      const same = free.get(length);
      if (same) same.push(slab);
      else free.set(length, [slab]);
      freeBytes += length;
    },
  };
}
