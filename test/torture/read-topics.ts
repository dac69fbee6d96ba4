/** Reads whole topics back as a consumer does that reads committed messages only. */
import { setTimeout as sleep } from 'node:timers/promises';
import { EngineError } from '../../engine/core/errors.ts';
import { PACKED_ENCODING } from '../../engine/ingest/packed.ts';
import type { Timeframe } from '../../engine/market/timeframes.ts';
import { connectClient } from '../../engine/sinks/kafka/client.ts';
import type { Consumer, Message, Rdkafka, TopicPartition } from '../../engine/sinks/kafka/rdkafka.ts';
import { barsTopic } from '../../engine/sinks/kafka/topics.ts';
import { messageText } from './bar-text.ts';
import type { FoundMessage } from './compare.ts';
import { letterText, type TopicMessage } from './expected.ts';

const TIMEOUT_MS = 30_000;
/** An open transaction hides what lies behind it; the broker itself ends one after its timeout, by default 60 s. */
const READ_TIMEOUT_MS = 90_000;
const BATCH = 5000;
const ASK_TIMEOUT_MS = 5000;
const HIGH_OFFSET_TRIES = 20;
const TRIES_OF_A_CLIENT = 4;
const HIGH_OFFSET_REST_MS = 500;

export interface TopicReader {
  /** The offset after the last message, committed or not. */
  highOffset(topic: string, partition: number): Promise<number>;
  /** Everything in these partitions, each in its order. @throws EngineError TORTURE_READ when an end is not reached in time */
  read(partitions: readonly TopicPartition[]): Promise<Message[]>;
  close(): Promise<void>;
}

export async function createTopicReader({
  library,
  brokers,
}: {
  readonly library: Rdkafka;
  readonly brokers: string;
}): Promise<TopicReader> {
  const open = async (isolation: string): Promise<Consumer> => {
    const consumer = new library.KafkaConsumer(
      {
        'metadata.broker.list': brokers,
        'group.id': `torture.${process.pid}.${isolation}`,
        'enable.auto.commit': false,
        'enable.auto.offset.store': false,
        'enable.partition.eof': true,
        'isolation.level': isolation,
        'fetch.wait.max.ms': 20,
        'reconnect.backoff.max.ms': 500,
      },
      { 'auto.offset.reset': 'earliest' },
    );
    // librdkafka mends its connections by itself, nearly always.
    consumer.on('event.error', () => undefined);
    await connectClient(consumer, brokers, TIMEOUT_MS);
    consumer.setDefaultConsumeTimeout(20);
    return consumer;
  };
  const shut = (consumer: Consumer): Promise<void> => new Promise((resolve) => consumer.disconnect(() => resolve()));
  let asking = await open('read_uncommitted');

  const askHighOffset = (topic: string, partition: number): Promise<number> =>
    new Promise((resolve, reject) => {
      asking.queryWatermarkOffsets(topic, partition, ASK_TIMEOUT_MS, (error, offsets) =>
        error ? reject(error) : resolve(offsets.highOffset),
      );
    });

  /** Asks again for a while, with another client after some: one that a stopped broker left without any broker finds none again. */
  const highOffset = async (topic: string, partition: number): Promise<number> => {
    for (let tries = 1; ; tries += 1) {
      try {
        return await askHighOffset(topic, partition);
      } catch (error) {
        if (tries >= HIGH_OFFSET_TRIES) throw error;
        await sleep(HIGH_OFFSET_REST_MS);
        if (tries % TRIES_OF_A_CLIENT !== 0) continue;
        const lost = asking;
        asking = await open('read_uncommitted');
        void shut(lost);
      }
    }
  };

  return {
    highOffset,
    async read(partitions) {
      const highs = await Promise.all(partitions.map(({ topic, partition }) => highOffset(topic, partition)));
      const consumer = await open('read_committed');
      try {
        return await readUpTo(consumer, partitions, highs);
      } finally {
        await shut(consumer);
      }
    },
    close: () => shut(asking),
  };
}

/** @throws EngineError TORTURE_READ */
async function readUpTo(consumer: Consumer, partitions: readonly TopicPartition[], highs: readonly number[]): Promise<Message[]> {
  const ends = new Map<string, number>();
  consumer.on('partition.eof', ({ topic, partition, offset }) => ends.set(`${topic} ${partition}`, offset));
  const readBatch = (): Promise<readonly Message[]> =>
    new Promise((resolve, reject) => {
      consumer.consume(BATCH, (error, messages) => (error ? reject(error) : resolve(messages)));
    });
  const messages: Message[] = [];
  consumer.assign(partitions.map(({ topic, partition }) => ({ topic, partition, offset: 0 })));
  const endMs = performance.now() + READ_TIMEOUT_MS;
  const isBehind = ({ topic, partition }: TopicPartition, index: number): boolean =>
    (ends.get(`${topic} ${partition}`) ?? -1) < (highs[index] ?? 0);
  while (partitions.some(isBehind)) {
    const behind = partitions.find(isBehind);
    if (behind && performance.now() > endMs) {
      const high = highs[partitions.indexOf(behind)];
      const at = ends.get(`${behind.topic} ${behind.partition}`);
      throw await unreadable(consumer, behind, `its end ${high} was not reached (${at ?? 'none'} was)`);
    }
    messages.push(...(await readBatch()));
  }
  consumer.unassign();
  return messages;
}

