/** The matcher kernel by the batch against the plain book: what it looks at ahead of its turn may be nonsense, far away, or gone. */
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { createMatcher, type Matcher } from '../engine/kernel/matcher.ts';
import { createBookOracle } from '../engine/market/book-oracle.ts';
import {
  attributesOf,
  newCommand,
  OPEN_INSTRUMENT,
  type OrderCommand,
  type OrderEvent,
  readEvent,
  writeCommand,
} from '../engine/market/order-command.ts';
import * as L from '../schemas/order-layout.gen.ts';
import { runs, SEED } from './bar-arbitraries.ts';
import { anySession, type BookSession, honestSession, setUp } from './order-arbitraries.ts';
import { makeFlow } from './order-flow.ts';
import { tangledSessions } from './tangled-sessions.ts';

const COMMAND_CAPACITY = 256;
const matchers = new Map<string, Matcher>();

/** An empty matcher; one a shape, as each has a memory of its own. Commands of earlier sessions still lie behind those of this one. */
function matcherFor({ shape }: BookSession): Matcher {
  const key = JSON.stringify(shape);
  const matcher = matchers.get(key) ?? createMatcher({ ...shape, commandCapacity: COMMAND_CAPACITY });
  matchers.set(key, matcher);
  matcher.clear();
  return matcher;
}

function runBatch(matcher: Matcher, commands: readonly OrderCommand[]): OrderEvent[] {
  const events: OrderEvent[] = [];
  commands.forEach((command, index) => {
    writeCommand(matcher.commands.view, index * L.ORDER_COMMAND_SIZE, command);
  });
  for (let done = 0; done < commands.length; ) {
    const taken = matcher.run(commands.length - done, done);
    const count = matcher.eventCount();
    expect(taken + count, 'a run does something').toBeGreaterThan(0);
    for (let index = 0; index < count; index += 1) events.push(readEvent(matcher.events.view, index * L.ORDER_EVENT_SIZE));
    done += taken;
  }
  return events;
}

/** Each batch has `size` commands, the last one fewer. */
function compare(session: BookSession, size: number): void {
  const [oracle, matcher] = [createBookOracle(session.shape), matcherFor(session)];
  setUp(oracle, session);
  setUp(matcher, session);
  for (let from = 0; from < session.commands.length; from += size) {
    const commands = session.commands.slice(from, from + size);
    const expected = commands.flatMap((command) => oracle.apply(command));
    expect(runBatch(matcher, commands), `events of the batch from ${from}`).toEqual(expected);
  }
  session.instruments.forEach((instrument, symbolIndex) => {
    if (instrument) expect(matcher.list(symbolIndex)).toEqual(oracle.list(symbolIndex));
  });
}

/** As many resting orders as fill `count` slots, far below the prices of the sessions. */
function ballast(count: number): OrderCommand[] {
  return Array.from({ length: count }, (_, index) =>
    newCommand({ orderId: BigInt(1_000_000 + index), quantityLots: 1, priceTicks: -600_000 - (index % 700), attributes: attributesOf({}) }),
  );
}

describe('matcher kernel in batches', () => {
  const anything = fc.oneof(anySession, honestSession, tangledSessions(150));

  it('agrees with the plain book on any session, however it is cut', { timeout: 300_000 }, () => {
    fc.assert(fc.property(anything, fc.integer({ min: 1, max: COMMAND_CAPACITY }), compare), runs(600));
  });

  it('agrees with the plain book when thousands of orders stand', { timeout: 300_000 }, () => {
    const sessions = fc.sample(anything, { numRuns: 2, seed: SEED ?? 3 });
    for (const session of sessions) {
      const instruments = session.instruments.map((instrument) => instrument && { ...OPEN_INSTRUMENT, lastTicks: 100 });
      const shape = { ...session.shape, orders: 12_000, pages: 64 };
      const commands = [...ballast(9000), ...session.commands.filter(({ kind }) => kind !== L.COMMAND_KIND_MASS_CANCEL)];
      compare({ ...session, shape, instruments, commands }, COMMAND_CAPACITY);
    }
  });

  it('agrees with the plain book on a flow like a market’s', { timeout: 120_000 }, () => {
    compare(makeFlow(SEED ?? 21, 10_000), COMMAND_CAPACITY);
  });
});
