/** How each runtime is started: the engine, the naive twin, or a peer by its command. */
import { join } from 'node:path';
import { EngineError } from '../../engine/core/errors.ts';
import { PROJECT_ROOT } from '../../engine/core/root.ts';
import type { Namespace } from './namespace.ts';
import type { PerfOptions } from './options.ts';
import { type PipelineProcess, startPipeline } from './pipeline-process.ts';
import type { CellPlan } from './report-model.ts';
import { isEngine, LIMIT_CONSUME, NAIVE, OURS } from './runtime-names.ts';

export interface RuntimeParts {
  readonly options: PerfOptions;
  readonly plan: CellPlan;
  readonly namespace: Namespace;
  readonly folder: string;
  /** Where the engine with a bug in it is. */
  readonly sabotagedRoot: string | undefined;
}

const OWN_MAINS: Readonly<Record<string, string>> = { [NAIVE]: 'naive-main.js', [LIMIT_CONSUME]: 'limit-consume-main.js' };
const STOP_MS = '50000';

/** @throws EngineError PERF_PROCESS, PERF_RUNTIME */
export async function startRuntime({
  options,
  plan,
  namespace,
  folder,
  sabotagedRoot = PROJECT_ROOT,
}: RuntimeParts): Promise<PipelineProcess> {
  // WORKERS of the run is a list, which no pipeline understands.
  const workers = String(plan.workers);
  const common = { ...namespace.environment, METRICS_PORT: '0', LOG_FILE: join(folder, 'engine.log'), WORKERS: workers };
  if (isEngine(plan.runtime)) {
    const root = plan.runtime === OURS ? PROJECT_ROOT : sabotagedRoot;
    return startPipeline({
      name: plan.runtime,
      command: process.execPath,
      args: [join(root, 'dist/engine/main.js')],
      cwd: root,
      folder,
      environment: {
        ...common,
        SOURCE: 'kafka',
        QUEUE: String(options.queue),
        FLUSH_MS: String(options.flushMs),
        STATE_DIR: join(folder, 'state'),
        STOP_MS,
      },
    });
  }
  await namespace.createTables();
  const own = OWN_MAINS[plan.runtime];
  if (own !== undefined) {
    const args = [join(PROJECT_ROOT, 'dist/bench/perf-test', own)];
    return startPipeline({ name: plan.runtime, command: process.execPath, args, cwd: PROJECT_ROOT, folder, environment: common });
  }
  const peer = options.peerCommands.find(({ name }) => name === plan.runtime);
  if (!peer)
    throw new EngineError(
      'PERF_RUNTIME',
      `runtime '${plan.runtime}': neither ${[OURS, ...Object.keys(OWN_MAINS)].join(', ')} nor a peer that was given`,
    );
  return startPipeline({
    name: peer.name,
    command: '',
    args: [],
    shell: peer.command,
    cwd: PROJECT_ROOT,
    folder,
    environment: { ...common, METRICS_PORT: '8112' },
  });
}
