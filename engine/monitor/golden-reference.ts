/** Reading the known answers: reference bars with a header line, and the vendors' own bars. */
import { EngineError } from '../core/errors.ts';
import { openContainer } from '../ingest/replay/container.ts';
import { openLines } from '../ingest/replay/lines.ts';

export const TRADE_FIELDS: readonly string[] = ['o', 'h', 'l', 'c', 'vol'];
export const TRADE_FIELDS_COUNTED: readonly string[] = [...TRADE_FIELDS, 'n_trades'];
export const QUOTE_FIELDS: readonly string[] = ['bid_o', 'bid_h', 'bid_l', 'bid_c', 'ask_o', 'ask_h', 'ask_l', 'ask_c'];
export const QUOTE_FIELDS_COUNTED: readonly string[] = [...QUOTE_FIELDS, 'n'];

export interface Reference {
  readonly path: string;
  /** `header`: a header line, then bars of one symbol. `vendor`: no header; symbol and day are in the name of each member. */
  readonly layout: 'header' | 'vendor';
  /** The columns after the time, by the export's names. */
  readonly columns: readonly string[];
  /** `header` only. */
  readonly symbol?: string;
  /** `header` only: the UTC day, as 20131007, whose midnight the times count from; without it they count from the epoch. */
  readonly day?: string;
}

/** A known bar: values as text by column. */
export interface KnownBar {
  readonly symbol: string;
  readonly tsMs: number;
  readonly values: ReadonlyMap<string, string>;
  /** The last of its symbol in its file. */
  readonly isLast: boolean;
}

/** Bars of one symbol from one file, and the times that the file speaks for. */
export interface KnownSeries {
  readonly symbol: string;
  readonly fromMs: number;
  readonly toMs: number;
  readonly bars: readonly KnownBar[];
}

const DAY_MS = 86_400_000;
const VENDOR_NAME = /^(\d{8})_([a-z0-9]+)_(?:second|minute)_(?:trade|quote)(?:_(\d{6}))?\.csv$/;

/**
 * Reads one reference file.
 * @throws EngineError GOLDEN_REFERENCE_INVALID, or what reading a recorded file throws
 */
export async function readReference(reference: Reference, path: string): Promise<KnownSeries[]> {
  const container = await openContainer(path);
  try {
    const series: KnownSeries[] = [];
    for (const member of container.members) {
      const lines = await readLines(member);
      if (reference.layout === 'header') lines.shift();
      const scope = reference.layout === 'header' ? headerScope(reference) : vendorScope(member.name.base, path);
      series.push({
        ...scope,
        bars: lines.map((line, index) => parseBar(line, index === lines.length - 1, { reference, path, ...scope })),
      });
    }
    return series;
  } finally {
    container.close();
  }
}

async function readLines(member: Parameters<typeof openLines>[0]): Promise<string[]> {
  const reader = await openLines(member);
  try {
    return await reader.all();
  } finally {
    reader.close();
  }
}

type Scope = Omit<KnownSeries, 'bars'>;

function headerScope({ symbol = '', day }: Reference): Scope {
  if (day === undefined) return { symbol, fromMs: 0, toMs: Number.MAX_SAFE_INTEGER };
  const fromMs = midnightMs(day);
  return { symbol, fromMs, toMs: fromMs + DAY_MS };
}

function vendorScope(base: string, path: string): Scope {
  const match = VENDOR_NAME.exec(base);
  if (!match)
    throw new EngineError('GOLDEN_REFERENCE_INVALID', `${path}: a member named ${base}, expected date_symbol_resolution_kind.csv`);
  const [, day = '', symbol = '', expiry = ''] = match;
  const fromMs = midnightMs(day);
  return { symbol: `${symbol.toUpperCase()}${expiry}`, fromMs, toMs: fromMs + DAY_MS };
}

function midnightMs(day: string): number {
  return Date.UTC(Number(day.slice(0, 4)), Number(day.slice(4, 6)) - 1, Number(day.slice(6, 8)));
}

interface BarContext extends Scope {
  readonly reference: Reference;
  readonly path: string;
}

function parseBar(line: string, isLast: boolean, { reference, path, symbol, fromMs }: BarContext): KnownBar {
  const [time = '', ...values] = line.split(',');
  if (!/^\d+$/.test(time) || values.length !== reference.columns.length) {
    throw new EngineError('GOLDEN_REFERENCE_INVALID', `${path}: '${line}', expected a time and ${reference.columns.length} values`);
  }
  const named = reference.columns.map((column, index): [string, string] => [column, values[index]!]);
  return { symbol, tsMs: fromMs + Number(time), values: new Map(named), isLast };
}