/** Which of two it is: a transaction that is open hides the end, or the reader stands still before what it may read. */
async function unreadable(consumer: Consumer, { topic, partition }: TopicPartition, what: string): Promise<EngineError> {
  const stable = await new Promise<string>((resolve) => {
    consumer.queryWatermarkOffsets(topic, partition, ASK_TIMEOUT_MS, (error, offsets) =>
      resolve(error ? `not known (${error.message})` : String(offsets.highOffset)),
    );
  });
  return new EngineError('TORTURE_READ', `topic ${topic} partition ${partition}: ${what}, and its last stable offset is ${stable}`);
}

/** Messages of the ticks topic by partition. */
export function tickMessages(messages: readonly Message[], topic: string): Map<number, TopicMessage[]> {
  const found = new Map<number, TopicMessage[]>();
  for (const { partition, offset, value, headers, ...message } of messages) {
    if (message.topic !== topic) continue;
    const isPacked = headers?.some((header) => String(header['encoding'] ?? '') === PACKED_ENCODING) ?? false;
    const list = found.get(partition) ?? [];
    list.push({ offset: BigInt(offset), value, isPacked });
    found.set(partition, list);
  }
  return found;
}

/** The payload of a bar; its schema is schemas/json/bars.schema.json. */
interface BarPayload {
  readonly symbol: string;
  readonly tf: string;
  readonly ts: number;
  readonly o: number;
  readonly h: number;
  readonly l: number;
  readonly c: number;
  readonly vol: number;
  readonly n_trades: number;
  readonly rev: number;
  readonly late: number;
  readonly vwap: number | null;
  readonly first_ns: string;
  readonly last_ns: string;
}

/** A message whose key or topic does not belong to its payload gets a text that no expected one has. */
export function barMessages(messages: readonly Message[], prefix: string, timeframes: readonly Timeframe[]): FoundMessage[] {
  const topics = new Map(timeframes.map(({ name }) => [barsTopic(prefix, name), name]));
  return messages.flatMap((message): FoundMessage[] => {
    const timeframe = topics.get(message.topic);
    if (timeframe === undefined) return [];
    // A cast: what the engine wrote; a field that is missing shows as a difference.
    const bar = JSON.parse(String(message.value)) as BarPayload;
    const place = `${message.topic}[${message.partition}]@${message.offset}`;
    const isAtHome = bar.tf === timeframe && bar.symbol === String(message.key);
    const fields = {
      open: bar.o,
      high: bar.h,
      low: bar.l,
      close: bar.c,
      ask: undefined,
      volumeLots: BigInt(bar.vol),
      count: bar.n_trades,
      late: bar.late,
      firstNs: BigInt(bar.first_ns),
      lastNs: BigInt(bar.last_ns),
    };
    const text = isAtHome ? messageText(fields, bar.vwap) : `key ${String(message.key)}, payload ${String(message.value)}`;
    return [{ key: `${bar.tf} ${bar.symbol} ${bar.ts}`, revision: bar.rev, text, series: `${bar.tf} ${bar.symbol}`, place }];
  });
}

interface LetterPayload {
  readonly topic: string;
  readonly partition: number;
  readonly offset: string;
  readonly record_index: number;
  readonly reason: string;
  readonly raw_base64: string;
  /** Only where the bytes are cut. */
  readonly raw_bytes?: number;
}

export function letterMessages(messages: readonly Message[], topics: { readonly dlq: string; readonly ticks: string }): [string, string][] {
  return messages
    .filter(({ topic }) => topic === topics.dlq)
    .map(({ key, value }) => {
      // A cast, as above.
      const letter = JSON.parse(String(value)) as LetterPayload;
      const isAtHome = letter.topic === topics.ticks && String(key) === `${letter.topic}:${letter.partition}:${letter.offset}`;
      const raw = Buffer.from(letter.raw_base64, 'base64');
      const text = isAtHome
        ? letterText(letter.reason, letter.raw_bytes ?? raw.length, raw)
        : `key ${String(key)}, payload ${String(value)}`;
      return [`${letter.partition} ${letter.offset} ${letter.record_index}`, text];
    });
}
