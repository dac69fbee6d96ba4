/** Open buckets between runs: one row per symbol in `open_state`, arrays with one element per bucket. */
import * as L from '../../../schemas/layout.gen.ts';
import { BAR_FLAG, INSTRUMENT_KIND } from '../../../schemas/records.ts';
import { assert, EngineError } from '../../core/errors.ts';
import type { SymbolEntry } from '../../market/instruments.ts';
import type { Timeframe } from '../../market/timeframes.ts';
import type { OpenState } from '../messages.ts';
import { type BarValues, isQuoteRecord, readBar, writeBar } from './bar-record.ts';
import type { Connection } from './connection.ts';
import { BAR_WORDS, type RecordList } from './record-list.ts';

/** Of `copy open_state (..)`, in the order of `openStateRows`. */
export const OPEN_STATE_COLUMNS = `source, symbol, partition, kind, price_decimals, lot_decimals, tf_sec, ts_ns, o, h, l, c,
  vol, notional, n, late, first_ns, last_ns, ask_o, ask_h, ask_l, ask_c, run`;

export interface OpenStateContext {
  readonly source: string;
  readonly run: number;
  readonly timeframes: readonly Timeframe[];
  entryOf(symbolIndex: number): SymbolEntry;
}

/** Rows for COPY in text format, from `barOpen` records. */
export function* openStateRows(opens: RecordList, context: OpenStateContext): Generator<string[]> {
  const bySymbol = new Map<number, number[]>();
  for (let index = 0; index < opens.length; index += 1) {
    const symbolIndex = opens.i32[index * BAR_WORDS + L.BAR_SYMBOL_INDEX_I32]!;
    const indices = bySymbol.get(symbolIndex);
    if (indices === undefined) bySymbol.set(symbolIndex, [index]);
    else indices.push(index);
  }
  for (const [symbolIndex, indices] of bySymbol) {
    const entry = context.entryOf(symbolIndex);
    const bars = indices.map((index) => ({ index, bar: readBar(opens, index), isQuote: isQuoteRecord(opens, index) }));
    const column = (value: (bar: BarValues) => number | bigint | undefined): string =>
      `{${bars.map(({ bar }) => String(value(bar) ?? 'NULL')).join(',')}}`;
    yield [
      context.source,
      entry.name,
      String(entry.partition),
      entry.isQuote ? 'quote' : 'trade',
      String(entry.priceDecimals),
      String(entry.lotDecimals),
      `{${bars.map(({ index }) => secondsOf(opens, index, context.timeframes)).join(',')}}`,
      `{${bars.map(({ index }) => opens.i64[((index * BAR_WORDS) >> 1) + L.BAR_TS_START_NS_I64]!).join(',')}}`,
      column((bar) => bar.prices.open),
      column((bar) => bar.prices.high),
      column((bar) => bar.prices.low),
      column((bar) => bar.prices.close),
      column((bar) => (bar.ask === undefined ? bar.volumeLots : undefined)),
      column((bar) => bar.notional),
      column((bar) => bar.tradeCount),
      column((bar) => bar.lateCount),
      column((bar) => bar.firstNs),
      column((bar) => bar.lastNs),
      column((bar) => bar.ask?.open),
      column((bar) => bar.ask?.high),
      column((bar) => bar.ask?.low),
      column((bar) => bar.ask?.close),
      String(context.run),
    ];
  }
}

function secondsOf(opens: RecordList, index: number, timeframes: readonly Timeframe[]): number {
  const timeframe = timeframes[opens.i32[index * BAR_WORDS + L.BAR_TIMEFRAME_INDEX_I32]!];
  assert(timeframe !== undefined, `open bar ${index} has a known timeframe`);
  return timeframe.seconds;
}

interface OpenRow {
  readonly symbol: string;
  readonly partition: number;
  readonly kind: string;
  readonly price_decimals: number;
  readonly lot_decimals: number;
  readonly tf_sec: readonly number[];
  readonly ts_ns: readonly string[];
  readonly o: readonly number[];
  readonly h: readonly number[];
  readonly l: readonly number[];
  readonly c: readonly number[];
  readonly vol: readonly (string | null)[];
  readonly notional: readonly (string | null)[];
  readonly n: readonly string[];
  readonly late: readonly number[];
  readonly first_ns: readonly string[];
  readonly last_ns: readonly string[];
  readonly ask_o: readonly (number | null)[];
  readonly ask_h: readonly (number | null)[];
  readonly ask_l: readonly (number | null)[];
  readonly ask_c: readonly (number | null)[];
}

