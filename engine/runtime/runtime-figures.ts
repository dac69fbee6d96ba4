/** How the main thread itself fares: pauses for garbage collection, delay of the event loop, memory; and the latencies as histograms. */
import { constants, monitorEventLoopDelay, PerformanceObserver } from 'node:perf_hooks';
import { encodeHistogram, type Histogram } from '../core/latency.ts';
import type { Stages } from './observe.ts';

/** All since the process began. */
export interface RuntimeFigures {
  /** Of main's own heap, in ms; `major` counts those of the whole heap. */
  readonly gc: { readonly count: number; readonly major: number; readonly totalMs: number; readonly maxMs: number };
  readonly eventLoopDelayMs: { readonly p50: number; readonly p99: number; readonly max: number };
  readonly heapBytes: number;
  readonly residentBytes: number;
  /** By stage: HDR histograms of microseconds, compressed and in base 64. They can be subtracted from one another. */
  readonly histograms: Readonly<Record<string, string>>;
  /** The same by stage and worker, of stages that workers measure each for itself; workers of all sessions, by name. */
  readonly workerHistograms: Readonly<Record<string, Readonly<Record<string, string>>>>;
}

export interface RuntimeWatch {
  read(): RuntimeFigures;
  close(): void;
}

/** The timer of the delay histogram; a value in it holds this much besides the delay. */
const RESOLUTION_MS = 10;

export function watchRuntime(stages: Stages): RuntimeWatch {
  const gc = { count: 0, major: 0, totalMs: 0, maxMs: 0 };
  const observer = new PerformanceObserver((list) => {
    for (const entry of list.getEntries()) {
      gc.count += 1;
      gc.totalMs += entry.duration;
      gc.maxMs = Math.max(gc.maxMs, entry.duration);
      if (isMajor(entry)) gc.major += 1;
    }
  });
  observer.observe({ entryTypes: ['gc'] });
  const delay = monitorEventLoopDelay({ resolution: RESOLUTION_MS });
  delay.enable();
  const delayMs = (nanos: number): number => Math.max(0, nanos / 1e6 - RESOLUTION_MS);
  return {
    read: () => ({
      gc: { ...gc },
      eventLoopDelayMs: { p50: delayMs(delay.percentile(50)), p99: delayMs(delay.percentile(99)), max: delayMs(delay.max) },
      heapBytes: process.memoryUsage().heapUsed,
      residentBytes: process.memoryUsage.rss(),
      histograms: Object.fromEntries(Object.entries(stages).map(([name, { stage }]) => [name, encodeHistogram(stage.total)])),
      workerHistograms: Object.fromEntries(
        Object.entries(stages).flatMap(([name, { stage }]) => (stage.workers.size === 0 ? [] : [[name, encodeAll(stage.workers)]])),
      ),
    }),
    close() {
      observer.disconnect();
      delay.disable();
    },
  };
}

function encodeAll(workers: ReadonlyMap<string, Histogram>): Record<string, string> {
  return Object.fromEntries([...workers].map(([worker, histogram]) => [worker, encodeHistogram(histogram)]));
}

function isMajor(entry: object): boolean {
  const detail = 'detail' in entry ? entry.detail : undefined;
  return typeof detail === 'object' && detail !== null && 'kind' in detail && detail.kind === constants.NODE_PERFORMANCE_GC_MAJOR;
}
