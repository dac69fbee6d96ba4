/**
 * The XC-1 flow for the matcher bench: one symbol, a book filled with resting orders, then 9 % GTC, 3 % IOC, 6 % cancel and 82 % move. Prices lie
 * near the middle, density falling with the square of the distance; every cancel and move means a live order, and a few moves cross.
 */
import { createPrng } from '../engine/core/prng.ts';
import { attributesOf, newCommand, writeCommand } from '../engine/market/order-command.ts';
import * as L from '../schemas/order-layout.gen.ts';
import { COMMAND_FIELDS, createTypedBook, OP, type TypedBook } from './twins/typed-book.ts';

export interface FlowShape {
  readonly name: string;
  readonly operations: number;
  /** Orders that rest, and how far from the middle they do. */
  readonly resting: number;
  readonly span: number;
}

export interface MatcherFlow {
  readonly shape: FlowShape;
  /** `COMMAND_FIELDS` words a command: op, id, side, price, lots. */
  readonly words: Int32Array;
  readonly commands: number;
  /** The first so many commands fill the book. */
  readonly prefill: number;
}

const MIDDLE = 32_768;
/** Prices at which an IOC order takes at the worst, from the middle. */
const IMMEDIATE_SPAN = 200;

/** @param book an empty one, which has taken all commands when this returns; whoever draws many flows makes one */
export function makeMatcherFlow(shape: FlowShape, seed: number, book = createTypedBook()): MatcherFlow {
  const prng = createPrng(seed);
  const live = createLiveIds(book);
  const words = new Int32Array((shape.operations + 2 * shape.resting) * COMMAND_FIELDS);
  let [count, nextId] = [0, 1];
  const send = (op: number, id: number, side: number, price: number, lots: number): void => {
    words.set([op, id, side, price, lots], count * COMMAND_FIELDS);
    book.run(words, count, count + 1);
    count += 1;
  };
  const priceFor = (side: number): number => {
    const distance = 1 + Math.floor(prng.nextFloat() ** 2 * shape.span);
    return side === 0 ? MIDDLE - distance : MIDDLE + distance;
  };
  const sendNew = (): void => {
    const side = prng.nextBelow(2);
    send(OP.limit, nextId, side, priceFor(side), 1 + prng.nextBelow(100));
    live.add(nextId);
    nextId += 1;
  };
  const sendImmediate = (): void => {
    const side = prng.nextBelow(2);
    send(OP.immediate, nextId, side, side === 0 ? MIDDLE + IMMEDIATE_SPAN : MIDDLE - IMMEDIATE_SPAN, 1 + prng.nextBelow(150));
    nextId += 1;
  };
  const sendMove = (id: number): void => {
    const side = book.sideOf(id);
    const far = book.best(side ^ 1);
    const isCrossing = prng.nextBelow(100) < 3 && far >= 0 && far < 65536;
    send(OP.move, id, side, isCrossing ? far : priceFor(side), book.lotsOf(id));
  };
  while (book.resting < shape.resting) sendNew();
  const prefill = count;
  while (count < prefill + shape.operations) {
    const draw = prng.nextFloat();
    const isThin = book.resting < shape.resting * 0.9 && prng.nextBelow(2) === 0;
    const isThick = book.resting > shape.resting * 1.1;
    if (isThin || (draw < 0.09 && !isThick)) sendNew();
    else if (draw >= 0.09 && draw < 0.12) sendImmediate();
    else if (draw < 0.18) send(OP.cancel, live.take(prng.nextBelow), 0, 0, 0);
    else sendMove(live.pick(prng.nextBelow));
  }
  return { shape, words: words.subarray(0, count * COMMAND_FIELDS), commands: count, prefill };
}

interface LiveIds {
  add(id: number): void;
  pick(nextBelow: (limit: number) => number): number;
  take(nextBelow: (limit: number) => number): number;
}

/** Ids that may be live; those that traded away are dropped when they are drawn. */
function createLiveIds(book: TypedBook): LiveIds {
  const ids: number[] = [];
  const drop = (index: number): void => {
    const last = ids.pop();
    if (last !== undefined && index < ids.length) ids[index] = last;
  };
  const draw = (nextBelow: (limit: number) => number): number => {
    for (;;) {
      const index = nextBelow(ids.length);
      if (book.lotsOf(ids[index]!) > 0) return index;
      drop(index);
    }
  };
  return {
    add: (id) => {
      ids.push(id);
    },
    pick: (nextBelow) => ids[draw(nextBelow)]!,
    take(nextBelow) {
      const index = draw(nextBelow);
      const id = ids[index]!;
      drop(index);
      return id;
    },
  };
}

const KINDS = [L.COMMAND_KIND_NEW, L.COMMAND_KIND_NEW, L.COMMAND_KIND_CANCEL, L.COMMAND_KIND_MOVE];

/** The flow as records of the order ring; with `owners` above 1 new orders belong to owners 1 and up and cancel their own resting ones. */
export function recordsOf(flow: MatcherFlow, owners: number): Uint8Array {
  const bytes = new Uint8Array(flow.commands * L.ORDER_COMMAND_SIZE);
  const view = new DataView(bytes.buffer);
  for (let index = 0; index < flow.commands; index += 1) {
    const [op, id, side, priceTicks, lots] = flow.words.subarray(index * COMMAND_FIELDS, index * COMMAND_FIELDS + 5);
    const isNew = op === OP.limit || op === OP.immediate;
    const isOwned = isNew && owners > 1;
    const timeInForce = op === OP.immediate ? L.TIME_IN_FORCE_IOC : L.TIME_IN_FORCE_GTC;
    const selfMatch = isOwned ? L.SELF_MATCH_CANCEL_OLDEST : L.SELF_MATCH_ALLOW;
    const command = newCommand({
      kind: KINDS[op!]!,
      orderId: BigInt(id!),
      priceTicks: priceTicks!,
      quantityLots: lots!,
      owner: isOwned ? 1 + (id! % (owners - 1)) : 0,
      attributes: isNew ? attributesOf({ side: side!, timeInForce, selfMatch }) : 0,
    });
    writeCommand(view, index * L.ORDER_COMMAND_SIZE, command);
  }
  return bytes;
}
