/** One cell from its namespace to its verdict: load, measurement, drain, and what both sinks hold in the end. */
import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { decodeFromCompressedBase64 } from 'hdr-histogram-js';
import { SYSTEM_CLOCK } from '../../engine/core/clock.ts';
import { barsTopic } from '../../engine/sinks/kafka/topics.ts';
import { createTopicReader } from '../../test/torture/read-topics.ts';
import { readBrokerFigures } from './broker-figures.ts';
import { type BarConsumer, startBarConsumer } from './consumer.ts';
import { readDatabaseCounts } from './database-figures.ts';
import { commonEnvironment } from './engine-spec.ts';
import { expectBars } from './expected-bars.ts';
import { cellResultOf, type Measured } from './figures.ts';
import type { GeneratorResult } from './generator.ts';
import { endIngest, startGenerator } from './load.ts';
import { runLocalCell } from './local/run-local-cell.ts';
import { type Namespace, openNamespace } from './namespace.ts';
import type { PerfOptions } from './options.ts';
import { type PipelineProcess, waitFor } from './pipeline-process.ts';
import { readCpu, type WatchedProcess } from './processes.ts';
import { judge, readPublished, readStored } from './read-back.ts';
import type { CellPlan, CellResult, Verdict } from './report-model.ts';
import { isEngine, isLimit, LIMIT_COPY, STAGES } from './runtime-names.ts';
import { startRuntime } from './runtimes.ts';
import {
  acceptedOf,
  isAnswering,
  type Metrics,
  type RuntimePage,
  readMetrics,
  readRuntime,
  type Sampler,
  startSampler,
} from './sampler.ts';
import type { PerfServers } from './servers.ts';
import { startIngestStage, untilTablesStill } from './stages.ts';
import type { TickStream } from './tick-stream.ts';

export interface CellParts {
  readonly options: PerfOptions;
  readonly servers: PerfServers;
  /** Of letters, digits and underscores. */
  readonly run: string;
  readonly folder: string;
  /** Where the engine with a bug in it is. */
  readonly sabotagedRoot: string | undefined;
  /** Whoever ends the harness ends these. */
  readonly running: Set<Pick<PipelineProcess, 'killNow'>>;
}

/** A bare limit writes nothing that could be right or wrong. */
const UNJUDGED: Verdict = { isRight: true, differences: [], barsCompared: 0, messagesCompared: 0, expectedHash: null, foundHash: null };
/** Between the end of start-up and the first tick. */
const LEAD_MS = 1500;
/** A tick that is due when the stage ends may take so long on its way. */
const GRACE_MS = 250;
const READY_MS = 60_000;
const DRAIN_MS = 120_000;
const MEGA_DRAIN_MS = 900_000;
const SETTLED_MS = 1500;
/** A pipeline that takes nothing for so long, with ticks left, will not. */
const STILL_MS = 10_000;
const DAY_MS = 86_400_000;
const QUARTER_HOUR_MS = 900_000;
/** Between stages a bucket may wait for a bar of its partition that is a minute later. */
const STAGES_MARGIN_SEC = 65;

export async function runCell(plan: CellPlan, parts: CellParts): Promise<CellResult> {
  const folder = join(parts.folder, plan.id);
  mkdirSync(folder, { recursive: true });
  const namespace = await openNamespace(parts.servers, parts.run, plan.id);
  try {
    const cell = { ...parts, plan, namespace, folder };
    if (plan.runtime === LIMIT_COPY) return await measureCopy(cell);
    const measured = plan.mode === 'live' ? await measureLive(cell) : await measureCatchUp(cell);
    return cellResultOf(plan, parts.options, measured);
  } finally {
    await namespace.remove();
  }
}

interface Cell extends CellParts {
  readonly plan: CellPlan;
  readonly namespace: Namespace;
}

/** Bars of the ticks, made beforehand, into the engine's tables and nothing else: it needs no topic and measures itself. */
function measureCopy(cell: Cell): Promise<CellResult> {
  const { plan, options, running, servers } = cell;
  const watched = servers.processes.filter(({ name }) => name === 'postgres');
  return runLocalCell(plan, { options, running, environment: commonEnvironment(cell), watched });
}

