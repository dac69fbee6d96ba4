/** One run of the engine, from opening servers to the verdict. */
import { basename, resolve } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import type { LoadedConfig } from '../../config/load.ts';
import { SYSTEM_CLOCK, SYSTEM_PAUSE } from '../core/clock.ts';
import { messageOf } from '../core/errors.ts';
import { createLogger, type Logger } from '../core/log.ts';
import { PROJECT_ROOT } from '../core/root.ts';
import { type Gateway, startGateway } from '../gateway/http.ts';
import { loadInstruments } from '../market/instrument-book.ts';
import type { Timeframe } from '../market/timeframes.ts';
import type { ConservationLine } from '../monitor/conservation.ts';
import { judgeStored } from '../monitor/verdict.ts';
import { isRetryable } from '../sinks/postgres/connection.ts';
import { beginRun, type Database, endRun } from '../sinks/postgres/runs.ts';
import { loadStoredInstruments, withStored } from '../sinks/postgres/stored-instruments.ts';
import { renderBanner } from './banner.ts';
import { handleCrashes } from './crash.ts';
import type { StopReason } from './engine.ts';
import { type ExchangeHost, openExchangeIfOn } from './exchange-host.ts';
import { createHealthLog } from './health-log.ts';
import { createObserver, createStages, type Observer, type Stages } from './observe.ts';
import { watchRuntime } from './runtime-figures.ts';
import { openServers, type Servers } from './servers.ts';
import { createSessions, type Session, type SessionParts } from './session.ts';
import { handleSignals, type Signals } from './signals.ts';
import type { SourceHost } from './source-host.ts';
import { checkSource, openSourceHost } from './sources.ts';
import { stageLine, stageOf } from './stage.ts';
import { createStatusDisplay, type StatusDisplay } from './status.ts';
import { checkResume } from './stored.ts';
import { summariseRun } from './summarise.ts';
import { isAccounted, renderSummary, summaryToJson } from './summary.ts';
import { writeSummary } from './summary-file.ts';
import { createSupervisor, type Supervisor } from './supervisor.ts';

const EXIT_CONSERVED = 0;
const EXIT_NOT_CONSERVED = 1;
const EXIT_FAILED = 3;

const STATUS_MS = 500;
const READ_BACK_LIMIT_MS = 60_000;
const READ_BACK_REST_MS = 500;
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
  readonly isEachWhole: boolean;
  readonly servers: Servers;
  readonly database: Database;
  readonly host: SourceHost;
  readonly run: number;
  readonly supervisor: Supervisor;
  readonly exchange: ExchangeHost | undefined;
  readonly observer: Observer;
  readonly stages: Stages;
  readonly display: StatusDisplay;
  readonly log: Logger;
}

