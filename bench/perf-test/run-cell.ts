/** One cell from its namespace to its verdict: load, measurement, drain, and what both sinks hold in the end. */
import { spawn } from 'node:child_process';
import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { decodeFromCompressedBase64 } from 'hdr-histogram-js';
import { SYSTEM_CLOCK } from '../../engine/core/clock.ts';
import { EngineError } from '../../engine/core/errors.ts';
import { PROJECT_ROOT } from '../../engine/core/root.ts';
import { barsTopic } from '../../engine/sinks/kafka/topics.ts';
import { createTopicReader } from '../../test/torture/read-topics.ts';
import { type BarConsumer, startBarConsumer } from './consumer.ts';
import { readDatabaseCounts } from './database-figures.ts';
import { expectBars } from './expected-bars.ts';
import { cellResultOf, type Measured } from './figures.ts';
import type { GeneratorPlan, GeneratorResult } from './generator.ts';
import { runLocalCell } from './local/run-local-cell.ts';
import { type Namespace, openNamespace } from './namespace.ts';
import type { PerfOptions } from './options.ts';
import { type PipelineProcess, waitFor } from './pipeline-process.ts';
import { readCpu, type WatchedProcess } from './processes.ts';
import { judge, readPublished, readStored } from './read-back.ts';
import type { CellPlan, CellResult, Verdict } from './report-model.ts';
import { isEngine, isLimit, LIMIT_COPY } from './runtime-names.ts';
import { startRuntime } from './runtimes.ts';
import { acceptedOf, ask, type RuntimePage, readMetrics, readRuntime, type Sampler, startSampler } from './sampler.ts';
import type { PerfServers } from './servers.ts';
import { createTickStream } from './tick-stream.ts';

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
function measureCopy({ plan, options, running, namespace: { environment }, servers }: Cell): Promise<CellResult> {
  const watched = servers.processes.filter(({ name }) => name === 'postgres');
  return runLocalCell(plan, { options, running, environment, watched });
}

/** Ticks at the pace of their times; what the engine does with them while they come is what counts. */
async function measureLive(cell: Cell): Promise<Measured> {
  const { options, plan, namespace, servers } = cell;
  const { warmupSec, stageSec } = options;
  const pipeline = await startRuntime(cell);
  cell.running.add(pipeline);
  let consumer: BarConsumer | undefined;
  try {
    await waitFor(`${plan.runtime} is ready`, pipeline, READY_MS, () => isReady(pipeline));
    const startMs = Math.ceil(SYSTEM_CLOCK.wallMs()) + LEAD_MS;
    const stageMs = startMs + warmupSec * 1000;
    const endMs = stageMs + stageSec * 1000;
    const stream = streamPlan(cell, startMs, warmupSec + stageSec);
    const generator = startGenerator(cell, { ...stream, isPaced: true, warmupSec });
    consumer = await startBarConsumer({
      ...servers,
      topic: barsTopic(namespace.prefix, '1s'),
      partitions: namespace.partitions,
      fromMs: stageMs,
      toMs: endMs - 2000,
    });
    const watched = watchedBy(cell, pipeline);
    await untilWall(stageMs);
    const before = await look(pipeline, watched, servers);
    const sampler = startSampler({ pid: pipeline.pid, url: pipeline.url, everyMs: options.sampleSec * 1000 });
    await untilWall(endMs + GRACE_MS);
    await sampler.stop();
    const after = await look(pipeline, watched, servers);
    const sent = await generator.done;
    await drained(cell, pipeline, BigInt(sent.ticks));
    const exitCode = await pipeline.stop();
    return await finish(cell, { stream, startMs, endMs, before, after, sampler, sent, consumer, exitCode, seconds: stageSec });
  } finally {
    // What it has to say has been said by `finish`, or does not matter any more.
    await consumer?.close().catch(() => undefined);
    pipeline.killNow();
    cell.running.delete(pipeline);
  }
}

