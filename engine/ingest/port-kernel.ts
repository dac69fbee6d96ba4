/** The ingest kernel and its memory: staging, output of each shard, refusals, messages. Main thread only. */

import { TICK_SIZE } from '../../schemas/layout.gen.ts';
import { createMemory, loadKernel } from '../kernel/host.ts';

/** What kernels/ingest.ts exports. */
export interface IngestExports extends WebAssembly.Exports {
  plan(symbolCapacity: number, partitionCapacity: number, shardCount: number, stagingCapacity: number): number;
  planMessages(messageBytes: number, messageCapacity: number): number;
  format(symbolCapacity: number, partitionCapacity: number): void;
  configure(shardCount: number, stagingCapacity: number, latenessNs: bigint, amendNs: bigint): void;
  stagingAddress(): number;
  outputsAddress(): number;
  outputCountsAddress(): number;
  refusalsAddress(): number;
  nameAddress(): number;
  referencesAddress(): number;
  messagesAddress(): number;
  messageIndexAddress(): number;
  addSymbol(shard: number, localIndex: number, partition: number, kind: number): number;
  setPriceMax(index: number, priceMax: number): void;
  intern(index: number, length: number): void;
  setSessionDay(index: number, fromNs: bigint, toNs: bigint): void;
  setSessionHours(index: number, openNs: bigint, closeNs: bigint): void;
  setWatermark(partition: number, watermarkNs: bigint): void;
  setMaxEvent(partition: number, tsEventNs: bigint): void;
  watermark(partition: number): bigint;
  maxEvent(partition: number): bigint;
  beginBatch(partition: number, latestNs: bigint, ingestUs: number, isStamped: number): void;
  route(from: number, end: number): number;
  refusedCount(): number;
  acceptedTrades(): bigint;
  acceptedLots(): bigint;
  acceptedQuotes(): bigint;
  acceptedBars(): bigint;
  decodeJson(from: number, end: number, staged: number): number;
  setReferenceCount(count: number): void;
  decodeListed(entries: number, from: number, end: number, staged: number): number;
  expandAt(at: number, count: number, staged: number): number;
}

export interface KernelShape {
  readonly symbolCapacity: number;
  readonly partitionCapacity: number;
  readonly shardCount: number;
  readonly latenessNs: number;
  readonly amendNs: bigint;
}

/** The kernel with views of its memory. Indices are those of the typed array that the name says. */
export interface IngestKernel {
  readonly exports: IngestExports;
  readonly memory: WebAssembly.Memory;
  readonly i32: Int32Array;
  readonly i64: BigInt64Array;
  readonly f64: Float64Array;
  readonly u8: Uint8Array;
  readonly stagingI32: number;
  readonly outputsI32: number;
  readonly outputCountsI32: number;
  readonly refusalsI32: number;
  readonly nameU8: number;
  readonly referencesI32: number;
  readonly messagesU8: number;
  readonly messageIndexI32: number;
}

export const STAGING_CAPACITY = 1024;
export const MESSAGE_AREA_BYTES = 1 << 20;
export const TICK_WORDS = TICK_SIZE >> 2;
const PAGE_BYTES = 65536;

/** Creates the kernel's memory, of the size that the kernel asks for, and the kernel over it. */
export function createIngestKernel(shape: KernelShape): IngestKernel {
  const planner = loadKernel<IngestExports>('ingest', createMemory(PAGE_BYTES));
  const memory = createMemory(plan(planner, shape));
  const exports = loadKernel<IngestExports>('ingest', memory);
  plan(exports, shape);
  exports.format(shape.symbolCapacity, shape.partitionCapacity);
  exports.configure(shape.shardCount, STAGING_CAPACITY, BigInt(shape.latenessNs), shape.amendNs);
  return {
    exports,
    memory,
    i32: new Int32Array(memory.buffer),
    i64: new BigInt64Array(memory.buffer),
    f64: new Float64Array(memory.buffer),
    u8: new Uint8Array(memory.buffer),
    stagingI32: exports.stagingAddress() >> 2,
    outputsI32: exports.outputsAddress() >> 2,
    outputCountsI32: exports.outputCountsAddress() >> 2,
    refusalsI32: exports.refusalsAddress() >> 2,
    nameU8: exports.nameAddress(),
    referencesI32: exports.referencesAddress() >> 2,
    messagesU8: exports.messagesAddress(),
    messageIndexI32: exports.messageIndexAddress() >> 2,
  };
}

function plan(exports: IngestExports, shape: KernelShape): number {
  exports.plan(shape.symbolCapacity, shape.partitionCapacity, shape.shardCount, STAGING_CAPACITY);
  return exports.planMessages(MESSAGE_AREA_BYTES, STAGING_CAPACITY);
}
