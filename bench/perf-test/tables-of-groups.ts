/** Tables with a row for each group of cells. */
import { median } from '../harness.ts';
import type { RatioEntry } from '../manifest.ts';
import { formatEstimate, formatFigure, formatMs, formatPercent } from './format.ts';
import { nounsOf } from './local/local-plan.ts';
import { isCounted, MEASURING_PROCESSES } from './measures.ts';
import type { CellResult, Noise } from './report-model.ts';
import type { Row, Table } from './report-view.ts';
import { type CellGroup, nameMode } from './summarise-cells.ts';
import { columnsOf } from './tables-of-cells.ts';

export const KEY_COLUMNS = ['Runtime', 'Mode', 'Symbols', 'Workers'];

export function keyCells(group: CellGroup): string[] {
  return [group.runtime, nameMode(group), String(group.symbols), String(group.workers)];
}

function markOf(group: CellGroup): Pick<Row, 'mark'> {
  if (group.voidCount > 0) return { mark: 'void' };
  return group.saturatedCount > 0 ? { mark: 'saturated' } : {};
}

/** `5`, or `3 of 5, 2 VOID, 1 saturated`. */
export function describeRepeats({ cells, voidCount, saturatedCount }: CellGroup): string {
  const parts = [voidCount > 0 ? `${cells.length - voidCount} of ${cells.length}` : String(cells.length)];
  if (voidCount > 0) parts.push(`${voidCount} VOID`);
  if (saturatedCount > 0) parts.push(`${saturatedCount} saturated`);
  return parts.join(', ');
}

export function tableGroups(groups: readonly CellGroup[]): Table {
  const { work } = nounsOf(groups[0]?.scenario ?? '');
  return {
    title: 'Throughput',
    note:
      work === 'tick'
        ? 'Ticks a second that came out as right bars, beside what was offered; catch-up has no schedule.'
        : 'Orders a second that were answered, and rightly; there is no schedule.',
    columns: columnsOf([...KEY_COLUMNS, 'Repeats', 'Offered/s', 'Achieved/s', `CPU µs/${work}`]),
    rows: groups.map((group) => ({
      ...markOf(group),
      cells: [
        ...keyCells(group),
        describeRepeats(group),
        group.mode === 'live' ? formatFigure(group.offeredPerSec) : '-',
        formatEstimate(group.throughput),
        formatEstimate(group.cpuUsPerTick),
      ],
    })),
  };
}

/** Ours against the others, with the noise of the same measure beside each ratio. */
export function tableRatios(ratios: readonly RatioEntry[], noise: readonly Noise[]): Table {
  const spreadOf = (unit: string): string => {
    const measure = unit.endsWith('s/s') ? 'throughput' : 'cpuUsPerTick';
    return formatPercent(noise.find((entry) => entry.measure === measure)?.maxDifference);
  };
  return {
    title: 'Ratios',
    note: 'More than 1: the work does more. Noise is the largest difference of an A/A pair in this run.',
    columns: columnsOf(['Work', 'Against', 'Unit', 'Ratio', 'Noise', 'Rate of work', 'Rate against']),
    rows: ratios.map((entry) => ({
      cells: [
        entry.work,
        entry.against,
        entry.unit,
        formatEstimate({ median: entry.ratio, low: entry.low, high: entry.high, count: entry.rounds }),
        spreadOf(entry.unit),
        formatFigure(entry.workRate),
        formatFigure(entry.againstRate),
      ],
    })),
  };
}

export function tableLatency(groups: readonly CellGroup[]): Table {
  return {
    title: 'Latency',
    note: 'In milliseconds, of cells that are right and not saturated.',
    columns: columnsOf([...KEY_COLUMNS, 'Stage', 'p50', 'p90', 'p99', 'p99.9', 'max']),
    rows: groups.flatMap((group) =>
      group.stages.map((stage) => ({
        cells: [
          ...keyCells(group),
          stage.stage,
          formatEstimate(stage.p50, formatMs),
          formatMs(stage.p90Us),
          formatEstimate(stage.p99, formatMs),
          formatMs(stage.p999Us),
          formatMs(stage.maxUs),
        ],
      })),
    ),
    isDetail: true,
  };
}

