/** Compares what was found in the tables and topics with what was expected. Pure. */
import type { Expected, ExpectedRevision } from './expected.ts';

export interface FoundRow {
  /** `<timeframe> <symbol> <start in seconds>` */
  readonly key: string;
  readonly revision: number;
  readonly text: string;
}

/** A message of a `bars.*` topic; those of a partition come in its order. */
export interface FoundMessage {
  readonly key: string;
  readonly revision: number;
  readonly text: string;
  /** What the order is kept of: timeframe and symbol. */
  readonly series: string;
  readonly place: string;
}

export interface FoundPartition {
  readonly partition: number;
  readonly nextOffset: bigint | undefined;
  readonly watermarkNs: bigint | undefined;
  /** By `acceptedText`. */
  readonly accepted: string;
}

export interface Found {
  readonly rows: readonly FoundRow[];
  readonly open: readonly (readonly [key: string, text: string])[];
  readonly openWhole: readonly (readonly [key: string, text: string])[];
  readonly lateTicks: readonly string[];
  readonly partitions: readonly FoundPartition[];
  readonly instruments: readonly (readonly [symbol: string, text: string])[];
  readonly messages: readonly FoundMessage[];
  readonly letters: readonly (readonly [key: string, text: string])[];
}

export interface Difference {
  readonly what: string;
  readonly expected: string;
  readonly found: string;
}

export interface Comparison {
  readonly bars: number;
  readonly messages: number;
  readonly differences: readonly Difference[];
}

const NOTHING = '(nothing)';

export function compare(expected: Expected, found: Found): Comparison {
  const differences: Difference[] = [];
  const say = (what: string, wanted: string | undefined, got: string | undefined): void => {
    differences.push({ what, expected: wanted ?? NOTHING, found: got ?? NOTHING });
  };
  compareRows(expected, found, say);
  compareMaps('open_state', expected.open, found.open, say);
  compareMaps('open_bars', expected.openWhole, found.openWhole, say);
  compareLists('late_ticks', expected.lateTicks, found.lateTicks, say);
  comparePartitions(expected, found, say);
  compareInstruments(expected, found, say);
  compareMessages(expected, found, say);
  compareMaps('dlq', expected.letters, found.letters, say);
  return { bars: expected.bars.size, messages: found.messages.length + found.letters.length, differences };
}

export type Say = (what: string, expected: string | undefined, found: string | undefined) => void;

/** The row of a bar is its last revision. */
function compareRows({ bars }: Expected, { rows }: Found, say: Say): void {
  const last = [...bars].map(([key, revisions]) => [key, textOf(revisions.length - 1, revisions.at(-1)?.row)] as const);
  const got = rows.map(({ key, revision, text }) => [key, textOf(revision, text)] as const);
  compareMaps('row', new Map(last), got, say);
}

function textOf(revision: number, text: string | undefined): string {
  return `rev ${revision} ${text}`;
}

export function compareMaps(
  what: string,
  expected: ReadonlyMap<string, string>,
  found: Iterable<readonly [string, string]>,
  say: Say,
): void {
  const seen = new Set<string>();
  for (const [key, text] of found) {
    const wanted = expected.get(key);
    if (seen.has(key)) say(`${what} ${key} again`, undefined, text);
    else if (wanted !== text) say(`${what} ${key}`, wanted, text);
    seen.add(key);
  }
  for (const [key, text] of expected) if (!seen.has(key)) say(`${what} ${key}`, text, undefined);
}

export function compareLists(what: string, expected: readonly string[], found: readonly string[], say: Say): void {
  const left = new Map<string, number>();
  for (const text of expected) left.set(text, (left.get(text) ?? 0) + 1);
  for (const text of found) {
    const count = left.get(text) ?? 0;
    if (count === 0) say(what, undefined, text);
    else left.set(text, count - 1);
  }
  for (const [text, count] of left) for (let again = 0; again < count; again += 1) say(what, text, undefined);
}

function comparePartitions({ partitions }: Expected, found: Found, say: Say): void {
  const byPartition = new Map(found.partitions.map((entry) => [entry.partition, entry]));
  for (const [partition, wanted] of partitions) {
    const got = byPartition.get(partition);
    // A partition without a message needs no place.
    if (!got && wanted.nextOffset === 0n) continue;
    const what = `source_offsets partition ${partition}`;
    if (got?.nextOffset !== wanted.nextOffset) say(`${what} next_offset`, String(wanted.nextOffset), String(got?.nextOffset));
    if (got?.watermarkNs !== wanted.watermarkNs) say(`${what} watermark_ns`, String(wanted.watermarkNs), String(got?.watermarkNs));
    const accepted = acceptedText(wanted);
    if (got?.accepted !== accepted) say(`${what} accepted`, accepted, got?.accepted);
  }
  for (const { partition } of found.partitions) if (!partitions.has(partition)) say('source_offsets', undefined, `partition ${partition}`);
}

export function acceptedText(sums: { readonly volumeLots: bigint; readonly tradeCount: bigint; readonly quoteCount: bigint }): string {
  return `${sums.volumeLots} lots, ${sums.tradeCount} trades, ${sums.quoteCount} quotes`;
}

/** Instruments are stored with their first row; one that was only named by a refused message may be missing. */
function compareInstruments({ instruments, bars, open }: Expected, found: Found, say: Say): void {
  const got = new Map(found.instruments);
  const needed = new Set([...bars.keys(), ...open.keys()].map((key) => key.split(' ')[1] ?? ''));
  for (const [symbol, text] of got) if (instruments.get(symbol) !== text) say(`instruments ${symbol}`, instruments.get(symbol), text);
  for (const symbol of needed) if (!got.has(symbol)) say(`instruments ${symbol}`, instruments.get(symbol), undefined);
}

/**
 * Every revision of every trade bar once, 0, 1, 2 in this order; of each series, bars that closed come in order of closing, and amendments in
 * order of their ticks. Between the two there is no order: an epoch's closed bars are published before its amendments.
 */
function compareMessages({ bars }: Expected, found: Found, say: Say): void {
  const seen = new Map<string, string>();
  const nextRevision = new Map<string, number>();
  const lastOrder = new Map<string, { order: number; at: string }>();
  for (const message of found.messages) {
    const { key, revision, text, series, place } = message;
    const name = `message ${key} rev ${revision}`;
    const wanted: ExpectedRevision | undefined = bars.get(key)?.[revision];
    const first = seen.get(`${key} ${revision}`);
    if (first !== undefined) {
      say(`${name} again`, `once, at ${first}`, `${place}: ${text}`);
      continue;
    }
    seen.set(`${key} ${revision}`, place);
    if (wanted?.message !== text) say(name, wanted?.message, `${text} at ${place}`);
    const next = nextRevision.get(key) ?? 0;
    if (revision !== next) say(`${name} out of order`, `rev ${next}`, `rev ${revision} at ${place}`);
    nextRevision.set(key, Math.max(next, revision + 1));
    if (!wanted) continue;
    const line = `${series} ${wanted.isAmendment}`;
    const before = lastOrder.get(line);
    if (before && before.order > wanted.order) say(`${name} out of order`, `before ${before.at}`, place);
    lastOrder.set(line, { order: wanted.order, at: `${key} rev ${revision} at ${place}` });
  }
  for (const [key, revisions] of bars) {
    revisions.forEach(({ message }, revision) => {
      if (message !== undefined && !seen.has(`${key} ${revision}`)) say(`message ${key} rev ${revision}`, message, undefined);
    });
  }
}
