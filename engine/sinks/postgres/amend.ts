/**
 * Turns amendment deltas into revisions. The base of a bucket is its first revision when that is of the same epoch, else the row in the
 * table, if this run wrote it. Deltas merge in order of arrival; each makes the next revision, with absolute values. A stage that reads bars
 * gives the next revision in full instead.
 */
import { setImmediate as nextTurn } from 'node:timers/promises';
import * as L from '../../../schemas/layout.gen.ts';
import { STAGE_OUT_KIND } from '../../../schemas/records.ts';
import type { Timeframe } from '../../market/timeframes.ts';
import { type BarValues, isQuoteRecord, mergeDelta, readBar, writeBar } from './bar-record.ts';
import { type EpochBatch, tableIndex } from './collect.ts';
import type { Connection } from './connection.ts';
import { BAR_WORDS, createRecordList, type RecordList } from './record-list.ts';
import { tableName } from './tables.ts';

export interface Amendments {
  /** Every revision made, in order of the deltas: for publication. */
  readonly revisions: RecordList;
  /** The last revision of each bucket: for the tables. */
  readonly last: RecordList;
}

export interface RowContext {
  readonly timeframes: readonly Timeframe[];
  /** Only its rows are amended. */
  readonly run: number;
  symbolName(symbolIndex: number): string;
}

/** Which row a bucket is. */
export interface BucketKey {
  readonly symbolIndex: number;
  readonly timeframeIndex: number;
  readonly isQuote: boolean;
  readonly tsStartNs: bigint;
}

/** The rows of this run that buckets of one table have, in the order asked for. */
export type ReadRows = (wanted: readonly BucketKey[]) => Promise<readonly (BarValues | undefined)[]>;

interface Bucket extends BucketKey {
  /** Index of the bucket's latest delta: the place of its last revision. */
  lastIndex: number;
  values: BarValues | undefined;
}

const KEYS_PER_SELECT = 5000;
const DELTAS_PER_TURN = 8192;
const NS_PER_SECOND = 1_000_000_000n;

export function createAmendments(): Amendments {
  return { revisions: createRecordList(), last: createRecordList() };
}

/** Fills `into` from the deltas of a batch. Reads rows within the transaction that will replace them. */
export async function amend(readRows: ReadRows, batch: Pick<EpochBatch, 'finals' | 'deltas'>, into: Amendments): Promise<void> {
  const { deltas } = batch;
  const { revisions, last } = into;
  revisions.clear();
  last.clear();
  if (deltas.length === 0) return;
  const buckets = new Map<string, Bucket>();
  for (let index = 0; index < deltas.length; index += 1) {
    const key = keyOf(deltas, index);
    const bucket = buckets.get(key);
    if (bucket === undefined) buckets.set(key, bucketOf(deltas, index));
    else bucket.lastIndex = index;
  }
  for (let index = 0; index < batch.finals.length; index += 1) {
    const bucket = buckets.get(keyOf(batch.finals, index));
    if (bucket !== undefined) bucket.values = readBar(batch.finals, index);
  }
  await fillFromRows(readRows, [...buckets.values()]);

  revisions.append(deltas.i32, 0, deltas.length);
  for (let index = 0; index < deltas.length; index += 1) {
    // A great many deltas must not keep the thread from its other work, or it is taken for wedged.
    if (index % DELTAS_PER_TURN === DELTAS_PER_TURN - 1) await nextTurn();
    const bucket = buckets.get(keyOf(deltas, index)) ?? bucketOf(deltas, index);
    const delta = readBar(deltas, index);
    bucket.values = nextRevision(bucket.values, delta, isWhole(deltas, index));
    writeBar(revisions, index, bucket.values);
  }
  for (const { lastIndex } of buckets.values()) last.append(revisions.i32, lastIndex * BAR_WORDS, 1);
}

/** True for a record that holds the next revision in full, and not what is to be merged into the one before. */
function isWhole({ i32 }: RecordList, index: number): boolean {
  return i32[index * BAR_WORDS + L.BAR_KIND_I32] === STAGE_OUT_KIND.barReplace;
}

function nextRevision(before: BarValues | undefined, delta: BarValues, isReplaced: boolean): BarValues {
  if (before === undefined) return { ...delta, revision: 0 };
  return isReplaced ? { ...delta, revision: before.revision + 1 } : mergeDelta(before, delta);
}

