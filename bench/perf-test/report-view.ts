/** A report as title, verdict, facts, tables and notes, of which the page, the Markdown file and the terminal summary are made. */
import type { Machine, Manifest } from '../manifest.ts';
import { formatCount, formatPercent } from './format.ts';
import { judgeRun, type RunVerdict } from './judge-run.ts';
import { isLocal, nounsOf } from './local/local-plan.ts';
import { MEASURING_PROCESSES } from './measures.ts';
import type { PerfTest } from './report-model.ts';
import { coverageOf, DRAWS } from './statistics.ts';
import { type CellGroup, summariseCells } from './summarise-cells.ts';
import { tableCells, tableMissing, tableVersions, tableVoids } from './tables-of-cells.ts';
import {
  tableCores,
  tableCpu,
  tableGroups,
  tableLatency,
  tableNoise,
  tableRatios,
  tableResources,
  tableServers,
  tableThreads,
} from './tables-of-groups.ts';
import { tableWorkerLatency } from './tables-of-workers.ts';

export interface Column {
  readonly title: string;
  /** Aligned to the right. */
  readonly isNumber: boolean;
}

export interface Row {
  readonly cells: readonly string[];
  readonly mark?: 'void' | 'saturated';
}

export interface Table {
  readonly title: string;
  /** What a reader should know before reading it. */
  readonly note?: string;
  readonly columns: readonly Column[];
  readonly rows: readonly Row[];
  /** Of interest to few: a page shows it folded. */
  readonly isDetail?: boolean;
}

export interface ReportView {
  readonly title: string;
  readonly verdict: RunVerdict;
  /** Label and value: what was run, when, on which commit and machine. */
  readonly facts: readonly (readonly [label: string, value: string])[];
  readonly groups: readonly CellGroup[];
  readonly tables: readonly Table[];
  readonly notes: readonly string[];
}

/** A manifest that has cells. */
export type PerfManifest = Manifest & { readonly perfTest: PerfTest };

export function viewReport(manifest: PerfManifest): ReportView {
  const { perfTest } = manifest;
  const groups = summariseCells(perfTest.cells);
  const tables = [
    tableGroups(groups),
    tableVoids(perfTest.cells),
    tableMissing(perfTest.missing),
    tableRatios(manifest.ratios, perfTest.noise),
    tableLatency(groups),
    tableWorkerLatency(groups),
    tableNoise(perfTest.noise),
    tableCpu(groups),
    tableCores(groups, manifest.machine.cores),
    tableResources(groups),
    tableThreads(groups),
    tableServers(groups),
    tableCells(perfTest.cells),
    tableVersions(manifest.versions, perfTest.servers),
  ];
  return {
    title: `Performance test: ${perfTest.settings.scenario}`,
    verdict: judgeRun(perfTest, manifest.failures),
    facts: factsOf(manifest),
    groups,
    tables: tables.filter((table) => table.rows.length > 0),
    notes: [...methodNotes(perfTest), ...cellNotes(perfTest)],
  };
}

function factsOf(manifest: PerfManifest): [string, string][] {
  const { settings, cells } = manifest.perfTest;
  return [
    ['started', `${manifest.startedAt.replace(/\.\d+Z$/, 'Z')}, took ${formatDuration(manifest.durationSec)}`],
    [
      'commit',
      `${manifest.commit}${manifest.isDirty ? ', WITH CHANGES that no commit holds' : ''}${manifest.isQuick ? ', a QUICK look: no evidence' : ''}`,
    ],
    ['machine', describeMachine(manifest.machine)],
    ['load by others', describeOthers(manifest)],
    ['workers', settings.workers.join(', ')],
    ...backlogFact(settings),
    [
      'loads',
      `${settings.loads.join(', ')} symbols, ${settings.baseTps} ticks/s each when live, ${settings.encoding === 'both' ? 'json and packed' : settings.encoding}`,
    ],
    ['engine', describeEngine(cells)],
    ...(settings.kafkaLane === undefined ? [] : ([['Kafka lane', settings.kafkaLane]] satisfies [string, string][])),
    [
      'cells',
      `${formatCount(settings.repeats, 'repeat')}; stage ${settings.stageSec} s, warm-up ${settings.warmupSec} s, a sample each ${settings.sampleSec} s`,
    ],
    ['seed', String(settings.seed)],
    ...(settings.peers.length > 0 ? ([['peers', settings.peers.join(', ')]] satisfies [string, string][]) : []),
  ];
}

