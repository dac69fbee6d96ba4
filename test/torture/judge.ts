/** Judges what an engine said of itself while something was wrong. Pure. */
import type { HealthPart } from '../../engine/gateway/http.ts';
import type { Difference } from './compare.ts';
import { type Look, metricValues } from './watch.ts';

/** What was wrong, from when until when, by the wall clock. */
export interface Trouble {
  readonly fromMs: number;
  readonly toMs: number;
  /** Parts that must be red meanwhile. */
  readonly reds: readonly string[];
  /** Parts that need not stay green. */
  readonly mayBeRed: readonly string[];
}

/** A part may see it so much later, and its "since" may be so much younger than the trouble: timeouts have to run out. */
const NOTICED_MS = 10_000;
/** Clocks are read before and after. */
const EARLIER_MS = 1500;
const OPEN_EPOCHS_MAX = 2;
const GROWTH_MAX_BYTES = 1_073_741_824;
const MB = 1_048_576;

export function isGreen({ parts }: Look): boolean {
  return parts.length > 0 && parts.every((part) => part.isUp);
}

interface Redness {
  readonly firstMs: number;
  readonly last: HealthPart;
  readonly lastMs: number;
}

function rednessOf(looks: readonly Look[], name: string): Redness | undefined {
  const red = looks.flatMap(({ atMs, parts }) => parts.filter((part) => part.name === name && !part.isUp).map((part) => ({ atMs, part })));
  const first = red[0];
  const last = red.at(-1);
  return first && last && { firstMs: first.atMs, last: last.part, lastMs: last.atMs };
}

/** Whether the right parts were red, said since when, and no others were. */
export function judgeHealth(looks: readonly Look[], { fromMs, toMs, reds, mayBeRed }: Trouble): Difference[] {
  const found: Difference[] = [];
  const before = looks.filter(({ atMs }) => atMs < fromMs - EARLIER_MS);
  const during = looks.filter(({ atMs }) => atMs >= fromMs && atMs <= toMs);
  for (const { name, detail } of before.flatMap(({ parts }) => parts.filter((part) => !part.isUp))) {
    found.push({ what: `health ${name} before`, expected: 'green', found: `red: ${detail}` });
  }
  for (const name of reds) {
    const red = rednessOf(during, name);
    const what = `health ${name}`;
    if (!red) found.push({ what, expected: `red within ${toMs - fromMs} ms`, found: `green in ${during.length} looks` });
    else if (red.last.sinceMs < fromMs - EARLIER_MS || red.last.sinceMs > fromMs + NOTICED_MS) {
      found.push({ what, expected: `since 0 to ${NOTICED_MS} ms`, found: `since ${Math.round(red.last.sinceMs - fromMs)} ms` });
    }
  }
  const others = new Set(during.flatMap(({ parts }) => parts.map(({ name }) => name)));
  for (const name of [...reds, ...mayBeRed]) others.delete(name);
  for (const name of others) {
    const red = rednessOf(during, name);
    if (red) found.push({ what: `health ${name}`, expected: 'green', found: `red: ${red.last.detail}` });
  }
  return found;
}

/** One line for each part that was red. */
export function describeHealth(looks: readonly Look[], { fromMs, toMs }: Trouble): string[] {
  const names = new Set(looks.flatMap(({ parts }) => parts.map(({ name }) => name)));
  return [...names].flatMap((name) => {
    const during = rednessOf(
      looks.filter(({ atMs }) => atMs >= fromMs && atMs <= toMs),
      name,
    );
    const whole = rednessOf(
      looks.filter(({ atMs }) => atMs >= fromMs),
      name,
    );
    if (!whole) return [];
    const seconds = (ms: number): string => `${(ms / 1000).toFixed(1)} s`;
    const seen = `${name} red: seen ${seconds(whole.firstMs - fromMs)} after it began, last ${seconds(whole.lastMs - toMs)} after it was mended`;
    return [`${seen}; since ${seconds((during ?? whole).last.sinceMs - fromMs)} ("${(during ?? whole).last.detail.split('\n')[0]}")`];
  });
}

/** Whether memory and open epochs stayed within their bounds. */
export function judgeBounds(looks: readonly Look[]): Difference[] {
  const found: Difference[] = [];
  const { start, peak } = memoryOf(looks);
  if (peak - start > GROWTH_MAX_BYTES) {
    found.push({
      what: 'memory',
      expected: `at most ${GROWTH_MAX_BYTES / MB} MB more than at first`,
      found: `${megabytes(peak - start)} more`,
    });
  }
  const open = largest(looks, 'tickwright_open_epochs');
  if (open > OPEN_EPOCHS_MAX) found.push({ what: 'open epochs', expected: `at most ${OPEN_EPOCHS_MAX}`, found: String(open) });
  return found;
}

export function memoryOf(looks: readonly Look[]): { readonly start: number; readonly peak: number; readonly end: number } {
  const sizes = looks.flatMap((look) => metricValues(look, 'process_resident_memory_bytes'));
  return { start: sizes[0] ?? 0, peak: Math.max(0, ...sizes), end: sizes.at(-1) ?? 0 };
}

export function describeBounds(looks: readonly Look[]): string[] {
  const { start, peak, end } = memoryOf(looks);
  const last = looks.at(-1);
  const failures = [...(last?.metrics ?? [])].filter(([name]) => name.startsWith('tickwright_session_failures_total{'));
  return [
    `resident memory ${megabytes(start)} at first, ${megabytes(peak)} at most, ${megabytes(end)} at last`,
    `epoch interval ${largest(looks, 'tickwright_epoch_interval_seconds').toFixed(2)} s at most, ` +
      `${largest(looks, 'tickwright_open_epochs')} epochs open at most; ${largest(looks, 'tickwright_sessions_total')} sessions, ` +
      `failures: ${failures.map(([name, count]) => `${/code="(.*)"/.exec(name)?.[1]} ${count}`).join(', ') || 'none'}`,
  ];
}

/** The largest value that a metric had, over all labels and looks. */
export function largest(looks: readonly Look[], name: string): number {
  return Math.max(0, ...looks.flatMap((look) => metricValues(look, name)));
}

function megabytes(bytes: number): string {
  return `${Math.round(bytes / MB)} MB`;
}
