/** Processor time and memory of processes, by thread, as the kernel counts them; the machine's own use beside it. */
import { readdirSync, readFileSync } from 'node:fs';
import { cpus } from 'node:os';
import { cpuSecondsOf } from '../engine-run.ts';

export interface WatchedProcess {
  readonly name: string;
  readonly pid: number;
  /** Its children are counted with it. */
  readonly hasChildren?: boolean;
  /** Its threads are told apart. */
  readonly hasThreads: boolean;
}

/** Processor seconds since each process began, by `<process> <thread>`. */
export interface CpuReading {
  readonly byThread: ReadonlyMap<string, number>;
  readonly machineBusySec: number;
  readonly atSec: number;
}

const PAGE_MIB = 4096 / 1_048_576;

/** Where there is no /proc nothing is read, and the report says so. */
export function readCpu(watched: readonly WatchedProcess[]): CpuReading {
  const byThread = new Map<string, number>();
  const add = (key: string, seconds: number): void => void byThread.set(key, (byThread.get(key) ?? 0) + seconds);
  for (const { name, pid, hasChildren = false, hasThreads } of watched) {
    for (const process of [pid, ...(hasChildren ? childrenOf(pid) : [])]) {
      if (!hasThreads) add(`${name} all`, readCpuSec(`/proc/${process}/stat`));
      else for (const [thread, seconds] of threadsOf(process)) add(`${name} ${thread}`, seconds);
    }
  }
  const busyMs = cpus().reduce((sum, { times }) => sum + times.user + times.nice + times.sys + times.irq, 0);
  return { byThread, machineBusySec: busyMs / 1000, atSec: performance.now() / 1000 };
}

/** What each thread used between two readings; threads that ended in between are left out. */
export function cpuBetween(before: CpuReading, after: CpuReading): Map<string, number> {
  return new Map([...after.byThread].map(([key, seconds]) => [key, Math.max(0, seconds - (before.byThread.get(key) ?? 0))]));
}

/** Share of all processors that went to others. */
export function othersShare(before: CpuReading, after: CpuReading): number {
  const own = [...cpuBetween(before, after).values()].reduce((sum, seconds) => sum + seconds, 0);
  const seconds = (after.atSec - before.atSec) * cpus().length;
  return seconds <= 0 ? 0 : Math.max(0, after.machineBusySec - before.machineBusySec - own) / seconds;
}

export function residentMib(pid: number): number | null {
  const text = readText(`/proc/${pid}/statm`);
  return text === undefined ? null : Number(text.split(' ')[1]) * PAGE_MIB;
}

/** The threads of a process: `main`, and the others in the order in which they began. */
function threadsOf(pid: number): [string, number][] {
  const ids = listOf(`/proc/${pid}/task`)
    .map(Number)
    .sort((left, right) => left - right);
  return ids.map((id, index) => [index === 0 ? 'main' : `thread ${index}`, readCpuSec(`/proc/${pid}/task/${id}/stat`)]);
}

function childrenOf(pid: number): number[] {
  const text = readText(`/proc/${pid}/task/${pid}/children`)?.trim() ?? '';
  return text === '' ? [] : text.split(' ').map(Number);
}

function readCpuSec(path: string): number {
  const text = readText(path);
  return text === undefined ? 0 : cpuSecondsOf(text);
}

function listOf(path: string): string[] {
  try {
    return readdirSync(path);
  } catch {
    // The process has ended.
    return [];
  }
}

function readText(path: string): string | undefined {
  try {
    return readFileSync(path, 'utf8');
  } catch {
    // The process or thread has ended, or this system has no /proc.
    return undefined;
  }
}
