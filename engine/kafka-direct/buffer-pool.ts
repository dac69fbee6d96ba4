/**
 * Buffers that batches wait in for their acknowledgement, used again and again: fresh ones of such sizes cost page faults when they are
 * written, and garbage collection afterwards.
 */

/** Sizes are powers of two from this one on, so that a batch holds less than twice its bytes. */
const BUFFER_BYTES_MIN = 1024;
/** Of what nobody uses so much is kept, of all sizes together. */
const FREE_BYTES_MAX = 16_777_216;

export interface BufferPool {
  /** A buffer of at least `bytes` bytes, with whatever was in it. */
  take(bytes: number): Buffer;
  /** Gives one back that `take` returned: nobody reads it any more. */
  give(buffer: Buffer): void;
}

export function createBufferPool(): BufferPool {
  const free = new Map<number, Buffer[]>();
  let freeBytes = 0;
  return {
    take(bytes) {
      const size = Math.max(BUFFER_BYTES_MIN, 2 ** Math.ceil(Math.log2(bytes)));
      const buffer = free.get(size)?.pop();
      if (buffer) freeBytes -= size;
      return buffer ?? Buffer.allocUnsafeSlow(size);
    },
    give(buffer) {
      const { length } = buffer;
      if (freeBytes + length > FREE_BYTES_MAX) {
        // Batches have come to be of another size.
        free.clear();
        freeBytes = 0;
      }
      const same = free.get(length);
      if (same) same.push(buffer);
      else free.set(length, [buffer]);
      freeBytes += length;
    },
  };
}
