/** Reads the tables of a schema for comparison. */

import type { Timeframe } from '../../engine/market/timeframes.ts';
import { type Connection, quoteIdentifier, withConnection } from '../../engine/sinks/postgres/connection.ts';
import { type BarFields, openText, rowText } from './bar-text.ts';
import { acceptedText, type Found, type FoundPartition, type FoundRow } from './compare.ts';

export type FoundTables = Omit<Found, 'messages' | 'letters'>;

export interface SchemaAddress {
  readonly connectionString: string;
  readonly schema: string;
  readonly source: string;
  readonly timeframes: readonly Timeframe[];
}

/** bigint and numeric come as text. */
interface BarRow {
  readonly symbol: string;
  readonly ts: string;
  readonly o: number;
  readonly h: number;
  readonly l: number;
  readonly c: number;
  readonly ask: readonly number[] | null;
  readonly vol: string | null;
  readonly n: string;
  readonly rev: number;
  readonly late: number;
  readonly vwap: number | null;
  readonly notional: string | null;
  readonly first_ns: string;
  readonly last_ns: string;
}

const ASK = 'array[ask_o, ask_h, ask_l, ask_c] as ask';

export async function readTables(address: SchemaAddress): Promise<FoundTables> {
  return await withConnection(address.connectionString, address.schema, async (client) => ({
    rows: await readRows(client, address.timeframes),
    open: await readOpen(client, address),
    openWhole: await readOpenWhole(client, address),
    lateTicks: await readLateTicks(client),
    partitions: await readPartitions(client, address.source),
    instruments: await readInstruments(client),
  }));
}

async function readRows(client: Connection, timeframes: readonly Timeframe[]): Promise<FoundRow[]> {
  const found: FoundRow[] = [];
  for (const { name } of timeframes) {
    const common = `symbol, extract(epoch from ts)::bigint as ts, rev, late, first_ns, last_ns`;
    const { rows: trades } = await client.query<BarRow>(
      `select ${common}, o, h, l, c, null as ask, vol, n_trades::bigint as n, vwap, notional from ${quoteIdentifier(`bars_${name}`)}`,
    );
    const { rows: quotes } = await client.query<BarRow>(
      `select ${common}, bid_o as o, bid_h as h, bid_l as l, bid_c as c, ${ASK}, null as vol, n, null as vwap, null as notional
       from ${quoteIdentifier(`quotes_${name}`)}`,
    );
    for (const row of [...trades, ...quotes]) {
      const text = rowText(fieldsOf(row), row.vwap, wholeOrNull(row.notional));
      found.push({ key: `${name} ${row.symbol} ${row.ts}`, revision: row.rev, text });
    }
  }
  return found;
}

interface OpenRow extends BarRow {
  readonly kind: string;
  readonly tf_sec: number;
}

const OPEN_COLUMNS = `s.symbol, s.kind, b.tf_sec, b.o, b.h, b.l, b.c, array[b.ask_o, b.ask_h, b.ask_l, b.ask_c] as ask, b.vol, b.n, b.late, b.notional, b.first_ns, b.last_ns`;

/** The arrays of open_state, taken apart here and not by a view of the engine's. */
async function readOpen(client: Connection, address: SchemaAddress): Promise<[string, string][]> {
  const { rows } = await client.query<OpenRow>(
    `select ${OPEN_COLUMNS}, (b.ts_ns / 1000000000)::bigint as ts
     from open_state s
     cross join lateral unnest(
       s.tf_sec, s.ts_ns, s.o, s.h, s.l, s.c, s.vol, s.notional, s.n, s.late, s.first_ns, s.last_ns, s.ask_o, s.ask_h, s.ask_l, s.ask_c
     ) as b (tf_sec, ts_ns, o, h, l, c, vol, notional, n, late, first_ns, last_ns, ask_o, ask_h, ask_l, ask_c)
     where s.source = $1`,
    [address.source],
  );
  return openTexts(rows, address.timeframes);
}

