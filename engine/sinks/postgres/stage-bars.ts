/** The bars that a single stage keeps, in `stage_bars`: written in the epoch's transaction, read by who claims the lanes. */
import * as L from '../../../schemas/layout.gen.ts';
import { assert } from '../../core/errors.ts';
import type { SymbolEntry } from '../../market/instruments.ts';
import { readBar } from './bar-record.ts';
import type { Connection } from './connection.ts';
import { copyChunks, textRows } from './copy.ts';
import { type LaneChoice, ofLanes } from './lane-choice.ts';
import { BAR_WORDS, type RecordList } from './record-list.ts';

export interface StoredStageBar {
  readonly tsNs: bigint;
  readonly revision: number;
  readonly open: number;
  readonly high: number;
  readonly low: number;
  readonly close: number;
  readonly volumeLots: number;
  readonly tradeCount: number;
  readonly lateCount: number;
  readonly firstNs: bigint;
  readonly lastNs: bigint;
  readonly notional: number | undefined;
}

export interface StoredStageSymbol {
  readonly symbol: string;
  readonly partition: number;
  readonly priceDecimals: number;
  readonly lotDecimals: number;
  readonly bars: readonly StoredStageBar[];
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

interface Row {
  readonly symbol: string;
  readonly partition: number;
  readonly price_decimals: number;
  readonly lot_decimals: number;
  readonly ts_ns: string;
  readonly rev: number;
  readonly o: number;
  readonly h: number;
  readonly l: number;
  readonly c: number;
  readonly vol: string;
  readonly n: number;
  readonly late: number;
  readonly first_ns: string;
  readonly last_ns: string;
  readonly notional: string | null;
}

/** What the lanes of a source keep, by symbol; bars in order of time. */
export async function readStageBars(client: Connection, lanes: LaneChoice): Promise<StoredStageSymbol[]> {
  const { rows } = await client.query<Row>(
    `select symbol, partition, price_decimals, lot_decimals, ts_ns, rev, o, h, l, c, vol, n, late, first_ns, last_ns, notional
     from stage_bars where ${ofLanes('stage_bars')} order by symbol, ts_ns`,
    [lanes.source, lanes.isLaned, lanes.lanes],
  );
  const bySymbol = new Map<string, StoredStageSymbol & { readonly bars: StoredStageBar[] }>();
  for (const row of rows) {
    let known = bySymbol.get(row.symbol);
    if (known === undefined) {
      const { symbol, partition, price_decimals: priceDecimals, lot_decimals: lotDecimals } = row;
      known = { symbol, partition, priceDecimals, lotDecimals, bars: [] };
      bySymbol.set(symbol, known);
    }
    assert(known.partition === row.partition, `kept bars of ${row.symbol} are of one partition`);
    known.bars.push(barOf(row));
  }
  return [...bySymbol.values()];
}

function barOf(row: Row): StoredStageBar {
  return {
    tsNs: BigInt(row.ts_ns),
    revision: row.rev,
    ...{ open: row.o, high: row.h, low: row.l, close: row.c },
    volumeLots: Number(row.vol),
    tradeCount: row.n,
    lateCount: row.late,
    firstNs: BigInt(row.first_ns),
    lastNs: BigInt(row.last_ns),
    notional: row.notional === null ? undefined : Number(row.notional),
  };
}
