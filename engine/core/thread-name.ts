/** Names of threads as the system's own tools show them (`top -H`, /proc), so that what a processor does can be told apart. */
import { writeFileSync } from 'node:fs';

/** The kernel keeps so many bytes of a name. */
export const THREAD_NAME_BYTES = 15;

/** Names the thread that calls. Where there is no /proc threads have no names that can be set, and nothing happens. */
export function nameThread(name: string): void {
  try {
    writeFileSync('/proc/thread-self/comm', name.slice(0, THREAD_NAME_BYTES));
  } catch {
    // Another system, or a /proc that may not be written: the name is for people only.
  }
}
