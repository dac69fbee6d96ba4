/** What the direct producer stores on a real broker, as others read it: librdkafka, Kafka's own Java client and one of Python, each with checks of the CRC. */
import { execFile, execFileSync } from 'node:child_process';
import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { promisify } from 'node:util';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { SYSTEM_CLOCK, SYSTEM_PAUSE } from '../../engine/core/clock.ts';
import { PROJECT_ROOT } from '../../engine/core/root.ts';
import { type Cluster, createCluster } from '../../engine/kafka-direct/cluster.ts';
import { type BatchRecord, type Compression, encodeRecordBatch, type ProducerIdentity } from '../../engine/kafka-direct/produce-batch.ts';
import { createProduceClient, type ProduceClient, readGroupOffsets } from '../../engine/kafka-direct/produce-client.ts';
import { createBatchEncoder } from '../../engine/kafka-direct/produce-encoder.ts';
import { PRODUCE_APIS } from '../../engine/kafka-direct/produce-requests.ts';
import { murmur2Part } from '../../engine/market/murmur2.ts';
import type { Message } from '../../engine/sinks/kafka/rdkafka.ts';
import { anyBars } from '../seeded-bars.ts';
import { type Broker, createTopic, NO_BROKER, openReal, REAL_BROKER, readCommitted, uniquePrefix } from './kafka-harness.ts';
import { whyNoLocal } from './kafka-local-broker.ts';

const run = promisify(execFile);
/** As for npm, a Python other than the first of PATH. */
const PYTHON = process.env['PYTHON'] ?? 'python3';
const LIBS = join(PROJECT_ROOT, '.data/kafka/libs');
const PARTITIONS = 6;
const BARS = 20_000;
const SEED = Number(process.env['SEED'] ?? Math.floor(Math.random() * 2 ** 31));

