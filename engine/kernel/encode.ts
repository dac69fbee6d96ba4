/**
 * Encodes bars for the sinks through `kernels/encode.ts`: rows of PostgreSQL's binary COPY and the JSON payloads of Kafka. The
 * readable form is `encode-twin.ts`.
 *
 * The caller copies bars to the input area and calls an encoder. The kernel works in shared memory, which the database and
 * Kafka clients cannot take, so each result is copied once into an ordinary buffer that the encoder owns and reuses.
 */
import { BAR_SIZE, BAR_SYMBOL_INDEX_I32 } from '../../schemas/layout.gen.ts';
import { tradeCountType } from '../../schemas/tables.ts';
import { assert, EngineError } from '../core/errors.ts';
import { SYMBOL_NAME_BYTES_MAX, type SymbolDictionary } from '../market/instruments.ts';
import { createMemory, loadKernel } from './host.ts';

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

type Constant = 'FRAGMENTS' | 'FRAGMENT_BYTES' | 'FRAMES' | 'FRAME_BYTES' | 'FRAME_TEXT' | 'FRAME_COUNT' | 'POWERS' | 'POWERS_FIRST';
type NameConstant = 'POWERS_LAST' | 'NAME_BYTES' | 'NAME_ESCAPED_LENGTH' | 'NAME_LENGTH' | 'ESCAPED_BYTES';
type AreaConstant = 'ROW_BYTES_MAX' | 'PAYLOAD_BYTES_MAX' | 'SLACK_BYTES';

type EncodeKernel = { readonly [K in Constant | NameConstant | AreaConstant]: { readonly value: number } } & {
  configure(tables: number, names: number, escaped: number, symbolCapacity: number): void;
  selectRows(timeframeIndex: number, run: number): void;
  copyTrades(input: number, output: number, count: number): number;
  copyQuotes(input: number, output: number, count: number): number;
  payloads(input: number, output: number, count: number, ends: number): number;
};

/** In the order of the kernel's TEXT_ constants. */
const FRAGMENTS = [
  '{"symbol":"',
  ',"o":',
  ',"h":',
  ',"l":',
  ',"c":',
  ',"vol":',
  ',"n_trades":',
  ',"rev":',
  ',"late":',
  ',"vwap":',
  ',"first_ns":"',
  '","last_ns":"',
  '"}',
] as const;

/** Upper bound of the kernel's fixed tables, its power table included. */
const TABLES_BYTES = 16384;
const NAME_STRIDE = 64;
const ESCAPED_STRIDE = 256;
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

/** The kernel's own idea of its tables must fit what was set aside for them. */
function assertFits(kernel: EncodeKernel): void {
  const powers = kernel.POWERS_LAST.value - kernel.POWERS_FIRST.value + 1;
  assert(kernel.POWERS.value + powers * 16 <= TABLES_BYTES, 'encode tables fit');
  assert(kernel.NAME_BYTES.value === NAME_STRIDE && kernel.ESCAPED_BYTES.value === ESCAPED_STRIDE, 'encode name entries agree');
  assert(kernel.ROW_BYTES_MAX.value <= ROW_STRIDE && kernel.PAYLOAD_BYTES_MAX.value <= ROW_STRIDE, 'encode output fits');
  assert(kernel.SLACK_BYTES.value <= NAME_STRIDE, 'encode slack fits');
}

/**
 * An encoder for the symbols of a dictionary; a symbol's name is taken from it when its index is first met. `timeframeNames` in
 * the order of TIMEFRAMES, at most 12.
 */
