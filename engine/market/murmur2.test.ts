import { expect, it } from 'vitest';
import { murmur2, murmur2Part } from './murmur2.ts';

const bytesOf = (text: string): Uint8Array => new TextEncoder().encode(text);

// The vectors that the Java client's own tests hold.
it.each([
  ['21', -973932308],
  ['foobar', -790332482],
  ['a-little-bit-long-string', -985981536],
  ['a-little-bit-longer-string', -1486304829],
  ['lkjh234lh9fiuh90y23oiuhsafujhadof229phr9h19h89h8', -58897971],
  ['abc', 479470107],
])('hashes %s as the Java client does', (text, hash) => {
  expect(murmur2(bytesOf(text))).toBe(hash);
});

it('spreads keys over every part and stays in range', () => {
  const parts = Array.from({ length: 500 }, (_, index) => murmur2Part(bytesOf(`SIM${String(index).padStart(4, '0')}`), 7));
  expect(new Set(parts)).toEqual(new Set([0, 1, 2, 3, 4, 5, 6]));
});
