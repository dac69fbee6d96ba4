/**
 * The report as one page that needs nothing but itself: styles, the chart library and the points of every chart stand in it, and its security policy
 * forbids it to fetch anything. Tables are there without scripts; only charts are drawn by one.
 */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { PROJECT_ROOT } from '../../engine/core/root.ts';
import { type ChartSection, chartSections } from './report-charts.ts';
import type { ReportView, Table } from './report-view.ts';

const PAGE = join(PROJECT_ROOT, 'bench/perf-test/page');
const CHART_LIBRARY = join(PROJECT_ROOT, 'node_modules/uplot');
const POLICY = "default-src 'none'; style-src 'unsafe-inline'; script-src 'unsafe-inline'";
/** Longer texts may wrap in a table. */
const LONG_CHARS = 60;

export function renderHtml(view: ReportView): string {
  const sections = chartSections(view.groups);
  const tables = view.tables.map(renderTable);
  // What was wrong and how fast it was first, then pictures, then everything else.
  const first = view.tables.findIndex(({ isDetail }) => isDetail === true);
  const split = first < 0 ? tables.length : first;
  const body = [
    `<h1>${escapeHtml(view.title)}</h1>`,
    renderBanner(view),
    `<section><h2>What was run</h2><dl>${view.facts.map(([label, value]) => `<dt>${escapeHtml(label)}</dt><dd>${escapeHtml(value)}</dd>`).join('')}</dl></section>`,
    ...tables.slice(0, split),
    ...sections.map(renderSection),
    ...tables.slice(split),
    `<section><h2>Notes</h2><ul>${view.notes.map((note) => `<li>${escapeHtml(note)}</li>`).join('')}</ul></section>`,
    '<footer>Point at a line for its values; click a name in a legend to hide its line.</footer>',
  ];
  return `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta http-equiv="Content-Security-Policy" content="${POLICY}">
<title>${escapeHtml(`${view.title}: ${view.verdict.state}`)}</title>
<style>
${readFileSync(join(CHART_LIBRARY, 'dist/uPlot.min.css'), 'utf8').trim()}
${readFileSync(join(PAGE, 'report.css'), 'utf8')}</style>
</head>
<body>
<main>
${body.join('\n')}
</main>
<script type="application/json" id="charts">${JSON.stringify(sections.map(roundPoints)).replaceAll('<', '\\u003c')}</script>
<script>
${readChartLibrary()}
${readFileSync(join(PAGE, 'report.mjs'), 'utf8')}</script>
</body>
</html>
`;
}

/** The library with its licence before it, which has to go where it goes; its own first comment is an address and is left out. */
function readChartLibrary(): string {
  const licence = readFileSync(join(CHART_LIBRARY, 'LICENSE'), 'utf8').trim();
  const code = readFileSync(join(CHART_LIBRARY, 'dist/uPlot.iife.min.js'), 'utf8').replace(/^\/\*![^*]*\*\/\s*/, '');
  return `/* uPlot\n${licence}\n*/\n${code.trim()}`.replaceAll('</script', '<\\/script');
}

function renderBanner({ verdict }: ReportView): string {
  const reasons = verdict.reasons.map((reason) => `<li>${escapeHtml(reason)}</li>`).join('');
  const list = reasons === '' ? '' : `<ul>${reasons}</ul>`;
  return `<div class="banner ${verdict.state}" role="status"><strong>${escapeHtml(verdict.headline)}</strong>${list}</div>`;
}

function renderTable({ title, note, columns, rows, isDetail }: Table): string {
  const classOf = (index: number, text: string): string => {
    if (columns[index]?.isNumber) return ' class="number"';
    return text.length > LONG_CHARS ? ' class="long"' : '';
  };
  const head = columns.map((column, index) => `<th scope="col"${classOf(index, '')}>${escapeHtml(column.title)}</th>`).join('');
  const lines = rows.map(({ cells, mark }) => {
    const line = cells.map((cell, index) => `<td${classOf(index, cell)}>${escapeHtml(cell)}</td>`).join('');
    return `<tr${mark === undefined ? '' : ` class="${mark}"`}>${line}</tr>`;
  });
  const about = note === undefined ? '' : `<p class="note">${escapeHtml(note)}</p>`;
  const table = `<div class="scroll" tabindex="0"><table class="figures"><thead><tr>${head}</tr></thead><tbody>\n${lines.join('\n')}\n</tbody></table></div>`;
  if (isDetail) return `<details><summary>${escapeHtml(title)}</summary>${about}${table}</details>`;
  return `<section><h2>${escapeHtml(title)}</h2>${about}${table}</section>`;
}

function renderSection({ title, note, choices }: ChartSection, index: number): string {
  const options = choices.map(({ label }) => `<option>${escapeHtml(label)}</option>`).join('');
  const select = choices.length > 1 ? `<select aria-label="${escapeHtml(title)}">${options}</select>` : '';
  return `<section data-section="${index}"><h2>${escapeHtml(title)}</h2><p class="note">${escapeHtml(note)}</p>${select}<div class="charts"></div></section>`;
}

const FIGURES = 5;

/** No plot shows more than five figures, and the page is a third as large without the rest. */
function roundPoints(section: ChartSection): ChartSection {
  const round = <Value extends number | null>(values: readonly Value[]) =>
    values.map((value) => (value === null ? value : Number(value.toPrecision(FIGURES))));
  return {
    ...section,
    choices: section.choices.map(({ label, charts }) => ({
      label,
      charts: charts.map((chart) => ({
        ...chart,
        lines: chart.lines.map((line) => ({
          ...line,
          // Neighbours on the x axis may not fall together, so x keeps its digits when it is time.
          x: chart.xKind === 'percentile' ? line.x.map((x) => Number(x.toPrecision(9))) : line.x,
          y: round(line.y),
          ...(line.low ? { low: round(line.low) } : {}),
          ...(line.high ? { high: round(line.high) } : {}),
        })),
      })),
    })),
  };
}

function escapeHtml(text: string): string {
  return text.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('>', '&gt;').replaceAll('"', '&quot;');
}
