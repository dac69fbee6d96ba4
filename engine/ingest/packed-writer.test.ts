import fc from 'fast-check';
import { expect, it } from 'vitest';
import { TICK_SIZE } from '../../schemas/layout.gen.ts';
import { TICK_KIND } from '../../schemas/records.ts';
import { writeTick } from '../market/ring-record.ts';
import { encodePacked, PACKED_RECORDS_MAX, type PackedSymbol, type PackedTick } from './packed.ts';
import { createPackedWriter, type PackedName } from './packed-writer.ts';

const SYMBOLS: readonly PackedSymbol[] = [
  { symbol: 'A', kind: 'trade', priceDecimals: 2, lotDecimals: 0 },
  { symbol: 'EUR/USD', kind: 'quote', priceDecimals: 5, lotDecimals: 0 },
  { symbol: 'Ünïcødé/円', kind: 'trade', priceDecimals: 0, lotDecimals: 8 },
  { symbol: 'x'.repeat(40), kind: 'quote', priceDecimals: 15, lotDecimals: 15 },
];

function nameOf({ symbol, kind, priceDecimals, lotDecimals }: PackedSymbol): PackedName {
  const name = new TextEncoder().encode(symbol);
  return { name, isQuote: kind === 'quote', priceDecimals, lotDecimals, reference: 0, message: 0 };
}

/** The message that the readable twin makes: symbols in order of their first record. */
function twin(ticks: readonly PackedTick[]): Uint8Array {
  const order = [...new Set(ticks.map(({ symbolRef }) => symbolRef))];
  return encodePacked(
    order.map((index) => SYMBOLS[index]!),
    ticks.map((tick) => ({ ...tick, symbolRef: order.indexOf(tick.symbolRef) })),
  );
}

const int64 = fc.bigInt(-(2n ** 63n), 2n ** 63n - 1n);
const anyTick = fc.record({
  symbolRef: fc.nat(SYMBOLS.length - 1),
  tsEventNs: int64,
  price: fc.double(),
  quantityLots: int64,
  ask: fc.double(),
});

it('makes the same messages as its readable twin, one after the other', () => {
  fc.assert(
    fc.property(fc.array(fc.array(anyTick, { minLength: 1, maxLength: 40 }), { minLength: 1, maxLength: 4 }), (messages) => {
      const writer = createPackedWriter();
      const names = SYMBOLS.map(nameOf);
      const view = new DataView(new ArrayBuffer(2 * TICK_SIZE));
      const i32 = new Int32Array(view.buffer);
      for (const ticks of messages) {
        for (const tick of ticks) {
          const kind = SYMBOLS[tick.symbolRef]!.kind === 'quote' ? TICK_KIND.quote : TICK_KIND.trade;
          writeTick(view, TICK_SIZE, { ...tick, kind, symbolIndex: 7, low: 1, close: 2, tradeCount: 3, ingestUs: 4 });
          writer.add(names[tick.symbolRef]!, i32, TICK_SIZE / 4);
        }
        expect(writer.recordCount).toBe(ticks.length);
        expect(Buffer.compare(writer.take(), twin(ticks))).toBe(0);
        expect(writer.recordCount).toBe(0);
      }
    }),
    process.env['SEED'] === undefined ? {} : { seed: Number(process.env['SEED']) },
  );
});

it('holds as many records and symbols as a message may', () => {
  const writer = createPackedWriter();
  const i32 = new Int32Array(TICK_SIZE / 4);
  const symbols = Array.from({ length: PACKED_RECORDS_MAX }, (_, index): PackedSymbol => {
    const symbol = String(index).padStart(40, '0');
    return { symbol, kind: 'trade', priceDecimals: 1, lotDecimals: 1 };
  });
  for (const symbol of symbols) writer.add(nameOf(symbol), i32, 0);
  const ticks = symbols.map((_, symbolRef) => ({ symbolRef, tsEventNs: 0n, price: 0, quantityLots: 0n, ask: 0 }));
  expect(Buffer.compare(writer.take(), encodePacked(symbols, ticks))).toBe(0);
});
