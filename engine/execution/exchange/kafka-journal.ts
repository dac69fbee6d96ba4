/**
 * The journal as a topic of one partition, so that all requests stand in one order. What is appended is sent, and comes back by the same reader
 * that reads what others have sent: only that is matched.
 *
 *   append ─▶ producer ─▶ orders ─▶ reader ─▶ take
 */
import type { KafkaAccess } from '../../../config/kafka-access.ts';
import type { Clock, Pause } from '../../core/clock.ts';
import { assert, EngineError, messageOf } from '../../core/errors.ts';
import {
  awaitTopic,
  clientTrouble,
  connectClient,
  connectionSettings,
  disconnectConsumer,
  disconnectProducer,
  producerSettings,
} from '../../sinks/kafka/client.ts';
import type { Consumer, Message, Producer, Rdkafka, WatermarkOffsets } from '../../sinks/kafka/rdkafka.ts';
import { createEntryQueue, type EntryQueue } from './entry-queue.ts';
import type { OrderJournal } from './journal.ts';

export interface KafkaJournalOptions extends KafkaAccess {
  readonly library: Rdkafka;
  readonly topic: string;
  readonly clock: Clock;
  readonly pause: Pause;
  readonly lingerMs: number;
  /** The first offset that is wanted: what stands before it has been matched. */
  readonly from: bigint;
  /** The journal that `from` is of; undefined: none yet, so that reading begins with what the topic still has. */
  readonly identity: string | undefined;
}

const CONNECT_TIMEOUT_MS = 15_000;
const QUERY_TIMEOUT_MS = 5000;
const CLOSE_MS = 5000;
const RETRY_MS = 200;
const PROBE_MS = 1000;
const REST_MS = 2;
/** A read waits so long for the first message; a batch is only what is there already. */
const READ_WAIT_MS = 20;
const READ_BATCH = 1024;
/** Entries that may wait to be matched before reading stops, and before nothing more is let in. */
const READ_AHEAD = 16_384;
const CAPACITY = 65_536;
const CHARACTERS = 67_108_864;
const NS_PER_MS = 1_000_000n;

/**
 * Opens the topic at `from`.
 * @throws EngineError JOURNAL_OTHER, JOURNAL_BEHIND, JOURNAL_INVALID, JOURNAL_PARTITIONS, KAFKA_UNREACHABLE (retryable)
 */
export async function openKafkaJournal(options: KafkaJournalOptions): Promise<OrderJournal> {
  const { library, topic, lingerMs } = options;
  const producer = new library.Producer(producerSettings(options, lingerMs), { 'message.timeout.ms': 0 });
  const consumer = new library.KafkaConsumer(
    {
      ...connectionSettings(options),
      'client.id': 'tickwright-orders',
      // It takes its partition by itself; the group is never joined.
      'group.id': `${topic}.exchange`,
      'enable.auto.commit': false,
      'isolation.level': 'read_committed',
      'fetch.wait.max.ms': 10,
      'enable.partition.eof': true,
    },
    { 'auto.offset.reset': 'error' },
  );
  try {
    await Promise.all([connectClient(producer, options, CONNECT_TIMEOUT_MS), connectClient(consumer, options, CONNECT_TIMEOUT_MS)]);
    const partitions = (await awaitTopic(consumer, topic, { timeoutMs: CONNECT_TIMEOUT_MS, pause: options.pause }))?.partitions.length ?? 0;
    if (partitions !== 1) {
      throw new EngineError(
        'JOURNAL_PARTITIONS',
        `topic ${topic}: ${partitions} partitions, expected 1, so that orders stand in one order`,
      );
    }
    const ends = await queryEnds(consumer, topic);
    return createJournal(options, { producer, consumer, from: startOf(options, ends), end: ends.highOffset });
  } catch (error) {
    await Promise.all([disconnectProducer(producer, 0), disconnectConsumer(consumer)]);
    throw error;
  }
}

interface Opened {
  readonly producer: Producer;
  readonly consumer: Consumer;
  readonly from: bigint;
  readonly end: number;
}