/** Runs until the source ends or a signal comes. Returns the exit code: 0 only when conserved. */
export async function runEngine(options: RunOptions): Promise<number> {
  const { config } = options.loaded;
  const { timeframes } = stageOf(config);
  checkSource(options);
  const log = createLogger(config.LOG_LEVEL, config.LOG_FILE);
  const display = createStatusDisplay(process.stdout, PLAIN_STATUS_MS);
  const startedMs = SYSTEM_CLOCK.wallMs();
  const signals = handleSignals(display, log);
  const releaseCrashes = handleCrashes({ display, log, exit: (code) => process.exit(code) });
  try {
    const servers = await openServers(config, timeframes, (text) => display.print([text]));
    try {
      return await runOn(servers, { options, timeframes, log, display, signals, startedMs });
    } finally {
      display.close();
      await servers.close();
    }
  } finally {
    releaseCrashes();
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
  const isEachWhole = stageOf(config).input !== undefined;
  const database = { connectionString: servers.postgres.connectionString, schema: config.PG_SCHEMA };
  const host = openSourceHost(options, servers, { clock: SYSTEM_CLOCK, log });
  const { files, isResume } = options;
  await checkResume({ ...database, host, timeframes, files, isResume });
  const run = await beginRun({
    ...database,
    source: host.name,
    config,
    files: files.map((file) => basename(file)),
    goesOn: host.isLive || isResume,
  });
  const before = await judgeStored({ ...database, source: host.name, run, timeframes, isEachWhole });
  const exchange = await openExchangeIfOn({
    config,
    database,
    kafka: servers.kafka,
    run,
    clock: SYSTEM_CLOCK,
    pause: SYSTEM_PAUSE,
    log,
    say: (text) => display.print([text]),
  });
  const stages = createStages();
  let gateway: Gateway | undefined;
  let isAnnounced = false;
  const sessionParts: SessionParts = {
    config,
    timeframes,
    servers,
    database,
    host,
    run,
    log,
    isCheckpointed: true,
    async loadBook() {
      const listed = loadInstruments(resolve(PROJECT_ROOT, config.INSTRUMENTS_FILE));
      return withStored(listed, await loadStoredInstruments(database), config.SYMBOLS === 'strict');
    },
    onLatency: (stage, encoded, worker) => stages[stage]?.stage.add(encoded, worker),
    onWriterMessage(message) {
      observer.onWriterMessage(message);
      if (message.type === 'latency') stages[message.stage]?.stage.add(message.encoded);
    },
  };
  const supervisor = createSupervisor({
    host,
    clock: SYSTEM_CLOCK,
    pause: SYSTEM_PAUSE,
    log,
    timeframeCount: timeframes.length,
    stopMs: config.STOP_MS,
    sessions: createSessions(sessionParts),
    onSession(session) {
      log.info({ run, source: host.name, lanes: session.lanes, restored: session.restored }, 'session');
      if (isAnnounced) {
        display.print([sessionLine(session, supervisor.sessions)]);
        return;
      }
      isAnnounced = true;
      display.print(
        renderBanner({
          loaded: options.loaded,
          servers,
          gatewayUrl: gateway?.url ?? '',
          host,
          exchange,
          run,
          restored: session.restored,
          recovered: session.recovered,
        }),
      );
      log.info({ run, source: host.name, readyMs: Math.round(SYSTEM_CLOCK.wallMs() - base.startedMs) }, 'ready');
    },
    onFailure(error) {
      observer.onSessionFailure(error);
      display.print([`session failed: ${messageOf(error)}; going on from the last checkpoint`]);
    },
    onSessionEnd: () => void observer.open(),
  });
  const observer = createObserver({ timeframes, supervisor, host, exchange, stages, clock: SYSTEM_CLOCK, stage: stageLine(config) });
  const parts: Run = {
    options,
    timeframes,
    isEachWhole,
    servers,
    database,
    host,
    run,
    supervisor,
    exchange,
    observer,
    stages,
    display,
    log,
  };
  const watch = watchRuntime(stages);
  try {
    gateway = await startGateway({
      host: config.METRICS_HOST,
      port: config.METRICS_PORT,
      metrics: () => observer.metrics.render(),
      health: () => observer.health(),
      isReady: () => observer.health().every((part) => part.isUp),
      runtime: () => watch.read(),
    });
    signals.drainOnFirst({
      requestStop() {
        // First what feeds the log: what it writes after this would only wait there.
        host.requestStop();
        exchange?.requestStop();
        supervisor.requestStop();
      },
      unwritten: () => unwritten(parts),
    });
    await host.start();
    return await cycle(parts, before, gateway);
  } finally {
    watch.close();
    await gateway?.close();
    await exchange?.close();
    await host.close();
  }
}

function sessionLine({ lanes, restored, recovered }: Session, number: number): string {
  return `session ${number}: lanes ${lanes.join(', ')}, open bars of ${restored} symbols loaded, ${recovered} messages published for an earlier owner`;
}

/** Drives the sessions and ends with the summary. */
async function cycle(parts: Run, before: readonly ConservationLine[], gateway: Gateway): Promise<number> {
  const { display, observer, supervisor, log, database } = parts;
  const startedMs = SYSTEM_CLOCK.wallMs();
  const logHealth = createHealthLog(log);
  const ticker = setInterval(() => {
    display.show(observer.status());
    logHealth(observer.health());
  }, STATUS_MS);
  let reason: StopReason = 'failed';
  try {
    reason = await supervisor.run();
  } catch (error) {
    log.error({ err: error }, 'the engine failed');
    display.print([
      `FAILED: ${messageOf(error)}`,
      ...unwritten(parts),
      `see ${parts.options.loaded.config.LOG_FILE}; ${gateway.url} is closed now`,
    ]);
    return EXIT_FAILED;
  } finally {
    clearInterval(ticker);
  }
  await parts.host.settle();
  await parts.exchange?.close();
  const elapsedSec = (SYSTEM_CLOCK.wallMs() - startedMs) / 1000;
  const summary = await insist(parts, () => summariseRun({ ...database, ...parts, before, reason, elapsedSec }));
  const isGood = summary.isConserved && isAccounted(summary) && supervisor.lostTicks === 0;
  await insist(parts, () => endRun({ ...database, run: parts.run, isConserved: isGood, summary: summaryToJson(summary) }));
  display.print([...renderSummary(summary), ...(parts.exchange?.notes() ?? []).map((note) => `  ${note}`)]);
  log.info({ summary: JSON.parse(summaryToJson(summary)) as unknown }, 'summary');
  writeSummary(parts.options.loaded.config.SUMMARY_JSON, summaryToJson(summary));
  return isGood ? EXIT_CONSERVED : EXIT_NOT_CONSERVED;
}

/** Reads back what is stored, waiting for a server that is away; everything is durable by now. */
async function insist<T>({ display, log }: Run, attempt: () => Promise<T>): Promise<T> {
  const endMs = SYSTEM_CLOCK.wallMs() + READ_BACK_LIMIT_MS;
  for (let tries = 0; ; tries += 1) {
    try {
      return await attempt();
    } catch (error) {
      if (!isRetryable(error) || SYSTEM_CLOCK.wallMs() > endMs) throw error;
      log.warn({ err: error }, 'reading back for the summary');
      if (tries === 0) display.print([`waiting for Postgres to read the summary back: ${messageOf(error)}`]);
      await sleep(READ_BACK_REST_MS);
    }
  }
}

/** What has not reached the database or Kafka, for someone who stops at once. */
function unwritten({ supervisor, observer, host }: Run): string[] {
  const shards = observer.shards();
  const ticks = shards.reduce((sum, shard) => sum + shard.tickDepth, 0);
  const bars = shards.reduce((sum, shard) => sum + shard.outDepth, 0);
  const topology = supervisor.session?.topology;
  const feed = host.feed();
  const unlogged = feed ? feed.written - feed.acknowledged : 0;
  const canReadAgain = supervisor.session?.source.isReplayable === true;
  return [
    `not written: ${ticks} ticks in the tick rings, ${bars} records in the out rings, ${topology?.engine.openEpochs ?? 0} epochs not committed, ` +
      `${topology?.publisher?.outstanding() ?? 0} bars not acknowledged by Kafka; ` +
      (canReadAgain ? 'the next start goes on from the last checkpoint' : `${topology?.engine.uncommittedTicks ?? 0} ticks are lost`),
    ...(unlogged > 0 ? [`${unlogged} ticks written to Kafka are not acknowledged: it may hold them or not`] : []),
  ];
}
