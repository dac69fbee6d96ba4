/** Makes the manifest of a perf-test out of its cells, and writes the folder that a reader opens. */
import { mkdirSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { PROJECT_ROOT } from '../../engine/core/root.ts';
import { checkManifest, finishManifest, type Manifest, type ManifestStart, nameManifest } from '../manifest.ts';
import { cellRatios } from './cell-ratios.ts';
import { renderHdrLog } from './hdr-log.ts';
import { renderHtml } from './render-html.ts';
import { renderMarkdown } from './render-markdown.ts';
import { renderSummary } from './render-summary.ts';
import type { PerfTest } from './report-model.ts';
import { type PerfManifest, viewReport } from './report-view.ts';
import { writeRunIndex } from './run-index.ts';
import { measureNoise } from './summarise-cells.ts';

export const PERF_TEST_KIND = 'perf-test';

/** What a perf-test knows when its last cell has ended. */
export interface PerfTestEnd {
  readonly durationSec: number;
  readonly perfTest: Omit<PerfTest, 'noise'>;
  /** What else went wrong, cells that did not run apart. */
  readonly failures: Manifest['failures'];
}

/** The manifest with the noise and the ratios that follow from the cells. `start` is that of `startManifest(PERF_TEST_KIND, ...)`. */
export function finishPerfTest(start: ManifestStart, { durationSec, perfTest, failures }: PerfTestEnd): PerfManifest {
  const whole = { ...perfTest, noise: measureNoise(perfTest.cells) };
  const manifest = finishManifest(start, { durationSec, ratios: cellRatios(perfTest.cells), reports: [], failures, perfTest: whole });
  return { ...manifest, perfTest: whole };
}

export interface WrittenReport {
  /** The folder of the run. */
  readonly folder: string;
  /** For the terminal. */
  readonly summary: string;
}

/**
 * Writes `<UTC>-<commit>-<scenario>/` below `folder`: report.json (the manifest), report.md, report.html and a histogram log for each cell and
 * stage; and the index of `folder` anew. What else lies in the folder of the run stays; nothing is written unless all of it can be.
 * @throws EngineError MANIFEST_INVALID when a figure of the manifest is not one that can be read back
 */
export function writeReport(manifest: PerfManifest, folder = join(PROJECT_ROOT, 'perf_runs')): WrittenReport {
  const run = join(folder, nameManifest(manifest, manifest.perfTest.settings.scenario));
  const json = renderJson(manifest);
  checkManifest(JSON.parse(json), join(run, 'report.json'));
  const view = viewReport(manifest);
  const [html, markdown, logs] = [renderHtml(view), renderMarkdown(view), renderLogs(manifest)];
  const hdr = join(run, 'hdr');
  rmSync(hdr, { recursive: true, force: true });
  mkdirSync(hdr, { recursive: true });
  for (const [name, text] of logs) writeFileSync(join(hdr, name), text);
  writeFileSync(join(run, 'report.html'), html);
  writeFileSync(join(run, 'report.md'), markdown);
  // Last, since a folder with this file counts as a run.
  writeFileSync(join(run, 'report.json'), json);
  writeRunIndex(folder);
  return { folder: run, summary: renderSummary(view) };
}

/** Indented, lists of numbers on one line each. */
function renderJson(manifest: Manifest): string {
  const text = JSON.stringify(manifest, null, 2);
  return `${text.replace(/\[\n([-\d.e+\sul,n]+?)\n\s*\]/g, (_, list: string) => `[${list.trim().replace(/\s+/g, ' ')}]`)}\n`;
}

/** Name and text of each log. A cell does not say when it began, so the logs count from the start of the run. */
function renderLogs({ perfTest, startedAt }: PerfManifest): [name: string, text: string][] {
  const startedAtMs = Date.parse(startedAt);
  return perfTest.cells.flatMap((cell) =>
    Object.entries(cell.latency)
      .filter(([, { count }]) => count > 0)
      .map(([stage, { hdr }]): [string, string] => {
        const workers = cell.workerLatency?.[stage] ?? {};
        const text = renderHdrLog({ hdr, cell: cell.id, stage, startedAtMs, durationSec: cell.duration_sec, workers });
        return [`${cell.id}-${stage}.hlog`, text];
      }),
  );
}
