/** What every book of ours does after trades and between phases: docs/reference/matching.md, S1 to S3, A7, U1 to U3. */
import { describe, expect, it } from 'vitest';
import * as L from '../../schemas/order-layout.gen.ts';
import { type CreateBook, type Desk, openDesk } from '../book-desk.ts';

const AON = { isAllOrNone: true };
const at100 = { instrument: { lastTicks: 100 } };

/** Two lots of nobody trade at the price, without touching what stands elsewhere. */
const print = (desk: Desk, price: number, id: number): string[] => [...desk.buy(id, `1@${price}`), ...desk.sell(id + 1, `1@${price}`)];

export function describeBookSettling(name: string, create: CreateBook): void {
  describe(`${name}: settling`, () => {
    it('S1 triggers nearest first, FIFO within, by the highest and the lowest trade of a sweep', () => {
      const desk = openDesk(create, at100);
      for (const [id, price] of [
        [1, 101],
        [2, 103],
        [3, 105],
        [4, 110],
      ] as const)
        desk.sell(id, `1@${price}`);
      desk.buy(11, '1@90 from 104');
      desk.buy(12, '1@91 from 102');
      desk.buy(13, '1@92 from 104');
      desk.buy(14, '1@93 from 106');
      expect(desk.buy(20, '3').slice(-4)).toEqual(['triggered 12', 'triggered 11', 'triggered 13', 'top 1@92 / 1@110']);
      expect(desk.standing().filter((line) => line.includes('stop'))).toEqual(['buy stop 14: 1@93 from 106']);
    });

    it('S1 a sell that sweeps down triggers sell stops by its lowest trade', () => {
      const desk = openDesk(create, at100);
      for (const [id, price] of [
        [1, 99],
        [2, 97],
        [3, 95],
        [4, 90],
      ] as const)
        desk.buy(id, `1@${price}`);
      desk.sell(11, '1@99 from 96');
      desk.sell(12, '1@98 from 98');
      desk.sell(13, '1@99 from 94');
      expect(desk.sell(20, '3').slice(-3)).toEqual(['triggered 12', 'triggered 11', 'top 1@90 / 1@98']);
    });

    it('S1 trailing stops move by the extreme of the sweep', () => {
      const desk = openDesk(create, at100);
      desk.sell(1, '1@110');
      desk.sell(2, '1@90');
      desk.sell(3, '5 trailing 15');
      desk.buy(8, '5 trailing 30');
      // The better price comes first: it trades at 90, then at 110. The sell follows 110, the buy 90.
      desk.buy(4, '2@110');
      expect(desk.standing()).toEqual(['buy stop 8: 5 from 120', 'sell stop 3: 5 from 95']);
    });

    it('S1 a trailing stop that the highest trade took along triggers when the last trade is below it', () => {
      const desk = openDesk(create, at100);
      desk.buy(1, '5@80');
      desk.buy(2, '1@104', { isAllOrNone: true });
      desk.buy(3, '1@98');
      desk.sell(4, '5 trailing 3');
      // It waits at 97. One sell trades at 104, then at 98: high 104 takes it to 101, and last 98 is below that.
      expect(desk.sell(5, '2@98')).toEqual([
        'accepted 5: sell 2@98',
        'trade 5 with 2: 1@104, left 1 and 0',
        'trade 5 with 3: 1@98, left 0 and 0',
        'triggered 4',
        'trade 4 with 1: 5@80, left 0 and 0',
        'top - / -',
      ]);
    });

    it('S1, M7 a trailing stop that finds no page where it should stand goes; the page that it empties itself is room', () => {
      const desk = openDesk(create, { instrument: { lastTicks: 514 }, pools: { pages: 2 } });
      desk.sell(1, '5 trailing 10');
      // From 504 to 515: its old page was its own, the displayed book has the other.
      print(desk, 525, 10);
      desk.sell(2, '5 from 514');
      print(desk, 1030, 20);
      expect(desk.standing()).toEqual(['sell stop 1: 5 from 1020', 'sell stop 2: 5 from 514']);
      // To 1025 it needs a page, but 2 keeps the one of the stop book, and the rest of 31 the other.
      desk.buy(30, '1@1035');
      expect(desk.sell(31, '2@1035')).toEqual([
        'accepted 31: sell 2@1035',
        'trade 31 with 30: 1@1035, left 1 and 0',
        'cancelled 1: 5, pricePoolFull',
        'top - / 1@1035',
      ]);
    });

    it('S2 the queue acts one by one: what a stop trades triggers more, at the end of the queue', () => {
      const desk = openDesk(create, at100);
      for (const [id, price] of [
        [1, 99],
        [2, 98],
        [3, 97],
        [4, 96],
      ] as const)
        desk.buy(id, `1@${price}`);
      desk.sell(11, '1 from 99');
      desk.sell(12, '1 from 99');
      desk.sell(13, '1 from 98');
      expect(desk.sell(20, '1')).toEqual([
        'accepted 20: sell 1',
        'trade 20 with 1: 1@99, left 0 and 0',
        'triggered 11',
        'trade 11 with 2: 1@98, left 0 and 0',
        // 13 queued behind 12.
        'triggered 12',
        'trade 12 with 3: 1@97, left 0 and 0',
        'triggered 13',
        'trade 13 with 4: 1@96, left 0 and 0',
        'top - / -',
      ]);
    });

    it('S2, M7 pages that triggered stops have left are room for those that act', () => {
      const desk = openDesk(create, { ...at100, pools: { pages: 2 } });
      desk.buy(1, '3@90');
      desk.sell(2, '1@600 from 95');
      desk.sell(4, '1 from 94');
      expect(desk.sell(3, '1@90')).toEqual([
        'accepted 3: sell 1@90',
        'trade 3 with 1: 1@90, left 0 and 2',
        // Both left the stop book when they were triggered: its page is back, so 2 finds one.
        'triggered 2',
        'triggered 4',
        'trade 4 with 1: 1@90, left 0 and 1',
        'top 1@90 / 1@600',
      ]);
      expect(desk.buy(5, '1@70 from 120')).toEqual(['rejected 5: pricePoolFull']);
      desk.cancel(2);
      desk.sell(6, '1@600 from 80');
      desk.sell(7, '1 from 60');
      desk.buy(8, '1@75');
      expect(desk.sell(9, '2@75')).toEqual([
        'accepted 9: sell 2@75',
        'trade 9 with 1: 1@90, left 1 and 0',
        'trade 9 with 8: 1@75, left 0 and 0',
        // 7 keeps the page of the stop book, and the displayed book is empty: its page is back.
        'triggered 6',
        'top - / 1@600',
      ]);
    });

    it('S2 a triggered stop limit whose page has no room goes', () => {
      const desk = openDesk(create, { ...at100, pools: { pages: 2 } });
      desk.buy(1, '3@90');
      desk.sell(2, '1@600 from 95');
      desk.sell(3, '1 from 20');
      expect(desk.sell(4, '1@90')).toEqual([
        'accepted 4: sell 1@90',
        'trade 4 with 1: 1@90, left 0 and 2',
        'triggered 2',
        'cancelled 2: 1, pricePoolFull',
        'top 2@90 / -',
      ]);
    });

    it('S3 all-or-none orders are looked at again after each command, in book order', () => {
      const desk = openDesk(create, at100);
      desk.buy(1, '4@101', AON);
      desk.buy(2, '4@102', AON);
      desk.buy(3, '4@101', AON);
      desk.sell(4, '9@104', AON);
      expect(desk.sell(5, '3@101')).toEqual(['accepted 5: sell 3@101', 'top - / 3@101']);
      // 6 alone is too little for any of them, but with 5 there are 4 lots: 2 has the best price.
      expect(desk.sell(6, '1@101')).toEqual([
        'accepted 6: sell 1@101',
        'trade 2 with 5: 3@101, left 1 and 0',
        'trade 2 with 6: 1@101, left 0 and 0',
        'top - / -',
      ]);
      desk.sell(7, '3@101');
      expect(desk.sell(8, '1@101')[1]).toBe('trade 1 with 7: 3@101, left 1 and 0');
      expect(desk.standing()).toEqual(['buy aon 3: 4@101', 'sell aon 4: 9@104']);
    });

    it('S3 the trades of an all-or-none order trigger stops', () => {
      const desk = openDesk(create, at100);
      desk.buy(1, '5@110', AON);
      desk.buy(2, '1@95 from 105');
      desk.sell(3, '1@95', AON);
      // 1 needs five: the one of 3 at 95 and the four of 4 at 105, better price first. The trade at 105 triggers 2.
      expect(desk.sell(4, '4@105')).toEqual([
        'accepted 4: sell 4@105',
        'trade 1 with 3: 1@95, left 4 and 0',
        'trade 1 with 4: 4@105, left 0 and 0',
        'triggered 2',
        'top 1@95 / -',
      ]);
    });

    it('S3 what a stop leaves in the book lets the next all-or-none order fill', () => {
      const desk = openDesk(create, at100);
      desk.sell(1, '5@106', AON);
      desk.buy(2, '3@107 from 102');
      desk.buy(3, '3@106');
      // The trade at 106 triggers 2, which stands at 107: with what is left of 3 there are the five that 1 needs.
      expect(desk.sell(4, '1')).toEqual([
        'accepted 4: sell 1',
        'trade 4 with 3: 1@106, left 0 and 2',
        'triggered 2',
        'trade 1 with 2: 3@107, left 2 and 0',
        'trade 1 with 3: 2@106, left 0 and 0',
        'top - / -',
      ]);
    });

    it('step 3 an expiry that frees an all-or-none order lets it trade, even when the command is refused', () => {
      const desk = openDesk(create);
      desk.sell(1, '5@100', { owner: 1, timeInForce: L.TIME_IN_FORCE_GTD, expiryNs: 10n });
      desk.sell(2, '5@101');
      desk.buy(3, '5@101', { ...AON, owner: 1, selfMatch: L.SELF_MATCH_CANCEL_NEWEST });
      expect(desk.cancel(77, { tsNs: 10n })).toEqual([
        'expired 1: 5, timePassed',
        'rejected 77: unknownOrder',
        'trade 3 with 2: 5@101, left 0 and 0',
        'top - / -',
      ]);
    });
  });

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
