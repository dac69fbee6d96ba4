/** One run of the engine, from opening servers to the verdict. */
import { writeFileSync } from 'node:fs';
import { basename, resolve } from 'node:path';
import type { LoadedConfig } from '../../config/load.ts';
import { SYSTEM_CLOCK } from '../core/clock.ts';
import { messageOf } from '../core/errors.ts';
import { summarise } from '../core/latency.ts';
import { createLogger, type Logger } from '../core/log.ts';
import { PROJECT_ROOT } from '../core/root.ts';
import { type Gateway, startGateway } from '../gateway/http.ts';
import { loadInstruments } from '../market/instrument-book.ts';
import { parseTimeframes, type Timeframe } from '../market/timeframes.ts';
import { readSums } from '../monitor/verdict.ts';
import { beginRun, endRun } from '../sinks/postgres/runs.ts';
import { loadStoredInstruments, withStored } from '../sinks/postgres/stored-instruments.ts';
import { renderBanner } from './banner.ts';
import { judgeConservation } from './conservation.ts';
import type { StopReason } from './engine.ts';
import { createObserver, createStages, type Observer } from './observe.ts';
import { openServers, type Servers } from './servers.ts';
import { type OpenedSource, openSource } from './sources.ts';
import { sumColumns } from './stats.ts';
import { createStatusDisplay, type StatusDisplay } from './status.ts';
import { storedStateFor } from './stored.ts';
import { isAccounted, renderSummary, type Summary, summaryToJson } from './summary.ts';
import { buildTopology, type Topology } from './topology.ts';

const EXIT_CONSERVED = 0;
const EXIT_NOT_CONSERVED = 1;
const EXIT_FAILED = 3;
const EXIT_ABANDONED = 130;

/** A terminal sends Ctrl-C to the whole process group and npm passes it on as well: within this time it is one Ctrl-C. */
const SAME_SIGNAL_MS = 500;
const STATUS_MS = 500;
const PLAIN_STATUS_MS = 5000;

export interface RunOptions {
  readonly loaded: LoadedConfig;
  readonly files: readonly string[];
  readonly isResume: boolean;
  readonly format?: string;
  readonly symbol?: string;
}

interface Run {
  readonly options: RunOptions;
  readonly timeframes: readonly Timeframe[];
  readonly servers: Servers;
  readonly opened: OpenedSource;
  readonly run: number;
  readonly topology: Topology;
  readonly observer: Observer;
  readonly stages: ReturnType<typeof createStages>;
  readonly display: StatusDisplay;
  readonly log: Logger;
}

/** Runs until the source ends or a signal comes. Returns the exit code: 0 only when conserved. */
export async function runEngine(options: RunOptions): Promise<number> {
  const { config } = options.loaded;
  const timeframes = parseTimeframes(config.TIMEFRAMES);
  const log = createLogger(config.LOG_LEVEL, config.LOG_FILE);
  const display = createStatusDisplay(process.stdout, PLAIN_STATUS_MS);
  const startedMs = SYSTEM_CLOCK.wallMs();
  const signals = handleSignals(display, log);
  try {
    const servers = await openServers(config, timeframes, (text) => display.print([text]));
    try {
      return await runOn(servers, { options, timeframes, log, display, signals, startedMs });
    } finally {
      display.close();
      await servers.close();
    }
  } finally {
    signals.release();
  }
}

interface Base {
  readonly options: RunOptions;
  readonly timeframes: readonly Timeframe[];
  readonly log: Logger;
  readonly display: StatusDisplay;
  readonly signals: Signals;
  readonly startedMs: number;
}

async function runOn(servers: Servers, base: Base): Promise<number> {
  const { options, timeframes, log, display, signals } = base;
  const { config } = options.loaded;
  const database = { connectionString: servers.postgres.connectionString, schema: config.PG_SCHEMA };
  const opened = openSource(options, servers, SYSTEM_CLOCK);
  const { files, isResume } = options;
  const listed = loadInstruments(resolve(PROJECT_ROOT, config.INSTRUMENTS_FILE));
  const book = withStored(listed, await loadStoredInstruments(database), config.SYMBOLS === 'strict');
  const stored = await storedStateFor({ ...database, source: opened.source, timeframes, files, isResume });
  const run = await beginRun({
    ...database,
    source: opened.source.name,
    config,
    files: files.map((file) => basename(file)),
    continues: stored,
  });
  const before = await readSums({ ...database, run, timeframes });
  const stages = createStages();
  const topology = await buildTopology({
    config,
    timeframes,
    servers,
    source: opened.source,
    run,
    stored,
    book,
    log,
    onLatency: (stage, encoded) => stages[stage]?.stage.add(encoded),
    onWriterMessage(message) {
      observer.onWriterMessage(message);
      if (message.type === 'latency') stages[message.stage]?.stage.add(message.encoded);
      if (message.type === 'health')
        log[message.isUp ? 'info' : 'error']({ postgres: message.detail }, message.isUp ? 'postgres up' : 'postgres down');
    },
  });
  const observer = createObserver({ config, timeframes, topology, opened, stages });
  const parts: Run = { options, timeframes, servers, opened, run, topology, observer, stages, display, log };
  let gateway: Gateway | undefined;
  try {
    gateway = await startGateway({
      host: config.METRICS_HOST,
      port: config.METRICS_PORT,
      metrics: () => observer.metrics.render(),
      health: () => observer.health(),
      isReady: () => topology.engine.phase === 'running' && observer.health().every((part) => part.isUp),
    });
    signals.drainOnFirst(parts);
    await topology.ready;
    await opened.source.start(topology.ingest, stored && { offsets: new Map(stored.offsets) });
    display.print(
      renderBanner({
        loaded: options.loaded,
        servers,
        gatewayUrl: gateway.url,
        sourceTitle: opened.title,
        run,
        restored: stored?.openState.length ?? 0,
        isAfterKill: stored?.isWhole === false,
      }),
    );
    log.info({ run, source: opened.source.name, readyMs: Math.round(SYSTEM_CLOCK.wallMs() - base.startedMs) }, 'ready');
    return await cycle(parts, before, gateway);
  } finally {
    await gateway?.close();
    await topology.terminate();
    await topology.publisher?.close();
    await opened.close();
  }
}

