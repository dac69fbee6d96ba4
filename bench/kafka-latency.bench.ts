/**
 * From a tick's intended time to its place in the tick ring, over a real broker and on both lanes: an open loop of JSON ticks at a steady rate, sent by
 * a process of its own. Needs a broker that KAFKA_BROKER names.
 */
import { decodeFromCompressedBase64 } from 'hdr-histogram-js';
import { SYSTEM_CLOCK, SYSTEM_PAUSE } from '../engine/core/clock.ts';
import { EngineError } from '../engine/core/errors.ts';
import { createHistogram } from '../engine/core/latency.ts';
import { createDirectLane, createLaneSource } from '../engine/ingest/kafka-lane.ts';
import { createKafkaReader } from '../engine/ingest/kafka-reader.ts';
import { createIngest, type Ingest } from '../engine/ingest/port.ts';
import { createMemory } from '../engine/kernel/host.ts';
import { createInstrumentBook } from '../engine/market/instrument-book.ts';
import { allocateSymbols, openSymbols } from '../engine/market/instruments.ts';
import { formatRegion, mapRegion, tickRingOf } from '../engine/memory/region.ts';
import type { Ring } from '../engine/memory/ring.ts';
import { POLL_BUDGET, REST_MS } from '../engine/runtime/engine.ts';
import { requireRdkafka } from '../engine/sinks/kafka/client.ts';
import type { Rdkafka } from '../engine/sinks/kafka/rdkafka.ts';
import * as L from '../schemas/layout.gen.ts';
import { TICK_KIND } from '../schemas/records.ts';
import type { BenchContext } from './harness.ts';
import { deleteTopics, makeTopics } from './kafka-topics.ts';
import { compareLanes, type LaneRound, laneFigures } from './lane-figures.ts';
import type { GeneratorPlan } from './perf-test/generator.ts';
import { runGenerator } from './perf-test/load.ts';

export const name = 'kafka-latency';

const RATES = [10_000, 100_000] as const;
const LANES = ['direct', 'librdkafka'] as const;
const SYMBOLS = 500;
const PARTITIONS = 6;
const TICK_CAPACITY = 65_536;
/** From when the group has given out partitions to the first tick: the generator's process starts meanwhile. */
const START_MS = 2000;
/** What a round may take beyond the time over which its ticks are due. */
const PATIENCE_MS = 60_000;
const SESSION_MS = 45_000;
const US_PER_MS = 1000;
const MS_PER_SEC = 1000;
const NS_PER_US = 1000;
const TWO_32 = 2 ** 32;

type LaneName = (typeof LANES)[number];

interface Load {
  readonly perSecond: number;
  readonly warmupSec: number;
  readonly seconds: number;
  readonly seed: number;
}

export async function run(context: BenchContext): Promise<void> {
  const brokers = process.env['KAFKA_BROKER'] ?? '';
  if (brokers === '') {
    context.log('  skipped: KAFKA_BROKER is not set, and the embedded cluster is a mock');
    return;
  }
  const library = await requireRdkafka();
  const { rounds, warmupSec, seconds } = context.isQuick
    ? { rounds: 2, warmupSec: 1, seconds: 2 }
    : { rounds: 7, warmupSec: 1, seconds: 5 };
  for (const perSecond of RATES) {
    const found: Record<LaneName, LaneRound[]> = { direct: [], librdkafka: [] };
    for (let round = 0; round < rounds; round += 1) {
      // Each round turns the order around, so that what the machine does meanwhile falls on both.
      for (const lane of round % 2 === 0 ? LANES : LANES.toReversed()) {
        const measured = await measure({ library, brokers, lane }, { perSecond, warmupSec, seconds, seed: round + 1 });
        // The first compiles.
        if (round > 0) found[lane].push(measured);
      }
    }
    const rate = `${perSecond.toLocaleString('en')} ticks/s`;
    for (const lane of LANES) context.report(`intended time to tick in ring, ${rate}, ${lane} lane`, laneFigures(found[lane]));
    context.report(`direct lane over librdkafka's, ${rate}`, compareLanes(found.direct, found.librdkafka));
  }
}

interface Reading {
  readonly library: Rdkafka;
  readonly brokers: string;
  readonly lane: LaneName;
}

