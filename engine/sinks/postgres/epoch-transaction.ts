/**
 * One epoch, one transaction. Its first statement takes the lock of the run's row and moves the run's epoch on: when an earlier attempt
 * whose outcome is unknown did commit, or is still about to, that statement waits for it and finds the epoch taken.
 */
import * as L from '../../../schemas/layout.gen.ts';
import { INSTRUMENT_KIND, LATE_FLAG } from '../../../schemas/records.ts';
import { assert, EngineError } from '../../core/errors.ts';
import type { BarEncoder } from '../../kernel/encode.ts';
import type { SymbolDictionary, SymbolEntry } from '../../market/instruments.ts';
import type { Timeframe } from '../../market/timeframes.ts';
import { TIMEFRAMES_LIMIT } from '../../memory/region.ts';
import type { ToWriter } from '../messages.ts';
import { type Amendments, amend } from './amend.ts';
import { type EpochBatch, tableIndex } from './collect.ts';
import type { Connection } from './connection.ts';
import { binaryRows, copyChunks, textRows } from './copy.ts';
import { OPEN_STATE_COLUMNS, openStateRows } from './open-state.ts';
import { BAR_WORDS, type RecordList } from './record-list.ts';
import { statementsOf } from './tables.ts';

export interface TransactionContext {
  readonly source: string;
  readonly run: number;
  readonly lineage: number;
  readonly timeframes: readonly Timeframe[];
  readonly symbols: SymbolDictionary;
  readonly encoder: BarEncoder;
}

export interface EpochWork {
  readonly message: Extract<ToWriter, { type: 'epoch' }>;
  readonly batch: EpochBatch;
  /** Filled by the transaction; of use once it is committed. */
  readonly amendments: Amendments;
}

export interface EpochAttempt extends EpochWork {
  /** The run's epoch count once this one is committed: it goes on where an earlier process of the run left off. */
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
 * @throws EngineError RUN_MISSING, INSTRUMENT_CHANGED; errors of the server and the connection
 */
export async function commitEpoch(
  client: Connection,
  context: TransactionContext,
  work: EpochAttempt,
  isUpsert: boolean,
): Promise<TransactionResult> {
  const { batch, amendments } = work;
  await client.query('begin');
  if (!(await takeEpoch(client, context, work))) {
    await client.query('rollback');
    // The attempt that committed had worked out the revisions before it wrote them: they are still there to be published.
    assert(amendments.revisions.length === batch.deltas.length, `epoch ${batch.epoch}: revisions were worked out before the commit`);
    return { isNew: false, symbolsStored: work.symbolsStored, bytes: 0 };
  }
  const symbolsStored = await storeInstruments(client, context, work.symbolsStored);
  // Read before first revisions are written, so that a row of an earlier run is not taken for this epoch's.
  await amend(client, amendContext(context), batch, amendments);
  const bytes = (await writeFinals(client, context, batch, isUpsert)) + (await writeLast(client, context, amendments.last));
  await storeLateTicks(client, context, batch.lates);
  await storeOffsets(client, context, work);
  if (batch.hasOpenState) await storeOpenState(client, context, batch.opens);
  await client.query('commit');
  return { isNew: true, symbolsStored, bytes };
}

async function takeEpoch(client: Connection, { run }: TransactionContext, { databaseEpoch, batch }: EpochAttempt): Promise<boolean> {
  const { rowCount } = await client.query(
    `update runs set epoch = $2, open_state_epoch = case when $3 then $2 else open_state_epoch end where run = $1 and epoch < $2`,
    [run, databaseEpoch, batch.hasOpenState],
  );
  if (rowCount === 1) return true;
  const { rowCount: found } = await client.query('select 1 from runs where run = $1', [run]);
  if (found === 0) throw new EngineError('RUN_MISSING', `run ${run} is not in table runs: was the schema dropped while the engine ran?`);
  return false;
}

function amendContext({ timeframes, lineage, run, symbols }: TransactionContext): Parameters<typeof amend>[1] {
  return { timeframes, lineage, run, symbolName: (symbolIndex) => entryOf(symbols, symbolIndex).name };
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
async function storeInstruments(client: Connection, { symbols }: TransactionContext, from: number): Promise<number> {
  const entries: SymbolEntry[] = [];
  for (let index = from; index < symbols.capacity; index += 1) {
    const entry = symbols.read(index);
    if (entry === undefined) break;
    entries.push(entry);
  }
  if (entries.length === 0) return from;
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

async function storeOffsets(
  client: Connection,
  { source, run }: TransactionContext,
  { message, databaseEpoch }: EpochAttempt,
): Promise<void> {
  const offsets = new Map(message.offsets);
  const watermarks = new Map(message.watermarks);
  const partitions = [...new Set([...offsets.keys(), ...watermarks.keys()])];
  if (partitions.length === 0) return;
  const text = (value: bigint | undefined): string | null => (value === undefined ? null : String(value));
  await client.query(
    `insert into source_offsets (source, partition, next_offset, watermark_ns, run, epoch)
     select $1, p.partition, p.next_offset, p.watermark_ns, $2, $3 from unnest($4::integer[], $5::bigint[], $6::bigint[]) as p (partition, next_offset, watermark_ns)
     on conflict (source, partition) do update set
       next_offset = coalesce(excluded.next_offset, source_offsets.next_offset),
       watermark_ns = coalesce(excluded.watermark_ns, source_offsets.watermark_ns),
       run = excluded.run, epoch = excluded.epoch, updated_at = now()`,
    [
      source,
      run,
      databaseEpoch,
      partitions,
      partitions.map((partition) => text(offsets.get(partition))),
      partitions.map((partition) => text(watermarks.get(partition))),
    ],
  );
}

async function storeOpenState(client: Connection, context: TransactionContext, opens: RecordList): Promise<void> {
  const { source, run, timeframes, symbols } = context;
  await client.query('delete from open_state where source = $1', [source]);
  const rows = openStateRows(opens, { source, run, timeframes, entryOf: (symbolIndex) => entryOf(symbols, symbolIndex) });
  await copyChunks(client, `copy open_state (${OPEN_STATE_COLUMNS}) from stdin`, textRows(rows));
}
