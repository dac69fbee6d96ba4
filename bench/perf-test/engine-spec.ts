/** How a process of the engine is started in a cell. */
import { join } from 'node:path';
import { PROJECT_ROOT } from '../../engine/core/root.ts';
import type { Namespace } from './namespace.ts';
import type { PerfOptions } from './options.ts';
import type { PipelineSpec } from './pipeline-process.ts';
import type { CellPlan } from './report-model.ts';

export interface RuntimeParts {
  readonly options: PerfOptions;
  readonly plan: CellPlan;
  readonly namespace: Namespace;
  readonly folder: string;
  /** Where the engine with a bug in it is. */
  readonly sabotagedRoot: string | undefined;
}

const STOP_MS = '50000';

/** What every program of a cell is told. WORKERS of the run is a list, which no pipeline understands. */
export function commonEnvironment({
  plan,
  namespace,
  folder,
}: Pick<RuntimeParts, 'plan' | 'namespace' | 'folder'>): Record<string, string> {
  return { ...namespace.environment, METRICS_PORT: '0', LOG_FILE: join(folder, 'engine.log'), WORKERS: String(plan.workers) };
}

export function engineSpec(parts: RuntimeParts, args: readonly string[] = [], root = PROJECT_ROOT): PipelineSpec {
  const { options, plan, folder } = parts;
  return {
    name: plan.runtime,
    command: process.execPath,
    args: [join(root, 'dist/engine/main.js'), ...args],
    cwd: root,
    folder,
    environment: {
      ...commonEnvironment(parts),
      SOURCE: 'kafka',
      ...(options.kafkaLane === undefined ? {} : { KAFKA_LANE: options.kafkaLane }),
      QUEUE: String(options.queue),
      FLUSH_MS: String(options.flushMs),
      STATE_DIR: join(folder, 'state'),
      STOP_MS,
    },
  };
}
