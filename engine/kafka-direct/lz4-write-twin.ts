/** Writes LZ4 frames as kernels/lib/lz4-write.ts does, in readable TypeScript: its twin, and what compresses the few batches of dead letters. */

/** Magic, version 1 with blocks apart, blocks of 64 KiB at most, and the second byte of the xxHash32 of these two. */
const HEADER = Buffer.of(0x04, 0x22, 0x4d, 0x18, 0x60, 0x40, 0x82);
const END = Buffer.alloc(4);
const BLOCK_BYTES = 65_536;
const STORED = 0x80000000;
const HASH_ENTRIES = 8192;
const HASH_SHIFT = 19;
const HASH_FACTOR = 2654435761;
const MATCH_MIN = 4;
/** No match begins nearer to the end of a block, and the last bytes of it are literals. */
const LAST_START = 12;
const LAST_LITERALS = 5;

/** A frame of the bytes; undefined when it would not be shorter. */
export function compressLz4(bytes: Buffer): Buffer | undefined {
  const parts: Buffer[] = [HEADER];
  for (let at = 0; at < bytes.length; at += BLOCK_BYTES) {
    const raw = bytes.subarray(at, at + BLOCK_BYTES);
    const packed = compressBlock(raw);
    const isShorter = packed.length < raw.length;
    const length = Buffer.alloc(4);
    length.writeUInt32LE(isShorter ? packed.length : raw.length + STORED);
    parts.push(length, isShorter ? packed : raw);
  }
  const frame = Buffer.concat([...parts, END]);
  return frame.length < bytes.length ? frame : undefined;
}

function compressBlock(block: Buffer): Buffer {
  const places = new Uint16Array(HASH_ENTRIES);
  const parts: Buffer[] = [];
  let anchor = 0;
  for (let at = 1; at + LAST_START <= block.length; ) {
    const four = block.readUInt32LE(at);
    const entry = Math.imul(four, HASH_FACTOR) >>> HASH_SHIFT;
    const candidate = places[entry]!;
    places[entry] = at;
    if (block.readUInt32LE(candidate) !== four) {
      at += 1 + ((at - anchor) >> 6);
      continue;
    }
    let length = MATCH_MIN;
    while (at + length < block.length - LAST_LITERALS && block[candidate + length] === block[at + length]) length += 1;
    const offset = Buffer.alloc(2);
    offset.writeUInt16LE(at - candidate);
    const literals = block.subarray(anchor, at);
    const extra = length - MATCH_MIN;
    parts.push(tokenOf(literals.length, extra), more(literals.length), literals, offset, more(extra));
    at += length;
    anchor = at;
  }
  const literals = block.subarray(anchor);
  return Buffer.concat([...parts, tokenOf(literals.length, 0), more(literals.length), literals]);
}

function tokenOf(literals: number, extra: number): Buffer {
  return Buffer.of(Math.min(literals, 15) * 16 + Math.min(extra, 15));
}

/** What a half of a token has no room for: bytes of 255, and one of less. */
function more(length: number): Buffer {
  if (length < 15) return Buffer.alloc(0);
  const rest = length - 15;
  return Buffer.concat([Buffer.alloc(Math.floor(rest / 255), 255), Buffer.of(rest % 255)]);
}
