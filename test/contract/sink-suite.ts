/** What every sink of bars has to do, wherever they go. */
import { afterEach, describe, expect, it } from 'vitest';

/** A first revision of a 1 s bar: one symbol has at most one for each start. */
export interface SinkBar {
  readonly symbolIndex: number;
  /** Bucket start in whole seconds after a moment of the fixture's choice. */
  readonly startSec: number;
}

export interface SinkFixture {
  /** Symbols that bars may be of: indices below this. */
  readonly symbolCount: number;
  /** Bars that may be put now; the sink holds its producer back by having none. */
  room(): number;
  /** Hands bars over, at most `room()`. */
  put(bars: readonly SinkBar[]): void;
  /** Lets the sink work for a moment. */
  passTime(): Promise<void>;
  /** Resolves once everything put is durable at the destination, and ends the sink. */
  close(): Promise<void>;
  /** What the destination has, in order of arrival. */
  arrived(): Promise<readonly SinkBar[]>;
  /** Cuts the way to the destination, and opens it again; undefined where the destination cannot be cut off. */
  readonly line: { cut(): Promise<void>; mend(): Promise<void> } | undefined;
  /** Takes everything down, after `close` or without it. */
  dispose(): Promise<void>;
}

const BATCH = 40;
/** A sink that takes this much while its destination is gone does not hold back. */
const HELD_MAX = 1_000_000;
const TURNS_MAX = 100_000;

/** Runs the suite; `create` gives a fresh sink and an empty destination each time. */
export function describeSink(name: string, create: () => Promise<SinkFixture>, options: { canBeCut: boolean }): void {
  const uncut = options.canBeCut ? '' : ' (skipped: this destination cannot be cut off)';
  describe(`sink ${name}`, () => {
    const opened: SinkFixture[] = [];
    const open = async (): Promise<SinkFixture> => {
      const fixture = await create();
      opened.push(fixture);
      return fixture;
    };
    const lineOf = ({ line }: SinkFixture): NonNullable<SinkFixture['line']> => {
      if (line === undefined) throw new Error(`sink ${name} says that it can be cut off, but has no line`);
      return line;
    };
    afterEach(async () => {
      for (const fixture of opened.splice(0)) await fixture.dispose();
    });

    it('delivers every bar once, and those of a symbol in order', async () => {
      const fixture = await open();
      const put = await putWithRoom(fixture, { from: 0, count: 2000 });
      await fixture.close();
      assertDelivered(await fixture.arrived(), put);
    });

    it('delivers what it was given just before it is closed', async () => {
      const fixture = await open();
      const bars = barsFrom(fixture, 0, Math.min(BATCH, fixture.room()));
      fixture.put(bars);
      await fixture.close();
      assertDelivered(await fixture.arrived(), bars);
    });

    it.runIf(options.canBeCut)(`holds its producer back while the destination is gone, and loses and doubles nothing${uncut}`, async () => {
      const fixture = await open();
      const line = lineOf(fixture);
      const put = [...(await putWithRoom(fixture, { from: 0, count: BATCH }))];
      await line.cut();
      let refusals = 0;
      while (refusals < 100) {
        expect(put.length).toBeLessThan(HELD_MAX);
        if (fixture.room() < BATCH) refusals += 1;
        else {
          refusals = 0;
          const bars = barsFrom(fixture, put.length, BATCH);
          fixture.put(bars);
          put.push(...bars);
        }
        await fixture.passTime();
      }
      await line.mend();
      put.push(...(await putWithRoom(fixture, { from: put.length, count: BATCH })));
      await fixture.close();
      assertDelivered(await fixture.arrived(), put);
    });

    it.runIf(options.canBeCut)(`doubles nothing when the line is cut again and again${uncut}`, async () => {
      const fixture = await open();
      const line = lineOf(fixture);
      const put: SinkBar[] = [];
      for (let round = 0; round < 5; round += 1) {
        put.push(...(await putWithRoom(fixture, { from: put.length, count: 3 * BATCH })));
        await line.cut();
        put.push(...(await putWithRoom(fixture, { from: put.length, count: Math.min(BATCH, fixture.room()) })));
        await line.mend();
      }
      await fixture.close();
      assertDelivered(await fixture.arrived(), put);
    });
  });
}

/** Bars in the order of their numbers: all symbols of a second, then the next second. */
function barsFrom({ symbolCount }: SinkFixture, from: number, count: number): SinkBar[] {
  return Array.from({ length: count }, (_, index) => ({
    symbolIndex: (from + index) % symbolCount,
    startSec: Math.floor((from + index) / symbolCount),
  }));
}

/** Puts bars as there is room for them. */
async function putWithRoom(fixture: SinkFixture, { from, count }: { from: number; count: number }): Promise<readonly SinkBar[]> {
  const bars = barsFrom(fixture, from, count);
  let done = 0;
  for (let turn = 0; done < count; turn += 1) {
    expect(turn, `turns to put ${count} bars, ${done} of them put`).toBeLessThan(TURNS_MAX);
    const room = Math.min(BATCH, fixture.room(), count - done);
    if (room > 0) fixture.put(bars.slice(done, done + room));
    done += Math.max(room, 0);
    await fixture.passTime();
  }
  return bars;
}

function assertDelivered(arrived: readonly SinkBar[], put: readonly SinkBar[]): void {
  expect(put.length).toBeGreaterThan(0);
  expect(bySymbol(arrived)).toEqual(bySymbol(put));
}

/** Starts of each symbol, in order. */
function bySymbol(bars: readonly SinkBar[]): Map<number, number[]> {
  const starts = new Map<number, number[]>();
  for (const { symbolIndex, startSec } of bars) {
    const known = starts.get(symbolIndex);
    if (known === undefined) starts.set(symbolIndex, [startSec]);
    else known.push(startSec);
  }
  return new Map([...starts].sort(([left], [right]) => left - right));
}
