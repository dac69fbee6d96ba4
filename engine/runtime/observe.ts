/** Collects what the status line, the metrics page, health and the summary show. */
import type { Config } from '../../config/knobs.ts';
import { createLatencyStage, type LatencyStage } from '../core/latency.ts';
import type { HealthPart } from '../gateway/http.ts';
import { createMetricsPage, type MetricsPage, type MetricsSnapshot } from '../gateway/metrics.ts';
import type { Timeframe } from '../market/timeframes.ts';
import type { FromWriter } from '../sinks/messages.ts';
import { readWriterCounters } from '../sinks/postgres/writer-counters.ts';
import type { OpenedSource } from './sources.ts';
import { createShardStatsReader, type ShardStats, sumColumns } from './stats.ts';
import type { StatusSample } from './status.ts';
import type { Topology } from './topology.ts';

/** Bucket bounds in microseconds: the contract's, and finer ones below for stages that the old platform could not see. */
const BOUNDS_US: Readonly<Record<string, readonly number[]>> = {
  tickToBar: [10, 50, 100, 500, 1e3, 5e3, 1e4, 2e4, 5e4, 1e5, 2e5, 5e5, 1e6],
  flush: [1e3, 5e3, 1e4, 2e4, 5e4, 1e5, 2e5, 5e5, 1e6],
  barToCommit: [5e4, 1e5, 2e5, 3e5, 5e5, 1e6, 2e6, 5e6],
  barToAck: [5e4, 1e5, 2e5, 3e5, 5e5, 1e6, 2e6, 5e6],
};

/** Latencies by stage, filled by whoever measures them. */
export type Stages = Readonly<Record<string, { readonly stage: LatencyStage; readonly boundsUs: readonly number[] }>>;

export function createStages(): Stages {
  return Object.fromEntries(Object.entries(BOUNDS_US).map(([name, boundsUs]) => [name, { stage: createLatencyStage(boundsUs), boundsUs }]));
}

export interface Observer {
  shards(): readonly ShardStats[];
  status(): StatusSample;
  /** Takes in what parts on main have measured since the last time. */
  collect(): void;
  health(): readonly HealthPart[];
  onWriterMessage(message: FromWriter): void;
  readonly metrics: MetricsPage;
}

export interface ObserverParts {
  readonly config: Config;
  readonly timeframes: readonly Timeframe[];
  readonly topology: Topology;
  readonly opened: OpenedSource;
  readonly stages: Stages;
}

export function createObserver({ timeframes, topology, opened, stages }: ObserverParts): Observer {
  const { source } = opened;
  const { engine, ingest, publisher, clock } = topology;
  const readers = topology.regions.map((memory) => createShardStatsReader(memory, timeframes.length));
  const startedMs = clock.wallMs();
  let postgres: HealthPart = { name: 'postgres', isUp: false, detail: 'connecting', sinceMs: startedMs };
  const shards = (): ShardStats[] => readers.map((reader) => reader.read());
  const refusedTotal = (): number => sum(ingest.counts().refused.values());

  const health = (): HealthPart[] => {
    const sourceHealth = opened.health();
    return [
      { name: 'engine', isUp: engine.phase !== 'done', detail: engine.phase, sinceMs: startedMs },
      postgres,
      ...(publisher ? [{ name: 'kafka', ...publisher.health() }] : []),
      ...(sourceHealth ? [sourceHealth] : []),
    ];
  };

  const collect = (): void => {
    const encoded = publisher?.takeLatency();
    if (encoded !== undefined) stages['barToAck']!.stage.add(encoded);
  };

  const snapshot = (): MetricsSnapshot => {
    collect();
    const stats = shards();
    const counts = ingest.counts();
    const closed = sumColumns(stats.map((shard) => shard.barsOut));
    const amended = sumColumns(stats.map((shard) => shard.amendmentsOut));
    const open = sumColumns(stats.map((shard) => shard.openBars));
    const writer = readWriterCounters(topology.writerCounters);
    return {
      ticksOffered: source.offered,
      ticksAccepted: counts.offered - sum(counts.refused.values()),
      refused: counts.refused,
      timeframes: timeframes.map(({ name, seconds }, index) => ({
        name,
        seconds,
        closed: closed[index]!,
        amended: amended[index]!,
        open: open[index]!,
        written: writer.rowsByTimeframe[index]!,
        published: publisher?.counters().published[index] ?? 0,
      })),
      shards: stats,
      lateTicks: stats.reduce((sum, shard) => sum + shard.lateTicks, 0),
      writer: writer.named,
      publisher: new Map(Object.entries(publisher?.totals() ?? {})),
      openEpochs: engine.openEpochs,
      sourceLagMs: source.lagMs,
    };
  };

  return {
    shards,
    health,
    collect,
    metrics: createMetricsPage({ snapshot, stages }),
    status() {
      collect();
      const stats = shards();
      const closed = sumColumns(stats.map((shard) => shard.barsOut));
      return {
        atMs: clock.wallMs(),
        offered: source.offered,
        refused: refusedTotal(),
        bars: timeframes.map(({ name }, index) => ({ timeframe: name, count: closed[index]! })),
        ringDepths: stats.map((shard) => shard.tickDepth),
        tickToBarP99Us: stages['tickToBar']!.stage.recentP99Us,
        openEpochs: engine.openEpochs,
        phase: engine.phase,
        alarms: alarmsOf(health(), engine.phase === 'running' ? source.lagMs : 0),
      };
    },
    onWriterMessage(message) {
      if (message.type === 'ready') postgres = { name: 'postgres', isUp: true, detail: 'connected', sinceMs: clock.wallMs() };
      if (message.type === 'health') {
        postgres = { name: 'postgres', isUp: message.isUp, detail: message.detail, sinceMs: message.sinceMs };
      }
    },
  };
}

function sum(values: Iterable<number>): number {
  let total = 0;
  for (const value of values) total += value;
  return total;
}

/** Behind its schedule by more than this, a source is said to be so. */
const LAG_ALARM_MS = 250;

function alarmsOf(parts: readonly HealthPart[], lagMs: number): string[] {
  const down = parts.filter((part) => !part.isUp && part.name !== 'engine').map((part) => `${part.name} DOWN: ${part.detail}`);
  return lagMs > LAG_ALARM_MS ? [...down, `source behind by ${(lagMs / 1000).toFixed(1)} s`] : down;
}
