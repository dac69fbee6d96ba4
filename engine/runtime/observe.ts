/** Collects what the status line, the metrics page, health and the summary show. */
import type { Clock } from '../core/clock.ts';
import { EngineError, messageOf } from '../core/errors.ts';
import { createLatencyStage, type LatencyStage } from '../core/latency.ts';
import type { HealthPart } from '../gateway/http.ts';
import { createMetricsPage, type MetricsPage, type MetricsSnapshot } from '../gateway/metrics.ts';
import type { Timeframe } from '../market/timeframes.ts';
import type { FromWriter } from '../sinks/messages.ts';
import { isRetryable } from '../sinks/postgres/connection.ts';
import { readWriterCounters } from '../sinks/postgres/writer-counters.ts';
import type { ExchangeHost } from './exchange-host.ts';
import type { SourceHost } from './source-host.ts';
import type { StageLine } from './stage.ts';
import { createShardStatsReader, type ShardStats, sumColumns } from './stats.ts';
import type { StatusSample } from './status.ts';
import type { Supervisor } from './supervisor.ts';

/** Bucket bounds in microseconds: the contract's, and finer ones below for stages that the old platform could not see. */
const BOUNDS_US: Readonly<Record<string, readonly number[]>> = {
  tickToBar: [10, 50, 100, 500, 1e3, 5e3, 1e4, 2e4, 5e4, 1e5, 2e5, 5e5, 1e6],
  flush: [1e3, 5e3, 1e4, 2e4, 5e4, 1e5, 2e5, 5e5, 1e6],
  barToCommit: [5e4, 1e5, 2e5, 3e5, 5e5, 1e6, 2e6, 5e6],
  barToAck: [5e4, 1e5, 2e5, 3e5, 5e5, 1e6, 2e6, 5e6],
  mainPause: [1e3, 2e3, 5e3, 1e4, 2e4, 5e4, 1e5, 2e5, 5e5, 1e6],
};

/** Latencies by stage, filled by whoever measures them. */
export type Stages = Readonly<Record<string, { readonly stage: LatencyStage; readonly boundsUs: readonly number[] }>>;

export function createStages(): Stages {
  return Object.fromEntries(Object.entries(BOUNDS_US).map(([name, boundsUs]) => [name, { stage: createLatencyStage(boundsUs), boundsUs }]));
}

export interface Observer {
  /** Of the session that runs; none between two. */
  shards(): readonly ShardStats[];
  status(): StatusSample;
  /** Takes in what parts on main have measured since the last time. */
  collect(): void;
  health(): readonly HealthPart[];
  onWriterMessage(message: FromWriter): void;
  /** A session has failed: until the next one runs, that tells which server is away. */
  onSessionFailure(error: unknown): void;
  /** Open buckets by timeframe when last looked at. */
  open(): readonly number[];
  readonly metrics: MetricsPage;
}

export interface ObserverParts {
  readonly timeframes: readonly Timeframe[];
  readonly supervisor: Supervisor;
  readonly host: SourceHost;
  readonly exchange?: Pick<ExchangeHost, 'health' | 'counts'> | undefined;
  readonly stages: Stages;
  readonly clock: Clock;
  /** Of a single stage. */
  readonly stage?: StageLine | undefined;
}

