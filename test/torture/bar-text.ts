/** Bars as one line of text each: what is compared is what is printed. Numbers are exact: doubles as JavaScript writes them. */

export interface BarFields {
  readonly open: number;
  readonly high: number;
  readonly low: number;
  readonly close: number;
  /** Quotes only: open, high, low, close of the ask. */
  readonly ask: readonly number[] | undefined;
  /** Trades only. */
  readonly volumeLots: bigint;
  readonly count: number;
  readonly late: number;
  readonly firstNs: bigint;
  readonly lastNs: bigint;
}

function common(bar: BarFields): string {
  const prices = `o ${bar.open} h ${bar.high} l ${bar.low} c ${bar.close}`;
  const values = bar.ask ? `ask ${bar.ask.join(' ')}` : `vol ${bar.volumeLots}`;
  return `${prices} ${values} n ${bar.count} late ${bar.late} first ${bar.firstNs} last ${bar.lastNs}`;
}

/** Of a row of `bars_*` or `quotes_*`; the last two are null for quotes. */
export function rowText(bar: BarFields, vwap: number | null, notional: bigint | null): string {
  return `${common(bar)} vwap ${vwap} notional ${notional}`;
}

/** Of a message of `bars.*`. */
export function messageText(bar: BarFields, vwap: number | null): string {
  return `${common(bar)} vwap ${vwap}`;
}

/** Of an open bucket. */
export function openText(bar: BarFields, notional: bigint | null): string {
  return `${common(bar)} notional ${notional}`;
}
