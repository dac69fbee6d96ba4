/**
 * Record sets of Fetch answers to runs of records. The bytes go into the kernel's memory once, and records are listed where they lie:
 *
 *   chunks of an answer ─▶ set area ─▶ kernel: batches, checksum ─▶ entries of up to 1024 records ─▶ whoever takes the run
 *                              └─ compressed ─▶ expanded area ─┘
 *
 * Control batches and aborted transactions are passed over. Whatever cannot be read ends the set with a trouble that has coordinates;
 * what came before it has been handed out.
 */
import { EngineError, messageOf } from '../core/errors.ts';
import type { LibraryCodecs } from './codecs.ts';
import { BATCH, ENTRY, type FetchKernel, RUN_RECORDS_MAX, SET_BYTES_MAX } from './fetch-kernel.ts';

export interface AbortedTransaction {
  readonly producerId: bigint;
  readonly firstOffset: bigint;
}

/** What an answer holds of one partition. */
export interface RecordSet {
  /** The records in order, cut into chunks anywhere. */
  readonly chunks: readonly Uint8Array[];
  /** Records before this offset were not asked for: a batch begins where it begins. */
  readonly fromOffset: number;
  /** Transactions to be left out. */
  readonly aborted: readonly AbortedTransaction[];
}

/** What ends a set before its end. */
export interface BatchTrouble {
  readonly code: 'KAFKA_BATCH_CHECKSUM' | 'KAFKA_BATCH_FORMAT' | 'KAFKA_BATCH_DAMAGED' | 'KAFKA_BATCH_CODEC' | 'KAFKA_BATCH_SIZE';
  /** Offset of the batch, or the next one wanted where that cannot be read. */
  readonly offset: number;
  readonly text: string;
}

export interface RecordDecoder {
  /** Begins with a set; what was left of the one before is forgotten. @throws EngineError KAFKA_BATCH_SIZE */
  load(set: RecordSet): void;
  /** Lists the next run of at most `capacity` records; returns how many. 0: nothing is left, or there is trouble. */
  next(capacity?: number): number;
  /** Offset behind everything listed and passed over. */
  readonly nextOffset: number;
  /** Bytes behind the last whole batch: the answer was cut there. */
  readonly cutBytes: number;
  readonly trouble: BatchTrouble | undefined;
  /** Batches of the set that were opened, and records that were listed. */
  readonly batches: number;
  readonly records: number;
  /** Word of the first entry of the run, in views of the memory as large as it is now. */
  readonly entriesI32: number;
  readonly kernel: FetchKernel;
}

export interface DecoderOptions {
  readonly kernel: FetchKernel;
  readonly codecs: LibraryCodecs;
  /** Whether checksums are checked. */
  readonly isChecked: boolean;
}

/** Byte of a control record's key at which its type stands, u16. */
const CONTROL_TYPE_OFFSET = 2;
const CONTROL_ABORT = 0;

const TROUBLE_OF: Readonly<Record<number, readonly [BatchTrouble['code'], string]>> = {
  [BATCH.length]: ['KAFKA_BATCH_DAMAGED', 'a length less than that of a header'],
  [BATCH.format]: ['KAFKA_BATCH_FORMAT', 'an older format than 2'],
  [BATCH.checksum]: ['KAFKA_BATCH_CHECKSUM', 'another checksum than the bytes have'],
  [BATCH.values]: ['KAFKA_BATCH_DAMAGED', 'values of the header out of range'],
};

