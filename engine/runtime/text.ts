/** How numbers and tables are shown to people. */

/** 12345678 as `12,345,678`. */
export function formatCount(value: number | bigint): string {
  return value.toLocaleString('en-US', { maximumFractionDigits: 0 });
}

/** 950 as `950`, 12345 as `12.3k`, 1234567 as `1.23M`. */
export function formatRate(value: number): string {
  if (value < 1000) return value.toFixed(value < 10 ? 1 : 0);
  return value < 1e6 ? `${(value / 1e3).toFixed(1)}k` : `${(value / 1e6).toFixed(2)}M`;
}

/** Microseconds as `420 us`, `1.53 ms`, `2.10 s`. */
export function formatMicros(micros: number): string {
  if (micros < 1000) return `${micros.toFixed(0)} us`;
  return micros < 1e6 ? `${(micros / 1e3).toFixed(2)} ms` : `${(micros / 1e6).toFixed(2)} s`;
}

/** Columns padded to their widest cell; the first is left-aligned, the others right-aligned. */
export function formatTable(rows: readonly (readonly string[])[]): string[] {
  const widths = (rows[0] ?? []).map((_, column) => Math.max(...rows.map((row) => row[column]?.length ?? 0)));
  return rows.map((row) =>
    row
      .map((cell, column) => (column === 0 ? cell.padEnd(widths[column]!) : cell.padStart(widths[column]!)))
      .join('  ')
      .trimEnd(),
  );
}
