/** How long a thread was ready to run while other programs had the processors, as Linux counts it: time in which it stood still by nobody's fault of ours. */
import { openSync, readSync } from 'node:fs';

const PATH = '/proc/thread-self/schedstat';
const TEXT_BYTES = 96;

// Of this thread: a descriptor stays that of the thread that opened it, and one is enough however often an engine is built.
let descriptor: number | undefined;

/** Returns a function that reads the sum since the calling thread began, in us, for use in that thread only; always 0 where nothing counts it. */
export function openRunDelay(): () => number {
  try {
    descriptor ??= openSync(PATH, 'r');
  } catch {
    // Another system, or a kernel that does not count it.
    return () => 0;
  }
  const opened = descriptor;
  const text = Buffer.alloc(TEXT_BYTES);
  // Time on a processor, time waiting for one, both in ns, and how often it had one.
  return () => {
    const bytes = readSync(opened, text, 0, TEXT_BYTES, 0);
    return Number(text.toString('latin1', 0, bytes).split(' ')[1]) / 1000;
  };
}
