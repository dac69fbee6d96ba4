/** How every book of ours tells what it did: docs/reference/matching.md, "Events" and M6. */
import { describe, expect, it } from 'vitest';
import { attributesOf, newCommand, type OrderCommand } from '../../engine/market/order-command.ts';
import * as L from '../../schemas/order-layout.gen.ts';
import { type CreateBook, openDesk } from '../book-desk.ts';

const at100 = { instrument: { lastTicks: 100 } };

/** An event with the given fields; the others are 0. */
const event = (fields: object): object => ({
  reason: 0,
  symbolIndex: 0,
  orderId: 0n,
  otherId: 0n,
  priceTicks: 0,
  quantityLots: 0,
  leavesLots: 0,
  otherLeavesLots: 0,
  tsNs: 0n,
  owner: 0,
  otherOwner: 0,
  displayLots: 0,
  attributes: 0,
  ...fields,
});

export function describeBookEvents(name: string, create: CreateBook): void {
  describe(`${name}: events`, () => {
    it('have the fields that the page gives them', () => {
      const { book } = openDesk(create, at100);
      const apply = (fields: Partial<OrderCommand>): readonly object[] => book.apply(newCommand(fields));
      const gtd = attributesOf({ timeInForce: L.TIME_IN_FORCE_GTD, type: L.ORDER_TYPE_STOP_LIMIT, selfMatch: 2 });
      const stop = { orderId: 1n, tsNs: 7n, priceTicks: 101, quantityLots: 9, stopTicks: 102, displayLots: 4, owner: 3, attributes: gtd };
      const told = { orderId: 1n, priceTicks: 101, otherLeavesLots: 102, owner: 3, displayLots: 4, attributes: gtd };
      const base = event({ tsNs: 7n });
      expect(apply({ ...stop, trailTicks: 5, shownLots: 6, expiryNs: 99n })).toEqual([
        { ...base, kind: L.EVENT_KIND_ACCEPTED, ...told, otherId: 99n, quantityLots: 9, leavesLots: 9 },
      ]);
      expect(apply({ ...stop, tsNs: 3n, kind: L.COMMAND_KIND_REDUCE, quantityLots: 1 })).toEqual([
        { ...base, kind: L.EVENT_KIND_REPLACED, ...told, quantityLots: 9, leavesLots: 8 },
      ]);
      expect(apply({ ...stop, expiryNs: 99n })).toEqual([
        {
          ...base,
          kind: L.EVENT_KIND_REJECTED,
          reason: L.ORDER_REASON_DUPLICATE_ID,
          ...told,
          quantityLots: 9,
          otherOwner: L.COMMAND_KIND_NEW,
        },
      ]);
      const sell = attributesOf({ side: 1 });
      apply({ orderId: 2n, priceTicks: 102, quantityLots: 2, attributes: sell });
      const limit = attributesOf({ timeInForce: L.TIME_IN_FORCE_GTD, selfMatch: 2 });
      const now = { orderId: 1n, priceTicks: 101, owner: 3, displayLots: 4, attributes: limit };
      expect(apply({ orderId: 3n, priceTicks: 102, quantityLots: 1, owner: 2 })).toEqual([
        { ...base, kind: L.EVENT_KIND_ACCEPTED, orderId: 3n, priceTicks: 102, quantityLots: 1, leavesLots: 1, owner: 2 },
        { ...base, kind: L.EVENT_KIND_TRADE, orderId: 3n, otherId: 2n, priceTicks: 102, quantityLots: 1, otherLeavesLots: 1, owner: 2 },
        { ...base, kind: L.EVENT_KIND_TRIGGERED, ...told, leavesLots: 8 },
        { ...base, kind: L.EVENT_KIND_TOP, priceTicks: 101, orderId: 4n, otherLeavesLots: 102, otherId: 1n },
      ]);
      expect(apply({ orderId: 4n, priceTicks: 101, quantityLots: 4, owner: 1, attributes: sell })).toEqual([
        { ...base, kind: L.EVENT_KIND_ACCEPTED, orderId: 4n, priceTicks: 101, quantityLots: 4, leavesLots: 4, owner: 1, attributes: sell },
        {
          ...base,
          kind: L.EVENT_KIND_TRADE,
          orderId: 4n,
          otherId: 1n,
          priceTicks: 101,
          quantityLots: 4,
          otherLeavesLots: 4,
          owner: 1,
          otherOwner: 3,
          attributes: sell,
        },
        { ...base, kind: L.EVENT_KIND_REFRESHED, ...now, quantityLots: 4, leavesLots: 4 },
      ]);
      expect(apply({ kind: L.COMMAND_KIND_MOVE, orderId: 1n, priceTicks: 100 })).toEqual([
        { ...base, kind: L.EVENT_KIND_REPLACED, ...now, priceTicks: 100, quantityLots: 4, leavesLots: 4, otherOwner: 1 },
        { ...base, kind: L.EVENT_KIND_TOP, priceTicks: 100, orderId: 4n, otherLeavesLots: 102, otherId: 1n },
      ]);
      expect(apply({ kind: L.COMMAND_KIND_TIME, tsNs: 99n })).toEqual([
        { ...base, tsNs: 99n, kind: L.EVENT_KIND_EXPIRED, reason: L.ORDER_REASON_TIME_PASSED, ...now, priceTicks: 100, quantityLots: 4 },
        { ...base, tsNs: 99n, kind: L.EVENT_KIND_TOP, priceTicks: L.ORDER_LIMIT_PRICE_NONE, otherLeavesLots: 102, otherId: 1n },
      ]);
      expect(apply({ kind: L.COMMAND_KIND_PHASE, quantityLots: L.PHASE_CALL })).toEqual([
        { ...base, tsNs: 99n, kind: L.EVENT_KIND_PHASE, quantityLots: L.PHASE_CALL },
      ]);
    });

    it('M6 what an order has not is 0, whatever the command said', () => {
      const desk = openDesk(create, at100);
      const all = { priceTicks: 95, stopTicks: 90, trailTicks: 5, shownLots: 3, expiryNs: 77n };
      const ids: [number, 0 | 1, number, object][] = [
        [1, 0, L.ORDER_TYPE_LIMIT, { priceTicks: 95, stopTicks: 0, trailTicks: 0 }],
        [2, 1, L.ORDER_TYPE_STOP, { priceTicks: 0, stopTicks: 90, trailTicks: 0 }],
        [3, 1, L.ORDER_TYPE_STOP_LIMIT, { priceTicks: 95, stopTicks: 90, trailTicks: 0 }],
        [4, 1, L.ORDER_TYPE_TRAILING_STOP, { priceTicks: 0, stopTicks: 95, trailTicks: 5 }],
      ];
      for (const [id, side, type, expected] of ids) {
        desk.send(newCommand({ ...all, orderId: BigInt(id), quantityLots: 4, attributes: attributesOf({ side, type }) }));
        expect(desk.book.list(0).find((order) => order.orderId === BigInt(id))).toMatchObject({
          ...expected,
          expiryNs: 0n,
          shownLots: 4,
          displayLots: 0,
        });
      }
    });
  });
}
