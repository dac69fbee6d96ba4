/** Builds files of the order-by-order formats byte by byte, from their public layouts. */

export interface DbnFileOptions {
  readonly version: 1 | 2 | 3;
  /** Send times after each record. */
  readonly hasSendTimes?: boolean;
  /** Schema number: 0 mbo, 65535 mixed. */
  readonly schema?: number;
  /** Symbols by instrument id. */
  readonly symbols: Readonly<Record<number, string>>;
}

/** The header of a DBN file. */
export function dbnHeader({ version, hasSendTimes = false, schema = 0, symbols }: DbnFileOptions): Buffer {
  const symbolBytes = version === 1 ? 22 : 71;
  const symbol = (text: string): Buffer => Buffer.from(text.padEnd(symbolBytes, '\0'), 'latin1');
  const word = (value: number): Buffer => {
    const bytes = Buffer.alloc(4);
    bytes.writeUInt32LE(value);
    return bytes;
  };
  const fixed = Buffer.alloc(100);
  fixed.write('TEST.SET', 0, 'latin1');
  fixed.writeUInt16LE(schema, 16);
  fixed.writeBigUInt64LE(1n, 18);
  fixed.writeBigUInt64LE(2n ** 64n - 1n, 26);
  const kinds = version === 1 ? 50 : 42;
  fixed.writeUInt8(1, kinds);
  fixed.writeUInt8(0, kinds + 1);
  fixed.writeUInt8(hasSendTimes ? 1 : 0, kinds + 2);
  if (version > 1) fixed.writeUInt16LE(symbolBytes, kinds + 3);
  const entries = Object.entries(symbols);
  const body = Buffer.concat([
    fixed,
    word(0),
    word(entries.length),
    ...entries.map(([, name]) => symbol(name)),
    word(1),
    symbol('PARTLY'),
    word(0),
    word(entries.length),
    ...entries.flatMap(([id, name]) => [symbol(name), word(1), word(20240508), word(20240509), symbol(id)]),
  ]);
  return Buffer.concat([Buffer.from('DBN', 'latin1'), Buffer.from([version]), word(body.length), body]);
}

export interface DbnRecord {
  readonly instrument: number;
  readonly tsNs: bigint;
  readonly orderId: bigint;
  /** In billionths. */
  readonly price: bigint;
  readonly size: number;
  readonly flags: number;
  readonly action: string;
  readonly side: string;
}

/** One mbo record; 64 bytes with a send time. */
export function dbnRecord(record: DbnRecord, hasSendTime = false): Buffer {
  const bytes = Buffer.alloc(hasSendTime ? 64 : 56);
  bytes.writeUInt8(bytes.length / 4, 0);
  bytes.writeUInt8(0xa0, 1);
  bytes.writeUInt16LE(1, 2);
  bytes.writeUInt32LE(record.instrument, 4);
  bytes.writeBigInt64LE(record.tsNs, 8);
  bytes.writeBigUInt64LE(record.orderId, 16);
  bytes.writeBigInt64LE(record.price, 24);
  bytes.writeUInt32LE(record.size, 32);
  bytes.writeUInt8(record.flags, 36);
  bytes.write(record.action, 38, 'latin1');
  bytes.write(record.side, 39, 'latin1');
  bytes.writeBigInt64LE(record.tsNs + 1000n, 40);
  bytes.writeInt32LE(500, 48);
  bytes.writeUInt32LE(7, 52);
  if (hasSendTime) bytes.writeBigInt64LE(record.tsNs + 2000n, 56);
  return bytes;
}

/** A record of another type, of `words` times 4 bytes. A definition (0x13) has its tick in billionths at byte 24. */
export function dbnOther(type: number, words: number, at: { readonly instrument: number; readonly tick?: bigint }): Buffer {
  const bytes = Buffer.alloc(words * 4);
  bytes.writeUInt8(words, 0);
  bytes.writeUInt8(type, 1);
  bytes.writeUInt32LE(at.instrument, 4);
  if (at.tick !== undefined) bytes.writeBigInt64LE(at.tick, 24);
  return bytes;
}

/** Fields of an ITCH message after its type, each `[kind, value]`: n is a big-endian number of so many bytes, a text of so many characters. */
type ItchField = readonly ['n1' | 'n2' | 'n4' | 'n6' | 'n8', bigint | number] | readonly ['a1' | 'a2' | 'a4' | 'a5' | 'a8', string];

/** One message with its length before it. */
export function itchMessage(type: string, fields: readonly ItchField[]): Buffer {
  const parts = fields.map(([kind, value]) => {
    const length = Number(kind[1]);
    if (typeof value === 'string') return Buffer.from(value.padEnd(length, ' '), 'latin1');
    return Buffer.from(
      BigInt(value)
        .toString(16)
        .padStart(length * 2, '0'),
      'hex',
    );
  });
  const body = Buffer.concat([Buffer.from(type, 'latin1'), ...parts]);
  const length = Buffer.alloc(2);
  length.writeUInt16BE(body.length);
  return Buffer.concat([length, body]);
}

/** Locate, tracking number, and nanoseconds since midnight, with which every ITCH message goes on after its type. */
export function itchBegin(locate: number, nanos: bigint): readonly ItchField[] {
  return [
    ['n2', locate],
    ['n2', 0],
    ['n6', nanos],
  ];
}