export function tableNoise(noise: readonly Noise[]): Table {
  return {
    title: 'Noise',
    note: 'How far two runs of the same cell lie apart: |a - b| over their mean. A difference within it is none.',
    columns: columnsOf(['Measure', 'Pairs', 'Median difference', 'Largest difference']),
    rows: noise.map((entry) => ({
      cells: [entry.measure, String(entry.pairs), formatPercent(entry.medianDifference), formatPercent(entry.maxDifference)],
    })),
  };
}

export function tableCpu(groups: readonly CellGroup[]): Table {
  const processes = [...new Set(groups.flatMap((group) => [...group.cpuByProcess.keys()]))];
  return {
    title: 'Processor time by process',
    note: `Microseconds a right ${nounsOf(groups[0]?.scenario ?? '').work}.`,
    columns: columnsOf([...KEY_COLUMNS, ...processes]),
    rows: groups
      .filter((group) => group.cpuByProcess.size > 0)
      .map((group) => ({ cells: [...keyCells(group), ...processes.map((process) => formatFigure(group.cpuByProcess.get(process)))] })),
  };
}

/**
 * Of all processors together: what each process took of them, what others took, what was left. Where nothing is left, processors are the bound;
 * else the thread that was busiest may be.
 */
export function tableCores(groups: readonly CellGroup[], coreCount: number): Table {
  const counted = groups.filter((group) => group.cells.some((cell) => isCounted(cell) && cell.cpu.length > 0));
  const processes = [...new Set(counted.flatMap((group) => namesOf(group, (cell) => cell.cpu.map(({ process }) => process))))];
  const shareOf = (cell: CellResult, seconds: number): number => seconds / (cell.duration_sec * coreCount);
  const secondsOf = (cell: CellResult, process?: string): number =>
    cell.cpu.reduce((sum, entry) => (process === undefined || entry.process === process ? sum + entry.cpuSec : sum), 0);
  return {
    title: "Where the cores' time goes",
    note: `Shares of all ${coreCount} cores, medians of the right cells. The busiest thread is shown by its share of one core.`,
    columns: columnsOf([...KEY_COLUMNS, ...processes, 'others', 'idle', 'Busiest thread', 'its core']),
    rows: counted.map((group) => {
      const busiest = group.cells.filter(isCounted).flatMap((cell) => busiestOf(cell) ?? []);
      const names = busiest.map(({ name }) => name);
      const usual = [...names].sort((a, b) => countOf(names, b) - countOf(names, a))[0];
      const shares = busiest.filter(({ name }) => name === usual).map(({ share }) => share);
      return {
        cells: [
          ...keyCells(group),
          ...processes.map((process) => formatPercent(middle(group, (cell) => shareOf(cell, secondsOf(cell, process))))),
          formatPercent(middle(group, (cell) => cell.othersShare)),
          formatPercent(middle(group, (cell) => Math.max(0, 1 - shareOf(cell, secondsOf(cell)) - (cell.othersShare ?? 0)))),
          usual ?? '-',
          formatPercent(shares.length === 0 ? undefined : median(shares)),
        ],
      };
    }),
  };
}

const OTHER_PROCESSES: ReadonlySet<string> = new Set(['postgres', 'kafka', ...MEASURING_PROCESSES]);

/** Of the pipeline; only threads that are told apart one by one: no process as a whole, no threads of one name together. */
function busiestOf({ cpu, duration_sec }: CellResult): { readonly name: string; readonly share: number } | undefined {
  const threads = cpu.filter(({ process, thread }) => !OTHER_PROCESSES.has(process) && thread !== 'helpers' && thread !== 'all');
  const [first] = [...threads].sort((a, b) => b.cpuSec - a.cpuSec);
  return first && { name: `${first.process} ${first.thread}`, share: first.cpuSec / duration_sec };
}

