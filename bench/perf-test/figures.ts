/** From what was measured to the figures of a cell. */
import { cpus } from 'node:os';
import type { Histogram } from '../../engine/core/latency.ts';
import { brokerBetween } from './broker-figures.ts';
import { countsBetween } from './database-figures.ts';
import type { GeneratorResult } from './generator.ts';
import type { PerfOptions } from './options.ts';
import { cpuBetween, othersShare } from './processes.ts';
import type { CellPlan, CellResult, Latency, Verdict } from './report-model.ts';
import type { Look } from './run-cell.ts';
import { latencyBetween, type Metrics, type Sampler, toLatency } from './sampler.ts';

export interface Measured {
  readonly before: Look;
  readonly after: Look;
  readonly sampler: Sampler;
  readonly sent: GeneratorResult;
  readonly seconds: number;
  readonly verdict: Verdict;
  /** Undefined where nothing is paced. */
  readonly sendLag: Histogram | undefined;
  readonly barToConsumer: Histogram | undefined;
  /** What could not be looked into, a line each. */
  readonly notSeen: readonly string[];
}

/** Less than this share of the offered load achieved: saturated. */
const SUSTAINED_SHARE = 0.999;

export function cellResultOf(plan: CellPlan, options: PerfOptions, measured: Measured): CellResult {
  const { before, after, sampler, sent, seconds, verdict } = measured;
  const isLive = plan.mode === 'live';
  const missing = Math.max(0, sent.ticks - after.accepted);
  const offered = isLive ? sent.due : sent.ticks;
  const achieved = isLive ? Math.max(0, sent.due - missing) : after.accepted - before.accepted;
  const isSaturated = isLive && (achieved < offered * SUSTAINED_SHARE || sent.sent < sent.due * SUSTAINED_SHARE);
  // Where the first look came too late there is nothing to make a rate of.
  const isTooShort = !isLive && achieved === 0 && sent.ticks > 0;
  const perSecond = (ticks: number): number | null => (isTooShort ? null : ticks / seconds);
  const latency = latencies(measured);
  const bars = (name: string): number => counter(after.metrics, name) - counter(before.metrics, name);
  const dropped = sumOf(after.metrics, 'tickwright_ticks_dropped_total') - sumOf(before.metrics, 'tickwright_ticks_dropped_total');
  const ring = sampler.series.ringDepth.filter((depth) => depth !== null);
  return {
    ...plan,
    duration_sec: seconds,
    source_ticks_per_sec: perSecond(isLive ? sent.sent : achieved),
    source_latency_p95_sec: null,
    source_dropped: dropped,
    source_queue_peak: ring.length === 0 ? null : Math.max(...ring),
    builder_ticks_per_sec: perSecond(achieved),
    builder_bars_per_sec: bars('bars_1s_written_total') / seconds,
    builder_latency_p95_sec: p95(measured),
    agg_3m_bars_per_sec: bars('bar_agg_output_3m_total') / seconds,
    agg_latency_p95_sec: p95(measured),
    queue: options.queue,
    flushMs: options.flushMs,
    offeredPerSec: isLive ? plan.symbols * options.baseTps : 0,
    offered,
    sent: isLive ? sent.sent : sent.ticks,
    achieved,
    isSaturated,
    verdict,
    latency,
    ...workerLatencies(measured),
    ...processorFigures(measured, achieved),
    ...runtimeFigures(measured),
    flushes: flushFigures(before.metrics, after.metrics),
    servers: { ...countsBetween(before.database, after.database), ...brokerBetween(before.broker, after.broker) },
    othersShare: Math.max(0, othersShare(before.cpu, after.cpu) - (isLive ? sent.cpuSec / (seconds * cpus().length) : 0)),
    series: sampler.series,
    notes: [
      ...(isTooShort ? [`all ${sent.ticks} ticks were taken before the first look: no rate; PERF_BACKLOG has to be larger`] : []),
      ...notesOf(plan),
      ...measured.notSeen,
    ],
  };
}

