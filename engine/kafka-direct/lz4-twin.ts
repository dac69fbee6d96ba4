/** LZ4 frames in readable TypeScript: what kernels/lib/lz4.ts does. */

const MAGIC = 0x184d2204;
const STORED = 0x80000000;

/** What the bytes hold; undefined when they are damaged. */
export function expandLz4(bytes: Buffer): Buffer | undefined {
  if (bytes.length < 7 || bytes.readUInt32LE(0) !== MAGIC) return undefined;
  const flags = bytes[4]!;
  const sizeCode = bytes[5]! >> 4;
  const isOurs = flags >> 6 === 1 && (flags & 3) === 0 && sizeCode >= 4 && sizeCode <= 7 && (bytes[5]! & 15) === 0;
  if (!isOurs) return undefined;
  const blockMax = 2 ** (8 + 2 * sizeCode);
  const blockTail = flags & 16 ? 4 : 0;
  const frameTail = flags & 4 ? 4 : 0;
  const out: number[] = [];
  let at = flags & 8 ? 15 : 7;
  while (at + 4 <= bytes.length) {
    const word = bytes.readUInt32LE(at);
    at += 4;
    if (word === 0) return bytes.length - at === frameTail ? Buffer.from(out) : undefined;
    const end = at + (word % STORED);
    if (end + blockTail > bytes.length) return undefined;
    const before = out.length;
    const block = bytes.subarray(at, end);
    if (word >= STORED) for (const byte of block) out.push(byte);
    else if (!expandBlock(block, out, before + blockMax)) return undefined;
    if (out.length - before > blockMax) return undefined;
    at = end + blockTail;
  }
  return undefined;
}

/** Appends what the block holds to `out`, up to `limit` bytes of it; returns whether the block is whole. */
function expandBlock(block: Buffer, out: number[], limit: number): boolean {
  let at = 0;
  /** A length begun by half a token and continued by bytes for as long as they are 255; -1 when it is cut off. */
  const lengthFrom = (half: number): number => {
    let length = half;
    for (let more = half === 15 ? 255 : 0; more === 255; ) {
      const byte = block[at];
      if (byte === undefined) return -1;
      more = byte;
      at += 1;
      length += more;
    }
    return length;
  };
  while (at < block.length) {
    const token = block[at]!;
    at += 1;
    const literals = lengthFrom(token >> 4);
    if (literals < 0 || at + literals > block.length || out.length + literals > limit) return false;
    for (const byte of block.subarray(at, at + literals)) out.push(byte);
    at += literals;
    if (at === block.length) return true;
    if (at + 2 > block.length) return false;
    const offset = block.readUInt16LE(at);
    at += 2;
    const length = lengthFrom(token & 15) + 4;
    if (length < 4 || offset === 0 || offset > out.length || out.length + length > limit) return false;
    for (let count = 0; count < length; count += 1) out.push(out[out.length - offset]!);
  }
  return false;
}