export function createBarEncoder(symbols: SymbolDictionary, timeframeNames: readonly string[]): BarEncoder {
  const areas = mapAreas(symbols.capacity);
  const memory = createMemory(areas.sizeBytes);
  const kernel = loadKernel<EncodeKernel>('encode', memory);
  assertFits(kernel);
  const view = new DataView(memory.buffer);
  const bytes = new Uint8Array(memory.buffer);
  const i32 = new Int32Array(memory.buffer);
  const ends = new Uint32Array(memory.buffer, areas.ends, INPUT_CAPACITY);
  const inputI32Index = areas.input >> 2;
  const endsOut = new Uint32Array(INPUT_CAPACITY);
  let out = Buffer.allocUnsafeSlow(65536);

  fillFragments(view, bytes, areas.tables, kernel);
  fillFrames(view, bytes, areas.tables, { kernel, timeframeNames });
  powers ??= powersOf(kernel);
  bytes.set(powers, areas.tables + kernel.POWERS.value);
  kernel.configure(areas.tables, areas.names, areas.escaped, symbols.capacity);

  /** Calls the kernel until it has met no symbol without a name; each round fills one in. */
  const encode = (count: number, call: () => number): Uint8Array => {
    assert(count >= 0 && count <= INPUT_CAPACITY, `${count} bars to encode, at most ${INPUT_CAPACITY}`);
    let length = call();
    while (length < 0) {
      const symbolIndex = i32[inputI32Index + (-1 - length) * BAR_WORDS + BAR_SYMBOL_INDEX_I32]!;
      fillName(view, bytes, { symbols, symbolIndex, areas, kernel });
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

function fillFragments(view: DataView, bytes: Uint8Array, tables: number, kernel: EncodeKernel): void {
  for (const [index, text] of FRAGMENTS.entries()) {
    const at = tables + kernel.FRAGMENTS.value + index * kernel.FRAGMENT_BYTES.value;
    bytes.set(Buffer.from(text), at);
    view.setInt32(at + 24, text.length, true);
  }
}

interface Frames {
  readonly kernel: EncodeKernel;
  readonly timeframeNames: readonly string[];
}

function fillFrames(view: DataView, bytes: Uint8Array, tables: number, { kernel, timeframeNames }: Frames): void {
  const limit = kernel.FRAME_COUNT.value;
  assert(timeframeNames.length <= limit, `${timeframeNames.length} timeframes, at most ${limit}`);
  for (const [index, name] of timeframeNames.entries()) {
    const text = Buffer.from(`","tf":${JSON.stringify(name)},"ts":`);
    assert(text.length <= 32, `timeframe '${name}' is short`);
    const at = tables + kernel.FRAMES.value + index * kernel.FRAME_BYTES.value;
    view.setInt32(at, tradeCountType(name) === 'integer' ? 4 : 8, true);
    view.setInt32(at + 4, text.length, true);
    bytes.set(text, at + kernel.FRAME_TEXT.value);
  }
}

/** Of every encoder: they take longer to work out than everything else that one needs. */
let powers: Uint8Array | undefined;

/** Powers of ten, each scaled to 128 bits with its highest bit set, rounded up; low half first. */
function powersOf(kernel: EncodeKernel): Uint8Array {
  const first = kernel.POWERS_FIRST.value;
  const last = kernel.POWERS_LAST.value;
  const view = new DataView(new ArrayBuffer((last - first + 1) * 16));
  for (let exponent = first, at = 0; exponent <= last; exponent += 1, at += 16) {
    // 10^n / 2^shift, as the quotient of two whole numbers.
    const shift = BigInt(((exponent * 1741647) >> 19) - 127);
    const dividend = (exponent > 0 ? 10n ** BigInt(exponent) : 1n) << (shift < 0n ? -shift : 0n);
    const divisor = (exponent < 0 ? 10n ** BigInt(-exponent) : 1n) << (shift > 0n ? shift : 0n);
    const scaled = (dividend + divisor - 1n) / divisor;
    view.setBigUint64(at, scaled & 0xffffffffffffffffn, true);
    view.setBigUint64(at + 8, scaled >> 64n, true);
  }
  return new Uint8Array(view.buffer);
}

interface NameRequest {
  readonly symbols: SymbolDictionary;
  readonly symbolIndex: number;
  readonly areas: Areas;
  readonly kernel: EncodeKernel;
}

function fillName(view: DataView, bytes: Uint8Array, { symbols, symbolIndex, areas, kernel }: NameRequest): void {
  const entry = symbolIndex >= 0 && symbolIndex < symbols.capacity ? symbols.read(symbolIndex) : undefined;
  if (!entry) {
    const range = `0 to ${symbols.capacity - 1}`;
    throw new EngineError('SYMBOL_UNREGISTERED', `bar of symbol index ${symbolIndex}: the dictionary (${range}) has no such entry`);
  }
  const name = Buffer.from(entry.name);
  if (name.length > SYMBOL_NAME_BYTES_MAX) {
    throw new EngineError('SYMBOL_NAME', `symbol '${entry.name}': ${name.length} bytes, at most ${SYMBOL_NAME_BYTES_MAX}`);
  }
  const escaped = Buffer.from(JSON.stringify(entry.name).slice(1, -1));
  const at = areas.names + symbolIndex * NAME_STRIDE;
  bytes.set(escaped, areas.escaped + symbolIndex * ESCAPED_STRIDE);
  view.setInt32(at, name.length, false);
  bytes.set(name, at + 4);
  view.setInt32(at + kernel.NAME_ESCAPED_LENGTH.value, escaped.length, true);
  view.setInt32(at + kernel.NAME_LENGTH.value, name.length, true);
}
