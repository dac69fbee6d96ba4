/** The bars that a single stage keeps, in `stage_bars`: written in the epoch's transaction, read by who claims the lanes. */
import * as L from '../../../schemas/layout.gen.ts';
import { assert } from '../../core/errors.ts';
import type { SymbolEntry } from '../../market/instruments.ts';
import { readBar } from './bar-record.ts';
import type { Connection } from './connection.ts';
import { copyChunks, textRows } from './copy.ts';
import { type LaneChoice, ofLanes } from './lane-choice.ts';
import { BAR_WORDS, type RecordList } from './record-list.ts';

/** What is stored of a bar, as doubles in this order: start and offsets of its events from there; all whole below 2^53 but for prices, NaN unknown. */
export const STAGE_BAR_FIELDS = [
  ...(['tsSec', 'open', 'high', 'low', 'close', 'volumeLots', 'tradeCount', 'lateCount', 'revision'] as const),
  ...(['firstOffsetNs', 'lastOffsetNs', 'notional'] as const),
] as const;

export type StoredStageBar = Readonly<Record<(typeof STAGE_BAR_FIELDS)[number], number>>;

export interface StoredStageSymbol {
  readonly symbol: string;
  readonly partition: number;
  readonly priceDecimals: number;
  readonly lotDecimals: number;
  /** In order of time. */
  bars(): Generator<StoredStageBar>;
}

export interface StageBarsContext {
  readonly source: string;
  entryOf(symbolIndex: number): SymbolEntry;
}

const COLUMNS = [
  ...['source', 'symbol', 'ts_ns', 'partition', 'rev', 'o', 'h', 'l', 'c', 'vol', 'n', 'late', 'first_ns', 'last_ns', 'notional'],
  ...['price_decimals', 'lot_decimals'],
] as const;
const COLUMN_LIST = COLUMNS.join(', ');
const CREATE_STAGE = 'create temp table if not exists stage_stage_bars (like stage_bars) on commit delete rows';
const COPY_STAGE = `copy pg_temp.stage_stage_bars (${COLUMN_LIST}) from stdin`;
/** Of two revisions of one bar in an epoch the higher one stays. */
const UPSERT = `insert into stage_bars (${COLUMN_LIST})
  select distinct on (symbol, ts_ns) ${COLUMN_LIST} from pg_temp.stage_stage_bars order by symbol, ts_ns, rev desc
  on conflict (source, symbol, ts_ns) do update set ${COLUMNS.slice(3)
    .map((name) => `${name} = excluded.${name}`)
    .join(', ')}`;
const FORGET = `delete from stage_bars b using unnest($2::text[], $3::bigint[]) as n (symbol, until_ns)
  where b.source = $1 and b.symbol = n.symbol and b.ts_ns < n.until_ns`;

export interface StageBatch {
  /** `barInput` and `barForget` records, each in order. */
  readonly inputs: RecordList;
  readonly forgets: RecordList;
}

/** Within the epoch's transaction: keeps what a batch has read, then forgets what it has forgotten; in the stage nothing was kept again after that. */
export async function storeStageBars(client: Connection, context: StageBarsContext, { inputs, forgets }: StageBatch): Promise<void> {
  if (inputs.length > 0) {
    await client.query(CREATE_STAGE);
    await copyChunks(client, COPY_STAGE, textRows(rowsOf(inputs, context)));
    await client.query(UPSERT);
  }
  if (forgets.length > 0) await forget(client, context, forgets);
}

async function forget(client: Connection, { source, entryOf }: StageBarsContext, { i32, i64, length }: RecordList): Promise<void> {
  const places = Array.from({ length }, (_, index) => index * BAR_WORDS);
  const names = places.map((at) => entryOf(i32[at + L.BAR_SYMBOL_INDEX_I32]!).name);
  const untilNs = places.map((at) => String(i64[(at >> 1) + L.BAR_TS_START_NS_I64]!));
  await client.query(FORGET, [source, names, untilNs]);
}

