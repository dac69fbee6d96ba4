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
 * Holds each of these threads of this process to a core of its own. Returns false where there are fewer cores, or threads have no names.
 * @param names as the threads have named themselves (`engine/core/thread-name.ts`)
 */
export function holdThreads(names: readonly string[]): boolean {
  const threads = threadsNamed(names);
  const cores = processorsOfCores();
  if (threads === undefined || cores.length < threads.length) return false;
  return threads.every((id, index) => holdThread(id, cores[index] ?? 0));
}

/** Of each core that this process may use, one processor, those of the last cores first; none where that cannot be told. */
function processorsOfCores(): number[] {
  const byCore = new Map<string, number>();
  for (const processor of numbersIn(allowedProcessors() ?? '')) {
    const core = coreOf(processor);
    if (!byCore.has(core)) byCore.set(core, processor);
  }
  return [...byCore.values()].reverse();
}

/** `0-3,8` */
function numbersIn(list: string): number[] {
  if (list === '') return [];
  return list.split(',').flatMap((part) => {
    const [first = 0, last = first] = part.split('-').map(Number);
    return Array.from({ length: last - first + 1 }, (_, index) => first + index);
  });
}

function coreOf(processor: number): string {
  try {
    return readFileSync(`/sys/devices/system/cpu/cpu${processor}/topology/thread_siblings_list`, 'utf8');
  } catch {
    // The system does not say which of them share a core.
    return String(processor);
  }
}

/** Undefined where no thread has one of these names. */
function threadsNamed(names: readonly string[]): number[] | undefined {
  try {
    const byName = new Map(readdirSync(TASKS).map((id) => [readFileSync(`${TASKS}/${id}/comm`, 'utf8').trim(), Number(id)]));
    const found = names.map((name) => byName.get(name));
    return found.every((id) => id !== undefined) ? found : undefined;
  } catch {
    // Another system, or a thread that has just ended.
    return undefined;
  }
}

function holdThread(id: number, processor: number): boolean {
  try {
    taskset('-c', '-p', String(processor), String(id));
    return true;
  } catch {
    return false;
  }
}
