/** What every book of ours refuses, check by check: docs/reference/matching.md, C1 to C14, A10 and M1 to M3, M7. */
import { describe, expect, it } from 'vitest';
import { newCommand, type OwnerLimits } from '../../engine/market/order-command.ts';
import * as L from '../../schemas/order-layout.gen.ts';
import { type CreateBook, type Desk, openDesk, orderFields } from '../book-desk.ts';

const MAX = L.ORDER_LIMIT_PRICE_MAX;
const NO_LIMITS: OwnerLimits = { isBlocked: false, maxOpenOrders: 0, maxOrderLots: 0, maxNotional: 0n };
const GTD = { timeInForce: L.TIME_IN_FORCE_GTD };
const IOC = { timeInForce: L.TIME_IN_FORCE_IOC };
const FOK = { timeInForce: L.TIME_IN_FORCE_FOK };
const TO_LIMIT = { type: L.ORDER_TYPE_MARKET_TO_LIMIT };

/** The lines of a refusal. */
const refused = (orderId: number | bigint, reason: string): string[] => [`rejected ${orderId}: ${reason}`];

export function describeBookChecks(name: string, create: CreateBook): void {
  describe(`${name}: checks`, () => {
    it('C1 refuses an order for a symbol that is not set up, or is none', () => {
      const desk = openDesk(create);
      for (const symbolIndex of [1, 2, 3, -1, 2 ** 31 - 1]) {
        expect(desk.buy(1, '10@100', { symbolIndex })).toEqual([`[${symbolIndex}] rejected 1: unknownSymbol`]);
      }
    });

    it('C2, M2 an id is refused while its order lives, in every symbol, and free again afterwards', () => {
      const desk = openDesk(create, { symbols: 2 });
      desk.buy(1, '10@100');
      expect(desk.buy(1, '10@100')).toEqual(refused(1, 'duplicateId'));
      expect(desk.buy(1, '10@100', { symbolIndex: 1 })).toEqual(['[1] rejected 1: duplicateId']);
      desk.cancel(1);
      expect(desk.buy(1, '10@99', { symbolIndex: 1 })).toEqual(['[1] accepted 1: buy 10@99', '[1] top 10@99 / -']);
      desk.sell(2, '10@99', { symbolIndex: 1 });
      expect(desk.buy(1, '10@98')).toEqual(['accepted 1: buy 10@98', 'top 10@98 / -']);
      expect(desk.buy(0, '10@100')).toEqual(refused(0, 'malformed'));
    });

    it('C2 takes ids of all 64 bits, and of an order that only took', () => {
      const desk = openDesk(create);
      const orderId = 2n ** 64n - 1n;
      expect(desk.send({ ...orderFields(0, 1, '10@100'), orderId })).toEqual([`accepted ${orderId}: buy 10@100`, 'top 10@100 / -']);
      expect(desk.send({ ...orderFields(0, 1, '10@100'), orderId })).toEqual(refused(orderId, 'duplicateId'));
      desk.sell(7, '4@100', IOC);
      expect(desk.sell(7, '4@100', IOC)).toEqual([
        'accepted 7: sell 4@100',
        `trade 7 with ${orderId}: 4@100, left 0 and 2`,
        'top 2@100 / -',
      ]);
    });

    it('C3 refuses types, times in force and bits that do not exist', () => {
      const desk = openDesk(create);
      const bits = [6 << 1, 7 << 1, 5 << 4, 6 << 4, 7 << 4, 1 << 11, 1 << 31, -1];
      for (const attributes of bits) expect(desk.buy(1, '10@100', { attributes }), `${attributes}`).toEqual(refused(1, 'malformed'));
      for (const selfMatch of [0, 1, 2, 3]) expect(desk.buy(selfMatch + 1, '10@100', { selfMatch })[0]).toMatch(/^accepted/);
    });

    it('C4 refuses combinations that have no meaning', () => {
      const desk = openDesk(create, { instrument: { lastTicks: 100 } });
      desk.sell(90, '50@200');
      const wrong: Parameters<Desk['buy']>[] = [
        [1, '10', { isPostOnly: true }],
        [1, '10@100', { ...IOC, isPostOnly: true }],
        [1, '10@100', { ...FOK, isPostOnly: true }],
        [1, '10@95 from 105', { isPostOnly: true }],
        [1, '10', { isAllOrNone: true }],
        [1, '10@100', { ...IOC, isAllOrNone: true }],
        [1, '10@95 from 105', { isAllOrNone: true }],
        [1, '10@100', { displayLots: 5, isAllOrNone: true }],
        [1, '10@100', { isPostOnly: true, isAllOrNone: true }],
        [1, '10', { displayLots: 5 }],
        [1, '10', { ...TO_LIMIT, displayLots: 5 }],
        [1, '10@100', { ...IOC, displayLots: 5 }],
        [1, '10 from 105', { displayLots: 5 }],
        [1, '10 trailing 5', { displayLots: 5 }],
        [1, '10 from 105', IOC],
        [1, '10@95 from 105', FOK],
        [1, '10 trailing 5', FOK],
        [1, '10@100', GTD],
        [1, '10', { ...GTD, expiryNs: 5n }],
      ];
      for (const order of wrong) expect(desk.buy(...order), JSON.stringify(order[1])).toEqual(refused(1, 'unsupportedCombination'));
    });

    it('C4 takes the others: iceberg stop limits, market to limit till a date, an expiry that does not count', () => {
      const desk = openDesk(create, { instrument: { lastTicks: 100 } });
      desk.sell(90, '50@100');
      expect(desk.buy(1, '10@95 from 105', { displayLots: 2 })).toEqual(['accepted 1: buy 10@95 from 105']);
      expect(desk.buy(2, '10', { ...TO_LIMIT, ...GTD, expiryNs: 5n })[0]).toBe('accepted 2: buy 10@100');
      expect(desk.buy(3, '10 trailing 5', { ...GTD, expiryNs: 5n })).toEqual(['accepted 3: buy 10 from 105']);
      expect(desk.buy(4, '10@90', { expiryNs: -7n })).toEqual(['accepted 4: buy 10@90', 'top 10@90 / 40@100']);
      expect(desk.book.list(0).find((order) => order.orderId === 4n)?.expiryNs).toBe(0n);
    });

    it('C5, M4 closed and halted take no new orders; a call takes what can gather', () => {
      const desk = openDesk(create, { instrument: { lastTicks: 100 } });
      desk.sell(90, '50@100');
      desk.phase(L.PHASE_HALTED);
      expect(desk.buy(1, '10@100')).toEqual(refused(1, 'halted'));
      desk.phase(L.PHASE_CLOSED);
      expect(desk.buy(1, '10@100')).toEqual(refused(1, 'sessionClosed'));
      desk.phase(L.PHASE_CALL);
      const brief: Parameters<Desk['buy']>[] = [
        [1, '10'],
        [1, '10', TO_LIMIT],
        [1, '10@90', IOC],
        [1, '10@90', FOK],
        [1, '10@90', { isPostOnly: true }],
        [1, '10@90', { isAllOrNone: true }],
      ];
      for (const order of brief) expect(desk.buy(...order), order[1]).toEqual(refused(1, 'notInCall'));
      expect(desk.buy(1, '10@105', { displayLots: 2 })).toEqual(['accepted 1: buy 10@105', 'top 2@105 / 50@100']);
      expect(desk.buy(2, '10 from 99')).toEqual(['accepted 2: buy 10 from 99']);
      expect(desk.buy(3, '10 trailing 3')).toEqual(['accepted 3: buy 10 from 103']);
    });

    it('C6, M1 refuses quantities that are none, too large, too small, or off the lot, in this order', () => {
      const desk = openDesk(create, { instrument: { lotStep: 10, minLots: 20, maxLots: 100 } });
      const cases: [number, string][] = [
        [0, 'quantityNotPositive'],
        [-10, 'quantityNotPositive'],
        [-(2 ** 31), 'quantityNotPositive'],
        [L.ORDER_LIMIT_QUANTITY_MAX + 1, 'quantityTooLarge'],
        [2 ** 31 - 1, 'quantityTooLarge'],
        [101, 'quantityTooLarge'],
        [110, 'quantityTooLarge'],
        [15, 'quantityTooSmall'],
        [10, 'quantityTooSmall'],
        [25, 'offLot'],
      ];
      for (const [quantityLots, reason] of cases) {
        expect(desk.buy(1, '10@100', { quantityLots }), `${quantityLots}`).toEqual(refused(1, reason));
      }
      for (const quantityLots of [20, 100]) expect(desk.buy(quantityLots, '10@100', { quantityLots })[0]).toMatch(/^accepted/);
    });

    it('C6, M1 the greatest quantity there is stands, and a level sums beyond 32 bits', () => {
      const desk = openDesk(create);
      const most = `${L.ORDER_LIMIT_QUANTITY_MAX}@5`;
      for (const orderId of [1, 2, 3, 4, 5]) desk.buy(orderId, most);
      expect(desk.book.levels(0, 0)).toEqual([{ priceTicks: 5, quantityLots: 5n * BigInt(L.ORDER_LIMIT_QUANTITY_MAX), orders: 5 }]);
    });

    it('C7, M1 refuses prices out of range, off the tick, outside the band; negative prices are prices', () => {
      const desk = openDesk(create, { instrument: { tickStep: 5, lowerTicks: -20, upperTicks: 20 } });
      const cases: [number, string][] = [
        [MAX + 1, 'priceOutOfRange'],
        [-MAX - 1, 'priceOutOfRange'],
        [-(2 ** 31), 'priceOutOfRange'],
        [-7, 'offTick'],
        [23, 'offTick'],
        [25, 'outsideBand'],
        [-25, 'outsideBand'],
      ];
      for (const [priceTicks, reason] of cases) {
        expect(desk.buy(1, '10@0', { priceTicks }), `limit ${priceTicks}`).toEqual(refused(1, reason));
        expect(desk.buy(1, '10@0 from 5', { priceTicks }), `stop limit ${priceTicks}`).toEqual(refused(1, reason));
      }
      expect(desk.buy(1, '10@-20')).toEqual(['accepted 1: buy 10@-20', 'top 10@-20 / -']);
      expect(desk.sell(2, '10@20')).toEqual(['accepted 2: sell 10@20', 'top 10@-20 / 10@20']);
    });

    it('C8 a trigger is on the tick and in range, but may be outside the band', () => {
      const desk = openDesk(create, { instrument: { tickStep: 5, lowerTicks: -20, upperTicks: 20 } });
      for (const stopTicks of [3, -3, MAX + 1, -MAX - 1, -(2 ** 31)]) {
        expect(desk.buy(1, '10 from 5', { stopTicks }), `stop ${stopTicks}`).toEqual(refused(1, 'stopInvalid'));
        expect(desk.buy(1, '10@5 from 5', { stopTicks }), `stop limit ${stopTicks}`).toEqual(refused(1, 'stopInvalid'));
      }
      expect(desk.buy(1, '10 from 500')).toEqual(['accepted 1: buy 10 from 500']);
    });

    it('C8 a trailing stop needs a last price, and a distance that leaves its trigger in range', () => {
      const never = openDesk(create);
      expect(never.sell(1, '10 trailing 5')).toEqual(refused(1, 'stopInvalid'));
      const desk = openDesk(create, { instrument: { lastTicks: 100, tickStep: 5 } });
      for (const trailTicks of [0, -5, MAX + 1, 2 ** 31 - 1, -(2 ** 31), MAX - 99]) {
        expect(desk.buy(1, '10 trailing 5', { trailTicks }), `${trailTicks}`).toEqual(refused(1, 'stopInvalid'));
      }
      expect(desk.buy(1, `10 trailing ${MAX - 100}`)).toEqual([`accepted 1: buy 10 from ${MAX}`]);
      expect(desk.sell(2, `10 trailing ${MAX}`)).toEqual([`accepted 2: sell 10 from ${100 - MAX}`]);
      expect(desk.sell(3, '10 trailing 3')).toEqual(['accepted 3: sell 10 from 97']);
    });

    it('C9 a slice is from one lot to the whole, on the lot', () => {
      const desk = openDesk(create, { instrument: { lotStep: 10 } });
      for (const displayLots of [-10, 5, 15, 110]) {
        expect(desk.buy(1, '100@100', { displayLots }), `${displayLots}`).toEqual(refused(1, 'displayInvalid'));
      }
      expect(desk.buy(1, '100@100', { displayLots: 100 })).toEqual(['accepted 1: buy 100@100', 'top 100@100 / -']);
      expect(desk.buy(2, '100@101', { displayLots: 10 })).toEqual(['accepted 2: buy 100@101', 'top 10@101 / -']);
    });

    it('C9 the icebergs of a region have so many slices together and no more', () => {
      const most = L.ORDER_LIMIT_SLICES_MAX;
      const desk = openDesk(create, { symbols: 2 });
      expect(desk.buy(1, `${most + 1}@100`, { displayLots: 1 })).toEqual(refused(1, 'displayInvalid'));
      desk.buy(2, `${most - 3}@100`, { displayLots: 1 });
      expect(desk.buy(3, '7@99', { displayLots: 2, symbolIndex: 1 })).toEqual(['[1] rejected 3: displayInvalid']);
      expect(desk.buy(3, '6@99', { displayLots: 2, symbolIndex: 1 })[0]).toBe('[1] accepted 3: buy 6@99');
      expect(desk.replace(3, '7@99', { symbolIndex: 1 })).toEqual(['[1] rejected 3: displayInvalid']);
      desk.reduce(2, 1);
      expect(desk.replace(3, '7@99', { symbolIndex: 1 })[0]).toBe('[1] replaced 3: 7@99, place lost');
    });

    it('C10, M3 a date that has come is refused, by the time of the region', () => {
      const desk = openDesk(create);
      desk.time(50n);
      expect(desk.buy(1, '10@100', { ...GTD, expiryNs: 50n, tsNs: 10n })).toEqual(refused(1, 'expiryPassed'));
      expect(desk.buy(1, '10@100', { ...GTD, expiryNs: -1n })).toEqual(refused(1, 'expiryPassed'));
      expect(desk.buy(1, '10@100', { ...GTD, expiryNs: 51n, tsNs: 10n })[0]).toBe('accepted 1: buy 10@100');
    });

    it('C11 an owner is known, not blocked, and within each of its limits', () => {
      const desk = openDesk(create, { instrument: { lastTicks: 50 } });
      desk.book.limit(1, { ...NO_LIMITS, isBlocked: true });
      desk.book.limit(2, { isBlocked: false, maxOpenOrders: 2, maxOrderLots: 20, maxNotional: 1000n });
      expect(desk.buy(1, '10@100', { owner: 5 })).toEqual(refused(1, 'ownerUnknown'));
      expect(desk.buy(1, '10@100', { owner: 2 ** 32 - 1 })).toEqual(refused(1, 'ownerUnknown'));
      expect(desk.buy(1, '10@100', { owner: 1 })).toEqual(refused(1, 'ownerBlocked'));
      expect(desk.buy(1, '21@1', { owner: 2 })).toEqual(refused(1, 'ownerQuantityLimit'));
      expect(desk.buy(1, '10@101', { owner: 2 })).toEqual(refused(1, 'ownerNotionalLimit'));
      expect(desk.buy(1, '10@-101', { owner: 2 })).toEqual(refused(1, 'ownerNotionalLimit'));
      // Market orders and stops count at the last price, 50: 20 x 50 is just allowed.
      expect(desk.buy(1, '20', { owner: 2 })).toEqual(['accepted 1: buy 20', 'cancelled 1: 20, noLiquidity']);
      expect(desk.buy(1, '20 from 300', { owner: 2 })).toEqual(['accepted 1: buy 20 from 300']);
      expect(desk.buy(2, '10@100', { owner: 2 })[0]).toBe('accepted 2: buy 10@100');
      expect(desk.buy(3, '1@1', { owner: 2 })).toEqual(refused(3, 'ownerOrderLimit'));
      desk.cancel(1);
      expect(desk.buy(3, '1@1', { owner: 2 })).toEqual(['accepted 3: buy 1@1']);
      expect(desk.buy(4, '999@999', { owner: 3 })[0]).toBe('accepted 4: buy 999@999');
    });

    it('C12, M7 a full order pool refuses what could stand, and only that', () => {
      const desk = openDesk(create, { pools: { orders: 2 } });
      desk.sell(1, '10@100');
      desk.buy(2, '10 from 150');
      expect(desk.buy(3, '5@100')).toEqual(refused(3, 'orderPoolFull'));
      expect(desk.buy(3, '5 from 150')).toEqual(refused(3, 'orderPoolFull'));
      expect(desk.buy(3, '5', TO_LIMIT)).toEqual(refused(3, 'orderPoolFull'));
      for (const options of [IOC, FOK]) expect(desk.buy(3, '2@100', options)[0]).toBe('accepted 3: buy 2@100');
      expect(desk.buy(3, '2')[0]).toBe('accepted 3: buy 2');
      desk.cancel(2);
      expect(desk.buy(3, '1@100')[0]).toBe('accepted 3: buy 1@100');
    });

    it('C12, M7 a page is of one symbol, one book, 512 ticks and both sides; it is free again when its last order goes', () => {
      const desk = openDesk(create, { pools: { pages: 2 }, symbols: 2 });
      desk.buy(1, '10@511');
      desk.sell(2, '10@513');
      expect(desk.buy(3, '10@-1')).toEqual(refused(3, 'pricePoolFull'));
      expect(desk.buy(3, '10@1', { isAllOrNone: true })).toEqual(refused(3, 'pricePoolFull'));
      expect(desk.buy(3, '10 from 600')).toEqual(refused(3, 'pricePoolFull'));
      expect(desk.buy(3, '10@1', { symbolIndex: 1 })).toEqual(['[1] rejected 3: pricePoolFull']);
      expect(desk.buy(3, '10@0')).toEqual(['accepted 3: buy 10@0']);
      expect(desk.sell(4, '10@1023')).toEqual(['accepted 4: sell 10@1023']);
      desk.cancel(2);
      expect(desk.buy(5, '10@-1')).toEqual(refused(5, 'pricePoolFull'));
      desk.cancel(4);
      expect(desk.buy(5, '10@-1')).toEqual(['accepted 5: buy 10@-1']);
      expect(desk.buy(6, '10@-512')).toEqual(['accepted 6: buy 10@-512']);
      expect(desk.buy(7, '10@-513')).toEqual(refused(7, 'pricePoolFull'));
    });

    it('C12 what an order would take does not make room for it', () => {
      const desk = openDesk(create, { pools: { pages: 1 } });
      desk.sell(1, '10@100');
      expect(desk.buy(2, '20@600')).toEqual(refused(2, 'pricePoolFull'));
      expect(desk.buy(2, '20@600', IOC)).toEqual([
        'accepted 2: buy 20@600',
        'trade 2 with 1: 10@100, left 10 and 0',
        'cancelled 2: 10, remainder',
        'top - / -',
      ]);
    });

    it('C12 trailing stops need the page where they would stand, market to limit that of the best opposite price', () => {
      const desk = openDesk(create, { pools: { pages: 1 }, instrument: { lastTicks: 510 } });
      desk.sell(1, '10@511');
      expect(desk.buy(2, '10 trailing 1')).toEqual(refused(2, 'pricePoolFull'));
      expect(desk.buy(2, '15', TO_LIMIT)).toEqual(['accepted 2: buy 15@511', 'trade 2 with 1: 10@511, left 5 and 0', 'top 5@511 / -']);
      desk.cancel(2);
      expect(desk.buy(3, '10 trailing 1')).toEqual(['accepted 3: buy 10 from 512']);
      expect(desk.sell(4, '10 trailing 1')).toEqual(refused(4, 'pricePoolFull'));
      expect(desk.buy(5, '10 trailing 2')).toEqual(['accepted 5: buy 10 from 513']);
    });

    it('C13 market to limit without an opposite displayed order is refused, even when the pool is full', () => {
      const desk = openDesk(create, { pools: { orders: 1 } });
      desk.sell(1, '10@100', { isAllOrNone: true });
      expect(desk.buy(2, '10', TO_LIMIT)).toEqual(refused(2, 'noLiquidity'));
    });

    it('C14 post-only is refused where it would take, and stands where it would not', () => {
      const desk = openDesk(create);
      desk.sell(1, '10@100');
      desk.sell(2, '10@98', { isAllOrNone: true });
      expect(desk.buy(3, '10@100', { isPostOnly: true })).toEqual(refused(3, 'wouldTake'));
      expect(desk.buy(3, '10@101', { isPostOnly: true })).toEqual(refused(3, 'wouldTake'));
      // An all-or-none order that it could take does not count (O7); it takes the post-only order in turn (S3).
      expect(desk.buy(3, '10@99', { isPostOnly: true })).toEqual(['accepted 3: buy 10@99', 'trade 2 with 3: 10@99, left 0 and 0']);
    });

    it('A10 a command of unknown kind is refused, with its kind in the event', () => {
      const desk = openDesk(create);
      for (const kind of [0, 11, 255, 256, -1]) {
        const [event] = desk.book.apply(newCommand({ kind, orderId: 9n }));
        expect([event?.kind, event?.reason, event?.otherOwner]).toEqual([L.EVENT_KIND_REJECTED, L.ORDER_REASON_MALFORMED, kind >>> 0]);
      }
    });
  });
}
