/**
 * The whole graph of a session on one screen: what is made, and what is joined to what.
 *
 *   source ─▶ ingest ─▶ tick ring[s] ─▶ shard worker[s] ─▶ out ring[s] ─▶ postgres writer ─▶ committed ring ─▶ publisher
 *
 * main: source, ingest, publisher, engine (duty cycle). Workers: one per shard, one for Postgres. A stage that reads bars combines them on main and
 * has no shards.
 */

import { accessOf } from '../../config/kafka-access.ts';
import type { Config } from '../../config/knobs.ts';
import { BAR_SIZE, SHARD_HEARTBEAT_I32 } from '../../schemas/layout.gen.ts';
import { BARRIER_FLAG } from '../../schemas/records.ts';
import { type Clock, type Pause, SYSTEM_CLOCK, SYSTEM_PAUSE } from '../core/clock.ts';
import { EngineError } from '../core/errors.ts';
import { encodeValue } from '../core/latency.ts';
import type { Logger } from '../core/log.ts';
import { openRunDelay } from '../core/run-delay.ts';
import type { Ingest } from '../ingest/port.ts';
import type { Source } from '../ingest/source.ts';
import type { InstrumentBook } from '../market/instrument-book.ts';
import { allocateSymbols, openSymbols, type SymbolDictionary } from '../market/instruments.ts';
import type { Timeframe } from '../market/timeframes.ts';
import { SHARD_HEADER_ADDRESS } from '../memory/region.ts';
import { allocateRing } from '../memory/ring.ts';
import { createDirectLane, type DirectLaneOptions } from '../sinks/kafka/direct-lane.ts';
import { rdkafkaLane, type TransactionLane } from '../sinks/kafka/lane.ts';
import type { TransactionOptions } from '../sinks/kafka/marker.ts';
import { type BarPublisher, createBarPublisher } from '../sinks/kafka/publisher.ts';
import type { FromWriter, ToWriter, WriterStart } from '../sinks/messages.ts';
import type { LaneClaim } from '../sinks/postgres/lanes.ts';
import { WRITER_COUNTER, WRITER_COUNTERS_BYTES } from '../sinks/postgres/writer-counters.ts';
import { openBarBuilder } from './bar-builder.ts';
import { type BuilderParts, openTickBuilder } from './builder.ts';
import { createEngine, type Engine } from './engine.ts';
import type { Letters } from './letters.ts';
import { makeRegions, type RegionPlace } from './regions.ts';
import type { KafkaServer, Servers } from './servers.ts';
import { stageOf } from './stage.ts';
import { createTurnWatch } from './turn-watch.ts';
import { createWatchdog, type Heartbeat, untilReady } from './watchdog.ts';
import { type StartWorker, startWorker, type WorkerHandle } from './workers.ts';

/** What the graph is made of; by default the clock, threads and memory of the process. */
export interface Seams {
  readonly clock?: Clock;
  readonly pause?: Pause;
  readonly start?: StartWorker;
  readonly place?: RegionPlace;
}

export interface TopologyOptions {
  readonly config: Config;
  readonly timeframes: readonly Timeframe[];
  readonly servers: Servers;
  readonly source: Source;
  readonly run: number;
  readonly claim: LaneClaim;
  readonly lanes: readonly number[];
  readonly isLaned: boolean;
  readonly transactions: TransactionOptions | undefined;
  readonly letters: Letters;
  /** False only to measure what checkpoints cost: epochs then hold no open buckets, and no outbox. */
  readonly isCheckpointed: boolean;
  /** As in `RebuildParts`. */
  openUntil(offsets: ReadonlyMap<number, bigint>): Source;
  readonly book: InstrumentBook;
  readonly log: Logger;
  /** @param worker name of the shard's thread */
  onLatency(stage: string, encoded: string, worker: string): void;
  onWriterMessage(message: FromWriter): void;
  readonly seams?: Seams;
}

export interface Topology {
  readonly engine: Engine;
  readonly ingest: Ingest;
  readonly symbols: SymbolDictionary;
  readonly regions: readonly WebAssembly.Memory[];
  readonly publisher: BarPublisher | undefined;
  readonly writerCounters: Float64Array;
  readonly clock: Clock;
  /** Resolves when the writer is connected and every shard polls; rejects when one fails before that. */
  readonly ready: Promise<void>;
  terminate(): Promise<void>;
}

type FromShard =
  | { readonly type: 'ready' }
  | { readonly type: 'latency'; readonly stage: string; readonly encoded: string }
  | { readonly type: 'stopped' };

