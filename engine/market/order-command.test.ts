import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import * as L from '../../schemas/order-layout.gen.ts';
import { ORDER_RECORDS } from '../../schemas/order-records.ts';
import { runs } from '../../test/bar-arbitraries.ts';
import {
  attributesOf,
  isAllOrNone,
  isPostOnly,
  newCommand,
  type OrderCommand,
  type OrderEvent,
  readCommand,
  readEvent,
  selfMatchOf,
  sideOf,
  timeInForceOf,
  typeOf,
  writeCommand,
  writeEvent,
} from './order-command.ts';

const int32 = fc.integer({ min: -(2 ** 31), max: 2 ** 31 - 1 });
const uint32 = fc.integer({ min: 0, max: 2 ** 32 - 1 });
const int64 = fc.bigInt({ min: -(2n ** 63n), max: 2n ** 63n - 1n });
const uint64 = fc.bigInt({ min: 0n, max: 2n ** 64n - 1n });

const anyCommand: fc.Arbitrary<OrderCommand> = fc.record({
  kind: int32,
  symbolIndex: int32,
  orderId: uint64,
  tsNs: int64,
  priceTicks: int32,
  quantityLots: int32,
  stopTicks: int32,
  displayLots: int32,
  trailTicks: int32,
  shownLots: int32,
  expiryNs: int64,
  owner: uint32,
  attributes: int32,
});

const anyEvent: fc.Arbitrary<OrderEvent> = fc.record({
  kind: fc.nat(255),
  reason: fc.nat(255),
  symbolIndex: int32,
  orderId: uint64,
  otherId: uint64,
  priceTicks: int32,
  quantityLots: int32,
  leavesLots: int32,
  otherLeavesLots: int32,
  tsNs: int64,
  owner: uint32,
  otherOwner: uint32,
  displayLots: int32,
  attributes: int32,
});

describe('order records', () => {
  it('a command comes back from its bytes as it was, whatever is around it', () => {
    fc.assert(
      fc.property(anyCommand, (command) => {
        const bytes = new Uint8Array(3 * L.ORDER_COMMAND_SIZE).fill(0xa5);
        const view = new DataView(bytes.buffer);
        writeCommand(view, L.ORDER_COMMAND_SIZE, command);
        expect(readCommand(view, L.ORDER_COMMAND_SIZE)).toEqual(command);
        expect(bytes.subarray(0, L.ORDER_COMMAND_SIZE).every((byte) => byte === 0xa5)).toBe(true);
        expect(bytes.subarray(2 * L.ORDER_COMMAND_SIZE).every((byte) => byte === 0xa5)).toBe(true);
      }),
      runs(300),
    );
  });

  it('an event comes back from its bytes as it was, kind and reason apart', () => {
    fc.assert(
      fc.property(anyEvent, (event) => {
        const view = new DataView(new ArrayBuffer(2 * L.ORDER_EVENT_SIZE));
        writeEvent(view, L.ORDER_EVENT_SIZE, event);
        expect(readEvent(view, L.ORDER_EVENT_SIZE)).toEqual(event);
        expect(view.getUint8(L.ORDER_EVENT_SIZE)).toBe(event.kind);
        expect(view.getUint8(L.ORDER_EVENT_SIZE + 1)).toBe(event.reason);
      }),
      runs(300),
    );
  });

  it('attributes give back the parts they were made of', () => {
    const parts = fc.record({
      side: fc.constantFrom(0, 1),
      type: fc.nat(5),
      timeInForce: fc.nat(4),
      selfMatch: fc.nat(3),
      isPostOnly: fc.boolean(),
      isAllOrNone: fc.boolean(),
    });
    fc.assert(
      fc.property(parts, (given) => {
        const attributes = attributesOf(given);
        expect({
          side: sideOf(attributes),
          type: typeOf(attributes),
          timeInForce: timeInForceOf(attributes),
          selfMatch: selfMatchOf(attributes),
          isPostOnly: isPostOnly(attributes),
          isAllOrNone: isAllOrNone(attributes),
        }).toEqual(given);
      }),
      runs(200),
    );
    expect(attributesOf({})).toBe(0);
  });

  it('a new command has every field of the record, 0 where nothing was given', () => {
    const fields = ORDER_RECORDS.find((record) => record.name === 'orderCommand')?.fields ?? [];
    expect(Object.keys(newCommand({}))).toEqual(fields.map((field) => field.name));
    expect(newCommand({ orderId: 7n })).toEqual({ ...newCommand({}), orderId: 7n, kind: L.COMMAND_KIND_NEW });
  });
});
