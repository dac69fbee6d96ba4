/** How each runtime is started: the engine, the naive twin, single stages, or a peer by its command. */
import { join } from 'node:path';
import { EngineError } from '../../engine/core/errors.ts';
import { PROJECT_ROOT } from '../../engine/core/root.ts';
import { commonEnvironment, engineSpec, type RuntimeParts } from './engine-spec.ts';
import { type PipelineProcess, startPipeline } from './pipeline-process.ts';
import { isEngine, LIMIT_CONSUME, NAIVE, OURS, STAGES } from './runtime-names.ts';
import { startStages } from './stages.ts';

const OWN_MAINS: Readonly<Record<string, string>> = { [NAIVE]: 'naive-main.js', [LIMIT_CONSUME]: 'limit-consume-main.js' };

/** @throws EngineError PERF_PROCESS, PERF_RUNTIME, PERF_WAIT */
export async function startRuntime(parts: RuntimeParts): Promise<PipelineProcess> {
  const { options, plan, namespace, folder, sabotagedRoot = PROJECT_ROOT } = parts;
  if (isEngine(plan.runtime)) return startPipeline(engineSpec(parts, [], plan.runtime === OURS ? PROJECT_ROOT : sabotagedRoot));
  if (plan.runtime === STAGES) return await startStages(parts);
  await namespace.createTables();
  const common = commonEnvironment(parts);
  const own = OWN_MAINS[plan.runtime];
  if (own !== undefined) {
    const args = [join(PROJECT_ROOT, 'dist/bench/perf-test', own)];
    return startPipeline({ name: plan.runtime, command: process.execPath, args, cwd: PROJECT_ROOT, folder, environment: common });
  }
  const peer = options.peerCommands.find(({ name }) => name === plan.runtime);
  if (!peer)
    throw new EngineError(
      'PERF_RUNTIME',
      `runtime '${plan.runtime}': neither ${[OURS, STAGES, ...Object.keys(OWN_MAINS)].join(', ')} nor a peer that was given`,
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