/** Ticks at the pace of their times; what the engine does with them while they come is what counts. */
async function measureLive(cell: Cell): Promise<Measured> {
  const { options, plan, namespace, servers } = cell;
  const { warmupSec, stageSec } = options;
  const pipeline = await startRuntime(cell);
  cell.running.add(pipeline);
  let consumer: BarConsumer | undefined;
  let ingest: PipelineProcess | undefined;
  const over = new AbortController();
  try {
    await waitFor(`${plan.runtime} is ready`, pipeline, READY_MS, () => isAnswering(pipeline.url, '/ready'));
    if (plan.runtime === STAGES) {
      ingest = await startIngestStage(cell);
      cell.running.add(ingest);
    }
    const startMs = Math.ceil(SYSTEM_CLOCK.wallMs()) + LEAD_MS;
    const stageMs = startMs + warmupSec * 1000;
    const endMs = stageMs + stageSec * 1000;
    const stream = streamPlan(cell, startMs, warmupSec + stageSec);
    const stage = ingest;
    const load = stage
      ? () => endIngest(cell, stage, { stageMs, endMs })
      : startGenerator(cell, { ...stream, isPaced: true, warmupSec }, over.signal);
    consumer = await startBarConsumer({
      ...servers,
      topic: barsTopic(namespace.prefix, '1s'),
      partitions: namespace.partitions,
      fromMs: stageMs,
      toMs: endMs - 2000,
    });
    const watched = [...watchedBy(cell, pipeline), ...(ingest?.processes ?? [])];
    await untilWall(stageMs);
    const before = await look(pipeline, watched, servers);
    const sampler = sample(cell, pipeline);
    await untilWall(endMs + GRACE_MS);
    await sampler.stop();
    const after = await look(pipeline, watched, servers);
    const { sent, ticks } = await load();
    await drained(cell, pipeline, BigInt(sent.ticks));
    await settled(cell);
    const exitCode = await pipeline.stop();
    return await finish(cell, { ticks, endMs, before, after, sampler, sent, consumer, exitCode, seconds: stageSec });
  } finally {
    // What it has to say has been said by `finish`, or does not matter any more. Nor may a load that is not over disturb the next cell.
    over.abort();
    await consumer?.close().catch(() => undefined);
    for (const process of ingest ? [ingest, pipeline] : [pipeline]) {
      process.killNow();
      cell.running.delete(process);
    }
  }
}

/** A backlog with times past, all there before the pipeline starts. */
async function measureCatchUp(cell: Cell): Promise<Measured> {
  const { options, plan, servers } = cell;
  const nowMs = SYSTEM_CLOCK.wallMs() - DAY_MS;
  const startMs = nowMs - (nowMs % QUARTER_HOUR_MS);
  const stream = streamPlan(cell, startMs, options.backlogTicks / (plan.symbols * options.baseTps));
  const { sent, ticks } = await startGenerator(cell, { ...stream, isPaced: false, warmupSec: 0 })();
  const pipeline = await startRuntime(cell);
  cell.running.add(pipeline);
  try {
    await waitFor(`${plan.runtime} reads`, pipeline, READY_MS, async () => (await acceptedBy(pipeline)) > 0);
    const watched = watchedBy(cell, pipeline);
    const before = await look(pipeline, watched, servers);
    const sampler = sample(cell, pipeline);
    await drained(cell, pipeline, BigInt(sent.ticks));
    await sampler.stop();
    const after = await look(pipeline, watched, servers);
    await settled(cell);
    const exitCode = await pipeline.stop();
    const seconds = after.cpu.atSec - before.cpu.atSec;
    return await finish(cell, { ticks, endMs: undefined, before, after, sampler, sent, consumer: undefined, exitCode, seconds });
  } finally {
    pipeline.killNow();
    cell.running.delete(pipeline);
  }
}

export interface Look {
  readonly cpu: ReturnType<typeof readCpu>;
  readonly accepted: number;
  readonly metrics: ReadonlyMap<string, number>;
  readonly runtime: RuntimePage | undefined;
  readonly database: Awaited<ReturnType<typeof readDatabaseCounts>>;
  /** Undefined where the broker does not show its figures. */
  readonly broker: Metrics | undefined;
}

async function look(pipeline: PipelineProcess, watched: readonly WatchedProcess[], servers: PerfServers): Promise<Look> {
  const { url } = pipeline;
  const metrics = url === undefined ? new Map<string, number>() : await readMetrics(url);
  const runtime = url === undefined ? undefined : await readRuntime(url).catch(() => undefined);
  const cpu = readCpu(watched);
  const [database, broker] = await Promise.all([readDatabaseCounts(servers.connectionString), readBrokerFigures(servers.brokerMonitor)]);
  return { cpu, accepted: acceptedOf(metrics), metrics, runtime, database, broker };
}

