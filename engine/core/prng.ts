/**
 * The engine's source of randomness: xoshiro128** (Blackman and Vigna), 128 bits of state, period 2^128 - 1, seeded through
 * splitmix32 so that near seeds give unrelated streams. Not for secrets.
 */
export interface Prng {
  /** A whole number in [0, 2^32). */
  nextUint32(): number;
  /** A number in [0, 1) with 53 random bits. */
  nextFloat(): number;
  /** A whole number in [0, limit), every one equally likely; 1 <= limit <= 2^32. */
  nextBelow(limit: number): number;
  /** Exponentially distributed with mean 1, never negative. */
  nextExponential(): number;
}

const TWO_32 = 4294967296;
const TWO_53 = 9007199254740992;

/** `seed` is any whole number; its low 32 bits count. */
export function createPrng(seed: number): Prng {
  const state = new Uint32Array(4);
  let counter = seed | 0;
  for (let index = 0; index < 4; index += 1) {
    counter = (counter + 0x9e3779b9) | 0;
    let mixed = Math.imul(counter ^ (counter >>> 16), 0x21f0aaad);
    mixed = Math.imul(mixed ^ (mixed >>> 15), 0x735a2d97);
    state[index] = mixed ^ (mixed >>> 15);
  }
  return createPrngFromState(state);
}

/** A generator that goes on from four words, not all zero; it takes `state` as its own. */
export function createPrngFromState(state: Uint32Array): Prng {
  const nextUint32 = (): number => {
    const second = state[1]!;
    const product = Math.imul(second, 5);
    const result = Math.imul((product << 7) | (product >>> 25), 9) >>> 0;
    state[2] = state[2]! ^ state[0]!;
    state[3] = state[3]! ^ second;
    state[1] = second ^ state[2]!;
    state[0] = state[0]! ^ state[3]!;
    state[2] = state[2]! ^ (second << 9);
    const last = state[3]!;
    state[3] = (last << 11) | (last >>> 21);
    return result;
  };
  const nextFloat = (): number => ((nextUint32() >>> 5) * 67108864 + (nextUint32() >>> 6)) / TWO_53;
  return {
    nextUint32,
    nextFloat,
    nextBelow(limit) {
      // Values at or above the largest multiple of the limit would favour small results: they are drawn again.
      const bound = TWO_32 - (TWO_32 % limit);
      let value = nextUint32();
      while (value >= bound) value = nextUint32();
      return value % limit;
    },
    nextExponential: () => 0 - Math.log(1 - nextFloat()),
  };
}
