/** Looks at an engine from outside while it runs: its metrics page, its runtime page, its memory. */
import { decodeFromCompressedBase64, encodeIntoCompressedBase64, type Histogram } from 'hdr-histogram-js';
import { z } from 'zod';
import { summarise } from '../../engine/core/latency.ts';
import { residentMib } from './processes.ts';
import type { CellResult, Latency } from './report-model.ts';

const ANSWER_TIMEOUT_MS = 5000;

export type Metrics = ReadonlyMap<string, number>;

export type Series = { -readonly [Name in keyof CellResult['series']]: CellResult['series'][Name] };

const RUNTIME = z.object({
  gc: z.object({ count: z.number(), major: z.number(), totalMs: z.number(), maxMs: z.number() }),
  eventLoopDelayMs: z.object({ p50: z.number(), p99: z.number(), max: z.number() }),
  heapBytes: z.number(),
  histograms: z.record(z.string(), z.string()),
  workerHistograms: z.record(z.string(), z.record(z.string(), z.string())).optional(),
});
export type RuntimePage = z.infer<typeof RUNTIME>;

/** Samples of a metrics page, by the name with its labels as it stands there. */
export function parseMetrics(text: string): Map<string, number> {
  const found = new Map<string, number>();
  for (const line of text.split('\n')) {
    if (line === '' || line.startsWith('#')) continue;
    const at = line.lastIndexOf(' ');
    found.set(line.slice(0, at), Number(line.slice(at + 1)));
  }
  return found;
}

/** @throws when the pipeline does not answer in time */
export async function readMetrics(url: string): Promise<Metrics> {
  return parseMetrics(await (await ask(`${url}/metrics`)).text());
}

/** @throws when the pipeline does not answer in time, or has no such page */
export async function readRuntime(url: string): Promise<RuntimePage> {
  return RUNTIME.parse(await (await ask(`${url}/runtime`)).json());
}

/** True once it answers, and says yes. */
export async function isAnswering(url: string | undefined, path: string): Promise<boolean> {
  if (url === undefined) return false;
  try {
    return (await ask(`${url}${path}`)).ok;
  } catch {
    // It does not listen yet.
    return false;
  }
}

/** A question that is not answered is given up: a cell must end. */
export function ask(url: string): Promise<Response> {
  return fetch(url, { signal: AbortSignal.timeout(ANSWER_TIMEOUT_MS) });
}

/** The largest sample of a metric over all its labels; null when there is none. */
export function largest(metrics: Metrics, name: string): number | null {
  const values = [...metrics].filter(([key]) => key === name || key.startsWith(`${name}{`)).map(([, value]) => value);
  return values.length === 0 ? null : Math.max(...values);
}

/** What was recorded between two readings of a growing histogram. */
export function latencyBetween(before: string | undefined, after: string): Latency {
  const histogram = decodeFromCompressedBase64(after);
  const earlier = before === undefined ? undefined : decodeFromCompressedBase64(before);
  if (earlier === undefined || earlier.totalCount === 0) return toLatency(histogram);
  // Subtracting takes a largest value in the last step of the range for one beyond it, and refuses, unless the range may grow.
  histogram.autoResize = true;
  histogram.subtract(earlier);
  // Read back, so that its largest value is one that is still in it.
  return toLatency(decodeFromCompressedBase64(encodeIntoCompressedBase64(histogram)));
}

export function toLatency(histogram: Histogram): Latency {
  return { ...summarise(histogram), hdr: encodeIntoCompressedBase64(histogram) };
}

export interface Sampler {
  readonly series: Series;
  /** Stops looking; waits for the look under way. */
  stop(): Promise<void>;
}

export interface SamplerOptions {
  readonly pid: number;
  /** Further processes of the same pipeline. */
  readonly otherPids?: readonly number[];
  /** Undefined: only memory is seen. */
  readonly url: string | undefined;
  readonly everyMs: number;
}

export function startSampler({ pid, otherPids = [], url, everyMs }: SamplerOptions): Sampler {
  const series: Series = {
    atSec: [],
    residentMib: [],
    heapMib: [],
    ringDepth: [],
    openEpochs: [],
    eventLoopDelayP99Ms: [],
    acceptedPerSec: [],
  };
  const beganMs = performance.now();
  let before: { readonly atSec: number; readonly accepted: number } | undefined;

  const look = async (): Promise<void> => {
    const [metrics, runtime] = url === undefined ? [undefined, undefined] : await Promise.all([readMetrics(url), readRuntime(url)]);
    const atSec = (performance.now() - beganMs) / 1000;
    const accepted = metrics?.get('tickwright_ticks_accepted_total');
    series.atSec.push(atSec);
    const residents = [pid, ...otherPids].map(residentMib);
    series.residentMib.push(residents[0] === null ? null : residents.reduce<number>((sum, mib) => sum + (mib ?? 0), 0));
    series.heapMib.push(runtime ? runtime.heapBytes / 1_048_576 : null);
    series.ringDepth.push(metrics ? largest(metrics, 'tickwright_ring_depth') : null);
    series.openEpochs.push(metrics ? largest(metrics, 'tickwright_open_epochs') : null);
    series.eventLoopDelayP99Ms.push(runtime?.eventLoopDelayMs.p99 ?? null);
    series.acceptedPerSec.push(before && accepted !== undefined ? (accepted - before.accepted) / (atSec - before.atSec) : null);
    if (accepted !== undefined) before = { atSec, accepted };
  };

  let underWay = Promise.resolve();
  let isLooking = false;
  const timer = setInterval(() => {
    if (isLooking) return;
    isLooking = true;
    // A look that finds nobody, since the process is ending, leaves a gap.
    underWay = look()
      .catch(() => undefined)
      .finally(() => {
        isLooking = false;
      });
  }, everyMs);
  return {
    series,
    async stop() {
      clearInterval(timer);
      await underWay;
    },
  };
}

const ACCEPTED = ['tickwright_ticks_accepted_total', 'bars_1s_ticks_total', 'bars1s_ticks_total'];

/** Ticks taken so far, by the name that the pipeline gives it; 0 when it says nothing of the kind. */
export function acceptedOf(metrics: Metrics): number {
  for (const name of ACCEPTED) {
    const value = largest(metrics, name);
    if (value !== null) return value;
  }
  return 0;
}