function* rowsOf(inputs: RecordList, { source, entryOf }: StageBarsContext): Generator<(string | null)[]> {
  for (let index = 0; index < inputs.length; index += 1) {
    const at = index * BAR_WORDS;
    const { name, partition, priceDecimals, lotDecimals } = entryOf(inputs.i32[at + L.BAR_SYMBOL_INDEX_I32]!);
    const { prices, ...bar } = readBar(inputs, index);
    const cells = [
      ...[inputs.i64[(at >> 1) + L.BAR_TS_START_NS_I64]!, partition, bar.revision],
      ...[prices.open, prices.high, prices.low, prices.close],
      ...[bar.volumeLots, bar.tradeCount, bar.lateCount, bar.firstNs, bar.lastNs],
    ];
    const notional = bar.notional === undefined ? null : String(bar.notional);
    yield [source, name, ...cells.map(String), notional, String(priceDecimals), String(lotDecimals)];
  }
}

type Row = [symbol: string, tsNs: string, partition: number, priceDecimals: number, lotDecimals: number, ...values: (number | null)[]];

const KEY_COLUMNS = 5;
/** An hour of many symbols does not fit in one answer. */
const ROWS_PER_SELECT = 20_000;
const FIRST_DOUBLES = 64 * STAGE_BAR_FIELDS.length;

/** What the lanes of a source keep, by symbol. Read in pages; values are held in 96 bytes a bar. */
export async function readStageBars(client: Connection, lanes: LaneChoice): Promise<StoredStageSymbol[]> {
  const found: SymbolRows[] = [];
  let after: readonly [symbol: string, tsNs: string] = ['', '0'];
  for (;;) {
    const { rows } = await client.query<Row>({
      text: `select symbol, ts_ns, partition, price_decimals, lot_decimals, (ts_ns / 1000000000)::float8, o, h, l, c, vol::float8, n::float8, late::float8,
          rev::float8, (first_ns - ts_ns)::float8, (last_ns - ts_ns)::float8, notional::float8
        from stage_bars where ${ofLanes('stage_bars')} and (symbol, ts_ns) > ($4, $5::bigint) order by symbol, ts_ns limit ${ROWS_PER_SELECT}`,
      values: [lanes.source, lanes.isLaned, lanes.lanes, ...after],
      rowMode: 'array',
    });
    for (const row of rows) addRow(found, row);
    const last = rows.at(-1);
    if (last === undefined || rows.length < ROWS_PER_SELECT) return found.map(storedOf);
    after = [last[0], last[1]];
  }
}

interface SymbolRows extends Omit<StoredStageSymbol, 'bars'> {
  values: Float64Array;
  length: number;
}

function addRow(found: SymbolRows[], row: Row): void {
  const [symbol, , partition, priceDecimals, lotDecimals] = row;
  let last = found.at(-1);
  if (last?.symbol !== symbol) {
    last = { symbol, partition, priceDecimals, lotDecimals, values: new Float64Array(FIRST_DOUBLES), length: 0 };
    found.push(last);
  }
  assert(last.partition === partition, `kept bars of ${symbol} are of one partition`);
  if (last.length + STAGE_BAR_FIELDS.length > last.values.length) {
    const larger = new Float64Array(last.values.length * 2);
    larger.set(last.values);
    last.values = larger;
  }
  for (let field = 0; field < STAGE_BAR_FIELDS.length; field += 1) {
    last.values[last.length] = Number(row[KEY_COLUMNS + field] ?? Number.NaN);
    last.length += 1;
  }
}

function storedOf({ values, length, ...symbol }: SymbolRows): StoredStageSymbol {
  return {
    ...symbol,
    *bars() {
      for (let at = 0; at < length; at += STAGE_BAR_FIELDS.length) {
        // A cast: the entries are those of the fields.
        yield Object.fromEntries(STAGE_BAR_FIELDS.map((name, field) => [name, values[at + field]!])) as StoredStageBar;
      }
    },
  };
}
