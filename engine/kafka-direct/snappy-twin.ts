/** Snappy in readable TypeScript: what kernels/lib/snappy.ts does. */

const STREAM_MAGIC = Buffer.from([0x82, ...Buffer.from('SNAPPY'), 0]);
const STREAM_HEADER_BYTES = 16;

/** What the bytes hold; undefined when they are damaged. */
export function expandSnappy(bytes: Buffer): Buffer | undefined {
  if (bytes.length < STREAM_HEADER_BYTES || !bytes.subarray(0, STREAM_MAGIC.length).equals(STREAM_MAGIC)) return expandBlock(bytes);
  const blocks: Buffer[] = [];
  for (let at = STREAM_HEADER_BYTES; at < bytes.length; ) {
    if (bytes.length - at < 4) return undefined;
    const end = at + 4 + bytes.readUInt32BE(at);
    if (end > bytes.length) return undefined;
    const block = expandBlock(bytes.subarray(at + 4, end));
    if (!block) return undefined;
    blocks.push(block);
    at = end;
  }
  return Buffer.concat(blocks);
}

function expandBlock(bytes: Buffer): Buffer | undefined {
  const header = readLength(bytes);
  if (!header || header.size > 0x7fffffff) return undefined;
  const out: number[] = [];
  let { at } = header;
  while (at < bytes.length) {
    const tag = bytes[at]!;
    at += 1;
    const kind = tag & 3;
    const extra = kind === 0 ? Math.max(0, (tag >> 2) - 59) : kind === 3 ? 4 : kind;
    if (at + extra > bytes.length) return undefined;
    const number = extra === 0 ? 0 : bytes.readUIntLE(at, extra);
    at += extra;
    if (kind === 0) {
      const length = (extra === 0 ? tag >> 2 : number) + 1;
      if (at + length > bytes.length) return undefined;
      for (const byte of bytes.subarray(at, at + length)) out.push(byte);
      at += length;
    } else {
      const length = kind === 1 ? ((tag >> 2) & 7) + 4 : (tag >> 2) + 1;
      const offset = kind === 1 ? number + (tag >> 5) * 256 : number;
      if (offset === 0 || offset > out.length) return undefined;
      for (let count = 0; count < length; count += 1) out.push(out[out.length - offset]!);
    }
    if (out.length > header.size) return undefined;
  }
  return out.length === header.size ? Buffer.from(out) : undefined;
}

function readLength(bytes: Buffer): { readonly size: number; readonly at: number } | undefined {
  let size = 0;
  for (let index = 0; index < 5; index += 1) {
    const byte = bytes[index];
    if (byte === undefined) return undefined;
    size += (byte & 127) * 2 ** (7 * index);
    if (byte < 128) return { size, at: index + 1 };
  }
  return undefined;
}
