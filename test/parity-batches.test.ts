/** The matcher kernel by the batch against the plain book: what it looks at ahead of its turn may be nonsense, far away, or gone. */
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { createPrng, type Prng } from '../engine/core/prng.ts';
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

/** The inverse of the odd number that ids are multiplied with for their hash, modulo 2^64. */
const HASH_INVERSE = 0xf1de83e19937733dn;

/**
 * Orders whose searches all begin at the same place of the id table, farther from each other's entries than an entry can say; then new, cancelled,
 * moved and doubled ones in any order, and some that begin where the others have spread to.
 */
function collidingCommands(prng: Prng, count: number): OrderCommand[] {
  const idOf = (hash: number, home: number): bigint => BigInt.asUintN(64, ((BigInt(home) << 52n) + BigInt(hash + 1)) * HASH_INVERSE);
  const idElsewhere = (): bigint => idOf(prng.nextBelow(2), 5 * prng.nextBelow(400));
  const idAny = (): bigint => (prng.nextBelow(3) === 0 ? idElsewhere() : idOf(prng.nextBelow(2 * count), 0));
  const first = Array.from({ length: count }, (_, index) => newCommand({ orderId: idOf(index, 0), priceTicks: 90, quantityLots: 1 }));
  const others = Array.from({ length: 4 * count }, () => {
    const kind = [L.COMMAND_KIND_NEW, L.COMMAND_KIND_CANCEL, L.COMMAND_KIND_CANCEL, L.COMMAND_KIND_MOVE][prng.nextBelow(4)]!;
    return newCommand({ kind, orderId: idAny(), priceTicks: 80 + prng.nextBelow(10), quantityLots: kind === L.COMMAND_KIND_NEW ? 1 : 0 });
  });
  return [...first, ...others];
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

  it('agrees with the plain book when all ids collide', { timeout: 120_000 }, () => {
    const commands = collidingCommands(createPrng(SEED ?? 9), 1500);
    const shape = { symbols: 1, orders: 4000, pages: 8, owners: 1 };
    compare({ shape, instruments: [OPEN_INSTRUMENT], limits: [], commands }, COMMAND_CAPACITY);
  });

  it('agrees with the plain book on a flow like a market’s', { timeout: 120_000 }, () => {
    compare(makeFlow(SEED ?? 21, 10_000), COMMAND_CAPACITY);
  });
});
