/**
 * Holds this process with all its threads and what it starts, or single threads of it, to one processor. An opponent that is another program is then measured on
 * the same core as ours, which has not been idle in between: on a shared host an idle processor may come back beside a busy sibling, and be slower for
 * seconds. And a thread that is woken is not put on the core of the one that it works with.
 */
import { execFileSync } from 'node:child_process';
import { readdirSync, readFileSync } from 'node:fs';

const TASKS = '/proc/self/task';

export interface Hold {
  readonly processor: number;
  /** Gives all processors back. */
  free(): void;
}

function taskset(...args: string[]): string {
  return execFileSync('taskset', args, { encoding: 'utf8', stdio: ['ignore', 'pipe', 'ignore'] });
}

/** The processors that this process may use, such as `0-3,8`; undefined where `taskset` (util-linux) is not there. */
function allowedProcessors(): string | undefined {
  try {
    return taskset('-c', '-p', String(process.pid)).trim().split(': ').at(-1);
  } catch {
    return undefined;
  }
}

/** Holds it to the last processor that it may use; undefined where that cannot be done. @throws Error when it cannot be undone */
export function holdOneProcessor(): Hold | undefined {
  const list = allowedProcessors();
  if (list === undefined) return undefined;
  const processor = Number(list.split(/[,-]/).at(-1));
  const free = (): void => {
    taskset('-a', '-c', '-p', list, String(process.pid));
  };
  try {
    taskset('-a', '-c', '-p', String(processor), String(process.pid));
  } catch {
    free();
    return undefined;
  }
  return { processor, free };
}

/**
 * Holds each of these threads of this process to a core of its own, as the system sees cores. Returns false, and holds none, where there are fewer cores, no
 * `taskset`, or threads have no names.
 * @param names as the threads have named themselves (`engine/core/thread-name.ts`)
 * @throws Error when it cannot be undone
 */
export function holdThreads(names: readonly string[]): boolean {
  const threads = threadsNamed(names);
  const list = allowedProcessors();
  if (threads === undefined || list === undefined) return false;
  const cores = processorsOfCores(list, siblingsOf);
  if (cores.length < threads.length) return false;
  try {
    for (const [index, id] of threads.entries()) taskset('-c', '-p', String(cores[index]), String(id));
    return true;
  } catch {
    for (const id of threads) taskset('-c', '-p', list, String(id));
    return false;
  }
}

/**
 * One processor of each core, those of the last cores first.
 * @param list processors, such as `0-3,8`
 * @param siblings the processors of the core that a processor belongs to, in any form that is the same for all of them
 */
export function processorsOfCores(list: string, siblings: (processor: number) => string): number[] {
  const byCore = new Map<string, number>();
  for (const part of list.split(',')) {
    const [first = 0, last = first] = part.split('-').map(Number);
    for (let processor = first; processor <= last; processor += 1) {
      const core = siblings(processor);
      if (!byCore.has(core)) byCore.set(core, processor);
    }
  }
  return [...byCore.values()].reverse();
}

function siblingsOf(processor: number): string {
  try {
    return readFileSync(`/sys/devices/system/cpu/cpu${processor}/topology/thread_siblings_list`, 'utf8');
  } catch {
    // The system does not say which of them share a core.
    return String(processor);
  }
}

/** Undefined where no thread has one of these names. */
function threadsNamed(names: readonly string[]): number[] | undefined {
  const byName = new Map(threadIds().map((id) => [nameOf(id), Number(id)]));
  const found = names.map((name) => byName.get(name));
  return found.every((id) => id !== undefined) ? found : undefined;
}

function threadIds(): string[] {
  try {
    return readdirSync(TASKS);
  } catch {
    // This system has no /proc.
    return [];
  }
}

function nameOf(id: string): string | undefined {
  try {
    return readFileSync(`${TASKS}/${id}/comm`, 'utf8').trim();
  } catch {
    // The thread has ended.
    return undefined;
  }
}
