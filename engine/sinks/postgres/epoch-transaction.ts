/**
 * One epoch, one transaction: whether the lanes are still ours, then rows, positions, open buckets and what is to be published. When an earlier
 * attempt whose outcome is unknown did commit, or is still about to, the first statement waits for it and finds the epoch taken.
 */
import * as L from '../../../schemas/layout.gen.ts';
import { INSTRUMENT_KIND, LATE_FLAG } from '../../../schemas/records.ts';
import { assert, EngineError } from '../../core/errors.ts';
import type { BarEncoder } from '../../kernel/encode.ts';
import type { SymbolDictionary, SymbolEntry } from '../../market/instruments.ts';
import type { Timeframe } from '../../market/timeframes.ts';
import { TIMEFRAMES_LIMIT } from '../../memory/region.ts';
import type { ToWriter } from '../messages.ts';
import { type Amendments, amend, type RowContext, rowReader } from './amend.ts';
import { type EpochBatch, tableIndex } from './collect.ts';
import type { Connection } from './connection.ts';
import { binaryRows, copyChunks, textRows } from './copy.ts';
import { type LaneOwner, takeEpoch } from './lane-fence.ts';
import { storeOffsets } from './offsets.ts';
import { type OpenRowsContext, storeOpenState } from './open-rows.ts';
import type { OpenSince } from './open-since.ts';
import { storeOutbox } from './outbox.ts';
import { BAR_WORDS, type RecordList } from './record-list.ts';
import { storeStageBars } from './stage-bars.ts';
import { statementsOf } from './tables.ts';

export interface TransactionContext extends LaneOwner {
  readonly isLaned: boolean;
  readonly run: number;
  readonly timeframes: readonly Timeframe[];
  readonly symbols: SymbolDictionary;
  readonly encoder: BarEncoder;
  readonly openSince: OpenSince;
  /** False when nothing is published, so that nothing need be kept for it. */
  readonly isPublishing: boolean;
  /** Where the epoch under way began, by partition. */
  readonly startOffsets: ReadonlyMap<number, bigint>;
  /** As in `WriterStart`. */
  readonly rebuiltPartitions: readonly number[];
  /** As in `WriterStart`. */
  readonly readsBars?: boolean;
  laneOfSymbol(symbolIndex: number): number;
}

export interface EpochWork {
  readonly message: Extract<ToWriter, { type: 'epoch' }>;
  readonly batch: EpochBatch;
  /** Filled by the transaction; of use once it is committed. */
  readonly amendments: Amendments;
}

export interface EpochAttempt extends EpochWork {
  /** The lanes' epoch once this one is committed. */
  readonly databaseEpoch: number;
  /** Symbols with an index below this are in `instruments`. */
  readonly symbolsStored: number;
}

export interface TransactionResult {
  /** False when an earlier attempt had committed this epoch already. */
  readonly isNew: boolean;
  readonly symbolsStored: number;
  readonly bytes: number;
}

/**
 * Commits the epoch. `isUpsert`: first revisions replace rows with equal keys, else such a row is a unique violation (23505).
 * @throws EngineError FENCED, INSTRUMENT_CHANGED; errors of the server and the connection
 */
