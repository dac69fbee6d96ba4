/** CRC32C of the kernel against its twin, and both against values that are known. */
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { createPrng } from '../core/prng.ts';
import { createMemory, loadKernel } from '../kernel/host.ts';
import { crc32c } from './crc32c.ts';

const seed = Number(process.env['SEED'] ?? Date.now() & 0x7fffffff);

interface CrcExports extends WebAssembly.Exports {
  tableBytes(): number;
  place(tablesAt: number): void;
  crc32c(from: number, length: number): number;
}

const TABLES_AT = 1024;
/** From so many bytes on the kernel takes words out, runs of so many bytes at a time. */
const MANY = 5120;
const RUN_BYTES = 8192;
const LONGEST = 4 * RUN_BYTES;

/** From RFC 3720, B.4, and the check value of the catalogues. */
const KNOWN: readonly (readonly [Uint8Array, number])[] = [
  [new Uint8Array(), 0],
  [Buffer.from('123456789'), 0xe3069283],
  [new Uint8Array(32), 0x8a9136aa],
  [new Uint8Array(32).fill(255), 0x62a8ab43],
  [Uint8Array.from({ length: 32 }, (_, index) => index), 0x46dd794e],
  [Uint8Array.from({ length: 32 }, (_, index) => 31 - index), 0x113fdb5c],
];

describe('CRC32C', () => {
  const memory = createMemory(1 << 17);
  const kernel = loadKernel<CrcExports>('fetch', memory);
  const u8 = new Uint8Array(memory.buffer);
  kernel.place(TABLES_AT);
  const bytesAt = TABLES_AT + kernel.tableBytes();
  const inKernel = (bytes: Uint8Array, offset: number): number => {
    u8.fill(0xa5, bytesAt, bytesAt + offset + bytes.length + 16);
    u8.set(bytes, bytesAt + offset);
    return kernel.crc32c(bytesAt + offset, bytes.length) >>> 0;
  };

  it('has the values that are known', () => {
    for (const [bytes, expected] of KNOWN) {
      expect(crc32c(bytes)).toBe(expected);
      expect(inKernel(bytes, 0)).toBe(expected);
    }
  });

  it('is the same in the kernel and in its twin, whatever the bytes and wherever they lie', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 300 }), fc.integer({ min: 0, max: 8 }), (bytes, offset) => {
        expect(inKernel(bytes, offset)).toBe(crc32c(bytes));
      }),
      { seed, numRuns: 500 },
    );
  });

  it('is the same over many bytes, whose words the kernel takes out', () => {
    const random = createPrng(seed);
    const bytes = Uint8Array.from({ length: LONGEST }, () => random.nextBelow(256));
    const lengths = [MANY - 1, MANY, MANY + 1, MANY + 15, MANY + 16, LONGEST];
    for (let near = 3344; near < LONGEST; near += RUN_BYTES) lengths.push(near - 16, near - 1, near, near + 1, near + 16, near + 17);
    for (const length of lengths) expect(inKernel(bytes.subarray(0, length), length % 16)).toBe(crc32c(bytes.subarray(0, length)));
    fc.assert(
      fc.property(
        fc.integer({ min: 0, max: LONGEST }),
        fc.integer({ min: 0, max: LONGEST }),
        fc.integer({ min: 0, max: 16 }),
        (a, b, offset) => {
          const part = bytes.subarray(Math.min(a, b), Math.max(a, b));
          expect(inKernel(part, offset)).toBe(crc32c(part));
        },
      ),
      { seed, numRuns: 300 },
    );
  });
});
