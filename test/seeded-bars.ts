/** Trade bars drawn from a seed, as the committed ring holds them, with the messages that are to come of them. */
import { createPrng } from '../engine/core/prng.ts';
import { createTwinEncoder } from '../engine/kernel/encode-twin.ts';
import { allocateSymbols, openSymbols, type SymbolDictionary } from '../engine/market/instruments.ts';
import { PLAIN_BAR, putBar } from './bars.ts';

const SYMBOLS = 500;
const BAR_WORDS = 32;

export interface SeededBars {
  readonly words: Int32Array;
  readonly symbols: SymbolDictionary;
  readonly expected: readonly { readonly key: string; readonly value: string }[];
}

/** Bars of 1 s of 500 symbols, a second after the other. */
export function anyBars(seed: number, count: number): SeededBars {
  const prng = createPrng(seed);
  const symbols = openSymbols(allocateSymbols(SYMBOLS));
  const nameOf = (index: number): string => `SYM${String(index).padStart(4, '0')}`;
  for (let index = 0; index < SYMBOLS; index += 1) {
    const entry = { name: nameOf(index), partition: 0, shard: 0, localIndex: index, priceDecimals: 2, lotDecimals: 0, isQuote: false };
    symbols.write(index, entry);
  }
  const buffer = new ArrayBuffer(count * BAR_WORDS * 4);
  const input = { i32: new Int32Array(buffer), f64: new Float64Array(buffer), i64: new BigInt64Array(buffer), inputI32Index: 0 };
  const cents = (): number => (10_000 + prng.nextBelow(1_000_000)) / 100;
  for (let i = 0; i < count; i += 1) {
    const tsSeconds = PLAIN_BAR.tsSeconds + Math.floor(i / SYMBOLS);
    const startNs = BigInt(tsSeconds) * 1_000_000_000n;
    putBar(input, i, {
      ...PLAIN_BAR,
      symbolIndex: i % SYMBOLS,
      tsSeconds,
      prices: [cents(), cents(), cents(), cents(), 0, 0, 0, 0],
      volumeLots: BigInt(prng.nextBelow(1_000_000)),
      notional: BigInt(prng.nextBelow(1_000_000_000)),
      firstNs: startNs + BigInt(prng.nextBelow(1000)),
      lastNs: startNs + BigInt(prng.nextBelow(999_999_999)),
    });
  }
  const twin = createTwinEncoder(input, ['1s'], nameOf);
  const expected = Array.from({ length: count }, (_, i) => ({ key: nameOf(i % SYMBOLS), value: twin.payload(i) }));
  return { words: input.i32, symbols, expected };
}