describe.skipIf(REAL_BROKER === undefined)(`the direct producer${REAL_BROKER === undefined ? ` (${NO_BROKER})` : ''}`, () => {
  let broker: Broker;
  let cluster: Cluster;
  const topics: string[] = [];

  beforeAll(async () => {
    broker = await openReal();
    cluster = createCluster({ clientId: 'test', brokers: broker.brokers, apis: PRODUCE_APIS, clock: SYSTEM_CLOCK, pause: SYSTEM_PAUSE });
  });
  afterAll(async () => {
    await cluster.close();
    await deleteTopics(broker, topics);
  });

  const openTopic = async (name: string): Promise<string> => {
    const topic = `${uniquePrefix('direct')}${name}`;
    topics.push(topic);
    await createTopic(broker, topic, PARTITIONS);
    await cluster.lookUp([topic], 10_000);
    return topic;
  };
  const openClient = async (transactionalId: string | null): Promise<{ client: ProduceClient; identity: ProducerIdentity }> => {
    const options = { transactionalId, transactionTimeoutMs: 60_000, clock: SYSTEM_CLOCK, pause: SYSTEM_PAUSE };
    const client = createProduceClient(cluster, options);
    return { client, identity: await client.init() };
  };
  /** Produces seeded bars of 1 s in two calls of the kernel. */
  const produceBars = async (topic: string, transactionalId: string | null, compression: Compression = 'none') => {
    const { client, identity } = await openClient(transactionalId);
    const { words, symbols, expected } = anyBars(SEED, BARS);
    const encoder = createBatchEncoder(symbols, ['1s']);
    encoder.begin(identity, [{ partitions: cluster.partitionsOf(topic), batchBytesMax: 100_000 }], compression);
    if (transactionalId !== null) client.begin();
    for (const from of [0, BARS / 2]) {
      for (const batch of encoder.encode(words, from * 32, BARS / 2, Math.floor(SYSTEM_CLOCK.wallMs()))) client.add({ topic, ...batch });
    }
    return { client, expected };
  };

  it('stores bars that librdkafka reads as they were, each partition in order', async () => {
    const topic = await openTopic('bars');
    const { client, expected } = await produceBars(topic, `${topic}.id`);
    await client.commit();
    const messages = await readCommitted(broker, topic);
    expect(messages.length).toBe(BARS);
    expect(byKey(messages)).toEqual(byKey(expected));
    expect(messages.every(({ key, partition }) => murmur2Part(Buffer.from(String(key)), PARTITIONS) === partition)).toBe(true);
  });

  it('stores bars compressed by LZ4 that librdkafka reads as they were, in less than half the bytes', async () => {
    const plainTopic = await openTopic('unpacked');
    const { client: plain } = await produceBars(plainTopic, `${plainTopic}.id`);
    await plain.commit();
    const topic = await openTopic('packed');
    const { client, expected } = await produceBars(topic, `${topic}.id`, 'lz4');
    await client.commit();
    expect(byKey(await readCommitted(broker, topic))).toEqual(byKey(expected));
    expect(client.counts.bytes).toBeLessThan(plain.counts.bytes / 2);
  });

  it('stores messages compressed outside of the kernel, with headers, that librdkafka reads as they were', async () => {
    const topic = await openTopic('letters');
    const { client, identity } = await openClient(null);
    const value = Buffer.from('{"reason":"malformed","raw":"'.repeat(4000));
    const records = [1, 2, 3].map((index) => ({ key: Buffer.from(`k${index}`), value, headers: [{ name: 'h', value: Buffer.from('v') }] }));
    const bytes = encodeRecordBatch(records, { identity, sequence: 0, timestampMs: 1_700_000_000_000, compression: 'lz4' });
    expect(bytes.length).toBeLessThan(value.length / 10);
    client.add({ topic, partition: 1, recordCount: records.length, bytes });
    await client.flush();
    const read = await readCommitted(broker, topic);
    expect(read.map((message) => [String(message.key), message.value?.equals(value), message.headers])).toEqual(
      records.map(({ key }) => [String(key), true, [{ h: Buffer.from('v') }]]),
    );
  });

  it('stores without transactions too, each message once', async () => {
    const topic = await openTopic('plain');
    const { client, expected } = await produceBars(topic, null);
    await client.flush();
    expect(byKey(await readCommitted(broker, topic))).toEqual(byKey(expected));
  });

  const noJava = whyNoConsole();
  it.skipIf(noJava !== undefined)(`stores bars that Kafka's own consumer reads${noJava === undefined ? '' : ` (${noJava})`}`, async () => {
    for (const compression of ['none', 'lz4'] as const) {
      const topic = await openTopic(`java.${compression}`);
      const { client, expected } = await produceBars(topic, `${topic}.id`, compression);
      await client.commit();
      expect(byKey(await readByJava(topic, BARS))).toEqual(byKey(expected));
    }
  });

  const noPython = whyNoPython();
  it.skipIf(noPython !== undefined)(`stores bars that a Python client reads${noPython === undefined ? '' : ` (${noPython})`}`, async () => {
    for (const compression of ['none', 'lz4'] as const) {
      const topic = await openTopic(`python.${compression}`);
      const { client, expected } = await produceBars(topic, null, compression);
      await client.flush();
      expect(byKey(await readByPython(topic, BARS))).toEqual(byKey(expected));
    }
  });

  it('shows nothing of a transaction that was aborted, and all of the next one under the same id', async () => {
    const topic = await openTopic('aborted');
    const { client } = await openClient(`${topic}.id`).then(async ({ client: first, identity }) => {
      first.begin();
      first.add(batchOf(topic, identity, 0, ['never']));
      await first.flush();
      await first.abort();
      return openClient(`${topic}.id`);
    });
    expect(await readCommitted(broker, topic)).toEqual([]);
    const { client: last, identity } = await openClient(`${topic}.id`);
    for (const [sequence, value] of ['one', 'two', 'three'].entries()) {
      last.begin();
      last.add(batchOf(topic, identity, sequence, [value]));
      await last.commit();
    }
    expect((await readCommitted(broker, topic)).map(({ value }) => String(value))).toEqual(['one', 'two', 'three']);
    client.begin();
    client.add(batchOf(topic, { ...identity, epoch: identity.epoch - 1 }, 0, ['late']));
    await expect(client.commit()).rejects.toMatchObject({ code: 'KAFKA_FENCED', retryable: true });
  });

  it('moves offsets of a group with the transaction, and not without it', async () => {
    const topic = await openTopic('offsets');
    const group = `${topic}.group`;
    const { client, identity } = await openClient(`${topic}.id`);
    client.begin();
    client.add(batchOf(topic, identity, 0, ['first']));
    await client.sendOffsets({
      group,
      topic,
      offsets: new Map([
        [0, 41],
        [3, 7],
      ]),
    });
    await client.commit();
    expect(await readGroupOffsets(cluster, group, topic, [0, 1, 3])).toEqual(
      new Map([
        [0, 41],
        [3, 7],
      ]),
    );
    client.begin();
    await client.sendOffsets({ group, topic, offsets: new Map([[0, 42]]) });
    await client.abort();
    expect(await readGroupOffsets(cluster, group, topic, [0, 1, 3])).toEqual(
      new Map([
        [0, 41],
        [3, 7],
      ]),
    );
  });

  it('carries keys, headers and values of any bytes', async () => {
    const topic = await openTopic('headers');
    const { client, identity } = await openClient(null);
    const records: BatchRecord[] = Array.from({ length: 300 }, (_, index) => ({
      key: Buffer.from(`ticks:${index}`),
      value: Buffer.alloc(index * 9, index),
      headers: Array.from({ length: index % 4 }, (_unused, place) => ({ name: `h${place}`, value: Buffer.alloc(place * 70, 65) })),
    }));
    const bytes = encodeRecordBatch(records, { identity, sequence: 0, timestampMs: 1_700_000_000_000 });
    client.add({ topic, partition: 2, recordCount: records.length, bytes });
    await client.flush();
    const messages = await readCommitted(broker, topic);
    const read = messages.map(({ key, value, headers, timestamp }) => ({ key: String(key), value, headers: headers ?? [], timestamp }));
    const written = records.map(({ key, value, headers }) => ({
      key: String(key),
      value,
      headers: headers.map(({ name, value: text }) => ({ [name]: text })),
      timestamp: 1_700_000_000_000,
    }));
    expect(read).toEqual(written);
  });
});

