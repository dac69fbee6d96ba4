/**
 * The tables that kernels/lib/encode-payload.ts makes payloads from, for every kernel that does: texts between values, timeframes, powers
 * of ten, and the names of symbols.
 */
import { tradeCountType } from '../../schemas/tables.ts';
import { assert, EngineError } from '../core/errors.ts';
import { SYMBOL_NAME_BYTES_MAX, type SymbolDictionary } from '../market/instruments.ts';
import { murmur2 } from '../market/murmur2.ts';

type Constant = 'FRAGMENTS' | 'FRAGMENT_BYTES' | 'FRAMES' | 'FRAME_BYTES' | 'FRAME_TEXT' | 'FRAME_COUNT' | 'POWERS' | 'POWERS_FIRST';
type NameConstant = 'POWERS_LAST' | 'NAME_BYTES' | 'NAME_ESCAPED_LENGTH' | 'NAME_LENGTH' | 'NAME_HASH' | 'ESCAPED_BYTES' | 'SLACK_BYTES';

/** What such a kernel exports for it. */
export type PayloadKernel = { readonly [K in Constant | NameConstant]: { readonly value: number } } & {
  configure(tables: number, names: number, escaped: number, symbolCapacity: number): void;
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
export const TABLES_BYTES = 16384;
/** Bytes of a name entry, and of an escaped name. */
export const NAME_STRIDE = 64;
export const ESCAPED_STRIDE = 256;

/** Where the tables stand in the kernel's memory, each of the size above; `names` and `escaped` have one entry a symbol. */
export interface PayloadAreas {
  readonly tables: number;
  readonly names: number;
  readonly escaped: number;
}

export interface PayloadTables {
  /** Fills in the name of a symbol. @throws EngineError SYMBOL_UNREGISTERED, SYMBOL_NAME */
  addName(symbolIndex: number): void;
}

/** Fills the tables, but for names, and configures the kernel. `timeframeNames` in the order of TIMEFRAMES, at most 12. */
export function openPayloadTables(
  kernel: PayloadKernel,
  memory: WebAssembly.PrivateMemory,
  areas: PayloadAreas,
  { symbols, timeframeNames }: { readonly symbols: SymbolDictionary; readonly timeframeNames: readonly string[] },
): PayloadTables {
  const powersCount = kernel.POWERS_LAST.value - kernel.POWERS_FIRST.value + 1;
  assert(kernel.POWERS.value + powersCount * 16 <= TABLES_BYTES, 'encode tables fit');
  assert(kernel.NAME_BYTES.value === NAME_STRIDE && kernel.ESCAPED_BYTES.value === ESCAPED_STRIDE, 'encode name entries agree');
  const view = new DataView(memory.buffer);
  const bytes = new Uint8Array(memory.buffer);
  fillFragments(view, bytes, areas.tables, kernel);
  fillFrames(view, bytes, areas.tables, { kernel, timeframeNames });
  powers ??= powersOf(kernel);
  bytes.set(powers, areas.tables + kernel.POWERS.value);
  kernel.configure(areas.tables, areas.names, areas.escaped, symbols.capacity);
  return { addName: (symbolIndex) => fillName(view, bytes, { symbols, symbolIndex, areas, kernel }) };
}

function fillFragments(view: DataView, bytes: Uint8Array, tables: number, kernel: PayloadKernel): void {
  for (const [index, text] of FRAGMENTS.entries()) {
    const at = tables + kernel.FRAGMENTS.value + index * kernel.FRAGMENT_BYTES.value;
    bytes.set(Buffer.from(text), at);
    view.setInt32(at + 24, text.length, true);
  }
}

interface Frames {
  readonly kernel: PayloadKernel;
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
function powersOf(kernel: PayloadKernel): Uint8Array {
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
  readonly areas: PayloadAreas;
  readonly kernel: PayloadKernel;
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
  view.setInt32(at + kernel.NAME_HASH.value, murmur2(name) & 0x7fffffff, true);
  view.setInt32(at + kernel.NAME_LENGTH.value, name.length, true);
}
