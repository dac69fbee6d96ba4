/** Stages that workers measure each for itself: a row for each worker of a group. */
import { summarise } from '../../engine/core/latency.ts';
import { formatFigure, formatMs } from './format.ts';
import { isSteady } from './measures.ts';
import { mergeHistograms } from './report-charts.ts';
import type { Table } from './report-view.ts';
import type { CellGroup } from './summarise-cells.ts';
import { columnsOf } from './tables-of-cells.ts';
import { KEY_COLUMNS, keyCells } from './tables-of-groups.ts';

export function tableWorkerLatency(groups: readonly CellGroup[]): Table {
  return {
    title: 'Latency by worker',
    note: 'In milliseconds; the histograms of a worker added up over the cells that are right and not saturated.',
    columns: columnsOf([...KEY_COLUMNS, 'Stage', 'Worker', 'Values', 'p50', 'p90', 'p99', 'p99.9', 'max']),
    rows: groups.flatMap((group) =>
      histogramsOf(group).map(({ stage, worker, encoded }) => {
        const { count, p50Us, p90Us, p99Us, p999Us, maxUs } = summarise(mergeHistograms(encoded));
        const figures = [p50Us, p90Us, p99Us, p999Us, maxUs].map(formatMs);
        return { cells: [...keyCells(group), stage, worker, formatFigure(count), ...figures] };
      }),
    ),
    isDetail: true,
  };
}

function histogramsOf({ cells }: CellGroup) {
  const found = new Map<string, { stage: string; worker: string; encoded: string[] }>();
  for (const { workerLatency = {} } of cells.filter(isSteady)) {
    for (const [stage, workers] of Object.entries(workerLatency)) {
      for (const [worker, { hdr }] of Object.entries(workers)) {
        const key = JSON.stringify([stage, worker]);
        const entry = found.get(key) ?? { stage, worker, encoded: [] };
        entry.encoded.push(hdr);
        found.set(key, entry);
      }
    }
  }
  return [...found.values()].sort(
    (a, b) => a.stage.localeCompare(b.stage) || a.worker.localeCompare(b.worker, undefined, { numeric: true }),
  );
}
