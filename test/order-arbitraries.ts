/** Any session of a book region, for properties of the matcher: pools, instruments, owners, and commands of every kind. */
import fc from 'fast-check';
import { attributesOf, type BookInstrument, newCommand, type OrderCommand, type OwnerLimits } from '../engine/market/order-command.ts';
import * as L from '../schemas/order-layout.gen.ts';

export interface RegionPools {
  readonly symbols: number;
  readonly orders: number;
  readonly pages: number;
  readonly owners: number;
}

export interface BookSession {
  readonly shape: RegionPools;
  /** By symbol; undefined: it is not set up. */
  readonly instruments: readonly (BookInstrument | undefined)[];
  /** Of owners 1 and up. */
  readonly limits: readonly (OwnerLimits | undefined)[];
  readonly commands: readonly OrderCommand[];
}

/** What a session is set up on: the plain book, the kernel's. */
export interface SessionBook {
  configure(symbolIndex: number, instrument: BookInstrument): void;
  limit(owner: number, limits: OwnerLimits): void;
}

export function setUp(book: SessionBook, { instruments, limits }: Pick<BookSession, 'instruments' | 'limits'>): void {
  instruments.forEach((instrument, symbolIndex) => {
    if (instrument) book.configure(symbolIndex, instrument);
  });
  limits.forEach((ofOwner, index) => {
    if (ofOwner) book.limit(index + 1, ofOwner);
  });
}

interface SessionOptions {
  /** Commands that restore orders: they may cross a book, and have no events. */
  readonly hasRestores: boolean;
  /** Codes and numbers that no honest client sends. */
  readonly hasNonsense: boolean;
  /** Pools too small for the session. */
  readonly hasSmallPools: boolean;
}

/** What the commands of a session have in common. */
interface Ground {
  readonly options: SessionOptions;
  readonly baseTicks: number;
  readonly tickStep: number;
  readonly lotStep: number;
  readonly idMax: number;
  /** New orders have ids that were not used before. */
  readonly isFresh: boolean;
  readonly owners: number;
}

const PRICE_MAX = L.ORDER_LIMIT_PRICE_MAX;
const INT32_MIN = -(2 ** 31);
const SYMBOLS = 3;
const OWNERS = 4;
const ID_MAX = 30;

type Weighted<T> = readonly [weight: number, arbitrary: fc.Arbitrary<T>];
const pick = <T>(...choices: Weighted<T>[]): fc.Arbitrary<T> =>
  fc.oneof(...choices.filter(([weight]) => weight > 0).map(([weight, arbitrary]) => ({ weight, arbitrary })));
const oneOf = <T>(...choices: (readonly [weight: number, value: T])[]): fc.Arbitrary<T> =>
  pick(...choices.map(([weight, value]): Weighted<T> => [weight, fc.constant(value)]));

const int32 = fc.integer({ min: INT32_MIN, max: 2 ** 31 - 1 });
const nonsensePrice = pick([3, fc.constantFrom(PRICE_MAX, -PRICE_MAX, PRICE_MAX + 1, -PRICE_MAX - 1, INT32_MIN, 2 ** 31 - 1)], [1, int32]);
const nonsenseQuantity = pick(
  [3, fc.constantFrom(0, -1, INT32_MIN, 2 ** 31 - 1, L.ORDER_LIMIT_QUANTITY_MAX, L.ORDER_LIMIT_QUANTITY_MAX + 1, 66_000)],
  [1, int32],
);

const pricesOn = ({ baseTicks, tickStep, options }: Ground): fc.Arbitrary<number> =>
  pick(
    [12, fc.integer({ min: -4, max: 4 }).map((steps) => baseTicks + steps * tickStep)],
    [2, fc.integer({ min: -12, max: 12 }).map((steps) => baseTicks + steps * tickStep)],
    [1, fc.constantFrom(-1024, -512, 512, 2048).map((ticks) => baseTicks + ticks * tickStep)],
    [options.hasNonsense ? 1 : 0, nonsensePrice],
    [options.hasNonsense ? 1 : 0, fc.integer({ min: -9, max: 9 }).map((ticks) => baseTicks + ticks)],
  );

