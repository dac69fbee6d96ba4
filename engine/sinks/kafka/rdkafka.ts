/**
 * The part of node-rdkafka that the engine uses. The package is optional and may be absent when the engine is compiled, so its own
 * declarations are not relied upon.
 */

export interface RdkafkaError extends Error {
  readonly code: number;
  readonly isFatal?: boolean;
  /** Of transactional calls: the same call may be made again, and goes on where it was. */
  readonly isRetriable?: boolean;
  /** Of transactional calls: the transaction is lost, the producer is not. */
  readonly isTxnRequiresAbort?: boolean;
}

export type Done = (error: RdkafkaError | null) => void;

export type RdkafkaSettings = Readonly<Record<string, string | number | boolean | ((...args: never[]) => void)>>;

export interface PartitionMetadata {
  readonly id: number;
  readonly leader: number;
}

export interface TopicMetadata {
  readonly name: string;
  readonly partitions: readonly PartitionMetadata[];
}

export interface Metadata {
  readonly topics: readonly TopicMetadata[];
  readonly brokers: readonly { readonly id: number; readonly host: string; readonly port: number }[];
}

export interface TopicPartition {
  readonly topic: string;
  readonly partition: number;
  readonly offset?: number;
}

export type Header = Readonly<Record<string, Buffer | string>>;

export interface Message {
  readonly topic: string;
  readonly partition: number;
  readonly offset: number;
  readonly key?: Buffer | null;
  /** Null for a tombstone. */
  readonly value: Buffer | null;
  /** When it was made or stored, by the broker's setting, ms since the Unix epoch. */
  readonly timestamp?: number;
  readonly headers?: readonly Header[];
}

export interface DeliveryReport {
  readonly topic: string;
  readonly partition: number;
  readonly offset: number;
  readonly opaque?: unknown;
}

export interface WatermarkOffsets {
  readonly lowOffset: number;
  readonly highOffset: number;
}

export interface ConnectOptions {
  readonly timeout: number;
  readonly allTopics: boolean;
}

interface Client {
  connect(options: ConnectOptions, done: (error: RdkafkaError | null, metadata: Metadata) => void): void;
  getMetadata(options: { timeout: number; topic?: string }, done: (error: RdkafkaError | null, metadata: Metadata) => void): void;
  queryWatermarkOffsets(
    topic: string,
    partition: number,
    timeoutMs: number,
    done: (error: RdkafkaError | null, offsets: WatermarkOffsets) => void,
  ): void;
  isConnected(): boolean;
  on(event: 'event.error', listener: (error: RdkafkaError) => void): void;
}

export interface Producer extends Client {
  /** Copies key and value; throws an error with the code `queueFull` when it has no room, another when the producer has failed. */
  produce(
    topic: string,
    partition: number | null,
    value: Buffer,
    key: Buffer | string,
    timestamp: number | null,
    opaque?: unknown,
    headers?: readonly Header[],
  ): void;
  poll(): void;
  flush(timeoutMs: number, done: (error: RdkafkaError | null) => void): void;
  disconnect(flushTimeoutMs: number, done: () => void): void;
  initTransactions(timeoutMs: number, done: Done): void;
  beginTransaction(done: Done): void;
  /** Adds offsets of the consumer's group to the transaction. */
  sendOffsetsToTransaction(offsets: readonly TopicPartition[], consumer: Consumer, timeoutMs: number, done: Done): void;
  commitTransaction(timeoutMs: number, done: Done): void;
  abortTransaction(timeoutMs: number, done: Done): void;
  on(event: 'event.error', listener: (error: RdkafkaError) => void): void;
  on(event: 'delivery-report', listener: (error: RdkafkaError | null, report: DeliveryReport) => void): void;
}

export interface Consumer extends Client {
  subscribe(topics: readonly string[]): void;
  unsubscribe(): void;
  assign(partitions: readonly TopicPartition[]): void;
  unassign(): void;
  pause(partitions: readonly TopicPartition[]): void;
  resume(partitions: readonly TopicPartition[]): void;
  commit(offsets: readonly TopicPartition[]): void;
  committed(
    partitions: readonly TopicPartition[],
    timeoutMs: number,
    done: (error: RdkafkaError | null, offsets: readonly TopicPartition[]) => void,
  ): void;
  setDefaultConsumeTimeout(timeoutMs: number): void;
  /** Waits up to the consume timeout for each message; ends of partitions are announced by `partition.eof` before `done`. */
  consume(count: number, done: (error: RdkafkaError | null, messages: readonly Message[]) => void): void;
  disconnect(done: () => void): void;
  on(event: 'event.error', listener: (error: RdkafkaError) => void): void;
  on(event: 'partition.eof', listener: (end: { topic: string; partition: number; offset: number }) => void): void;
}

export interface NewTopic {
  readonly topic: string;
  readonly num_partitions: number;
  readonly replication_factor: number;
  readonly config: Readonly<Record<string, string>>;
}

export interface Admin {
  createTopic(topic: NewTopic, timeoutMs: number, done: (error?: RdkafkaError) => void): void;
  deleteTopic(topic: string, timeoutMs: number, done: (error?: RdkafkaError) => void): void;
  disconnect(): void;
}

export interface Rdkafka {
  readonly Producer: new (settings: RdkafkaSettings, topicSettings: RdkafkaSettings) => Producer;
  readonly KafkaConsumer: new (settings: RdkafkaSettings, topicSettings: RdkafkaSettings) => Consumer;
  readonly AdminClient: { create(settings: RdkafkaSettings): Admin };
  readonly librdkafkaVersion: string;
  /** What it was built with, as librdkafka names it: `ssl`, `sasl_scram` and so on. */
  readonly features?: readonly string[];
}

/** Codes of librdkafka that the engine tells apart. Negative ones are the library's own, positive ones the broker's. */
export const RDKAFKA_ERROR = {
  queueFull: -184,
  messageTooLarge: 10,
  allBrokersDown: -187,
  transport: -195,
  fatal: -150,
  offsetReset: -140,
  logTruncation: -139,
  fenced: -144,
  assignPartitions: -175,
  revokePartitions: -174,
  offsetOutOfRange: 1,
  topicExists: 36,
} as const;
