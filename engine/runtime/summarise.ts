/** Puts the summary of a run together: what was counted, and what Postgres holds of it. */
import { summarise } from '../core/latency.ts';
import type { Timeframe } from '../market/timeframes.ts';
import { judgeStored } from '../monitor/verdict.ts';
import type { Database } from '../sinks/postgres/runs.ts';
import type { StopReason } from './engine.ts';
import type { Observer, Stages } from './observe.ts';
import type { OpenedSource } from './sources.ts';
import { sumColumns } from './stats.ts';
import type { Summary } from './summary.ts';
import type { Topology } from './topology.ts';

export interface SummaryParts extends Database {
  readonly timeframes: readonly Timeframe[];
  readonly opened: OpenedSource;
  readonly run: number;
  readonly topology: Topology;
  readonly observer: Observer;
  readonly stages: Stages;
  readonly reason: StopReason;
  readonly elapsedSec: number;
}

/** Reads back what Postgres holds and sums the run up. */
export async function summariseRun(parts: SummaryParts): Promise<Summary> {
  const { topology, opened, observer, stages, timeframes, run, reason, elapsedSec } = parts;
  const counts = topology.ingest.counts();
  observer.collect();
  const conservation = await judgeStored({ ...parts, source: opened.source.name });
  const shards = observer.shards();
  const column = (pick: (shard: (typeof shards)[number]) => readonly number[]): number[] => sumColumns(shards.map(pick));
  const closed = column((shard) => shard.barsOut);
  const amended = column((shard) => shard.amendmentsOut);
  const open = column((shard) => shard.openBars);
  const cpu = process.cpuUsage();
  return {
    source: opened.title,
    run,
    reason,
    elapsedSec,
    offered: opened.source.offered,
    accepted: counts.offered - [...counts.refused.values()].reduce((sum, count) => sum + count, 0),
    refused: Object.fromEntries(counts.refused),
    lateTicks: shards.reduce((sum, shard) => sum + shard.lateTicks, 0),
    bars: timeframes.map(({ name }, index) => ({ timeframe: name, final: closed[index]!, amended: amended[index]!, open: open[index]! })),
    published: topology.publisher?.totals().acked ?? 0,
    conservation,
    isConserved: conservation.every((line) => line.isConserved),
    latency: Object.fromEntries(Object.entries(stages).map(([name, { stage }]) => [name, summarise(stage.total)])),
    cpuSec: (cpu.user + cpu.system) / 1e6,
    residentBytes: process.memoryUsage.rss(),
    notes: opened.notes(),
  };
}
