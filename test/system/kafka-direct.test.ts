/** The direct lane's fetching against a real broker: what librdkafka wrote, read as librdkafka reads it. */
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, describe, expect, it } from 'vitest';
import { createPrng, type Prng } from '../../engine/core/prng.ts';
import { CODEC } from '../../engine/kafka-direct/codecs.ts';
import type { OffsetJump } from '../../engine/kafka-direct/offset-jumps.ts';
import type { FetchedRecord } from '../../engine/kafka-direct/record-view.ts';
import type { Header, Message } from '../../engine/sinks/kafka/rdkafka.ts';
import {
  callProducer,
  createTopicWith,
  deleteBefore,
  deleteTopic,
  openDirect,
  type WrittenMessage,
  withProducer,
  writeMessages,
} from './direct-topics.ts';
import { type Broker, NO_BROKER, openReal, REAL_BROKER, readCommitted, uniquePrefix } from './kafka-harness.ts';

const seed = Number(process.env['SEED'] ?? Date.now() & 0x7fffffff);
/** Messages of the long comparison: `DIRECT_MESSAGES=1000000` for all that there is to it. */
const MESSAGES = Number(process.env['DIRECT_MESSAGES'] ?? 20_000);
const PARTITIONS = 3;
/** What librdkafka can write wherever it was built; zstd it may lack. */
const CODECS = ['none', 'gzip', 'snappy', 'lz4'] as const;
/** What the broker makes of a topic's batches by itself, with the codecs of Java. */
const BROKER_CODECS = ['gzip', 'snappy', 'lz4', 'zstd'] as const;

/** A record as both clients can tell it. */
interface Told {
  readonly offset: number;
  readonly timeMs: number;
  readonly key: string | null;
  readonly value: string | null;
  readonly headers: readonly string[];
}

const told = (bytes: Buffer | string | null | undefined): string | null => (bytes == null ? null : Buffer.from(bytes).toString('latin1'));

function fromDirect({ offset, timeMs, key, value, headers }: FetchedRecord): Told {
  return { offset, timeMs, key: told(key), value: told(value), headers: headers.map(([name, text]) => `${name}=${told(text) ?? ''}`) };
}

function fromRdkafka({ offset, timestamp, key, value, headers = [] }: Message): Told {
  const list = headers.flatMap((header) => Object.entries(header).map(([name, text]) => `${name}=${told(text) ?? ''}`));
  return { offset, timeMs: timestamp ?? -1, key: told(key), value: told(value), headers: list };
}

function byPartition(messages: readonly Message[]): Map<number, Told[]> {
  const told = new Map<number, Told[]>(Array.from({ length: PARTITIONS }, (_, partition) => [partition, []]));
  for (const message of [...messages].sort((left, right) => left.offset - right.offset)) {
    told.get(message.partition)?.push(fromRdkafka(message));
  }
  return told;
}

/** A whole number, both ends included. */
function between(prng: Prng, low: number, high: number): number {
  return low + prng.nextBelow(high - low + 1);
}

function randomMessage(prng: Prng): WrittenMessage {
  const length = between(prng, 0, between(prng, 0, 9) === 0 ? 4000 : 120);
  const text = `{"symbol":"S${between(prng, 0, 99)}","ltp":${between(prng, 1, 1e6)}}`.padEnd(length, String(between(prng, 0, 1e9)));
  const headers: Header[] = Array.from({ length: between(prng, 0, 4) === 0 ? between(prng, 1, 3) : 0 }, (_, index) => ({
    [`h${index}`]: `v${between(prng, 0, 99)}`,
  }));
  return {
    partition: between(prng, 0, PARTITIONS - 1),
    key: between(prng, 0, 4) === 0 ? null : `S${between(prng, 0, 99)}`,
    value: between(prng, 0, 20) === 0 ? null : Buffer.from(text),
    headers,
  };
}

const randomMessages = (prng: Prng, count: number): WrittenMessage[] => Array.from({ length: count }, () => randomMessage(prng));

