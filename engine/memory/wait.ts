/** Waiting for time alone, on threads that may block. */

const word = new Int32Array(new SharedArrayBuffer(4));

/** Blocks the calling thread for `ms` milliseconds. Nothing wakes it: for a queue that has no waiting word on this side. */
export function sleepMs(ms: number): void {
  Atomics.wait(word, 0, 0, ms);
}
