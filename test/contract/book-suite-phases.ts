/** What every book of ours does between phases: docs/reference/matching.md, A7, M4, U1 to U3. */
import { describe, expect, it } from 'vitest';
import * as L from '../../schemas/order-layout.gen.ts';
import { type CreateBook, type Desk, openDesk } from '../book-desk.ts';

const at100 = { instrument: { lastTicks: 100 } };

export function describeBookPhases(name: string, create: CreateBook): void {
  describe(`${name}: phases`, () => {
    const gather = (desk: Desk, orders: readonly (readonly [side: 'buy' | 'sell', id: number, terms: string])[]): void => {
      for (const [side, id, terms] of orders) desk[side](id, terms);
    };

    it('A7 an unknown symbol or phase is refused', () => {
      const desk = openDesk(create);
      expect(desk.phase(L.PHASE_CALL, 1)).toEqual(['[1] rejected 0: unknownSymbol']);
      for (const phase of [-1, 4, 2 ** 31 - 1]) expect(desk.phase(phase)).toEqual(['rejected 0: malformed']);
      expect(desk.phase(L.PHASE_CALL)).toEqual(['phase call']);
    });

    it('U1 the price of most volume; U2 FIFO at one price, with slices', () => {
      const desk = openDesk(create, { instrument: { phase: L.PHASE_CALL } });
      gather(desk, [
        ['buy', 1, '5@103'],
        ['buy', 2, '5@101'],
        ['sell', 4, '4@99'],
        ['sell', 5, '5@101'],
      ]);
      desk.buy(3, '6@102', { displayLots: 2 });
      // At 101: 16 buy, 9 sell; at 102 and 103 too, 11 and 5 buy; at 99: 4 sell. 9 trade at 101 and 102; the imbalance is 7 and 2.
      expect(desk.phase(L.PHASE_CONTINUOUS)).toEqual([
        'phase continuous',
        'trade 1 with 4: 4@102, left 1 and 0',
        'trade 1 with 5: 1@102, left 0 and 4',
        'trade 3 with 5: 2@102, left 4 and 2',
        'refreshed 3: 2 of 4',
        'trade 3 with 5: 2@102, left 2 and 0',
        'refreshed 3: 2 of 2',
        'top 2@102 / -',
      ]);
      expect(desk.book.lastTicks(0)).toBe(102);
    });

    it('U1 ties: more to buy takes the highest, more to sell the lowest, else the nearest to last, the higher of two', () => {
      const price = (orders: Parameters<typeof gather>[1], lastTicks: number): number => {
        const desk = openDesk(create, { instrument: { phase: L.PHASE_CALL, lastTicks } });
        gather(desk, orders);
        desk.phase(L.PHASE_CONTINUOUS);
        return desk.book.lastTicks(0);
      };
      const none = L.ORDER_LIMIT_PRICE_NONE;
      expect(
        price(
          [
            ['buy', 1, '9@104'],
            ['sell', 2, '5@100'],
          ],
          none,
        ),
      ).toBe(104);
      expect(
        price(
          [
            ['buy', 1, '5@104'],
            ['sell', 2, '9@100'],
          ],
          none,
        ),
      ).toBe(100);
      const even = [
        ['buy', 1, '5@104'],
        ['sell', 2, '5@100'],
      ] as const;
      expect(price(even, none)).toBe(104);
      expect(price(even, 101)).toBe(100);
      expect(price(even, 102)).toBe(104);
      expect(price(even, 103)).toBe(104);
      expect(price(even, 1)).toBe(100);
    });

    it('U2 when both slices are used up the buyer’s next comes first', () => {
      const desk = openDesk(create, { instrument: { phase: L.PHASE_CALL } });
      desk.buy(1, '4@100', { displayLots: 2 });
      desk.sell(2, '5@100', { displayLots: 2 });
      expect(desk.phase(L.PHASE_CONTINUOUS)).toEqual([
        'phase continuous',
        'trade 1 with 2: 2@100, left 2 and 3',
        'refreshed 1: 2 of 2',
        'refreshed 2: 2 of 3',
        'trade 1 with 2: 2@100, left 0 and 1',
        'refreshed 2: 1 of 1',
        'top - / 1@100',
      ]);
    });

    it('U3 nothing crosses: no trades, and the last price stays', () => {
      const desk = openDesk(create, { instrument: { phase: L.PHASE_CALL, lastTicks: 77 } });
      gather(desk, [
        ['buy', 1, '5@99'],
        ['sell', 2, '5@100'],
      ]);
      expect(desk.phase(L.PHASE_CONTINUOUS)).toEqual(['phase continuous']);
      expect(desk.book.lastTicks(0)).toBe(77);
    });

    it('U2 does not look at self-match; U3 all-or-none and stop orders take part only when trading is continuous', () => {
      const desk = openDesk(create, at100);
      desk.buy(1, '3@105', { isAllOrNone: true });
      desk.buy(2, '1@90 from 102');
      desk.phase(L.PHASE_CALL);
      const own = { owner: 1, selfMatch: L.SELF_MATCH_CANCEL_BOTH };
      desk.buy(3, '5@103', own);
      desk.sell(4, '8@102', own);
      expect(desk.phase(L.PHASE_CONTINUOUS)).toEqual([
        'phase continuous',
        'trade 3 with 4: 5@102, left 0 and 3',
        'triggered 2',
        'trade 1 with 4: 3@102, left 0 and 0',
        'top 1@90 / -',
      ]);
    });

    it('A7 to closed uncrosses too, then DAY orders of all books go', () => {
      const desk = openDesk(create, at100);
      const day = { timeInForce: L.TIME_IN_FORCE_DAY };
      desk.buy(1, '3@120', { ...day, isAllOrNone: true });
      desk.buy(2, '3 from 120', day);
      desk.phase(L.PHASE_CALL);
      desk.buy(3, '5@103', day);
      desk.sell(4, '4@102', day);
      expect(desk.phase(L.PHASE_CLOSED)).toEqual([
        'phase closed',
        'trade 3 with 4: 4@103, left 1 and 0',
        'expired 3: 1, sessionEnd',
        'expired 1: 3, sessionEnd',
        'expired 2: 3, sessionEnd',
        'top - / -',
      ]);
    });

    it('A7 halted and call do not uncross; a book crossed in a call and then halted uncrosses when trading goes on', () => {
      const desk = openDesk(create, { instrument: { phase: L.PHASE_CALL } });
      gather(desk, [
        ['buy', 1, '5@103'],
        ['sell', 2, '5@100'],
      ]);
      expect(desk.phase(L.PHASE_CALL)).toEqual(['phase call']);
      expect(desk.phase(L.PHASE_HALTED)).toEqual(['phase halted']);
      expect(desk.phase(L.PHASE_CONTINUOUS)).toEqual(['phase continuous', 'trade 1 with 2: 5@103, left 0 and 0', 'top - / -']);
    });

    it('A7 stops that came in a call, whose trigger the last price has reached, act when trading is continuous', () => {
      const desk = openDesk(create, { instrument: { phase: L.PHASE_CALL, lastTicks: 100 } });
      gather(desk, [
        ['buy', 1, '1@95 from 99'],
        ['sell', 2, '1@105 from 101'],
        ['buy', 3, '1 from 101'],
      ]);
      expect(desk.standing().length).toBe(3);
      expect(desk.phase(L.PHASE_CONTINUOUS)).toEqual(['phase continuous', 'triggered 1', 'triggered 2', 'top 1@95 / 1@105']);
      expect(desk.phase(L.PHASE_CONTINUOUS)).toEqual(['phase continuous']);
    });

    it('M4 a halt takes cancels and reductions, and nothing settles', () => {
      const desk = openDesk(create, at100);
      desk.sell(1, '5@100', { owner: 1 });
      desk.sell(2, '5@101');
      desk.buy(3, '5@101', { isAllOrNone: true, owner: 1, selfMatch: L.SELF_MATCH_CANCEL_NEWEST });
      desk.phase(L.PHASE_HALTED);
      expect(desk.reduce(1, 2)).toEqual(['replaced 1: 3@100, place kept', 'top - / 3@100']);
      expect(desk.cancel(1)).toEqual(['cancelled 1: 3, requested', 'top - / 5@101']);
      expect(desk.phase(L.PHASE_CONTINUOUS)).toEqual(['phase continuous', 'trade 3 with 2: 5@101, left 0 and 0', 'top - / -']);
    });
  });
}
