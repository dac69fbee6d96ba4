/** The metrics page: contract names for the bar stages, and `tickwright_*` for what the contract has no name for. */
import { Counter, Gauge, Registry } from 'prom-client';
import type { LatencyStage } from '../core/latency.ts';
import type { HealthPart } from './http.ts';

/** Everything the page shows, read when it is asked for. */
export interface MetricsSnapshot {
  readonly ticksOffered: number;
  readonly ticksAccepted: number;
  readonly ticksMerged: number;
  /** Of a stage that reads bars: how many it has taken. */
  readonly barsRead?: { readonly timeframe: string; readonly count: number } | undefined;
  readonly refused: ReadonlyMap<string, number>;
  readonly timeframes: readonly TimeframeSnapshot[];
  readonly shards: readonly ShardSnapshot[];
  readonly lateTicks: number;
  readonly writer: ReadonlyMap<string, number>;
  readonly publisher: ReadonlyMap<string, number>;
  readonly openEpochs: number;
  /** Wall time between the last two barriers, in ms. */
  readonly epochIntervalMs: number;
  readonly sourceLagMs: number;
  readonly sessions: number;
  /** By code. */
  readonly sessionFailures: ReadonlyMap<string, number>;
  readonly lanes: number;
  readonly lostTicks: number;
  readonly lossWindowMs: number;
  /** Ticks that this process writes to the ticks topic, where it does. */
  readonly feed: FeedSnapshot | undefined;
  /** What reading from Kafka counts, where the source does. */
  readonly fetch?: FetchSnapshot | undefined;
  /** What the exchange counts, by name; undefined where there is none. */
  readonly exchange: ReadonlyMap<string, number> | undefined;
  readonly health: readonly HealthPart[];
}

export interface FeedSnapshot {
  readonly written: number;
  readonly acknowledged: number;
  readonly dropped: number;
  readonly failedDeliveries: number;
}

export interface FetchSnapshot {
  /** By name; empty where librdkafka reads. */
  readonly counts: ReadonlyMap<string, number>;
  /** By partition: jumps over offsets that the topic no longer held, and how many offsets those were. */
  readonly jumps: ReadonlyMap<number, { readonly jumps: number; readonly offsets: number }>;
}

export interface TimeframeSnapshot {
  readonly name: string;
  readonly seconds: number;
  readonly closed: number;
  readonly amended: number;
  readonly open: number;
  readonly written: number;
  readonly published: number;
}

export interface ShardSnapshot {
  readonly tickDepth: number;
  readonly outDepth: number;
  readonly ticksMerged: number;
  readonly parks: number;
  readonly blockedPolls: number;
}

export interface MetricsSources {
  snapshot(): MetricsSnapshot;
  /** Latency stages by name, with the bounds they were made with, in microseconds. */
  readonly stages: Readonly<Record<string, { readonly stage: LatencyStage; readonly boundsUs: readonly number[] }>>;
}

/** Contract prefixes: 1 s builder, 1 m aggregator, and the multi-timeframe aggregator for the rest. */
const STAGE_HISTOGRAMS: Readonly<Record<string, readonly string[]>> = {
  tickToBar: ['bars_1s_tick_latency_seconds', 'tickwright_tick_to_bar_seconds'],
  flush: ['bars_1s_flush_seconds', 'bars_1m_flush_seconds', 'bar_agg_flush_seconds', 'tickwright_flush_seconds'],
  barToCommit: ['tickwright_bar_to_commit_seconds'],
  barToAck: [
    'bars_1s_publish_latency_seconds',
    'bars_1m_publish_latency_seconds',
    'bar_agg_bar_latency_seconds',
    'tickwright_bar_to_ack_seconds',
  ],
  mainPause: ['tickwright_main_pause_seconds'],
};

export interface MetricsPage {
  render(): Promise<string>;
}

export function createMetricsPage(sources: MetricsSources): MetricsPage {
  const registry = new Registry();
  return {
    async render() {
      registry.clear();
      fillCounters(registry, sources.snapshot());
      const histograms = Object.entries(sources.stages).flatMap(([name, { stage, boundsUs }]) =>
        (STAGE_HISTOGRAMS[name] ?? []).map((metric) => renderHistogram(metric, stage, boundsUs)),
      );
      return `${await registry.metrics()}\n${histograms.join('\n')}`;
    },
  };
}

