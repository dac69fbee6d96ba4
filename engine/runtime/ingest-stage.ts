/**
 * The stage `ingest`: a source without offsets into the topic `ticks`, and nothing else. No database and no workers: what it promises is that
 * every tick handed over is acknowledged by Kafka or counted as not.
 *
 *   source ─▶ log port ─▶ ticks topic
 *   └──────── feeder ────────┘
 */

import { setTimeout as sleep } from 'node:timers/promises';
import { kafkaAccess } from '../../config/kafka-access.ts';
import { SYSTEM_CLOCK } from '../core/clock.ts';
import { messageOf } from '../core/errors.ts';
import { createLogger, type Logger } from '../core/log.ts';
import { type Gateway, type HealthPart, startGateway } from '../gateway/http.ts';
import { createMetricsPage } from '../gateway/metrics.ts';
import { createFeeder, type Feeder } from '../ingest/feeder.ts';
import { createLogPort, type LogPort } from '../ingest/log-port.ts';
import { createLogWriter } from '../ingest/log-writer.ts';
import { refusalName } from '../ingest/refusal-name.ts';
import type { Source } from '../ingest/source.ts';
import { createTickLog, type TickLog } from '../ingest/tick-log.ts';
import { greetAccess, requireRdkafka } from '../sinks/kafka/client.ts';
import { ensureTopics, planTopics } from '../sinks/kafka/topics.ts';
import { handleCrashes } from './crash.ts';
import { createHealthLog } from './health-log.ts';
import { type IngestSummary, isIngestConserved, renderIngestSummary } from './ingest-summary.ts';
import type { RunOptions } from './run.ts';
import { watchRuntime } from './runtime-figures.ts';
import { handleSignals, type Signals } from './signals.ts';
import { checkSource, sourceToLog } from './sources.ts';
import { stageOf } from './stage.ts';
import { createStatusDisplay, type StatusDisplay } from './status.ts';
import { writeSummary } from './summary-file.ts';

const EXIT_CONSERVED = 0;
const EXIT_NOT_CONSERVED = 1;
const EXIT_FAILED = 3;
const STATUS_MS = 500;
const PLAIN_STATUS_MS = 5000;
const REST_MS = 5;

interface Stage {
  readonly options: RunOptions;
  readonly title: string;
  readonly topic: string;
  readonly source: Source;
  readonly log: TickLog;
  readonly port: LogPort;
  readonly feeder: Feeder;
  readonly logger: Logger;
  readonly display: StatusDisplay;
}

/** Runs until the source ends or a signal comes. Returns the exit code: 0 only when everything offered is acknowledged or counted as refused. */
export async function runIngestStage(options: RunOptions): Promise<number> {
  const { config } = options.loaded;
  checkSource(options);
  const logger = createLogger(config.LOG_LEVEL, config.LOG_FILE);
  const display = createStatusDisplay(process.stdout, PLAIN_STATUS_MS);
  const signals = handleSignals(display, logger);
  const releaseCrashes = handleCrashes({ display, log: logger, exit: (code) => process.exit(code) });
  try {
    const stage = await openStage(options, logger, display);
    try {
      return await runStage(stage, signals);
    } finally {
      await stage.log.close();
    }
  } finally {
    display.close();
    releaseCrashes();
    signals.release();
  }
}

async function openStage(options: RunOptions, logger: Logger, display: StatusDisplay): Promise<Stage> {
  const { config } = options.loaded;
  const clock = SYSTEM_CLOCK;
  const { topic } = stageOf(config);
  const library = await requireRdkafka();
  const access = kafkaAccess(config);
  await greetAccess(library, access);
  // Only what it writes: the other topics are those of the stages that write them.
  const plans = planTopics(config, []).filter((plan) => plan.topic === topic);
  const { created, differing } = await ensureTopics(library, access, plans);
  if (created.length > 0) display.print([`Kafka: created ${created.join(', ')}`]);
  for (const { partitions, planned } of differing) display.print([`Kafka: ${topic} has ${partitions} partitions, planned ${planned}`]);
  const encoding = config.PUBLISH_TICKS === 'packed' ? 'packed' : 'json';
  const log = createTickLog({
    library,
    ...access,
    topic,
    clock,
    lingerMs: encoding === 'json' ? config.KAFKA_LINGER_MS : 0,
    onTrouble: (error) => logger.error({ err: error, topic }, 'writing ticks: the producer failed and is replaced'),
  });
  const writer = createLogWriter({ log, encoding, clock, lingerMs: config.KAFKA_LINGER_MS });
  const port = createLogPort(log, writer);
  const live = sourceToLog(options, clock);
  const source = live.open();
  const feeder = createFeeder({ source, log, port, writer, clock, isReady: () => true });
  await log.open();
  const title = `stage ingest, ${live.title} to ${topic} (${encoding})`;
  return { options, title, topic, source, log, port, feeder, logger, display };
}

