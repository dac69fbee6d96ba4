/** Topics as librdkafka writes them, and everything of them as the direct lane reads it. */
import { deleteRecordsV2 } from '@platformatic/kafka';
import { SYSTEM_CLOCK, SYSTEM_PAUSE } from '../../engine/core/clock.ts';
import { KAFKA_CODE } from '../../engine/kafka-direct/broker-errors.ts';
import { createCluster } from '../../engine/kafka-direct/cluster.ts';
import { type LibraryCodecs, loadCodecs } from '../../engine/kafka-direct/codecs.ts';
import { connectBroker, parseBrokers } from '../../engine/kafka-direct/connection.ts';
import { createFetchKernel } from '../../engine/kafka-direct/fetch-kernel.ts';
import { createFetcher, FETCH_APIS, type Fetcher, type FetcherOptions } from '../../engine/kafka-direct/fetcher.ts';
import { createRecordDecoder, type RecordDecoder } from '../../engine/kafka-direct/record-decoder.ts';
import { type FetchedRecord, readEntry } from '../../engine/kafka-direct/record-view.ts';
import { connectClient, disconnectProducer } from '../../engine/sinks/kafka/client.ts';
import type { Done, Header, NewTopic, Producer, RdkafkaSettings } from '../../engine/sinks/kafka/rdkafka.ts';
import { type Broker, until } from './kafka-harness.ts';

const TIMEOUT_MS = 60_000;
/** Byte of a batch at which the codec stands. */
const ATTRIBUTES_OFFSET = 22;

export interface WrittenMessage {
  readonly partition: number;
  readonly key: Buffer | string | null;
  readonly value: Buffer | null;
  readonly headers?: readonly Header[];
}

/** What node-rdkafka takes and its declaration here leaves out: nothing but bytes is needed by the engine. */
type AnyProducer = Omit<Producer, 'produce'> & {
  produce(
    topic: string,
    partition: number,
    value: Buffer | null,
    key: Buffer | string | null,
    timestamp: number | null,
    opaque: undefined,
    headers: readonly Header[],
  ): void;
};

/** A producer with these settings, and what is done with it. */
export async function withProducer(
  { library, brokers }: Broker,
  settings: RdkafkaSettings,
  use: (producer: AnyProducer) => Promise<void>,
): Promise<void> {
  const producer = new library.Producer({ 'metadata.broker.list': brokers, 'linger.ms': 5, ...settings }, {});
  await connectClient(producer, brokers, TIMEOUT_MS);
  // A cast: see AnyProducer.
  await use(producer as AnyProducer);
  await disconnectProducer(producer, TIMEOUT_MS);
}

export function callProducer(call: (done: Done) => void): Promise<void> {
  return new Promise((resolve, reject) => call((error) => (error ? reject(error) : resolve())));
}

/** Writes messages and waits until they are acknowledged. */
export async function writeMessages(producer: AnyProducer, topic: string, messages: readonly WrittenMessage[]): Promise<void> {
  for (const { partition, value, key, headers = [] } of messages) {
    producer.produce(topic, partition, value, key, null, undefined, headers);
  }
  await callProducer((done) => producer.flush(TIMEOUT_MS, done));
}

export interface DirectReader {
  readonly fetcher: Fetcher;
  readonly decoder: RecordDecoder;
  /** Codecs of the first batches of what came. */
  readonly codecs: ReadonlySet<number>;
  /** Reads on until every partition is at its end; what came, by partition. */
  readAll(): Promise<ReadonlyMap<number, FetchedRecord[]>>;
  close(): Promise<void>;
}

export type DirectOptions = Partial<Pick<FetcherOptions, 'limits' | 'onOffsetGone' | 'onJump' | 'isCommittedOnly'>>;

let codecs: LibraryCodecs | undefined;

/** Begins to read partitions from these offsets. */
export async function openDirect(
  { brokers }: Pick<Broker, 'brokers'>,
  topic: string,
  offsets: ReadonlyMap<number, number>,
  options: DirectOptions = {},
): Promise<DirectReader> {
  codecs ??= await loadCodecs();
  const cluster = createCluster({ clientId: 'test', brokers, apis: FETCH_APIS, timeoutMs: 5000, clock: SYSTEM_CLOCK, pause: SYSTEM_PAUSE });
  const fetcher = createFetcher({ cluster, topic, clock: SYSTEM_CLOCK, isCommittedOnly: true, onOffsetGone: 'stop', ...options });
  const decoder = createRecordDecoder({ kernel: createFetchKernel(), codecs, isChecked: true });
  const nextOffsets = new Map(offsets);
  const seen = new Set<number>();
  fetcher.begin(offsets);
  return {
    fetcher,
    decoder,
    codecs: seen,
    async readAll() {
      const records = new Map<number, FetchedRecord[]>([...offsets.keys()].map((partition) => [partition, []]));
      await until(`the ends of ${topic}`, () => {
        fetcher.pump();
        const failure = fetcher.takeFailure();
        if (failure) throw failure;
        const set = fetcher.head;
        if (set) {
          decoder.load(set);
          // A jump over offsets that are gone comes as a set without bytes.
          if (set.chunks.length > 0) seen.add(Buffer.concat(set.chunks).readUInt8(ATTRIBUTES_OFFSET) & 7);
          for (let count = decoder.next(); count > 0; count = decoder.next()) {
            for (let index = 0; index < count; index += 1) records.get(set.partition)?.push(readEntry(decoder, index));
          }
          nextOffsets.set(set.partition, decoder.nextOffset);
          fetcher.finish(decoder.nextOffset, decoder);
        }
        return [...offsets.keys()].every(
          (partition) => fetcher.stopped.has(partition) || fetcher.isAtEnd(partition, nextOffsets.get(partition)),
        );
      });
      return records;
    },
    close: () => fetcher.close(),
  };
}

/** Deletes a topic; what is not there is deleted. */
export async function deleteTopic({ library, brokers }: Broker, topic: string): Promise<void> {
  const admin = library.AdminClient.create({ 'metadata.broker.list': brokers });
  await new Promise<void>((resolve) => admin.deleteTopic(topic, TIMEOUT_MS, () => resolve()));
  admin.disconnect();
}

/** Makes a topic with settings of its own. */
export async function createTopicWith({ library, brokers }: Broker, plan: NewTopic): Promise<void> {
  const admin = library.AdminClient.create({ 'metadata.broker.list': brokers });
  await new Promise<void>((resolve, reject) => admin.createTopic(plan, TIMEOUT_MS, (error) => (error ? reject(error) : resolve())));
  admin.disconnect();
}

/** Lets a partition begin at an offset, as retention does: by whichever broker leads it. */
export async function deleteBefore({ brokers }: Broker, topic: string, partition: number, offset: number): Promise<void> {
  const partitions = [{ partitionIndex: partition, offset: BigInt(offset) }];
  const codes: (number | undefined)[] = [];
  for (const address of parseBrokers(brokers)) {
    const connection = await connectBroker(address, { clientId: 'test', timeoutMs: TIMEOUT_MS });
    const answer = await connection.call('DeleteRecords', deleteRecordsV2.api, [{ name: topic, partitions }], TIMEOUT_MS);
    await connection.close();
    const code = answer.topics[0]?.partitions[0]?.errorCode;
    if (code === KAFKA_CODE.none) return;
    codes.push(code);
  }
  throw new Error(`records before ${offset} of ${topic}/${partition}: no broker deleted them, codes ${codes.join(', ')}`);
}
