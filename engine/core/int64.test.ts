import fc from 'fast-check';
import { expect, it } from 'vitest';
import { readInt64, writeInt64, writeNanos } from './int64.ts';

const words = new Int32Array(2);
const asBigInt = new BigInt64Array(words.buffer);

it('writes any safe integer exactly', () => {
  fc.assert(
    fc.property(fc.maxSafeInteger(), (value) => {
      writeInt64(words, 0, value);
      expect(asBigInt[0]).toBe(BigInt(value));
      expect(readInt64(words, 0)).toBe(value);
    }),
  );
});

it('writes seconds and nanoseconds exactly beyond 2^53', () => {
  fc.assert(
    fc.property(fc.integer({ min: 0, max: 2 ** 33 }), fc.integer({ min: 0, max: 999_999_999 }), (seconds, nanos) => {
      writeNanos(words, 0, seconds, nanos);
      expect(asBigInt[0]).toBe(BigInt(seconds) * 1_000_000_000n + BigInt(nanos));
    }),
  );
});