interface Ended {
  /** Everything that was sent, again. */
  ticks(): TickStream;
  /** Of the stage; undefined where there is none. */
  readonly endMs: number | undefined;
  readonly before: Look;
  readonly after: Look;
  readonly sampler: Sampler;
  readonly sent: GeneratorResult;
  readonly consumer: BarConsumer | undefined;
  readonly exitCode: number | null;
  readonly seconds: number;
}

async function finish(cell: Cell, ended: Ended): Promise<Measured> {
  const { plan, namespace, servers } = cell;
  const isOurs = isEngine(plan.runtime);
  await ended.consumer?.close();
  const isStaged = plan.runtime === STAGES;
  const expected = expectBars(ended.ticks(), namespace.timeframes, namespace.partitions, {
    marginSec: isStaged ? STAGES_MARGIN_SEC : 0,
    mayKeepSeconds: isStaged && cell.options.stageCommands.bars1s !== undefined,
  });
  const reader = await createTopicReader(servers);
  try {
    const stored = await readStored(servers.connectionString, namespace, isOurs);
    const published = await readPublished(reader, namespace, namespace.partitions);
    const verdict = isLimit(plan.runtime) ? UNJUDGED : judge(expected, stored, published);
    const problems = [
      ...(ended.exitCode === 0 ? [] : [`${plan.runtime} ended with ${ended.exitCode === null ? 'a signal' : `code ${ended.exitCode}`}`]),
      ...(expected.ticks === ended.sent.ticks ? [] : [`${ended.sent.ticks} ticks were sent, the stream has ${expected.ticks}`]),
    ];
    const { brokerMonitor: monitor } = servers;
    return {
      ...ended,
      notSeen: 'notSeen' in monitor ? [`Kafka's own figures were not seen: ${monitor.notSeen}`] : [],
      verdict: { ...verdict, isRight: verdict.isRight && problems.length === 0, differences: [...problems, ...verdict.differences] },
      sendLag: ended.endMs === undefined ? undefined : decodeFromCompressedBase64(ended.sent.sendLag),
      barToConsumer: ended.consumer?.latency,
    };
  } finally {
    await reader.close();
  }
}

function streamPlan({ options, plan }: Cell, startMs: number, seconds: number) {
  // The same ticks for all that is compared: repeats differ, runtimes and worker counts do not.
  const seed = options.seed + plan.repeat * 1000 + plan.symbols;
  return { symbols: plan.symbols, baseTps: options.baseTps, seconds, seed, startMs };
}

function sample({ options }: Cell, { pid, processes, url }: PipelineProcess): Sampler {
  const otherPids = processes.map((process) => process.pid).filter((other) => other !== pid);
  return startSampler({ pid, otherPids, url, everyMs: options.sampleSec * 1000 });
}

function watchedBy({ servers }: Cell, pipeline: PipelineProcess): WatchedProcess[] {
  return [...pipeline.processes, { name: 'harness', pid: process.pid, hasThreads: false }, ...servers.processes];
}

async function acceptedBy({ url }: PipelineProcess): Promise<number> {
  if (url === undefined) return 0;
  try {
    return acceptedOf(await readMetrics(url));
  } catch {
    // It does not listen yet.
    return 0;
  }
}

/** Waits until everything is taken, or nothing has been for a while. What is missing is for the verdict to say. */
async function drained(cell: Cell, pipeline: PipelineProcess, ticks: bigint): Promise<void> {
  const limitMs = cell.plan.mode === 'live' ? DRAIN_MS : MEGA_DRAIN_MS;
  let taken = 0;
  let stillSince = performance.now();
  const isStill = (ms: number): boolean => performance.now() - stillSince >= ms;
  await waitFor('everything sent is taken', pipeline, limitMs, async () => {
    const now = await acceptedBy(pipeline);
    if (now !== taken) stillSince = performance.now();
    taken = now;
    return BigInt(taken) >= ticks || isStill(STILL_MS);
  });
}

/** The last epoch of the engine is committed and published by its stop; others get a moment, in which nothing is measured. */
async function settled({ plan, namespace, servers }: Cell): Promise<void> {
  if (plan.runtime === STAGES) await untilTablesStill(servers.connectionString, namespace);
  else if (!isEngine(plan.runtime)) await sleep(SETTLED_MS);
}

async function untilWall(ms: number): Promise<void> {
  const left = ms - SYSTEM_CLOCK.wallMs();
  if (left > 0) await sleep(left);
}
