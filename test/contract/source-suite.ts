/** What every source of ticks has to do, whatever it reads from. */
import { afterEach, describe, expect, it } from 'vitest';
import type { Source, SourcePosition } from '../../engine/ingest/source.ts';
import { REFUSAL } from '../../schemas/records.ts';
import { createMemoryPort, type MemoryPort, type ReceivedTick } from './memory-port.ts';

export interface SourceFixture {
  readonly source: Source;
  /** Ticks that the source will refuse as malformed before it is done. */
  readonly malformedCount: number;
  /** True once the source has handed over everything that the fixture holds. */
  isDone(): boolean;
  /** Lets more become due or arrive: moves a clock, or waits for reading. */
  passTime(): Promise<void>;
  close(): Promise<void>;
}

const TURNS_MAX = 200_000;
const LARGE_BUDGET = 4096;

/** Runs the suite. `create` gives a fresh source over the same ticks each time, at least 20 of them. */
export function describeSource(name: string, create: () => Promise<SourceFixture>): void {
  describe(`source ${name}`, () => {
    const opened: SourceFixture[] = [];
    const open = async (port: MemoryPort, from?: SourcePosition): Promise<SourceFixture> => {
      const fixture = await create();
      opened.push(fixture);
      await fixture.source.start(port, from);
      return fixture;
    };
    const drainAll = async (): Promise<MemoryPort> => {
      const port = createMemoryPort();
      await drain(await open(port), port);
      return port;
    };
    afterEach(async () => {
      for (const { source, close } of opened.splice(0)) {
        await source.stop();
        await close();
      }
    });

    it('hands over everything, and counts what it offered as accepted or refused', async () => {
      const port = createMemoryPort();
      const fixture = await open(port);
      const polled = await drain(fixture, port);
      expect(port.ticks.length).toBeGreaterThanOrEqual(20);
      expect(fixture.source.offered).toBe(port.ticks.length + port.refusedCount);
      expect(polled).toBe(fixture.source.offered);
      expect(port.refusals.get(REFUSAL.malformed) ?? 0).toBe(fixture.malformedCount);
      expect(fixture.source.failure()).toBeUndefined();
      for (const tick of port.ticks) expect(fixture.source.partitions).toContain(tick.partition);
    });

    it('is caught up, and offers nothing more, once it is done', async () => {
      const port = createMemoryPort();
      const fixture = await open(port);
      await drain(fixture, port);
      const { offered } = fixture.source;
      expect(fixture.source.poll(LARGE_BUDGET)).toBe(0);
      expect(fixture.source.offered).toBe(offered);
      for (const partition of fixture.source.partitions) expect(fixture.source.isCaughtUp(partition)).toBe(true);
    });

    it('hands over the same ticks whatever the budget, and never more than it', async () => {
      const whole = await drainAll();
      for (const budget of [1, 7]) {
        const port = createMemoryPort();
        const fixture = await open(port);
        await drain(fixture, port, { budget });
        expect(byPartition(port.ticks)).toEqual(byPartition(whole.ticks));
        expect(port.refusals).toEqual(whole.refusals);
      }
    });

    it('waits while there is no room, and loses nothing', async () => {
      const whole = await drainAll();
      const port = createMemoryPort();
      const fixture = await open(port);
      port.setRoom(0);
      for (let turn = 0; turn < 20; turn += 1) {
        await fixture.passTime();
        expect(fixture.source.poll(LARGE_BUDGET)).toBe(0);
      }
      expect(fixture.source.offered).toBe(0);
      await drain(fixture, port, { room: 3 });
      expect(byPartition(port.ticks)).toEqual(byPartition(whole.ticks));
      expect(fixture.source.offered).toBe(port.ticks.length + port.refusedCount);
    });

    it('offers nothing after it was stopped, and does not claim to have ended', async () => {
      const port = createMemoryPort();
      const fixture = await open(port);
      await drain(fixture, port, { budget: 5, upTo: 10 });
      const { offered } = fixture.source;
      await fixture.source.stop();
      await fixture.passTime();
      expect(fixture.source.poll(LARGE_BUDGET)).toBe(0);
      expect(fixture.source.offered).toBe(offered);
      expect(fixture.source.isEnded).toBe(false);
    });

    it('goes on from a position without a hole or a repeat, if it says that it can', async (context) => {
      const whole = await drainAll();
      for (const upTo of [0, 1, 10, Number.POSITIVE_INFINITY]) {
        const before = createMemoryPort();
        const first = await open(before);
        if (!first.source.isReplayable) context.skip(`${name} cannot be read again from an offset`);
        await drain(first, before, { budget: 3, upTo });
        const position = first.source.position();
        await first.source.stop();

        const after = createMemoryPort();
        const second = await open(after, position);
        await drainRest(second, after, whole.ticks.length - before.ticks.length);
        expect(byPartition([...before.ticks, ...after.ticks])).toEqual(byPartition(whole.ticks));
        expect(before.refusedCount + after.refusedCount).toBe(whole.refusedCount);
        expect(second.source.position()).toEqual((await endPosition(open)).position);
      }
    });
  });
}

