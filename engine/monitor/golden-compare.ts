/** Comparing bars with known answers: field by field, by exact decimal value. */
import { canonicalDecimal } from '../core/decimal.ts';
import type { KnownBar, KnownSeries } from './golden-reference.ts';

/** A bar of the engine: values as text by column of the export. */
export type EngineBar = ReadonlyMap<string, string>;

/** Bars of the engine by symbol, then by start in milliseconds. */
export type EngineBars = ReadonlyMap<string, ReadonlyMap<number, EngineBar>>;

export interface Verdict {
  readonly expectedCount: number;
  readonly equalCount: number;
  readonly missingCount: number;
  readonly extraCount: number;
  /** Bars that differ although nothing is known of the reference that would excuse it. */
  readonly faultCount: number;
  /** The first differences, for people. */
  readonly examples: readonly string[];
  readonly isPassed: boolean;
}

export interface CompareOptions {
  readonly fields: readonly string[];
  /** Exactly so many bars differ, each the last of its series. */
  readonly lastBarsDiffering?: number;
}

const EXAMPLES_MAX = 5;

/**
 * Parses the CSV that `export` writes: a header line, then bars that begin with symbol and start in ms.
 * An empty text has no bars.
 */
export function parseExport(text: string): EngineBars {
  const [header = '', ...lines] = text.split('\n').filter((line) => line !== '');
  const names = header.split(',');
  const bars = new Map<string, Map<number, EngineBar>>();
  for (const line of lines) {
    const values = line.split(',');
    const bar = new Map(names.map((name, index): [string, string] => [name, values[index] ?? '']));
    const symbol = bar.get('symbol') ?? '';
    const ofSymbol = bars.get(symbol) ?? new Map<number, EngineBar>();
    bars.set(symbol, ofSymbol.set(Number(bar.get('ts_ms')), bar));
  }
  return bars;
}

/** Compares within the times and symbols that the series speak for; a bar of the engine there that they do not have is extra. */
export function compareBars(actual: EngineBars, series: readonly KnownSeries[], options: CompareOptions): Verdict {
  const examples: string[] = [];
  const note = (text: string): void => {
    if (examples.length < EXAMPLES_MAX) examples.push(text);
  };
  let expectedCount = 0;
  let equalCount = 0;
  let missingCount = 0;
  let extraCount = 0;
  let excusedCount = 0;
  for (const { symbol, fromMs, toMs, bars } of series) {
    const ofSymbol = actual.get(symbol);
    const known = new Set<number>();
    for (const bar of bars) {
      known.add(bar.tsMs);
      expectedCount += 1;
      const found = ofSymbol?.get(bar.tsMs);
      const difference = found ? differenceOf(found, bar, options.fields) : 'missing';
      if (difference === undefined) equalCount += 1;
      else if (found && bar.isLast && options.lastBarsDiffering !== undefined) excusedCount += 1;
      else note(`${symbol} ${bar.tsMs}: ${difference}`);
      if (!found) missingCount += 1;
    }
    for (const tsMs of ofSymbol?.keys() ?? []) {
      if (tsMs < fromMs || tsMs >= toMs || known.has(tsMs)) continue;
      extraCount += 1;
      note(`${symbol} ${tsMs}: not in the reference`);
    }
  }
  const expectedExcuses = options.lastBarsDiffering ?? 0;
  if (excusedCount !== expectedExcuses) note(`${excusedCount} last bars differ, ${expectedExcuses} are known to`);
  const faultCount = expectedCount - equalCount - excusedCount + extraCount;
  const isPassed = expectedCount > 0 && faultCount === 0 && excusedCount === expectedExcuses;
  return { expectedCount, equalCount, missingCount, extraCount, faultCount, examples, isPassed };
}

function differenceOf(actual: EngineBar, known: KnownBar, fields: readonly string[]): string | undefined {
  for (const field of fields) {
    const left = actual.get(field);
    const right = known.values.get(field);
    const value = left === undefined ? undefined : canonicalDecimal(left);
    if (value === undefined || value !== canonicalDecimal(right ?? ''))
      return `${field} is ${left ?? 'absent'}, expected ${right ?? 'nothing'}`;
  }
  return undefined;
}
