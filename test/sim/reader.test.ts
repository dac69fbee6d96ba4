import { expect, it } from 'vitest';
import { createPrng } from '../../engine/core/prng.ts';
import { createKafkaReader } from '../../engine/ingest/kafka-reader.ts';
import type { Rdkafka } from '../../engine/sinks/kafka/rdkafka.ts';
import { createBroker } from './broker.ts';
import { SimConsumer } from './consumer.ts';
import { createGroup, createTickLog } from './group.ts';
import { SimProducer } from './producer.ts';
import { createOwner, createScheduler } from './scheduler.ts';

/** A reader of one partition, alone in its group. `disconnects` counts how often its client was disconnected. */
function setUp() {
  const disconnects = { count: 0 };
  const scheduler = createScheduler(createPrng(1));
  const broker = createBroker(scheduler, { onCommitted: () => undefined }, { markersApart: false });
  const group = createGroup(scheduler, broker.server.owner, 1);
  const log = createTickLog('ticks', 1);
  const owner = createOwner('engine');
  const library: Rdkafka = {
    Producer: class extends SimProducer {
      constructor(settings: ConstructorParameters<Rdkafka['Producer']>[0]) {
        super({ scheduler, broker, owner }, settings);
      }
    },
    KafkaConsumer: class extends SimConsumer {
      constructor(settings: ConstructorParameters<Rdkafka['KafkaConsumer']>[0]) {
        super({ scheduler, broker, owner, group, log }, settings);
      }

      override disconnect(done: () => void): void {
        disconnects.count += 1;
        super.disconnect(done);
      }
    },
    AdminClient: {
      create() {
        throw new Error('a reader makes no topics');
      },
    },
    librdkafkaVersion: 'simulated',
  };
  const pause = scheduler.pauseOf(owner);
  const reader = createKafkaReader({
    ...{ library, brokers: 'simulated', topic: 'ticks', group: 'engines', engineId: '', sessionMs: 10_000, clock: scheduler.clock, pause },
  });
  const finish = async <T>(work: Promise<T>): Promise<T> => {
    let isDone = false;
    const done = work.finally(() => {
      isDone = true;
    });
    done.catch(() => undefined);
    while (!isDone) await scheduler.step();
    return await done;
  };
  return { scheduler, broker, group, reader, finish, disconnects };
}

it('does not begin to read what the group takes back while offsets are checked', async () => {
  const { scheduler, broker, group, reader, finish } = setUp();
  await finish(reader.join());
  expect(await finish(reader.assignment())).toEqual([0]);

  const beginning = reader.begin(new Map([[0, 0n]]));
  group.rebalance();
  // The answer about offsets is held up until the group has had its way.
  broker.server.owner.isFrozen = true;
  while (reader.assigned !== undefined) await scheduler.step();
  broker.server.owner.isFrozen = false;

  await expect(finish(beginning)).rejects.toMatchObject({ code: 'KAFKA_ASSIGNMENT_CHANGED', retryable: true });
  expect(reader.partitions).toEqual([]);
  // The group gives the partition out again: now it can be read.
  expect(await finish(reader.assignment())).toEqual([0]);
  await finish(reader.begin(new Map([[0, 0n]])));
  expect(reader.partitions).toEqual([0]);
});

it('leaves its group and disconnects', async () => {
  const { group, reader, finish, disconnects } = setUp();
  await finish(reader.join());
  await finish(reader.assignment());
  await finish(reader.close());
  expect(group.members).toEqual([]);
  expect(disconnects.count).toBe(1);
});

it('does not disconnect while the coordinator is silent, which would hold a thread of the pool until it speaks', async () => {
  const { broker, reader, finish, disconnects } = setUp();
  await finish(reader.join());
  await finish(reader.assignment());
  broker.server.owner.isFrozen = true;
  await finish(reader.close());
  expect(disconnects.count).toBe(0);
});