const quantitiesOn = ({ lotStep, options }: Ground): fc.Arbitrary<number> =>
  pick(
    [8, fc.integer({ min: 1, max: 6 }).map((lots) => lots * lotStep)],
    [6, fc.integer({ min: 1, max: 25 }).map((lots) => lots * lotStep)],
    [options.hasNonsense ? 1 : 0, nonsenseQuantity],
    [options.hasNonsense ? 1 : 0, fc.integer({ min: 1, max: 30 })],
  );

/** Attributes of an order as clients send them; combinations that are refused are among them, but rare. */
const partsOf = fc
  .record({
    side: fc.constantFrom(0, 1),
    type: oneOf(
      [12, L.ORDER_TYPE_LIMIT],
      [2, L.ORDER_TYPE_MARKET],
      [1, L.ORDER_TYPE_MARKET_TO_LIMIT],
      [3, L.ORDER_TYPE_STOP],
      [3, L.ORDER_TYPE_STOP_LIMIT],
      [3, L.ORDER_TYPE_TRAILING_STOP],
    ),
    timeInForce: oneOf(
      [8, L.TIME_IN_FORCE_GTC],
      [2, L.TIME_IN_FORCE_DAY],
      [3, L.TIME_IN_FORCE_GTD],
      [2, L.TIME_IN_FORCE_IOC],
      [2, L.TIME_IN_FORCE_FOK],
    ),
    selfMatch: fc.nat(3),
    isPostOnly: oneOf([9, false], [1, true]),
    isAllOrNone: oneOf([4, false], [1, true]),
    isForgiven: oneOf([19, true], [1, false]),
  })
  .map((parts) => {
    if (!parts.isForgiven) return parts;
    const isPlain = parts.type === L.ORDER_TYPE_LIMIT;
    const isTaking = parts.type === L.ORDER_TYPE_LIMIT || parts.type === L.ORDER_TYPE_MARKET || parts.type === L.ORDER_TYPE_MARKET_TO_LIMIT;
    const mustStand = !isTaking || (isPlain && (parts.isPostOnly || parts.isAllOrNone));
    const isBrief = parts.timeInForce === L.TIME_IN_FORCE_IOC || parts.timeInForce === L.TIME_IN_FORCE_FOK;
    const isMarketTillDate = parts.type === L.ORDER_TYPE_MARKET && parts.timeInForce === L.TIME_IN_FORCE_GTD;
    return {
      ...parts,
      timeInForce: (mustStand && isBrief) || isMarketTillDate ? L.TIME_IN_FORCE_GTC : parts.timeInForce,
      isPostOnly: isPlain && parts.isPostOnly && !parts.isAllOrNone,
      isAllOrNone: isPlain && parts.isAllOrNone,
    };
  });

const hasSlices = (attributes: number): boolean => {
  const type = (attributes >>> L.ORDER_BITS_TYPE_SHIFT) & 7;
  const timeInForce = (attributes >>> L.ORDER_BITS_TIME_IN_FORCE_SHIFT) & 7;
  const isLimited = type === L.ORDER_TYPE_LIMIT || type === L.ORDER_TYPE_STOP_LIMIT;
  return isLimited && timeInForce <= L.TIME_IN_FORCE_GTD && (attributes & L.ORDER_BITS_ALL_OR_NONE) === 0;
};

