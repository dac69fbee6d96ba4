/** What a pipeline has written, read back from both sinks and laid beside what the ticks come to. */
import type { Timeframe } from '../../engine/market/timeframes.ts';
import { barsTopic } from '../../engine/sinks/kafka/topics.ts';
import { type Connection, quoteIdentifier, withConnection } from '../../engine/sinks/postgres/connection.ts';
import type { TopicReader } from '../../test/torture/read-topics.ts';
import { type BarTexts, barText, type ExpectedBars, hashBars, mergeTexts, withoutEnds } from './expected-bars.ts';
import type { Namespace } from './namespace.ts';
import type { Verdict } from './report-model.ts';

const DIFFERENCES_SHOWN = 12;

interface Row {
  readonly symbol: string;
  readonly ts: string;
  readonly o: number;
  readonly h: number;
  readonly l: number;
  readonly c: number;
  readonly vol: string;
  readonly n: string;
  readonly first_ns?: string;
  readonly last_ns?: string;
}

export interface Stored {
  /** Rows of the tables, and whether they carry event times. */
  readonly closed: BarTexts;
  /** Buckets still open at the end; none of a pipeline that has no such view. */
  readonly open: BarTexts;
  readonly hasEnds: boolean;
}

/** @param isOurs false: the tables hold the contract's columns only, and nothing tells what is open */
export function readStored(
  connectionString: string,
  { schema, timeframes }: Pick<Namespace, 'schema' | 'timeframes'>,
  isOurs: boolean,
): Promise<Stored> {
  return withConnection(connectionString, schema, async (client) => ({
    closed: await readClosed(client, timeframes, isOurs),
    open: isOurs ? await readOpen(client, timeframes) : new Map(),
    hasEnds: isOurs,
  }));
}

async function readClosed(client: Connection, timeframes: readonly Timeframe[], hasEnds: boolean): Promise<BarTexts> {
  const found: BarTexts = new Map();
  const ends = hasEnds ? ', first_ns, last_ns' : '';
  for (const { name } of timeframes) {
    const { rows } = await client.query<Row>(
      `select symbol, extract(epoch from ts)::bigint as ts, o, h, l, c, vol, n_trades::bigint as n${ends} from ${quoteIdentifier(`bars_${name}`)}`,
    );
    for (const row of rows) found.set(`${name} ${row.symbol} ${row.ts}`, rowText(row));
  }
  return found;
}

async function readOpen(client: Connection, timeframes: readonly Timeframe[]): Promise<BarTexts> {
  const names = new Map(timeframes.map(({ name, seconds }) => [seconds, name]));
  const { rows } = await client.query<Row & { tf_sec: number }>(
    'select symbol, tf_sec, extract(epoch from ts)::bigint as ts, o, h, l, c, vol, n, first_ns, last_ns from open_bars',
  );
  return new Map(rows.map((row) => [`${names.get(row.tf_sec)} ${row.symbol} ${row.ts}`, rowText(row)]));
}

function rowText({ o, h, l, c, vol, n, first_ns, last_ns }: Row): string {
  return barText({ o, h, l, c, vol, n, first: first_ns, last: last_ns });
}

/** A message of `bars.*`; ours has more fields, which others need not have. */
interface BarMessage {
  readonly symbol: string;
  readonly ts: number;
  readonly o: number;
  readonly h: number;
  readonly l: number;
  readonly c: number;
  readonly vol: number;
  readonly n_trades: number;
  readonly rev?: number;
}

export interface Published {
  /** The last revision of each bar. */
  readonly bars: BarTexts;
  readonly messages: number;
  /** Keys that were published twice in the same revision. */
  readonly doubled: readonly string[];
}

export async function readPublished(reader: TopicReader, { prefix, timeframes }: Namespace, partitions: number): Promise<Published> {
  const bars: BarTexts = new Map();
  const revisions = new Map<string, number>();
  const doubled: string[] = [];
  let messages = 0;
  for (const { name } of timeframes) {
    const places = Array.from({ length: partitions }, (_, partition) => ({ topic: barsTopic(prefix, name), partition }));
    for (const { value } of await reader.read(places)) {
      if (value === null) continue;
      messages += 1;
      const bar: BarMessage = JSON.parse(value.toString());
      const key = `${name} ${bar.symbol} ${bar.ts}`;
      const revision = bar.rev ?? 0;
      const before = revisions.get(key);
      if (before !== undefined && revision <= before) doubled.push(`${key} revision ${revision}`);
      revisions.set(key, revision);
      const { o, h, l, c, vol, n_trades: n } = bar;
      bars.set(key, barText({ o, h, l, c, vol, n, first: undefined, last: undefined }));
    }
  }
  return { bars, messages, doubled };
}

/**
 * Every bucket stands in the tables or is open, with the values that it must have, or, where it is unsettled, those that its seconds come to; every row is
 * published once, with the same values.
 */
export function judge({ bars, passed, unsettled }: ExpectedBars, stored: Stored, published: Published): Verdict {
  const differences: string[] = [];
  const found: BarTexts = new Map([...stored.open, ...stored.closed].filter(([key]) => !unsettled.has(key)));
  // Nothing tells what other pipelines hold open: a bucket that is not over yet need not be there, but if it is it must be right.
  const isWanted = (key: string): boolean => stored.hasEnds || passed.has(key) || found.has(key);
  const all = stored.hasEnds ? bars : new Map([...bars].map(([key, text]) => [key, withoutEnds(text)]));
  const wanted = new Map([...all].filter(([key]) => isWanted(key) && !unsettled.has(key)));
  for (const [key, text] of wanted) {
    const value = found.get(key);
    if (value === undefined) differences.push(`${key}: missing, expected ${text}`);
    else if (value !== text) differences.push(`${key}: ${value}, expected ${text}`);
  }
  for (const key of found.keys()) if (!wanted.has(key)) differences.push(`${key}: ${found.get(key)}, expected no such bar`);
  for (const [key, seconds] of unsettled) {
    const value = stored.closed.get(key);
    const text = mergeTexts(seconds.flatMap((second) => found.get(second) ?? []));
    if (value !== undefined && withoutEnds(value) !== text) differences.push(`${key}: ${value}, its seconds come to ${text}`);
  }
  for (const key of stored.open.keys()) if (stored.closed.has(key)) differences.push(`${key}: open and closed at once`);
  for (const [key, text] of stored.closed) {
    const message = published.bars.get(key);
    if (message === undefined) differences.push(`${key}: in the table, not in the topic`);
    else if (message !== withoutEnds(text)) differences.push(`${key}: published as ${message}, stored as ${text}`);
  }
  for (const key of published.bars.keys()) if (!stored.closed.has(key)) differences.push(`${key}: in the topic, not in the table`);
  differences.push(...published.doubled.map((key) => `${key}: published again`));
  const more = differences.length - DIFFERENCES_SHOWN;
  return {
    isRight: differences.length === 0,
    differences: [...differences.slice(0, DIFFERENCES_SHOWN), ...(more > 0 ? [`and ${more} more`] : [])],
    barsCompared: wanted.size,
    messagesCompared: published.messages,
    expectedHash: hashBars(wanted),
    foundHash: hashBars(found),
  };
}
