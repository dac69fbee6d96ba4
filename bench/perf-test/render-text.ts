/** Tables as aligned text, for the terminal. */
import type { Column, Row, Table } from './report-view.ts';

const GAP = '  ';

/** A void row begins with `VOID >`, so that it is seen where there is no colour. */
export function renderText({ title, columns, rows }: Pick<Table, 'title' | 'columns' | 'rows'>): string[] {
  const hasMarks = rows.some((row) => row.mark === 'void');
  const all = [columns.map((column) => column.title), ...rows.map((row) => row.cells)];
  const widths = columns.map((_, index) => Math.max(...all.map((cells) => cells[index]?.length ?? 0)));
  const header = (hasMarks ? VOID_GAP : '') + align(all[0]!, columns, widths);
  return [title, `  ${header}`, ...rows.map((row) => `  ${hasMarks ? markOf(row) : ''}${align(row.cells, columns, widths)}`)];
}

const VOID_MARK = 'VOID > ';
const VOID_GAP = ' '.repeat(VOID_MARK.length);

function markOf(row: Row): string {
  return row.mark === 'void' ? VOID_MARK : VOID_GAP;
}

function align(cells: readonly string[], columns: readonly Column[], widths: readonly number[]): string {
  const padded = cells.map((cell, index) =>
    columns[index]?.isNumber ? cell.padStart(widths[index] ?? 0) : cell.padEnd(widths[index] ?? 0),
  );
  return padded.join(GAP).trimEnd();
}