function backlogFact({ scenario, backlogTicks }: PerfTest['settings']): [string, string][] {
  return backlogTicks === undefined ? [] : [['backlog', formatCount(backlogTicks, nounsOf(scenario).work)]];
}

export function describeMachine(machine: Machine): string {
  return `${machine.cpu}, ${formatCount(machine.cores, 'core')}, ${(machine.memoryBytes / 2 ** 30).toFixed(1)} GiB, ${machine.os}, Node ${machine.node}`;
}

function describeOthers({ perfTest, machine }: PerfManifest): string {
  const shares = perfTest.cells.flatMap((cell) => cell.othersShare ?? []).sort((a, b) => a - b);
  const averages = `load average ${machine.loadBefore[0]} before and ${machine.loadAfter[0]} after`;
  if (shares.length === 0) return `not measured; ${averages}`;
  return `${formatPercent(shares[shares.length >> 1])} of the processors in the middle cell, ${formatPercent(shares.at(-1))} in the worst; ${averages}`;
}

function describeEngine(cells: PerfTest['cells']): string {
  const list = (values: readonly number[]): string => [...new Set(values)].join(', ') || 'none';
  return `QUEUE ${list(cells.map((cell) => cell.queue))}, FLUSH_MS ${list(cells.map((cell) => cell.flushMs))}`;
}

function formatDuration(seconds: number): string {
  const minutes = Math.floor(seconds / 60);
  return minutes === 0 ? `${seconds.toFixed(1)} s` : `${minutes} min ${Math.round(seconds % 60)} s`;
}

function methodNotes({ settings, noise, cells }: PerfTest): string[] {
  const notes = [
    `A figure is the median of ${settings.repeats === 1 ? 'one repeat' : `up to ${settings.repeats} repeats`} that came out right. In brackets: 95 % interval of the median by percentile bootstrap (${DRAWS} seeded draws).`,
    'Live load is open loop: ticks have intended send times, and a latency counts from those. A cell that achieves less than 99.9 % of what was offered is saturated; its latencies are in no median.',
    'A cell that differs from the oracle is void: shown, and in no median.',
    describeProcessors(cells, isLocal(settings.scenario) ? [] : ['postgres', 'kafka']),
  ];
  if (settings.repeats >= 3 && settings.repeats < 6)
    notes.push(
      `With ${settings.repeats} repeats the interval is their range, which holds the true median in ${(coverageOf(settings.repeats) * 100).toFixed(0)} % of the cases.`,
    );
  if (settings.repeats < 3) notes.push('With fewer than three repeats there are no intervals, and no difference is evidence.');
  if (noise.length === 0) notes.push('No cell was run twice (A/A): how far equal runs lie apart by chance is not known.');
  return notes;
}

/** Whose processor time was measured: servers that somebody else runs may not be. */
function describeProcessors(cells: PerfTest['cells'], servers: readonly string[]): string {
  const measured = new Set(cells.flatMap((cell) => Object.keys(cell.cpuUsPerTick ?? {})));
  const added = [...measured].filter((process) => !MEASURING_PROCESSES.has(process));
  const missing = servers.filter((process) => !measured.has(process));
  const not = missing.length === 0 ? '' : ` NOT MEASURED, and so not in it: ${missing.join(' and ')}.`;
  const { work } = nounsOf(cells[0]?.scenario ?? '');
  return `Processor time per ${work} is that of ${added.join(', ') || 'nothing that was measured'}, over ${work}s that came out right; generator and harness are shown and not added.${not}`;
}

/** Notes of cells, each once: with the name of the cell, or how many cells have it. */
function cellNotes({ cells }: PerfTest): string[] {
  const owners = new Map<string, string[]>();
  for (const cell of cells) for (const note of cell.notes) owners.set(note, [...(owners.get(note) ?? []), cell.id]);
  return [...owners].map(([note, ids]) => (ids.length === 1 ? `${ids[0]}: ${note}` : `${note} (${formatCount(ids.length, 'cell')})`));
}