/** Drives the engine and ends with the summary. */
async function cycle(parts: Run, before: Awaited<ReturnType<typeof readSums>>, gateway: Gateway): Promise<number> {
  const { display, observer, topology, log } = parts;
  const startedMs = SYSTEM_CLOCK.wallMs();
  const ticker = setInterval(() => display.show(observer.status()), STATUS_MS);
  let reason: StopReason = 'failed';
  try {
    reason = await topology.engine.run();
  } catch (error) {
    clearInterval(ticker);
    log.error({ err: error }, 'the engine failed');
    display.print([
      `FAILED: ${messageOf(error)}`,
      ...unwritten(parts),
      `see ${parts.options.loaded.config.LOG_FILE}; ${gateway.url} is closed now`,
    ]);
    return EXIT_FAILED;
  }
  clearInterval(ticker);
  const summary = await summariseRun(parts, before, reason, (SYSTEM_CLOCK.wallMs() - startedMs) / 1000);
  const isGood = summary.isConserved && isAccounted(summary);
  await endRun({ ...databaseOf(parts), run: parts.run, isConserved: isGood, summary: summaryToJson(summary) });
  display.print(renderSummary(summary));
  log.info({ summary: JSON.parse(summaryToJson(summary)) as unknown }, 'summary');
  const path = parts.options.loaded.config.SUMMARY_JSON;
  if (path !== '') writeFileSync(path, summaryToJson(summary));
  return isGood ? EXIT_CONSERVED : EXIT_NOT_CONSERVED;
}

function databaseOf(parts: Run): { connectionString: string; schema: string } {
  return { connectionString: parts.servers.postgres.connectionString, schema: parts.options.loaded.config.PG_SCHEMA };
}

async function summariseRun(
  parts: Run,
  before: Awaited<ReturnType<typeof readSums>>,
  reason: StopReason,
  elapsedSec: number,
): Promise<Summary> {
  const { topology, opened, observer, stages, timeframes, run } = parts;
  const counts = topology.ingest.counts();
  observer.collect();
  const after = await readSums({ ...databaseOf(parts), run, timeframes });
  const accepted = {
    volumeLots: counts.acceptedLots,
    tradeCount: BigInt(counts.acceptedTrades),
    quoteCount: BigInt(counts.acceptedQuotes),
  };
  const conservation = judgeConservation(
    accepted,
    timeframes.map(({ name }, index) => ({
      timeframe: name,
      before: before[index]!.held,
      after: after[index]!.held,
      missed: {
        volumeLots: after[index]!.missed.volumeLots - before[index]!.missed.volumeLots,
        tradeCount: after[index]!.missed.tradeCount - before[index]!.missed.tradeCount,
        quoteCount: after[index]!.missed.quoteCount - before[index]!.missed.quoteCount,
      },
    })),
  );
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

/** What has not reached the database or Kafka, for someone who stops at once. */
function unwritten({ topology, observer }: Run): string[] {
  const shards = observer.shards();
  const ticks = shards.reduce((sum, shard) => sum + shard.tickDepth, 0);
  const bars = shards.reduce((sum, shard) => sum + shard.outDepth, 0);
  return [
    `not written: ${ticks} ticks in the tick rings, ${bars} records in the out rings, ${topology.engine.openEpochs} epochs not committed, ` +
      `${topology.publisher?.outstanding() ?? 0} bars not acknowledged by Kafka, and every open bar`,
  ];
}

interface Signals {
  /** Until this call a signal ends the process at once: there is nothing to drain. */
  drainOnFirst(parts: Run): void;
  release(): void;
}

function handleSignals(display: StatusDisplay, log: Logger): Signals {
  let running: Run | undefined;
  let firstMs: number | undefined;
  const onSignal = (signal: string): void => {
    const nowMs = SYSTEM_CLOCK.wallMs();
    if (firstMs !== undefined && nowMs - firstMs < SAME_SIGNAL_MS) return;
    log.info({ signal }, 'signal');
    if (running !== undefined && firstMs === undefined) {
      firstMs = nowMs;
      display.print([`${signal}: draining; once more to stop at once`]);
      running.topology.engine.requestStop();
      return;
    }
    display.print(
      running === undefined
        ? [`${signal}: stopped before the engine was ready; no tick was read`]
        : [`${signal} again: stopped at once`, ...unwritten(running)],
    );
    process.exit(EXIT_ABANDONED);
  };
  const names = ['SIGINT', 'SIGTERM', 'SIGHUP'] as const;
  for (const name of names) process.on(name, onSignal);
  return {
    drainOnFirst(parts) {
      running = parts;
    },
    release() {
      for (const name of names) process.off(name, onSignal);
    },
  };
}
