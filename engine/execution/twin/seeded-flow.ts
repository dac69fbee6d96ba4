/**
 * A seeded flow of orders, matched by the plain book and published as a venue would: what a twin must be filled by is known exactly, because price
 * and time decided it. Limit orders, icebergs, market orders, cancels, reductions and moves around a price that wanders.
 */
import * as L from '../../../schemas/order-layout.gen.ts';
import { createPrng, type Prng } from '../../core/prng.ts';
import { appendMessage, BOOK_FLAG, type BookBatch, type BookFeed, type BookMessage } from '../../market/book-message.ts';
import { type BookOracle, createBookOracle } from '../../market/book-oracle.ts';
import { attributesOf, newCommand, OPEN_INSTRUMENT, type OrderCommand } from '../../market/order-command.ts';
import type { Side } from '../paper/market.ts';
import { createPublisher, type FlowStyle, type Publisher } from './seeded-publisher.ts';

export interface SeededFlowOptions {
  readonly seed: number;
  readonly commands: number;
  /** How the venue publishes: an execution for each maker, or trades that name makers and book changes after them. */
  readonly style: FlowStyle;
  /** One in ten changes sends an order to the end of its level, and the venue shows the order as it was: nobody can see that its place is lost. */
  readonly hasHiddenMoves?: boolean;
}

const START_NS = 1_700_000_000_000_000_000n;
const START_TICKS = 10_000;
const GAP_NS_MEAN = 5_000_000;
/** Orders that rest, on average, once the book is full. */
const RESTING_TARGET = 300;
const TICK_NANOS = 10_000_000;
/** Half of the orders are of these, who never trade with themselves; the others are nobody's. */
const OWNERS = 6;

/** A feed of `commands` commands; the same options give the same messages. */
export function openSeededFlow(options: SeededFlowOptions): BookFeed {
  const next = createCommands(options);
  const waiting: BookMessage[] = [];
  let isEnded = false;
  return {
    name: `seeded (${options.style})`,
    instruments: [{ symbol: 'SEEDED', tickNanos: TICK_NANOS }],
    refused: { offTick: 0, priceOutOfRange: 0, quantityOutOfRange: 0, malformed: 0 },
    ignored: 0,
    read(batch) {
      batch.count = 0;
      while (!isEnded && waiting.length < batch.capacity) {
        const messages = next();
        if (messages === undefined) isEnded = true;
        else waiting.push(...messages);
      }
      drain(waiting, batch);
      return Promise.resolve(batch.count);
    },
    close: () => Promise.resolve(),
  };
}

function drain(waiting: BookMessage[], batch: BookBatch): void {
  let taken = 0;
  while (taken < waiting.length && appendMessage(batch, waiting[taken]!)) taken += 1;
  waiting.splice(0, taken);
}

/** Each call does one command and gives its messages; undefined at the end. */
function createCommands({ seed, commands, style, hasHiddenMoves = false }: SeededFlowOptions): () => BookMessage[] | undefined {
  const prng = createPrng(seed);
  const oracle = createBookOracle({ symbols: 1, orders: 1 << 16, pages: 1024, owners: OWNERS });
  oracle.configure(0, { ...OPEN_INSTRUMENT, maxLots: 1_000_000 });
  const publisher = createPublisher(style, hasHiddenMoves);
  let tsNs = START_NS;
  let nextId = 1n;
  let done = 0;
  return () => {
    if (done === commands) return undefined;
    done += 1;
    tsNs += BigInt(Math.ceil(GAP_NS_MEAN * prng.nextExponential()));
    const command = draw(prng, oracle, publisher, { id: nextId, tsNs, hasHiddenMoves });
    nextId += 1n;
    const messages = publisher.publish(command, oracle.apply(command));
    return messages.map((message, index) => ({ ...message, flags: index === messages.length - 1 ? BOOK_FLAG.last : 0 }));
  };
}

interface Next {
  readonly id: bigint;
  readonly tsNs: bigint;
  readonly hasHiddenMoves: boolean;
}

function draw(prng: Prng, oracle: BookOracle, publisher: Publisher, next: Next): OrderCommand {
  const restingCount = publisher.ids().length;
  const roll = prng.nextFloat();
  if (restingCount > 20 && roll < (restingCount > RESTING_TARGET ? 0.6 : 0.4)) return drawChange(prng, oracle, publisher, next);
  const side: Side = prng.nextBelow(2) === 0 ? 0 : 1;
  const owner = prng.nextBelow(2) === 0 ? 0 : 1 + prng.nextBelow(OWNERS - 1);
  const selfMatch = owner % 2 === 0 ? L.SELF_MATCH_CANCEL_OLDEST : L.SELF_MATCH_CANCEL_NEWEST;
  const from = { orderId: next.id, tsNs: next.tsNs, owner };
  if (restingCount > 40 && roll > 0.93) {
    const attributes = attributesOf({ side, selfMatch, type: L.ORDER_TYPE_MARKET, timeInForce: L.TIME_IN_FORCE_IOC });
    return newCommand({ ...from, quantityLots: 1 + Math.floor(8 * prng.nextExponential()), attributes });
  }
  const quantityLots = 1 + Math.floor(4 * prng.nextExponential());
  const isIceberg = quantityLots > 4 && prng.nextBelow(4) === 0;
  const priceTicks = drawPrice(prng, oracle, side);
  return newCommand({ ...from, priceTicks, quantityLots, displayLots: isIceberg ? 2 : 0, attributes: attributesOf({ side, selfMatch }) });
}

/** Behind the best price of its side most of the time, now and then better, sometimes through the other side. */
function drawPrice(prng: Prng, oracle: BookOracle, side: Side): number {
  const own = oracle.levels(0, side)[0]?.priceTicks;
  const facing = oracle.levels(0, side === 0 ? 1 : 0)[0]?.priceTicks;
  const away = side === 0 ? -1 : 1;
  const touch = own ?? (facing === undefined ? START_TICKS + away : facing + away * 2);
  return touch + away * (Math.floor(2 * prng.nextExponential()) - prng.nextBelow(3));
}

function drawChange(prng: Prng, oracle: BookOracle, publisher: Publisher, { tsNs, hasHiddenMoves }: Next): OrderCommand {
  const ids = publisher.ids();
  const orderId = ids[prng.nextBelow(ids.length)]!;
  const roll = prng.nextFloat();
  if (roll < 0.1) return newCommand({ kind: L.COMMAND_KIND_REDUCE, orderId, tsNs, quantityLots: 1 });
  if (roll < 0.2)
    return newCommand({ kind: L.COMMAND_KIND_MOVE, orderId, tsNs, priceTicks: drawPrice(prng, oracle, prng.nextBelow(2) === 0 ? 0 : 1) });
  if (roll < 0.3 && hasHiddenMoves) return newCommand({ kind: L.COMMAND_KIND_MOVE, orderId, tsNs, priceTicks: publisher.priceOf(orderId) });
  return newCommand({ kind: L.COMMAND_KIND_CANCEL, orderId, tsNs });
}