/** One round on a topic of its own. @throws EngineError BENCH_OUTPUT when not every tick comes, once */
async function measure({ library, brokers, lane }: Reading, { perSecond, warmupSec, seconds, seed }: Load): Promise<LaneRound> {
  const topic = `bench.latency.${process.pid}.${process.hrtime.bigint()}`;
  await makeTopics(library, brokers, [topic], PARTITIONS);
  const clock = SYSTEM_CLOCK;
  const direct = lane === 'direct' ? createDirectLane({ brokers, topic, clock }) : undefined;
  const fetcher = direct ? { fetcher: direct.fetcher } : {};
  const reader = createKafkaReader({ library, brokers, topic, group: topic, engineId: '', sessionMs: SESSION_MS, clock, ...fetcher });
  const { ingest, ring } = openIngest();
  const onRejected = ({ reason }: { reason: string }): never => {
    throw new EngineError('BENCH_OUTPUT', `${topic}: a tick was refused: ${reason}`);
  };
  const source = createLaneSource({ reader, clock, onRejected }, direct);
  const isOver = new AbortController();
  try {
    await source.start(ingest, undefined);
    const startMs = Math.ceil(clock.wallMs()) + START_MS;
    const plan: GeneratorPlan = {
      ...{ brokers, topic, encoding: 'json', isPaced: true },
      ...{ symbols: SYMBOLS, baseTps: perSecond / SYMBOLS, seconds: warmupSec + seconds, warmupSec, seed, startMs },
    };
    let isSent = false;
    const sending = runGenerator(plan, isOver.signal).finally(() => {
      isSent = true;
    });
    // Whoever waits for it is told.
    sending.catch(() => undefined);
    const latency = createHistogram();
    const arrivals = createArrivals(ring, (sinceUs, nowUs) => {
      if (sinceUs >= (startMs + warmupSec * MS_PER_SEC) * US_PER_MS) latency.recordValue(Math.max(0, Math.round(nowUs - sinceUs)));
    });
    const lateMs = startMs + (warmupSec + seconds) * MS_PER_SEC + PATIENCE_MS;
    const turn = async (): Promise<void> => {
      const work = source.poll(POLL_BUDGET);
      arrivals.take();
      const failure = source.failure();
      if (failure) throw failure;
      if (clock.wallMs() > lateMs)
        throw new EngineError('BENCH_OUTPUT', `${topic}: ${arrivals.count} ticks ${PATIENCE_MS} ms after the last was due`);
      await SYSTEM_PAUSE(work > 0 ? 0 : REST_MS);
    };
    while (!isSent) await turn();
    const { ticks, due, sent, sendLag } = await sending;
    while (arrivals.count < ticks) await turn();
    if (arrivals.count > ticks) throw new EngineError('BENCH_OUTPUT', `${topic}: ${arrivals.count} ticks, expected ${ticks}`);
    return { latency, sendLag: decodeFromCompressedBase64(sendLag), due, sent };
  } finally {
    isOver.abort();
    reader.end();
    await reader.close();
    await deleteTopics(library, brokers, [topic]);
  }
}

interface Arrivals {
  /** Trades taken so far. */
  readonly count: number;
  /** Empties the ring. */
  take(): void;
}

/** @param onTrade is given the time of the event and that at which it was found in the ring, us since the epoch */
function createArrivals(ring: Ring, onTrade: (sinceUs: number, nowUs: number) => void): Arrivals {
  const { words } = ring;
  const slotWords = L.TICK_SIZE >> 2;
  let count = 0;
  return {
    get count() {
      return count;
    },
    take() {
      const nowUs = SYSTEM_CLOCK.wallMs() * US_PER_MS;
      for (let ready = ring.run(); ready > 0; ready = ring.run()) {
        const first = ring.tailIndex();
        for (let at = first; at < first + ready * slotWords; at += slotWords) {
          if (words[at + L.TICK_KIND_I32] !== TICK_KIND.trade) continue;
          count += 1;
          const ns = at + (L.TICK_TS_EVENT_NS >> 2);
          onTrade((words[ns + 1]! * TWO_32 + (words[ns]! >>> 0)) / NS_PER_US, nowUs);
        }
        ring.release(ready);
      }
    },
  };
}

/** An ingest over one shard, and the tick ring that it writes to. */
function openIngest(): { readonly ingest: Ingest; readonly ring: Ring } {
  const settings = { latenessNs: 0, amendNs: 0n, symbolCapacity: SYMBOLS, partitionCapacity: PARTITIONS };
  const shape = {
    ...{ ...settings, shardIndex: 0, tickCapacity: TICK_CAPACITY, outCapacity: 64 },
    ...{ latePolicy: 'amend' as const, timeframeSeconds: [1] },
  };
  const region = createMemory(mapRegion(shape).sizeBytes);
  formatRegion(region, shape);
  const ingest = createIngest({
    ...settings,
    regions: [region],
    symbols: openSymbols(allocateSymbols(SYMBOLS)),
    book: createInstrumentBook([]),
    clock: SYSTEM_CLOCK,
    futureNs: undefined,
    isStrict: false,
  });
  return { ingest, ring: tickRingOf(region) };
}
