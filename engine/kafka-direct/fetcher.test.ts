/** The fetcher against brokers in the process that answer as they are told: what fails, what is full, what is slow. */
import { setTimeout as sleep } from 'node:timers/promises';
import { afterEach, describe, expect, it } from 'vitest';
import { closeAll, holding, readHead, recordsFrom, type Script, setUp } from '../../test/fetch-script.ts';
import { KAFKA_CODE } from './broker-errors.ts';
import type { OffsetJump } from './offset-jumps.ts';

afterEach(closeAll);

const upTo = (end: number): number[] => Array.from({ length: end }, (_, offset) => offset);

describe('the fetcher', () => {
  it('reads partitions of several brokers, each in order and once, and knows when they end', async () => {
    const bench = await setUp({ leaders: [0, 1, 0], answer: holding(30) }, 2);
    bench.fetcher.begin(
      new Map([
        [0, 0],
        [1, 12],
        [2, 30],
      ]),
    );
    expect(bench.fetcher.trouble).toBe('not connected yet');
    const read = await bench.read(() => [0, 1, 2].every((partition) => bench.isAtEnd(partition)));
    expect(read.get(0)).toEqual(upTo(30));
    expect(read.get(1)).toEqual(upTo(30).slice(12));
    expect(read.get(2) ?? []).toEqual([]);
    expect(bench.fetcher.trouble).toBe('');
    expect(bench.asked.every(({ node, partitions }) => partitions.every(({ partition }) => bench.script.leaders[partition] === node))).toBe(
      true,
    );
  });

  it('fetches a batch whose checksum is wrong again, and reads it where it is right then', async () => {
    let isDamaged = true;
    const script: Script = {
      leaders: [0],
      answer(asked) {
        const answer = holding(12)(asked);
        if (typeof answer === 'string' || asked.partitions[0]?.offset !== 6 || !isDamaged) return answer;
        isDamaged = false;
        answer.told[0]?.records?.fill(1, 70, 71);
        return answer;
      },
    };
    const bench = await setUp(script, 1);
    bench.fetcher.begin(new Map([[0, 0]]));
    const read = await bench.read(() => bench.isAtEnd(0));
    expect(read.get(0)).toEqual(upTo(12));
    expect(bench.fetcher.counts).toMatchObject({ refetches: 1, batches: 4, records: 12 });
    expect(bench.fetcher.stopped.size).toBe(0);
  });

  it('stops a partition whose batch is wrong twice, says where, and reads the others on', async () => {
    const script: Script = {
      leaders: [0, 0],
      answer: ({ partitions }) => ({
        told: partitions.map(({ partition, offset }) => {
          const records = Buffer.from(recordsFrom(offset, 30, 1));
          if (partition === 1 && offset === 9) records.fill(1, 70, 71);
          return { partition, end: 30, records };
        }),
      }),
    };
    const bench = await setUp(script, 1);
    bench.fetcher.begin(
      new Map([
        [0, 0],
        [1, 6],
      ]),
    );
    const read = await bench.read(() => bench.isAtEnd(0) && bench.fetcher.stopped.has(1));
    expect(read.get(0)).toEqual(upTo(30));
    expect(read.get(1)).toEqual([6, 7, 8]);
    expect(bench.fetcher.stopped.get(1)).toBe(
      'KAFKA_BATCH_CHECKSUM: topic ticks partition 1, batch at offset 9: another checksum than the bytes have; fetched twice',
    );
    expect(bench.isAtEnd(1)).toBe(false);
    const later = bench.asked.length;
    await bench.read(() => bench.asked.length > later + 3);
    expect(bench.asked.slice(later).every(({ partitions }) => partitions.every(({ partition }) => partition === 0))).toBe(true);
  });

  it('goes to the broker that leads now when another answers that it does not', async () => {
    const NOT_LEADER = 6;
    const script: Script = {
      leaders: [0],
      answer(asked) {
        if (asked.node === script.leaders[0]) return holding(30)(asked);
        return { told: asked.partitions.map(({ partition }) => ({ partition, error: NOT_LEADER })) };
      },
    };
    const bench = await setUp(script, 2);
    bench.fetcher.begin(new Map([[0, 0]]));
    await bench.read((read) => (read.get(0)?.length ?? 0) >= 6);
    script.leaders = [1];
    const read = await bench.read(() => bench.isAtEnd(0));
    expect(read.get(0)).toEqual(upTo(30));
    expect(bench.asked.some(({ node }) => node === 1)).toBe(true);
    expect(bench.fetcher.counts.leaderChanges).toBe(1);
  });

  it('goes on with the others while a broker hangs up, and with that one when it is back', async () => {
    let isAway = true;
    const script: Script = { leaders: [0, 1], answer: (asked) => (asked.node === 1 && isAway ? 'hang up' : holding(30)(asked)) };
    const bench = await setUp(script, 2);
    bench.fetcher.begin(
      new Map([
        [0, 0],
        [1, 0],
      ]),
    );
    const read = await bench.read(() => bench.isAtEnd(0) && bench.fetcher.trouble !== '');
    expect(bench.isAtEnd(1)).toBe(false);
    expect(read.get(1) ?? []).toEqual([]);
    expect(bench.fetcher.takeFailure()).toBeUndefined();
    isAway = false;
    await bench.read(() => bench.isAtEnd(1));
    expect(read.get(1)).toEqual(upTo(30));
    expect(bench.fetcher.trouble).toBe('');
  });

  it('asks for no more of a partition than two answers that nobody has read, nor for anything beyond its bytes', async () => {
    const bench = await setUp({ leaders: [0, 0], answer: holding(3000) }, 1);
    const pumpFor = async (turns: number): Promise<void> => {
      for (let turn = 0; turn < turns; turn += 1) {
        bench.clock.advanceMs(10);
        bench.fetcher.pump();
        await sleep(1);
      }
    };
    bench.fetcher.begin(
      new Map([
        [0, 0],
        [1, 0],
      ]),
    );
    await pumpFor(200);
    expect(bench.asked.map(({ partitions }) => partitions.map(({ partition, offset }) => [partition, offset]))).toEqual([
      [
        [0, 0],
        [1, 0],
      ],
      [
        [0, 6],
        [1, 6],
      ],
    ]);
    // One is read: there is room for that one alone, and its answer must not keep the other waiting.
    readHead(bench.fetcher, bench.decoder, { read: new Map(), nextOffsets: new Map() });
    await pumpFor(50);
    expect(bench.asked.slice(2)).toMatchObject([{ waitMs: 10, partitions: [{ partition: 0, offset: 12 }] }]);

    const bounded = await setUp({ leaders: [0, 0], answer: holding(3000) }, 1, { limits: { aheadBytes: 1 } });
    bounded.fetcher.begin(
      new Map([
        [0, 0],
        [1, 0],
      ]),
    );
    for (let turn = 0; turn < 200; turn += 1) {
      bounded.clock.advanceMs(10);
      bounded.fetcher.pump();
      await sleep(1);
    }
    expect(bounded.asked.length).toBe(1);
  });

  /** A broker that holds offsets `low` to `end` of its one partition, as long as the script says so. */
  const holdingFrom = (script: { low: number; end: number }): Script => ({
    leaders: [0],
    get held() {
      return { lowOffset: script.low, highOffset: script.end };
    },
    answer: (asked) =>
      asked.partitions.some(({ offset }) => offset < script.low)
        ? { told: asked.partitions.map(({ partition }) => ({ partition, error: KAFKA_CODE.offsetOutOfRange })) }
        : holding(script.end)(asked),
  });

  it('goes on behind deleted offsets by policy, says so once everything before has been read, and takes its reader there', async () => {
    for (const [policy, to] of [
      ['earliest', 21],
      ['latest', 30],
    ] as const) {
      const held = { low: 0, end: 30 };
      const jumps: OffsetJump[] = [];
      const bench = await setUp(holdingFrom(held), 1, { onOffsetGone: policy, onJump: (jump) => jumps.push(jump) });
      bench.fetcher.begin(new Map([[0, 0]]));
      // Two answers wait for the reader when the topic loses what follows them.
      await bench.wait(() => bench.asked.length === 2 && bench.fetcher.counts.requests === 2);
      held.low = 21;
      const read = await bench.read((sofar) => {
        if ((sofar.get(0)?.length ?? 0) < 12) expect(jumps).toEqual([]);
        return bench.isAtEnd(0);
      });
      expect(read.get(0)).toEqual([...upTo(12), ...upTo(30).slice(to)]);
      expect(jumps).toEqual([{ topic: 'ticks', partition: 0, from: 12, to }]);
      expect(bench.nextOffsets.get(0)).toBe(30);
    }
  });

  it('ends where offsets are gone and its reader is not to jump, whatever its policy is otherwise', async () => {
    const bench = await setUp(holdingFrom({ low: 21, end: 30 }), 1, { onOffsetGone: 'earliest' });
    bench.fetcher.begin(new Map([[0, 5]]), 'stop');
    let failure: Error | undefined;
    await bench.wait(() => {
      failure ??= bench.fetcher.takeFailure();
      return failure !== undefined;
    });
    expect(failure).toMatchObject({ code: 'KAFKA_OFFSET_GONE', message: /offset 5, expected 21 to 30: older messages have been deleted/ });
  });

  it('leaves a broker alone for as long as it asks to be', async () => {
    let isThrottled = true;
    const script: Script = {
      leaders: [0],
      answer(asked) {
        const answer = holding(30)(asked);
        return typeof answer === 'string' || !isThrottled ? answer : { ...answer, throttleMs: 5000 };
      },
    };
    const bench = await setUp(script, 1);
    bench.fetcher.begin(new Map([[0, 0]]));
    await bench.read((read) => (read.get(0)?.length ?? 0) === 6);
    isThrottled = false;
    const startMs = bench.clock.wallMs();
    const read = await bench.read(() => bench.isAtEnd(0));
    expect(read.get(0)).toEqual(upTo(30));
    expect(bench.clock.wallMs() - startMs).toBeGreaterThanOrEqual(4900);
    expect(bench.fetcher.counts).toMatchObject({ throttles: 1, throttledMs: 5000 });
  });

  it('asks for more at once when not one batch comes whole', async () => {
    const script: Script = {
      leaders: [0],
      answer: ({ partitions }) => ({
        told: partitions.map(({ partition, offset, bytesMax }) => ({
          partition,
          end: 3,
          records: recordsFrom(offset, 3).subarray(0, bytesMax),
        })),
      }),
    };
    const bench = await setUp(script, 1, { limits: { partitionBytes: 20 } });
    bench.fetcher.begin(new Map([[0, 0]]));
    const read = await bench.read(() => bench.isAtEnd(0));
    expect(read.get(0)).toEqual([0, 1, 2]);
    expect(bench.asked[0]?.partitions[0]?.bytesMax).toBe(20);
  });

  it('forgets answers that were under way when it began elsewhere, and asks for nothing while it is held', async () => {
    const bench = await setUp({ leaders: [0], answer: holding(30) }, 1);
    bench.fetcher.begin(new Map([[0, 0]]));
    await bench.read(() => bench.asked.length > 0);
    bench.fetcher.begin(new Map([[0, 21]]));
    const read = await bench.read(() => bench.isAtEnd(0));
    expect(read.get(0)).toEqual(upTo(30).slice(21));
    bench.fetcher.hold();
    const { length } = bench.asked;
    for (let turn = 0; turn < 100; turn += 1) {
      bench.fetcher.pump();
      await sleep(1);
    }
    expect(bench.asked.length).toBeLessThanOrEqual(length + 1);
  });

  it('ends with a failure where it may not read, or where the topic is not there', async () => {
    const TOPIC_AUTHORIZATION_FAILED = 29;
    const script: Script = { leaders: [0], answer: () => ({ told: [{ partition: 0, error: TOPIC_AUTHORIZATION_FAILED }] }) };
    const bench = await setUp(script, 1);
    bench.fetcher.begin(new Map([[0, 0]]));
    let failure: Error | undefined;
    await bench.read(() => {
      failure ??= bench.fetcher.takeFailure();
      return failure !== undefined;
    });
    expect(failure).toMatchObject({ code: 'KAFKA_REFUSED' });
    const missing = await setUp({ leaders: [], answer: holding(0) }, 1);
    missing.fetcher.begin(new Map([[0, 0]]));
    let other: Error | undefined;
    await missing.read(() => {
      other ??= missing.fetcher.takeFailure();
      return other !== undefined;
    });
    expect(other).toMatchObject({ code: 'KAFKA_TOPIC_MISSING' });
  });

  it('waits for a topic that brokers have not heard of yet, and says so', async () => {
    const bench = await setUp({ leaders: [], answer: holding(6) }, 1);
    bench.fetcher.begin(new Map([[0, 0]]));
    await bench.wait(() => bench.fetcher.trouble.includes('no such topic'));
    bench.script.leaders.push(0);
    const read = await bench.read(() => bench.isAtEnd(0));
    expect(read.get(0)).toEqual(upTo(6));
    expect(bench.fetcher.takeFailure()).toBeUndefined();
  });
});
