import { expect, it } from 'vitest';
import { parseTimeframes } from './timeframes.ts';

it('reads the default list', () => {
  expect(parseTimeframes('1s,1m,3m,5m,15m')).toEqual([
    { name: '1s', seconds: 1 },
    { name: '1m', seconds: 60 },
    { name: '3m', seconds: 180 },
    { name: '5m', seconds: 300 },
    { name: '15m', seconds: 900 },
  ]);
});

it('takes hours and days, minutes beyond the hour, and spaces', () => {
  expect(parseTimeframes('1s, 1m ,60m,4h,1d').map(({ name, seconds }) => [name, seconds])).toEqual([
    ['1s', 1],
    ['1m', 60],
    ['60m', 3600],
    ['4h', 14400],
    ['1d', 86400],
  ]);
});

it.each([
  ['', "'' is not a number with s, m, h or d"],
  ['1s,1w', "'1w' is not a number with s, m, h or d"],
  ['1s,0m', "'0m' is not a number"],
  ['1m,3m', 'the first must be 1s'],
  ['1s,3m,1m', '1m does not come after 3m'],
  ['1s,1m,60s', '60s does not come after 1m'],
  ['1s,7m', '7m does not divide a day'],
  ['1s,2s,3s,4s,5s,6s,8s,9s,10s,12s,15s,16s,18s', '13 entries, at most 12'],
])('refuses %j, saying why', (text, why) => {
  const parse = () => parseTimeframes(text);
  expect(parse).toThrow(`TIMEFRAMES '${text}': `);
  expect(parse).toThrow(why);
});