async function runStage(stage: Stage, signals: Signals): Promise<number> {
  const { options, title, feeder, log, logger, display } = stage;
  const { config } = options.loaded;
  const startedMs = SYSTEM_CLOCK.wallMs();
  let isStopRequested = false;
  signals.drainOnFirst({
    requestStop() {
      isStopRequested = true;
      feeder.requestStop();
    },
    unwritten: () => [
      `${log.counts().written - log.counts().acknowledged} ticks written to Kafka are not acknowledged: it may hold them or not`,
    ],
  });
  const watch = watchRuntime({});
  const gateway = await openGateway(stage, () => watch.read());
  const logHealth = createHealthLog(logger);
  const ticker = setInterval(() => {
    display.show(statusOf(stage));
    logHealth(healthOf(stage));
  }, STATUS_MS);
  try {
    display.print(bannerOf(stage, gateway));
    feeder.start();
    while (!feeder.isDone && !isStopRequested && feeder.failure() === undefined) await sleep(REST_MS);
    await feeder.stop(config.STOP_MS);
    const failure = feeder.failure();
    if (failure) throw failure;
  } catch (error) {
    logger.error({ err: error }, 'the stage failed');
    display.print([`FAILED: ${messageOf(error)}`]);
    return EXIT_FAILED;
  } finally {
    clearInterval(ticker);
    await gateway.close();
    watch.close();
  }
  const elapsedSec = (SYSTEM_CLOCK.wallMs() - startedMs) / 1000;
  const summary = summarise(stage, isStopRequested ? 'stopped' : 'source ended', elapsedSec);
  display.print(renderIngestSummary(summary, title));
  logger.info({ summary }, 'summary');
  writeSummary(config.SUMMARY_JSON, JSON.stringify(summary, undefined, 2));
  return summary.isConserved ? EXIT_CONSERVED : EXIT_NOT_CONSERVED;
}

function summarise({ title, topic, source, log, port }: Stage, reason: string, elapsedSec: number): IngestSummary {
  const { written, acknowledged, messages, failedDeliveries, replacedProducers } = log.counts();
  const refused = Object.fromEntries([...port.refused].map(([code, count]) => [refusalName(code), count]));
  const counts = { offered: source.offered, accepted: written, acknowledged, refused };
  return {
    ...{ stage: 'ingest', source: title, topic, reason, elapsedSec },
    ...counts,
    ...{ messages, failedDeliveries, replacedProducers },
    isConserved: isIngestConserved(counts),
  };
}

function refusedCount({ port }: Stage): number {
  return [...port.refused.values()].reduce((sum, count) => sum + count, 0);
}

function healthOf({ feeder }: Stage): HealthPart[] {
  return [{ name: 'feeder', ...feeder.health() }];
}

function statusOf(stage: Stage): Parameters<StatusDisplay['show']>[0] {
  const { source, log, topic, feeder } = stage;
  const { written, acknowledged } = log.counts();
  const { isUp, detail } = feeder.health();
  return {
    atMs: SYSTEM_CLOCK.wallMs(),
    flow: `ingest > ${topic}`,
    offered: source.offered,
    refused: refusedCount(stage),
    bars: [],
    ringDepths: [],
    tickToBarP99Us: undefined,
    openEpochs: 0,
    phase: 'running',
    alarms: [`not acknowledged ${written - acknowledged}`, ...(isUp ? [] : [`kafka DOWN: ${detail}`])],
  };
}

function bannerOf({ title, options, log }: Stage, gateway: Gateway): string[] {
  const { config } = options.loaded;
  return [
    '',
    `Tickwright, ${title}`,
    `  writes    ${log.partitionCount} partitions at ${config.KAFKA_BROKER}`,
    `  metrics   ${gateway.url}/metrics`,
    `  health    ${gateway.url}/health`,
    '  a crash   loses ticks that Kafka has not acknowledged',
    `  log       ${config.LOG_FILE === '-' ? 'standard error' : config.LOG_FILE}`,
    '',
  ];
}

/** @throws EngineError PORT_IN_USE */
function openGateway(stage: Stage, runtime: () => object): Promise<Gateway> {
  const { config } = stage.options.loaded;
  const page = createMetricsPage({ snapshot: () => snapshotOf(stage), stages: {} });
  return startGateway({
    host: config.METRICS_HOST,
    port: config.METRICS_PORT,
    metrics: () => page.render(),
    runtime,
    health: () => healthOf(stage),
    isReady: () => healthOf(stage).every((part) => part.isUp),
  });
}

type Snapshot = ReturnType<Parameters<typeof createMetricsPage>[0]['snapshot']>;

function snapshotOf(stage: Stage): Snapshot {
  const { source, log, port, feeder } = stage;
  const { written, acknowledged, failedDeliveries } = log.counts();
  return {
    ticksOffered: source.offered,
    ticksAccepted: written,
    ticksMerged: 0,
    refused: new Map([...port.refused].map(([code, count]) => [refusalName(code), count])),
    timeframes: [],
    shards: [],
    lateTicks: 0,
    writer: new Map(),
    publisher: new Map(),
    openEpochs: 0,
    epochIntervalMs: 0,
    sourceLagMs: feeder.lagMs,
    sessions: 1,
    sessionFailures: new Map(),
    lanes: 0,
    lostTicks: 0,
    lossWindowMs: feeder.oldestMs === undefined ? 0 : SYSTEM_CLOCK.wallMs() - feeder.oldestMs,
    feed: { written, acknowledged, dropped: 0, failedDeliveries },
    exchange: undefined,
    health: healthOf(stage),
  };
}
