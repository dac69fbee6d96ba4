/** Which thread of this process is which: node gives them no names, so each is known by having been started just then. */
import { readdirSync, readFileSync } from 'node:fs';
import { cpuSecondsOf } from '../../engine-run.ts';

const TASKS = '/proc/self/task';

export interface ThreadTable {
  /** Runs `start`, which starts one thread, and remembers that thread by this name. */
  named<Result>(name: string, start: () => Result): Result;
  /** Processor seconds since each thread began, by name; what nobody has named (of V8 and libuv) is together `others`. Empty without /proc. */
  read(): Map<string, number>;
}

export function createThreadTable(): ThreadTable {
  const names = new Map<string, string>([[String(process.pid), 'main']]);
  return {
    named(name, start) {
      const before = new Set(threadIds());
      const result = start();
      for (const id of threadIds()) if (!before.has(id)) names.set(id, name);
      return result;
    },
    read() {
      const found = new Map<string, number>();
      for (const id of threadIds()) {
        const name = names.get(id) ?? 'others';
        found.set(name, (found.get(name) ?? 0) + cpuSecOf(id));
      }
      return found;
    },
  };
}

function threadIds(): string[] {
  try {
    return readdirSync(TASKS);
  } catch {
    // This system has no /proc.
    return [];
  }
}

function cpuSecOf(id: string): number {
  try {
    return cpuSecondsOf(readFileSync(`${TASKS}/${id}/stat`, 'utf8'));
  } catch {
    // The thread has ended.
    return 0;
  }
}