export function createRecordDecoder(options: DecoderOptions): RecordDecoder {
  const { kernel, isChecked } = options;
  const { exports } = kernel;
  let at = 0;
  let end = 0;
  let nextOffset = 0;
  let cutBytes = 0;
  let batches = 0;
  let records = 0;
  let trouble: BatchTrouble | undefined;
  let transactions = createTransactionFilter([]);

  const fail = (code: BatchTrouble['code'], offset: number, text: string): void => {
    trouble ??= { code, offset, text };
    at = end;
  };
  const leaveBatch = (): void => {
    at = exports.batchEndAt();
    nextOffset = Math.max(nextOffset, exports.batchLastOffset() + 1);
  };
  /** Opens the batch at `at`; returns false when no records of it are to be listed. */
  const open = (): boolean => {
    const kind = exports.openBatch(at, end, isChecked ? 1 : 0);
    if (kind === BATCH.cut) {
      cutBytes = end - at;
      at = end;
      return false;
    }
    if (kind >= BATCH.damaged) {
      const [code, text] = TROUBLE_OF[kind] ?? (['KAFKA_BATCH_DAMAGED', `kind ${kind}`] as const);
      fail(code, nextOffset, text);
      return false;
    }
    batches += 1;
    const isAborted = transactions.isAborted(exports);
    if (kind === BATCH.control) transactions.control(controlType(kernel), exports.batchProducer());
    const isOut = isAborted || kind === BATCH.control || kind === BATCH.empty || exports.batchLastOffset() < nextOffset;
    if (!isOut) return kind === BATCH.plain || expandBatch();
    leaveBatch();
    return false;
  };
  const expandBatch = (): boolean => {
    try {
      expandOpenBatch(options);
      return true;
    } catch (error) {
      if (!(error instanceof EngineError)) throw error;
      // A cast: only these two are thrown there.
      fail(error.code as 'KAFKA_BATCH_CODEC' | 'KAFKA_BATCH_SIZE', exports.batchFirstOffset(), messageOf(error));
      return false;
    }
  };
  /** Lists records of the open batch behind `count` listed ones; returns how many there are then. */
  const list = (count: number, capacity: number): number => {
    const listed = exports.listRecords(kernel.entriesAt + count * ENTRY.words * 4, capacity - count, nextOffset);
    records += listed;
    if (listed > 0) nextOffset = offsetOf(kernel, count + listed - 1) + 1;
    if (exports.isBatchBroken())
      fail('KAFKA_BATCH_DAMAGED', exports.batchFirstOffset(), `a record behind offset ${nextOffset - 1} is damaged`);
    else if (exports.recordsLeftInBatch() === 0) leaveBatch();
    return count + listed;
  };
  let isOpen = false;

  return {
    kernel,
    load(set) {
      const length = set.chunks.reduce((sum, chunk) => sum + chunk.length, 0);
      at = putChunks(kernel, set.chunks, length);
      end = at + length;
      nextOffset = set.fromOffset;
      cutBytes = 0;
      batches = 0;
      records = 0;
      trouble = undefined;
      isOpen = false;
      transactions = createTransactionFilter(set.aborted);
    },
    next(capacity = RUN_RECORDS_MAX) {
      let count = 0;
      while (count < capacity && at < end) {
        if (!isOpen) {
          // What is listed of a compressed batch lies where the next one would be expanded to.
          if (count > 0 && isCompressed(kernel, at, end)) break;
          isOpen = open();
        }
        if (!isOpen) continue;
        count = list(count, capacity);
        isOpen = at < end && exports.recordsLeftInBatch() > 0;
      }
      return count;
    },
    get nextOffset() {
      return nextOffset;
    },
    get cutBytes() {
      return cutBytes;
    },
    get trouble() {
      return trouble;
    },
    get batches() {
      return batches;
    },
    get records() {
      return records;
    },
    get entriesI32() {
      return kernel.entriesAt >> 2;
    },
  };
}

/** Offset of a listed record. */
export function offsetOf({ views, entriesAt }: FetchKernel, index: number): number {
  return views.f64[(entriesAt >> 3) + index * (ENTRY.words >> 1) + ENTRY.offsetF64]!;
}

/** Byte of a batch at which its attributes stand, the second of two, with the codec in its lowest bits. */
const ATTRIBUTES_OFFSET = 22;

