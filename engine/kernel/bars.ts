/** The bar kernel over a shard's region. Main prepares and restores the region through one instance; the shard worker polls through another. */
import * as L from '../../schemas/layout.gen.ts';
import { assert, EngineError } from '../core/errors.ts';
import { headerWord, SHARD_HEADER_ADDRESS } from '../memory/region.ts';
import { loadKernel } from './host.ts';

/** After a poll: `idle` had nothing left, `more` stopped at its limit, `blocked` found the out ring full. */
export type PollState = 'idle' | 'more' | 'blocked';

export interface ShardSymbol {
  /** Index within the shard: the next one. */
  readonly localIndex: number;
  readonly symbolIndex: number;
  readonly partition: number;
  /** 10^priceDecimals. */
  readonly priceScale: number;
  readonly isQuote: boolean;
}

export interface BarKernel {
  /** Prepares a formatted region; once, before anything else. */
  init(): void;
  registerSymbol(symbol: ShardSymbol): void;
  /**
   * Sets where a partition stood, in whole seconds (ns), before or after its open bars are restored.
   * @throws EngineError WATERMARK_REFUSED when a restored bar cannot be open there
   */
  setWatermark(partition: number, watermarkNs: bigint): void;
  /**
   * Puts back one open bar: 128 bytes as they came out.
   * @throws EngineError OPEN_BAR_REFUSED when it cannot be open here: unknown symbol or timeframe, closed by the watermark, too far ahead, or already there
   */
  restoreBar(localIndex: number, bytes: Uint8Array): void;
  /** Reads at most `maxRecords` of the tick ring; returns how many were done with. */
  poll(maxRecords: number): number;
  pollState(): PollState;
}

interface BarExports {
  [name: string]: (...args: never[]) => unknown;
  init(header: number): void;
  poll(header: number, maxRecords: number): number;
  registerSymbol(header: number, record: number): void;
  restoreBar(header: number, localIndex: number, record: number): number;
  setWatermark(header: number, partition: number, watermarkNs: bigint): number;
}

const STATES = ['idle', 'more', 'blocked'] as const;

/** @throws EngineError KERNEL_MISSING, KERNEL_LAYOUT */
export function createBarKernel(memory: WebAssembly.Memory): BarKernel {
  const outCapacity = headerWord(memory, (headerWord(memory, L.SHARD_OUT_RING_I32) + L.RING_CAPACITY - SHARD_HEADER_ADDRESS) >> 2);
  const timeframeCount = headerWord(memory, L.SHARD_TIMEFRAME_COUNT_I32);
  assert(outCapacity >= timeframeCount, `an out ring of ${outCapacity} records holds the ${timeframeCount} amendments of one late tick`);
  const slotCount = headerWord(memory, L.SHARD_SLOT_COUNT_I32);
  const kernel = loadKernel<BarExports>('bars', memory);
  const header = SHARD_HEADER_ADDRESS;
  // The first record of the accumulators' row 0 is free for a record in hand.
  const scratch = headerWord(memory, L.SHARD_ACCUMULATORS_I32);
  const bytesOf = new Uint8Array(memory.buffer);
  const words = new Int32Array(memory.buffer);
  const doubles = new Float64Array(memory.buffer);
  const stateWord = (header >> 2) + L.SHARD_POLL_STATE_I32;
  return {
    init: () => kernel.init(header),
    registerSymbol(symbol) {
      words[(scratch >> 2) + L.TICK_KIND_I32] = L.TICK_KIND_SYMBOL;
      words[(scratch >> 2) + L.TICK_SYMBOL_INDEX_I32] = symbol.localIndex;
      words[(scratch >> 2) + L.TICK_TRADE_COUNT_I32] = symbol.partition;
      words[(scratch >> 2) + L.TICK_INGEST_US_I32] = symbol.symbolIndex | (symbol.isQuote ? 1 << 31 : 0);
      doubles[(scratch >> 3) + L.TICK_PRICE_F64] = symbol.priceScale;
      kernel.registerSymbol(header, scratch);
    },
    setWatermark(partition, watermarkNs) {
      if (kernel.setWatermark(header, partition, watermarkNs) === 1) return;
      throw new EngineError(
        'WATERMARK_REFUSED',
        `watermark ${watermarkNs} ns of partition ${partition}: a restored bar is closed there, or ${slotCount} s or more ahead; LATENESS_MS must not shrink while bars are open`,
      );
    },
    restoreBar(localIndex, bytes) {
      assert(bytes.length === L.BAR_SIZE, `an open bar of ${bytes.length} B has ${L.BAR_SIZE} B`);
      bytesOf.set(bytes, scratch);
      if (kernel.restoreBar(header, localIndex, scratch) === 1) return;
      const record = new DataView(bytes.buffer, bytes.byteOffset);
      const timeframe = record.getInt32(L.BAR_TIMEFRAME_INDEX, true);
      const startNs = record.getBigInt64(L.BAR_TS_START_NS, true);
      throw new EngineError(
        'OPEN_BAR_REFUSED',
        `open bar of symbol ${localIndex}, timeframe ${timeframe}, start ${startNs} ns: unknown symbol or timeframe, ` +
          `closed at its partition's watermark, ${slotCount} s or more ahead of it, or restored twice`,
      );
    },
    poll: (maxRecords) => kernel.poll(header, maxRecords),
    pollState: () => STATES[words[stateWord]!] ?? 'idle',
  };
}
