/** Reads open buckets back: one row per symbol in `open_state`, arrays with one element per bucket. `open-rows.ts` writes them. */
import * as L from '../../../schemas/layout.gen.ts';
import { BAR_FLAG, INSTRUMENT_KIND } from '../../../schemas/records.ts';
import { assert, EngineError } from '../../core/errors.ts';
import type { Timeframe } from '../../market/timeframes.ts';
import type { OpenState } from '../messages.ts';
import { type BarValues, writeBar } from './bar-record.ts';
import type { Connection } from './connection.ts';
import { type LaneChoice, ofLanes } from './lane-choice.ts';
import type { OpenBuckets } from './open-since.ts';
import { BAR_WORDS } from './record-list.ts';
import { STATE_VERSION } from './state-version.ts';

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
 * Partitions whose open buckets are stored in another version, with the offset from which they can be built again.
 * @throws EngineError OPEN_STATE_VERSION when the source has no offsets
 */
export async function readStalePartitions(client: Connection, lanes: LaneChoice): Promise<Map<number, bigint>> {
  const { rows } = await client.query<{ partition: number; version: number; oldest: string | null; unknown: number }>(
    `select partition, min(version) filter (where version <> $4) as version, min(oldest_offset) as oldest,
       count(*) filter (where oldest_offset is null)::integer as unknown
     from open_state where ${ofLanes('open_state')} group by partition having bool_or(version <> $4) order by partition`,
    [lanes.source, lanes.isLaned, lanes.lanes, STATE_VERSION],
  );
  return new Map(
    rows.map(({ partition, version, oldest, unknown }) => {
      if (oldest === null || unknown > 0) {
        throw new EngineError(
          'OPEN_STATE_VERSION',
          `source ${lanes.source}: open bars of version ${version} are stored, this engine reads version ${STATE_VERSION}, and the source cannot ` +
            'be read again; go on with the engine that stored them, or use another PG_SCHEMA',
        );
      }
      return [partition, BigInt(oldest)];
    }),
  );
}

/**
 * The stored buckets of a source's lanes, those of stale partitions left out, as `barOpen` records for these timeframes; symbolIndex is left 0.
 * @throws EngineError OPEN_STATE_TIMEFRAME when a stored bucket's timeframe is no longer in TIMEFRAMES
 */
export async function readOpenState(
  client: Connection,
  lanes: LaneChoice,
  { timeframes, stalePartitions }: { readonly timeframes: readonly Timeframe[]; readonly stalePartitions: readonly number[] },
): Promise<OpenState[]> {
  const { rows } = await client.query<OpenRow>(
    `select symbol, partition, kind, price_decimals, lot_decimals, tf_sec, ts_ns, o, h, l, c, vol, notional::text[], n, late,
       first_ns, last_ns, ask_o, ask_h, ask_l, ask_c
     from open_state where ${ofLanes('open_state')} and partition <> all($4::integer[]) order by symbol`,
    [lanes.source, lanes.isLaned, lanes.lanes, stalePartitions],
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

/** Which buckets are stored as open, and since which offset, by symbol. */
export async function readOpenBuckets(client: Connection, lanes: LaneChoice): Promise<Map<string, OpenBuckets>> {
  const { rows } = await client.query<{ symbol: string; tf_sec: number[]; ts_ns: string[]; since_offset: (string | null)[] }>(
    `select symbol, tf_sec, ts_ns, since_offset from open_state where ${ofLanes('open_state')}`,
    [lanes.source, lanes.isLaned, lanes.lanes],
  );
  return new Map(
    rows.map((row) => [
      row.symbol,
      {
        seconds: row.tf_sec,
        startNs: row.ts_ns.map(BigInt),
        since: row.since_offset.map((offset) => (offset === null ? null : BigInt(offset))),
      },
    ]),
  );
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
