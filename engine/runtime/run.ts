/** One run of the engine, from opening servers to the verdict. */
import { writeFileSync } from 'node:fs';
import { basename, resolve } from 'node:path';
import type { LoadedConfig } from '../../config/load.ts';
import { SYSTEM_CLOCK } from '../core/clock.ts';
import { EngineError, messageOf } from '../core/errors.ts';
import { createLogger, type Logger } from '../core/log.ts';
import { PROJECT_ROOT } from '../core/root.ts';
import { type Gateway, startGateway } from '../gateway/http.ts';
import { loadInstruments } from '../market/instrument-book.ts';
import { parseTimeframes, type Timeframe } from '../market/timeframes.ts';
import { type HeldSums, readSums } from '../monitor/verdict.ts';
import { beginRun, endRun } from '../sinks/postgres/runs.ts';
import { loadStoredInstruments, withStored } from '../sinks/postgres/stored-instruments.ts';
import { renderBanner } from './banner.ts';
import type { StopReason } from './engine.ts';
import { createObserver, createStages, type Observer } from './observe.ts';
import { openServers, type Servers } from './servers.ts';
import { handleSignals, type Signals } from './signals.ts';
import { checkSource, type OpenedSource, openSource } from './sources.ts';
import { createStatusDisplay, type StatusDisplay } from './status.ts';
import { storedStateFor } from './stored.ts';
import { summariseRun } from './summarise.ts';
import { isAccounted, renderSummary, type Summary, summaryToJson } from './summary.ts';
import { buildTopology, type Topology } from './topology.ts';

const EXIT_CONSERVED = 0;
const EXIT_NOT_CONSERVED = 1;
const EXIT_FAILED = 3;

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
  checkSource(options);
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
    takeLetters: () => opened.takeLetters(),
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
    signals.drainOnFirst({ requestStop: () => topology.engine.requestStop(), unwritten: () => unwritten(parts) });
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
async function cycle(parts: Run, before: readonly HeldSums[], gateway: Gateway): Promise<number> {
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
  const summary = await summariseRun({
    ...databaseOf(parts),
    ...parts,
    before,
    reason,
    elapsedSec: (SYSTEM_CLOCK.wallMs() - startedMs) / 1000,
  });
  const isGood = summary.isConserved && isAccounted(summary);
  await endRun({ ...databaseOf(parts), run: parts.run, isConserved: isGood, summary: summaryToJson(summary) });
  display.print(renderSummary(summary));
  log.info({ summary: JSON.parse(summaryToJson(summary)) as unknown }, 'summary');
  writeSummary(parts.options.loaded.config.SUMMARY_JSON, summary);
  return isGood ? EXIT_CONSERVED : EXIT_NOT_CONSERVED;
}

function writeSummary(path: string, summary: Summary): void {
  if (path === '') return;
  try {
    writeFileSync(path, summaryToJson(summary));
  } catch (cause) {
    throw new EngineError('SUMMARY_UNWRITTEN', `SUMMARY_JSON '${path}': ${messageOf(cause)}; name a file that can be written`, { cause });
  }
}

function databaseOf(parts: Run): { connectionString: string; schema: string } {
  return { connectionString: parts.servers.postgres.connectionString, schema: parts.options.loaded.config.PG_SCHEMA };
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
