import { beforeEach, describe, expect, it } from 'vitest';
import { createManualClock } from '../core/clock.ts';
import type { OffsetJump, OffsetPolicy } from '../kafka-direct/offset-jumps.ts';
import type { Consumer, Rdkafka, TopicPartition, WatermarkOffsets } from '../sinks/kafka/rdkafka.ts';
import { createGapWatch, type GapWatch } from './kafka-gone.ts';
import { createMessageQueue } from './kafka-queue.ts';
import { createState, type ReaderState } from './kafka-state.ts';

const TOPIC = 'ticks';
const clock = createManualClock(0);

let state: ReaderState;
let watch: GapWatch;
let asked: number[];
let assigned: (readonly TopicPartition[])[];
let jumps: OffsetJump[];
let failures: Error[];
/** What the brokers hold, by partition; of one without a leader nothing is known. */
let held: Map<number, WatermarkOffsets>;

/** A reader of partitions 0 and 1, at offset 10 of each, of which it knows no end. */
function open(policy: OffsetPolicy): void {
  [asked, assigned, jumps, failures] = [[], [], [], []];
  held = new Map([0, 1].map((partition) => [partition, { lowOffset: 0, highOffset: 50 }]));
  state = Object.assign(createState(), { isStopped: false, isReading: true, assigned: [0, 1], policy });
  for (const partition of [0, 1]) state.readOffsets.set(partition, 10);
  const consumer: Partial<Consumer> = {
    assign: (list) => assigned.push(list),
    queryWatermarkOffsets(_topic, partition, _timeoutMs, done) {
      asked.push(partition);
      const offsets = held.get(partition);
      if (offsets) done(null, offsets);
      else done(Object.assign(new Error('no leader'), { code: 5, isFatal: false }), { lowOffset: -1, highOffset: -1 });
    },
  };
  watch = createGapWatch({
    options: {
      library: {} as Rdkafka,
      brokers: '',
      topic: TOPIC,
      group: '',
      engineId: '',
      sessionMs: 1,
      clock,
      onJump: (jump) => jumps.push(jump),
    },
    state,
    queue: createMessageQueue(),
    consumer: consumer as Consumer,
    fail(error) {
      failures.push(error);
      state.isStopped = true;
    },
  });
}

/** Steps, as a reader does between its reads, while time goes on. */
async function stepFor(ms: number): Promise<void> {
  for (let gone = 0; gone < ms; gone += 100) {
    clock.advanceMs(100);
    watch.step();
    await Promise.resolve();
    await new Promise((resolve) => setImmediate(resolve));
  }
}

describe('a partition that brings nothing more', () => {
  beforeEach(() => open('earliest'));

  it('goes on behind what is gone, alone, and the others from where they are', async () => {
    held.set(1, { lowOffset: 30, highOffset: 50 });
    await stepFor(6000);
    expect(jumps).toEqual([{ topic: TOPIC, partition: 1, from: 10, to: 30 }]);
    expect(assigned).toEqual([
      [
        { topic: TOPIC, partition: 0, offset: 10 },
        { topic: TOPIC, partition: 1, offset: 30 },
      ],
    ]);
    expect(state.jumped).toEqual(new Map([[1, 30]]));
  });

  it('is the only one that is looked at', async () => {
    held.set(0, { lowOffset: 30, highOffset: 50 });
    for (let offset = 11; offset < 80; offset += 1) {
      state.readOffsets.set(0, offset);
      await stepFor(100);
    }
    expect(asked).toEqual([1]);
    expect(jumps).toEqual([]);
  });

  it('is looked at sooner after a report, and not often while nothing is wrong', async () => {
    await stepFor(100);
    watch.report();
    await stepFor(1500);
    expect(asked.toSorted()).toEqual([0, 1]);
    await stepFor(20_000);
    expect(asked).toHaveLength(2);
    await stepFor(15_000);
    expect(asked.toSorted()).toEqual([0, 0, 1, 1]);
  });

  it('holds up nobody while it has no leader', async () => {
    held.delete(0);
    held.set(1, { lowOffset: 30, highOffset: 50 });
    await stepFor(12_000);
    expect(asked.filter((partition) => partition === 0).length).toBeGreaterThan(1);
    expect(jumps).toHaveLength(1);
    expect(failures).toEqual([]);
  });

  it('ends the reader where the policy says so', async () => {
    open('stop');
    held.set(1, { lowOffset: 30, highOffset: 50 });
    await stepFor(6000);
    expect(failures).toMatchObject([{ code: 'KAFKA_OFFSET_GONE' }]);
    expect(assigned).toEqual([]);
  });

  it('is left alone when it moves on before the answer is used', async () => {
    held.set(0, { lowOffset: 30, highOffset: 50 });
    await stepFor(4900);
    clock.advanceMs(200);
    watch.step();
    await new Promise((resolve) => setImmediate(resolve));
    state.readOffsets.set(0, 11);
    watch.step();
    expect(asked[0]).toBe(0);
    expect(jumps).toEqual([]);
  });
});
