import { decodeFromCompressedBase64 } from 'hdr-histogram-js';
import { expect, it } from 'vitest';
import * as L from '../../schemas/layout.gen.ts';
import { createShard, drive, makeStream, PLAIN_STREAM, regionShape } from '../../test/bar-streams.ts';
import { createManualClock } from '../core/clock.ts';
import { type TickRecord, writeTick } from '../market/ring-record.ts';
import { outRingOf, SHARD_HEADER_ADDRESS, tickRingOf } from '../memory/region.ts';
import { createShardAgent } from './shard-agent.ts';

const OPTIONS = { ...PLAIN_STREAM, ticks: 500, symbols: 5, gapUs: 100_000 };
const DRIVE = { seed: 1, tickCapacity: 2048, outCapacity: 4096 };

function setUp(outCapacity = DRIVE.outCapacity) {
  const { memory } = createShard(regionShape(OPTIONS, 0, { ...DRIVE, outCapacity }));
  const clock = createManualClock(1_000_000);
  const encoded: string[] = [];
  const agent = createShardAgent({ memory, clock, onLatency: (text) => encoded.push(text) });
  const ring = tickRingOf(memory);
  const publish = (records: readonly TickRecord[]): void => {
    const bytes = new ArrayBuffer(records.length * L.TICK_SIZE);
    records.forEach((record, index) => {
      writeTick(new DataView(bytes), index * L.TICK_SIZE, record);
    });
    ring.publish(new Int32Array(bytes), 0, records.length);
  };
  const takeOut = (): Uint8Array => {
    const out = outRingOf(memory);
    const at = out.tailIndex() << 2;
    const bytes = new Uint8Array(memory.buffer).slice(at, at + out.run() * L.BAR_SIZE);
    out.release(out.run());
    return bytes;
  };
  return { memory, clock, encoded, agent, publish, takeOut };
}

const stampedAt = (clock: { monotonicUs(): number }, records: readonly TickRecord[]): TickRecord[] =>
  records.map((record) => (record.kind <= L.TICK_KIND_BAR ? { ...record, ingestUs: clock.monotonicUs() % 2 ** 32 } : record));

it('D-14: a consumer that pauses for five minutes makes the same bars, since they depend on event time only', () => {
  const [records] = makeStream(OPTIONS).records;
  const expected = drive(createShard(regionShape(OPTIONS, 0, DRIVE)), records!, 1);
  const { clock, agent, publish, takeOut } = setUp();
  const half = records!.length >> 1;
  publish(records!.slice(0, half));
  while (agent.doWork() > 0);
  publish(records!.slice(half));
  clock.advanceMs(5 * 60_000);
  while (agent.doWork() > 0);
  expect(Buffer.from(takeOut())).toEqual(expected);
});

it('records the time from ingest to merged, once for each tick, across the wrap of the microsecond clock', () => {
  const { clock, encoded, agent, publish } = setUp();
  const [records] = makeStream(OPTIONS).records;
  clock.advanceMs((2 ** 32 - 1_000_000_000) / 1000 - 2);
  publish(stampedAt(clock, records!));
  clock.advanceMs(5);
  while (agent.doWork() > 0);
  const histogram = decodeFromCompressedBase64(encoded[0]!);
  expect(encoded).toHaveLength(1);
  expect(histogram.totalCount).toBe(500);
  expect(histogram.getValueAtPercentile(50)).toBeGreaterThanOrEqual(5000);
  expect(histogram.maxValue).toBeLessThanOrEqual(5003);
});

it('is done once the final barrier has been passed on, not before', () => {
  const { agent, publish } = setUp();
  const [records] = makeStream(OPTIONS).records;
  publish(records!.slice(0, -1));
  while (agent.doWork() > 0);
  expect(agent.isDone).toBe(false);
  publish(records!.slice(-1));
  agent.doWork();
  expect(agent.isDone).toBe(true);
});

it('stops at a full out ring, waits for room, and goes on where it stood', () => {
  const { memory, agent, publish, takeOut } = setUp(16);
  const [records] = makeStream(OPTIONS).records;
  const expected = drive(createShard(regionShape(OPTIONS, 0, DRIVE)), records!, 1);
  publish(records!);
  const taken: Uint8Array[] = [];
  for (let rounds = 0; !agent.isDone && rounds < 10_000; rounds += 1) {
    while (agent.doWork() > 0);
    agent.park(0);
    taken.push(takeOut());
  }
  taken.push(takeOut(), takeOut());
  expect(Buffer.concat(taken)).toEqual(expected);
  const counters = new Float64Array(memory.buffer, SHARD_HEADER_ADDRESS);
  expect(counters[L.SHARD_BLOCKED_POLLS_F64]).toBeGreaterThan(10);
  expect(counters[L.SHARD_PARKS_F64]).toBeGreaterThan(10);
});

it('counts its heartbeat up with every look for work: with some, with none, and in front of a full out ring', () => {
  const { memory, agent, publish } = setUp(16);
  const words = new Uint32Array(memory.buffer, SHARD_HEADER_ADDRESS);
  const beats = (): number => words[L.SHARD_HEARTBEAT_I32]!;
  agent.doWork();
  expect(beats()).toBe(1);
  publish(makeStream(OPTIONS).records[0]!);
  let looks = 1;
  for (let done = 1; done > 0; looks += 1) done = agent.doWork();
  expect(looks).toBeGreaterThan(2);
  expect(beats()).toBe(looks);
  expect(agent.isDone).toBe(false);
  agent.park(0);
  agent.doWork();
  expect(beats()).toBe(looks + 1);
  words[L.SHARD_HEARTBEAT_I32] = 2 ** 32 - 1;
  agent.doWork();
  expect(beats()).toBe(0);
});
