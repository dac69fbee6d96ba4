/** A topic that loses what a reader has not read yet, while it reads: both lanes, by policy. */
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { SYSTEM_CLOCK } from '../../engine/core/clock.ts';
import { createPrng } from '../../engine/core/prng.ts';
import { createDirectLane, createLaneSource } from '../../engine/ingest/kafka-lane.ts';
import { createKafkaReader } from '../../engine/ingest/kafka-reader.ts';
import { createTickProducer } from '../../engine/ingest/tick-producer.ts';
import type { OffsetJump, OffsetPolicy } from '../../engine/kafka-direct/offset-jumps.ts';
import { createMemoryPort } from '../contract/memory-port.ts';
import { deleteBefore, deleteTopic } from './direct-topics.ts';
import { type Broker, createTopic, type LaneName, NO_BROKER, openReal, REAL_BROKER, uniquePrefix, until } from './kafka-harness.ts';

/** Of each message; what a client holds ahead is less than all of them. */
const MESSAGE_BYTES = 900_000;
/** Messages of the topic, by lane: librdkafka reads 16 MiB ahead, and so does the queue behind it. */
const COUNTS: Readonly<Record<LaneName, number>> = { librdkafka: 60, direct: 16 };
const LEFT = 5;

/** Random bytes, which no codec makes smaller, and which are no ticks: each is refused, with its offset. */
function randomValue(seed: number): Buffer {
  const prng = createPrng(seed);
  const value = Buffer.alloc(MESSAGE_BYTES);
  for (let at = 0; at < MESSAGE_BYTES; at += 4) value.writeUInt32LE(Math.floor(prng.nextFloat() * 2 ** 32), at);
  return value;
}

interface Reading {
  readonly offsets: readonly number[];
  readonly jumps: readonly OffsetJump[];
  readonly topic: string;
  readonly position: bigint | undefined;
}

/** Reads a topic whose messages but the last few are deleted once its reader has some of them and has not said so. */
async function readAcross(broker: Broker, name: LaneName, policy: OffsetPolicy): Promise<Reading> {
  const { library, brokers } = broker;
  const count = COUNTS[name];
  const topic = `${uniquePrefix('gone')}ticks`;
  await createTopic(broker, topic, 1);
  const producer = await createTickProducer(library, brokers, topic);
  for (let index = 0; index < count; index += 1) producer.sendRaw(0, randomValue(index + 1));
  await producer.flush(30_000);
  await producer.close();
  const jumps: OffsetJump[] = [];
  const gone = { onOffsetGone: policy, onJump: (jump: OffsetJump) => jumps.push(jump) };
  const lane = name === 'direct' ? createDirectLane({ brokers, topic, clock: SYSTEM_CLOCK, ...gone }) : undefined;
  const reader = createKafkaReader({
    ...{ library, brokers, topic, group: topic, engineId: '', sessionMs: 10_000, clock: SYSTEM_CLOCK, ...gone },
    ...(lane ? { fetcher: lane.fetcher } : {}),
  });
  const offsets: number[] = [];
  const onRejected = ({ offset }: { offset: bigint }): number => offsets.push(Number(offset));
  const source = createLaneSource({ reader, clock: SYSTEM_CLOCK, onRejected }, lane);
  try {
    await source.start(createMemoryPort(), undefined);
    let held = -1;
    let sinceMs = 0;
    // Read ahead until it is full: as much as it holds now it will hand over.
    await until('it reads no further ahead', () => {
      reader.pump();
      const ahead = lane ? lane.fetcher.counts.requests : reader.queue.count;
      if (ahead !== held) sinceMs = SYSTEM_CLOCK.wallMs();
      held = ahead;
      return held > 0 && SYSTEM_CLOCK.wallMs() - sinceMs > 1500;
    });
    await deleteBefore(broker, topic, 0, count - LEFT);
    await until('the end is reached', () => {
      source.poll(100);
      const failure = source.failure();
      if (failure) throw failure;
      return source.isCaughtUp(0) && Number(source.position().offsets.get(0) ?? 0n) === count;
    });
    return { offsets, jumps, topic, position: source.position().offsets.get(0) };
  } finally {
    await source.stop();
    await reader.close();
    await deleteTopic(broker, topic);
  }
}

const upTo = (end: number): number[] => Array.from({ length: end }, (_, offset) => offset);
const why = REAL_BROKER === undefined ? ` (${NO_BROKER})` : '';

describe.skipIf(REAL_BROKER === undefined).each(['librdkafka', 'direct'] as const)(`a topic that loses its head, lane %s${why}`, (lane) => {
  const count = COUNTS[lane];
  let broker: Broker;
  beforeAll(async () => {
    broker = await openReal();
  });
  afterAll(() => broker.close());

  it.each([
    ['earliest', count - LEFT],
    ['latest', count],
  ] as const)('is read on by policy %s, and each offset passed over is counted', async (policy, to) => {
    const { offsets, jumps, topic, position } = await readAcross(broker, lane, policy);
    const [jump] = jumps;
    expect(jumps).toEqual([{ topic, partition: 0, from: jump?.from, to }]);
    // Everything up to the gap once and in order, then what is left.
    expect(offsets).toEqual([...upTo(jump?.from ?? 0), ...upTo(count).slice(to)]);
    expect(jump?.from).toBeGreaterThan(0);
    expect(position).toBe(BigInt(count));
  });

  it('ends reading by policy stop, and says what there is', async () => {
    await expect(readAcross(broker, lane, 'stop')).rejects.toMatchObject({
      code: 'KAFKA_OFFSET_GONE',
      message: expect.stringMatching(new RegExp(`expected ${count - LEFT} to ${count}: older messages have been deleted`)),
    });
  });
});
