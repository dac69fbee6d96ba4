import { expect, it } from 'vitest';
import { EngineError } from '../core/errors.ts';
import { PROJECT_ROOT } from '../core/root.ts';
import { isSymbolName, loadInstruments, parseInstruments } from './instrument-book.ts';

function failureOf(text: string): EngineError {
  try {
    parseInstruments(text, 'book.json');
  } catch (error) {
    if (error instanceof EngineError) return error;
    throw error;
  }
  throw new Error('was accepted');
}

it('reads the instruments file of the project', () => {
  const book = loadInstruments(`${PROJECT_ROOT}/config/instruments.json`);
  expect(book.find('BTCUSDT')).toMatchObject({ priceDecimals: 2, lotDecimals: 8 });
  expect(book.find('EURUSD')).toMatchObject({ kind: 'quote', priceDecimals: 5 });
  expect(book.find('NOBODY')).toBeUndefined();
});

it('reports every fault at once, with the value', () => {
  const error = failureOf(
    JSON.stringify([
      { symbol: 'A', priceDecimals: 16, lotDecimals: 0 },
      { symbol: 'B', priceDecimals: 2, lotDecimals: 0, session: { timezone: 'Mars/Olympus', open: '9:15', close: '15:30' } },
      { symbol: 'B', priceDecimals: 2, lotDecimals: 0, colour: 'red' },
      { symbol: '', priceDecimals: 2, lotDecimals: 0 },
    ]),
  );
  expect(error.code).toBe('INSTRUMENTS_INVALID');
  for (const part of [
    '0.priceDecimals 16',
    'Mars/Olympus',
    '1.session.open "9:15"',
    'colour',
    '3.symbol ""',
    'B is named more than once',
  ]) {
    expect(error.message).toContain(part);
  }
});

it.each(['[', '{}', '[1]'])('refuses %s as a book', (text) => {
  expect(failureOf(text).code).toBe('INSTRUMENTS_INVALID');
});

it('names a file that is not there', () => {
  expect(() => loadInstruments('/nowhere/book.json')).toThrow('INSTRUMENTS_FILE /nowhere/book.json');
});

it.each([
  ['A', true],
  ['x'.repeat(40), true],
  ['x'.repeat(41), false],
  ['é'.repeat(21), false],
  ['', false],
  ['A\u0000', false],
  ['A\n', false],
  ['A\ud800', false],
  ['M&M-EQ', true],
])('judges the name %j', (name, isValid) => {
  expect(isSymbolName(name)).toBe(isValid);
});
