/** Writes the open buckets of the symbols that an epoch touched: one row per symbol, replaced; deleted when nothing is open any more. */
import * as L from '../../../schemas/layout.gen.ts';
import { BAR_FLAG } from '../../../schemas/records.ts';
import { assert } from '../../core/errors.ts';
import type { SymbolEntry } from '../../market/instruments.ts';
import type { Timeframe } from '../../market/timeframes.ts';
import { type BinaryRows, createBinaryRows, ELEMENT_TYPE } from './binary-rows.ts';
import type { Connection } from './connection.ts';
import { BINARY_HEADER, BINARY_TRAILER, copyChunks } from './copy.ts';
import type { OpenSince } from './open-since.ts';
import { BAR_WORDS, type RecordList } from './record-list.ts';
import { STATE_VERSION } from './state-version.ts';

export interface OpenRowsContext {
  readonly source: string;
  readonly run: number;
  readonly timeframes: readonly Timeframe[];
  readonly openSince: OpenSince;
  /** Partitions whose rows this epoch replaces altogether. */
  readonly rebuiltPartitions: readonly number[];
  entryOf(symbolIndex: number): SymbolEntry;
  /** Where the epoch began in a partition; null without offsets. */
  startOffset(partition: number): bigint | null;
}

/** In the order of the rows. */
const COLUMNS = [
  ...['source', 'symbol', 'partition', 'kind', 'price_decimals', 'lot_decimals', 'tf_sec', 'ts_ns', 'o', 'h', 'l', 'c'],
  ...['vol', 'notional', 'n', 'late', 'first_ns', 'last_ns', 'ask_o', 'ask_h', 'ask_l', 'ask_c', 'run', 'since_offset', 'oldest_offset'],
  'version',
] as const;
const COLUMN_LIST = COLUMNS.join(', ');
const CHUNK_BYTES = 262_144;

/**
 * Statements for the connection's first use. Rows come into a table of the session first and replace those of equal keys from there: then each
 * is a new version of its row, on the same page if there is room, and the index stays as it is. A delete and a COPY would add an index entry for
 * each symbol at each epoch.
 */
export const CREATE_OPEN_STAGE = `create temp table if not exists stage_open_state (like open_state) with (toast_tuple_target = 8160) on commit delete rows`;
const COPY_STAGE = `copy pg_temp.stage_open_state (${COLUMN_LIST}) from stdin (format binary)`;
const UPSERT = `insert into open_state (${COLUMN_LIST}) select ${COLUMN_LIST} from pg_temp.stage_open_state
  on conflict (source, symbol) do update set ${COLUMNS.slice(2)
    .map((name) => `${name} = excluded.${name}`)
    .join(', ')}`;

/** Within the epoch's transaction. `clears`: `symbolClear` records. */
export async function storeOpenState(
  client: Connection,
  context: OpenRowsContext,
  { opens, clears }: { readonly opens: RecordList; readonly clears: RecordList },
): Promise<void> {
  context.openSince.restart();
  // What was built again is listed whole in the session's first epoch: whatever else the table has of it is of the version that could not be read.
  if (context.rebuiltPartitions.length > 0) {
    await client.query('delete from open_state where source = $1 and partition = any($2)', [context.source, context.rebuiltPartitions]);
  }
  if (clears.length > 0) {
    const symbols: string[] = [];
    for (let index = 0; index < clears.length; index += 1) {
      const symbolIndex = clears.i32[index * BAR_WORDS + L.BAR_SYMBOL_INDEX_I32]!;
      symbols.push(context.entryOf(symbolIndex).name);
      context.openSince.planClear(symbolIndex);
    }
    await client.query('delete from open_state where source = $1 and symbol = any($2)', [context.source, symbols]);
  }
  if (opens.length === 0) return;
  await copyChunks(client, COPY_STAGE, openStateRows(opens, context));
  await client.query(UPSERT);
}

/** Binary rows, with header and trailer, from `barOpen` records in any order. */
export function* openStateRows(opens: RecordList, context: OpenRowsContext): Generator<Buffer> {
  const rows = createBinaryRows();
  const source = Buffer.from(context.source);
  yield BINARY_HEADER;
  for (const [symbolIndex, indices] of groupBySymbol(opens)) {
    writeRow(rows, { opens, context, source, symbolIndex, indices });
    if (rows.length >= CHUNK_BYTES) yield rows.take();
  }
  yield rows.take();
  yield BINARY_TRAILER;
}

function groupBySymbol(opens: RecordList): Map<number, number[]> {
  const bySymbol = new Map<number, number[]>();
  for (let index = 0; index < opens.length; index += 1) {
    const symbolIndex = opens.i32[index * BAR_WORDS + L.BAR_SYMBOL_INDEX_I32]!;
    const indices = bySymbol.get(symbolIndex);
    if (indices === undefined) bySymbol.set(symbolIndex, [index]);
    else indices.push(index);
  }
  return bySymbol;
}

interface SymbolBuckets {
  readonly opens: RecordList;
  readonly context: OpenRowsContext;
  readonly source: Buffer;
  readonly symbolIndex: number;
  /** Of the symbol's records in `opens`. */
  readonly indices: readonly number[];
}

