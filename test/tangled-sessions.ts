/** Sessions made to go wrong: one symbol, seven prices across a page boundary, two owners, and orders that set each other off. */
import fc from 'fast-check';
import { attributesOf, type BookInstrument, newCommand, OPEN_INSTRUMENT, type OrderCommand } from '../engine/market/order-command.ts';
import * as L from '../schemas/order-layout.gen.ts';
import type { BookSession } from './order-arbitraries.ts';

const RECENT_MAX = 14;
const INSTRUMENT: BookInstrument = { ...OPEN_INSTRUMENT, maxLots: 1000 };

const oneOf = <T>(...choices: (readonly [weight: number, value: T])[]): fc.Arbitrary<T> =>
  fc.oneof(...choices.map(([weight, value]) => ({ weight, arbitrary: fc.constant(value) })));

/** What the limit order is, besides its price. */
type Shape = 'plain' | 'allOrNone' | 'iceberg' | 'postOnly' | 'immediate' | 'kill';

const anyOrder = (baseTicks: number): fc.Arbitrary<Partial<OrderCommand>> =>
  fc
    .record({
      side: fc.constantFrom(0, 1),
      type: oneOf(
        [40, L.ORDER_TYPE_LIMIT],
        [7, L.ORDER_TYPE_MARKET],
        [3, L.ORDER_TYPE_MARKET_TO_LIMIT],
        [15, L.ORDER_TYPE_STOP],
        [20, L.ORDER_TYPE_STOP_LIMIT],
        [15, L.ORDER_TYPE_TRAILING_STOP],
      ),
      shape: oneOf<Shape>([5, 'plain'], [8, 'allOrNone'], [6, 'iceberg'], [2, 'postOnly'], [1, 'immediate'], [2, 'kill']),
      isTimed: oneOf([4, false], [1, true]),
      isDay: oneOf([6, false], [1, true]),
      selfMatch: oneOf(
        [3, L.SELF_MATCH_ALLOW],
        [2, L.SELF_MATCH_CANCEL_NEWEST],
        [3, L.SELF_MATCH_CANCEL_OLDEST],
        [2, L.SELF_MATCH_CANCEL_BOTH],
      ),
      owner: oneOf([2, 0], [5, 1], [2, 2]),
      quantityLots: fc.oneof(
        { weight: 5, arbitrary: fc.integer({ min: 1, max: 6 }) },
        { weight: 1, arbitrary: fc.integer({ min: 7, max: 30 }) },
      ),
      displayLots: fc.integer({ min: 1, max: 3 }),
      steps: fc.tuple(fc.integer({ min: -3, max: 3 }), fc.integer({ min: -3, max: 3 })),
      trailTicks: fc.integer({ min: 1, max: 4 }),
      expiryNs: fc.bigInt({ min: 1n, max: 120n }),
    })
    .map(({ side, type, shape, isTimed, isDay, selfMatch, steps, displayLots, ...fields }) => {
      const isLimit = type === L.ORDER_TYPE_LIMIT;
      const isSliced = shape === 'iceberg' && (isLimit || type === L.ORDER_TYPE_STOP_LIMIT);
      const brief = shape === 'immediate' ? L.TIME_IN_FORCE_IOC : L.TIME_IN_FORCE_FOK;
      const isBrief = (shape === 'immediate' || shape === 'kill') && (isLimit || type === L.ORDER_TYPE_MARKET);
      const lasting = isTimed && type !== L.ORDER_TYPE_MARKET ? L.TIME_IN_FORCE_GTD : isDay ? L.TIME_IN_FORCE_DAY : L.TIME_IN_FORCE_GTC;
      const isAllOrNone = isLimit && shape === 'allOrNone';
      const attributes = attributesOf({
        side,
        type,
        timeInForce: isBrief ? brief : lasting,
        selfMatch,
        isAllOrNone,
        isPostOnly: isLimit && shape === 'postOnly',
      });
      return {
        ...fields,
        attributes,
        displayLots: isSliced ? Math.min(displayLots, fields.quantityLots) : 0,
        priceTicks: baseTicks + steps[0],
        stopTicks: baseTicks + steps[1],
      };
    });