function createJournal({ topic, clock, pause }: KafkaJournalOptions, { producer, consumer, from, end }: Opened): OrderJournal {
  const queue = createEntryQueue(from);
  /** Offset behind the last entry that is known to be in the topic, and behind the last that was read. */
  let durableTo = end;
  let readTo = Number(from);
  let unsynced = 0;
  let unsyncedCharacters = 0;
  let trouble = '';
  let failure: Error | undefined;
  const fail = (text: string, cause: unknown): void => {
    failure ??= new EngineError('JOURNAL_FAILED', `order journal ${topic}: ${text}`, { cause, retryable: true });
  };

  producer.on('delivery-report', (error, report) => {
    unsynced -= 1;
    if (typeof report.opaque === 'number') unsyncedCharacters -= report.opaque;
    if (error) fail(`not written: ${error.message}`, error);
    else {
      trouble = '';
      durableTo = Math.max(durableTo, report.offset + 1);
    }
  });
  for (const client of [producer, consumer]) {
    client.on('event.error', (error) => {
      const kind = clientTrouble(error);
      if (kind === 'fatal') fail(error.message, error);
      else if (kind === 'allDown') trouble = error.message;
    });
  }
  const onTrouble = (text: string): void => {
    trouble = text;
  };
  const reader = createReader({ topic, consumer, pause }, { queue, from: readTo, onTrouble, onFailure: fail });

  /** While something is wrong, asks every so often whether it still is: nothing else tells when nobody sends. */
  let askedMs = clock.wallMs();
  const probe = (): void => {
    if (trouble === '' || clock.wallMs() - askedMs < PROBE_MS) return;
    askedMs = clock.wallMs();
    queryEnds(consumer, topic).then(
      () => onTrouble(''),
      (error: unknown) => onTrouble(messageOf(error)),
    );
  };

  return {
    identity: identityOf(topic),
    get nextOffset() {
      return BigInt(Math.max(durableTo, readTo) + unsynced);
    },
    get waiting() {
      return queue.waiting + Math.max(0, durableTo - readTo);
    },
    get unsynced() {
      return unsynced;
    },
    get isFull() {
      if (failure !== undefined) return true;
      return queue.characters + unsyncedCharacters >= CHARACTERS || queue.waiting + unsynced >= CAPACITY;
    },
    append(text, symbol) {
      try {
        producer.produce(topic, 0, Buffer.from(text), symbol, null, text.length);
        unsynced += 1;
        unsyncedCharacters += text.length;
      } catch (cause) {
        fail('not taken by the client', cause);
      }
    },
    take(count, characters) {
      producer.poll();
      probe();
      readTo = reader.pump();
      return queue.take(count, characters);
    },
    rewind(offset) {
      if (!queue.rewind(offset)) throw new EngineError('JOURNAL_BEHIND', `order journal ${topic}: offset ${offset} is not kept`);
    },
    async release(offset) {
      queue.release(offset);
    },
    trouble: () => trouble,
    failure: () => failure,
    async close() {
      const untilMs = clock.wallMs() + CLOSE_MS;
      while (unsynced > 0 && failure === undefined && clock.wallMs() < untilMs) {
        producer.poll();
        await pause(REST_MS);
      }
      await reader.stop();
      await Promise.all([disconnectProducer(producer, 0), disconnectConsumer(consumer)]);
    },
  };
}

interface ReaderParts {
  readonly topic: string;
  readonly consumer: Consumer;
  readonly pause: Pause;
}

interface ReaderEnds {
  readonly queue: EntryQueue;
  readonly from: number;
  onTrouble(text: string): void;
  onFailure(text: string, cause: unknown): void;
}

/** Keeps one read under way while there is room; `pump` returns the offset behind what was read. */
function createReader({ topic, consumer, pause }: ReaderParts, { queue, from, onTrouble, onFailure }: ReaderEnds) {
  let readTo = from;
  let isReading = false;
  let isBusy = false;
  let isStopped = false;
  // What stands last may be no message, but the mark of somebody's transaction. It is told before the messages of the same read.
  let endAt = 0;
  consumer.on('partition.eof', ({ offset }) => {
    endAt = offset;
  });
  consumer.assign([{ topic, partition: 0, offset: from }]);

  const takeIn = (messages: readonly Message[]): void => {
    for (const { offset, value, timestamp } of messages) {
      if (offset < readTo) {
        onFailure(`offset ${offset} came after ${readTo - 1}`, undefined);
        return;
      }
      readTo = offset + 1;
      const tsNs = BigInt(Math.max(0, Math.trunc(timestamp ?? 0))) * NS_PER_MS;
      queue.push({ offset: BigInt(offset), text: value?.toString('utf8') ?? '', tsNs });
    }
    readTo = Math.max(readTo, endAt);
    isBusy = messages.length > 0;
  };

  return {
    pump(): number {
      if (isReading || isStopped || queue.waiting >= READ_AHEAD) return readTo;
      isReading = true;
      consumer.setDefaultConsumeTimeout(isBusy ? 0 : READ_WAIT_MS);
      consumer.consume(isBusy ? READ_BATCH : 1, (error, messages) => {
        if (error?.isFatal) onFailure(error.message, error);
        if (error) onTrouble(error.message);
        else if (!isStopped) takeIn(messages);
        if (!error) isReading = false;
        else {
          isBusy = false;
          void pause(RETRY_MS).then(() => {
            isReading = false;
          });
        }
      });
      return readTo;
    },
    async stop(): Promise<void> {
      isStopped = true;
      while (isReading) await pause(REST_MS);
    },
  };
}

/** Where reading begins. @throws EngineError when the topic is not the one that the database goes on from, or has not got it any more */
function startOf({ topic, from, identity }: KafkaJournalOptions, { lowOffset, highOffset }: WatermarkOffsets): bigint {
  if (identity === undefined) return BigInt(lowOffset);
  if (identity !== identityOf(topic)) {
    throw new EngineError('JOURNAL_OTHER', `order journal is ${identityOf(topic)}, the database goes on from ${identity}`);
  }
  if (from > BigInt(highOffset)) {
    throw new EngineError('JOURNAL_BEHIND', `topic ${topic} ends at ${highOffset}, the database is at ${from}: entries are missing`);
  }
  if (from < BigInt(lowOffset)) {
    throw new EngineError(
      'JOURNAL_INVALID',
      `topic ${topic} begins with ${lowOffset}, the database goes on from ${from}: entries are deleted`,
    );
  }
  return from;
}

function identityOf(topic: string): string {
  return `topic ${topic}`;
}

function queryEnds(consumer: Consumer, topic: string): Promise<WatermarkOffsets> {
  return new Promise((resolve, reject) => {
    consumer.queryWatermarkOffsets(topic, 0, QUERY_TIMEOUT_MS, (error, offsets) => {
      const text = `topic ${topic}: no offsets in ${QUERY_TIMEOUT_MS} ms`;
      if (error) reject(new EngineError('KAFKA_UNREACHABLE', `${text}: ${error.message}`, { cause: error, retryable: true }));
      else {
        assert(offsets.lowOffset >= 0, `topic ${topic}: offsets are known`);
        resolve(offsets);
      }
    });
  });
}
