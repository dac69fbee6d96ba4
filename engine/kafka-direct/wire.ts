/** Kafka's primitive types: a writer for the bodies of requests, and a reader over the chunks in which an answer arrived. Big-endian. */
import { EngineError } from '../core/errors.ts';

const FIRST_BYTES = 256;

/** Writes one request body; `bytes` is what was written so far. */
export interface WireWriter {
  int8(value: number): void;
  int16(value: number): void;
  int32(value: number): void;
  int64(value: bigint): void;
  uvarint(value: number): void;
  /** A string with its length plus one before it; null is 0. */
  compactString(value: string | null): void;
  /** How many elements follow, of an array of flexible versions. */
  compactCount(count: number): void;
  /** No tagged fields. */
  noTags(): void;
  bytes(): Uint8Array;
}

export function createWireWriter(): WireWriter {
  let buffer = Buffer.allocUnsafe(FIRST_BYTES);
  let length = 0;

  /** Makes room for so many bytes; returns where they go. */
  const take = (count: number): number => {
    if (length + count > buffer.length) {
      const larger = Buffer.allocUnsafe(Math.max(buffer.length * 2, length + count));
      buffer.copy(larger, 0, 0, length);
      buffer = larger;
    }
    const at = length;
    length += count;
    return at;
  };
  // The room is taken first: it may put another buffer in the place of this one.
  const put = (count: number, write: (at: number) => void): void => write(take(count));
  const byte = (value: number): void => put(1, (at) => buffer.writeUInt8(value, at));
  const uvarint = (value: number): void => {
    let rest = value >>> 0;
    for (; rest > 127; rest >>>= 7) byte((rest & 127) | 128);
    byte(rest);
  };

  return {
    int8: (value) => put(1, (at) => buffer.writeInt8(value, at)),
    int16: (value) => put(2, (at) => buffer.writeInt16BE(value, at)),
    int32: (value) => put(4, (at) => buffer.writeInt32BE(value, at)),
    int64: (value) => put(8, (at) => buffer.writeBigInt64BE(value, at)),
    uvarint: (value) => uvarint(value),
    compactString(value) {
      const text = Buffer.from(value ?? '');
      uvarint(value === null ? 0 : text.length + 1);
      put(text.length, (at) => text.copy(buffer, at));
    },
    compactCount: (count) => uvarint(count + 1),
    noTags: () => uvarint(0),
    bytes: () => buffer.subarray(0, length),
  };
}

/** Reads forward through an answer. What it gives out are views of the chunks; every method throws KAFKA_PROTOCOL at the end of the bytes. */
export interface WireReader {
  /** Bytes not read yet. */
  readonly left: number;
  int8(): number;
  int16(): number;
  int32(): number;
  int64(): bigint;
  uvarint(): number;
  compactString(): string | null;
  /** How many elements follow, of an array of flexible versions; -1 for none at all. */
  compactCount(): number;
  /** Passes over tagged fields. */
  skipTags(): void;
  skip(count: number): void;
  /** The next `count` bytes as they lie. */
  take(count: number): Uint8Array[];
}

export function createWireReader(chunks: readonly Uint8Array[], what: string): WireReader {
  const total = chunks.reduce((sum, chunk) => sum + chunk.length, 0);
  let left = total;
  let chunkIndex = 0;
  let at = 0;

  const need = (count: number): void => {
    if (count >= 0 && count <= left) return;
    const text = `${what}: ${count} bytes at byte ${total - left} of an answer of ${total}`;
    throw new EngineError('KAFKA_PROTOCOL', text);
  };
  const take = (count: number): Uint8Array[] => {
    need(count);
    const taken: Uint8Array[] = [];
    for (let missing = count; missing > 0; ) {
      const chunk = chunks[chunkIndex]!;
      const part = Math.min(missing, chunk.length - at);
      if (part > 0) taken.push(chunk.subarray(at, at + part));
      at += part;
      missing -= part;
      if (at === chunk.length) {
        chunkIndex += 1;
        at = 0;
      }
    }
    left -= count;
    return taken;
  };
  const flat = (count: number): Buffer => {
    const taken = take(count);
    const [first] = taken;
    return taken.length === 1 && first ? Buffer.from(first.buffer, first.byteOffset, first.length) : Buffer.concat(taken);
  };
  const uvarint = (): number => {
    let value = 0;
    for (let shift = 0; shift < 35; shift += 7) {
      const byte = flat(1).readUInt8();
      value += (byte & 127) * 2 ** shift;
      if (byte < 128) return value;
    }
    throw new EngineError('KAFKA_PROTOCOL', `${what}: a number of more than 5 bytes at byte ${total - left - 5}`);
  };

  return {
    get left() {
      return left;
    },
    int8: () => flat(1).readInt8(),
    int16: () => flat(2).readInt16BE(),
    int32: () => flat(4).readInt32BE(),
    int64: () => flat(8).readBigInt64BE(),
    uvarint,
    compactString() {
      const length = uvarint() - 1;
      return length < 0 ? null : flat(length).toString('utf8');
    },
    compactCount: () => uvarint() - 1,
    skipTags() {
      for (let tags = uvarint(); tags > 0; tags -= 1) {
        uvarint();
        take(uvarint());
      }
    },
    skip: (count) => {
      take(count);
    },
    take,
  };
}
