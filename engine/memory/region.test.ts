import fc from 'fast-check';
import { expect, it } from 'vitest';
import * as L from '../../schemas/layout.gen.ts';
import {
  formatRegion,
  headerWord,
  mapRegion,
  outRingOf,
  type RegionShape,
  SHARD_HEADER_ADDRESS,
  slotCountFor,
  tickRingOf,
  timeframeParents,
} from './region.ts';

/** fast-check prints the seed of a failure; SEED replays it. */
const SEEDED = process.env['SEED'] === undefined ? {} : { seed: Number(process.env['SEED']) };

/** The least memory of whole pages that holds `bytes`. */
function createMemory(bytes: number): WebAssembly.Memory {
  return new WebAssembly.Memory({ initial: Math.ceil(bytes / 65536), maximum: 65536, shared: true });
}

const SHAPE: RegionShape = {
  shardIndex: 3,
  tickCapacity: 1024,
  outCapacity: 2048,
  symbolCapacity: 100,
  partitionCapacity: 6,
  latenessNs: 100e6,
  amendNs: 3600n * 1_000_000_000n,
  latePolicy: 'side',
  timeframeSeconds: [1, 60, 180, 300, 900],
};

const shape: fc.Arbitrary<RegionShape> = fc.record({
  shardIndex: fc.nat(63),
  tickCapacity: fc.integer({ min: 10, max: 14 }).map((power) => 2 ** power),
  outCapacity: fc.integer({ min: 10, max: 14 }).map((power) => 2 ** power),
  symbolCapacity: fc.integer({ min: 1, max: 3000 }),
  partitionCapacity: fc.integer({ min: 1, max: 100 }),
  latenessNs: fc.integer({ min: 0, max: 20_000 }).map((ms) => ms * 1e6),
  amendNs: fc.constant(0n),
  latePolicy: fc.constantFrom('amend', 'side'),
  timeframeSeconds: fc.constantFrom([1], [1, 60], [1, 60, 180, 300, 900, 3600, 86400]),
});

it('gives every area a place of its own, aligned to two cache lines', () => {
  fc.assert(
    fc.property(shape, (one) => {
      const map = mapRegion(one);
      const bars = one.symbolCapacity * L.BAR_SIZE;
      const areas = [
        [SHARD_HEADER_ADDRESS, L.SHARD_SIZE],
        [map.tickRing, L.RING_SIZE + one.tickCapacity * L.TICK_SIZE],
        [map.outRing, L.RING_SIZE + one.outCapacity * L.BAR_SIZE],
        [map.symbolMeta, one.symbolCapacity * L.SYMBOL_META_SIZE],
        [map.partitions, one.partitionCapacity * L.PARTITION_SIZE],
        [map.slots, map.slotCount * bars],
        [map.accumulators, one.timeframeSeconds.length * bars],
        [map.stamps, 512 * 8],
      ] as const;
      let end = 0;
      for (const [address, bytes] of areas) {
        expect(address % 128).toBe(0);
        expect(address).toBeGreaterThanOrEqual(end);
        end = address + bytes;
      }
      expect(map.sizeBytes).toBeGreaterThanOrEqual(end);
    }),
    SEEDED,
  );
});

it('writes a header that leads to rings of the shape asked for', () => {
  const memory = createMemory(mapRegion(SHAPE).sizeBytes);
  formatRegion(memory, SHAPE);
  expect(headerWord(memory, L.SHARD_LAYOUT_HASH_I32)).toBe(L.LAYOUT_HASH);
  expect(headerWord(memory, L.SHARD_SHARD_INDEX_I32)).toBe(3);
  expect(headerWord(memory, L.SHARD_LATE_POLICY_I32)).toBe(1);
  expect(headerWord(memory, L.SHARD_SWEEP_PARTITION_I32)).toBe(-1);
  expect(headerWord(memory, L.SHARD_TIMEFRAME_COUNT_I32)).toBe(5);
  const read = (index: number) => [0, 1, 2, 3, 4].map((offset) => headerWord(memory, index + offset));
  expect(read(L.SHARD_TIMEFRAME_SECONDS_I32)).toEqual([1, 60, 180, 300, 900]);
  expect(read(L.SHARD_TIMEFRAME_PARENT_I32)).toEqual([-1, 0, 1, 1, 3]);
  expect(new BigInt64Array(memory.buffer)[(SHARD_HEADER_ADDRESS + L.SHARD_AMEND_NS) >> 3]).toBe(SHAPE.amendNs);
  const [ticks, out] = [tickRingOf(memory), outRingOf(memory)];
  expect([ticks.capacity, ticks.slotBytes, out.capacity, out.slotBytes]).toEqual([1024, 64, 2048, 128]);
  expect([ticks.depth(), ticks.free(), out.depth(), out.free()]).toEqual([0, 1024, 0, 2048]);
});

it('refuses a memory that is too small', () => {
  const large = { ...SHAPE, symbolCapacity: 3000 };
  expect(() => formatRegion(createMemory(65536), large)).toThrow(/region of 65536 B holds \d+ B/);
});

it('keeps a power of two of open seconds, more than the lateness and the second in hand need', () => {
  fc.assert(
    fc.property(fc.integer({ min: 0, max: 600_000 }), (latenessMs) => {
      const count = slotCountFor(latenessMs * 1e6);
      expect(Number.isInteger(Math.log2(count))).toBe(true);
      expect(count).toBeGreaterThan(latenessMs / 1000 + 2);
    }),
    SEEDED,
  );
});

it('builds each timeframe from the longest earlier one that divides it', () => {
  expect(timeframeParents([1])).toEqual([-1]);
  expect(timeframeParents([1, 60, 180, 300, 900, 3600, 86400])).toEqual([-1, 0, 1, 1, 3, 4, 5]);
  expect(timeframeParents([1, 7, 60])).toEqual([-1, 0, 0]);
});
