import { expect, it } from 'vitest';
import { compareBars, parseExport } from './golden-compare.ts';
import type { KnownBar, KnownSeries } from './golden-reference.ts';

const FIELDS = ['o', 'vol'];
const HEADER = 'symbol,ts_ms,o,vol';

function bar(tsMs: number, open: string, volume: string, isLast = false): KnownBar {
  return {
    symbol: 'A',
    tsMs,
    isLast,
    values: new Map([
      ['o', open],
      ['vol', volume],
    ]),
  };
}

function series(...bars: readonly KnownBar[]): readonly KnownSeries[] {
  return [{ symbol: 'A', fromMs: 1000, toMs: 5000, bars }];
}

it('takes numbers of equal value as equal, however they are written', () => {
  const actual = parseExport(`${HEADER}\nA,1000,61837.63,0.22682\nA,2000,0.0000001,5\n`);
  const verdict = compareBars(actual, series(bar(1000, '61837.63000000', '0.22682000'), bar(2000, '1e-7', '5.0')), { fields: FIELDS });
  expect(verdict).toMatchObject({ expectedCount: 2, equalCount: 2, missingCount: 0, extraCount: 0, isPassed: true });
});

it('finds a difference that a double would not hold', () => {
  const actual = parseExport(`${HEADER}\nA,1000,1,9007199254740993\n`);
  const verdict = compareBars(actual, series(bar(1000, '1', '9007199254740992')), { fields: FIELDS });
  expect(verdict).toMatchObject({ equalCount: 0, isPassed: false });
  expect(verdict.examples).toEqual(['A 1000: vol is 9007199254740993, expected 9007199254740992']);
});

it('counts missing bars, and extra ones within the times of the reference only', () => {
  const actual = parseExport(`${HEADER}\nA,999,1,1\nA,3000,1,1\nA,5000,1,1\nB,3000,1,1\n`);
  const verdict = compareBars(actual, series(bar(2000, '1', '1')), { fields: FIELDS });
  expect(verdict).toMatchObject({ expectedCount: 1, equalCount: 0, missingCount: 1, extraCount: 1, isPassed: false });
});

it('fails when nothing was compared', () => {
  expect(compareBars(parseExport(''), [], { fields: FIELDS }).isPassed).toBe(false);
  expect(compareBars(parseExport(HEADER), series(), { fields: FIELDS }).isPassed).toBe(false);
});

it('fails when the export lacks a column or a value', () => {
  const known = series(bar(1000, '1', '1'));
  expect(compareBars(parseExport('symbol,ts_ms,o\nA,1000,1\n'), known, { fields: FIELDS }).isPassed).toBe(false);
  expect(compareBars(parseExport(`${HEADER}\nA,1000,1,\n`), known, { fields: FIELDS }).isPassed).toBe(false);
});

it('lets exactly as many last bars differ as are known to, and no other bar', () => {
  const actual = parseExport(`${HEADER}\nA,1000,1,1\nA,2000,1,2\n`);
  const options = { fields: FIELDS, lastBarsDiffering: 1 };
  expect(compareBars(actual, series(bar(1000, '1', '1'), bar(2000, '1', '9', true)), options)).toMatchObject({
    equalCount: 1,
    isPassed: true,
  });
  expect(compareBars(actual, series(bar(1000, '1', '9'), bar(2000, '1', '2', true)), options).isPassed).toBe(false);
  expect(compareBars(actual, series(bar(1000, '1', '1'), bar(2000, '1', '2', true)), options).isPassed).toBe(false);
  const absent = compareBars(parseExport(`${HEADER}\nA,1000,1,1\n`), series(bar(1000, '1', '1'), bar(2000, '1', '2', true)), options);
  expect(absent).toMatchObject({ missingCount: 1, isPassed: false });
});