function isCompressed({ views }: FetchKernel, at: number, end: number): boolean {
  return at + ATTRIBUTES_OFFSET < end && (views.u8[at + ATTRIBUTES_OFFSET]! & 7) !== 0;
}

/**
 * Copies the chunks to the set area and returns where they begin. Copies into shared memory are quick only when both ends have the same place
 * in their words, and the chunks of a socket follow each other in that.
 */
function putChunks(kernel: FetchKernel, chunks: readonly Uint8Array[], length: number): number {
  kernel.set.ensure(length + 8);
  const first = kernel.set.at + ((chunks[0]?.byteOffset ?? 0) & 7);
  const { u8 } = kernel.views;
  let at = first;
  for (const chunk of chunks) {
    u8.set(chunk, at);
    at += chunk.length;
  }
  return first;
}

/** Expands the open batch and begins to list its records. @throws EngineError KAFKA_BATCH_CODEC, KAFKA_BATCH_SIZE */
function expandOpenBatch({ kernel, codecs }: DecoderOptions): void {
  const { exports, expanded } = kernel;
  const codec = exports.batchCodec();
  const from = exports.batchBodyAt();
  const length = exports.batchBodyBytes();
  const library = codecs.get(codec);
  if (library) {
    const bytes = library(kernel.views.u8.slice(from, from + length), SET_BYTES_MAX);
    expanded.ensure(bytes.length);
    kernel.views.u8.set(bytes, expanded.at);
    exports.openRecords(expanded.at, bytes.length);
    return;
  }
  const size = exports.expandedSize(codec, from, length);
  if (size >= 0) expanded.ensure(size);
  const written = size < 0 ? -1 : exports.expand(codec, from, length, expanded.at, size);
  if (written < 0) throw new EngineError('KAFKA_BATCH_CODEC', `${length} bytes of codec ${codec} are damaged`);
  exports.openRecords(expanded.at, written);
}

/** The type of an open control batch, -1 when it has none. */
function controlType(kernel: FetchKernel): number {
  const { exports, entriesAt } = kernel;
  exports.openRecords(exports.batchBodyAt(), exports.batchBodyBytes());
  const listed = exports.listRecords(entriesAt + (RUN_RECORDS_MAX - 1) * ENTRY.words * 4, 1, 0);
  if (listed === 0) return -1;
  const { i32, u8 } = kernel.views;
  const entry = (entriesAt >> 2) + (RUN_RECORDS_MAX - 1) * ENTRY.words;
  const keyAt = i32[entry + ENTRY.keyAt]!;
  if (i32[entry + ENTRY.keyLength]! < CONTROL_TYPE_OFFSET + 2) return -1;
  return u8[keyAt + CONTROL_TYPE_OFFSET]! * 256 + u8[keyAt + CONTROL_TYPE_OFFSET + 1]!;
}

interface TransactionFilter {
  /** Whether the open batch is of a transaction that was aborted. Asked of every batch, in order. */
  isAborted(exports: FetchExports): boolean;
  /** Takes note of a marker, after it was asked for. */
  control(type: number, producerId: bigint): void;
}

type FetchExports = FetchKernel['exports'];

/** A producer's batches are left out from the first offset of an aborted transaction on until the marker that ends it. */
function createTransactionFilter(aborted: readonly AbortedTransaction[]): TransactionFilter {
  const waiting = [...aborted].sort((left, right) => Number(left.firstOffset - right.firstOffset));
  const producers = new Set<bigint>();
  return {
    control(type, producerId) {
      if (type === CONTROL_ABORT) producers.delete(producerId);
    },
    isAborted(exports) {
      const lastOffset = exports.batchLastOffset();
      for (let first = waiting[0]; first && Number(first.firstOffset) <= lastOffset; first = waiting[0]) {
        producers.add(first.producerId);
        waiting.shift();
      }
      return exports.batchIsTransactional() !== 0 && producers.has(exports.batchProducer());
    },
  };
}
