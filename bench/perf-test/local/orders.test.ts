import { expect, it } from 'vitest';
import { setUpMatcher } from '../../../engine/kernel/matcher-core.ts';
import { createMatcherTwin } from '../../../engine/kernel/matcher-twin.ts';
import { OPEN_INSTRUMENT, readCommand, restoreOf, writeEvent } from '../../../engine/market/order-command.ts';
import { ORDER_RING_KIND, ORDER_SLOT_WORDS } from '../../../engine/market/order-ring.ts';
import * as L from '../../../schemas/order-layout.gen.ts';
import { drawOrders, type OrderBacklog, restingOf } from './order-backlog.ts';
import { createOrderSums, judgeOrders, type MatcherOutcome, restingTotalsOf } from './order-sums.ts';

const SEED = Number(process.env['SEED'] ?? 1);
const plan = { symbols: 3, orders: 1500, workers: 2, seed: SEED };

/** What the readable twin of the matcher says of a backlog, in the slots that a ring would carry. */
function outcomeOf(backlog: OrderBacklog, change: (slot: Int32Array) => void = () => undefined): MatcherOutcome {
  const books = backlog.expected.length;
  const twin = createMatcherTwin({ symbols: books, orders: 10_000, pages: 100, owners: 1 });
  setUpMatcher(twin, { instruments: backlog.expected.map(() => OPEN_INSTRUMENT), owners: [], restores: [] });
  const sums = createOrderSums(books);
  const view = new DataView(backlog.words.buffer, backlog.words.byteOffset);
  const slot = new Int32Array(ORDER_SLOT_WORDS);
  let answered = 0;
  for (let index = 0; index < backlog.commands; index += 1) {
    for (const event of twin.apply(readCommand(view, index * L.ORDER_COMMAND_SIZE))) {
      writeEvent(new DataView(slot.buffer), 0, event);
      change(slot);
      sums.take(slot, 0);
    }
    slot[L.ORDER_EVENT_KIND_I32] = ORDER_RING_KIND.done;
    if (sums.take(slot, 0)) answered += 1;
  }
  return {
    backlog,
    sums,
    answered,
    resting: backlog.expected.map((_, symbol) => restingTotalsOf(twin.list(symbol).map((order) => restoreOf(symbol, order)))),
  };
}

it('shares the symbols out, each with the same orders whichever matcher has it', () => {
  const [whole] = drawOrders({ ...plan, workers: 1 });
  const [first, second] = drawOrders(plan);
  expect([first!.expected, second!.expected]).toEqual([[whole!.expected[0], whole!.expected[2]], [whole!.expected[1]]]);
  expect(first!.commands + second!.commands).toBe(whole!.commands);
  expect(first!.expected.every(({ trades }) => trades > 10)).toBe(true);
});

it('draws the same orders from the same seed, and others from another', () => {
  expect(drawOrders(plan)[0]!.words).toEqual(drawOrders(plan)[0]!.words);
  expect(drawOrders({ ...plan, seed: SEED + 1 })[0]!.words).not.toEqual(drawOrders(plan)[0]!.words);
});

it('keeps the books of many symbols within bounds', () => {
  expect([restingOf(1), restingOf(500), restingOf(5000), restingOf(16_384)]).toEqual([1000, 1000, 200, 61]);
});

it('finds what the twin of the matcher says right', { timeout: 60_000 }, () => {
  const verdict = judgeOrders(drawOrders(plan).map((backlog) => outcomeOf(backlog)));
  expect(verdict.differences).toEqual([]);
  expect(verdict.isRight).toBe(true);
  expect(verdict.foundHash).toBe(verdict.expectedHash);
  expect(verdict.barsCompared).toBeGreaterThan(30);
});

it('tells of one lot that is missing from one trade, of an order that was refused, and of one that is not in its book', () => {
  const [, backlog] = drawOrders(plan);
  const right = outcomeOf(backlog!);
  let isLeft = true;
  const short = outcomeOf(backlog!, (slot) => {
    if (!isLeft || (slot[L.ORDER_EVENT_KIND_I32]! & 0xff) !== L.EVENT_KIND_TRADE) return;
    isLeft = false;
    slot[L.ORDER_EVENT_QUANTITY_LOTS_I32]! -= 1;
  });
  expect(judgeOrders([short]).differences).toEqual([expect.stringMatching(/book 0: lots/), expect.stringMatching(/book 0: hash/)]);
  expect(judgeOrders([short]).foundHash).not.toBe(judgeOrders([right]).foundHash);
  const rejected = { ...right, sums: { ...right.sums, books: right.sums.books, accepted: right.sums.accepted, rejected: 1, reason: 12 } };
  expect(judgeOrders([rejected]).differences).toEqual(['matcher-0: 1 commands rejected, the first for reason 12, expected none']);
  const gone = { ...right, resting: right.resting.map(({ resting, book }) => ({ resting: resting - 1, book })) };
  expect(judgeOrders([gone]).differences).toEqual([expect.stringMatching(/book 0: resting \d+, expected \d+/)]);
  const moved = { ...right, resting: right.resting.map(({ resting, book }) => ({ resting, book: book + 1 })) };
  expect(judgeOrders([moved]).differences).toEqual([expect.stringMatching(/book 0: book -?\d+, expected -?\d+/)]);
  expect(judgeOrders([{ ...right, answered: 5 }]).differences).toEqual([expect.stringMatching(/5 commands answered of \d+/)]);
});
