/** The queue of batches against a cluster that stores by sequence, as Kafka does, and fails as it is told. */
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { KAFKA_CODE } from './broker-errors.ts';
import { type Batch, createProduceQueue, IN_FLIGHT_MAX, type ProduceQueue, type ProduceRequest } from './produce-queue.ts';

const SEED = Number(process.env['SEED'] ?? Math.floor(Math.random() * 2 ** 31));
const PARTITIONS = 3;
const BROKERS = 2;
const TOPIC = 'bars';

/** Batches are numbered, and their number is their sequence. */
function batchOf(partition: number, sequence: number, size = 8): Batch {
  const bytes = Buffer.alloc(size);
  bytes.writeInt32BE(sequence, 0);
  return { topic: TOPIC, partition, recordCount: 1, bytes };
}

/**
 * What the cluster stores of each partition, whoever leads it. A repeated batch is known for as long as Kafka knows it, and where there is nothing
 * yet, any sequence is the first one.
 */
function createCluster() {
  const logs: number[][] = Array.from({ length: PARTITIONS }, () => []);
  const leaders: number[] = Array.from({ length: PARTITIONS }, (_, partition) => partition % BROKERS);
  const store = (brokerId: number, { partition, bytes }: Batch): number => {
    const log = logs[partition]!;
    const sequence = bytes.readInt32BE(0);
    if (leaders[partition] !== brokerId) return KAFKA_CODE.notLeaderOrFollower;
    const next = (log.at(-1) ?? sequence - 1) + 1;
    if (sequence > next || sequence < (log[0] ?? 0)) return KAFKA_CODE.outOfOrderSequence;
    if (sequence === next) log.push(sequence);
    else if (sequence < next - IN_FLIGHT_MAX) return KAFKA_CODE.duplicateSequence;
    return KAFKA_CODE.none;
  };
  return { logs, leaders, store };
}

type Step =
  | { readonly do: 'add'; readonly partition: number }
  | { readonly do: 'send' }
  | { readonly do: 'answer'; readonly broker: number; readonly refuse: number }
  | { readonly do: 'break'; readonly broker: number; readonly stored: number }
  | { readonly do: 'move'; readonly partition: number }
  | { readonly do: 'pass'; readonly ms: number };

const anyPartition = fc.nat(PARTITIONS - 1);
const anyBroker = fc.nat(BROKERS - 1);
const anyStep: fc.Arbitrary<Step> = fc.oneof(
  { arbitrary: fc.record({ do: fc.constant('add' as const), partition: anyPartition }), weight: 4 },
  { arbitrary: fc.constant({ do: 'send' as const }), weight: 6 },
  { arbitrary: fc.record({ do: fc.constant('answer' as const), broker: anyBroker, refuse: fc.nat(7) }), weight: 3 },
  { arbitrary: fc.record({ do: fc.constant('break' as const), broker: anyBroker, stored: fc.nat(IN_FLIGHT_MAX) }), weight: 1 },
  { arbitrary: fc.record({ do: fc.constant('move' as const), partition: anyPartition }), weight: 1 },
  { arbitrary: fc.record({ do: fc.constant('pass' as const), ms: fc.nat(40) }), weight: 2 },
);

