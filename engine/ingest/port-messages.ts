/** Messages to staged records: JSON through the kernel and, where it is not sure, through json-tick.ts; packed by packed.ts. */
import * as L from '../../schemas/layout.gen.ts';
import { REFUSAL, TICK_KIND } from '../../schemas/records.ts';
import { decodeJsonTick, type JsonTick, MESSAGE_BYTES_MAX } from './json-tick.ts';
import { createSymbolReader, PACKED_HEADER_BYTES, PACKED_RECORD_BYTES, type PackedSymbol, readPackedHeader } from './packed.ts';
import { type IngestKernel, MESSAGE_AREA_BYTES, STAGING_CAPACITY, TICK_WORDS } from './port-kernel.ts';
import type { Registry } from './port-registry.ts';
import type { Router } from './port-router.ts';
import type { MessageBatch, RecordRun } from './source.ts';

/** JSON ticks of symbols that nothing is known of: as the contract's producers send them. */
const JSON_PRICE_DECIMALS = 2;
const JSON_LOT_DECIMALS = 0;
const REFERENCE_WORDS = 8;

export interface MessagePort {
  readonly kernel: IngestKernel;
  readonly registry: Registry;
  readonly router: Router;
  room(): number;
}

/** Messages of one batch or run, wherever they lie. */
interface Messages extends Omit<MessageBatch, 'values'> {
  /** One of them, as it lies. */
  readonly view: (index: number) => Uint8Array;
  /** Address of the entry of the first, where they lie in the kernel's memory; 0: elsewhere. */
  readonly entriesAt: number;
}

/** Where the staged records came from, and how far the batch has got. */
interface Progress {
  readonly batch: Messages;
  /** Message and record (-1 in JSON) of each staged record. */
  readonly messageOf: Int32Array;
  readonly recordOf: Int32Array;
  consumed: number;
  staged: number;
}

export interface MessageReader {
  /** `commitMessages` of the ingest port. */
  commit(batch: MessageBatch): number;
  /** `records.commit` of the ingest port. */
  commitRecords(run: RecordRun): number;
}

const NOTHING = new Uint8Array();

export function createMessageReader(port: MessagePort): MessageReader {
  const messageOf = new Int32Array(STAGING_CAPACITY);
  const recordOf = new Int32Array(STAGING_CAPACITY);
  const packed = createPackedStager(port);
  const commit = (batch: Messages): number => {
    const progress: Progress = { batch, messageOf, recordOf, consumed: 0, staged: 0 };
    while (progress.consumed < batch.count) {
      const room = port.room();
      const before = progress.consumed;
      progress.staged = 0;
      if (batch.encoding === 'packed') packed(progress, room);
      else if (batch.entriesAt === 0) stageJson(port, progress, room);
      else stageListed(port, progress, room);
      if (progress.staged > 0) routeAndReport(port, progress);
      if (progress.consumed === before) break;
    }
    return progress.consumed;
  };
  return {
    commit: ({ values, ...batch }) => commit({ ...batch, entriesAt: 0, view: (index) => values[index] ?? NOTHING }),
    commitRecords: commit,
  };
}

function routeAndReport(port: MessagePort, progress: Progress): void {
  const { kernel } = port;
  const refused = port.router.routeStaged(progress.staged, progress.batch.partition, false);
  for (let index = 0; index < refused; index += 1) {
    const at = kernel.refusalsI32 + index * 2;
    const staged = kernel.i32[at]!;
    progress.batch.onRejected(progress.messageOf[staged]!, progress.recordOf[staged]!, kernel.i32[at + 1]!);
  }
}

function stageJson(port: MessagePort, progress: Progress, room: number): void {
  const first = progress.consumed;
  const count = copyMessages(port.kernel, progress.batch, first, room);
  let at = 0;
  while (at < count) {
    const stop = port.kernel.exports.decodeJson(at, count, progress.staged);
    for (; at < stop; at += 1) noteStaged(progress, first + at, -1);
    if (at < count) {
      stageDoubtful(port, progress, first + at);
      at += 1;
    }
  }
  progress.consumed = first + count;
}

