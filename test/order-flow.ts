/** A seeded order flow like a market's: prices near a wandering middle, most orders cancelled or moved, every order type now and then. */
import { createPrng, type Prng } from '../engine/core/prng.ts';
import { attributesOf, type BookInstrument, newCommand, type OrderCommand } from '../engine/market/order-command.ts';
import * as L from '../schemas/order-layout.gen.ts';
import type { BookSession } from './order-arbitraries.ts';

const SYMBOLS = 2;
const OWNERS = 6;
const LIVE_AIMED = 300;
const START_TICKS = 10_000;
/** Phases change so often, one in so many commands. */
const PHASE_ONE_IN = 400;

const INSTRUMENT: BookInstrument = {
  phase: L.PHASE_CALL,
  tickStep: 1,
  lotStep: 1,
  minLots: 1,
  maxLots: 1_000_000,
  lowerTicks: 1,
  upperTicks: 1_000_000,
  lastTicks: START_TICKS,
};

/** `count` commands; each seed gives another session. */
export function makeFlow(seed: number, count: number): BookSession {
  const prng = createPrng(seed);
  const middles = Array.from({ length: SYMBOLS }, () => START_TICKS);
  const commands: OrderCommand[] = [];
  let [tsNs, nextId] = [1_000_000_000n, 1n];
  for (let index = 0; index < count; index += 1) {
    tsNs += BigInt(prng.nextBelow(2_000_000));
    const symbolIndex = prng.nextBelow(SYMBOLS);
    middles[symbolIndex] = middles[symbolIndex]! + prng.nextBelow(3) - 1;
    const recentId = nextId - BigInt(Math.min(Number(nextId), prng.nextBelow(LIVE_AIMED * 3)));
    const draw = { prng, symbolIndex, tsNs, middleTicks: middles[symbolIndex]! };
    if (prng.nextBelow(PHASE_ONE_IN) === 0) commands.push(phaseChange(draw, index));
    else if (prng.nextBelow(100) < 45) {
      commands.push(newOrder(draw, nextId));
      nextId += 1n;
    } else commands.push(change(draw, recentId));
  }
  return {
    shape: { symbols: SYMBOLS, orders: 20_000, pages: 200, owners: OWNERS },
    instruments: Array.from({ length: SYMBOLS }, () => INSTRUMENT),
    limits: [],
    commands,
  };
}

interface Draw {
  readonly prng: Prng;
  readonly symbolIndex: number;
  readonly tsNs: bigint;
  readonly middleTicks: number;
}

function phaseChange({ prng, symbolIndex, tsNs }: Draw, index: number): OrderCommand {
  const rare = [L.PHASE_CALL, L.PHASE_HALTED, L.PHASE_CLOSED][prng.nextBelow(3)]!;
  const quantityLots = index < 1000 || prng.nextBelow(3) > 0 ? L.PHASE_CONTINUOUS : rare;
  return newCommand({ kind: L.COMMAND_KIND_PHASE, symbolIndex, tsNs, quantityLots });
}

/** A price on the passive side of the middle, now and then through it. */
function priceNear({ prng, middleTicks }: Draw, side: number): number {
  const distance = Math.floor(prng.nextFloat() ** 2 * 60) - 6;
  return side === 0 ? middleTicks - distance : middleTicks + distance;
}

function newOrder(draw: Draw, orderId: bigint): OrderCommand {
  const { prng, symbolIndex, tsNs, middleTicks } = draw;
  const side = prng.nextBelow(2);
  const kind = prng.nextBelow(100);
  const type = typeFor(kind);
  const isLimit = type === L.ORDER_TYPE_LIMIT;
  const isAllOrNone = isLimit && kind < 6;
  const isSliced = isLimit && kind >= 6 && kind < 14;
  const quantityLots = 1 + prng.nextBelow(isSliced ? 400 : 60);
  const distance = 5 + prng.nextBelow(30);
  return newCommand({
    symbolIndex,
    orderId,
    tsNs,
    quantityLots,
    owner: prng.nextBelow(OWNERS),
    priceTicks: priceNear(draw, side),
    stopTicks: side === 0 ? middleTicks + distance : middleTicks - distance,
    trailTicks: 3 + prng.nextBelow(20),
    displayLots: isSliced ? Math.min(quantityLots, 1 + prng.nextBelow(20)) : 0,
    expiryNs: tsNs + BigInt(1 + prng.nextBelow(400_000_000)),
    attributes: attributesOf({
      side,
      type,
      timeInForce: isLimit && !isAllOrNone && !isSliced ? timeInForceFor(prng) : L.TIME_IN_FORCE_GTC,
      selfMatch: prng.nextBelow(4),
      isAllOrNone,
    }),
  });
}

function typeFor(kind: number): number {
  if (kind < 72) return L.ORDER_TYPE_LIMIT;
  if (kind < 80) return L.ORDER_TYPE_MARKET;
  if (kind < 83) return L.ORDER_TYPE_MARKET_TO_LIMIT;
  if (kind < 88) return L.ORDER_TYPE_STOP;
  return kind < 94 ? L.ORDER_TYPE_STOP_LIMIT : L.ORDER_TYPE_TRAILING_STOP;
}

function timeInForceFor(prng: Prng): number {
  const draw = prng.nextBelow(20);
  if (draw < 12) return L.TIME_IN_FORCE_GTC;
  return [L.TIME_IN_FORCE_DAY, L.TIME_IN_FORCE_GTD, L.TIME_IN_FORCE_IOC, L.TIME_IN_FORCE_FOK][draw & 3]!;
}

function change(draw: Draw, orderId: bigint): OrderCommand {
  const { prng, symbolIndex, tsNs } = draw;
  const kinds = [L.COMMAND_KIND_CANCEL, L.COMMAND_KIND_CANCEL, L.COMMAND_KIND_REDUCE, L.COMMAND_KIND_REPLACE, L.COMMAND_KIND_MOVE];
  const priceTicks = priceNear(draw, prng.nextBelow(2));
  const kind = prng.nextBelow(200) === 0 ? L.COMMAND_KIND_MASS_CANCEL : kinds[prng.nextBelow(kinds.length)]!;
  const attributes = kind === L.COMMAND_KIND_MASS_CANCEL ? L.MASS_SCOPE_BY_OWNER | L.MASS_SCOPE_BY_SYMBOL : 0;
  const owner = kind === L.COMMAND_KIND_MASS_CANCEL ? 1 + prng.nextBelow(OWNERS - 1) : 0;
  return newCommand({
    kind,
    symbolIndex,
    orderId,
    tsNs,
    priceTicks,
    stopTicks: priceTicks,
    quantityLots: 1 + prng.nextBelow(60),
    owner,
    attributes,
  });
}