const TRADE = Buffer.from('trade');
const QUOTE = Buffer.from('quote');

function writeRow(rows: BinaryRows, { opens, context, source, symbolIndex, indices }: SymbolBuckets): void {
  const entry = context.entryOf(symbolIndex);
  const { i32, f64, i64 } = opens;
  const seconds = indices.map((index) => secondsOf(opens, index, context.timeframes));
  const startNs = indices.map((index) => i64[((index * BAR_WORDS) >> 1) + L.BAR_TS_START_NS_I64]!);
  const since = context.openSince.plan(symbolIndex, { seconds, startNs }, context.startOffset(entry.partition));
  const count = indices.length;

  const ints = (field: number): void => {
    rows.beginArray(ELEMENT_TYPE.int4, count, false);
    for (const index of indices) rows.int4(i32[index * BAR_WORDS + field]!);
    rows.endArray();
  };
  const longs = (field: number): void => {
    rows.beginArray(ELEMENT_TYPE.int8, count, false);
    // The low half first, as in memory.
    for (const index of indices) rows.int8Halves(i32[index * BAR_WORDS + 2 * field + 1]!, i32[index * BAR_WORDS + 2 * field]!);
    rows.endArray();
  };
  const doubles = (field: number): void => {
    rows.beginArray(ELEMENT_TYPE.float8, count, false);
    for (const index of indices) rows.float8(f64[((index * BAR_WORDS) >> 1) + field]!);
    rows.endArray();
  };
  const nulls = (elementType: number): void => {
    rows.beginArray(elementType, count, true);
    for (let index = 0; index < count; index += 1) rows.null();
    rows.endArray();
  };

  rows.beginRow(COLUMNS.length);
  rows.text(source);
  rows.text(Buffer.from(entry.name));
  rows.int4(entry.partition);
  rows.text(entry.isQuote ? QUOTE : TRADE);
  rows.int4(entry.priceDecimals);
  rows.int4(entry.lotDecimals);
  rows.beginArray(ELEMENT_TYPE.int4, count, false);
  for (const value of seconds) rows.int4(value);
  rows.endArray();
  longs(L.BAR_TS_START_NS_I64);
  for (const field of [L.BAR_OPEN_F64, L.BAR_HIGH_F64, L.BAR_LOW_F64, L.BAR_CLOSE_F64]) doubles(field);
  if (entry.isQuote) {
    nulls(ELEMENT_TYPE.int8);
    nulls(ELEMENT_TYPE.numeric);
  } else {
    longs(L.BAR_VOLUME_LOTS_I64);
    writeNotionals(rows, opens, indices);
  }
  rows.beginArray(ELEMENT_TYPE.int8, count, false);
  for (const index of indices) rows.int8Halves(0, i32[index * BAR_WORDS + L.BAR_TRADE_COUNT_I32]!);
  rows.endArray();
  ints(L.BAR_LATE_COUNT_I32);
  longs(L.BAR_FIRST_NS_I64);
  longs(L.BAR_LAST_NS_I64);
  for (const field of [L.BAR_ASK_OPEN_F64, L.BAR_ASK_HIGH_F64, L.BAR_ASK_LOW_F64, L.BAR_ASK_CLOSE_F64]) {
    if (entry.isQuote) doubles(field);
    else nulls(ELEMENT_TYPE.float8);
  }
  rows.int4(context.run);
  writeSince(rows, since);
  rows.int4(STATE_VERSION);
}

/** Null elements where the notional is unknown. */
function writeNotionals(rows: BinaryRows, { i32, i64 }: RecordList, indices: readonly number[]): void {
  const isUnknown = (index: number): boolean => (i32[index * BAR_WORDS + L.BAR_FLAGS_I32]! & BAR_FLAG.notionalUnknown) !== 0;
  rows.beginArray(ELEMENT_TYPE.numeric, indices.length, indices.some(isUnknown));
  for (const index of indices) {
    const at = (index * BAR_WORDS) >> 1;
    if (isUnknown(index)) rows.null();
    else rows.numeric((i64[at + L.BAR_NOTIONAL_HI_I64]! << 64n) | BigInt.asUintN(64, i64[at + L.BAR_NOTIONAL_LO_I64]!));
  }
  rows.endArray();
}

function writeSince(rows: BinaryRows, since: readonly (bigint | null)[]): void {
  rows.beginArray(ELEMENT_TYPE.int8, since.length, since.includes(null));
  let oldest: bigint | null = null;
  for (const offset of since) {
    if (offset === null) {
      rows.null();
      continue;
    }
    rows.int8(offset);
    if (oldest === null || offset < oldest) oldest = offset;
  }
  rows.endArray();
  if (oldest === null) rows.null();
  else rows.int8(oldest);
}

function secondsOf(opens: RecordList, index: number, timeframes: readonly Timeframe[]): number {
  const timeframe = timeframes[opens.i32[index * BAR_WORDS + L.BAR_TIMEFRAME_INDEX_I32]!];
  assert(timeframe !== undefined, `open bar ${index} has a known timeframe`);
  return timeframe.seconds;
}