export async function commitEpoch(
  client: Connection,
  context: TransactionContext,
  work: EpochAttempt,
  isUpsert: boolean,
): Promise<TransactionResult> {
  const { batch, amendments } = work;
  await client.query('begin');
  if (!(await takeEpoch(client, context, work.databaseEpoch, context.isPublishing))) {
    await client.query('rollback');
    // The attempt that committed had worked out the revisions before it wrote them: they are still there to be published.
    assert(amendments.revisions.length === batch.deltas.length, `epoch ${batch.epoch}: revisions were worked out before the commit`);
    return { isNew: false, symbolsStored: work.symbolsStored, bytes: 0 };
  }
  const symbolsStored = await storeInstruments(client, context, work.symbolsStored);
  // Read before first revisions are written, so that a row of an earlier run is not taken for this epoch's.
  await amend(rowReader(client, rowContext(context)), batch, amendments);
  const bytes = (await writeFinals(client, context, batch, isUpsert)) + (await writeLast(client, context, amendments.last));
  await storeLateTicks(client, context, batch.lates);
  await storeOffsets(client, context, work.message, work.databaseEpoch);
  await storeOpenState(client, openRowsContext(context, work), batch);
  if (context.readsBars === true) {
    const { source, symbols } = context;
    await storeStageBars(client, { source, entryOf: (symbolIndex) => entryOf(symbols, symbolIndex) }, batch);
  }
  if (context.isPublishing) await storeOutbox(client, context, work, work.databaseEpoch);
  await client.query('commit');
  return { isNew: true, symbolsStored, bytes };
}

function openRowsContext(context: TransactionContext, { message }: EpochWork): OpenRowsContext {
  const { source, run, timeframes, symbols, openSince, startOffsets } = context;
  const isFirst = message.epoch === 1;
  const offsets = new Map(message.offsets);
  return {
    source,
    run,
    timeframes,
    openSince,
    rebuiltPartitions: isFirst ? context.rebuiltPartitions : [],
    entryOf: (symbolIndex) => entryOf(symbols, symbolIndex),
    // A partition whose first offset comes with this epoch was read from a place that is not known.
    startOffset: (partition) => startOffsets.get(partition) ?? (offsets.has(partition) ? 0n : null),
  };
}

function rowContext({ timeframes, run, symbols }: TransactionContext): RowContext {
  return { timeframes, run, symbolName: (symbolIndex) => entryOf(symbols, symbolIndex).name };
}

export function entryOf(symbols: SymbolDictionary, symbolIndex: number): SymbolEntry {
  const entry = symbols.read(symbolIndex);
  if (entry === undefined) throw new EngineError('SYMBOL_UNREGISTERED', `symbol index ${symbolIndex}: the dictionary has no such entry`);
  return entry;
}

async function writeFinals(client: Connection, context: TransactionContext, batch: EpochBatch, isUpsert: boolean): Promise<number> {
  let bytes = 0;
  for (const isQuote of [false, true]) {
    for (let timeframeIndex = 0; timeframeIndex < TIMEFRAMES_LIMIT; timeframeIndex += 1) {
      if (batch.finalCounts[tableIndex(timeframeIndex, isQuote)] === 0) continue;
      const table = { timeframeIndex, isQuote };
      if (isUpsert) bytes += await upsertRows(client, context, batch.finals, table);
      else {
        const { copy } = statementsOf(context.timeframes, timeframeIndex, isQuote);
        bytes += await copyChunks(client, copy, binaryRows(context.encoder, batch.finals, { ...table, run: context.run }));
      }
    }
  }
  return bytes;
}

interface TableChoice {
  readonly timeframeIndex: number;
  readonly isQuote: boolean;
}

async function upsertRows(client: Connection, context: TransactionContext, list: RecordList, table: TableChoice): Promise<number> {
  const statements = statementsOf(context.timeframes, table.timeframeIndex, table.isQuote);
  await client.query(statements.createStage);
  const bytes = await copyChunks(client, statements.copyStage, binaryRows(context.encoder, list, { ...table, run: context.run }));
  await client.query(statements.upsert);
  await client.query(statements.emptyStage);
  return bytes;
}

async function writeLast(client: Connection, context: TransactionContext, last: RecordList): Promise<number> {
  const tables = new Map<number, TableChoice>();
  for (let index = 0; index < last.length; index += 1) {
    const at = index * BAR_WORDS;
    const timeframeIndex = last.i32[at + L.BAR_TIMEFRAME_INDEX_I32]!;
    const isQuote = last.i32[at + L.BAR_INSTRUMENT_KIND_I32] === INSTRUMENT_KIND.quote;
    tables.set(tableIndex(timeframeIndex, isQuote), { timeframeIndex, isQuote });
  }
  let bytes = 0;
  for (const table of tables.values()) bytes += await upsertRows(client, context, last, table);
  return bytes;
}

