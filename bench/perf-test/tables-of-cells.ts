/** Tables with a row for each cell, and what else is listed one by one. */
import { formatDecimals } from './format.ts';
import { isUnjudged } from './measures.ts';
import type { CellResult, PerfTest } from './report-model.ts';
import type { Column, Row, Table } from './report-view.ts';
import { nameMode } from './summarise-cells.ts';

/** Columns of words; all others hold figures and are aligned to the right. */
const WORDS: ReadonlySet<string> = new Set([
  ...['Cell', 'Runtime', 'Mode', 'Verdict', 'Repeats', 'Stage', 'Process', 'Thread', 'Figure', 'Work', 'Against', 'Unit', 'Measure'],
  ...['What is wrong', 'Bars expected (SHA-256)', 'Bars found', 'Reason', 'What', 'Version', 'Worker', 'Busiest thread'],
]);

export function columnsOf(titles: readonly string[]): Column[] {
  return titles.map((title) => ({ title, isNumber: !WORDS.has(title) }));
}

export function nameVerdict(cell: CellResult): string {
  if (!cell.verdict.isRight) return 'VOID';
  if (cell.isSaturated) return 'saturated';
  return isUnjudged(cell) ? 'not judged' : 'right';
}

function markOf(cell: CellResult): Pick<Row, 'mark'> {
  if (!cell.verdict.isRight) return { mark: 'void' };
  return cell.isSaturated ? { mark: 'saturated' } : {};
}

/** The contract's results by stage: its columns and four decimals. */
export function tableCells(cells: readonly CellResult[]): Table {
  const figures = [
    'Source ticks/s',
    'Source p95(s)',
    'Dropped',
    'Queue peak',
    'Builder ticks/s',
    'Builder bars/s',
    'Builder p95(s)',
    '3m bars/s',
    'Agg p95(s)',
  ];
  return {
    title: 'Per-Stage Results',
    note: 'Every cell in the order in which it ran.',
    columns: columnsOf(['Cell', 'Runtime', 'Mode', 'Verdict', 'Workers', 'Symbols', 'Repeat', 'Offered', 'Achieved', ...figures]),
    rows: cells.map((cell) => ({
      ...markOf(cell),
      cells: [
        cell.id,
        cell.role === 'aa' ? `${cell.runtime} (A/A)` : cell.runtime,
        nameMode(cell),
        nameVerdict(cell),
        ...[cell.workers, cell.symbols, cell.repeat, cell.offered, cell.achieved].map(String),
        ...[
          cell.source_ticks_per_sec,
          cell.source_latency_p95_sec,
          cell.source_dropped,
          cell.source_queue_peak,
          cell.builder_ticks_per_sec,
          cell.builder_bars_per_sec,
          cell.builder_latency_p95_sec,
          cell.agg_3m_bars_per_sec,
          cell.agg_latency_p95_sec,
        ].map(formatDecimals),
      ],
    })),
    isDetail: true,
  };
}

/** What is wrong with each void cell. */
export function tableVoids(cells: readonly CellResult[]): Table {
  return {
    title: 'Void cells',
    note: 'Compared with the oracle and found different. No figure of theirs is used.',
    columns: columnsOf(['Cell', 'What is wrong', 'Bars expected (SHA-256)', 'Bars found']),
    rows: cells
      .filter((cell) => !cell.verdict.isRight)
      .map((cell) => ({
        mark: 'void',
        cells: [
          cell.id,
          cell.verdict.differences.join('; ') || 'no reason given',
          shorten(cell.verdict.expectedHash),
          shorten(cell.verdict.foundHash),
        ],
      })),
  };
}

export function tableMissing(missing: PerfTest['missing']): Table {
  return {
    title: 'Cells that did not run',
    columns: columnsOf(['Cell', 'Reason']),
    rows: missing.map(({ id, reason }) => ({ cells: [id, reason] })),
  };
}

export function tableVersions(versions: Readonly<Record<string, string>>, servers: Readonly<Record<string, string>>): Table {
  return {
    title: 'Versions',
    columns: columnsOf(['What', 'Version']),
    rows: [...Object.entries(servers), ...Object.entries(versions)].map((cells) => ({ cells })),
    isDetail: true,
  };
}

function shorten(hash: string | null): string {
  return hash === null ? '-' : hash.slice(0, 12);
}
