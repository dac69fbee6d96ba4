/** Runs the bar kernel over a whole stream that lies in its tick ring, as often as wanted. */
import { SYSTEM_CLOCK } from '../engine/core/clock.ts';
import { createBarKernel } from '../engine/kernel/bars.ts';
import { createMemory } from '../engine/kernel/host.ts';
import { formatRegion, headerWord, mapRegion, outRingOf, type RegionShape, slotCountFor } from '../engine/memory/region.ts';
import * as L from '../schemas/layout.gen.ts';
import { type BarStream, LATENESS_MS, TIMEFRAME_SECONDS } from './bar-stream.ts';

export const OUT_CAPACITY = 65536;
const RECORDS_PER_POLL = 4096;

export const SLOT_COUNT = slotCountFor(LATENESS_MS * 1e6);

export interface BarRunner {
  /** Runs the stream from the start; returns ticks/s without the registration of symbols. */
  run(): number;
  /** Bars that came out in the last run. */
  readonly bars: number;
  /** Sum of prices, counts, lots and notionals of the last bars that came out, added up in the same order by every contender. */
  readonly checksum: number;
}

export function createBarKernelRunner(stream: BarStream): BarRunner {
  let tickCapacity = 1024;
  while (tickCapacity < stream.records) tickCapacity *= 2;
  const shape: RegionShape = {
    shardIndex: 0,
    tickCapacity,
    outCapacity: OUT_CAPACITY,
    symbolCapacity: stream.symbols,
    partitionCapacity: 1,
    latenessNs: LATENESS_MS * 1e6,
    amendNs: 0n,
    latePolicy: 'amend',
    timeframeSeconds: TIMEFRAME_SECONDS,
  };
  const memory = createMemory(mapRegion(shape).sizeBytes);
  formatRegion(memory, shape);
  const tickRing = headerWord(memory, L.SHARD_TICK_RING_I32);
  new Uint8Array(memory.buffer).set(stream.bytes, tickRing + L.RING_SIZE);
  const words = new Int32Array(memory.buffer);
  const headWord = (tickRing + L.RING_HEAD) >> 2;
  const tailWord = (tickRing + L.RING_TAIL) >> 2;
  const kernel = createBarKernel(memory);
  const outRing = outRingOf(memory);
  let bars = 0;

  const pollUntil = (end: number): void => {
    words[headWord] = end;
    while (words[tailWord]! < end || kernel.pollState() === 'blocked') {
      kernel.poll(RECORDS_PER_POLL);
      const count = outRing.depth();
      outRing.release(count);
      bars += count;
    }
  };

  return {
    run() {
      kernel.init();
      words[tailWord] = 0;
      pollUntil(stream.symbolRecords);
      bars = 0;
      const fromUs = SYSTEM_CLOCK.monotonicUs();
      pollUntil(stream.records);
      return ((stream.records - stream.symbolRecords) * 1e6) / (SYSTEM_CLOCK.monotonicUs() - fromUs);
    },
    get bars() {
      return bars;
    },
    get checksum() {
      return sumOfLast(memory, Math.min(bars, OUT_CAPACITY));
    },
  };
}

function sumOfLast(memory: WebAssembly.Memory, count: number): number {
  const outRing = headerWord(memory, L.SHARD_OUT_RING_I32);
  const head = new Int32Array(memory.buffer)[(outRing + L.RING_HEAD) >> 2]!;
  const view = new DataView(memory.buffer, outRing + L.RING_SIZE);
  let sum = 0;
  for (let position = head - count; position < head; position += 1) {
    const at = (position & (OUT_CAPACITY - 1)) * L.BAR_SIZE;
    const [open, high, low, close] = [L.BAR_OPEN, L.BAR_HIGH, L.BAR_LOW, L.BAR_CLOSE].map((field) => view.getFloat64(at + field, true));
    const trades = view.getInt32(at + L.BAR_TRADE_COUNT, true);
    const lots = Number(view.getBigInt64(at + L.BAR_VOLUME_LOTS, true));
    sum += open! + high! + low! + close! + trades + lots + Number(view.getBigInt64(at + L.BAR_NOTIONAL_LO, true));
  }
  return sum;
}
