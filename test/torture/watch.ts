/** Looks at an engine from outside, by its own pages: health, and the metrics that tell whether it stays within bounds. */
import { setTimeout as sleep } from 'node:timers/promises';
import { SYSTEM_CLOCK } from '../../engine/core/clock.ts';
import type { HealthPart } from '../../engine/gateway/http.ts';

/** What an engine said of itself at one moment. */
export interface Look {
  /** Wall clock at which it was asked. */
  readonly atMs: number;
  readonly parts: readonly HealthPart[];
  /** By name, with labels where it has any. */
  readonly metrics: ReadonlyMap<string, number>;
}

export interface Watch {
  /** Those that were answered, in order. */
  readonly looks: readonly Look[];
  /** How many were not answered in time. */
  readonly missed: number;
  stop(): Promise<void>;
}

const LOOK_MS = 200;
const ANSWER_MS = 2000;

/** Looks every so often until it is stopped. @param url of the engine's pages */
export function watchEngine(url: string): Watch {
  const looks: Look[] = [];
  let missed = 0;
  let isStopped = false;
  const watching = (async () => {
    while (!isStopped) {
      const look = await lookAt(url);
      if (look) looks.push(look);
      else missed += 1;
      await sleep(LOOK_MS);
    }
  })();
  return {
    looks,
    get missed() {
      return missed;
    },
    async stop() {
      isStopped = true;
      await watching;
    },
  };
}

/** Undefined when the engine does not answer: frozen, ended, or too busy. */
export async function lookAt(url: string): Promise<Look | undefined> {
  const atMs = SYSTEM_CLOCK.wallMs();
  const signal = AbortSignal.timeout(ANSWER_MS);
  try {
    const [health, metrics] = await Promise.all([fetch(`${url}/health`, { signal }), fetch(`${url}/metrics`, { signal })]);
    // A cast: what the engine wrote.
    const { parts } = (await health.json()) as { readonly parts: readonly HealthPart[] };
    return { atMs, parts, metrics: parseMetrics(await metrics.text()) };
  } catch {
    // Counted by the caller.
    return undefined;
  }
}

function parseMetrics(page: string): Map<string, number> {
  const found = new Map<string, number>();
  for (const line of page.split('\n')) {
    const space = line.lastIndexOf(' ');
    if (!line.startsWith('#') && space > 0) found.set(line.slice(0, space), Number(line.slice(space + 1)));
  }
  return found;
}

/** Values of a metric over all of its labels. */
export function metricValues({ metrics }: Look, name: string): number[] {
  return [...metrics].filter(([key]) => key === name || key.startsWith(`${name}{`)).map(([, value]) => value);
}
