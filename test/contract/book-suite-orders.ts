/** What every book of ours does with an order that passed: docs/reference/matching.md, O1 to O11. */
import { describe, expect, it } from 'vitest';
import * as L from '../../schemas/order-layout.gen.ts';
import { type CreateBook, openDesk } from '../book-desk.ts';

const IOC = { timeInForce: L.TIME_IN_FORCE_IOC };
const FOK = { timeInForce: L.TIME_IN_FORCE_FOK };
const AON = { isAllOrNone: true };
const TO_LIMIT = { type: L.ORDER_TYPE_MARKET_TO_LIMIT };

export function describeBookOrders(name: string, create: CreateBook): void {
  describe(`${name}: orders`, () => {
    it('O1 a limit order takes at its price or better, at the maker’s price, and the rest stands last in its level', () => {
      const desk = openDesk(create);
      desk.buy(1, '1@100');
      desk.sell(2, '3@101');
      desk.sell(3, '3@102');
      expect(desk.sell(4, '9@100')).toEqual(['accepted 4: sell 9@100', 'trade 4 with 1: 1@100, left 8 and 0', 'top - / 8@100']);
      desk.sell(5, '2@100');
      expect(desk.buy(6, '14@101')).toEqual([
        'accepted 6: buy 14@101',
        'trade 6 with 4: 8@100, left 6 and 0',
        'trade 6 with 5: 2@100, left 4 and 0',
        'trade 6 with 2: 3@101, left 1 and 0',
        'top 1@101 / 3@102',
      ]);
      expect(desk.standing()).toEqual(['buy 6: 1@101', 'sell 3: 3@102']);
    });

    it('O2, T4 a market order takes to the band’s limit, and what is left goes: remainder, or no liquidity when nothing traded', () => {
      const desk = openDesk(create);
      desk.sell(1, '5@105');
      desk.sell(2, '5@110');
      desk.buy(3, '5@90');
      desk.band(95, 105);
      expect(desk.buy(4, '8')).toEqual([
        'accepted 4: buy 8',
        'trade 4 with 1: 5@105, left 3 and 0',
        'cancelled 4: 3, remainder',
        'top 5@90 / 5@110',
      ]);
      expect(desk.buy(5, '8', IOC)).toEqual(['accepted 5: buy 8', 'cancelled 5: 8, noLiquidity']);
      expect(desk.sell(6, '8', { timeInForce: L.TIME_IN_FORCE_DAY })).toEqual(['accepted 6: sell 8', 'cancelled 6: 8, noLiquidity']);
      desk.band(90, 110);
      expect(desk.sell(7, '5')).toEqual(['accepted 7: sell 5', 'trade 7 with 3: 5@90, left 0 and 0', 'top - / 5@110']);
    });

    it('T4 the band does not stop a limit order that was inside it on entry', () => {
      const desk = openDesk(create);
      desk.sell(1, '5@110');
      desk.band(90, 120);
      desk.sell(2, '5@120', { isAllOrNone: true });
      desk.band(90, 100);
      expect(desk.replace(2, '5@120')).toEqual(['rejected 2: outsideBand']);
      expect(desk.buy(3, '5@100')).toEqual(['accepted 3: buy 5@100', 'top 5@100 / 5@110']);
      desk.band(90, 110);
      expect(desk.buy(4, '5@110')).toEqual(['accepted 4: buy 5@110', 'trade 4 with 1: 5@110, left 0 and 0', 'top 5@100 / -']);
    });

    it('O3 market to limit takes at the best opposite price only, and the rest stands there as a limit order', () => {
      const desk = openDesk(create);
      desk.sell(1, '5@101');
      desk.sell(2, '5@102');
      expect(desk.buy(3, '8', TO_LIMIT)).toEqual(['accepted 3: buy 8@101', 'trade 3 with 1: 5@101, left 3 and 0', 'top 3@101 / 5@102']);
      expect(desk.standing()[0]).toBe('buy 3: 3@101');
      expect(desk.replace(3, '3@100')).toEqual(['replaced 3: 3@100, place lost', 'top 3@100 / 5@102']);
      expect(desk.buy(4, '8', { ...TO_LIMIT, ...IOC })).toEqual([
        'accepted 4: buy 8@102',
        'trade 4 with 2: 5@102, left 3 and 0',
        'cancelled 4: 3, remainder',
        'top 3@100 / -',
      ]);
    });

    it('O4 immediate or cancel: what does not trade goes, reason remainder', () => {
      const desk = openDesk(create);
      desk.sell(1, '5@101');
      expect(desk.buy(2, '8@101', IOC)).toEqual([
        'accepted 2: buy 8@101',
        'trade 2 with 1: 5@101, left 3 and 0',
        'cancelled 2: 3, remainder',
        'top - / -',
      ]);
      expect(desk.buy(3, '8@101', IOC)).toEqual(['accepted 3: buy 8@101', 'cancelled 3: 8, remainder']);
    });

    it('O5, T3 fill or kill takes the whole or nothing; hidden and all-or-none parts count, market orders alike', () => {
      const desk = openDesk(create);
      desk.sell(1, '10@100', { displayLots: 2 });
      desk.sell(2, '7@101', AON);
      expect(desk.buy(3, '18@101', FOK)).toEqual(['accepted 3: buy 18@101', 'cancelled 3: 18, unfilled']);
      // 10 with the hidden part, and the all-or-none order of 7 does not fit into 6.
      expect(desk.buy(4, '16', FOK)).toEqual(['accepted 4: buy 16', 'cancelled 4: 16, unfilled']);
      expect(desk.buy(5, '17@101', FOK)).toEqual([
        'accepted 5: buy 17@101',
        'trade 5 with 1: 2@100, left 15 and 8',
        'refreshed 1: 2 of 8',
        'trade 5 with 1: 2@100, left 13 and 6',
        'refreshed 1: 2 of 6',
        'trade 5 with 1: 2@100, left 11 and 4',
        'refreshed 1: 2 of 4',
        'trade 5 with 1: 2@100, left 9 and 2',
        'refreshed 1: 2 of 2',
        'trade 5 with 1: 2@100, left 7 and 0',
        'trade 5 with 2: 7@101, left 0 and 0',
        'top - / -',
      ]);
    });

    it('O6 an all-or-none order takes the whole or stands unseen, behind the displayed orders of its price', () => {
      const desk = openDesk(create);
      desk.sell(1, '5@100');
      expect(desk.buy(2, '8@100', AON)).toEqual(['accepted 2: buy 8@100']);
      expect(desk.sell(3, '2@100')).toEqual(['accepted 3: sell 2@100', 'top - / 7@100']);
      expect(desk.standing()).toEqual(['sell 1: 5@100', 'sell 3: 2@100', 'buy aon 2: 8@100']);
      // 8 are there now: S3 lets it take, in their order.
      expect(desk.sell(4, '2@100')).toEqual([
        'accepted 4: sell 2@100',
        'trade 2 with 1: 5@100, left 3 and 0',
        'trade 2 with 3: 2@100, left 1 and 0',
        'trade 2 with 4: 1@100, left 0 and 1',
        'top - / 1@100',
      ]);
      desk.sell(5, '3@100', AON);
      expect(desk.buy(6, '4@100')).toEqual([
        'accepted 6: buy 4@100',
        'trade 6 with 4: 1@100, left 3 and 0',
        'trade 6 with 5: 3@100, left 0 and 0',
        'top - / -',
      ]);
    });

    it('O7 a post-only order that stands is a maker as any other', () => {
      const desk = openDesk(create);
      expect(desk.buy(1, '5@100', { isPostOnly: true })).toEqual(['accepted 1: buy 5@100', 'top 5@100 / -']);
      expect(desk.sell(2, '5@100')).toEqual(['accepted 2: sell 5@100', 'trade 2 with 1: 5@100, left 0 and 0', 'top - / -']);
    });

    it('O8 an iceberg takes with the whole, stands with a slice, and its next slice goes to the end of the level', () => {
      const desk = openDesk(create);
      desk.sell(1, '4@100');
      expect(desk.buy(2, '14@100', { displayLots: 3 })).toEqual([
        'accepted 2: buy 14@100',
        'trade 2 with 1: 4@100, left 10 and 0',
        'top 3@100 / -',
      ]);
      desk.buy(3, '5@100');
      expect(desk.sell(4, '2@100')).toEqual(['accepted 4: sell 2@100', 'trade 4 with 2: 2@100, left 0 and 8', 'top 6@100 / -']);
      expect(desk.sell(5, '7@100')).toEqual([
        'accepted 5: sell 7@100',
        'trade 5 with 2: 1@100, left 6 and 7',
        'refreshed 2: 3 of 7',
        'trade 5 with 3: 5@100, left 1 and 0',
        'trade 5 with 2: 1@100, left 0 and 6',
        'top 2@100 / -',
      ]);
      expect(desk.standing()).toEqual(['buy 2: 6@100 shows 2']);
      // The last slice is what is left: 6 = 2 + 3 + 1.
      expect(desk.sell(6, '5@100').slice(-3)).toEqual(['trade 6 with 2: 3@100, left 0 and 1', 'refreshed 2: 1 of 1', 'top 1@100 / -']);
    });

    it('O9 a stop waits for a trade at its trigger or beyond, then is a market order', () => {
      const desk = openDesk(create);
      for (const [index, price] of [100, 101, 105].entries()) desk.sell(index + 1, `5@${price}`);
      expect(desk.buy(4, '5 from 101')).toEqual(['accepted 4: buy 5 from 101']);
      expect(desk.buy(5, '2@100')).toEqual(['accepted 5: buy 2@100', 'trade 5 with 1: 2@100, left 0 and 3', 'top - / 3@100']);
      expect(desk.buy(6, '6@101')).toEqual([
        'accepted 6: buy 6@101',
        'trade 6 with 1: 3@100, left 3 and 0',
        'trade 6 with 2: 3@101, left 0 and 2',
        'triggered 4',
        'trade 4 with 2: 2@101, left 3 and 0',
        'trade 4 with 3: 3@105, left 0 and 2',
        'top - / 2@105',
      ]);
    });

    it('O9 a stop whose trigger the last price has reached acts on arrival', () => {
      const desk = openDesk(create, { instrument: { lastTicks: 100 } });
      desk.sell(1, '5@102');
      desk.buy(9, '5@98');
      expect(desk.buy(2, '5 from 100')).toEqual([
        'accepted 2: buy 5 from 100',
        'triggered 2',
        'trade 2 with 1: 5@102, left 0 and 0',
        'top 5@98 / -',
      ]);
      expect(desk.sell(3, '5 from 102')).toEqual([
        'accepted 3: sell 5 from 102',
        'triggered 3',
        'trade 3 with 9: 5@98, left 0 and 0',
        'top - / -',
      ]);
      expect(desk.buy(4, '5@97 from 98')).toEqual(['accepted 4: buy 5@97 from 98', 'triggered 4', 'top 5@97 / -']);
      expect(desk.buy(5, '5 from 98')).toEqual(['accepted 5: buy 5 from 98', 'triggered 5', 'cancelled 5: 5, noLiquidity']);
      expect(desk.buy(6, '5 from 99')).toEqual(['accepted 6: buy 5 from 99']);
      expect(desk.sell(7, '5 from 97')).toEqual(['accepted 7: sell 5 from 97']);
    });

    it('O9, M6 a triggered stop limit is a limit order: iceberg, movable, without a trigger', () => {
      const desk = openDesk(create, { instrument: { lastTicks: 100 } });
      desk.buy(1, '9@95 from 100', { displayLots: 2 });
      const [order] = desk.book.list(0);
      expect([order?.book, order?.stopTicks, order?.shownLots, ((order?.attributes ?? 0) >>> 1) & 7]).toEqual([
        'displayed',
        0,
        2,
        L.ORDER_TYPE_LIMIT,
      ]);
      expect(desk.move(1, 96)).toEqual(['replaced 1: 9@96, place lost', 'top 2@96 / -']);
    });

    it('O10 a trailing stop follows the price its way only, and sells when the price falls to it', () => {
      const desk = openDesk(create, { instrument: { lastTicks: 100 } });
      desk.sell(1, '6 trailing 5');
      const trade = (price: number, id: number): string[] => [...desk.buy(id, `1@${price}`), ...desk.sell(id + 1, `1@${price}`)];
      trade(104, 10);
      expect(desk.standing()).toEqual(['sell stop 1: 6 from 99']);
      trade(102, 20);
      expect(desk.standing()).toEqual(['sell stop 1: 6 from 99']);
      trade(107, 30);
      expect(desk.standing()).toEqual(['sell stop 1: 6 from 102']);
      desk.buy(2, '9@90');
      const falling = trade(102, 40);
      expect(falling.slice(-4)).toEqual([
        'trade 41 with 40: 1@102, left 0 and 0',
        'triggered 1',
        'trade 1 with 2: 6@90, left 0 and 3',
        'top 3@90 / -',
      ]);
    });

    it('O10 a buy’s trailing stop falls with the price, and buys when it rises', () => {
      const desk = openDesk(create, { instrument: { lastTicks: 100 } });
      desk.buy(1, '6 trailing 5');
      desk.buy(10, '1@96');
      desk.sell(11, '1@96');
      expect(desk.standing()).toEqual(['buy stop 1: 6 from 101']);
      desk.sell(2, '9@120');
      desk.sell(12, '1@101');
      expect(desk.buy(13, '1@101').slice(2, 4)).toEqual(['triggered 1', 'trade 1 with 2: 6@120, left 0 and 3']);
    });

    it('O11 DAY goes when the session closes, GTD when its time comes, GTC stays', () => {
      const desk = openDesk(create);
      desk.buy(1, '5@100', { timeInForce: L.TIME_IN_FORCE_DAY });
      desk.buy(2, '5@100', { timeInForce: L.TIME_IN_FORCE_GTD, expiryNs: 10n });
      desk.buy(3, '5@100');
      expect(desk.time(9n)).toEqual([]);
      expect(desk.time(10n)).toEqual(['expired 2: 5, timePassed', 'top 10@100 / -']);
      expect(desk.phase(L.PHASE_HALTED)).toEqual(['phase halted']);
      expect(desk.phase(L.PHASE_CLOSED)).toEqual(['phase closed', 'expired 1: 5, sessionEnd', 'top 5@100 / -']);
      expect(desk.standing()).toEqual(['buy 3: 5@100']);
    });
  });
}
