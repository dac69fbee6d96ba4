import { expect, it } from 'vitest';
import { createPrng } from '../../engine/core/prng.ts';
import { createKafkaReader } from '../../engine/ingest/kafka-reader.ts';
import type { Rdkafka } from '../../engine/sinks/kafka/rdkafka.ts';
import { createBroker } from './broker.ts';
import { troubleOf } from './client.ts';
import { SimConsumer } from './consumer.ts';
import { createGroup, createTickLog } from './group.ts';
import { SimProducer } from './producer.ts';
import { createOwner, createScheduler } from './scheduler.ts';

/**
 * A reader of one partition, alone in its group. `disconnects` counts how often its client was disconnected; the first `lostClients` of
 * its clients connect, and then have no broker any more.
 */
function setUp({ lostClients }: { readonly lostClients: number } = { lostClients: 0 }) {
  const disconnects = { count: 0 };
  let clients = 0;
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
      readonly #isLost = clients < lostClients;

      constructor(settings: ConstructorParameters<Rdkafka['KafkaConsumer']>[0]) {
        super({ scheduler, broker, owner, group, log }, settings);
        clients += 1;
      }

      override subscribe(): void {
        if (!this.#isLost) super.subscribe();
      }

      override committed(...request: Parameters<SimConsumer['committed']>): void {
        if (this.#isLost) request[2](troubleOf('down'), []);
        else super.committed(...request);
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
  // A session that failed while it opened: from here on the member is told what the group wants.
  reader.end();

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

it('gives a member another client when its own has lost the brokers for good', async () => {
  const { scheduler, group, reader } = setUp({ lostClients: 1 });
  const joined = reader.join();
  for (let turns = 0; reader.assigned === undefined; turns += 1) {
    if (turns > 20_000) throw new Error(`no partitions after ${turns} turns`);
    reader.pump();
    await scheduler.step();
  }
  await joined;
  expect(reader.assigned).toEqual([0]);
  expect(group.members).toHaveLength(1);
});

it('keeps its client while the brokers are away for everybody', async () => {
  const { scheduler, broker, reader, finish, disconnects } = setUp({ lostClients: 1 });
  await finish(reader.join());
  broker.server.isUp = false;
  for (let turns = 0; turns < 5000; turns += 1) {
    reader.pump();
    await scheduler.step();
  }
  expect(reader.health.isUp).toBe(false);
  expect(disconnects.count).toBe(0);
});

it('reads again from elsewhere what it reads already, and gives nothing back', async () => {
  const { group, reader, finish } = setUp();
  await finish(reader.join());
  await finish(reader.assignment());
  await finish(reader.begin(new Map([[0, 0n]])));
  await finish(reader.begin(new Map([[0, 0n]])));
  expect(reader.partitions).toEqual([0]);
  expect(group.members.map(({ owned }) => owned)).toEqual([[0]]);
});