function anyStep(baseTicks: number): fc.Arbitrary<Partial<OrderCommand>> {
  const order = anyOrder(baseTicks);
  /** Which of the last orders is meant, replaced by its id when the session is put together. */
  const orderId = fc.bigInt({ min: 0n, max: BigInt(RECENT_MAX - 1) });
  const change = (kind: number): fc.Arbitrary<Partial<OrderCommand>> =>
    fc.tuple(order, orderId).map(([{ priceTicks = 0, stopTicks = 0, quantityLots = 0 }, id]) => ({
      kind,
      orderId: id,
      priceTicks,
      stopTicks,
      quantityLots,
    }));
  const phase = oneOf([5, L.PHASE_CONTINUOUS], [4, L.PHASE_CALL], [1, L.PHASE_HALTED], [1, L.PHASE_CLOSED]);
  return fc.oneof(
    { weight: 74, arbitrary: order },
    { weight: 7, arbitrary: change(L.COMMAND_KIND_REPLACE) },
    { weight: 5, arbitrary: change(L.COMMAND_KIND_MOVE) },
    { weight: 3, arbitrary: change(L.COMMAND_KIND_REDUCE) },
    { weight: 3, arbitrary: change(L.COMMAND_KIND_CANCEL) },
    { weight: 5, arbitrary: phase.map((quantityLots) => ({ kind: L.COMMAND_KIND_PHASE, quantityLots })) },
    {
      weight: 1,
      arbitrary: fc
        .nat(1)
        .map((side) => ({ kind: L.COMMAND_KIND_MASS_CANCEL, owner: 1, attributes: L.MASS_SCOPE_BY_OWNER | L.MASS_SCOPE_BY_SIDE | side })),
    },
    { weight: 1, arbitrary: fc.constant({ kind: L.COMMAND_KIND_TIME }) },
  );
}

/** New orders get the next id, or now and then the id of an old one; changes mean one of the last. Time goes on by one. */
function sequenced(steps: readonly (readonly [Partial<OrderCommand>, boolean])[]): OrderCommand[] {
  let lastId = 0n;
  return steps.map(([step, isReused], index) => {
    const tsNs = BigInt(index);
    if (step.kind === undefined) {
      const orderId = isReused && lastId > BigInt(RECENT_MAX) ? lastId - BigInt(RECENT_MAX) : lastId + 1n;
      if (orderId > lastId) lastId = orderId;
      return newCommand({ ...step, tsNs, orderId });
    }
    const back = step.orderId ?? 0n;
    return newCommand({ ...step, tsNs, orderId: lastId > back ? lastId - back : 1n });
  });
}

/** Up to `length` commands; pools from far too small to ample. */
export function tangledSessions(length: number): fc.Arbitrary<BookSession> {
  return fc.constantFrom(100, 512, 0, -510).chain((baseTicks) =>
    fc
      .record({
        orders: oneOf([1, 5], [2, 12], [5, 200]),
        pages: oneOf([1, 2], [2, 3], [2, 4], [5, 50]),
        lastSteps: fc.constantFrom(undefined, -1, 0, 1),
        steps: fc.array(fc.tuple(anyStep(baseTicks), oneOf([9, false], [1, true])), { minLength: 1, maxLength: length, size: 'max' }),
      })
      .map(({ orders, pages, lastSteps, steps }) => ({
        shape: { symbols: 1, orders, pages, owners: 3 },
        instruments: [{ ...INSTRUMENT, lastTicks: lastSteps === undefined ? INSTRUMENT.lastTicks : baseTicks + lastSteps }],
        limits: [],
        commands: sequenced(steps),
      })),
  );
}