function play(steps: readonly Step[]) {
  const queue = createProduceQueue();
  const cluster = createCluster();
  const flying: ProduceRequest[][] = Array.from({ length: BROKERS }, () => []);
  const added = Array.from({ length: PARTITIONS }, () => 0);
  let nowMs = 0;
  let released = 0;

  /** Adds a batch whose bytes are lost as soon as the queue lets go of them. */
  const add = (partition: number): void => {
    const batch = batchOf(partition, added[partition]!++);
    const sequence = batch.bytes.readInt32BE(0);
    const release = (): void => {
      expect(cluster.logs[partition]).toContain(sequence);
      expect(batch.bytes.readInt32BE(0), 'the sequence of a batch that is released for the first time').toBe(sequence);
      batch.bytes.fill(0xff);
      released += 1;
    };
    queue.add({ ...batch, release });
  };

  const send = (): boolean => {
    const request = queue.next((_topic, partition) => cluster.leaders[partition], nowMs);
    if (!request) return false;
    expect(new Set(request.batches.map(({ partition }) => partition)).size).toBe(request.batches.length);
    flying[request.brokerId]!.push(request);
    expect(flying[request.brokerId]!.length).toBeLessThanOrEqual(IN_FLIGHT_MAX);
    return true;
  };
  const settle = (request: ProduceRequest, codeOf: (batch: Batch) => number): void => {
    const codes = new Map(request.batches.map((batch) => [batch, codeOf(batch)]));
    expect(queue.settle(request, (batch) => codes.get(batch) ?? KAFKA_CODE.networkException, nowMs).refused).toBeUndefined();
  };
  /** Brokers take what comes on one connection in order. `refuse`: which batches, by bit, are turned away in passing. */
  const answer = (broker: number, refuse: number): void => {
    const request = flying[broker]!.shift();
    if (!request) return;
    settle(request, (batch) => ((refuse >> batch.partition) & 1 ? KAFKA_CODE.notEnoughReplicas : cluster.store(request.brokerId, batch)));
  };
  const breakLine = (broker: number, stored: number): void => {
    const lost = flying[broker]!.splice(0);
    for (const request of lost.slice(0, stored)) for (const batch of request.batches) cluster.store(broker, batch);
    for (const request of lost) settle(request, () => KAFKA_CODE.networkException);
  };
  for (const step of steps) {
    if (step.do === 'add') add(step.partition);
    else if (step.do === 'send') send();
    else if (step.do === 'answer') answer(step.broker, step.refuse);
    else if (step.do === 'break') breakLine(step.broker, step.stored);
    else if (step.do === 'move') cluster.leaders[step.partition] = (cluster.leaders[step.partition]! + 1) % BROKERS;
    else nowMs += step.ms;
  }
  for (let turn = 0; !queue.isEmpty; turn += 1) {
    expect(turn, 'turns until all is stored').toBeLessThan(10_000);
    while (send());
    for (let broker = 0; broker < BROKERS; broker += 1) while (flying[broker]!.length > 0) answer(broker, 0);
    nowMs = queue.restsUntilMs(nowMs) ?? nowMs;
  }
  return { queue, cluster, added, released };
}

/** A queue whose first batches, of sequence 0, are acknowledged already. */
function createKnownQueue(partitions = 1): ProduceQueue {
  const queue = createProduceQueue();
  for (let partition = 0; partition < partitions; partition += 1) queue.add(batchOf(partition, 0));
  for (const request of sendAll(queue, 0)) queue.settle(request, () => KAFKA_CODE.none, 0);
  return queue;
}

/** Sends until nothing more may be sent. */
function sendAll(queue: ProduceQueue, nowMs: number, broker = 0): ProduceRequest[] {
  const requests: ProduceRequest[] = [];
  for (;;) {
    const request = queue.next(() => broker, nowMs);
    if (!request) return requests;
    requests.push(request);
  }
}

