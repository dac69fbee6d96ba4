/** What a run says on the terminal when it ends: verdict first, then the tables that fit there. */
import { renderText } from './render-text.ts';
import type { ReportView, Table } from './report-view.ts';

const TABLES = ['Throughput', 'Void cells', 'Cells that did not run', 'Ratios', 'Latency', 'Noise'];
const REASONS_MAX = 10;
const RULE = '*'.repeat(78);

/** Plain text without colours; a run that is not right stands between two rules. */
export function renderSummary(view: ReportView): string {
  const { verdict } = view;
  const reasons = verdict.reasons.slice(0, REASONS_MAX).map((reason) => `  ${reason}`);
  const more = verdict.reasons.length - reasons.length;
  if (more > 0) reasons.push(`  and ${more} more`);
  const banner = verdict.state === 'right' ? [verdict.headline] : [RULE, verdict.headline, ...reasons, RULE];
  const facts = view.facts.map(([label, value]) => `${label}: ${value}`);
  const tables = view.tables.filter((table) => TABLES.includes(table.title)).flatMap((table) => ['', ...renderText(shorten(table))]);
  // The banner stands at the end once more, where a reader of a long output looks.
  return [...banner, '', view.title, ...facts, ...tables, '', ...banner, ''].join('\n');
}

/** Latencies of a backlog, which tell of its age, are left to the other forms. */
function shorten(table: Table): Table {
  return table.title === 'Latency' ? { ...table, rows: table.rows.filter(({ cells }) => cells.includes('live')) } : table;
}
