/**
 * The engine's hot path without servers: the graph of a session as `engine/runtime/topology.ts` builds it, with a backlog in memory in front and a
 * fold of bars in memory behind. Closed at full speed: the next ticks are taken as soon as the rings have room.
 */
import { loadConfig } from '../../../config/load.ts';
import { SYSTEM_CLOCK } from '../../../engine/core/clock.ts';
import { assert, EngineError } from '../../../engine/core/errors.ts';
import { createLogger } from '../../../engine/core/log.ts';
import { createInstrumentBook } from '../../../engine/market/instrument-book.ts';
import { parseTimeframes, type Timeframe } from '../../../engine/market/timeframes.ts';
import { createLetters } from '../../../engine/runtime/letters.ts';
import { createShardStatsReader } from '../../../engine/runtime/stats.ts';
import { buildTopology, type Topology, type TopologyOptions } from '../../../engine/runtime/topology.ts';
import { type StartWorker, startWorker, type WorkerHandle, type WorkerOptions } from '../../../engine/runtime/workers.ts';
import { deadLetterOf } from '../../../engine/sinks/kafka/dlq.ts';
import { expectBars } from '../expected-bars.ts';
import { createTickStream, type StreamPlan } from '../tick-stream.ts';
import { BACKLOG_BASE_MS, createBacklogSource, spanNsOf } from './backlog-source.ts';
import type { Folded, FoldPlan } from './bar-fold.ts';
import { judgeBars } from './judge-bars.ts';
import { createWorkerLatencies } from './latencies.ts';
import type { LocalPlan, LocalResult } from './local-plan.ts';
import { watchStage } from './stage-watch.ts';
import { createThreadTable, type ThreadTable } from './threads.ts';

/** Name of the file of the thread that takes the bars, from where workers are. */
const FOLD_FILE = '../bench/perf-test/local/bar-fold-worker';
const PARTITIONS = 1;

export async function measureKernel(plan: LocalPlan): Promise<LocalResult> {
  const { symbols, baseTps, seed, workers, queue, flushMs, warmupSec, stageSec, sampleSec } = plan;
  const environment = { WORKERS: `${workers}`, QUEUE: `${queue}`, FLUSH_MS: `${flushMs}` };
  const { config } = loadConfig({ environment });
  const timeframes = parseTimeframes(config.TIMEFRAMES);
  const stream: StreamPlan = { symbols, baseTps, seed, startMs: BACKLOG_BASE_MS, seconds: plan.backlog / (symbols * baseTps) };
  const spanNs = spanNsOf(stream.seconds, timeframes);
  const threads = createThreadTable();
  const latencies = createWorkerLatencies();
  const fold = { baseNs: BigInt(BACKLOG_BASE_MS) * 1_000_000n, spanNs, timeframeCount: timeframes.length };
  const epochs = createEpochTimes();
  const { start, folded } = startWithFold(fold, threads, epochs);
  const stage = createStage({ warmupSec, stageSec, onBegin: () => beginStage(), onEnd: () => watch.end() });
  const source = createBacklogSource({ stream, spanNs, isOver: () => stage.isOver() });
  const topology = await buildTopology({
    ...partsOf(timeframes),
    config,
    source,
    seams: { start },
    onLatency: latencies.add,
    onWriterMessage(message) {
      if (message.type === 'latency') latencies.add(message.stage, message.encoded);
      if (message.type === 'committed') latencies.record('epochToFold', epochs.take(message.epoch));
    },
  });
  const counts = countsOf(topology, timeframes.length);
  const watch = watchStage({ threads, sampleSec, ...counts });
  const beginStage = (): void => {
    latencies.reset();
    watch.begin();
  };
  try {
    await topology.ready;
    await source.start(topology.ingest, undefined);
    const reason = await topology.engine.run();
    if (reason !== 'source ended') throw new EngineError('PERF_KERNEL', `the run ended with '${reason}', expected 'source ended'`);
    const { acceptedTrades } = topology.ingest.counts();
    const expected = expectBars(createTickStream(stream), timeframes, PARTITIONS);
    const { symbols: dictionary } = topology;
    const judged = { timeframes, symbols: dictionary, ticks: source.ticks, passes: source.passes, accepted: acceptedTrades };
    return {
      ...watch.figures(),
      ...latencies.read(),
      dropped: source.offered - acceptedTrades,
      verdict: judgeBars({ ...judged, expected: expected.bars, folded: await folded }),
      notes: [
        `closed at full speed: latencies are those of full rings; ${source.passes} passes over ${source.ticks} ticks`,
        'shards report latencies once a second, so that up to one second before the stage is in them',
      ],
    };
  } finally {
    watch.close();
    await topology.terminate();
  }
}

