/**
 * What a transactor needs of a Kafka client, whichever lane it is of: librdkafka's, message by message, or the direct one, which takes bars as
 * the committed ring holds them.
 */
import type { Compression } from '../../kafka-direct/produce-batch.ts';
import { type AccessOrList, connectionSettings, PRODUCER_TOPIC_SETTINGS, transactionalSettings } from './client.ts';
import type { Metadata, Producer, Rdkafka, RdkafkaError, TopicPartition } from './rdkafka.ts';

/** What a transactional call failed by. */
export interface CallError extends Error {
  /** The producer is lost, and with it the transaction. */
  readonly isFatal?: boolean;
  /** The same call may be made again, and goes on where it was. */
  readonly isRetriable?: boolean;
}

export type CallDone = (error: CallError | null) => void;

interface LaneClient {
  connect(options: { timeout: number; allTopics: boolean }, done: (error: CallError | null, metadata: Metadata) => void): void;
  isConnected(): boolean;
}

export interface TransactionalProducer extends LaneClient, Pick<Producer, 'produce' | 'poll' | 'disconnect'> {
  /**
   * Copies the first of `count` bar records from word `wordIndex` on, and publishes the trade bars among them. Returns how many records it took; 0: no
   * room, come again.
   */
  produceBars?(words: Int32Array, wordIndex: number, count: number): number;
  initTransactions(timeoutMs: number, done: CallDone): void;
  beginTransaction(done: CallDone): void;
  sendOffsetsToTransaction(offsets: readonly TopicPartition[], group: MarkerClient, timeoutMs: number, done: CallDone): void;
  commitTransaction(timeoutMs: number, done: CallDone): void;
  abortTransaction(timeoutMs: number, done: CallDone): void;
  on(event: 'event.error', listener: (error: RdkafkaError) => void): void;
}

/** A client of the marker group. */
export interface MarkerClient extends LaneClient {
  committed(
    partitions: readonly TopicPartition[],
    timeoutMs: number,
    done: (error: CallError | null, offsets: readonly TopicPartition[]) => void,
  ): void;
  disconnect(done: () => void): void;
}

export interface ProducerRequest {
  readonly transactionalId: string;
  readonly markerGroup: string;
  readonly lingerMs: number;
}

export interface TransactionLane {
  createProducer(request: ProducerRequest): TransactionalProducer;
  createMarkerClient(group: string): MarkerClient;
  /** What its producers have counted together, by name. */
  counts?(): Readonly<Record<string, number>>;
}

export function rdkafkaLane(
  library: Pick<Rdkafka, 'Producer' | 'KafkaConsumer'>,
  to: AccessOrList,
  compression: Compression = 'lz4',
): TransactionLane {
  return {
    createProducer: ({ transactionalId, lingerMs }) =>
      new library.Producer(
        { ...transactionalSettings(to, transactionalId, lingerMs), 'compression.codec': compression },
        PRODUCER_TOPIC_SETTINGS,
      ),
    createMarkerClient: (group) =>
      new library.KafkaConsumer(
        {
          ...connectionSettings(to),
          'client.id': 'tickwright-marker',
          'group.id': group,
          'enable.auto.commit': false,
          // Offsets of a transaction that is still open are waited for, not guessed.
          'isolation.level': 'read_committed',
        },
        {},
      ),
  };
}