/**
 * The stored buckets of a source, as `barOpen` records for these timeframes; symbolIndex is left 0.
 * @throws EngineError OPEN_STATE_TIMEFRAME when a stored bucket's timeframe is no longer in TIMEFRAMES
 */
export async function readOpenState(client: Connection, source: string, timeframes: readonly Timeframe[]): Promise<OpenState[]> {
  const { rows } = await client.query<OpenRow>(
    `select symbol, partition, kind, price_decimals, lot_decimals, tf_sec, ts_ns, o, h, l, c, vol, notional::text[], n, late,
       first_ns, last_ns, ask_o, ask_h, ask_l, ask_c
     from open_state where source = $1 order by symbol`,
    [source],
  );
  return rows.map((row) => ({
    symbol: row.symbol,
    partition: row.partition,
    priceDecimals: row.price_decimals,
    lotDecimals: row.lot_decimals,
    isQuote: row.kind === 'quote',
    bars: recordsOf(row, timeframes),
  }));
}

function recordsOf(row: OpenRow, timeframes: readonly Timeframe[]): Uint8Array {
  const count = row.tf_sec.length;
  const i32 = new Int32Array(count * BAR_WORDS);
  const views = { i32, f64: new Float64Array(i32.buffer), i64: new BigInt64Array(i32.buffer) };
  const isQuote = row.kind === 'quote';
  for (let index = 0; index < count; index += 1) {
    const timeframeIndex = timeframes.findIndex(({ seconds }) => seconds === row.tf_sec[index]);
    if (timeframeIndex < 0) {
      throw new EngineError(
        'OPEN_STATE_TIMEFRAME',
        `stored open bar of ${row.symbol}: its timeframe of ${row.tf_sec[index]} s is not in TIMEFRAMES; use the TIMEFRAMES it was stored with`,
      );
    }
    const at = index * BAR_WORDS;
    i32[at + L.BAR_KIND_I32] = L.OUT_KIND_BAR_OPEN;
    views.i64[(at >> 1) + L.BAR_TS_START_NS_I64] = BigInt(row.ts_ns[index] ?? 0);
    i32[at + L.BAR_TIMEFRAME_INDEX_I32] = timeframeIndex;
    i32[at + L.BAR_PARTITION_I32] = row.partition;
    i32[at + L.BAR_INSTRUMENT_KIND_I32] = isQuote ? INSTRUMENT_KIND.quote : INSTRUMENT_KIND.trade;
    if (!isQuote) views.f64[(at >> 1) + L.BAR_PRICE_SCALE_F64] = 10 ** row.price_decimals;
    writeBar(views, index, valuesAt(row, index, isQuote));
    assert(
      isQuote || row.notional[index] != null || (i32[at + L.BAR_FLAGS_I32]! & BAR_FLAG.notionalUnknown) !== 0,
      'unknown notional is flagged',
    );
  }
  return new Uint8Array(i32.buffer);
}

function valuesAt(row: OpenRow, index: number, isQuote: boolean): BarValues {
  const at = (column: readonly (number | null)[]): number => column[index] ?? Number.NaN;
  const notional = row.notional[index];
  return {
    firstNs: BigInt(row.first_ns[index] ?? 0),
    lastNs: BigInt(row.last_ns[index] ?? 0),
    tradeCount: Number(row.n[index]),
    lateCount: at(row.late),
    revision: 0,
    prices: { open: at(row.o), high: at(row.h), low: at(row.l), close: at(row.c) },
    ask: isQuote ? { open: at(row.ask_o), high: at(row.ask_h), low: at(row.ask_l), close: at(row.ask_c) } : undefined,
    volumeLots: isQuote ? 0n : BigInt(row.vol[index] ?? 0),
    notional: notional == null ? undefined : BigInt(notional),
  };
}
