/** Puts the summary of a run together: what was counted, and what Postgres holds of it. */
import { summarise } from '../core/latency.ts';
import type { Timeframe } from '../market/timeframes.ts';
import { type ConservationLine, sinceLines } from '../monitor/conservation.ts';
import { judgeStored } from '../monitor/verdict.ts';
import type { Database } from '../sinks/postgres/runs.ts';
import type { StopReason } from './engine.ts';
import type { Observer, Stages } from './observe.ts';
import type { SourceHost } from './source-host.ts';
import type { Summary } from './summary.ts';
import type { Supervisor } from './supervisor.ts';

export interface SummaryParts extends Database {
  readonly timeframes: readonly Timeframe[];
  readonly isEachWhole: boolean;
  readonly host: SourceHost;
  readonly run: number;
  readonly supervisor: Supervisor;
  readonly observer: Observer;
  readonly stages: Stages;
  /** What Postgres held of the run when it began. */
  readonly before: readonly ConservationLine[];
  readonly reason: StopReason;
  readonly elapsedSec: number;
}

/** Reads back what Postgres holds and sums the run up. */
export async function summariseRun(parts: SummaryParts): Promise<Summary> {
  const { host, observer, supervisor, stages, timeframes, run, before, reason, elapsedSec } = parts;
  observer.collect();
  const totals = supervisor.totals();
  const open = observer.open();
  const conservation = sinceLines(before, await judgeStored({ ...parts, source: host.name }));
  const cpu = process.cpuUsage();
  return {
    source: host.title,
    input: parts.isEachWhole ? 'bars' : 'ticks',
    run,
    reason,
    elapsedSec,
    offered: totals.offered,
    accepted: totals.accepted,
    refused: Object.fromEntries(totals.refused),
    lateTicks: totals.lateTicks,
    bars: timeframes.map(({ name }, index) => ({
      timeframe: name,
      final: totals.closed[index]!,
      amended: totals.amended[index]!,
      open: open[index]!,
    })),
    published: totals.published.reduce((sum, count) => sum + count, 0),
    conservation,
    isConserved: conservation.every((line) => line.isConserved),
    latency: Object.fromEntries(Object.entries(stages).map(([name, { stage }]) => [name, summarise(stage.total)])),
    cpuSec: (cpu.user + cpu.system) / 1e6,
    residentBytes: process.memoryUsage.rss(),
    notes: [...host.notes(), ...sessionNotes(supervisor), ...stopNotes(reason)],
  };
}

function stopNotes(reason: StopReason): string[] {
  if (reason !== 'stopped before all was written') return [];
  return [
    'the drain was cut short: the next start reads again what was taken and not written, and publishes what was committed only; see the log',
  ];
}

function sessionNotes({ sessions, failures, lostTicks }: Supervisor): string[] {
  const failed = [...failures].map(([code, count]) => `${code} ${count}`).join(', ');
  return [
    ...(sessions > 1
      ? [`${sessions} sessions${failed === '' ? '' : `; failed: ${failed}; what those had not committed was counted again`}`]
      : []),
    ...(lostTicks > 0
      ? [`${lostTicks} ticks were LOST: accepted, not committed when a session failed, and the source cannot be read again`]
      : []),
  ];
}
