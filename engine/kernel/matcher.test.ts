import { describe, expect, it } from 'vitest';
import * as L from '../../schemas/order-layout.gen.ts';
import { setUp } from '../../test/order-arbitraries.ts';
import { makeFlow } from '../../test/order-flow.ts';
import { createPrng, type Prng } from '../core/prng.ts';
import {
  attributesOf,
  type BookInstrument,
  newCommand,
  type OrderCommand,
  type OrderEvent,
  readEvent,
  writeCommand,
} from '../market/order-command.ts';
import { createPrivateMemory } from './host.ts';
import { createMatcher, type Matcher, type MatcherOptions, matcherBytes, openMatcher } from './matcher.ts';

const OPTIONS: MatcherOptions = { symbols: 2, orders: 20_000, pages: 200, owners: 6, commandCapacity: 256 };
const flow = makeFlow(Number(process.env['SEED'] ?? 5), 12_000);
const SYMBOLS = [0, 1] as const;

/** Sends commands in batches of 256; gives the bytes of all events and the books. */
function runBatches(matcher: Matcher, commands: readonly OrderCommand[], onEvent: (event: OrderEvent) => void): void {
  for (let from = 0; from < commands.length; from += 256) {
    const batch = commands.slice(from, from + 256);
    for (const [index, command] of batch.entries()) writeCommand(matcher.commands.view, index * L.ORDER_COMMAND_SIZE, command);
    for (let done = 0; done < batch.length; ) {
      done += matcher.run(batch.length - done, done);
      for (let index = 0; index < matcher.eventCount(); index += 1) onEvent(readEvent(matcher.events.view, index * L.ORDER_EVENT_SIZE));
    }
  }
}

function openFlow(): Matcher {
  const matcher = createMatcher(OPTIONS);
  setUp(matcher, flow);
  return matcher;
}

const booksOf = (matcher: Matcher): unknown => SYMBOLS.map((symbol) => matcher.list(symbol));

