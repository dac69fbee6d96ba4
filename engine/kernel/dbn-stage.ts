/** Bytes on their way into a kernel: a piece of its memory that is filled at the end and used up from the beginning. */

export interface ByteStage {
  readonly bytes: Uint8Array;
  /** Bytes from `start` to `end` are staged and not used up. */
  readonly start: number;
  readonly end: number;
  /** Takes as much of `bytes` as there is room for; returns how much. */
  put(bytes: Uint8Array): number;
  /** So many bytes from `start` on are done with. */
  consume(count: number): void;
}

/** A stage of `length` bytes at `at` of the memory. */
export function createByteStage(memory: ArrayBuffer, at: number, length: number): ByteStage {
  const stage = new Uint8Array(memory, at, length);
  let start = 0;
  let end = 0;
  return {
    bytes: stage,
    get start() {
      return start;
    },
    get end() {
      return end;
    },
    put(bytes) {
      if (length - end < bytes.length && start > 0) {
        stage.copyWithin(0, start, end);
        end -= start;
        start = 0;
      }
      const taken = Math.min(bytes.length, length - end);
      stage.set(taken === bytes.length ? bytes : bytes.subarray(0, taken), end);
      end += taken;
      return taken;
    },
    consume(count) {
      start += count;
      if (start < end) return;
      start = 0;
      end = 0;
    },
  };
}
