/** The report as Markdown: for reading beside the code, and for tables to quote. */
import type { ReportView, Table } from './report-view.ts';

export function renderMarkdown(view: ReportView): string {
  const lines = [`# ${view.title}`, '', `**${escapeText(view.verdict.headline)}**`, ''];
  for (const reason of view.verdict.reasons) lines.push(`- ${escapeText(reason)}`);
  if (view.verdict.reasons.length > 0) lines.push('');
  for (const [label, value] of view.facts) lines.push(`- ${label}: ${escapeText(value)}`);
  for (const table of view.tables) lines.push('', ...renderTable(table));
  lines.push('', '## Notes', ...view.notes.map((note) => `- ${escapeText(note)}`), '');
  return lines.join('\n');
}

function renderTable({ title, note, columns, rows }: Table): string[] {
  return [
    `## ${title}`,
    ...(note === undefined ? [] : [note]),
    '',
    `| ${columns.map((column) => column.title).join(' | ')} |`,
    `|${columns.map(({ isNumber }) => (isNumber ? '--:' : '---')).join('|')}|`,
    ...rows.map(
      ({ cells, mark }) => `| ${cells.map((cell) => (mark === 'void' ? `**${escapeCell(cell)}**` : escapeCell(cell))).join(' | ')} |`,
    ),
  ];
}

function escapeCell(text: string): string {
  return escapeText(text).replaceAll('|', '\\|');
}

/** What came from outside, such as a symbol in a difference, stays text. */
function escapeText(text: string): string {
  return text
    .replaceAll('&', '&amp;')
    .replaceAll('<', '&lt;')
    .replace(/\s*[\r\n]+\s*/g, ' ')
    .replace(/([*_`[\]])/g, '\\$1');
}
