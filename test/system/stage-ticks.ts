/** Ticks for tests of single stages: a seeded stretch of event time, then ticks an hour later that make every bucket before them close. */
import { createPrng } from '../../engine/core/prng.ts';
import { murmur2Part } from '../../engine/market/murmur2.ts';
import { connectClient, disconnectProducer } from '../../engine/sinks/kafka/client.ts';
import type { Broker } from './kafka-harness.ts';
import { until } from './kafka-harness.ts';

export interface StageTick {
  readonly symbol: string;
  readonly tsNs: bigint;
  readonly price: number;
  readonly volume: number;
}

export interface StageTicksShape {
  readonly seed: number;
  readonly symbols: number;
  /** Start of the stretch: a whole quarter of an hour. */
  readonly fromSec: number;
  readonly spanSec: number;
  readonly ticks: number;
  /** Share of ticks stamped up to 90 s earlier than their neighbours. */
  readonly lateShare?: number;
}

/** Where the ticks begin that close everything before. */
export const CLOSING_AFTER_SEC = 3600;
const NS_PER_SECOND = 1_000_000_000;

/** In order of time but for the late ones; every symbol has ticks of its own second among the closing ones. */
export function stageTicks(shape: StageTicksShape): StageTick[] {
  const prng = createPrng(shape.seed);
  const names = Array.from({ length: shape.symbols }, (_, index) => `ST${String(index).padStart(2, '0')}`);
  const cents = names.map((_, index) => 10_000 + index * 700);
  const ticks: StageTick[] = [];
  for (let index = 0; index < shape.ticks; index += 1) {
    const which = Math.floor(prng.nextFloat() * names.length);
    cents[which] = Math.max(100, cents[which]! + Math.floor(prng.nextFloat() * 21) - 10);
    const isLate = prng.nextFloat() < (shape.lateShare ?? 0);
    const backSec = isLate ? 2 + prng.nextFloat() * 88 : 0;
    const atSec = Math.max(0, (index / shape.ticks) * shape.spanSec - backSec);
    ticks.push(tickAt(names[which]!, shape.fromSec, atSec, { cents: cents[which]!, volume: 1 + Math.floor(prng.nextFloat() * 9) }));
  }
  // Each step lets the stage after the one before see that time has passed.
  for (const stepSec of [0, 2, 120, 122, 240, 242]) {
    for (const name of names) {
      ticks.push(tickAt(name, shape.fromSec, shape.spanSec + CLOSING_AFTER_SEC + stepSec, { cents: 5000, volume: 1 }));
    }
  }
  return ticks;
}

function tickAt(symbol: string, fromSec: number, atSec: number, { cents, volume }: { cents: number; volume: number }): StageTick {
  const offsetNs = BigInt(Math.floor(atSec * NS_PER_SECOND));
  return { symbol, tsNs: BigInt(fromSec) * BigInt(NS_PER_SECOND) + offsetNs, price: cents / 100, volume };
}

/** As a file that the engine replays, and as messages of the topic: the contract's fields and no others. */
export function tickLine({ symbol, tsNs, price, volume }: StageTick): string {
  return `{"symbol":"${symbol}","event_ts":${tsNs},"ltp":${price},"vol":${volume}}`;
}

export interface Line {
  readonly symbol: string;
  readonly text: string;
}

/** A producer that writes messages in order, each to the partition that its symbol's murmur2 hash gives. */
export interface LineWriter {
  write(lines: readonly Line[]): void;
  /** Waits until all are acknowledged. */
  settle(): Promise<void>;
  close(): Promise<void>;
}

export async function openLineWriter(
  { library, brokers }: Pick<Broker, 'library' | 'brokers'>,
  topic: string,
  partitions: number,
): Promise<LineWriter> {
  const producer = new library.Producer({ 'metadata.broker.list': brokers, 'enable.idempotence': true, dr_cb: true }, {});
  await connectClient(producer, brokers, 60_000);
  let written = 0;
  let acknowledged = 0;
  producer.on('delivery-report', (error) => {
    if (error) throw error;
    acknowledged += 1;
  });
  return {
    write(lines) {
      for (const { symbol, text } of lines) {
        const partition = murmur2Part(new TextEncoder().encode(symbol), partitions);
        producer.produce(topic, partition, Buffer.from(text), symbol, null);
        written += 1;
      }
      producer.poll();
    },
    settle: () =>
      until(`${written} messages acknowledged`, () => {
        producer.poll();
        return acknowledged === written;
      }),
    close: () => disconnectProducer(producer, 0),
  };
}