interface StageOptions {
  readonly warmupSec: number;
  readonly stageSec: number;
  onBegin(): void;
  onEnd(): void;
}

/** Begins and ends at the ends of passes. */
function createStage({ warmupSec, stageSec, onBegin, onEnd }: StageOptions) {
  let startedUs: number | undefined;
  let begunUs: number | undefined;
  let hasEnded = false;
  return {
    isOver(): boolean {
      const nowUs = SYSTEM_CLOCK.monotonicUs();
      startedUs ??= nowUs;
      if (begunUs === undefined && nowUs - startedUs >= warmupSec * 1e6) {
        begunUs = nowUs;
        onBegin();
      } else if (begunUs !== undefined && !hasEnded && nowUs - begunUs >= stageSec * 1e6) {
        hasEnded = true;
        onEnd();
      }
      return hasEnded;
    },
  };
}

/** A session's parts where there is no server, nothing stored and nobody else. */
function partsOf(timeframes: readonly Timeframe[]): Omit<TopologyOptions, 'config' | 'source' | 'seams' | 'onLatency' | 'onWriterMessage'> {
  const nothing = async (): Promise<void> => undefined;
  return {
    timeframes,
    servers: {
      postgres: { connectionString: '', psqlCommand: '', isEmbedded: false, serverVersion: '', stop: nothing },
      kafka: undefined,
      kafkaLabel: 'not used',
      close: nothing,
    },
    run: 1,
    claim: {
      token: 0n,
      baseEpoch: 0,
      previousTransactionalIds: [],
      state: { run: 1, openState: [], rebuild: new Map(), watermarks: [], offsets: [], files: [] },
    },
    lanes: [0],
    isLaned: false,
    transactions: undefined,
    letters: createLetters((rejected) => deadLetterOf(rejected, SYSTEM_CLOCK.wallMs())),
    isCheckpointed: true,
    openUntil() {
      throw new EngineError('PERF_KERNEL', 'a backlog in memory is not read again');
    },
    book: createInstrumentBook([]),
    log: createLogger('silent', '-'),
  };
}

/** Starts the engine's threads, with the fold in place of the Postgres writer. */
function startWithFold(fold: FoldPlan, threads: ThreadTable, epochs: EpochTimes) {
  let announce: (folded: Folded) => void = () => undefined;
  const folded = new Promise<Folded>((resolve) => {
    announce = resolve;
  });
  const start: StartWorker = <In, Out>(options: WorkerOptions<In>): WorkerHandle<Out> => {
    if (options.file !== 'postgres-writer') return threads.named(options.name, () => startWorker<In, Out>(options));
    const onMessage = (message: In): void => {
      if (isFolded(message)) announce(message);
      else options.onMessage(message);
    };
    const replaced = { ...options, name: 'bar-fold', file: FOLD_FILE, data: { ...Object(options.data), fold }, onMessage };
    const handle = threads.named(replaced.name, () => startWorker<In, Out>(replaced));
    return {
      ...handle,
      get isStopped() {
        return handle.isStopped;
      },
      post(message) {
        const { type, epoch }: { readonly type?: string; readonly epoch?: number } = Object(message);
        if (type === 'epoch' && epoch !== undefined) epochs.put(epoch);
        handle.post(message);
      },
    };
  };
  return { start, folded };
}

function isFolded(message: unknown): message is Folded {
  return Object(message).type === 'folded';
}

type EpochTimes = ReturnType<typeof createEpochTimes>;

/** When main told the writer of an epoch, which is when it put the epoch's barriers. */
function createEpochTimes() {
  const atUs = new Map<number, number>();
  return {
    put: (epoch: number) => void atUs.set(epoch, SYSTEM_CLOCK.monotonicUs()),
    take(epoch: number): number {
      const at = atUs.get(epoch);
      assert(at !== undefined, `epoch ${epoch} was told before it was committed`);
      atUs.delete(epoch);
      return SYSTEM_CLOCK.monotonicUs() - at;
    },
  };
}

function countsOf({ regions }: Topology, timeframeCount: number) {
  const readers = regions.map((memory) => createShardStatsReader(memory, timeframeCount));
  return {
    counts() {
      const stats = readers.map((reader) => reader.read());
      const done = stats.reduce((sum, { ticksMerged }) => sum + ticksMerged, 0);
      return { done, bars: stats.reduce((sum, { barsOut }) => sum + (barsOut[0] ?? 0), 0) };
    },
    depth: () => Math.max(...readers.map((reader) => reader.read().tickDepth)),
  };
}
