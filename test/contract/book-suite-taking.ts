/** How every book of ours takes: docs/reference/matching.md, T1 to T3. */
import { describe, expect, it } from 'vitest';
import * as L from '../../schemas/order-layout.gen.ts';
import { type CreateBook, openDesk } from '../book-desk.ts';

const FOK = { timeInForce: L.TIME_IN_FORCE_FOK };
const AON = { isAllOrNone: true };
const NEWEST = { owner: 1, selfMatch: L.SELF_MATCH_CANCEL_NEWEST };
const OLDEST = { owner: 1, selfMatch: L.SELF_MATCH_CANCEL_OLDEST };
const BOTH = { owner: 1, selfMatch: L.SELF_MATCH_CANCEL_BOTH };
const OWN = { owner: 1 };

export function describeBookTaking(name: string, create: CreateBook): void {
  describe(`${name}: taking`, () => {
    it('T1 goes by price first over both books, displayed before all-or-none, and passes over what does not fit', () => {
      const desk = openDesk(create);
      desk.sell(1, '6@99', AON);
      desk.sell(2, '3@100', AON);
      desk.sell(3, '4@100');
      desk.sell(4, '2@100', AON);
      desk.sell(5, '9@101');
      expect(desk.buy(6, '5@101')).toEqual([
        'accepted 6: buy 5@101',
        // 1 is better but does not fit into 5; 3 stands before 2 though it came later; 2 does not fit into 1, nor 4.
        'trade 6 with 3: 4@100, left 1 and 0',
        'trade 6 with 5: 1@101, left 0 and 8',
        'top - / 8@101',
      ]);
      expect(desk.buy(7, '12@101')).toEqual([
        'accepted 7: buy 12@101',
        'trade 7 with 1: 6@99, left 6 and 0',
        'trade 7 with 2: 3@100, left 3 and 0',
        'trade 7 with 4: 2@100, left 1 and 0',
        'trade 7 with 5: 1@101, left 0 and 7',
        'top - / 7@101',
      ]);
    });

    it('T1, T3 an all-or-none order that does not fit does not stand in the way of the next', () => {
      const desk = openDesk(create);
      desk.sell(1, '6@100', AON);
      desk.sell(2, '3@100', AON);
      desk.sell(3, '2@100', AON);
      expect(desk.buy(4, '3@100', FOK)).toEqual(['accepted 4: buy 3@100', 'trade 4 with 2: 3@100, left 0 and 0']);
      expect(desk.buy(5, '4@100').slice(0, 2)).toEqual(['accepted 5: buy 4@100', 'trade 5 with 3: 2@100, left 2 and 0']);
    });

    it('T1 refreshed slices of a level come before its all-or-none orders', () => {
      const desk = openDesk(create);
      desk.sell(1, '6@100', { displayLots: 2 });
      desk.sell(2, '2@100', AON);
      expect(desk.buy(3, '8@100').filter((line) => line.startsWith('trade'))).toEqual([
        'trade 3 with 1: 2@100, left 6 and 4',
        'trade 3 with 1: 2@100, left 4 and 2',
        'trade 3 with 1: 2@100, left 2 and 0',
        'trade 3 with 2: 2@100, left 0 and 0',
      ]);
    });

    it('T1 works across pages of prices, negative ones too', () => {
      const desk = openDesk(create);
      for (const [id, price] of [
        [1, 5000],
        [2, -513],
        [3, 511],
        [4, 512],
        [5, -1],
      ] as const)
        desk.sell(id, `1@${price}`);
      expect(desk.buy(6, '5@5000').filter((line) => line.startsWith('trade'))).toEqual([
        'trade 6 with 2: 1@-513, left 4 and 0',
        'trade 6 with 5: 1@-1, left 3 and 0',
        'trade 6 with 3: 1@511, left 2 and 0',
        'trade 6 with 4: 1@512, left 1 and 0',
        'trade 6 with 1: 1@5000, left 0 and 0',
      ]);
    });

    it('T2 self-match: newest goes, oldest goes, both go, or they trade, as the taker says', () => {
      const setUp = (): ReturnType<typeof openDesk> => {
        const desk = openDesk(create);
        desk.sell(1, '2@100', { owner: 2 });
        desk.sell(2, '3@100', OWN);
        desk.sell(3, '4@100', { owner: 2 });
        return desk;
      };
      const first = 'trade 9 with 1: 2@100, left 6 and 0';
      expect(setUp().buy(9, '8@100', NEWEST)).toEqual(['accepted 9: buy 8@100', first, 'cancelled 9: 6, selfMatch', 'top - / 7@100']);
      expect(setUp().buy(9, '8@100', OLDEST)).toEqual([
        'accepted 9: buy 8@100',
        first,
        'cancelled 2: 3, selfMatch',
        'trade 9 with 3: 4@100, left 2 and 0',
        'top 2@100 / -',
      ]);
      expect(setUp().buy(9, '8@100', BOTH)).toEqual([
        'accepted 9: buy 8@100',
        first,
        'cancelled 2: 3, selfMatch',
        'cancelled 9: 6, selfMatch',
        'top - / 4@100',
      ]);
      expect(setUp().buy(9, '8@100', OWN).slice(1, 4)).toEqual([
        first,
        'trade 9 with 2: 3@100, left 3 and 0',
        'trade 9 with 3: 3@100, left 0 and 1',
      ]);
    });

    it('T2 nobody in particular is never matched with itself; the maker’s own code does not count', () => {
      const desk = openDesk(create);
      desk.sell(1, '2@100', { owner: 0 });
      expect(desk.buy(2, '2@100', { ...NEWEST, owner: 0 })[1]).toBe('trade 2 with 1: 2@100, left 0 and 0');
      desk.sell(3, '2@100', BOTH);
      expect(desk.buy(4, '2@100', OWN)[1]).toBe('trade 4 with 3: 2@100, left 0 and 0');
    });

    it('T2 a market order that meets its own goes for self-match, or for want of liquidity when the oldest went', () => {
      const desk = openDesk(create);
      desk.sell(1, '2@100', OWN);
      expect(desk.buy(2, '5', NEWEST)).toEqual(['accepted 2: buy 5', 'cancelled 2: 5, selfMatch']);
      expect(desk.buy(3, '5', OLDEST)).toEqual([
        'accepted 3: buy 5',
        'cancelled 1: 2, selfMatch',
        'cancelled 3: 5, noLiquidity',
        'top - / -',
      ]);
    });

    it('T2 an iceberg of one’s own goes with its hidden part; an all-or-none order of one’s own that does not fit is passed over', () => {
      const desk = openDesk(create);
      desk.sell(1, '9@100', { ...OWN, displayLots: 2 });
      desk.sell(2, '9@100', { ...OWN, ...AON });
      expect(desk.buy(3, '5@100', OLDEST)).toEqual(['accepted 3: buy 5@100', 'cancelled 1: 9, selfMatch', 'top 5@100 / -']);
      desk.cancel(3);
      expect(desk.buy(4, '5@100', NEWEST)).toEqual(['accepted 4: buy 5@100', 'top 5@100 / -']);
      expect(desk.buy(5, '9@100', NEWEST)).toEqual(['accepted 5: buy 9@100', 'cancelled 5: 9, selfMatch']);
    });

    it('T3 own makers count nothing when the oldest would go, and end the run when the newest would', () => {
      const desk = openDesk(create);
      desk.sell(1, '6@100', { displayLots: 2, owner: 2 });
      desk.sell(2, '3@100', OWN);
      desk.sell(3, '4@101', { owner: 2 });
      // Newest: 2 shown of 1, then its own; the hidden 4 of 1 stand behind it. Oldest: 6 and 4, its own go.
      expect(desk.buy(4, '3@101', { ...NEWEST, ...FOK })).toEqual(['accepted 4: buy 3@101', 'cancelled 4: 3, unfilled']);
      expect(desk.buy(5, '11@101', { ...OLDEST, ...FOK })).toEqual(['accepted 5: buy 11@101', 'cancelled 5: 11, unfilled']);
      expect(desk.buy(6, '2@101', { ...BOTH, ...FOK })[1]).toBe('trade 6 with 1: 2@100, left 0 and 4');
      expect(desk.buy(7, '8@101', { ...OLDEST, ...FOK })).toEqual([
        'accepted 7: buy 8@101',
        'cancelled 2: 3, selfMatch',
        'trade 7 with 1: 2@100, left 6 and 2',
        'refreshed 1: 2 of 2',
        'trade 7 with 1: 2@100, left 4 and 0',
        'trade 7 with 3: 4@101, left 0 and 0',
        'top - / -',
      ]);
    });

    it('T3 an all-or-none order that meets its own is not filled, and stands', () => {
      const desk = openDesk(create);
      desk.sell(1, '5@100', OWN);
      desk.sell(2, '5@101', { owner: 2 });
      expect(desk.buy(3, '5@101', { ...NEWEST, ...AON })).toEqual(['accepted 3: buy 5@101']);
      // Step 3: once its own order is gone, it can.
      expect(desk.cancel(1)).toEqual(['cancelled 1: 5, requested', 'trade 3 with 2: 5@101, left 0 and 0', 'top - / -']);
    });
  });
}