export function createObserver({ timeframes, supervisor, host, exchange, stages, clock, stage }: ObserverParts): Observer {
  const startedMs = clock.wallMs();
  let postgres: HealthPart = { name: 'postgres', isUp: false, detail: 'connecting', sinceMs: startedMs };
  /** Between two sessions, when Kafka is why there is none. */
  let kafkaTrouble: HealthPart | undefined;
  let openBars: number[] = timeframes.map(() => 0);
  const shards = (): ShardStats[] =>
    (supervisor.session?.topology.regions ?? []).map((memory) => createShardStatsReader(memory, timeframes.length).read());

  const engineHealth = (): HealthPart => {
    const { phase, detail, sinceMs } = supervisor.state;
    const isUp = phase === 'running' || phase === 'done';
    const drained = phase === 'running' ? supervisor.session?.topology.engine.phase : undefined;
    return { name: 'engine', isUp, detail: drained ?? detail, sinceMs };
  };

  const health = (): HealthPart[] => {
    const publisher = supervisor.session?.topology.publisher;
    const kafka = publisher ? { name: 'kafka', ...publisher.health() } : kafkaTrouble;
    return [engineHealth(), postgres, ...(kafka ? [kafka] : []), ...host.health(), ...(exchange?.health() ?? [])];
  };

  const collect = (): void => {
    const encoded = supervisor.session?.topology.publisher?.takeLatency();
    if (encoded !== undefined) stages['barToAck']!.stage.add(encoded);
  };

  const open = (): number[] => {
    const stats = shards();
    if (stats.length > 0) openBars = sumColumns(stats.map((shard) => shard.openBars));
    return openBars;
  };

  /** How much would be lost if the process ended now, in ms: only of what cannot be read again, or is not in the log yet. */
  const lossWindowMs = (): number => {
    const session = supervisor.session;
    if (session !== undefined && !session.source.isReplayable) return clock.wallMs() - session.topology.engine.durableToMs;
    return host.feed()?.unloggedMs ?? 0;
  };

  const lagMs = (): number => Math.max(supervisor.session?.source.lagMs ?? 0, host.feed()?.lagMs ?? 0);

  const snapshot = (): MetricsSnapshot => {
    collect();
    const totals = supervisor.totals();
    const topology = supervisor.session?.topology;
    const openNow = open();
    return {
      ticksOffered: totals.offered,
      ticksAccepted: totals.accepted,
      ticksMerged: stage?.input === undefined ? totals.ticksMerged : 0,
      barsRead: stage?.input === undefined ? undefined : { timeframe: stage.input, count: totals.ticksMerged },
      refused: totals.refused,
      timeframes: timeframes.map(({ name, seconds }, index) => ({
        name,
        seconds,
        closed: totals.closed[index]!,
        amended: totals.amended[index]!,
        open: openNow[index]!,
        written: totals.written[index]!,
        published: totals.published[index]!,
      })),
      shards: shards(),
      lateTicks: totals.lateTicks,
      writer: topology ? readWriterCounters(topology.writerCounters).named : new Map(),
      publisher: new Map(Object.entries({ ...topology?.publisher?.totals(), ...topology?.publisher?.laneCounts() })),
      openEpochs: topology?.engine.openEpochs ?? 0,
      epochIntervalMs: topology?.engine.epochIntervalMs ?? 0,
      sourceLagMs: lagMs(),
      sessions: supervisor.sessions,
      sessionFailures: supervisor.failures,
      lanes: supervisor.session?.lanes.length ?? 0,
      lostTicks: supervisor.lostTicks,
      lossWindowMs: lossWindowMs(),
      feed: host.feed(),
      fetch: host.fetch(),
      exchange: exchange && new Map(Object.entries(exchange.counts())),
      health: health(),
    };
  };

  return {
    shards,
    health,
    collect,
    open,
    metrics: createMetricsPage({ snapshot, stages }),
    status() {
      collect();
      const totals = supervisor.totals();
      const engine = supervisor.session?.topology.engine;
      const { phase } = supervisor.state;
      open();
      return {
        atMs: clock.wallMs(),
        flow: stage?.flow,
        inputUnit: stage?.input === undefined ? 'ticks' : 'bars in',
        offered: totals.offered,
        refused: sum(totals.refused.values()),
        bars: timeframes.map(({ name }, index) => ({ timeframe: name, count: totals.closed[index]! })),
        ringDepths: shards().map((shard) => shard.tickDepth),
        tickToBarP99Us: stage?.input === undefined ? stages['tickToBar']!.stage.recentP99Us : undefined,
        openEpochs: engine?.openEpochs ?? 0,
        phase: phase === 'running' ? (engine?.phase ?? phase) : phase,
        alarms: alarmsOf(health(), engine?.phase === 'running' ? lagMs() : 0),
      };
    },
    onSessionFailure(error) {
      const part = serverOf(error);
      const down = (before: HealthPart | undefined): HealthPart => ({
        name: part ?? '',
        isUp: false,
        detail: messageOf(error),
        sinceMs: before?.isUp === false ? before.sinceMs : clock.wallMs(),
      });
      if (part === 'kafka') kafkaTrouble = down(kafkaTrouble);
      if (part === 'postgres') postgres = down(postgres);
    },
    onWriterMessage(message) {
      // The writer is ready: so was Kafka, when the session was opened.
      if (message.type === 'ready') kafkaTrouble = undefined;
      if (message.type === 'ready') postgres = { name: 'postgres', isUp: true, detail: 'connected', sinceMs: clock.wallMs() };
      if (message.type === 'health') {
        postgres = { name: 'postgres', isUp: message.isUp, detail: message.detail, sinceMs: message.sinceMs };
      }
    },
  };
}

/** The server that is away, when that is why a session failed. */
function serverOf(error: unknown): 'postgres' | 'kafka' | undefined {
  if (error instanceof EngineError && error.code !== 'POSTGRES_UNREACHABLE')
    return error.code === 'KAFKA_UNREACHABLE' ? 'kafka' : undefined;
  return isRetryable(error) ? 'postgres' : undefined;
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
