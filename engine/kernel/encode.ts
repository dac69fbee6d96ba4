/**
 * Encodes bars for the sinks through `kernels/encode.ts`: rows of PostgreSQL's binary COPY and the JSON payloads of Kafka. The
 * readable form is `encode-twin.ts`.
 *
 * The caller copies bars to the input area and calls an encoder. The kernel works in shared memory, which the database and
 * Kafka clients cannot take, so each result is copied once into an ordinary buffer that the encoder owns and reuses.
 */
import { BAR_SIZE, BAR_SYMBOL_INDEX_I32 } from '../../schemas/layout.gen.ts';
import { assert } from '../core/errors.ts';
import type { SymbolDictionary } from '../market/instruments.ts';
import { ESCAPED_STRIDE, NAME_STRIDE, openPayloadTables, type PayloadKernel, TABLES_BYTES } from './encode-tables.ts';
import { createPrivateMemory, loadKernel } from './host.ts';

/** Bars that the input area holds. */
const INPUT_CAPACITY = 8192;
/** Below this the kernel's linear memory is left to the WASM runtime. */
const FIRST_ADDRESS = 1024;
const BAR_WORDS = BAR_SIZE >> 2;

export interface EncodedPayloads {
  /** All payloads, one after the other, UTF-8. */
  readonly bytes: Uint8Array;
  /** Where the payload of each input bar ends in `bytes`; a quote bar has an empty one. */
  readonly ends: Uint32Array;
}

export interface BarEncoder {
  /** Views of the whole kernel memory: input bar `i` is the `bar` record at word `inputI32Index + i * 32`. */
  readonly i32: Int32Array;
  readonly f64: Float64Array;
  readonly i64: BigInt64Array;
  readonly inputI32Index: number;
  readonly inputCapacity: number;
  /**
   * COPY rows, without file header and trailer, of those of the first `count` input bars that have this timeframe and kind;
   * columns as in `schemas/tables.ts`. Valid until the next call of this encoder.
   * @throws EngineError SYMBOL_UNREGISTERED, SYMBOL_NAME
   */
  copyRows(count: number, timeframeIndex: number, isQuote: boolean, run: number): Uint8Array;
  /**
   * Kafka payloads of the trade bars among the first `count` input bars. Valid until the next call of this encoder.
   * @throws EngineError SYMBOL_UNREGISTERED, SYMBOL_NAME
   */
  json(count: number): EncodedPayloads;
}

type EncodeKernel = PayloadKernel & { readonly [K in 'ROW_BYTES_MAX' | 'PAYLOAD_BYTES_MAX']: { readonly value: number } } & {
  selectRows(timeframeIndex: number, run: number): void;
  copyTrades(input: number, output: number, count: number): number;
  copyQuotes(input: number, output: number, count: number): number;
  payloads(input: number, output: number, count: number, ends: number): number;
};

const ROW_STRIDE = 768;

interface Areas {
  readonly tables: number;
  readonly names: number;
  readonly escaped: number;
  readonly input: number;
  readonly output: number;
  readonly ends: number;
  readonly sizeBytes: number;
}

function mapAreas(symbolCapacity: number): Areas {
  let next = FIRST_ADDRESS;
  const take = (bytes: number): number => {
    const address = next;
    next = Math.ceil((next + bytes) / 128) * 128;
    return address;
  };
  const tables = take(TABLES_BYTES);
  const names = take(symbolCapacity * NAME_STRIDE);
  const escaped = take(symbolCapacity * ESCAPED_STRIDE);
  const input = take(INPUT_CAPACITY * BAR_SIZE);
  const output = take(INPUT_CAPACITY * ROW_STRIDE + NAME_STRIDE);
  const ends = take(INPUT_CAPACITY * 4);
  return { tables, names, escaped, input, output, ends, sizeBytes: next };
}

/**
 * An encoder for the symbols of a dictionary; a symbol's name is taken from it when its index is first met. `timeframeNames` in
 * the order of TIMEFRAMES, at most 12.
 */
export function createBarEncoder(symbols: SymbolDictionary, timeframeNames: readonly string[]): BarEncoder {
  const areas = mapAreas(symbols.capacity);
  const memory = createPrivateMemory(areas.sizeBytes);
  const kernel = loadKernel<EncodeKernel>('encode', memory);
  assert(kernel.ROW_BYTES_MAX.value <= ROW_STRIDE && kernel.PAYLOAD_BYTES_MAX.value <= ROW_STRIDE, 'encode output fits');
  assert(kernel.SLACK_BYTES.value <= NAME_STRIDE, 'encode slack fits');
  const tables = openPayloadTables(kernel, memory, areas, { symbols, timeframeNames });
  const bytes = new Uint8Array(memory.buffer);
  const i32 = new Int32Array(memory.buffer);
  const ends = new Uint32Array(memory.buffer, areas.ends, INPUT_CAPACITY);
  const inputI32Index = areas.input >> 2;
  const endsOut = new Uint32Array(INPUT_CAPACITY);
  let out = Buffer.allocUnsafeSlow(65536);

  /** Calls the kernel until it has met no symbol without a name; each round fills one in. */
  const encode = (count: number, call: () => number): Uint8Array => {
    assert(count >= 0 && count <= INPUT_CAPACITY, `${count} bars to encode, at most ${INPUT_CAPACITY}`);
    let length = call();
    while (length < 0) {
      const symbolIndex = i32[inputI32Index + (-1 - length) * BAR_WORDS + BAR_SYMBOL_INDEX_I32]!;
      tables.addName(symbolIndex);
      length = call();
    }
    if (out.length < length) out = Buffer.allocUnsafeSlow(2 ** Math.ceil(Math.log2(length)));
    out.set(bytes.subarray(areas.output, areas.output + length));
    return out.subarray(0, length);
  };

  return {
    i32,
    f64: new Float64Array(memory.buffer),
    i64: new BigInt64Array(memory.buffer),
    inputI32Index,
    inputCapacity: INPUT_CAPACITY,
    copyRows(count, timeframeIndex, isQuote, run) {
      kernel.selectRows(timeframeIndex, run);
      const rows = isQuote ? kernel.copyQuotes : kernel.copyTrades;
      return encode(count, () => rows(areas.input, areas.output, count));
    },
    json(count) {
      const payloads = encode(count, () => kernel.payloads(areas.input, areas.output, count, areas.ends));
      endsOut.set(ends.subarray(0, count));
      return { bytes: payloads, ends: endsOut.subarray(0, count) };
    },
  };
}
