/** The measured stage of a cell that is measured from inside: what was done and used between its begin and its end, and samples on the way. */
import { cpus } from 'node:os';
import { SYSTEM_CLOCK } from '../../../engine/core/clock.ts';
import { assert } from '../../../engine/core/errors.ts';
import { watchRuntime } from '../../../engine/runtime/runtime-figures.ts';
import { type CpuReading, cpuBetween, readCpu, type WatchedProcess } from '../processes.ts';
import type { Series } from '../sampler.ts';
import type { LocalResult } from './local-plan.ts';
import type { ThreadTable } from './threads.ts';

export interface StageWatch {
  begin(): void;
  end(): void;
  /** Of a stage that has ended. */
  figures(): StageFigures;
  /** Ends the samples. */
  close(): void;
}

export type StageFigures = Pick<LocalResult, 'seconds' | 'done' | 'bars' | 'cpu' | 'gc' | 'eventLoopDelayMs' | 'othersShare' | 'series'>;

export interface StageCounts {
  readonly done: number;
  /** Null where there are none. */
  readonly bars: number | null;
}

export interface StageOptions {
  readonly threads: ThreadTable;
  readonly sampleSec: number;
  /** Servers that work for this process. */
  readonly watched?: readonly WatchedProcess[];
  counts(): StageCounts;
  /** Slots in use of the deepest ring on the way in. */
  depth(): number;
}

interface Reading extends StageCounts {
  readonly atUs: number;
  readonly cpu: ReadonlyMap<string, number>;
  readonly servers: CpuReading;
  readonly machineBusySec: number;
  readonly gc: { readonly count: number; readonly totalMs: number; readonly maxMs: number };
}

export function watchStage({ threads, sampleSec, watched = [], counts, depth }: StageOptions): StageWatch {
  const runtime = watchRuntime({});
  const series: Series = {
    atSec: [],
    residentMib: [],
    heapMib: [],
    ringDepth: [],
    openEpochs: [],
    eventLoopDelayP99Ms: [],
    acceptedPerSec: [],
  };
  let before: Reading | undefined;
  let after: Reading | undefined;
  let delay: LocalResult['eventLoopDelayMs'] = null;

  const read = (): Reading => {
    const { count, totalMs, maxMs } = runtime.read().gc;
    return {
      ...counts(),
      atUs: SYSTEM_CLOCK.monotonicUs(),
      cpu: threads.read(),
      servers: readCpu(watched),
      machineBusySec: busySec(),
      gc: { count, totalMs, maxMs },
    };
  };
  let last = { atUs: 0, done: 0 };
  const look = (): void => {
    if (before === undefined || after !== undefined) return;
    const { heapBytes, residentBytes, eventLoopDelayMs } = runtime.read();
    const now = { atUs: SYSTEM_CLOCK.monotonicUs(), done: counts().done };
    series.atSec.push((now.atUs - before.atUs) / 1e6);
    series.residentMib.push(residentBytes / 1_048_576);
    series.heapMib.push(heapBytes / 1_048_576);
    series.ringDepth.push(depth());
    series.openEpochs.push(null);
    series.eventLoopDelayP99Ms.push(eventLoopDelayMs.p99);
    series.acceptedPerSec.push(((now.done - last.done) * 1e6) / Math.max(1, now.atUs - last.atUs));
    last = now;
  };
  const timer = setInterval(look, sampleSec * 1000);
  return {
    begin() {
      before = read();
      last = before;
    },
    end() {
      look();
      after = read();
      delay = runtime.read().eventLoopDelayMs;
    },
    figures() {
      assert(before !== undefined && after !== undefined, 'the stage has begun and ended');
      const [first, final] = [before, after];
      const seconds = (final.atUs - first.atUs) / 1e6;
      const cpu = [...used(first.cpu, final.cpu)].map(([thread, cpuSec]) => ({ process: 'engine', thread, cpuSec }));
      for (const [key, cpuSec] of cpuBetween(first.servers, final.servers)) {
        const at = key.indexOf(' ');
        cpu.push({ process: key.slice(0, at), thread: key.slice(at + 1), cpuSec });
      }
      const own = cpu.reduce((sum, { cpuSec }) => sum + cpuSec, 0);
      const others = Math.max(0, final.machineBusySec - first.machineBusySec - own) / (seconds * cpus().length);
      return {
        seconds,
        done: final.done - first.done,
        bars: final.bars === null || first.bars === null ? null : final.bars - first.bars,
        cpu,
        gc: { ...final.gc, count: final.gc.count - first.gc.count, totalMs: final.gc.totalMs - first.gc.totalMs },
        eventLoopDelayMs: delay,
        othersShare: final.cpu.size === 0 ? null : others,
        series,
      };
    },
    close() {
      clearInterval(timer);
      runtime.close();
    },
  };
}

function used(before: ReadonlyMap<string, number>, after: ReadonlyMap<string, number>): Map<string, number> {
  return new Map([...after].map(([key, seconds]) => [key, Math.max(0, seconds - (before.get(key) ?? 0))]));
}

/** Seconds that all processors of the machine together have been busy. */
function busySec(): number {
  return cpus().reduce((sum, { times }) => sum + times.user + times.nice + times.sys + times.irq, 0) / 1000;
}