describe('the queue of batches', () => {
  it('stores every batch once and in order, whatever breaks, moves or is refused in passing', () => {
    fc.assert(
      fc.property(fc.array(anyStep, { maxLength: 120 }), (steps) => {
        const { queue, cluster, added, released } = play(steps);
        expect(cluster.logs).toEqual(added.map((count) => Array.from({ length: count }, (_, sequence) => sequence)));
        expect(queue.bytes).toBe(0);
        expect(released).toBe(added.reduce((sum, count) => sum + count, 0));
      }),
      { seed: SEED, numRuns: 2000 },
    );
  });

  it('sends the first batch of a partition alone, until it is acknowledged', () => {
    const queue = createProduceQueue();
    for (let sequence = 0; sequence < 3; sequence += 1) queue.add(batchOf(0, sequence));
    const [first, ...more] = sendAll(queue, 0);
    expect(more).toEqual([]);
    queue.settle(first!, () => KAFKA_CODE.notLeaderOrFollower, 0);
    const [again, ...others] = sendAll(queue, 1000);
    expect([again?.batches[0]?.bytes.readInt32BE(0), others.length]).toEqual([0, 0]);
    queue.settle(again!, () => KAFKA_CODE.none, 1000);
    expect(sendAll(queue, 1000).map(({ batches }) => batches[0]?.bytes.readInt32BE(0))).toEqual([1, 2]);
  });

  it('sends the first batch after a minute alone again, since the broker may have forgotten its producer', () => {
    const queue = createKnownQueue();
    for (const sequence of [1, 2, 3]) queue.add(batchOf(0, sequence));
    const [first, ...more] = sendAll(queue, 60_000);
    expect(more).toEqual([]);
    queue.settle(first!, () => KAFKA_CODE.none, 60_010);
    expect(sendAll(queue, 60_010)).toHaveLength(2);
  });

  it('asks for the brokers of those partitions only that have something waiting', () => {
    const queue = createKnownQueue(3);
    queue.add(batchOf(1, 1));
    const asked: number[] = [];
    const brokerOf = (_topic: string, partition: number): number => {
      asked.push(partition);
      return 0;
    };
    while (queue.next(brokerOf, 0));
    expect(asked).toEqual([1]);
  });

  it('keeps five requests to a broker under way, and not a sixth', () => {
    const queue = createKnownQueue();
    for (let sequence = 0; sequence < 9; sequence += 1) queue.add(batchOf(0, sequence));
    const requests = sendAll(queue, 0);
    expect(requests.length).toBe(IN_FLIGHT_MAX);
    queue.settle(requests[0]!, () => KAFKA_CODE.none, 0);
    expect(sendAll(queue, 0).map(({ batches }) => batches[0]?.bytes.readInt32BE(0))).toEqual([5]);
  });

  it('sends nothing of a partition while something of it is still to be answered by the broker that led it', () => {
    const queue = createProduceQueue();
    queue.add(batchOf(0, 0));
    queue.add(batchOf(0, 1));
    const first = queue.next(() => 0, 0);
    expect(queue.next(() => 1, 0)).toBeUndefined();
    if (first) queue.settle(first, () => KAFKA_CODE.none, 0);
    expect(queue.next(() => 1, 0)).toMatchObject({ brokerId: 1 });
  });

  it('sends nothing behind a batch that failed until all before it are answered', () => {
    const queue = createKnownQueue();
    for (let sequence = 0; sequence < 3; sequence += 1) queue.add(batchOf(0, sequence));
    const requests = [queue.next(() => 0, 0), queue.next(() => 0, 0)];
    queue.settle(requests[0]!, () => KAFKA_CODE.notEnoughReplicas, 0);
    expect(queue.next(() => 0, 1000)).toBeUndefined();
    queue.settle(requests[1]!, () => KAFKA_CODE.outOfOrderSequence, 0);
    expect(sendAll(queue, 1000).map(({ batches }) => batches[0]?.bytes.readInt32BE(0))).toEqual([0, 1, 2]);
  });

  it('puts one batch of each partition into a request, up to four MiB', () => {
    const queue = createKnownQueue(3);
    for (let partition = 0; partition < 3; partition += 1)
      for (const sequence of [0, 1]) queue.add(batchOf(partition, sequence, 2_000_000));
    expect(sendAll(queue, 0).map(({ batches }) => batches.map(({ partition }) => partition))).toEqual([[0, 1], [0, 1], [2], [2]]);
  });

  it('rests longer after each failure in a row, up to a second, and not after one that passed', () => {
    const queue = createProduceQueue();
    queue.add(batchOf(0, 0));
    const rests = Array.from({ length: 12 }, () => {
      const nowMs = queue.restsUntilMs(-1) ?? 0;
      const request = sendAll(queue, nowMs)[0]!;
      expect(queue.settle(request, () => KAFKA_CODE.notEnoughReplicas, nowMs).isStale).toBe(false);
      return (queue.restsUntilMs(nowMs) ?? 0) - nowMs;
    });
    expect(rests).toEqual([5, 10, 20, 40, 80, 160, 320, 640, 1000, 1000, 1000, 1000]);
    expect(queue.repeated).toBe(12);
  });

  it('tells what is refused for good, and when somebody else leads', () => {
    const queue = createProduceQueue();
    queue.add(batchOf(0, 0));
    queue.add(batchOf(1, 0));
    const request = sendAll(queue, 0)[0]!;
    const settled = queue.settle(
      request,
      ({ partition }) => (partition === 0 ? KAFKA_CODE.producerFenced : KAFKA_CODE.notLeaderOrFollower),
      0,
    );
    expect(settled).toMatchObject({ isStale: true, refused: { batch: { partition: 0 }, code: KAFKA_CODE.producerFenced } });
  });

  it('takes a batch out of order as refused unless one before it failed in passing', () => {
    const queue = createKnownQueue();
    for (const sequence of [0, 1]) queue.add(batchOf(0, sequence));
    const requests = sendAll(queue, 0);
    expect(queue.settle(requests[0]!, () => KAFKA_CODE.requestTimedOut, 0).refused).toBeUndefined();
    expect(queue.settle(requests[1]!, () => KAFKA_CODE.outOfOrderSequence, 0).refused).toBeUndefined();
    const again = sendAll(queue, 1000);
    expect(again.map(({ batches }) => batches[0]?.bytes.readInt32BE(0))).toEqual([0, 1]);
    expect(queue.settle(again[0]!, () => KAFKA_CODE.outOfOrderSequence, 1000).refused?.code).toBe(KAFKA_CODE.outOfOrderSequence);
  });
});