/** Every command but its time, which the session gives. */
function anyCommand(ground: Ground): fc.Arbitrary<OrderCommand> {
  const { options, lotStep } = ground;
  const some = (weight: number): number => (options.hasNonsense ? weight : 0);
  const price = pricesOn(ground);
  const quantity = quantitiesOn(ground);
  const orderId = pick<bigint>(
    [40, fc.integer({ min: 1, max: ground.idMax }).map(BigInt)],
    [some(1), fc.constantFrom(0n, 2n ** 63n, 2n ** 64n - 1n)],
  );
  const symbolIndex = pick(
    [40, fc.constant(0)],
    [5, fc.constant(1)],
    [some(2), fc.constant(2)],
    [some(1), fc.constantFrom(-1, SYMBOLS, 2 ** 31 - 1, INT32_MIN)],
  );
  const owner = pick([20, fc.nat(ground.owners - 1)], [some(1), fc.constantFrom(ground.owners, 2 ** 32 - 1)]);
  const place = { symbolIndex, orderId };
  const order = fc
    .record({
      ...place,
      owner,
      priceTicks: price,
      stopTicks: price,
      quantityLots: quantity,
      displayLots: pick(
        [6, fc.constant(0)],
        [4, fc.integer({ min: 1, max: 3 }).map((lots) => lots * lotStep)],
        [some(1), nonsenseQuantity],
      ),
      trailTicks: pick([8, fc.integer({ min: 1, max: 5 })], [1, fc.constantFrom(511, 513)], [some(1), nonsensePrice]),
      expiryNs: pick([12, fc.bigInt({ min: 1n, max: 150n })], [some(1), fc.constantFrom(0n, -1n, 2n ** 63n - 1n, -(2n ** 63n))]),
      attributes: pick([30, partsOf.map(attributesOf)], [some(1), int32]),
      isSliced: oneOf([14, false], [1, true]),
    })
    .map(({ isSliced, ...fields }) => ({ ...fields, displayLots: isSliced || hasSlices(fields.attributes) ? fields.displayLots : 0 }));
  const restored = order.chain((fields) =>
    fc.nat(3).map((shownLots) => ({ ...fields, shownLots: Math.min(shownLots, fields.displayLots), kind: L.COMMAND_KIND_RESTORE })),
  );
  const asOwner = pick([6, fc.constant(0)], [2, owner]);
  const phase = oneOf([12, L.PHASE_CONTINUOUS], [3, L.PHASE_CALL], [1, L.PHASE_HALTED], [1, L.PHASE_CLOSED]);
  const scope = fc.nat(7).map((bits) => bits << 1);
  return pick<Partial<OrderCommand>>(
    [60, order],
    [7, fc.record({ kind: fc.constant(L.COMMAND_KIND_CANCEL), ...place, owner: asOwner })],
    [6, fc.record({ kind: fc.constant(L.COMMAND_KIND_REDUCE), ...place, owner: asOwner, quantityLots: quantity })],
    [
      10,
      fc.record({
        kind: fc.constant(L.COMMAND_KIND_REPLACE),
        ...place,
        owner: asOwner,
        quantityLots: quantity,
        priceTicks: price,
        stopTicks: price,
      }),
    ],
    [5, fc.record({ kind: fc.constant(L.COMMAND_KIND_MOVE), ...place, owner: asOwner, priceTicks: price })],
    [
      2,
      fc.record({
        kind: fc.constant(L.COMMAND_KIND_MASS_CANCEL),
        symbolIndex,
        owner,
        attributes: pick([8, fc.tuple(scope, fc.nat(1)).map(([bits, side]) => bits | side)], [some(1), int32]),
      }),
    ],
    [5, fc.record({ kind: fc.constant(L.COMMAND_KIND_PHASE), symbolIndex, quantityLots: pick([12, phase], [some(1), int32]) })],
    [1, fc.record({ kind: fc.constant(L.COMMAND_KIND_BAND), symbolIndex, priceTicks: price, stopTicks: price })],
    [1, fc.record({ kind: fc.constant(L.COMMAND_KIND_TIME) })],
    [options.hasRestores ? 2 : 0, restored],
    [some(1), fc.record({ kind: pick([1, fc.constantFrom(0, -1, 11, 255, 256, 257)], [1, int32]), ...place })],
  ).map(newCommand);
}

function anyInstrument({ baseTicks, tickStep, lotStep }: Ground): fc.Arbitrary<BookInstrument> {
  const band = (ticks: number): { lowerTicks: number; upperTicks: number } => ({
    lowerTicks: Math.max(-PRICE_MAX, baseTicks - ticks),
    upperTicks: Math.min(PRICE_MAX, baseTicks + ticks),
  });
  return fc
    .record({
      phase: oneOf([14, L.PHASE_CONTINUOUS], [5, L.PHASE_CALL], [1, L.PHASE_CLOSED], [1, L.PHASE_HALTED]),
      minLots: oneOf([4, lotStep], [1, 3 * lotStep]),
      maxLots: oneOf([4, L.ORDER_LIMIT_QUANTITY_MAX], [1, 20 * lotStep]),
      bounds: pick([6, fc.constant(band(2 ** 31))], [2, fc.constant(band(6 * tickStep))], [1, fc.constant(band(2 * tickStep))]),
      lastTicks: pick(
        [2, fc.constant(L.ORDER_LIMIT_PRICE_NONE)],
        [3, fc.integer({ min: -2, max: 2 }).map((steps) => Math.max(-PRICE_MAX, Math.min(PRICE_MAX, baseTicks + steps * tickStep)))],
      ),
    })
    .map(({ bounds, ...fields }) => ({ ...fields, ...bounds, tickStep, lotStep }));
}

