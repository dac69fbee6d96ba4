/**
 * The columns of the bar tables, in table order: the migrations create them, COPY fills them. The contract's columns come first.
 * Tables are named `bars_<timeframe>` and `quotes_<timeframe>`; the key of each is (symbol, ts).
 */
export interface Column {
  readonly name: string;
  readonly type: 'text' | 'timestamptz' | 'double precision' | 'bigint' | 'integer' | 'numeric';
  readonly isNullable?: boolean;
}

/** The contract has n_trades as integer in bars_1s and bars_1m, and as bigint in the longer ones. */
export function tradeCountType(timeframe: string): 'integer' | 'bigint' {
  return timeframe === '1s' || timeframe === '1m' ? 'integer' : 'bigint';
}

export function tradeBarColumns(timeframe: string): readonly Column[] {
  return [
    { name: 'symbol', type: 'text' },
    { name: 'ts', type: 'timestamptz' },
    { name: 'o', type: 'double precision' },
    { name: 'h', type: 'double precision' },
    { name: 'l', type: 'double precision' },
    { name: 'c', type: 'double precision' },
    { name: 'vol', type: 'bigint' },
    { name: 'n_trades', type: tradeCountType(timeframe) },
    { name: 'rev', type: 'integer' },
    { name: 'late', type: 'integer' },
    { name: 'vwap', type: 'double precision', isNullable: true },
    { name: 'notional', type: 'numeric', isNullable: true },
    { name: 'first_ns', type: 'bigint' },
    { name: 'last_ns', type: 'bigint' },
    { name: 'run', type: 'integer' },
  ];
}

export function quoteBarColumns(): readonly Column[] {
  return [
    { name: 'symbol', type: 'text' },
    { name: 'ts', type: 'timestamptz' },
    ...(['bid_o', 'bid_h', 'bid_l', 'bid_c', 'ask_o', 'ask_h', 'ask_l', 'ask_c'] as const).map(
      (name): Column => ({ name, type: 'double precision' }),
    ),
    { name: 'n', type: 'bigint' },
    { name: 'rev', type: 'integer' },
    { name: 'late', type: 'integer' },
    { name: 'first_ns', type: 'bigint' },
    { name: 'last_ns', type: 'bigint' },
    { name: 'run', type: 'integer' },
  ];
}
