/**
 * A pipeline of single stages, each a process of its own: another program where its variable names one, else the engine as that stage. Over a
 * backlog there is no ingest stage; live it stands in for the generator, and what it has written to the topic is what the oracle counts.
 */
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { multiTimeframes } from '../../config/stage-rules.ts';
import { quoteIdentifier, withConnection } from '../../engine/sinks/postgres/connection.ts';
import { engineSpec, type RuntimeParts } from './engine-spec.ts';
import type { Namespace } from './namespace.ts';
import type { NamedStage } from './options.ts';
import { type PipelineProcess, startPipeline, waitFor } from './pipeline-process.ts';
import { isAnswering } from './sampler.ts';

type Stage = NamedStage | 'bars1m';

const READY_MS = 60_000;
/** Where the contract's programs answer, when they are told. */
const CONTRACT_PORTS: Readonly<Record<Stage, string>> = { ingest: '8111', bars1s: '8112', bars1m: '8118', multi: '8113' };
/** Bars go from stage to stage by topics: they are through when the tables have stood still for so long. */
const STILL_MS = 4000;
const STILL_LIMIT_MS = 120_000;
const LOOK_MS = 500;

/** Starts the stages behind ingest. Ours come first, since they make the schema. @throws EngineError PERF_PROCESS, PERF_WAIT */
export async function startStages(parts: RuntimeParts): Promise<PipelineProcess> {
  const { options, namespace } = parts;
  const isForeign = (stage: Stage): boolean => stage !== 'bars1m' && options.stageCommands[stage] !== undefined;
  const names = namespace.timeframes.map(({ name }) => name).join(',');
  const foreignTables = [...(isForeign('bars1s') ? ['1s'] : []), ...(isForeign('multi') ? multiTimeframes(names) : [])];
  if (foreignTables.length > 0) await namespace.createTables(foreignTables);
  const stages = ['multi', 'bars1m', 'bars1s'] as const;
  const started = new Map<Stage, PipelineProcess>();
  try {
    for (const stage of [...stages.filter((name) => !isForeign(name)), ...stages.filter(isForeign)]) {
      const running = startStage(stage, parts);
      started.set(stage, running);
      if (!isForeign(stage)) await untilReady(stage, running);
    }
  } catch (error) {
    for (const running of started.values()) running.killNow();
    throw error;
  }
  return joinStages((['bars1s', 'bars1m', 'multi'] as const).flatMap((stage) => started.get(stage) ?? []));
}

/** The stage that makes the ticks of a live cell. @throws EngineError PERF_PROCESS, PERF_WAIT */
export async function startIngestStage(parts: RuntimeParts): Promise<PipelineProcess> {
  const running = startStage('ingest', parts);
  try {
    if (parts.options.stageCommands.ingest === undefined) await untilReady('ingest', running);
    return running;
  } catch (error) {
    running.killNow();
    throw error;
  }
}

function untilReady(stage: Stage, running: PipelineProcess): Promise<void> {
  return waitFor(`stage ${stage} is ready`, running, READY_MS, () => isAnswering(running.url, '/ready'));
}

function startStage(stage: Stage, parts: RuntimeParts): PipelineProcess {
  const { options, namespace, plan, folder } = parts;
  const spec = { ...engineSpec(parts, ['--stages', stage]), name: `${plan.runtime}-${stage}`, processName: stage };
  const load = {
    SIM_SYMBOLS: String(plan.symbols),
    SIM_BASE_TPS: String(options.baseTps),
    SIM_SEED: String(options.seed + plan.repeat),
  };
  const own = { SOURCE: stage === 'ingest' ? 'sim' : 'kafka', STATE_DIR: join(folder, stage), LOG_FILE: join(folder, `${stage}.log`) };
  const environment = { ...spec.environment, ...load, ...own };
  const shell = stage === 'bars1m' ? undefined : options.stageCommands[stage];
  if (shell === undefined) return startPipeline({ ...spec, environment });
  const told = { KAFKA_GROUP: `${namespace.group}.${stage}`, METRICS_PORT: CONTRACT_PORTS[stage] };
  return startPipeline({ ...spec, shell, environment: { ...environment, ...told } });
}

/** As one pipeline: it is asked where the first one answers, and ended in the order of the data. */
function joinStages(stages: readonly PipelineProcess[]): PipelineProcess {
  const first = stages[0]!;
  return {
    pid: first.pid,
    processes: stages.flatMap(({ processes }) => processes),
    get url() {
      return first.url;
    },
    get isRunning() {
      return stages.every(({ isRunning }) => isRunning);
    },
    async stop() {
      let worst: number | null = 0;
      for (const stage of stages) {
        const code = await stage.stop();
        if (worst === 0) worst = code;
      }
      return worst;
    },
    killNow() {
      for (const stage of stages) stage.killNow();
    },
    said: () => stages.map((stage) => stage.said().split('\n').slice(-6).join('\n')).join('\n'),
  };
}

/** Waits until the tables stand still, or for as long as may be: what is missing then is for the verdict to say. */
export async function untilTablesStill(connectionString: string, { schema, timeframes }: Namespace): Promise<void> {
  const counts = timeframes.map(({ name }) => `(select count(*) from ${quoteIdentifier(`bars_${name}`)})`).join(' + ');
  await withConnection(connectionString, schema, async (client) => {
    const endMs = performance.now() + STILL_LIMIT_MS;
    let rows = '';
    let stillSince = performance.now();
    while (performance.now() < endMs && performance.now() - stillSince < STILL_MS) {
      const { rows: found } = await client.query<{ total: string }>(`select (${counts})::text as total`);
      const total = found[0]?.total ?? '';
      if (total !== rows) stillSince = performance.now();
      rows = total;
      await sleep(LOOK_MS);
    }
  });
}