const anyLimits: fc.Arbitrary<OwnerLimits | undefined> = pick<OwnerLimits | undefined>(
  [8, fc.constant(undefined)],
  [
    2,
    fc.record({
      isBlocked: oneOf([5, false], [1, true]),
      maxOpenOrders: fc.constantFrom(0, 1, 3),
      maxOrderLots: fc.constantFrom(0, 5, 15),
      maxNotional: fc.constantFrom(0n, 500n, 2000n, 2n ** 62n),
    }),
  ],
);

/** Sessions of up to `length` commands on two symbols, few ids and few prices, so that orders meet. */
export function sessions(length: number, options: SessionOptions): fc.Arbitrary<BookSession> {
  const anyGround: fc.Arbitrary<Ground> = fc
    .record({
      base: fc.constantFrom(100, 100, 512, 0, -511, PRICE_MAX - 6, 6 - PRICE_MAX),
      tickStep: oneOf([4, 1], [1, 5]),
      lotStep: oneOf([4, 1], [1, 10]),
      idMax: fc.constantFrom(4, 10, ID_MAX),
      isFresh: oneOf([3, true], [1, false]),
    })
    .map(({ base, ...steps }) => ({ ...steps, baseTicks: Math.trunc(base / steps.tickStep) * steps.tickStep, owners: OWNERS, options }));
  return anyGround.chain((ground) =>
    fc
      .record({
        shape: fc.record({
          symbols: fc.constant(SYMBOLS),
          orders: options.hasSmallPools ? oneOf([1, 2], [1, 6], [2, 20], [6, 300]) : fc.constant(300),
          pages: options.hasSmallPools ? oneOf([1, 1], [1, 2], [2, 4], [6, 300]) : fc.constant(300),
          owners: fc.constant(ground.owners),
        }),
        instruments: fc.tuple(anyInstrument(ground), anyInstrument(ground), fc.constant(undefined)),
        limits: fc.array(anyLimits, { minLength: ground.owners - 1, maxLength: ground.owners - 1 }),
        steps: fc.array(fc.tuple(anyCommand(ground), oneOf([3, 0n], [4, 1n], [1, 3n], [1, -2n])), {
          minLength: 1,
          maxLength: length,
          size: 'max',
        }),
      })
      .map(({ steps, ...session }) => ({ ...session, commands: sequenced(steps, ground.isFresh) })),
  );
}

/**
 * Time goes on by the steps, and sometimes back. With fresh ids each new order has the next one and the others mean one of the last;
 * else ids are as drawn, so that they are used again and again. Ids above the drawn ones are nonsense and stay.
 */
function sequenced(steps: readonly (readonly [OrderCommand, bigint])[], isFresh: boolean): OrderCommand[] {
  let [tsNs, nextId] = [0n, 1n];
  return steps.map(([command, stepNs]) => {
    tsNs += stepNs;
    if (!isFresh || command.orderId === 0n || command.orderId > ID_MAX) return { ...command, tsNs };
    if (command.kind === L.COMMAND_KIND_NEW || command.kind === L.COMMAND_KIND_RESTORE) {
      nextId += 1n;
      return { ...command, tsNs, orderId: nextId };
    }
    return { ...command, tsNs, orderId: nextId > command.orderId ? nextId - command.orderId : nextId };
  });
}

/** Everything at once: nonsense, restores, pools that run out. */
export const anySession = sessions(150, { hasRestores: true, hasNonsense: true, hasSmallPools: true });
/** Honest orders in pools that may run out. */
export const honestSession = sessions(150, { hasRestores: false, hasNonsense: false, hasSmallPools: true });