function keyOf({ i32, i64 }: RecordList, index: number): string {
  const at = index * BAR_WORDS;
  return `${i32[at + L.BAR_SYMBOL_INDEX_I32]!} ${i32[at + L.BAR_TIMEFRAME_INDEX_I32]!} ${i64[(at >> 1) + L.BAR_TS_START_NS_I64]!}`;
}

function bucketOf(list: RecordList, index: number): Bucket {
  const at = index * BAR_WORDS;
  return {
    symbolIndex: list.i32[at + L.BAR_SYMBOL_INDEX_I32]!,
    timeframeIndex: list.i32[at + L.BAR_TIMEFRAME_INDEX_I32]!,
    isQuote: isQuoteRecord(list, index),
    tsStartNs: list.i64[(at >> 1) + L.BAR_TS_START_NS_I64]!,
    lastIndex: index,
    values: undefined,
  };
}

/** Reads the rows of buckets that have no values yet, table by table. */
async function fillFromRows(readRows: ReadRows, buckets: readonly Bucket[]): Promise<void> {
  const byTable = new Map<number, Bucket[]>();
  for (const bucket of buckets) {
    if (bucket.values !== undefined) continue;
    const table = tableIndex(bucket.timeframeIndex, bucket.isQuote);
    const wanted = byTable.get(table);
    if (wanted === undefined) byTable.set(table, [bucket]);
    else wanted.push(bucket);
  }
  for (const wanted of byTable.values()) {
    for (let start = 0; start < wanted.length; start += KEYS_PER_SELECT) {
      const some = wanted.slice(start, start + KEYS_PER_SELECT);
      const rows = await readRows(some);
      for (const [index, bucket] of some.entries()) bucket.values = rows[index];
    }
  }
}

type Row = [position: string, ...values: (string | number | null)[]];

/** Reads rows through a connection. */
export function rowReader(client: Connection, context: RowContext): ReadRows {
  return (wanted) => selectRows(client, context, wanted);
}

async function selectRows(client: Connection, context: RowContext, wanted: readonly BucketKey[]): Promise<(BarValues | undefined)[]> {
  const first = wanted[0];
  if (first === undefined) return [];
  const { isQuote } = first;
  const table = tableName(context.timeframes, first.timeframeIndex, isQuote);
  const columns = isQuote
    ? 'bid_o, bid_h, bid_l, bid_c, n, rev, late, first_ns, last_ns, ask_o, ask_h, ask_l, ask_c'
    : 'o, h, l, c, n_trades, rev, late, first_ns, last_ns, vol, notional';
  const { rows } = await client.query<Row>({
    text: `select k.position, ${columns}
      from unnest($1::text[], $2::bigint[]) with ordinality as k (symbol, seconds, position)
      join ${table} b on b.symbol = k.symbol and b.ts = to_timestamp(k.seconds)
      where b.run = $3`,
    values: [
      wanted.map(({ symbolIndex }) => context.symbolName(symbolIndex)),
      wanted.map(({ tsStartNs }) => String(tsStartNs / NS_PER_SECOND)),
      context.run,
    ],
    rowMode: 'array',
  });
  const found = new Array<BarValues | undefined>(wanted.length).fill(undefined);
  for (const [position, ...values] of rows) found[Number(position) - 1] = valuesOf(values, isQuote);
  return found;
}

/** Whole numbers come as text where they may be long, doubles as numbers. */
function valuesOf(row: readonly (string | number | null)[], isQuote: boolean): BarValues {
  const price = (at: number): number => Number(row[at]);
  const whole = (at: number): bigint => BigInt(row[at] ?? 0);
  return {
    prices: { open: price(0), high: price(1), low: price(2), close: price(3) },
    tradeCount: Number(row[4]),
    revision: Number(row[5]),
    lateCount: Number(row[6]),
    firstNs: whole(7),
    lastNs: whole(8),
    ask: isQuote ? { open: price(9), high: price(10), low: price(11), close: price(12) } : undefined,
    volumeLots: isQuote ? 0n : whole(9),
    notional: isQuote || row[10] === null ? undefined : whole(10),
  };
}