/** Stages JSON where it lies. */
function stageListed(port: MessagePort, progress: Progress, room: number): void {
  const { entriesAt, count } = progress.batch;
  const end = Math.min(count, progress.consumed + room);
  while (progress.consumed < end) {
    const stop = port.kernel.exports.decodeListed(entriesAt, progress.consumed, end, progress.staged);
    for (; progress.consumed < stop; progress.consumed += 1) noteStaged(progress, progress.consumed, -1);
    if (progress.consumed < end) {
      stageDoubtful(port, progress, progress.consumed);
      progress.consumed += 1;
    }
  }
}

/** Copies messages from `first` on to the kernel's memory: at most `limit`, and as many as fit. Returns how many. */
function copyMessages(kernel: IngestKernel, batch: Messages, first: number, limit: number): number {
  const { i32, u8, messagesU8, messageIndexI32 } = kernel;
  const countMax = Math.min(limit, batch.count - first);
  let offset = 0;
  let count = 0;
  while (count < countMax) {
    const message = batch.view(first + count);
    // A message that is too long is left empty, so that the kernel leaves it to JavaScript, which refuses it.
    const length = message.length <= MESSAGE_BYTES_MAX ? message.length : 0;
    if (offset + length > MESSAGE_AREA_BYTES) break;
    i32[messageIndexI32 + count] = offset;
    if (length > 0) u8.set(message, messagesU8 + offset);
    offset += length;
    count += 1;
  }
  i32[messageIndexI32 + count] = offset;
  return count;
}

/** A message that the kernel left to JavaScript: an unknown symbol, an unusual form, or a fault. */
function stageDoubtful(port: MessagePort, progress: Progress, messageIndex: number): void {
  const { batch } = progress;
  const { tick, refusal } = decodeJsonTick(batch.view(messageIndex).slice());
  const symbolIndex = tick
    ? port.registry.register({
        symbol: tick.symbol,
        kind: 'trade',
        priceDecimals: JSON_PRICE_DECIMALS,
        lotDecimals: JSON_LOT_DECIMALS,
        partition: batch.partition,
      })
    : -refusal;
  if (tick && symbolIndex >= 0) {
    writeTick(port.kernel, progress.staged, tick, symbolIndex);
    noteStaged(progress, messageIndex, -1);
    return;
  }
  port.router.refuse(-symbolIndex, 1);
  batch.onRejected(messageIndex, -1, -symbolIndex);
}

function writeTick(kernel: IngestKernel, staged: number, tick: JsonTick, symbolIndex: number): void {
  const at = kernel.stagingI32 + staged * TICK_WORDS;
  kernel.i32.fill(0, at, at + TICK_WORDS);
  kernel.i32[at + L.TICK_KIND_I32] = TICK_KIND.trade;
  kernel.i32[at + L.TICK_SYMBOL_INDEX_I32] = symbolIndex;
  kernel.i64[(at >> 1) + L.TICK_TS_EVENT_NS_I64] = tick.tsEventNs;
  kernel.f64[(at >> 1) + L.TICK_PRICE_F64] = tick.price;
  kernel.i64[(at >> 1) + L.TICK_QUANTITY_LOTS_I64] = tick.quantityLots;
}

function noteStaged(progress: Progress, messageIndex: number, recordIndex: number): void {
  progress.messageOf[progress.staged] = messageIndex;
  progress.recordOf[progress.staged] = recordIndex;
  progress.staged += 1;
}

