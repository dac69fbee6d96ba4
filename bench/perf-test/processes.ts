/** Processor time and memory of processes, by thread, as the kernel counts them; the machine's own use beside it. */
import { readdirSync, readFileSync } from 'node:fs';
import { cpus } from 'node:os';
import { cpuSecondsOf } from '../engine-run.ts';

export interface WatchedProcess {
  readonly name: string;
  readonly pid: number;
  /** What it has started is counted with it, each process by its title. */
  readonly hasChildren?: boolean;
  /** Its threads are told apart. */
  readonly hasThreads: boolean;
}

interface ThreadTime {
  readonly process: string;
  /** Threads of one name count as one. */
  readonly thread: string;
  readonly seconds: number;
}

/** Processor seconds since each thread began. */
export interface CpuReading {
  /** By process and thread id, which tells threads of one name apart. */
  readonly byThread: ReadonlyMap<string, ThreadTime>;
  readonly machineBusySec: number;
  readonly atSec: number;
}

const PAGE_MIB = 4096 / 1_048_576;
const ALL = 'all';
const MAIN = 'main';
const HELPERS = 'helpers';

/** Where there is no /proc nothing is read, and the report says so. */
export function readCpu(watched: readonly WatchedProcess[]): CpuReading {
  const byThread = new Map<string, ThreadTime>();
  for (const { name, pid, hasChildren = false, hasThreads } of watched) {
    for (const process of [pid, ...(hasChildren ? descendantsOf(pid) : [])]) {
      const title = hasChildren ? titleOf(process, process === pid) : ALL;
      if (!hasThreads) byThread.set(`${process}`, { process: name, thread: title, seconds: readCpuSec(`/proc/${process}/stat`) });
      else for (const id of listOf(`/proc/${process}/task`)) byThread.set(`${process} ${id}`, { process: name, ...threadOf(process, id) });
    }
  }
  const busyMs = cpus().reduce((sum, { times }) => sum + times.user + times.nice + times.sys + times.irq, 0);
  return { byThread, machineBusySec: busyMs / 1000, atSec: performance.now() / 1000 };
}

/** What each thread used between two readings, by `<process> <thread>`; threads that ended in between are left out. */
export function cpuBetween(before: CpuReading, after: CpuReading): Map<string, number> {
  const found = new Map<string, number>();
  for (const [id, { process, thread, seconds }] of after.byThread) {
    const key = `${process} ${thread}`;
    found.set(key, (found.get(key) ?? 0) + Math.max(0, seconds - (before.byThread.get(id)?.seconds ?? 0)));
  }
  return found;
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

/** `main` is the thread that a process begins with; those that were given no name of their own are its helpers. */
function threadOf(pid: number, id: string): Pick<ThreadTime, 'thread' | 'seconds'> {
  const seconds = readCpuSec(`/proc/${pid}/task/${id}/stat`);
  if (id === String(pid)) return { thread: MAIN, seconds };
  const name = commandOf(`${pid}/task/${id}`);
  return { thread: name === commandOf(String(pid)) ? HELPERS : name, seconds };
}

function commandOf(path: string): string {
  return readText(`/proc/${path}/comm`)?.trim() || 'ended';
}

/**
 * What a child says of itself: of a server process of Postgres what it is there for, and `session` of one that serves a client; of another program
 * its name.
 */
function titleOf(pid: number, isParent: boolean): string {
  if (isParent) return MAIN;
  const title = /^postgres: ([a-z ]+)/.exec(readText(`/proc/${pid}/cmdline`) ?? '')?.[1]?.trim();
  if (title === undefined) return commandOf(String(pid));
  return POSTGRES_TITLES.find((known) => title.startsWith(known)) ?? 'session';
}

const POSTGRES_TITLES = [
  'checkpointer',
  'background writer',
  'walwriter',
  'autovacuum launcher',
  'autovacuum worker',
  'logical replication launcher',
  'io worker',
];

function descendantsOf(pid: number): number[] {
  const text = readText(`/proc/${pid}/task/${pid}/children`)?.trim() ?? '';
  const children = text === '' ? [] : text.split(' ').map(Number);
  return children.flatMap((child) => [child, ...descendantsOf(child)]);
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
