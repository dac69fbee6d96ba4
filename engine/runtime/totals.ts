/** What a session counted, so that a process can add up its sessions. */
import type { Source } from '../ingest/source.ts';
import { readWriterCounters } from '../sinks/postgres/writer-counters.ts';
import { createShardStatsReader, sumColumns } from './stats.ts';
import type { Topology } from './topology.ts';

export interface Totals {
  readonly offered: number;
  readonly accepted: number;
  /** Ticks refused before the rings, by reason. */
  readonly refused: ReadonlyMap<string, number>;
  readonly lateTicks: number;
  readonly ticksMerged: number;
  /** The following by timeframe. Bars closed, amendments, rows written, bars acknowledged by Kafka. */
  readonly closed: readonly number[];
  readonly amended: readonly number[];
  readonly written: readonly number[];
  readonly published: readonly number[];
}

export function noTotals(timeframeCount: number): Totals {
  const none = new Array<number>(timeframeCount).fill(0);
  const byTimeframe = { closed: none, amended: none, written: none, published: none };
  return { offered: 0, accepted: 0, refused: new Map(), lateTicks: 0, ticksMerged: 0, ...byTimeframe };
}

export function readTotals(topology: Topology, source: Pick<Source, 'offered'>, timeframeCount: number): Totals {
  const shards = topology.regions.map((memory) => createShardStatsReader(memory, timeframeCount).read());
  const counts = topology.ingest.counts();
  const refusedCount = [...counts.refused.values()].reduce((sum, count) => sum + count, 0);
  const published = topology.publisher?.counters().published;
  return {
    offered: source.offered,
    accepted: counts.offered - refusedCount,
    refused: counts.refused,
    lateTicks: shards.reduce((sum, shard) => sum + shard.lateTicks, 0),
    ticksMerged: shards.reduce((sum, shard) => sum + shard.ticksMerged, 0),
    closed: sumColumns(shards.map((shard) => shard.barsOut)),
    amended: sumColumns(shards.map((shard) => shard.amendmentsOut)),
    written: readWriterCounters(topology.writerCounters).rowsByTimeframe.slice(0, timeframeCount),
    published: Array.from({ length: timeframeCount }, (_, index) => published?.[index] ?? 0),
  };
}

export function addTotals(left: Totals, right: Totals): Totals {
  const add = (a: readonly number[], b: readonly number[]): number[] => sumColumns([a, b]);
  const refused = new Map(left.refused);
  for (const [reason, count] of right.refused) refused.set(reason, (refused.get(reason) ?? 0) + count);
  return {
    offered: left.offered + right.offered,
    accepted: left.accepted + right.accepted,
    refused,
    lateTicks: left.lateTicks + right.lateTicks,
    ticksMerged: left.ticksMerged + right.ticksMerged,
    closed: add(left.closed, right.closed),
    amended: add(left.amended, right.amended),
    written: add(left.written, right.written),
    published: add(left.published, right.published),
  };
}