function countOf(names: readonly string[], wanted: string): number {
  return names.filter((name) => name === wanted).length;
}

/** Medians over the right cells of a group; of series, of their largest samples. */
export function tableResources(groups: readonly CellGroup[]): Table {
  const titles = [
    'Resident MiB max',
    'Heap MiB max',
    'Ring depth max',
    'GC count',
    'GC ms',
    'GC ms max',
    'Loop delay p99 ms',
    'Flushes',
    'Flush ms',
    'Flush bytes',
    'Flush rows',
  ];
  return {
    title: 'Memory, pauses and flushes',
    columns: columnsOf([...KEY_COLUMNS, ...titles]),
    rows: groups
      .filter((group) => group.voidCount < group.cells.length)
      .map((group) => ({
        cells: [
          ...keyCells(group),
          ...[
            middle(group, (cell) => peakOf(cell.series.residentMib)),
            middle(group, (cell) => peakOf(cell.series.heapMib)),
            middle(group, (cell) => peakOf(cell.series.ringDepth)),
            middle(group, (cell) => cell.gc?.count),
            middle(group, (cell) => cell.gc?.totalMs),
            middle(group, (cell) => cell.gc?.maxMs),
            middle(group, (cell) => cell.eventLoopDelayMs?.p99),
            middle(group, (cell) => cell.flushes?.count),
            middle(group, (cell) => cell.flushes?.meanMs),
            middle(group, (cell) => cell.flushes?.meanBytes),
            middle(group, (cell) => cell.flushes?.meanRows),
          ].map(formatFigure),
        ],
      })),
  };
}

const IDLE_SHARE = 0.001;

/** Share of one processor that each thread took. */
export function tableThreads(groups: readonly CellGroup[]): Table {
  return {
    title: 'Processor time by thread',
    note: 'Share of one processor, median of the right cells; threads that took less than a thousandth are left out.',
    columns: columnsOf([...KEY_COLUMNS, 'Process', 'Thread', 'Share']),
    rows: groups.flatMap((group) =>
      namesOf(group, (cell) => cell.cpu.map(({ process, thread }) => JSON.stringify([process, thread]))).flatMap((name) => {
        const [process, thread]: [string, string] = JSON.parse(name);
        const share = middle(group, (cell) => {
          const found = cell.cpu.filter((entry) => entry.process === process && entry.thread === thread);
          return found.length === 0 ? undefined : found.reduce((sum, { cpuSec }) => sum + cpuSec, 0) / cell.duration_sec;
        });
        return (share ?? 0) < IDLE_SHARE ? [] : [{ cells: [...keyCells(group), process, thread, formatPercent(share)] }];
      }),
    ),
    isDetail: true,
  };
}

export function tableServers(groups: readonly CellGroup[]): Table {
  return {
    title: 'Servers',
    note: 'What Postgres and Kafka say of themselves over a stage, median of the right cells.',
    columns: columnsOf([...KEY_COLUMNS, 'Figure', 'Value']),
    rows: groups.flatMap((group) =>
      namesOf(group, (cell) => Object.keys(cell.servers)).map((name) => ({
        cells: [...keyCells(group), name, formatFigure(middle(group, (cell) => cell.servers[name]))],
      })),
    ),
    isDetail: true,
  };
}

function namesOf(group: CellGroup, namesOfCell: (cell: CellResult) => readonly string[]): string[] {
  return [...new Set(group.cells.filter(isCounted).flatMap(namesOfCell))];
}

function middle(group: CellGroup, read: (cell: CellResult) => number | null | undefined): number | undefined {
  const values = group.cells.filter(isCounted).flatMap((cell) => read(cell) ?? []);
  return values.length === 0 ? undefined : median(values);
}

function peakOf(samples: readonly (number | null)[]): number | undefined {
  const known = samples.filter((value) => value !== null);
  return known.length === 0 ? undefined : Math.max(...known);
}