describe('matcher', () => {
  it('does the same one command at a time and in batches, and writes only the events that are asked for', () => {
    const single = openFlow();
    const expected = flow.commands.flatMap((command) => single.apply(command));
    for (const kinds of [
      [L.EVENT_KIND_TRADE, L.EVENT_KIND_REJECTED],
      [L.EVENT_KIND_TRADE, L.EVENT_KIND_TOP],
      [L.EVENT_KIND_CANCELLED, L.EVENT_KIND_REPLACED, L.EVENT_KIND_ACCEPTED],
      [1, 2, 3, 4, 5, 6, 7, 8, 9, 10],
    ]) {
      const matcher = openFlow();
      matcher.setEventMask(kinds);
      const events: OrderEvent[] = [];
      runBatches(matcher, flow.commands, (event) => events.push(event));
      expect(events.length).toBeGreaterThan(1000);
      expect(events).toEqual(expected.filter(({ kind }) => kinds.includes(kind)));
      expect(booksOf(matcher)).toEqual(booksOf(single));
    }
  });

  it('does the same in batches with many live orders, whatever the commands to come are', () => {
    const commands = crowdedCommands(createPrng(Number(process.env['SEED'] ?? 3)));
    const open = (): Matcher => {
      const matcher = createMatcher({ ...OPTIONS, pages: 8 });
      matcher.configure(0, { ...instrumentOf(0), phase: L.PHASE_CONTINUOUS });
      return matcher;
    };
    const [single, batched] = [open(), open()];
    const expected = commands.flatMap((command) => single.apply(command));
    const events: OrderEvent[] = [];
    runBatches(batched, commands, (event) => events.push(event));
    expect(events).toEqual(expected);
    expect(booksOf(batched)).toEqual(booksOf(single));
    expect(single.list(0).length).toBeGreaterThan(1000);
  });

  it('writes the same bytes for the same input', () => {
    const bytesOf = (): Buffer => {
      const matcher = openFlow();
      const parts: Buffer[] = [];
      for (const command of flow.commands) {
        matcher.apply(command);
        parts.push(Buffer.from(matcher.events.bytes.slice(0, matcher.eventCount() * L.ORDER_EVENT_SIZE)));
      }
      return Buffer.concat(parts);
    };
    expect(bytesOf().equals(bytesOf())).toBe(true);
  });

  it('is rebuilt from its listings and goes on alike, icebergs, stops and all-or-none orders included', () => {
    const [first, second] = [flow.commands.slice(0, 9000), flow.commands.slice(9000)];
    const matcher = openFlow();
    for (const command of first) matcher.apply(command);
    const restored = createMatcher(OPTIONS);
    for (const symbol of SYMBOLS) {
      restored.configure(symbol, { ...instrumentOf(symbol), phase: phaseAfter(first, symbol), lastTicks: matcher.lastTicks(symbol) });
    }
    for (const symbol of SYMBOLS) {
      const count = matcher.listRestores(symbol);
      for (let index = 0; index < count; index += 1) {
        const at = index * L.ORDER_COMMAND_SIZE;
        restored.commands.bytes.set(matcher.events.bytes.subarray(at, at + L.ORDER_COMMAND_SIZE));
        restored.run(1);
        expect(restored.eventCount()).toBe(0);
      }
    }
    expect(booksOf(restored)).toEqual(booksOf(matcher));
    const books = JSON.stringify(booksOf(matcher), (_, value) => (typeof value === 'bigint' ? `${value}` : value));
    for (const sign of ['"book":"stop"', '"book":"allOrNone"', '"trailTicks":1']) expect(books).toContain(sign);
    expect(SYMBOLS.flatMap((symbol) => matcher.list(symbol)).some(({ displayLots, shownLots }) => displayLots > shownLots)).toBe(true);
    for (const command of second) expect(restored.apply(command)).toEqual(matcher.apply(command));
    expect(booksOf(restored)).toEqual(booksOf(matcher));
  });

  it('leaves the memory below its region empty, as what stands for no order is there', () => {
    const memory = createPrivateMemory(matcherBytes(OPTIONS));
    const matcher = openMatcher(memory, OPTIONS);
    setUp(matcher, flow);
    runBatches(matcher, flow.commands, () => {});
    expect(matcher.list(0).length).toBeGreaterThan(100);
    expect(new Uint8Array(memory.buffer, 0, 1024).every((byte) => byte === 0)).toBe(true);
  });

  it('shares a region between instances, and refuses one made for others', () => {
    const memory = createPrivateMemory(matcherBytes(OPTIONS));
    const one = openMatcher(memory, OPTIONS);
    setUp(one, flow);
    one.apply(newCommand({ kind: L.COMMAND_KIND_PHASE, quantityLots: L.PHASE_CONTINUOUS }));
    one.apply(newCommand({ orderId: 9n, priceTicks: 10_000, quantityLots: 3 }));
    const two = openMatcher(memory, OPTIONS);
    expect(two.list(0)).toEqual(one.list(0));
    expect(two.apply(newCommand({ orderId: 9n, priceTicks: 1, quantityLots: 1 }))[0]).toMatchObject({
      reason: L.ORDER_REASON_DUPLICATE_ID,
    });
    expect(() => openMatcher(memory, { ...OPTIONS, pages: 100 })).toThrow('made for pages 200: expected 100');
    new Uint8Array(memory.buffer)[8] = 1;
    expect(() => openMatcher(memory, OPTIONS)).toThrow('the 1024 bytes of the memory below it are not all 0');
    expect(() => openMatcher(createPrivateMemory(65_536), OPTIONS)).toThrow('the memory has 65536 bytes');
    two.clear();
    expect(one.list(0)).toEqual([]);
  });

  it('stops before a command whose events might not fit, and goes on when they are taken', () => {
    const matcher = createMatcher({ symbols: 1, orders: 40_001, pages: 4, owners: 1, commandCapacity: 10_000 });
    matcher.configure(0, { ...instrumentOf(0), phase: L.PHASE_CONTINUOUS });
    const sell = attributesOf({ side: 1 });
    // Its slices could all be traded and refreshed by one command.
    matcher.apply(newCommand({ orderId: 50_000n, priceTicks: 200, quantityLots: 60_000, displayLots: 1, attributes: sell }));
    for (let id = 1; id <= 40_000; id += 1) {
      matcher.apply(newCommand({ orderId: BigInt(id), priceTicks: 100, quantityLots: 1, attributes: sell }));
    }
    const attributes = attributesOf({ timeInForce: L.TIME_IN_FORCE_IOC });
    for (let index = 0; index < 10_000; index += 1) {
      const buy = newCommand({ orderId: BigInt(60_000 + index), priceTicks: 50, quantityLots: 10, attributes });
      writeCommand(matcher.commands.view, index * L.ORDER_COMMAND_SIZE, buy);
    }
    let [sent, cancelled, runs] = [0, 0, 0];
    while (sent < 10_000) {
      const done = matcher.run(10_000 - sent, sent);
      expect(done).toBeGreaterThan(0);
      for (let index = 0; index < matcher.eventCount(); index += 1) {
        cancelled += readEvent(matcher.events.view, index * L.ORDER_EVENT_SIZE).kind === L.EVENT_KIND_CANCELLED ? 1 : 0;
      }
      sent += done;
      runs += 1;
    }
    expect(cancelled).toBe(10_000);
    expect(runs).toBe(2);
  });

  it('refuses capacities, symbols, owners and instruments that it cannot work with, naming the value and the limit', () => {
    expect(() => createMatcher({ ...OPTIONS, orders: 0 })).toThrow('matcher orders 0: expected a whole number from 1 to 4194304');
    const matcher = openFlow();
    expect(() => matcher.list(2)).toThrow('symbol 2: expected 0 to 1');
    expect(() => matcher.limit(6, { isBlocked: true, maxOpenOrders: 0, maxOrderLots: 0, maxNotional: 0n })).toThrow(
      'owner 6: expected 1 to 5',
    );
    expect(() => matcher.run(2, 255)).toThrow('commands 255 to 257: the area holds 256');
    expect(() => matcher.configure(0, { ...instrumentOf(0), tickStep: 0 })).toThrow('symbol 0, tickStep 0: expected a whole number from 1');
  });
});