/** Symbols are registered in order of their index, before any of their records enters a ring. */
async function storeInstruments(client: Connection, { symbols, readsBars = false }: TransactionContext, from: number): Promise<number> {
  const entries: SymbolEntry[] = [];
  for (let index = from; index < symbols.capacity; index += 1) {
    const entry = symbols.read(index);
    if (entry === undefined) break;
    entries.push(entry);
  }
  // Bars do not say what their decimals are: that is for those to write who make them of ticks.
  if (entries.length === 0 || readsBars) return from + entries.length;
  const columns = [
    entries.map(({ name }) => name),
    entries.map(({ isQuote }) => (isQuote ? 'quote' : 'trade')),
    entries.map(({ priceDecimals }) => priceDecimals),
    entries.map(({ lotDecimals }) => lotDecimals),
    entries.map(({ partition }) => partition),
  ];
  const rows = 'unnest($1::text[], $2::text[], $3::integer[], $4::integer[], $5::integer[])';
  await client.query(
    `insert into instruments (symbol, kind, price_decimals, lot_decimals, partition) select * from ${rows}
     on conflict (symbol) do update set partition = excluded.partition where instruments.partition <> excluded.partition`,
    columns,
  );
  // Without order or limit: they lead the planner, which knows nothing of this table yet, to compare each symbol with each.
  const { rows: changed } = await client.query<{ symbol: string; was: string; is: string }>(
    `select i.symbol, concat_ws(' ', i.kind, i.price_decimals, i.lot_decimals) as was, concat_ws(' ', n.kind, n.price, n.lot) as is
     from ${rows} as n (symbol, kind, price, lot, partition) join instruments i using (symbol)
     where (i.kind, i.price_decimals, i.lot_decimals) <> (n.kind, n.price, n.lot)`,
    columns,
  );
  const first = changed[0];
  if (first !== undefined) {
    throw new EngineError(
      'INSTRUMENT_CHANGED',
      `instrument ${first.symbol}: the table says ${first.was} (kind, price decimals, lot decimals), the source ${first.is}; ` +
        'rows in two units must not mix: use another PG_SCHEMA',
    );
  }
  return from + entries.length;
}

async function storeLateTicks(client: Connection, { symbols, run }: TransactionContext, lates: RecordList): Promise<void> {
  if (lates.length === 0) return;
  const rows = function* (): Generator<(string | null)[]> {
    const { i32, f64, i64 } = lates;
    for (let index = 0; index < lates.length; index += 1) {
      const at = index * BAR_WORDS;
      const at64 = at >> 1;
      const isQuote = i32[at + L.BAR_INSTRUMENT_KIND_I32] === INSTRUMENT_KIND.quote;
      yield [
        entryOf(symbols, i32[at + L.BAR_SYMBOL_INDEX_I32]!).name,
        String(i64[at64 + L.BAR_TS_START_NS_I64]!),
        String(f64[at64 + L.BAR_OPEN_F64]!),
        isQuote ? String(f64[at64 + L.BAR_CLOSE_F64]!) : null,
        isQuote ? '0' : String(i64[at64 + L.BAR_VOLUME_LOTS_I64]!),
        String(i32[at + L.BAR_TRADE_COUNT_I32]!),
        String(i32[at + L.BAR_MISSED_MASK_I32]! & ~LATE_FLAG.refused),
        (i32[at + L.BAR_MISSED_MASK_I32]! & LATE_FLAG.refused) === 0 ? 'false' : 'true',
        String(i32[at + L.BAR_PARTITION_I32]!),
        String(run),
      ];
    }
  };
  const columns = 'symbol, event_ns, price, ask, quantity, n, missed, is_refused, partition, run';
  await copyChunks(client, `copy late_ticks (${columns}) from stdin`, textRows(rows()));
}
