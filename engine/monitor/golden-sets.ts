/** The recorded sets with known answers: which files to replay, and what their bars must equal. Paths are below DATA_DIR. */
import { QUOTE_FIELDS, QUOTE_FIELDS_COUNTED, type Reference, TRADE_FIELDS, TRADE_FIELDS_COUNTED } from './golden-reference.ts';

export const GOLDEN_TIMEFRAMES = ['1s', '1m', '3m', '5m', '15m'] as const;

export interface GoldenSet {
  /** Lower case letters, digits and _: it becomes part of a schema's name. */
  readonly name: string;
  readonly files: readonly string[];
  readonly kind: 'trades' | 'quotes';
  readonly comparisons: readonly Comparison[];
}

export interface Comparison {
  readonly timeframe: string;
  /** What the bars are compared with, for the table. */
  readonly against: string;
  readonly references: readonly Reference[];
  /** Columns of the export that must be equal. */
  readonly fields: readonly string[];
  /** So many bars may differ, each the last one of its symbol and reference file; known of the vendor's data. */
  readonly lastBarsDiffering?: number;
}

const GOLD_DAYS = ['20131007', '20131008', '20131009'];
const GOLD_FRONT = 'GC201312';
const OANDA_DAYS = ['20140501', '20140502'];
const COINBASE_DAYS = ['20161007', '20161008', '20161009'];

function binance(market: string, symbol: string, files: readonly string[]): GoldenSet {
  const name = `${market}_${symbol.toLowerCase()}`;
  return {
    name: `binance_${market}`,
    files: files.map((file) => `binance/${market}/${file}.gz`),
    kind: 'trades',
    comparisons: GOLDEN_TIMEFRAMES.map((timeframe) => ({
      timeframe,
      against: 'reference',
      references: [
        { path: `binance/reference/${name}_trades_${timeframe}.csv.gz`, layout: 'header', columns: TRADE_FIELDS_COUNTED, symbol },
      ],
      fields: TRADE_FIELDS_COUNTED,
    })),
  };
}

const goldMinutes = GOLD_DAYS.map(
  (day): Reference => ({ path: `comex-gold/minute/${day}_trade.zip`, layout: 'vendor', columns: TRADE_FIELDS }),
);

const GOLD: GoldenSet = {
  name: 'gold',
  files: GOLD_DAYS.map((day) => `comex-gold/tick/${day}_trade.zip`),
  kind: 'trades',
  comparisons: [
    ...GOLDEN_TIMEFRAMES.map((timeframe) => ({
      timeframe,
      against: 'reference, front month',
      references: GOLD_DAYS.map((day): Reference => {
        const path = `comex-gold/reference/gc201312_${day}_${timeframe}.csv.gz`;
        return { path, layout: 'header', columns: TRADE_FIELDS_COUNTED, symbol: GOLD_FRONT, day };
      }),
      fields: TRADE_FIELDS_COUNTED,
    })),
    { timeframe: '1m', against: 'vendor, o h l c, every expiry', references: goldMinutes, fields: ['o', 'h', 'l', 'c'] },
    { timeframe: '1m', against: 'vendor, volume, every expiry', references: goldMinutes, fields: ['vol'], lastBarsDiffering: 20 },
  ],
};

const OANDA: GoldenSet = {
  name: 'oanda',
  files: OANDA_DAYS.map((day) => `oanda-fx/tick/eurusd/${day}_quote.zip`),
  kind: 'quotes',
  comparisons: [
    ...GOLDEN_TIMEFRAMES.map((timeframe) => ({
      timeframe,
      against: 'reference',
      references: OANDA_DAYS.map((day): Reference => {
        const path = `oanda-fx/reference/oanda_eurusd_${day}_${timeframe}.csv.gz`;
        return { path, layout: 'header', columns: QUOTE_FIELDS_COUNTED, symbol: 'EURUSD', day };
      }),
      fields: QUOTE_FIELDS_COUNTED,
    })),
    ...(['second', 'minute'] as const).map((resolution) => ({
      timeframe: resolution === 'second' ? '1s' : '1m',
      against: 'vendor',
      references: OANDA_DAYS.map((day): Reference => {
        const columns = [...QUOTE_FIELDS.slice(0, 4), 'size', ...QUOTE_FIELDS.slice(4), 'size'];
        return { path: `oanda-fx/${resolution}/eurusd/${day}_quote.zip`, layout: 'vendor', columns };
      }),
      fields: QUOTE_FIELDS,
    })),
  ],
};

const COINBASE: GoldenSet = {
  name: 'coinbase',
  files: COINBASE_DAYS.map((day) => `coinbase/second/${day}_trade.zip`),
  kind: 'trades',
  comparisons: (['second', 'minute'] as const).map((resolution) => ({
    timeframe: resolution === 'second' ? '1s' : '1m',
    against: resolution === 'second' ? 'its own 1 s bars' : 'vendor',
    references: COINBASE_DAYS.map((day): Reference => {
      return { path: `coinbase/${resolution}/${day}_trade.zip`, layout: 'vendor', columns: TRADE_FIELDS };
    }),
    fields: TRADE_FIELDS,
  })),
};

export const GOLDEN_SETS: readonly GoldenSet[] = [
  binance('spot', 'BTCUSDT', ['btcusdt_20240808', 'btcusdt_20240809']),
  binance('cm', 'BTCUSD_PERP', ['btcusd_perp_20240808', 'btcusd_perp_20240809']),
  binance('usdm', 'ETHUSDT', ['ethusdt_20240808']),
  GOLD,
  OANDA,
  COINBASE,
];
