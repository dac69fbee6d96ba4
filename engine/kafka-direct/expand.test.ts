/** Snappy and LZ4 of the fetch kernel against their twins, on streams that are right and damaged, in exactly the room that they ask for. */
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { compressLz4, compressSnappy } from '../../test/record-batches.ts';
import { createMemory } from '../kernel/host.ts';
import { CODEC } from './codecs.ts';
import { createFetchKernel } from './fetch-kernel.ts';
import { expandLz4 } from './lz4-twin.ts';
import { expandSnappy } from './snappy-twin.ts';

const seed = Number(process.env['SEED'] ?? Date.now() & 0x7fffffff);
const GUARD = 0x5a;
const GUARD_BYTES = 64;

const CODECS = [
  { name: 'snappy', codec: CODEC.snappy, compress: compressSnappy, twin: expandSnappy },
  { name: 'lz4', codec: CODEC.lz4, compress: compressLz4, twin: expandLz4 },
];

const words = fc.array(fc.constantFrom('tick', '{"symbol":"', '","ltp":', 'a', '0', 'aaaaaaaaaaaa', '12345.75', '\n'), { maxLength: 80 });
const content = fc.oneof(
  words.map((list) => Buffer.from(list.join(''))),
  fc.uint8Array({ maxLength: 200 }).map((bytes) => Buffer.from(bytes)),
  fc.integer({ min: 0, max: 70_000 }).map((length) => Buffer.alloc(length, 'abcdefg')),
);
const changes = fc.array(fc.record({ at: fc.nat(), by: fc.integer({ min: 1, max: 255 }) }), { maxLength: 3 });

describe.each(CODECS)('$name of the fetch kernel', ({ codec, compress, twin }) => {
  const kernel = createFetchKernel(createMemory(65_536));

  /** Expands between guards; undefined when the kernel says that the bytes are damaged. */
  const expand = (bytes: Buffer): Buffer | undefined => {
    kernel.set.ensure(bytes.length + 2 * GUARD_BYTES);
    const from = kernel.set.at + GUARD_BYTES;
    kernel.views.u8.fill(GUARD, from - GUARD_BYTES, from + bytes.length + GUARD_BYTES);
    kernel.views.u8.set(bytes, from);
    const size = kernel.exports.expandedSize(codec, from, bytes.length);
    if (size < 0) return undefined;
    kernel.expanded.ensure(size + 2 * GUARD_BYTES);
    const { u8 } = kernel.views;
    const to = kernel.expanded.at + GUARD_BYTES;
    u8.fill(GUARD, to - GUARD_BYTES, to + size + GUARD_BYTES);
    const written = kernel.exports.expand(codec, from, bytes.length, to, size);
    const guards = [
      [from - GUARD_BYTES, from],
      [from + bytes.length, from + bytes.length + GUARD_BYTES],
      [to - GUARD_BYTES, to],
      [to + size, to + size + GUARD_BYTES],
    ] as const;
    for (const [start, end] of guards) expect(u8.subarray(start, end).every((byte) => byte === GUARD)).toBe(true);
    return written < 0 ? undefined : Buffer.from(u8.slice(to, to + written));
  };

  it('gives back what was compressed', () => {
    fc.assert(
      fc.property(content, (bytes) => {
        expect(expand(compress(bytes))?.equals(bytes)).toBe(true);
      }),
      { seed, numRuns: 300 },
    );
  });

  it('refuses or expands damaged bytes as its twin does, and touches nothing beside them', () => {
    let refused = 0;
    let expandedCount = 0;
    fc.assert(
      fc.property(content, changes, fc.nat(3), (bytes, list, cut) => {
        const packed = compress(bytes);
        for (const { at, by } of list) packed[at % packed.length]! ^= by;
        const damaged = packed.subarray(0, packed.length - cut);
        const expected = twin(damaged);
        const given = expand(damaged);
        expect(given === undefined).toBe(expected === undefined);
        expect(given?.equals(expected ?? Buffer.alloc(0)) ?? true).toBe(true);
        if (expected) expandedCount += 1;
        else refused += 1;
      }),
      { seed, numRuns: 2000 },
    );
    expect(refused).toBeGreaterThan(100);
    expect(expandedCount).toBeGreaterThan(100);
  });
});
