/** Writes `ticks` messages, JSON or packed, as any producer of the contract does: keyed by symbol, partitioned by murmur2. */
import { EngineError } from '../core/errors.ts';
import { murmur2Part } from '../market/murmur2.ts';
import {
  type AccessOrList,
  awaitTopic,
  connectClient,
  disconnectProducer,
  PRODUCER_TOPIC_SETTINGS,
  producerSettings,
  toAccess,
} from '../sinks/kafka/client.ts';
import type { Producer, Rdkafka } from '../sinks/kafka/rdkafka.ts';
import { encodePacked, PACKED_ENCODING, PACKED_RECORDS_MAX, type PackedSymbol } from './packed.ts';

const TIMEOUT_MS = 15_000;
const LINGER_MS = 5;

export interface OutgoingTick {
  readonly symbol: string;
  readonly tsEventNs: bigint;
  readonly price: number;
  /** Quantity in lots; JSON carries whole units, that is 0 lot decimals. */
  readonly quantityLots: bigint;
}

export interface PackedBatch {
  /** Decimals that hold for every symbol of the batch. */
  readonly priceDecimals: number;
  readonly lotDecimals: number;
  readonly ticks: readonly OutgoingTick[];
}

export interface TickProducer {
  readonly partitionCount: number;
  /** @throws an RdkafkaError when librdkafka's queue is full */
  sendJson(tick: OutgoingTick): void;
  /**
   * Sends trades in as few messages as hold them: each of one partition, in the order given.
   * @throws EngineError PACKED_INVALID, an RdkafkaError when librdkafka's queue is full
   */
  sendPacked(batch: PackedBatch): void;
  /** Bytes as they are, for what a well-behaved producer would not send. */
  sendRaw(partition: number, value: Uint8Array, encoding?: string): void;
  partitionOf(symbol: string): number;
  /** Takes what the broker has answered out of librdkafka's queue; without it the queue fills up. */
  poll(): void;
  /** Waits until everything is acknowledged. @throws EngineError KAFKA_UNREACHABLE (retryable) */
  flush(timeoutMs: number): Promise<void>;
  close(): Promise<void>;
}

/** The JSON payload of a tick; its schema is schemas/json/ticks.schema.json. Written by hand: event times exceed 2^53. */
export function tickJson(tick: OutgoingTick): string {
  return `{"symbol":${JSON.stringify(tick.symbol)},"event_ts":${tick.tsEventNs},"ltp":${tick.price},"vol":${tick.quantityLots}}`;
}

/** @throws EngineError KAFKA_UNREACHABLE (retryable), KAFKA_TOPIC_MISSING */
export async function createTickProducer(library: Rdkafka, to: AccessOrList, topic: string): Promise<TickProducer> {
  const producer: Producer = new library.Producer(producerSettings(to, LINGER_MS), PRODUCER_TOPIC_SETTINGS);
  await connectClient(producer, to, TIMEOUT_MS);
  const partitionCount = (await awaitTopic(producer, topic, { timeoutMs: TIMEOUT_MS }))?.partitions.length ?? 0;
  if (partitionCount === 0) {
    await disconnectProducer(producer, 0);
    throw new EngineError('KAFKA_TOPIC_MISSING', `topic ${topic}: the brokers at ${toAccess(to).brokers} have no such topic`);
  }
  const partitionOf = (symbol: string): number => murmur2Part(Buffer.from(symbol), partitionCount);

  return {
    partitionCount,
    partitionOf,
    sendJson(tick) {
      producer.produce(topic, null, Buffer.from(tickJson(tick)), tick.symbol, null);
    },
    sendPacked(batch) {
      for (const [partition, ticks] of groupBy(batch.ticks, (tick) => partitionOf(tick.symbol))) {
        for (let at = 0; at < ticks.length; at += PACKED_RECORDS_MAX) {
          const part = ticks.slice(at, at + PACKED_RECORDS_MAX);
          producer.produce(topic, partition, Buffer.from(encodeTicks(batch, part)), part[0]!.symbol, null, undefined, [
            { encoding: PACKED_ENCODING },
          ]);
        }
      }
    },
    sendRaw(partition, value, encoding) {
      producer.produce(topic, partition, Buffer.from(value), 'raw', null, undefined, encoding === undefined ? undefined : [{ encoding }]);
    },
    poll: () => producer.poll(),
    flush: (timeoutMs) =>
      new Promise((resolve, reject) => {
        producer.flush(timeoutMs, (error) => {
          const text = `topic ${topic}: not everything acknowledged in ${timeoutMs} ms`;
          if (error) reject(new EngineError('KAFKA_UNREACHABLE', `${text}: ${error.message}`, { cause: error, retryable: true }));
          else resolve();
        });
      }),
    close: () => disconnectProducer(producer, TIMEOUT_MS),
  };
}

function encodeTicks({ priceDecimals, lotDecimals }: PackedBatch, ticks: readonly OutgoingTick[]): Uint8Array {
  const references = new Map<string, number>();
  for (const { symbol } of ticks) if (!references.has(symbol)) references.set(symbol, references.size);
  const symbols = [...references.keys()].map((symbol): PackedSymbol => ({ symbol, kind: 'trade', priceDecimals, lotDecimals }));
  return encodePacked(
    symbols,
    ticks.map(({ symbol, tsEventNs, price, quantityLots }) => ({
      symbolRef: references.get(symbol) ?? 0,
      tsEventNs,
      price,
      quantityLots,
      ask: 0,
    })),
  );
}

function groupBy<Item>(items: readonly Item[], keyOf: (item: Item) => number): Map<number, Item[]> {
  const groups = new Map<number, Item[]>();
  for (const item of items) {
    const key = keyOf(item);
    const group = groups.get(key);
    if (group) group.push(item);
    else groups.set(key, [item]);
  }
  return groups;
}
