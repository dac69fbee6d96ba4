/** Where the ticks of a cell come from: the generator, or a stage that makes them itself. */
import { spawn } from 'node:child_process';
import { join } from 'node:path';
import { EngineError } from '../../engine/core/errors.ts';
import { PROJECT_ROOT } from '../../engine/core/root.ts';
import type { GeneratorPlan, GeneratorResult } from './generator.ts';
import type { Namespace } from './namespace.ts';
import type { PipelineProcess } from './pipeline-process.ts';
import type { CellPlan } from './report-model.ts';
import type { PerfServers } from './servers.ts';
import { createTickStream, type TickStream } from './tick-stream.ts';
import { readTopicTicks, type StageTimes, streamOf } from './topic-ticks.ts';

export interface LoadParts {
  readonly plan: CellPlan;
  readonly namespace: Namespace;
  readonly servers: PerfServers;
}

export interface SentLoad {
  readonly sent: GeneratorResult;
  /** Everything that was sent, again. */
  ticks(): TickStream;
}

/** Runs a generator in a process of its own, which a signal ends, and the end of this one. @throws EngineError PERF_GENERATOR */
export function runGenerator(plan: GeneratorPlan, signal?: AbortSignal): Promise<GeneratorResult> {
  const child = spawn(process.execPath, [join(PROJECT_ROOT, 'dist/bench/perf-test/generator-main.js'), JSON.stringify(plan)], {
    stdio: ['ignore', 'pipe', 'inherit'],
    ...(signal ? { signal } : {}),
  });
  const end = (): void => {
    child.kill();
  };
  process.once('exit', end);
  child.once('close', () => process.off('exit', end));
  let said = '';
  child.stdout.on('data', (chunk: Buffer) => {
    said += chunk.toString();
  });
  return new Promise((resolve, reject) => {
    child.once('error', reject);
    child.once('close', (code) => {
      if (code !== 0) reject(new EngineError('PERF_GENERATOR', `the generator ended with code ${code}: ${said.slice(-500)}`));
      else resolve(JSON.parse(said) as GeneratorResult);
    });
  });
}

/** Starts the generator now, which a signal ends; what it returns waits for its end. @throws EngineError PERF_GENERATOR, when that is waited for */
export function startGenerator(
  { plan, namespace, servers }: LoadParts,
  load: Omit<GeneratorPlan, 'brokers' | 'topic' | 'encoding'>,
  signal?: AbortSignal,
): () => Promise<SentLoad> {
  const done = runGenerator({ ...load, brokers: servers.brokers, topic: namespace.ticksTopic, encoding: plan.encoding ?? 'json' }, signal);
  // Whoever waits for it is told.
  done.catch(() => undefined);
  return async () => ({ sent: await done, ticks: () => createTickStream(load) });
}

/** Ends the stage that made the ticks, and reads them. @throws EngineError PERF_PROCESS when it did not end well, PERF_TICKS */
export async function endIngest({ plan, servers, namespace }: LoadParts, ingest: PipelineProcess, times: StageTimes): Promise<SentLoad> {
  const code = await ingest.stop();
  if (code !== 0) {
    const how = code === null ? 'a signal' : `code ${code}`;
    throw new EngineError('PERF_PROCESS', `${plan.runtime}: its ingest stage ended with ${how}; it said:\n${ingest.said()}`);
  }
  const { ticks, counts } = await readTopicTicks(servers, namespace, times);
  return { sent: counts, ticks: () => streamOf(ticks) };
}