/** Stages whole packed messages while they fit. The references of the last message are kept while the next has the same symbols. */
function createPackedStager(port: MessagePort): (progress: Progress, room: number) => void {
  const { kernel } = port;
  const symbolAt = createSymbolReader();
  // A symbol that is registered stays so, with the same index and decimals.
  const references = new WeakMap<PackedSymbol, Int32Array>();
  let table = new Uint8Array();
  let tablePartition = -1;
  let tableRecordsOffset = 0;

  /** Reads the header and sets the kernel's references. Returns the records' offset, or 0 when the message is malformed. */
  const prepare = (message: Uint8Array, partition: number): number => {
    if (partition === tablePartition && hasTable(message, table)) return tableRecordsOffset;
    tablePartition = -1;
    // A copy, since what reads names does not read shared memory.
    const header = readPackedHeader(message.slice(), symbolAt);
    if (!header) return 0;
    let areAllKnown = true;
    for (const [position, symbol] of header.symbols.entries()) {
      const known = references.get(symbol);
      const reference = known ?? referenceTo(port, symbol, partition);
      kernel.i32.set(reference, kernel.referencesI32 + position * REFERENCE_WORDS);
      if (reference[0]! < 0) areAllKnown = false;
      else if (known === undefined) references.set(symbol, reference);
    }
    kernel.exports.setReferenceCount(header.symbols.length);
    if (areAllKnown) {
      table = message.slice(0, header.recordsOffset);
      tablePartition = partition;
      tableRecordsOffset = header.recordsOffset;
    }
    return header.recordsOffset;
  };

  return (progress, room) => {
    const { batch } = progress;
    while (progress.consumed < batch.count) {
      const message = batch.view(progress.consumed);
      const recordsOffset = message.length <= MESSAGE_BYTES_MAX ? prepare(message, batch.partition) : 0;
      const count = recordsOffset === 0 ? 0 : (message.length - recordsOffset) / PACKED_RECORD_BYTES;
      if (progress.staged + count > room) return;
      if (recordsOffset === 0) {
        port.router.refuse(REFUSAL.malformed, 1);
        batch.onRejected(progress.consumed, -1, REFUSAL.malformed);
      } else {
        const isInPlace = batch.entriesAt !== 0;
        if (!isInPlace) kernel.u8.set(message, kernel.messagesU8);
        stagePacked(port, progress, (isInPlace ? message.byteOffset : kernel.messagesU8) + recordsOffset, count);
      }
      progress.consumed += 1;
    }
  };
}

/** Same version, symbols and padding as `table`, and a length that fits the message's own count of records. */
function hasTable(message: Uint8Array, table: Uint8Array): boolean {
  if (message.length < table.length || table.length === 0) return false;
  const recordCount = message[8]! | (message[9]! << 8);
  if (recordCount === 0 || recordCount > STAGING_CAPACITY / 2) return false;
  if (message.length !== table.length + recordCount * PACKED_RECORD_BYTES) return false;
  return isEqual(message, table, 0, 8) && isEqual(message, table, 10, table.length) && table.length > PACKED_HEADER_BYTES;
}

function isEqual(a: Uint8Array, b: Uint8Array, from: number, to: number): boolean {
  return Buffer.compare(a.subarray(from, to), b.subarray(from, to)) === 0;
}

/** Registers a symbol of a packed message. Returns the kernel's reference to it: index or minus the refusal code, kind, multiplier and divisor of lots. */
function referenceTo({ registry }: MessagePort, symbol: PackedSymbol, partition: number): Int32Array {
  const index = registry.register({ ...symbol, partition });
  const lotDecimals = index < 0 ? symbol.lotDecimals : registry.decimalsOf(index).lotDecimals;
  const reference = new Int32Array(REFERENCE_WORDS);
  reference[0] = index;
  reference[1] = symbol.kind === 'quote' ? TICK_KIND.quote : TICK_KIND.trade;
  const factors = new BigInt64Array(reference.buffer);
  factors[1] = 10n ** BigInt(Math.max(0, lotDecimals - symbol.lotDecimals));
  factors[2] = 10n ** BigInt(Math.max(0, symbol.lotDecimals - lotDecimals));
  return reference;
}

/** Stages packed records at an address of the kernel's memory; those that cannot be expanded are refused at once. */
function stagePacked(port: MessagePort, progress: Progress, recordsAt: number, count: number): void {
  const { kernel } = port;
  const first = progress.staged;
  const expanded = kernel.exports.expandAt(recordsAt, count, first);
  if (expanded === count) {
    for (let record = 0; record < count; record += 1) noteStaged(progress, progress.consumed, record);
    return;
  }
  for (let record = 0; record < count; record += 1) {
    const from = kernel.stagingI32 + (first + record) * TICK_WORDS;
    const kind = kernel.i32[from]!;
    if (kind < 0) {
      port.router.refuse(-kind, 1);
      progress.batch.onRejected(progress.consumed, record, -kind);
      continue;
    }
    kernel.i32.copyWithin(kernel.stagingI32 + progress.staged * TICK_WORDS, from, from + TICK_WORDS);
    noteStaged(progress, progress.consumed, record);
  }
}
