/** LZ4 of the produce kernel against its twin, and both against the decoder's twin. */
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { createPrivateMemory, loadKernel } from '../kernel/host.ts';
import { expandLz4 } from './lz4-twin.ts';
import { compressLz4 } from './lz4-write-twin.ts';

const seed = Number(process.env['SEED'] ?? Math.floor(Math.random() * 2 ** 31));
const GUARD = 0x5a;
const TABLE_AT = 1024;

type Lz4Kernel = {
  readonly LZ4_TABLE_BYTES: { readonly value: number };
  readonly LZ4_SLACK_BYTES: { readonly value: number };
  placeLz4(table: number): void;
  writeLz4(from: number, length: number, to: number): number;
};

function setUp() {
  const memory = createPrivateMemory(2_000_000);
  const kernel = loadKernel<Lz4Kernel>('produce', memory);
  const tableEnd = TABLE_AT + kernel.LZ4_TABLE_BYTES.value;
  kernel.placeLz4(TABLE_AT);
  const bytes = Buffer.from(memory.buffer);
  /** Writes between guards, in exactly the room that is asked for; undefined when the frame is not shorter. */
  return (content: Buffer): Buffer | undefined => {
    const from = tableEnd + 64;
    bytes.fill(GUARD, tableEnd, from + 2 * content.length + kernel.LZ4_SLACK_BYTES.value + 128);
    content.copy(bytes, from);
    const to = from + content.length + 64;
    const length = kernel.writeLz4(from, content.length, to);
    const end = to + content.length + kernel.LZ4_SLACK_BYTES.value;
    expect(bytes.subarray(from, from + content.length).equals(content)).toBe(true);
    for (const guard of [bytes.subarray(tableEnd, from), bytes.subarray(to - 64, to), bytes.subarray(end, end + 64)]) {
      expect(guard.equals(Buffer.alloc(64, GUARD))).toBe(true);
    }
    return length === 0 ? undefined : Buffer.from(bytes.subarray(to, to + length));
  };
}

const words = fc.array(fc.constantFrom('{"symbol":"', '","o":', 'a', '0', 'aaaaaaaaaaaa', '12345.75', '\n'), { maxLength: 400 });
const anyBytes = fc.oneof(
  words.map((list) => Buffer.from(list.join(''))),
  fc.uint8Array({ maxLength: 300 }).map((list) => Buffer.from(list)),
  // Matches that end just where a block may have none any more.
  fc
    .record({ run: fc.integer({ min: 0, max: 40 }), tail: fc.integer({ min: 0, max: 14 }) })
    .map(({ run, tail }) => Buffer.concat([Buffer.alloc(run, 'x'), Buffer.from('0123456789abcd'.slice(0, tail))])),
);
/** Bytes of several blocks: what repeats, what does not, and both in turn. */
const large = fc
  .array(fc.record({ length: fc.integer({ min: 1, max: 70_000 }), period: fc.integer({ min: 1, max: 100_000 }) }), {
    minLength: 1,
    maxLength: 3,
  })
  .map((pieces) =>
    Buffer.concat(
      pieces.map(({ length, period }) => {
        const piece = Buffer.alloc(length);
        for (let at = 0, state = period; at < length; at += 1) {
          state = (Math.imul(state, 1103515245) + 12345) >>> 0;
          piece[at] = at < period ? state >>> 24 : piece[at - period]!;
        }
        return piece;
      }),
    ),
  );

describe('LZ4 of the produce kernel', () => {
  const compress = setUp();

  it('writes what its twin writes, within its room, and what the decoder reads back', () => {
    let frames = 0;
    const check = (content: Buffer): void => {
      const frame = compress(content);
      expect(frame).toEqual(compressLz4(content));
      if (!frame) return;
      frames += 1;
      expect(frame.length).toBeLessThan(content.length);
      expect(expandLz4(frame)?.equals(content)).toBe(true);
    };
    fc.assert(fc.property(anyBytes, check), { seed, numRuns: 1000 });
    fc.assert(fc.property(large, check), { seed, numRuns: 15 });
    expect(frames).toBeGreaterThan(50);
  });

  it('makes what repeats itself shorter, and leaves what does not as it is', () => {
    const bars = Buffer.from(Array.from({ length: 500 }, (_, index) => `{"symbol":"S${index % 7}","ts":${1_700_000_000 + index}}`).join());
    expect(compress(bars)?.length).toBeLessThan(bars.length / 3);
    for (const text of ['', 'abc', '0123456789abcdefghijklmnop']) expect(compress(Buffer.from(text))).toBeUndefined();
  });
});
