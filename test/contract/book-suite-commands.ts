/** What every book of ours does with changes: docs/reference/matching.md, A1 to A9, steps 1 to 4. */
import { describe, expect, it } from 'vitest';
import { type OrderCommand, restoreOf } from '../../engine/market/order-command.ts';
import * as L from '../../schemas/order-layout.gen.ts';
import { type CreateBook, type Desk, openDesk, orderFields } from '../book-desk.ts';

const AON = { isAllOrNone: true };
const at100 = { instrument: { lastTicks: 100 } };

const massCancel = (desk: Desk, attributes: number, fields: Partial<OrderCommand> = {}): string[] =>
  desk.send({ kind: L.COMMAND_KIND_MASS_CANCEL, attributes, ...fields });

export function describeBookCommands(name: string, create: CreateBook): void {
  describe(`${name}: changes`, () => {
    it('A1 cancel takes an order out of any book, in any phase', () => {
      const desk = openDesk(create, at100);
      desk.buy(1, '5@99');
      desk.buy(2, '5@98', AON);
      desk.buy(3, '5 from 105');
      desk.phase(L.PHASE_CLOSED);
      expect(desk.cancel(2)).toEqual(['cancelled 2: 5, requested']);
      expect(desk.cancel(3)).toEqual(['cancelled 3: 5, requested']);
      expect(desk.cancel(1)).toEqual(['cancelled 1: 5, requested', 'top - / -']);
      expect(desk.cancel(1)).toEqual(['rejected 1: unknownOrder']);
    });

    it('A1 refuses an order of another symbol, of no symbol, of another owner: cancel, reduce, replace and move alike', () => {
      const desk = openDesk(create, { symbols: 2 });
      desk.buy(1, '5@99', { owner: 2 });
      const tries = (fields: Partial<OrderCommand>): string[] => [
        ...desk.cancel(1, fields),
        ...desk.reduce(1, 2, fields),
        ...desk.replace(1, '5@98', fields),
        ...desk.move(1, 98, fields),
      ];
      expect(new Set(tries({ symbolIndex: 1 }))).toEqual(new Set(['[1] rejected 1: unknownOrder']));
      expect(new Set(tries({ symbolIndex: 77 }))).toEqual(new Set(['[77] rejected 1: unknownOrder']));
      expect(new Set(tries({ owner: 3 }))).toEqual(new Set(['rejected 1: notOwner']));
      expect(desk.standing()).toEqual(['buy 1: 5@99']);
      expect(desk.cancel(1, { owner: 2 })[0]).toBe('cancelled 1: 5, requested');
    });

    it('A2 reduce keeps the place, takes the hidden part first, and cancels at or above the leaves', () => {
      const desk = openDesk(create, { instrument: { lotStep: 2, minLots: 4 } });
      desk.buy(1, '20@100', { displayLots: 6 });
      desk.buy(2, '4@100');
      for (const lots of [0, -2, -(2 ** 31)]) expect(desk.reduce(1, lots)).toEqual(['rejected 1: quantityNotPositive']);
      expect(desk.reduce(1, 3)).toEqual(['rejected 1: offLot']);
      expect(desk.reduce(1, 14)).toEqual(['replaced 1: 6@100, place kept']);
      // Below the least quantity of an order is fine for what is left of one.
      expect(desk.reduce(1, 4)).toEqual(['replaced 1: 2@100, place kept', 'top 6@100 / -']);
      expect(desk.standing()).toEqual(['buy 1: 2@100 shows 2', 'buy 2: 4@100']);
      expect(desk.reduce(1, 2)).toEqual(['cancelled 1: 2, requested', 'top 4@100 / -']);
      expect(desk.reduce(2, 2 ** 30)).toEqual(['cancelled 2: 4, requested', 'top - / -']);
    });

    it('A2, A4 a slice that is used in part does not grow when the order shrinks', () => {
      const desk = openDesk(create);
      desk.buy(1, '20@100', { displayLots: 6 });
      desk.sell(2, '4@100');
      desk.reduce(1, 4);
      expect(desk.standing()).toEqual(['buy 1: 12@100 shows 2']);
      desk.replace(1, '10@100');
      expect(desk.standing()).toEqual(['buy 1: 10@100 shows 2']);
    });

    it('A3, A4 replace keeps the place only at the same price with leaves that are not larger', () => {
      const desk = openDesk(create);
      for (const id of [1, 2, 3]) desk.buy(id, '5@100');
      expect(desk.replace(1, '5@100')).toEqual(['replaced 1: 5@100, place kept']);
      expect(desk.replace(1, '3@100')).toEqual(['replaced 1: 3@100, place kept', 'top 13@100 / -']);
      expect(desk.replace(1, '4@100')).toEqual(['replaced 1: 4@100, place lost', 'top 14@100 / -']);
      expect(desk.standing()).toEqual(['buy 2: 5@100', 'buy 3: 5@100', 'buy 1: 4@100']);
      expect(desk.replace(2, '5@101')).toEqual(['replaced 2: 5@101, place lost', 'top 5@101 / -']);
      desk.replace(2, '5@100');
      expect(desk.standing().map((line) => line.slice(0, 5))).toEqual(['buy 3', 'buy 1', 'buy 2']);
    });

    it('A3 a replaced order takes as a new one, under its own rules', () => {
      const desk = openDesk(create);
      desk.sell(1, '4@105');
      desk.buy(2, '9@100', { displayLots: 2 });
      expect(desk.replace(2, '9@105')).toEqual(['replaced 2: 9@105, place lost', 'trade 2 with 1: 4@105, left 5 and 0', 'top 2@105 / -']);
      desk.buy(3, '4@90', { isPostOnly: true });
      desk.sell(4, '4@106');
      expect(desk.replace(3, '4@106')).toEqual(['rejected 3: wouldTake']);
      desk.buy(5, '6@90', AON);
      expect(desk.replace(5, '4@106')).toEqual(['replaced 5: 4@106, place lost', 'trade 5 with 4: 4@106, left 0 and 0', 'top 2@105 / -']);
    });

    it('A3 replaces triggers, which may then act at once; a trailing stop keeps its trigger', () => {
      const desk = openDesk(create, at100);
      desk.buy(1, '5 from 105');
      desk.buy(2, '5@90 from 105');
      desk.sell(3, '5 trailing 4');
      expect(desk.replace(1, '5 from 103')).toEqual(['replaced 1: 5 from 103, place lost']);
      expect(desk.replace(2, '5@91 from 105')).toEqual(['replaced 2: 5@91 from 105, place lost']);
      expect(desk.replace(3, '7 from 1')).toEqual(['replaced 3: 7 from 96, place lost']);
      expect(desk.replace(3, '2 from 1')).toEqual(['replaced 3: 2 from 96, place kept']);
      expect(desk.replace(2, '5@91 from 100')).toEqual(['replaced 2: 5@91 from 100, place lost', 'triggered 2', 'top 5@91 / -']);
      expect(desk.replace(1, '5 from 99')).toEqual(['replaced 1: 5 from 99, place lost', 'triggered 1', 'cancelled 1: 5, noLiquidity']);
    });

    it('A3 checks as for a new order: quantity, price, trigger, slices, owner; in this order', () => {
      const instrument = { lastTicks: 100, tickStep: 5, lotStep: 2, minLots: 4, maxLots: 50, lowerTicks: 50, upperTicks: 150 };
      const desk = openDesk(create, { instrument });
      desk.book.limit(1, { isBlocked: false, maxOpenOrders: 2, maxOrderLots: 20, maxNotional: 1000n });
      desk.buy(1, '10@100', { owner: 1 });
      desk.buy(2, '10@95 from 110', { owner: 1 });
      const cases: [number, string, string][] = [
        [1, '0@3', 'quantityNotPositive'],
        [1, '52@3', 'quantityTooLarge'],
        [1, '2@3', 'quantityTooSmall'],
        [1, '5@3', 'offLot'],
        [1, `10@${2 ** 30}`, 'priceOutOfRange'],
        [1, '10@3', 'offTick'],
        [1, '10@155', 'outsideBand'],
        [2, '10@155 from 3', 'outsideBand'],
        [2, '10@95 from 3', 'stopInvalid'],
        [1, '22@100', 'ownerQuantityLimit'],
        [1, '12@100', 'ownerNotionalLimit'],
      ];
      for (const [id, terms, reason] of cases) expect(desk.replace(id, terms), terms).toEqual([`rejected ${id}: ${reason}`]);
      // The count of orders does not apply, but being blocked does, to what stays in place too.
      expect(desk.replace(1, '8@105')[0]).toBe('replaced 1: 8@105, place lost');
      desk.book.limit(1, { isBlocked: true, maxOpenOrders: 0, maxOrderLots: 0, maxNotional: 0n });
      expect(desk.replace(1, '6@105')).toEqual(['rejected 1: ownerBlocked']);
    });

    it('A3, A4, A5 closed and halted allow only what keeps its place; in a call a replaced order only stands', () => {
      const desk = openDesk(create);
      desk.buy(1, '5@100');
      desk.sell(2, '5@105');
      for (const [phase, reason] of [
        [L.PHASE_HALTED, 'halted'],
        [L.PHASE_CLOSED, 'sessionClosed'],
      ] as const) {
        desk.phase(phase);
        expect(desk.replace(1, '5@101')).toEqual([`rejected 1: ${reason}`]);
        expect(desk.replace(1, '6@100')).toEqual([`rejected 1: ${reason}`]);
        expect(desk.move(1, 100)).toEqual([`rejected 1: ${reason}`]);
      }
      expect(desk.replace(1, '4@100')).toEqual(['replaced 1: 4@100, place kept', 'top 4@100 / 5@105']);
      desk.phase(L.PHASE_CALL);
      expect(desk.replace(1, '4@110')).toEqual(['replaced 1: 4@110, place lost', 'top 4@110 / 5@105']);
      expect(desk.move(2, 109)).toEqual(['replaced 2: 5@109, place lost', 'top 4@110 / 5@109']);
    });

    it('A3, A5, C12 room for the new page is looked for while the order still stands', () => {
      const desk = openDesk(create, { pools: { pages: 1 } });
      desk.buy(1, '5@100');
      expect(desk.replace(1, '5@600')).toEqual(['rejected 1: pricePoolFull']);
      expect(desk.move(1, 600)).toEqual(['rejected 1: pricePoolFull']);
      desk.sell(2, '5@101');
      desk.buy(3, '5@99', { isPostOnly: true });
      expect(desk.replace(3, '5@600')).toEqual(['rejected 3: pricePoolFull']);
      desk.cancel(2);
      expect(desk.replace(1, '9@511')).toEqual(['replaced 1: 9@511, place lost', 'top 9@511 / -']);
    });

    it('A5 move always loses the place, keeps id and leaves, and gives an iceberg a new slice', () => {
      const desk = openDesk(create);
      desk.buy(1, '9@100', { displayLots: 4 });
      desk.buy(2, '5@100');
      desk.sell(3, '3@100');
      expect(desk.standing()[0]).toBe('buy 1: 6@100 shows 1');
      expect(desk.move(1, 100)).toEqual(['replaced 1: 6@100, place lost', 'top 9@100 / -']);
      expect(desk.standing()).toEqual(['buy 2: 5@100', 'buy 1: 6@100 shows 4']);
      desk.sell(4, '2@103');
      expect(desk.move(1, 103)).toEqual(['replaced 1: 6@103, place lost', 'trade 1 with 4: 2@103, left 4 and 0', 'top 4@103 / -']);
    });

    it('A5 moves only limit orders of the displayed book, to prices that a new order may have', () => {
      const desk = openDesk(create, { instrument: { lastTicks: 100, tickStep: 5, lowerTicks: 50, upperTicks: 150 } });
      desk.buy(1, '5@95', AON);
      desk.buy(2, '5@95 from 110');
      desk.buy(3, '5 trailing 10');
      for (const id of [1, 2, 3]) expect(desk.move(id, 90)).toEqual([`rejected ${id}: unsupportedCombination`]);
      desk.buy(4, '5@95', { isPostOnly: true });
      desk.sell(5, '5@120');
      expect(desk.move(4, 93)).toEqual(['rejected 4: offTick']);
      expect(desk.move(4, 155)).toEqual(['rejected 4: outsideBand']);
      expect(desk.move(4, 2 ** 30)).toEqual(['rejected 4: priceOutOfRange']);
      expect(desk.move(4, 120)).toEqual(['rejected 4: wouldTake']);
      expect(desk.move(4, 115)).toEqual(['replaced 4: 5@115, place lost', 'top 5@115 / 5@120']);
    });

    it('A6 mass cancel by side, symbol, owner and mixtures, symbols by index and the books in order', () => {
      const filled = (): Desk => {
        const desk = openDesk(create, { ...at100, symbols: 2 });
        desk.sell(1, '1@110', { owner: 1 });
        desk.buy(2, '1@90', { owner: 2 });
        desk.buy(3, '1@91', { owner: 1 });
        desk.buy(4, '1@80', { ...AON, owner: 1 });
        desk.buy(5, '1 from 120', { owner: 1 });
        desk.buy(6, '1@90', { owner: 1, symbolIndex: 1 });
        desk.sell(7, '1@110', { symbolIndex: 1 });
        return desk;
      };
      const gone = (lines: readonly string[]): string[] =>
        lines.filter((line) => line.includes('massCancelled')).map((line) => line.replace(/.*cancelled (\d).*/, '$1'));
      const { BY_SIDE, BY_SYMBOL, BY_OWNER } = {
        BY_SIDE: L.MASS_SCOPE_BY_SIDE,
        BY_SYMBOL: L.MASS_SCOPE_BY_SYMBOL,
        BY_OWNER: L.MASS_SCOPE_BY_OWNER,
      };
      expect(gone(massCancel(filled(), 0))).toEqual(['3', '2', '1', '4', '5', '6', '7']);
      expect(gone(massCancel(filled(), BY_SIDE | 1))).toEqual(['1', '7']);
      expect(gone(massCancel(filled(), BY_SIDE))).toEqual(['3', '2', '4', '5', '6']);
      expect(gone(massCancel(filled(), BY_SYMBOL, { symbolIndex: 1 }))).toEqual(['6', '7']);
      expect(gone(massCancel(filled(), BY_OWNER, { owner: 1 }))).toEqual(['3', '1', '4', '5', '6']);
      expect(gone(massCancel(filled(), BY_OWNER, { owner: 0 }))).toEqual(['7']);
      expect(gone(massCancel(filled(), BY_OWNER | BY_SIDE | BY_SYMBOL, { owner: 1 }))).toEqual(['3', '4', '5']);
      expect(gone(massCancel(filled(), BY_OWNER, { owner: 77 }))).toEqual([]);
      // Step 4: the tops come after everything else, by symbol.
      expect(massCancel(filled(), BY_OWNER, { owner: 1 }).slice(-2)).toEqual(['top 1@90 / -', '[1] top - / 1@110']);
    });

    it('A6 refuses other bits and unknown symbols, and cancels nothing then', () => {
      const desk = openDesk(create);
      desk.buy(1, '1@90');
      for (const attributes of [16, 1 << 31, -1]) expect(massCancel(desk, attributes)).toEqual(['rejected 0: malformed']);
      expect(massCancel(desk, L.MASS_SCOPE_BY_SYMBOL, { symbolIndex: 1 })).toEqual(['[1] rejected 0: unknownSymbol']);
      expect(desk.standing()).toEqual(['buy 1: 1@90']);
    });

    it('A8 a band is refused when it is upside down or out of range, and leaves standing orders alone', () => {
      const desk = openDesk(create);
      desk.buy(1, '1@90');
      expect(desk.band(101, 100)).toEqual(['rejected 0: malformed']);
      expect(desk.band(-(2 ** 30), 100)).toEqual(['rejected 0: malformed']);
      expect(desk.band(100, 2 ** 30)).toEqual(['rejected 0: malformed']);
      expect(desk.send({ kind: L.COMMAND_KIND_BAND, symbolIndex: 1 })).toEqual(['[1] rejected 0: unknownSymbol']);
      expect(desk.band(100, 100)).toEqual([]);
      expect(desk.standing()).toEqual(['buy 1: 1@90']);
      expect(desk.buy(2, '1@99')).toEqual(['rejected 2: outsideBand']);
      expect(desk.buy(2, '1@100')[0]).toBe('accepted 2: buy 1@100');
    });

    it('A9 restore puts every kind of order back where it stood, and says nothing', () => {
      const desk = openDesk(create, at100);
      desk.buy(1, '9@95', { displayLots: 4, owner: 1 });
      desk.buy(2, '5@95', { timeInForce: L.TIME_IN_FORCE_GTD, expiryNs: 99n });
      desk.sell(3, '2@95');
      desk.buy(4, '5@97', AON);
      desk.buy(5, '9@110 from 108', { displayLots: 4 });
      desk.sell(6, '5 trailing 7');
      const copy = openDesk(create, { instrument: { lastTicks: desk.book.lastTicks(0) } });
      for (const order of desk.book.list(0)) expect(copy.book.apply(restoreOf(0, order))).toEqual([]);
      expect(copy.book.list(0)).toEqual(desk.book.list(0));
      expect(copy.sell(7, '8@95')).toEqual(desk.sell(7, '8@95'));
      expect(copy.time(99n)).toEqual(desk.time(99n));
      expect(copy.cancel(1, { owner: 2 })).toEqual(['rejected 1: notOwner']);
    });

    it('A9 refuses what could not have stood', () => {
      const desk = openDesk(create, { pools: { orders: 2, pages: 1 } });
      const restore = (side: 0 | 1, id: number, terms: string, fields: object = {}): string[] =>
        desk.send({ ...orderFields(side, id, terms, fields), kind: L.COMMAND_KIND_RESTORE });
      expect(restore(0, 1, '5@95')).toEqual([]);
      expect(restore(0, 1, '5@95')).toEqual(['rejected 1: duplicateId']);
      expect(restore(0, 0, '5@95')).toEqual(['rejected 0: malformed']);
      expect(restore(0, 2, '5@95', { attributes: 1 << 12 })).toEqual(['rejected 2: malformed']);
      expect(restore(0, 2, '5@95', { symbolIndex: 1 })).toEqual(['[1] rejected 2: unknownSymbol']);
      expect(restore(0, 2, '5')).toEqual(['rejected 2: unsupportedCombination']);
      expect(restore(0, 2, '5@95', { timeInForce: L.TIME_IN_FORCE_IOC })).toEqual(['rejected 2: unsupportedCombination']);
      expect(restore(0, 2, '0@95')).toEqual(['rejected 2: quantityNotPositive']);
      expect(restore(0, 2, `${2 ** 30 + 1}@95`)).toEqual(['rejected 2: quantityTooLarge']);
      expect(restore(0, 2, `5@${2 ** 30}`)).toEqual(['rejected 2: priceOutOfRange']);
      expect(restore(0, 2, `5 from ${2 ** 30}`)).toEqual(['rejected 2: stopInvalid']);
      expect(restore(0, 2, '5@95', { displayLots: 2, shownLots: 0 })).toEqual(['rejected 2: displayInvalid']);
      expect(restore(0, 2, '5@95', { displayLots: 2, shownLots: 3 })).toEqual(['rejected 2: displayInvalid']);
      expect(restore(0, 2, '5@95', { displayLots: -1 })).toEqual(['rejected 2: displayInvalid']);
      expect(restore(0, 2, '5@95', { owner: 5 })).toEqual(['rejected 2: ownerUnknown']);
      expect(restore(0, 2, '5@512')).toEqual(['rejected 2: pricePoolFull']);
      expect(restore(1, 2, '5@96', { displayLots: 2, shownLots: 1 })).toEqual([]);
      expect(restore(0, 3, '5@95')).toEqual(['rejected 3: orderPoolFull']);
      expect(desk.standing()).toEqual(['buy 1: 5@95', 'sell 2: 5@96 shows 1']);
    });

    it('steps 1 and 4: what is due expires first, in the order of the books, and one top tells of all', () => {
      const desk = openDesk(create, { ...at100, symbols: 2 });
      const due = { timeInForce: L.TIME_IN_FORCE_GTD, expiryNs: 10n };
      desk.buy(1, '1 from 120', due);
      desk.buy(2, '1@80', { ...AON, ...due });
      desk.sell(3, '1@110', due);
      desk.buy(4, '1@90', due);
      desk.buy(5, '1@95', due);
      desk.buy(6, '1@90', { ...due, symbolIndex: 1 });
      expect(desk.buy(7, '1@94', { tsNs: 10n })).toEqual([
        'expired 5: 1, timePassed',
        'expired 4: 1, timePassed',
        'expired 3: 1, timePassed',
        'expired 2: 1, timePassed',
        'expired 1: 1, timePassed',
        'accepted 7: buy 1@94',
        'top 1@94 / -',
      ]);
      // The other symbol’s orders are due with its own next command, or a time command.
      expect(desk.standing(1)).toEqual(['buy 6: 1@90']);
      expect(desk.time(0n)).toEqual(['[1] expired 6: 1, timePassed', '[1] top - / -']);
    });

    it('step 4: no top when the best prices and what they show are as before', () => {
      const desk = openDesk(create);
      desk.buy(1, '5@100');
      expect(desk.buy(2, '5@99')).toEqual(['accepted 2: buy 5@99']);
      desk.buy(3, '4@98', { displayLots: 2 });
      expect(desk.reduce(3, 1)).toEqual(['replaced 3: 3@98, place kept']);
      expect(desk.buy(4, '5@100', { timeInForce: L.TIME_IN_FORCE_IOC })).toEqual(['accepted 4: buy 5@100', 'cancelled 4: 5, remainder']);
    });
  });
}
