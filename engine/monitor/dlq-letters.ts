/** Reads the topic `dlq` as it is committed, and which of its letters were replayed. */
import type { KafkaAccess } from '../../config/kafka-access.ts';
import { EngineError } from '../core/errors.ts';
import { connectClient, connectionSettings, disconnectConsumer, topicMetadata } from '../sinks/kafka/client.ts';
import { type LetterFields, parseDeadLetter } from '../sinks/kafka/dlq.ts';
import type { Consumer, Message, Rdkafka } from '../sinks/kafka/rdkafka.ts';
import { deadLetterTopic } from '../sinks/kafka/topics.ts';

const TIMEOUT_MS = 10_000;
const CONSUME_MS = 100;
const BATCH = 1000;
/** Nothing for so long, before the end is reached, means that the brokers are away. */
const SILENCE_MS = 15_000;

export interface Cluster extends KafkaAccess {
  readonly library: Rdkafka;
  readonly prefix: string;
}

export interface LetterFilter {
  readonly reason?: string;
  readonly topic?: string;
  /** Of the letter itself, or with `isOriginal` of the refused message. */
  readonly partition?: number;
  readonly offset?: bigint;
  readonly isOriginal?: boolean;
  /** At most so many letters, the oldest of each partition first. */
  readonly limit?: number;
}

export interface Letter extends LetterFields {
  /** Where the letter itself stands in `dlq`. */
  readonly ownPartition: number;
  readonly ownOffset: number;
}

export interface Letters {
  /** Those that the filter lets through. */
  readonly letters: readonly Letter[];
  /** Messages of the topic that are no letters. */
  readonly strangers: number;
}

/** `partition:offset` of a letter, by which it is known as replayed. */
export function letterId({ ownPartition, ownOffset }: Letter): string {
  return `${ownPartition}:${ownOffset}`;
}

/** Where replays are noted: the key of each message is the id of a letter. */
export function replayedTopic(prefix: string): string {
  return `${deadLetterTopic(prefix)}.replayed`;
}

/** A consumer that reads what is committed and commits nothing. @throws EngineError KAFKA_UNREACHABLE (retryable) */
export async function openReader({ library, prefix, ...access }: Cluster): Promise<Consumer> {
  const reader = new library.KafkaConsumer(
    {
      ...connectionSettings(access),
      'client.id': 'tickwright-dlq',
      'group.id': `${prefix}dlq-tool`,
      'enable.auto.commit': false,
      'enable.partition.eof': true,
      'isolation.level': 'read_committed',
      'fetch.wait.max.ms': 50,
    },
    { 'auto.offset.reset': 'earliest' },
  );
  await connectClient(reader, access, TIMEOUT_MS);
  reader.setDefaultConsumeTimeout(CONSUME_MS);
  return reader;
}

/** The next messages of a reader, none when there are none for a moment. */
export function consume(reader: Consumer, count: number): Promise<readonly Message[]> {
  return new Promise((resolve, reject) => {
    reader.consume(count, (error, messages) => {
      if (error) reject(new EngineError('KAFKA_UNREACHABLE', `reading: ${error.message}`, { cause: error, retryable: true }));
      else resolve(messages);
    });
  });
}

/**
 * @throws EngineError DLQ_TOPIC when there is no such topic, KAFKA_UNREACHABLE (retryable)
 */
export async function readLetters(cluster: Cluster, filter: LetterFilter): Promise<Letters> {
  const letters: Letter[] = [];
  let strangers = 0;
  const topic = deadLetterTopic(cluster.prefix);
  const isThere = await readToEnd(cluster, topic, ({ value, partition, offset }) => {
    const fields = value ? parseDeadLetter(String(value)) : undefined;
    if (!fields) strangers += 1;
    const letter = fields && { ...fields, ownPartition: partition, ownOffset: offset };
    if (letter && isWanted(letter, filter)) letters.push(letter);
    return letters.length < (filter.limit ?? Number.POSITIVE_INFINITY);
  });
  if (isThere) return { letters, strangers };
  throw new EngineError('DLQ_TOPIC', `dlq: the brokers at ${cluster.brokers} have no topic ${topic}; check KAFKA_BROKER and TOPIC_PREFIX`);
}

/** Ids of the letters that were replayed. @throws EngineError KAFKA_UNREACHABLE (retryable) */
export async function readReplayed(cluster: Cluster): Promise<ReadonlySet<string>> {
  const ids = new Set<string>();
  await readToEnd(cluster, replayedTopic(cluster.prefix), ({ key }) => {
    ids.add(String(key));
    return true;
  });
  return ids;
}

/** Hands on every message of a topic up to its end, or until `onMessage` says false; false when there is no such topic. */
async function readToEnd(cluster: Cluster, topic: string, onMessage: (message: Message) => boolean): Promise<boolean> {
  const reader = await openReader(cluster);
  try {
    const partitions = (await topicMetadata(reader, topic, TIMEOUT_MS))?.partitions ?? [];
    const unread = new Set(partitions.map(({ id }) => id));
    reader.on('partition.eof', ({ partition }) => unread.delete(partition));
    reader.assign(partitions.map(({ id }) => ({ topic, partition: id, offset: 0 })));
    for (let silentMs = 0; unread.size > 0; silentMs += CONSUME_MS) {
      const messages = await consume(reader, BATCH);
      if (messages.length > 0) silentMs = 0;
      for (const message of messages) if (!onMessage(message)) return true;
      if (silentMs < SILENCE_MS) continue;
      const text = `topic ${topic}: partitions ${[...unread].join(', ')} silent for ${SILENCE_MS} ms before their end; are the brokers up?`;
      throw new EngineError('KAFKA_UNREACHABLE', text, { retryable: true });
    }
    return partitions.length > 0;
  } finally {
    await disconnectConsumer(reader);
  }
}

function isWanted(letter: Letter, { reason, topic, partition, offset, isOriginal }: LetterFilter): boolean {
  const place = isOriginal
    ? { partition: letter.partition, offset: letter.offset }
    : { partition: letter.ownPartition, offset: BigInt(letter.ownOffset) };
  return (
    (reason === undefined || letter.reason === reason) &&
    (topic === undefined || letter.topic === topic) &&
    (partition === undefined || place.partition === partition) &&
    (offset === undefined || place.offset === offset)
  );
}