function fillCounters(registry: Registry, snapshot: MetricsSnapshot): void {
  const count = (name: string, help: string, value: number): void => new Counter({ name, help, registers: [registry] }).inc(value);
  const gauge = (name: string, help: string, value: number): void => new Gauge({ name, help, registers: [registry] }).set(value);
  const labelled = (name: string, help: string, label: string, values: Iterable<readonly [string, number]>): void => {
    const metric = new Gauge({ name, help, labelNames: [label], registers: [registry] });
    for (const [key, value] of values) metric.set({ [label]: key }, value);
  };
  const countLabelled = (name: string, help: string, label: string, values: Iterable<readonly [string, number]>): void => {
    const metric = new Counter({ name, help, labelNames: [label], registers: [registry] });
    for (const [key, value] of values) metric.inc({ [label]: key }, value);
  };
  const byName = new Map(snapshot.timeframes.map((timeframe) => [timeframe.name, timeframe]));
  const longer = snapshot.timeframes.filter((timeframe) => timeframe.name !== '1s' && timeframe.name !== '1m');
  const second = byName.get('1s');
  const minute = byName.get('1m');
  const readOf = (timeframe: string): number => (snapshot.barsRead?.timeframe === timeframe ? snapshot.barsRead.count : 0);

  count('bars_1s_ticks_total', 'ticks merged', snapshot.ticksMerged);
  count('bars_1s_written_total', '1 s bars written', second?.written ?? 0);
  count('bars_1s_published_total', '1 s bars published', second?.published ?? 0);
  gauge('bars_1s_open_symbols', 'open 1 s bars at the last checkpoint', second?.open ?? 0);
  count('bars_1m_input_total', '1 s bars closed or read, input of the 1 m stage', second?.closed ?? readOf('1s'));
  count('bars_1m_written_total', '1 m bars written', minute?.written ?? 0);
  count('bars_1m_published_total', '1 m bars published', minute?.published ?? 0);
  gauge('bars_1m_active_windows', 'open 1 m bars at the last checkpoint', minute?.open ?? 0);
  count('bar_agg_input_total', '1 m bars closed or read, input of the multi stage', minute?.closed ?? readOf('1m'));
  for (const timeframe of longer) count(`bar_agg_output_${timeframe.name}_total`, `${timeframe.name} bars closed`, timeframe.closed);
  labelled(
    'bar_agg_active_windows',
    'open bars at the last checkpoint',
    'tf',
    longer.map((frame) => [frame.name.replace(/m$/, ''), frame.open]),
  );

  count('tickwright_ticks_offered_total', 'ticks offered by the source', snapshot.ticksOffered);
  count('tickwright_ticks_accepted_total', 'ticks accepted', snapshot.ticksAccepted);
  countLabelled('tickwright_ticks_dropped_total', 'ticks refused before the rings', 'reason', snapshot.refused);
  count('tickwright_late_ticks_total', 'ticks that came after their 1 s bucket had closed', snapshot.lateTicks);
  const frames = (pick: (frame: TimeframeSnapshot) => number) => snapshot.timeframes.map((frame) => [frame.name, pick(frame)] as const);
  countLabelled(
    'tickwright_bars_closed_total',
    'bars closed',
    'tf',
    frames((frame) => frame.closed),
  );
  countLabelled(
    'tickwright_bars_amended_total',
    'amendments',
    'tf',
    frames((frame) => frame.amended),
  );
  countLabelled(
    'tickwright_bars_written_total',
    'bar rows committed',
    'tf',
    frames((frame) => frame.written),
  );
  countLabelled(
    'tickwright_bars_published_total',
    'bars acknowledged by Kafka',
    'tf',
    frames((frame) => frame.published),
  );
  const shards = (pick: (shard: ShardSnapshot) => number) => snapshot.shards.map((shard, index) => [String(index), pick(shard)] as const);
  labelled(
    'tickwright_ring_depth',
    'slots in use of the tick ring',
    'shard',
    shards((shard) => shard.tickDepth),
  );
  labelled(
    'tickwright_out_ring_depth',
    'slots in use of the out ring',
    'shard',
    shards((shard) => shard.outDepth),
  );
  countLabelled(
    'tickwright_shard_waits_total',
    'times the worker slept for want of ticks',
    'shard',
    shards((shard) => shard.parks),
  );
  countLabelled(
    'tickwright_shard_blocked_total',
    'polls that found the out ring full',
    'shard',
    shards((shard) => shard.blockedPolls),
  );
  labelled('tickwright_writer', 'what the Postgres writer counts', 'what', snapshot.writer);
  labelled('tickwright_publisher', 'what the Kafka publisher counts', 'what', snapshot.publisher);
  gauge('tickwright_open_epochs', 'epochs on their way to Postgres', snapshot.openEpochs);
  gauge(
    'tickwright_epoch_interval_seconds',
    'time between the last two checkpoints: more than FLUSH_MS where Postgres does not keep up',
    snapshot.epochIntervalMs / 1000,
  );
  gauge(
    'tickwright_loss_window_seconds',
    'how much of a source that cannot be read again is neither committed nor in the log yet',
    snapshot.lossWindowMs / 1000,
  );
  count('tickwright_ticks_lost_total', 'ticks of such a source that a failed session had accepted and not committed', snapshot.lostTicks);
  if (snapshot.feed) {
    const { written, acknowledged, dropped, failedDeliveries } = snapshot.feed;
    count('tickwright_feed_ticks_written_total', 'ticks that this process gave to the ticks topic', written);
    count('tickwright_feed_ticks_acknowledged_total', 'those that Kafka has acknowledged', acknowledged);
    count('tickwright_feed_deliveries_failed_total', 'messages that a producer could not deliver; they were sent again', failedDeliveries);
    count('tickwright_ticks_beside_dropped_total', 'ticks that were to be published beside and were not: the queue was full', dropped);
  }
  if (snapshot.fetch) {
    const jumps = [...snapshot.fetch.jumps].map(([partition, count]) => [String(partition), count] as const);
    countLabelled('tickwright_fetch_total', 'what the direct lane counts while it reads', 'what', snapshot.fetch.counts);
    countLabelled(
      'tickwright_offset_jumps_total',
      'jumps over offsets that the topic no longer held',
      'partition',
      jumps.map(([partition, count]) => [partition, count.jumps]),
    );
    countLabelled(
      'tickwright_offsets_skipped_total',
      'offsets passed over by those jumps',
      'partition',
      jumps.map(([partition, count]) => [partition, count.offsets]),
    );
  }
  if (snapshot.exchange) labelled('tickwright_exchange', 'what the exchange counts', 'what', snapshot.exchange);
  count('tickwright_sessions_total', 'sessions begun: the first, and one after each rebalance or failure', snapshot.sessions);
  countLabelled('tickwright_session_failures_total', 'sessions that failed, by code', 'code', snapshot.sessionFailures);
  gauge('tickwright_lanes', 'lanes that this engine owns', snapshot.lanes);
  labelled(
    'tickwright_up',
    'whether a part is up',
    'part',
    snapshot.health.map(({ name, isUp }) => [name, isUp ? 1 : 0] as const),
  );
  gauge('tickwright_source_lag_seconds', 'how far the source is behind its schedule', snapshot.sourceLagMs / 1000);
  gauge('process_resident_memory_bytes', 'resident size', process.memoryUsage.rss());
  count('process_cpu_seconds_total', 'processor time', process.cpuUsage().user / 1e6 + process.cpuUsage().system / 1e6);
}

function renderHistogram(name: string, stage: LatencyStage, boundsUs: readonly number[]): string {
  const lines = [`# HELP ${name} seconds`, `# TYPE ${name} histogram`];
  boundsUs.forEach((bound, index) => {
    lines.push(`${name}_bucket{le="${bound / 1e6}"} ${stage.bucketCounts[index]}`);
  });
  const total = stage.total.totalCount;
  lines.push(`${name}_bucket{le="+Inf"} ${total}`, `${name}_sum ${stage.sumUs / 1e6}`, `${name}_count ${total}`, '');
  return lines.join('\n');
}