/** A backlog with times past, all there before the pipeline starts. */
async function measureCatchUp(cell: Cell): Promise<Measured> {
  const { options, plan, servers } = cell;
  const nowMs = SYSTEM_CLOCK.wallMs() - DAY_MS;
  const startMs = nowMs - (nowMs % QUARTER_HOUR_MS);
  const stream = streamPlan(cell, startMs, options.backlogTicks / (plan.symbols * options.baseTps));
  const generator = startGenerator(cell, { ...stream, isPaced: false, warmupSec: 0 });
  const sent = await generator.done;
  const pipeline = await startRuntime(cell);
  cell.running.add(pipeline);
  try {
    await waitFor(`${plan.runtime} reads`, pipeline, READY_MS, async () => (await acceptedBy(pipeline)) > 0);
    const watched = watchedBy(cell, pipeline);
    const before = await look(pipeline, watched, servers);
    const sampler = startSampler({ pid: pipeline.pid, url: pipeline.url, everyMs: options.sampleSec * 1000 });
    await drained(cell, pipeline, BigInt(sent.ticks));
    await sampler.stop();
    const after = await look(pipeline, watched, servers);
    const exitCode = await pipeline.stop();
    const seconds = after.cpu.atSec - before.cpu.atSec;
    return await finish(cell, { stream, startMs, endMs: undefined, before, after, sampler, sent, consumer: undefined, exitCode, seconds });
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
}

async function look(pipeline: PipelineProcess, watched: readonly WatchedProcess[], servers: PerfServers): Promise<Look> {
  const { url } = pipeline;
  const metrics = url === undefined ? new Map<string, number>() : await readMetrics(url);
  const runtime = url === undefined ? undefined : await readRuntime(url).catch(() => undefined);
  const cpu = readCpu(watched);
  return { cpu, accepted: acceptedOf(metrics), metrics, runtime, database: await readDatabaseCounts(servers.connectionString) };
}

interface Ended {
  readonly stream: ReturnType<typeof streamPlan>;
  readonly startMs: number;
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
  const expected = expectBars(createTickStream(ended.stream), namespace.timeframes, namespace.partitions);
  const reader = await createTopicReader(servers);
  try {
    const stored = await readStored(servers.connectionString, namespace, isOurs);
    const published = await readPublished(reader, namespace, namespace.partitions);
    const verdict = isLimit(plan.runtime) ? UNJUDGED : judge(expected, stored, published);
    const problems = [
      ...(ended.exitCode === 0 ? [] : [`${plan.runtime} ended with ${ended.exitCode === null ? 'a signal' : `code ${ended.exitCode}`}`]),
      ...(expected.ticks === ended.sent.ticks ? [] : [`${ended.sent.ticks} ticks were sent, the stream has ${expected.ticks}`]),
    ];
    return {
      ...ended,
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

function startGenerator({ options, namespace, servers }: Cell, plan: Omit<GeneratorPlan, 'brokers' | 'topic' | 'encoding'>) {
  const whole: GeneratorPlan = { ...plan, brokers: servers.brokers, topic: namespace.ticksTopic, encoding: options.encoding };
  const child = spawn(process.execPath, [join(PROJECT_ROOT, 'dist/bench/perf-test/generator-main.js'), JSON.stringify(whole)], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  let said = '';
  child.stdout.on('data', (chunk: Buffer) => {
    said += chunk.toString();
  });
  const done = new Promise<GeneratorResult>((resolve, reject) => {
    child.once('error', reject);
    child.once('close', (code) => {
      if (code !== 0) reject(new EngineError('PERF_GENERATOR', `the generator ended with code ${code}: ${said.slice(-500)}`));
      else resolve(JSON.parse(said) as GeneratorResult);
    });
  });
  done.catch(() => undefined);
  return { done };
}

function watchedBy({ servers }: Cell, pipeline: PipelineProcess): WatchedProcess[] {
  return [
    { name: 'engine', pid: pipeline.pid, hasThreads: true },
    { name: 'harness', pid: process.pid, hasThreads: false },
    ...servers.processes,
  ];
}

async function isReady({ url }: PipelineProcess): Promise<boolean> {
  if (url === undefined) return false;
  try {
    return (await ask(`${url}/ready`)).ok;
  } catch {
    // It does not listen yet.
    return false;
  }
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

/** Waits until everything is taken, and stands still. */
async function drained(cell: Cell, pipeline: PipelineProcess, ticks: bigint): Promise<void> {
  const limitMs = cell.plan.mode === 'live' ? DRAIN_MS : MEGA_DRAIN_MS;
  let taken = 0;
  let stillSince = performance.now();
  const isStill = (ms: number): boolean => performance.now() - stillSince >= ms;
  await waitFor('everything sent is taken', pipeline, limitMs, async () => {
    const now = await acceptedBy(pipeline);
    if (now !== taken) stillSince = performance.now();
    taken = now;
    // The last epoch of the engine is committed and published by its stop; others get a moment. What is missing is for the verdict to say.
    if (BigInt(taken) >= ticks) return isEngine(cell.plan.runtime) || isStill(SETTLED_MS);
    return isStill(STILL_MS);
  });
}

async function untilWall(ms: number): Promise<void> {
  const left = ms - SYSTEM_CLOCK.wallMs();
  if (left > 0) await sleep(left);
}
