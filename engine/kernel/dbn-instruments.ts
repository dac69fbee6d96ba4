/** The instruments that DBN kernels know, in their memory (kernels/lib/dbn-record.ts), sorted by id. */
import { ORDER_LIMIT } from '../../schemas/order-records.ts';
import { EngineError } from '../core/errors.ts';

export const DBN_INSTRUMENT_BYTES = 32;

const WORD_BITS = 64;
/** Below the number that stands for no price. */
const PRICE_MAX = 2n ** 63n - 2n;

export interface DbnInstrument {
  readonly id: number;
  readonly symbolIndex: number;
  readonly tickNanos: number;
}

export interface DbnInstruments {
  /** @throws EngineError FEED_FILE when there are as many as there is room for */
  add(instrument: DbnInstrument): void;
  readonly count: number;
}

/** Room for `capacity` instruments at an address of the memory. */
export function createDbnInstruments(memory: ArrayBuffer, at: number, capacity: number): DbnInstruments {
  const known: DbnInstrument[] = [];
  return {
    get count() {
      return known.length;
    },
    add(instrument) {
      if (known.length === capacity) {
        throw new EngineError('FEED_FILE', `DBN: instrument ${instrument.id} is one too many; a kernel knows at most ${capacity}`);
      }
      const place = known.findLastIndex(({ id }) => id < instrument.id) + 1;
      known.splice(place, 0, instrument);
      for (let index = place; index < known.length; index += 1) {
        writeRow(new DataView(memory, at + index * DBN_INSTRUMENT_BYTES), known[index]!);
      }
    },
  };
}

function writeRow(row: DataView, { id, symbolIndex, tickNanos }: DbnInstrument): void {
  const tick = BigInt(tickNanos);
  const twos = BigInt(tick.toString(2).length - 1 - tick.toString(2).lastIndexOf('1'));
  const ticksMax = PRICE_MAX / tick;
  row.setUint32(0, id, true);
  row.setInt32(4, symbolIndex, true);
  row.setBigInt64(8, tick, true);
  row.setBigUint64(16, inverseOf(tick >> twos), true);
  row.setInt32(24, Number(ticksMax < ORDER_LIMIT.priceMax ? ticksMax : ORDER_LIMIT.priceMax), true);
  row.setUint32(28, Number(twos), true);
}

/** The inverse of an odd number modulo 2^64: each turn of Newton's doubles the bits that are right, three at first. */
function inverseOf(odd: bigint): bigint {
  let inverse = odd;
  for (let right = 3; right < WORD_BITS; right *= 2) inverse = BigInt.asUintN(WORD_BITS, inverse * (2n - odd * inverse));
  return inverse;
}
