import { expect, it } from 'vitest';
import { appendMessage, BOOK_ACTION, BOOK_ACTION_NAMES, BOOK_SIDE, createBookBatch, NO_PRICE, readMessage } from './book-message.ts';

it('gives back what was appended, and columns that were not given as unused', () => {
  const batch = createBookBatch(2);
  const message = {
    tsNs: 1715126400000000001n,
    action: BOOK_ACTION.replace,
    side: BOOK_SIDE.sell,
    orderId: 2n ** 64n - 1n,
    newOrderId: 7n,
    priceTicks: -20856,
    quantityLots: 3,
    symbolIndex: 1,
    flags: 3,
  };
  expect(appendMessage(batch, message)).toBe(true);
  expect(appendMessage(batch, { tsNs: 5n, action: BOOK_ACTION.clear })).toBe(true);
  expect(readMessage(batch, 0)).toEqual(message);
  const unused = { side: BOOK_SIDE.none, orderId: 0n, newOrderId: 0n, priceTicks: NO_PRICE, quantityLots: 0, symbolIndex: 0, flags: 0 };
  expect(readMessage(batch, 1)).toEqual({ tsNs: 5n, action: BOOK_ACTION.clear, ...unused });
});

it('appends nothing to a full batch', () => {
  const batch = createBookBatch(1);
  expect(appendMessage(batch, { tsNs: 1n, action: BOOK_ACTION.clear })).toBe(true);
  expect(appendMessage(batch, { tsNs: 2n, action: BOOK_ACTION.clear })).toBe(false);
  expect([batch.count, batch.tsNs[0]]).toEqual([1, 1n]);
});

it('names the actions by code', () => {
  expect(BOOK_ACTION_NAMES[BOOK_ACTION.add - 1]).toBe('add');
  expect(BOOK_ACTION_NAMES[BOOK_ACTION.status - 1]).toBe('status');
});