async function readOpenWhole(client: Connection, address: SchemaAddress): Promise<[string, string][]> {
  const { rows } = await client.query<OpenRow>(
    `select symbol, kind, tf_sec, o, h, l, c, ${ASK}, vol, n, late, notional, first_ns, last_ns, extract(epoch from ts)::bigint as ts
     from open_bars where source = $1`,
    [address.source],
  );
  return openTexts(rows, address.timeframes);
}

function openTexts(rows: readonly OpenRow[], timeframes: readonly Timeframe[]): [string, string][] {
  const names = new Map(timeframes.map(({ name, seconds }) => [seconds, name]));
  return rows.map((row) => {
    const isQuote = row.kind === 'quote';
    const fields = fieldsOf({ ...row, ask: isQuote ? row.ask : null });
    return [`${names.get(row.tf_sec)} ${row.symbol} ${row.ts}`, openText(fields, isQuote ? null : wholeOrNull(row.notional))];
  });
}

async function readLateTicks(client: Connection): Promise<string[]> {
  const { rows } = await client.query<(string | number | boolean | null)[]>({
    text: 'select symbol, event_ns, price, ask, quantity, n, missed, is_refused from late_ticks',
    rowMode: 'array',
  });
  return rows.map((row) => row.map(String).join(' '));
}

interface PartitionRow {
  readonly partition: number;
  readonly next_offset: string | null;
  readonly watermark_ns: string | null;
  readonly accepted_lots: string;
  readonly accepted_trades: string;
  readonly accepted_quotes: string;
}

async function readPartitions(client: Connection, source: string): Promise<FoundPartition[]> {
  const { rows } = await client.query<PartitionRow>(
    `select partition, next_offset, watermark_ns, accepted_lots, accepted_trades, accepted_quotes
     from source_offsets where source = $1 order by partition`,
    [source],
  );
  return rows.map((row) => ({
    partition: row.partition,
    nextOffset: row.next_offset === null ? undefined : BigInt(row.next_offset),
    watermarkNs: row.watermark_ns === null ? undefined : BigInt(row.watermark_ns),
    accepted: acceptedOf(row),
  }));
}

function acceptedOf(row: PartitionRow): string {
  const [volumeLots, tradeCount, quoteCount] = [BigInt(row.accepted_lots), BigInt(row.accepted_trades), BigInt(row.accepted_quotes)];
  return acceptedText({ volumeLots, tradeCount, quoteCount });
}

async function readInstruments(client: Connection): Promise<[string, string][]> {
  const { rows } = await client.query<{ symbol: string; text: string }>(
    `select symbol, concat_ws(' ', kind, price_decimals, lot_decimals, partition) as text from instruments`,
  );
  return rows.map(({ symbol, text }) => [symbol, text]);
}

/** Next offsets that are committed, by partition; none while the schema is not there yet. */
export async function readOffsets(address: SchemaAddress): Promise<Map<number, bigint>> {
  return await withConnection(address.connectionString, address.schema, async (client) => {
    const { rows: tables } = await client.query<{ name: string | null }>(`select to_regclass('source_offsets')::text as name`);
    if (tables[0]?.name == null) return new Map<number, bigint>();
    return new Map((await readPartitions(client, address.source)).map(({ partition, nextOffset }) => [partition, nextOffset ?? 0n]));
  });
}

function fieldsOf(row: BarRow): BarFields {
  return {
    open: row.o,
    high: row.h,
    low: row.l,
    close: row.c,
    ask: row.ask ?? undefined,
    volumeLots: BigInt(row.vol ?? 0),
    count: Number(row.n),
    late: Number(row.late),
    firstNs: BigInt(row.first_ns),
    lastNs: BigInt(row.last_ns),
  };
}

function wholeOrNull(text: string | null): bigint | null {
  return text === null ? null : BigInt(text);
}
