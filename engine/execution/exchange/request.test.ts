import { describe, expect, it } from 'vitest';
import { ORDER_REASON, ORDER_TYPE, TIME_IN_FORCE } from '../../../schemas/order-records.ts';
import { testCatalogue } from '../../../test/order-requests.ts';
import { DOOR_REASON, isRefusal, Refusal, reasonWord } from './refusal.ts';
import { type OrderRequest, parseLine, readRequest } from './request.ts';
import { refuseAtDoor } from './resolve.ts';

/** The number of what a line is refused for, 0 when it is let in. */
function reasonOf(line: string): number {
  const fields = parseLine(line);
  if (isRefusal(fields)) return fields.reason;
  const request = readRequest(fields);
  if (isRefusal(request)) return request.reason;
  return refuseAtDoor(request, testCatalogue())?.reason ?? 0;
}

function requestOf(line: string): OrderRequest {
  const fields = parseLine(line);
  const request = isRefusal(fields) ? fields : readRequest(fields);
  if (isRefusal(request)) throw new Error(request.detail);
  return request;
}

const order = (changes: object): string => JSON.stringify({ op: 'new', symbol: 'AAA', side: 'BUY', qty: 1, price: 100, ...changes });

describe('what comes in on a line', () => {
  it.each([
    ['', DOOR_REASON.badJson],
    ['{', DOOR_REASON.badJson],
    ['[]', DOOR_REASON.badJson],
    ['null', DOOR_REASON.badJson],
    ['7', DOOR_REASON.badJson],
    ['"op"', DOOR_REASON.badJson],
    ['\u0000', DOOR_REASON.badJson],
    [`{"op":"new","extra":${'{"a":'.repeat(20)}1${'}'.repeat(21)}`, DOOR_REASON.badJson],
    ['{}', DOOR_REASON.missingOp],
    ['{"op":null}', DOOR_REASON.missingOp],
    ['{"op":"buy"}', DOOR_REASON.unknownOp],
    ['{"op":"__proto__"}', DOOR_REASON.unknownOp],
    ['{"op":7}', DOOR_REASON.unknownOp],
    ['{"op":"exec"}', DOOR_REASON.badArgs],
    ['{"op":"exec","symbol":"AAA","side":"BUY"}', DOOR_REASON.badArgs],
    ['{"op":"exec","symbol":"AAA","side":"HOLD","qty":1}', DOOR_REASON.badArgs],
    ['{"op":"exec","symbol":"ZZZ","side":"BUY","qty":1}', DOOR_REASON.noBook],
    ['{"op":"exec","symbol":"constructor","side":"BUY","qty":1}', DOOR_REASON.noBook],
    ['{"op":"cancel"}', DOOR_REASON.badArgs],
    ['{"op":"cancel","order_id":-1}', DOOR_REASON.badArgs],
    ['{"op":"cancel","order_id":1.5}', DOOR_REASON.badArgs],
    ['{"op":"cancel","order_id":"18446744073709551616"}', DOOR_REASON.badArgs],
    [order({ qty: 0 }), ORDER_REASON.quantityNotPositive],
    [order({ qty: -3 }), ORDER_REASON.quantityNotPositive],
    [order({ qty: 1.5 }), DOOR_REASON.badArgs],
    [order({ qty: '1' }), DOOR_REASON.badArgs],
    [order({ qty: 2 ** 30 + 1 }), ORDER_REASON.quantityTooLarge],
    [order({ qty: 1e300 }), ORDER_REASON.quantityTooLarge],
    [order({ price: 100.001 }), ORDER_REASON.offTick],
    [order({ price: 1e9 }), ORDER_REASON.priceOutOfRange],
    [order({ price: -1e300 }), ORDER_REASON.priceOutOfRange],
    [order({ price: 'NaN' }), DOOR_REASON.badArgs],
    [order({ price: {} }), DOOR_REASON.badArgs],
    [order({ order_type: 'LMT', price: undefined }), DOOR_REASON.badArgs],
    [order({ order_type: 'STP' }), DOOR_REASON.badArgs],
    [order({ order_type: 'STP_LMT', stop_price: 1.001 }), ORDER_REASON.offTick],
    [order({ order_type: 'TRAIL' }), DOOR_REASON.badArgs],
    [order({ order_type: 'toString' }), DOOR_REASON.badArgs],
    [order({ tif: 'NEVER' }), DOOR_REASON.badArgs],
    [order({ post_only: 'yes' }), DOOR_REASON.badArgs],
    [order({ owner: -1 }), DOOR_REASON.badArgs],
    [order({ owner: 2 ** 32 }), DOOR_REASON.badArgs],
    [order({ display_qty: -1 }), DOOR_REASON.badArgs],
    [order({ tif: 'GTD', valid_until: 9_223_372_036_855 }), DOOR_REASON.badArgs],
    [order({ tif: 'GTD', valid_until: '2030-01-01' }), DOOR_REASON.badArgs],
    [order({ risk_bucket: 'NONE' }), DOOR_REASON.badArgs],
    [order({ strategy: 'x'.repeat(201) }), DOOR_REASON.badArgs],
    [order({ client_order_id: 'a\nb' }), DOOR_REASON.badArgs],
    [order({ client_order_id: '\ud800' }), DOOR_REASON.badArgs],
    [order({ client_order_id: 'auto-7' }), DOOR_REASON.badArgs],
    [order({ extra: [] }), DOOR_REASON.badArgs],
    [order({ extra: { a: '\u0000' } }), DOOR_REASON.badArgs],
    [order({ extra: { a: '\udfff' } }), DOOR_REASON.badArgs],
    ['{"op":"phase","symbol":"AAA","phase":"open"}', DOOR_REASON.badArgs],
    ['{"op":"band","symbol":"AAA","lower":1}', DOOR_REASON.badArgs],
  ])('refuses %s with %i', (line, reason) => {
    expect(reasonOf(line)).toBe(reason);
  });

  it('has a word for every number, and the words of the contract', () => {
    const numbers = [...Object.values(ORDER_REASON), ...Object.values(DOOR_REASON)];
    expect(new Set(numbers).size).toBe(numbers.length);
    expect(numbers.map(reasonWord).filter((word) => !/^[a-z_]+$/.test(word))).toEqual([]);
    const { missingOp, badArgs, unknownOp, noBook } = DOOR_REASON;
    expect([missingOp, badArgs, unknownOp, noBook].map(reasonWord)).toEqual(['missing_op', 'bad_args', 'unknown_op', 'no_book']);
  });

  it('does not take the fields of a client for a refusal', () => {
    expect(requestOf(order({ reason: 'a signal', detail: 'of it' })).why).toBe('a signal');
    expect(isRefusal({ reason: 1, detail: '' })).toBe(false);
    expect(isRefusal(new Refusal(1, ''))).toBe(true);
  });

  it('reads the orders of older clients', () => {
    const old = requestOf('{"op":"NEW","coid":"x1","symbol":"AAA","side":"SELL","qty":5}');
    expect(old).toMatchObject({ op: 'new', clientOrderId: 'x1', side: 1, type: ORDER_TYPE.market, timeInForce: TIME_IN_FORCE.ioc });
    const listed = requestOf(
      '{"op":"new","client_order_id":"x2","symbol":"AAA","side":"BUY","qty":5,"order_type":"LMT","limit_price":99.5,"tif":"DAY"}',
    );
    expect(listed).toMatchObject({ type: ORDER_TYPE.limit, price: '99.5', timeInForce: TIME_IN_FORCE.day });
  });

  it('takes exec as a market order that does not rest, whatever price it names', () => {
    const exec = requestOf('{"op":"exec","symbol":"AAA","side":"BUY","qty":5,"ref_price":100.001,"price":3,"order_type":"LMT"}');
    expect(exec).toMatchObject({ type: ORDER_TYPE.market, timeInForce: TIME_IN_FORCE.ioc, price: undefined, quantityLots: 5 });
  });
});
