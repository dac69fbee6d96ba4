import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { COMMAND_KIND, EVENT_KIND, ORDER_LIMIT } from '../../schemas/order-records.ts';
import { runs } from '../../test/bar-arbitraries.ts';
import { orderRequests, testCatalogue } from '../../test/order-requests.ts';
import { createMatcherLink } from '../execution/exchange/matcher-link.ts';
import { isRefusal } from '../execution/exchange/refusal.ts';
import { readRequest } from '../execution/exchange/request.ts';
import { resolveRequest } from '../execution/exchange/resolve.ts';
import { createBookOracle } from '../market/book-oracle.ts';
import { type BookInstrument, newCommand, type OrderCommand, restoreOf } from '../market/order-command.ts';
import { ORDER_SLOT_BYTES, openSlotRing } from '../market/order-ring.ts';
import { allocateRing } from '../memory/ring.ts';
import { createMatcher } from './matcher.ts';
import { createMatcherAgent } from './matcher-agent.ts';
import { type MatcherSetup, setUpMatcher } from './matcher-core.ts';
import { createMatcherTwin } from './matcher-twin.ts';

const POOLS = { symbols: 3, orders: 4096, pages: 256, owners: 4 };
const catalogue = testCatalogue();
const instruments = catalogue.books.map((book): BookInstrument => ({ ...book, lastTicks: ORDER_LIMIT.priceNone }));
const owners = catalogue.owners.map(({ owner, ...limits }) => [owner, limits] as const);
const SETUP = { instruments, owners, restores: [] };

/** Commands of a flow; orders are named by what was entered before, live or not. */
function commandsOf(seed: number, count: number): OrderCommand[] {
  const entered = new Map<string, OrderCommand>();
  return orderRequests({ seed, count }).flatMap((json, index) => {
    const request = readRequest(json);
    if (isRefusal(request)) return [];
    const orderId = BigInt(index + 1);
    const command = resolveRequest(request, { catalogue, orderId, tsNs: BigInt(index), findOrder: (_id, name) => entered.get(name) });
    if (isRefusal(command)) return [];
    if (request.op === 'new') entered.set(request.clientOrderId, command);
    return [command];
  });
}

/** Both ends on one thread: the agent works whenever main would rest. */
function connect(capacity: number, matcher: MatcherSetup) {
  const orders = allocateRing(capacity, ORDER_SLOT_BYTES);
  const events = allocateRing(capacity, ORDER_SLOT_BYTES);
  setUpMatcher(matcher, SETUP);
  const heartbeat = new Int32Array(1);
  const agent = createMatcherAgent({ matcher, orderRing: openSlotRing(orders), eventRing: openSlotRing(events), heartbeat });
  const link = createMatcherLink({
    orderRing: openSlotRing(orders),
    eventRing: openSlotRing(events),
    pause: async () => void agent.doWork(),
    failure: () => undefined,
  });
  return { agent, link, heartbeat };
}

describe('commands through the rings', () => {
  it('come back with the events of the plain book, each command with its own, through rings of any size', async () => {
    const sizes = fc.record({ seed: fc.nat(), capacity: fc.constantFrom(2, 4, 16, 1024), isKernel: fc.boolean() });
    const kernel = createMatcher({ ...POOLS, commandCapacity: 1 });
    await fc.assert(
      fc.asyncProperty(sizes, async ({ seed, capacity, isKernel }) => {
        kernel.clear();
        const { link, heartbeat } = connect(capacity, isKernel ? kernel : createMatcherTwin(POOLS));
        const oracle = createBookOracle(POOLS);
        setUpMatcher({ ...createMatcherTwin(POOLS), ...oracle }, SETUP);
        const commands = commandsOf(seed, 200);
        const expected = commands.map((command) => oracle.apply(command));
        expect(await link.run(commands)).toEqual(expected);
        expect(heartbeat[0]).toBeGreaterThan(0);
        for (const { symbolIndex, lastTicks, orders } of await link.list([0, 1, 2])) {
          const listed = orders.map((order) => ({ ...order, tsNs: 0n }));
          expect(listed).toEqual(oracle.list(symbolIndex).map((order) => restoreOf(symbolIndex, order)));
          expect(lastTicks ?? ORDER_LIMIT.priceNone).toBe(oracle.lastTicks(symbolIndex));
        }
      }),
      runs(40),
    );
  });

  it('a book that is put back from its list goes on as if nothing had been', async () => {
    await fc.assert(
      fc.asyncProperty(fc.nat(), async (seed) => {
        const oracle = createBookOracle(POOLS);
        setUpMatcher({ ...createMatcherTwin(POOLS), ...oracle }, SETUP);
        const commands = commandsOf(seed, 300);
        const phases = instruments.map(({ phase }) => phase);
        const bands = instruments.map(({ lowerTicks, upperTicks }) => ({ lowerTicks, upperTicks }));
        for (const command of commands.slice(0, 150)) {
          const isRefused = oracle.apply(command).some(({ kind }) => kind === EVENT_KIND.rejected);
          if (command.kind === COMMAND_KIND.phase && !isRefused) phases[command.symbolIndex] = command.quantityLots;
          if (command.kind === COMMAND_KIND.band && !isRefused) {
            bands[command.symbolIndex] = { lowerTicks: command.priceTicks, upperTicks: command.stopTicks };
          }
        }
        const restored = createMatcherTwin(POOLS);
        setUpMatcher(restored, {
          owners,
          instruments: instruments.map((instrument, index) => ({
            ...instrument,
            ...bands[index]!,
            phase: phases[index]!,
            lastTicks: oracle.lastTicks(index),
          })),
          restores: [0, 1, 2].flatMap((index) => oracle.list(index).map((order) => restoreOf(index, order))),
        });
        for (const index of [0, 1, 2]) expect(restored.list(index)).toEqual(oracle.list(index));
        for (const command of commands.slice(150)) expect(restored.apply(command)).toEqual(oracle.apply(command));
      }),
      runs(40),
    );
  });

  it('refuses a stored order that the books cannot hold any more', () => {
    const restores = [1n, 2n, 3n].map((orderId) =>
      newCommand({ kind: COMMAND_KIND.restore, orderId, priceTicks: 10_000, quantityLots: 1 }),
    );
    setUpMatcher(createMatcherTwin(POOLS), { ...SETUP, restores });
    expect(() => setUpMatcher(createMatcherTwin({ ...POOLS, orders: 2 }), { ...SETUP, restores })).toThrow(/refused for reason 23/);
  });

  it('ends when it is told to', async () => {
    const { agent, link } = connect(8, createMatcherTwin(POOLS));
    await link.run(commandsOf(1, 5));
    expect(agent.isDone).toBe(false);
    expect(link.stop()).toBe(true);
    agent.doWork();
    expect(agent.isDone).toBe(true);
  });

  it('hands on what has become of the thread instead of waiting for it', async () => {
    const orders = openSlotRing(allocateRing(8, ORDER_SLOT_BYTES));
    const events = openSlotRing(allocateRing(8, ORDER_SLOT_BYTES));
    let looks = 0;
    const failure = (): Error | undefined => (looks > 3 ? new Error('the thread is gone') : undefined);
    const link = createMatcherLink({ orderRing: orders, eventRing: events, pause: async () => looks++, failure });
    await expect(link.run(commandsOf(1, 5))).rejects.toThrow('the thread is gone');
  });
});
