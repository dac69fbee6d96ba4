import { expect, it } from 'vitest';
import { formatCount, formatDecimals, formatEstimate, formatFigure, formatMs, formatPercent } from './format.ts';

it('writes four digits, whole numbers in full, and a dash for what is missing', () => {
  expect([0, 7, 0.123456, 12.3456, 1234.5, 1_234_567, null, undefined].map(formatFigure)).toEqual([
    '0',
    '7',
    '0.1235',
    '12.35',
    '1,235',
    '1,234,567',
    '-',
    '-',
  ]);
  expect([0.00021, 5, null].map(formatDecimals)).toEqual(['0.0002', '5.0000', '-']);
  expect([formatMs(1500), formatMs(undefined), formatPercent(0.0123), formatPercent(null)]).toEqual(['1.5', '-', '1.2 %', '-']);
  expect([formatCount(1, 'cell'), formatCount(2000, 'cell')]).toEqual(['1 cell', '2,000 cells']);
});

it('writes an interval only where there is one', () => {
  expect(formatEstimate({ median: 2, low: 1, high: 3.5, count: 5 })).toBe('2 (1 to 3.5)');
  expect(formatEstimate({ median: 2000, low: null, high: null, count: 2 }, formatMs)).toBe('2');
  expect(formatEstimate(undefined)).toBe('-');
});
