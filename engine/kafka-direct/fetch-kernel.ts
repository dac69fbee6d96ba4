/** The fetch kernel and its places in a memory: tables, entries of listed records, the bytes of a record set, and what batches expand to. */
import { EngineError } from '../core/errors.ts';
import { createMemory, loadKernel } from '../kernel/host.ts';

/** What kernels/fetch.ts exports. */
export interface FetchExports extends WebAssembly.Exports {
  tableBytes(): number;
  place(tablesAt: number): void;
  openBatch(at: number, end: number, isChecked: number): number;
  openRecords(at: number, length: number): void;
  listRecords(entries: number, capacity: number, from: number): number;
  isBatchBroken(): number;
  recordsLeftInBatch(): number;
  batchFirstOffset(): number;
  batchLastOffset(): number;
  batchProducer(): bigint;
  batchIsTransactional(): number;
  batchCodec(): number;
  batchRecordCount(): number;
  batchEndAt(): number;
  batchBodyAt(): number;
  batchBodyBytes(): number;
  expandedSize(codec: number, from: number, length: number): number;
  expand(codec: number, from: number, length: number, to: number, capacity: number): number;
}

/** Answers of `openBatch`; from `damaged` on they say what is wrong. */
export const BATCH = {
  cut: 0,
  plain: 1,
  compressed: 2,
  control: 3,
  empty: 4,
  damaged: 16,
  length: 16,
  format: 17,
  checksum: 18,
  values: 19,
} as const;

/** An entry of a listed record, in words of 4 bytes, or of 8 where the name says F64. */
export const ENTRY = {
  words: 12,
  offsetF64: 0,
  timeMsF64: 1,
  valueAt: 4,
  valueLength: 5,
  keyAt: 6,
  keyLength: 7,
  headersAt: 8,
  headersBytes: 9,
  headerCount: 10,
  isPacked: 11,
} as const;

/** Records of a run at most: what a port takes at once. */
export const RUN_RECORDS_MAX = 1024;
/** Bytes of one record set, and of one batch expanded, at most. */
export const SET_BYTES_MAX = 1 << 27;

/** Kernels read in words, up to this far past a value. */
const SLACK_BYTES = 64;
const PAGE_BYTES = 65_536;
const FIRST_AREA_BYTES = 1 << 20;

/** A piece of memory that moves to a larger place when more is needed; what it held is forgotten then. */
export interface Area {
  readonly at: number;
  /** Makes sure of so many bytes. @throws EngineError KAFKA_BATCH_SIZE when they are more than SET_BYTES_MAX */
  ensure(bytes: number): void;
}

export interface FetchKernel {
  readonly exports: FetchExports;
  readonly entriesAt: number;
  readonly set: Area;
  readonly expanded: Area;
  /** Views of the memory as large as it is now. */
  readonly views: MemoryViews;
}

export interface MemoryViews {
  readonly u8: Uint8Array;
  readonly i32: Int32Array;
  readonly f64: Float64Array;
}

/**
 * The kernel over `memory`, at whose end it takes its places, or over one of its own.
 * @throws EngineError KERNEL_MISSING, KERNEL_LAYOUT
 */
export function createFetchKernel(memory: WebAssembly.Memory = createMemory(PAGE_BYTES)): FetchKernel {
  const exports = loadKernel<FetchExports>('fetch', memory);
  const tablesAt = extend(memory, exports.tableBytes() + RUN_RECORDS_MAX * ENTRY.words * 4);
  exports.place(tablesAt);
  let views = viewsOf(memory);
  return {
    exports,
    entriesAt: tablesAt + exports.tableBytes(),
    set: createArea(memory),
    expanded: createArea(memory),
    get views() {
      if (views.u8.length !== memory.buffer.byteLength) views = viewsOf(memory);
      return views;
    },
  };
}

function createArea(memory: WebAssembly.Memory): Area {
  let at = 0;
  let capacity = 0;
  return {
    get at() {
      return at;
    },
    ensure(bytes) {
      if (bytes <= capacity) return;
      if (bytes > SET_BYTES_MAX) throw new EngineError('KAFKA_BATCH_SIZE', `${bytes} bytes of records at once: at most ${SET_BYTES_MAX}`);
      capacity = Math.max(FIRST_AREA_BYTES, 2 ** Math.ceil(Math.log2(bytes)));
      at = extend(memory, capacity + SLACK_BYTES);
    },
  };
}

/** Adds so many bytes to the memory's end; returns where they begin. */
function extend(memory: WebAssembly.Memory, bytes: number): number {
  return memory.grow(Math.ceil(bytes / PAGE_BYTES)) * PAGE_BYTES;
}

function viewsOf({ buffer }: WebAssembly.Memory): MemoryViews {
  return { u8: new Uint8Array(buffer), i32: new Int32Array(buffer), f64: new Float64Array(buffer) };
}