type Open = (port: MemoryPort, from?: SourcePosition) => Promise<SourceFixture>;

async function endPosition(open: Open): Promise<{ readonly position: SourcePosition }> {
  const port = createMemoryPort();
  const fixture = await open(port);
  await drain(fixture, port);
  return { position: fixture.source.position() };
}

interface DrainOptions {
  readonly budget?: number;
  /** Room given at each turn; without it there is always room. */
  readonly room?: number;
  /** Stop when so many ticks were offered. */
  readonly upTo?: number;
}

/** Polls until the fixture is done; returns the sum of what `poll` returned. */
async function drain({ source, isDone, passTime }: SourceFixture, port: MemoryPort, options: DrainOptions = {}): Promise<number> {
  const budget = options.budget ?? LARGE_BUDGET;
  let sum = 0;
  for (let turn = 0; turn < TURNS_MAX; turn += 1) {
    if (isDone() || source.offered >= (options.upTo ?? Number.POSITIVE_INFINITY)) return sum;
    const room = options.room ?? Number.MAX_SAFE_INTEGER;
    port.setRoom(room);
    const accepted = port.ticks.length;
    const count = source.poll(budget);
    expect(count).toBeLessThanOrEqual(budget);
    expect(port.ticks.length - accepted).toBeLessThanOrEqual(room);
    sum += count;
    if (count === 0) await passTime();
    const failure = source.failure();
    if (failure) throw failure;
  }
  throw new Error(`${source.name}: not done after ${TURNS_MAX} polls, ${source.offered} ticks offered`);
}

/** Polls a source that began in the middle until it handed over `count` ticks and has nothing more. */
async function drainRest({ source, passTime }: SourceFixture, port: MemoryPort, count: number): Promise<void> {
  for (let turn = 0; turn < TURNS_MAX; turn += 1) {
    const polled = source.poll(LARGE_BUDGET);
    const failure = source.failure();
    if (failure) throw failure;
    const isIdle = source.partitions.every((partition) => source.isCaughtUp(partition));
    if (polled === 0 && isIdle && port.ticks.length >= count) return;
    if (polled === 0) await passTime();
  }
  throw new Error(`${source.name}: ${port.ticks.length} of ${count} ticks after ${TURNS_MAX} polls`);
}

/** Order holds within a partition; between partitions it may differ. */
function byPartition(ticks: readonly ReceivedTick[]): Map<number, ReceivedTick[]> {
  const groups = new Map<number, ReceivedTick[]>();
  for (const tick of [...ticks].sort((left, right) => left.partition - right.partition)) {
    const group = groups.get(tick.partition);
    if (group) group.push(tick);
    else groups.set(tick.partition, [tick]);
  }
  return groups;
}
