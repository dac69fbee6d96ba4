/** Histograms of a cell by stage, and of those stages that workers measure by worker too. Microseconds. */
import { decodeFromCompressedBase64 } from 'hdr-histogram-js';
import { createHistogram, type Histogram } from '../../../engine/core/latency.ts';
import type { Latency } from '../report-model.ts';
import { toLatency } from '../sampler.ts';

export interface WorkerLatencies {
  /** What was recorded since the last time, encoded; of a worker, or of a stage that is not by worker. */
  add(stage: string, encoded: string, worker?: string): void;
  /** One value; of a worker, or of a stage that is not by worker. */
  record(stage: string, us: number, worker?: string): void;
  /** Forgets what came so far. */
  reset(): void;
  read(): { readonly latency: Record<string, Latency>; readonly workerLatency: Record<string, Record<string, Latency>> };
}

export function createWorkerLatencies(): WorkerLatencies {
  const stages = new Map<string, Histogram>();
  const workers = new Map<string, Map<string, Histogram>>();
  const stageOf = (stage: string): Histogram => {
    const found = stages.get(stage) ?? createHistogram();
    stages.set(stage, found);
    return found;
  };
  const workerOf = (stage: string, worker: string): Histogram => {
    const byWorker = workers.get(stage) ?? new Map<string, Histogram>();
    workers.set(stage, byWorker);
    const found = byWorker.get(worker) ?? createHistogram();
    byWorker.set(worker, found);
    return found;
  };
  return {
    add(stage, encoded, worker) {
      const interval = decodeFromCompressedBase64(encoded);
      stageOf(stage).add(interval);
      if (worker !== undefined) workerOf(stage, worker).add(interval);
    },
    record(stage, us, worker) {
      const value = Math.max(0, Math.round(us));
      stageOf(stage).recordValue(value);
      if (worker !== undefined) workerOf(stage, worker).recordValue(value);
    },
    reset() {
      stages.clear();
      workers.clear();
    },
    read: () => ({
      latency: latenciesOf(stages),
      workerLatency: Object.fromEntries([...workers].map(([stage, byWorker]) => [stage, latenciesOf(byWorker)])),
    }),
  };
}

function latenciesOf(histograms: ReadonlyMap<string, Histogram>): Record<string, Latency> {
  return Object.fromEntries(
    [...histograms].filter(([, { totalCount }]) => totalCount > 0).map(([name, found]) => [name, toLatency(found)]),
  );
}