/** Ten thousand orders that rest, then moves of them among commands that make no sense. */
function crowdedCommands(prng: Prng): OrderCommand[] {
  const orders = Array.from({ length: 10_000 }, (_, index) => {
    const side = prng.nextBelow(2);
    const priceTicks = side === 0 ? 9999 - prng.nextBelow(1000) : 10_001 + prng.nextBelow(1000);
    return newCommand({ orderId: BigInt(index + 1), priceTicks, quantityLots: 1 + prng.nextBelow(9), attributes: attributesOf({ side }) });
  });
  const int32 = (): number => prng.nextUint32() | 0;
  const changes = orders.map(({ priceTicks }) => {
    const orderId = BigInt(1 + prng.nextBelow(10_000));
    if (prng.nextBelow(4) > 0) return newCommand({ kind: L.COMMAND_KIND_MOVE, orderId, priceTicks });
    const kind = [L.COMMAND_KIND_NEW, L.COMMAND_KIND_CANCEL, L.COMMAND_KIND_MOVE, L.COMMAND_KIND_REPLACE, -1][prng.nextBelow(5)];
    return newCommand({
      kind: kind ?? 0,
      symbolIndex: prng.nextBelow(2) === 0 ? 0 : int32(),
      orderId: BigInt(prng.nextUint32()) << 20n,
      priceTicks: int32(),
      quantityLots: int32(),
      attributes: int32(),
    });
  });
  return [...orders, ...changes];
}

function instrumentOf(symbol: number): BookInstrument {
  const instrument = flow.instruments[symbol];
  if (!instrument) throw new Error(`the flow has no symbol ${symbol}`);
  return instrument;
}

/** The phase that commands leave a symbol in. */
function phaseAfter(commands: readonly OrderCommand[], symbol: number): number {
  const phases = commands.filter(({ kind, symbolIndex }) => kind === L.COMMAND_KIND_PHASE && symbolIndex === symbol);
  return phases.at(-1)?.quantityLots ?? instrumentOf(symbol).phase;
}
