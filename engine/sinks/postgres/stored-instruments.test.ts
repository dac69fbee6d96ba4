import { expect, it } from 'vitest';
import { createInstrumentBook } from '../../market/instrument-book.ts';
import { withStored } from './stored-instruments.ts';

const stored = [
  { symbol: 'A', kind: 'trade', priceDecimals: 2, lotDecimals: 0 },
  { symbol: 'B', kind: 'quote', priceDecimals: 5, lotDecimals: 0 },
] as const;
const session = { timezone: 'Asia/Kolkata', open: '09:15', close: '15:30' };

it('keeps kind and decimals of what has rows, and the session that the file gives it', () => {
  const book = withStored(createInstrumentBook([{ symbol: 'A', priceDecimals: 2, lotDecimals: 0, session }]), stored, false);
  expect(book.find('A')).toEqual({ ...stored[0], session });
  expect(book.find('B')).toEqual(stored[1]);
});

it('lets the file alone say which symbols there are under strict', () => {
  const book = withStored(createInstrumentBook([{ symbol: 'A', priceDecimals: 2, lotDecimals: 0 }]), stored, true);
  expect(book.find('A')?.kind).toBe('trade');
  expect(book.find('B')).toBeUndefined();
});

it('names every instrument that the file contradicts', () => {
  const book = createInstrumentBook([
    { symbol: 'A', priceDecimals: 4, lotDecimals: 0 },
    { symbol: 'B', kind: 'trade', priceDecimals: 5, lotDecimals: 0 },
  ]);
  expect(() => withStored(book, stored, false)).toThrow(/A: stored as trade, 2 price.*says trade, 4 price.*B: stored as quote.*says trade/);
});