function batchOf(topic: string, identity: ProducerIdentity, sequence: number, values: readonly string[]) {
  const records = values.map((value) => ({ key: Buffer.from('k'), value: Buffer.from(value), headers: [] }));
  const bytes = encodeRecordBatch(records, { identity, sequence, timestampMs: Math.floor(SYSTEM_CLOCK.wallMs()) });
  return { topic, partition: 0, recordCount: records.length, bytes };
}

/** Values of each key, in order. */
function byKey(messages: readonly { readonly key?: unknown; readonly value: unknown }[]): Map<string, string[]> {
  const values = new Map<string, string[]>();
  for (const { key, value } of messages) values.set(String(key), [...(values.get(String(key)) ?? []), String(value)]);
  return new Map([...values].sort(([left], [right]) => (left < right ? -1 : 1)));
}

/** Why Kafka's console consumer cannot be run here; undefined when it can. */
function whyNoConsole(): string | undefined {
  const reason = whyNoLocal();
  if (reason !== undefined || readdirSync(LIBS).some((jar) => /^kafka-tools-[0-9]/.test(jar))) return reason;
  return "no jar of Kafka's tools: remove .data/kafka/libs, then npm run kafka:up fetches it";
}

/** Reads what is committed by the console consumer of Kafka, which checks every CRC. */
async function readByJava(topic: string, count: number): Promise<Pick<Message, 'key' | 'value'>[]> {
  const options = ['--bootstrap-server', REAL_BROKER ?? '', '--topic', topic, '--from-beginning', '--max-messages', String(count)];
  const settings = ['--isolation-level', 'read_committed', '--timeout-ms', '30000', '--formatter-property', 'print.key=true'];
  const checks = ['--formatter-property', 'key.separator=|', '--command-property', 'check.crcs=true'];
  const args = ['-cp', `${LIBS}/*`, 'org.apache.kafka.tools.consumer.ConsoleConsumer', ...options, ...settings, ...checks];
  const { stdout } = await run('java', args, { maxBuffer: 1 << 28 });
  return linesOf(stdout);
}

/** Keys and values of lines with a bar between both. */
function linesOf(text: string): Pick<Message, 'key' | 'value'>[] {
  return text
    .split('\n')
    .filter((line) => line !== '')
    .map((line) => {
      const at = line.indexOf('|');
      return { key: Buffer.from(line.slice(0, at)), value: Buffer.from(line.slice(at + 1)) };
    });
}

/** Why no Python client can be run here; undefined when one can. */
function whyNoPython(): string | undefined {
  try {
    execFileSync(PYTHON, ['-c', 'import kafka, lz4'], { stdio: 'ignore' });
    return undefined;
  } catch {
    return `${PYTHON} lacks kafka-python or lz4: pip install kafka-python lz4, or name a Python that has them by PYTHON`;
  }
}

const PYTHON_READER = `
import sys
from kafka import KafkaConsumer
broker, topic, count = sys.argv[1], sys.argv[2], int(sys.argv[3])
consumer = KafkaConsumer(topic, bootstrap_servers=broker, auto_offset_reset='earliest', enable_auto_commit=False,
    check_crcs=True, consumer_timeout_ms=30000)
for number, message in enumerate(consumer, 1):
    print(message.key.decode() + '|' + message.value.decode())
    if number == count: break
`;

/** Reads a topic by kafka-python, which checks every CRC. Versions before 2.1 know no transactions: they hand over the markers of their ends as well. */
async function readByPython(topic: string, count: number): Promise<Pick<Message, 'key' | 'value'>[]> {
  const args = ['-c', PYTHON_READER, REAL_BROKER ?? '', topic, String(count)];
  return linesOf((await run(PYTHON, args, { maxBuffer: 1 << 28 })).stdout);
}

async function deleteTopics({ library, brokers }: Broker, topics: readonly string[]): Promise<void> {
  const admin = library.AdminClient.create({ 'metadata.broker.list': brokers, 'client.id': 'test' });
  await Promise.all(topics.map((topic) => new Promise<void>((resolve) => admin.deleteTopic(topic, 10_000, () => resolve()))));
  await sleep(0);
  admin.disconnect();
}