describe.skipIf(!REAL_BROKER)(`the direct lane and a real broker${REAL_BROKER ? '' : `: ${NO_BROKER}`}`, () => {
  const topics: { broker: Broker; topic: string }[] = [];
  const makeTopic = async (name: string, config: Record<string, string> = {}): Promise<{ broker: Broker; topic: string }> => {
    const made = { broker: await openReal(), topic: `${uniquePrefix(`direct-${name}`)}ticks` };
    await createTopicWith(made.broker, { topic: made.topic, num_partitions: PARTITIONS, replication_factor: 1, config });
    topics.push(made);
    return made;
  };
  afterAll(async () => {
    for (const { broker, topic } of topics) await deleteTopic(broker, topic);
  });
  const fromStart = new Map(Array.from({ length: PARTITIONS }, (_, partition) => [partition, 0]));

  /** Reads the topic by both clients; returns what was read. */
  const expectSame = async ({ broker, topic }: { broker: Broker; topic: string }): Promise<Map<number, Told[]>> => {
    const expected = byPartition(await readCommitted(broker, topic));
    const reader = await openDirect(broker, topic, fromStart);
    try {
      const read = await reader.readAll();
      for (const [partition, records] of read) expect(records.map(fromDirect), `partition ${partition}`).toEqual(expected.get(partition));
      expect(reader.fetcher.counts.refetches).toBe(0);
    } finally {
      await reader.close();
    }
    return expected;
  };

  it.each(CODECS)('reads what librdkafka wrote with codec %s', async (codec) => {
    const made = await makeTopic(codec);
    const prng = createPrng(seed);
    await withProducer(made.broker, { 'compression.codec': codec }, (producer) =>
      writeMessages(producer, made.topic, randomMessages(prng, 600)),
    );
    const read = await expectSame(made);
    expect([...read.values()].flat().length).toBe(600);
  });

  it.each(BROKER_CODECS)('reads what Java compressed with codec %s', async (codec) => {
    const made = await makeTopic(`java-${codec}`, { 'compression.type': codec });
    const messages = randomMessages(createPrng(seed), 600);
    await withProducer(made.broker, { 'compression.codec': 'none', 'linger.ms': 50 }, (producer) =>
      writeMessages(producer, made.topic, messages),
    );
    const reader = await openDirect(made.broker, made.topic, fromStart);
    const read = await reader.readAll();
    await reader.close();
    expect([...reader.codecs]).toEqual([CODEC[codec]]);
    for (const [partition, records] of read) {
      const written = messages.filter((message) => message.partition === partition).map(({ value }) => told(value));
      expect(
        records.map(({ value }) => told(value)),
        `partition ${partition}`,
      ).toEqual(written);
    }
  });

  it(`reads transactions and what is between them as librdkafka does, with every codec (${MESSAGES} messages, seed ${seed})`, async () => {
    const made = await makeTopic('mixed');
    const prng = createPrng(seed);
    const round = Math.max(50, Math.floor(MESSAGES / 40));
    for (let written = 0, index = 0; written < MESSAGES; written += 4 * round, index += 1) {
      const settings = (name: string) => ({
        'compression.codec': CODECS[(index + name.length) % CODECS.length]!,
        'transactional.id': `${made.topic}.${name}`,
      });
      await withProducer(made.broker, settings('a'), (first) =>
        withProducer(made.broker, settings('bb'), (second) =>
          withProducer(made.broker, { 'compression.codec': CODECS[index % CODECS.length]! }, async (plain) => {
            for (const producer of [first, second]) {
              await callProducer((done) => producer.initTransactions(10_000, done));
              await callProducer((done) => producer.beginTransaction(done));
            }
            // Batches of both transactions and of none lie between each other.
            for (let part = 0; part < 4; part += 1) {
              for (const producer of [first, plain, second, plain]) {
                await writeMessages(producer, made.topic, randomMessages(prng, Math.ceil(round / 4)));
              }
            }
            await callProducer((done) => first.abortTransaction(10_000, done));
            await callProducer((done) => second.commitTransaction(10_000, done));
          }),
        ),
      );
    }
    const read = await expectSame(made);
    const count = [...read.values()].flat().length;
    expect(count).toBeGreaterThan(MESSAGES / 2);
    expect(count).toBeLessThan(MESSAGES);
  });

  it('reads what compaction left, past the holes', async () => {
    const made = await makeTopic('compacted', { 'cleanup.policy': 'compact', 'min.cleanable.dirty.ratio': '0.01', 'segment.ms': '500' });
    const write = (round: number): Promise<void> => {
      const messages = Array.from({ length: 300 }, (_, index): WrittenMessage => {
        const value = index % 7 === 0 && round > 0 ? null : Buffer.from(`${round}.${index}`);
        return { partition: index % PARTITIONS, key: `K${index % (60 + round)}`, value };
      });
      return withProducer(made.broker, { 'compression.codec': round === 1 ? 'lz4' : 'none' }, (producer) =>
        writeMessages(producer, made.topic, messages),
      );
    };
    for (let round = 0; round < 3; round += 1) {
      await write(round);
      await sleep(600);
    }
    // The broker compacts when it gets to it; what it has compacted by then is what is compared.
    let left = 900;
    for (let turn = 0; turn < 60 && left >= 700; turn += 1) {
      await sleep(1000);
      left = (await readCommitted(made.broker, made.topic)).length;
    }
    expect(left).toBeLessThan(700);
    await expectSame(made);
  });

  it('reads on from an offset in the middle of a batch, and a batch that is larger than what it asks for', async () => {
    const made = await makeTopic('large');
    const value = Buffer.alloc(200_000, 'x');
    const messages = Array.from({ length: 12 }, (_, index): WrittenMessage => ({ partition: index % 2, key: `${index}`, value }));
    await withProducer(made.broker, { 'compression.codec': 'none', 'linger.ms': 100 }, (producer) =>
      writeMessages(producer, made.topic, messages),
    );
    const limits = { partitionBytes: 1000, answerBytes: 2000 };
    const reader = await openDirect(
      made.broker,
      made.topic,
      new Map([
        [0, 2],
        [1, 5],
        [2, 0],
      ]),
      { limits },
    );
    const read = await reader.readAll();
    await reader.close();
    expect([...read].map(([partition, records]) => [partition, records.map(({ offset }) => offset)])).toEqual([
      [0, [2, 3, 4, 5]],
      [1, [5]],
      [2, []],
    ]);
    expect(read.get(0)?.every((record) => record.value?.equals(value))).toBe(true);
  });

  it('ends when an offset is gone, or goes on with the earliest and counts, as it is told', async () => {
    const made = await makeTopic('gone');
    const messages = Array.from(
      { length: 50 },
      (_, index): WrittenMessage => ({ partition: 0, key: null, value: Buffer.from(`${index}`) }),
    );
    await withProducer(made.broker, {}, (producer) => writeMessages(producer, made.topic, messages));
    await deleteBefore(made.broker, made.topic, 0, 20);
    const from = new Map([[0, 5]]);
    const strict = await openDirect(made.broker, made.topic, from);
    await expect(strict.readAll()).rejects.toMatchObject({
      code: 'KAFKA_OFFSET_GONE',
      message: /offset 5, expected 20 to 50: older messages have been deleted/,
    });
    await strict.close();
    const jumps: OffsetJump[] = [];
    const lenient = await openDirect(made.broker, made.topic, from, { onOffsetGone: 'earliest', onJump: (jump) => jumps.push(jump) });
    expect((await lenient.readAll()).get(0)?.map(({ offset }) => offset)).toEqual(Array.from({ length: 30 }, (_, index) => 20 + index));
    expect(jumps).toEqual([{ topic: made.topic, partition: 0, from: 5, to: 20 }]);
    await lenient.close();
    // An offset that was never there is another topic's: no policy makes up for that.
    const beyond = await openDirect(made.broker, made.topic, new Map([[0, 5000]]), { onOffsetGone: 'earliest' });
    await expect(beyond.readAll()).rejects.toMatchObject({ code: 'KAFKA_OFFSET_GONE', message: /not the one that was read before/ });
    await beyond.close();
  });

  it('says that a topic is missing', async () => {
    const broker = await openReal();
    const reader = await openDirect(broker, uniquePrefix('nothing'), new Map([[0, 0]]));
    await expect(reader.readAll()).rejects.toMatchObject({ code: 'KAFKA_TOPIC_MISSING' });
    await reader.close();
  });
});
