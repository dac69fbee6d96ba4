/**
 * Holds this process, all its threads and what it starts to one processor. An opponent that is another program is then measured on the same core as ours,
 * which has not been idle in between: on a shared host an idle processor may come back beside a busy sibling, and be slower for seconds.
 */
import { execFileSync } from 'node:child_process';

export interface Hold {
  readonly processor: number;
  /** Gives all processors back. */
  free(): void;
}

function taskset(...args: string[]): string {
  return execFileSync('taskset', [...args, String(process.pid)], { encoding: 'utf8', stdio: ['ignore', 'pipe', 'ignore'] });
}

/** The processors that this process may use, such as `0-3,8`; undefined where `taskset` (util-linux) is not there. */
function allowedProcessors(): string | undefined {
  try {
    return taskset('-c', '-p').trim().split(': ').at(-1);
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
    taskset('-a', '-c', '-p', list);
  };
  try {
    taskset('-a', '-c', '-p', String(processor));
  } catch {
    free();
    return undefined;
  }
  return { processor, free };
}
