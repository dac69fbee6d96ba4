/** Bytes on their way into a kernel: a piece of its memory that is filled at the end and used up from the beginning. */

/** A record that is not whole is copied before the bytes that follow it; longer rests stay where they are. */
const REST_BYTES = 1024;
const WORD_MASK = 7;

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

/**
 * A stage of `length` bytes at a multiple of 8 of the memory. Copies into shared memory are quick only when both ends have the same place in
 * their words, so bytes are put where they do.
 */
export function createByteStage(memory: SharedArrayBuffer, at: number, length: number): ByteStage {
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
      const held = end - start;
      const wanted = REST_BYTES + (bytes.byteOffset & WORD_MASK);
      if (held <= REST_BYTES && (end & WORD_MASK) !== (bytes.byteOffset & WORD_MASK)) moveTo(wanted - held);
      else if (length - end < bytes.length && start > WORD_MASK) moveTo(start & WORD_MASK);
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

  function moveTo(from: number): void {
    stage.copyWithin(from, start, end);
    end += from - start;
    start = from;
  }
}
