/** Ticks that somebody else has written to the topic, for the oracle: what a stage of another program makes cannot be drawn again. */
import { EngineError } from '../../engine/core/errors.ts';
import { createHistogram, encodeHistogram } from '../../engine/core/latency.ts';
import { decodeJsonTick } from '../../engine/ingest/json-tick.ts';
import type { Message } from '../../engine/sinks/kafka/rdkafka.ts';
import { createTopicReader } from '../../test/torture/read-topics.ts';
import type { GeneratorResult } from './generator.ts';
import type { Namespace } from './namespace.ts';
import type { PerfServers } from './servers.ts';
import type { StreamTick, TickStream } from './tick-stream.ts';

/** The measured stage, ms since the epoch. */
export interface StageTimes {
  readonly stageMs: number;
  readonly endMs: number;
}

export interface TopicTicks {
  /** In the order of their times; those of one time in the order of the topic. */
  readonly ticks: readonly StreamTick[];
  /** As the generator would have counted them. Lags are those of the messages' own times of sending, in whole ms. */
  readonly counts: GeneratorResult;
}

/** @throws EngineError PERF_TICKS for what is no tick of the contract; those of reading topics */
export async function readTopicTicks(servers: PerfServers, namespace: Namespace, times: StageTimes): Promise<TopicTicks> {
  const reader = await createTopicReader(servers);
  try {
    const places = Array.from({ length: namespace.partitions }, (_, partition) => ({ topic: namespace.ticksTopic, partition }));
    return countTicks(await reader.read(places), times);
  } finally {
    await reader.close();
  }
}

export function countTicks(messages: readonly Message[], { stageMs, endMs }: StageTimes): TopicTicks {
  const lag = createHistogram();
  const counts = { ticks: messages.length, due: 0, sent: 0 };
  const ticks = messages.map((message) => {
    const tick = tickOf(message);
    const eventMs = Number(tick.tsEventNs / 1_000_000n);
    if (eventMs >= stageMs && eventMs < endMs) {
      const sentMs = message.timestamp ?? eventMs;
      counts.due += 1;
      if (sentMs < endMs) counts.sent += 1;
      lag.recordValue(Math.max(0, (sentMs - eventMs) * 1000));
    }
    return tick;
  });
  // Sorting is stable.
  ticks.sort((a, b) => (a.tsEventNs < b.tsEventNs ? -1 : a.tsEventNs > b.tsEventNs ? 1 : 0));
  return { ticks, counts: { ...counts, sendLag: encodeHistogram(lag), elapsedSec: (endMs - stageMs) / 1000, cpuSec: 0 } };
}

export function streamOf(ticks: readonly StreamTick[]): TickStream {
  const tick: StreamTick = { symbol: '', sinceStartNs: 0, tsEventNs: 0n, cents: 0, quantity: 0 };
  let next = 0;
  return {
    tick,
    next() {
      if (next >= ticks.length) return false;
      Object.assign(tick, ticks[next]!);
      next += 1;
      return true;
    },
  };
}

function tickOf({ value, topic, partition, offset }: Message): StreamTick {
  const decoded = value === null ? undefined : decodeJsonTick(value).tick;
  const cents = Math.round((decoded?.price ?? Number.NaN) * 100);
  if (decoded === undefined || cents / 100 !== decoded.price) {
    const text = String(value).slice(0, 200);
    throw new EngineError(
      'PERF_TICKS',
      `${topic}[${partition}]@${offset}: '${text}': expected a JSON tick with at most 2 decimals of price`,
    );
  }
  return { symbol: decoded.symbol, sinceStartNs: 0, tsEventNs: decoded.tsEventNs, cents, quantity: Number(decoded.quantityLots) };
}