function latencies({ before, after, sendLag, barToConsumer }: Measured): Record<string, Latency> {
  const found: Record<string, Latency> = {};
  if (sendLag && sendLag.totalCount > 0) found['sendLag'] = toLatency(sendLag);
  for (const [stage, hdr] of Object.entries(after.runtime?.histograms ?? {})) {
    const latency = latencyBetween(before.runtime?.histograms[stage], hdr);
    if (latency.count > 0) found[stage] = latency;
  }
  if (barToConsumer && barToConsumer.totalCount > 0) found['barToConsumer'] = toLatency(barToConsumer);
  return found;
}

/** By stage and worker; nothing where no worker measures by itself. */
function workerLatencies({ before, after }: Measured): Pick<CellResult, 'workerLatency'> {
  const found: Record<string, Record<string, Latency>> = {};
  for (const [stage, workers] of Object.entries(after.runtime?.workerHistograms ?? {})) {
    for (const [worker, hdr] of Object.entries(workers)) {
      const latency = latencyBetween(before.runtime?.workerHistograms?.[stage]?.[worker], hdr);
      if (latency.count > 0) found[stage] = { ...found[stage], [worker]: latency };
    }
  }
  return Object.keys(found).length === 0 ? {} : { workerLatency: found };
}

function p95({ barToConsumer }: Measured): number | null {
  return barToConsumer && barToConsumer.totalCount > 0 ? barToConsumer.getValueAtPercentile(95) / 1e6 : null;
}

function processorFigures({ before, after, verdict, sendLag, sent }: Measured, ticks: number): Pick<CellResult, 'cpu' | 'cpuUsPerTick'> {
  const cpu = [...cpuBetween(before.cpu, after.cpu)].map(([key, cpuSec]) => {
    const at = key.indexOf(' ');
    return { process: key.slice(0, at), thread: key.slice(at + 1), cpuSec };
  });
  // A backlog was made before the stage began, and a stage that makes the ticks is a process of the pipeline.
  if (sendLag && sent.cpuSec > 0) cpu.push({ process: 'generator', thread: 'all', cpuSec: sent.cpuSec });
  const byProcess: Record<string, number> = {};
  for (const { process, cpuSec } of cpu) byProcess[process] = (byProcess[process] ?? 0) + cpuSec;
  const perTick = Object.fromEntries(Object.entries(byProcess).map(([process, cpuSec]) => [process, (cpuSec * 1e6) / Math.max(1, ticks)]));
  return { cpu, cpuUsPerTick: verdict.isRight && ticks > 0 ? perTick : null };
}

function runtimeFigures({ before, after }: Measured): Pick<CellResult, 'gc' | 'eventLoopDelayMs'> {
  if (!after.runtime) return { gc: null, eventLoopDelayMs: null };
  const earlier = before.runtime?.gc ?? { count: 0, totalMs: 0 };
  const { gc, eventLoopDelayMs } = after.runtime;
  return { gc: { count: gc.count - earlier.count, totalMs: gc.totalMs - earlier.totalMs, maxMs: gc.maxMs }, eventLoopDelayMs };
}

function flushFigures(before: Metrics, after: Metrics): CellResult['flushes'] {
  const delta = (what: string): number => writer(after, what) - writer(before, what);
  const count = delta('epochs');
  if (!(count > 0)) return null;
  const rows = sumOf(after, 'tickwright_bars_written_total') - sumOf(before, 'tickwright_bars_written_total');
  return { count, meanMs: delta('flushMsSum') / count, meanBytes: delta('bytes') / count, meanRows: rows / count };
}

function writer(metrics: Metrics, what: string): number {
  return metrics.get(`tickwright_writer{what="${what}"}`) ?? Number.NaN;
}

function counter(metrics: Metrics, name: string): number {
  return metrics.get(name) ?? 0;
}

function sumOf(metrics: Metrics, name: string): number {
  return [...metrics].reduce((sum, [key, value]) => (key === name || key.startsWith(`${name}{`) ? sum + value : sum), 0);
}

function notesOf({ mode }: CellPlan): string[] {
  return mode === 'live'
    ? ['gc maximum and event loop delay are since the process began, warm-up included; all else is of the stage']
    : ['from the first tick taken to the last one; reading the servers page by page takes part of it'];
}
