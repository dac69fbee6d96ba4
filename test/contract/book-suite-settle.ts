/** What every book of ours does after trades: docs/reference/matching.md, S1 to S3. */
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
      for (const [index, price] of [101, 103, 105, 110].entries()) desk.sell(index + 1, `1@${price}`);
      desk.buy(11, '1@90 from 104');
      desk.buy(12, '1@91 from 102');
      desk.buy(13, '1@92 from 104');
      desk.buy(14, '1@93 from 106');
      expect(desk.buy(20, '3').slice(-4)).toEqual(['triggered 12', 'triggered 11', 'triggered 13', 'top 1@92 / 1@110']);
      expect(desk.standing().filter((line) => line.includes('stop'))).toEqual(['buy stop 14: 1@93 from 106']);
    });

    it('S1 a sell that sweeps down triggers sell stops by its lowest trade', () => {
      const desk = openDesk(create, at100);
      for (const [index, price] of [99, 97, 95, 90].entries()) desk.buy(index + 1, `1@${price}`);
      desk.sell(11, '1@99 from 96');
      desk.sell(12, '1@98 from 98');
      desk.sell(13, '1@99 from 94');
      expect(desk.sell(20, '3').slice(-3)).toEqual(['triggered 12', 'triggered 11', 'top 1@90 / 1@98']);
    });

    it('S1 a sweep down triggers buy stops by its highest trade, a sweep up sell stops by its lowest', () => {
      const down = openDesk(create, at100);
      down.buy(1, '1@104');
      down.buy(2, '1@98');
      down.buy(3, '1@90 from 103');
      expect(down.sell(4, '2').slice(-2)).toEqual(['triggered 3', 'top 1@90 / -']);
      const up = openDesk(create, at100);
      up.sell(1, '1@96');
      up.sell(2, '1@102');
      up.sell(3, '1@110 from 97');
      expect(up.buy(4, '2').slice(-2)).toEqual(['triggered 3', 'top - / 1@110']);
    });

    it('S1, M7 the page that a trailing stop empties is room for it', () => {
      const desk = openDesk(create, { instrument: { lastTicks: 5 }, pools: { pages: 2 } });
      desk.sell(1, '5 trailing 10');
      desk.buy(2, '1@1');
      print(desk, 20, 10);
      expect(desk.standing()).toEqual(['buy 2: 1@1', 'sell stop 1: 5 from 10']);
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

    it('S1, M7 a trailing stop that finds no page where it should stand goes', () => {
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
      for (const [index, price] of [99, 98, 97, 96].entries()) desk.buy(index + 1, `1@${price}`);
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

    it('S3 buys come before sells', () => {
      const desk = openDesk(create);
      const due = { timeInForce: L.TIME_IN_FORCE_GTD, expiryNs: 10n };
      const newest = { ...AON, selfMatch: L.SELF_MATCH_CANCEL_NEWEST };
      // Each all-or-none order is held up by an order of its owner that is due at 10.
      desk.sell(1, '1@100', { ...due, owner: 1 });
      desk.buy(2, '1@99', { ...due, owner: 2 });
      desk.sell(3, '5@101');
      desk.buy(4, '5@98');
      desk.buy(5, '5@101', { ...newest, owner: 1 });
      desk.sell(6, '7@98', { ...newest, owner: 2 });
      // 6 could take 5 whole and two lots of 4, but 5 comes first and takes 3.
      expect(desk.time(10n)).toEqual([
        'expired 2: 1, timePassed',
        'expired 1: 1, timePassed',
        'trade 5 with 3: 5@101, left 0 and 0',
        'top 5@98 / -',
      ]);
      expect(desk.standing()).toEqual(['buy 4: 5@98', 'sell aon 6: 7@98']);
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
}