export async function buildTopology(options: TopologyOptions): Promise<Topology> {
  const { config, timeframes, servers, source, log } = options;
  const { clock = SYSTEM_CLOCK, pause = SYSTEM_PAUSE, start = startWorker, place } = options.seams ?? {};
  const { claim } = options;
  const stage = stageOf(config);
  const regions = makeRegions(config, timeframes, claim.state, place);
  const symbols = openSymbols(allocateSymbols(config.SYMBOLS_MAX));
  const parts: BuilderParts = { config, timeframes, regions, symbols, book: options.book, clock, state: claim.state };
  const ingest = stage.input === undefined ? await openTickBuilder(parts, options) : openBarBuilder(parts, stage);

  const committedRing = servers.kafka ? allocateRing(config.COMMITTED_QUEUE, BAR_SIZE) : undefined;
  const publisher =
    servers.kafka && committedRing && options.transactions
      ? createBarPublisher({
          library: servers.kafka.library,
          ...accessOf(servers.kafka),
          prefix: config.TOPIC_PREFIX,
          committedRing,
          symbols,
          timeframes,
          clock,
          pause,
          isLive: source.isLive,
          lingerMs: config.KAFKA_LINGER_MS,
          transactions: options.transactions,
          ...(servers.kafka.hanging ? { hanging: servers.kafka.hanging } : {}),
          lane: laneOf(config, servers.kafka, { symbols, timeframes, clock, pause }),
        })
      : undefined;
  await publisher?.connect();

  const writerCounters = new SharedArrayBuffer(WRITER_COUNTERS_BYTES);
  const writerStart: WriterStart = {
    connectionString: servers.postgres.connectionString,
    schema: config.PG_SCHEMA,
    run: options.run,
    lanes: options.lanes,
    isLaned: options.isLaned,
    token: claim.token,
    baseEpoch: claim.baseEpoch,
    source: source.name,
    timeframes,
    regions,
    symbols: symbols.buffer,
    committedRing,
    isCheckpointed: options.isCheckpointed,
    rebuiltPartitions: [...claim.state.rebuild.keys()],
    counters: writerCounters,
    isLive: source.isLive,
    readsBars: stage.input !== undefined,
  };
  // Bars are combined on main, with no thread of their own.
  const shardRegions = stage.input === undefined ? regions : [];
  let notReady = 1 + shardRegions.length;
  let announceReady = (): void => undefined;
  let announceFailure = (_error: Error): void => undefined;
  const ready = new Promise<void>((resolve, reject) => {
    announceReady = resolve;
    announceFailure = reject;
  });
  const countReady = (): void => {
    notReady -= 1;
    if (notReady === 0) announceReady();
  };
  const fail = (error: Error): void => {
    log.error({ err: error }, 'worker failed');
    engine.fail(error);
    announceFailure(error);
  };
  const writer = start<FromWriter, ToWriter>({
    name: 'postgres-writer',
    file: 'postgres-writer',
    data: writerStart,
    onMessage(message) {
      if (message.type === 'ready') countReady();
      if (message.type === 'failed') announceFailure(new EngineError(message.code || 'WRITER_FAILED', message.message));
      engine.onWriterMessage(message);
      options.onWriterMessage(message);
    },
    onFailure: fail,
  });
  const shards = shardRegions.map((memory, shardIndex) =>
    start<FromShard, never>({
      name: `shard-${shardIndex}`,
      file: 'shard',
      data: { memory, shardIndex },
      onMessage: (message) => {
        if (message.type === 'ready') countReady();
        if (message.type === 'latency') options.onLatency(message.stage, message.encoded, `shard-${shardIndex}`);
      },
      onFailure: fail,
    }),
  );
  const counters = new Float64Array(writerCounters);
  const watch = createWatchdog([...shards.map((shard, index) => shardBeat(shard, regions[index]!)), writerBeat(writer, counters)], clock);
  const engine = createEngine({
    source,
    ingest,
    shards,
    writer,
    publisher,
    clock,
    pause,
    flushMs: config.FLUSH_MS,
    idleMs: config.IDLE_MS,
    stopMs: config.STOP_MS,
    letters: options.letters,
    barrierFlags: options.isCheckpointed ? BARRIER_FLAG.withOpenState : 0,
    wedged: watch,
    turns: createTurnWatch({
      clock,
      // A clock that is not the system's knows nothing of other programs.
      runDelayUs: clock === SYSTEM_CLOCK ? openRunDelay() : () => 0,
      onSecond: (stillUs) => options.onLatency('mainPause', encodeValue(stillUs), 'main'),
    }),
    collecting: () => counters[WRITER_COUNTER.collecting]!,
  });
  const started = untilReady(ready, watch, pause);
  // After start a failure is the engine's to tell.
  started.catch(() => undefined);
  return {
    engine,
    ingest,
    symbols,
    regions,
    publisher,
    writerCounters: counters,
    clock,
    ready: started,
    async terminate() {
      await Promise.all([...shards, writer].map((worker) => worker.terminate()));
    },
  };
}

/** The client that publishes bars, with its codec. */
function laneOf(
  { TOPIC_PREFIX: prefix, KAFKA_COMPRESSION: codec }: Config,
  kafka: KafkaServer,
  parts: Pick<DirectLaneOptions, 'symbols' | 'timeframes' | 'clock' | 'pause'>,
): TransactionLane {
  const access = accessOf(kafka);
  if (kafka.produceLane === 'direct')
    return createDirectLane({ ...parts, ...access, prefix, compression: codec === 'auto' ? 'none' : codec });
  return rdkafkaLane(kafka.library, access, codec === 'auto' ? 'lz4' : codec);
}

function shardBeat(shard: WorkerHandle<never>, memory: WebAssembly.Memory): Heartbeat {
  const words = new Int32Array(memory.buffer);
  const at = (SHARD_HEADER_ADDRESS >> 2) + SHARD_HEARTBEAT_I32;
  return { name: shard.name, read: () => words[at]!, isStopped: () => shard.isStopped };
}

function writerBeat(writer: WorkerHandle<ToWriter>, counters: Float64Array): Heartbeat {
  return { name: writer.name, read: () => counters[WRITER_COUNTER.heartbeat]!, isStopped: () => writer.isStopped };
}
