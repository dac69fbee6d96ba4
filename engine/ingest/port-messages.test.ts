import { expect, it } from 'vitest';
import { REFUSAL } from '../../schemas/records.ts';
import { createInstrumentBook } from '../market/instrument-book.ts';
import { createRig, NOW_MS, NOW_NS, type Rig } from './ingest-harness.ts';
import { createIngestOracle, encodeTickRecord } from './ingest-oracle.ts';
import { MESSAGE_BYTES_MAX } from './json-tick.ts';
import { encodePacked, PACKED_RECORDS_MAX } from './packed.ts';
import { createIngestKernel } from './port-kernel.ts';

const bytesOf = (text: string): Uint8Array => new TextEncoder().encode(text);
const jsonTick = (symbol: string, second: number): string =>
  `{"symbol":"${symbol}","event_ts":${NOW_NS - BigInt(second) * 1_000_000_000n},"ltp":2500.05,"vol":3}`;
const A = { symbol: 'A', kind: 'trade' as const, priceDecimals: 2, lotDecimals: 0 };
const packedOf = (count: number, symbol = A): Uint8Array =>
  encodePacked(
    [symbol],
    Array.from({ length: count }, () => ({ symbolRef: 0, tsEventNs: NOW_NS, price: 1, quantityLots: 100n, ask: 0 })),
  );

interface Outcome {
  readonly consumed: number;
  readonly rejected: (readonly [number, number, number])[];
}

function offer({ ingest }: Rig, encoding: 'json' | 'packed', values: readonly Uint8Array[], partition = 0): Outcome {
  const rejected: (readonly [number, number, number])[] = [];
  const onRejected = (...where: readonly [number, number, number]): number => rejected.push(where);
  return { consumed: ingest.commitMessages({ encoding, partition, count: values.length, values, onRejected }), rejected };
}

/** How many of the messages the kernel decodes without help, up to the first that it leaves to JavaScript. */
function decodedByKernel(names: readonly string[], messages: readonly string[]): number {
  const kernel = createIngestKernel({ symbolCapacity: 16, partitionCapacity: 1, shardCount: 1, latenessNs: 0, amendNs: 0n });
  for (const [index, name] of names.entries()) {
    kernel.exports.addSymbol(0, index, 0, 0);
    kernel.u8.set(bytesOf(name), kernel.nameU8);
    kernel.exports.intern(index, bytesOf(name).length);
  }
  let offset = 0;
  for (const [index, message] of messages.entries()) {
    kernel.i32[kernel.messageIndexI32 + index] = offset;
    kernel.u8.set(bytesOf(message), kernel.messagesU8 + offset);
    offset += bytesOf(message).length;
  }
  kernel.i32[kernel.messageIndexI32 + messages.length] = offset;
  return kernel.exports.decodeJson(0, messages.length, 0);
}

it('decodes the layouts of common producers in the kernel', () => {
  const layouts = [
    '{"symbol":"A","event_ts":1763719200123456789,"ltp":2500.05,"vol":3}',
    '{"symbol": "A", "event_ts": 1763719200123456789, "ltp": 2500.0, "vol": 3}',
    '{"event_ts":1763719200123456789,"ltp":2500.499999999999,"symbol":"RELIANCE","vol":3}',
    '{"symbol":"SIM0001","event_ts":1763719200123456789,"ltp":2500.05,"vol":3}',
    '{"symbol":"SIM0001X","event_ts":1763719200123456789,"ltp":12345678.1234567,"vol":12345678}',
    '{"symbol":"SIM0001XY","event_ts":1763719200123456789,"ltp":2500.05,"vol":3}',
    '{"vol":0,"ltp":1,"event_ts":1763719200123456789,"symbol":"é"}\n',
    '{"symbol":"A-NAME-OF-20-LETTERS","event_ts":1763719200123456789,"ltp":0.00000001,"vol":1,"x":"y","ok":true,"n":null,"f":false,"d":-1.5}',
  ];
  expect(decodedByKernel(['A', 'SIM0001', 'SIM0001X', 'SIM0001XY', 'RELIANCE', 'é', 'A-NAME-OF-20-LETTERS'], layouts)).toBe(layouts.length);
});

it('never looks past the end of a message, though the next bytes would complete it', () => {
  const texts = [jsonTick('A', 0), `{ "x" : true , "symbol": "A", "event_ts": ${NOW_NS}, "ltp": 25.5, "vol": 3 }`];
  for (const text of texts) {
    for (let length = 0; length < text.length; length += 1) {
      const rig = createRig();
      rig.ingest.register({ ...A, partition: 0 });
      const { consumed, rejected } = offer(rig, 'json', [bytesOf(text.slice(0, length)), bytesOf(text.slice(length))]);
      const parts = length === 0 ? [[0, -1, REFUSAL.malformed]] : [0, 1].map((index) => [index, -1, REFUSAL.malformed]);
      expect([consumed, rejected], `cut at ${length}`).toEqual([2, parts]);
    }
  }
});

it('is not misled by what an earlier message left in memory', () => {
  const rig = createRig();
  offer(rig, 'json', [bytesOf(jsonTick('A', 0))]);
  const text = jsonTick('A', 0);
  for (let length = 0; length < text.length; length += 1) {
    expect(offer(rig, 'json', [bytesOf(text.slice(0, length))]).rejected).toEqual([[0, -1, REFUSAL.malformed]]);
  }
});

const time = NOW_NS - 1n;
const oddMessages = [
  `{"symbol":"A","event_ts":${time},"ltp":01,"vol":1}`,
  `{"symbol":"A","event_ts":${time},"ltp":0.5,"vol":01}`,
  `{"symbol":"A","event_ts":${time},"ltp":00.5,"vol":1}`,
  `{"symbol":"A","event_ts":0${time},"ltp":1,"vol":1}`,
  `{"symbol":"A","event_ts":${time},"ltp":1.,"vol":1}`,
  `{"symbol":"A","event_ts":${time},"ltp":.5,"vol":1}`,
  `{"symbol":"A","event_ts":${time},"ltp":,"vol":1}`,
  `{"symbol":"A","event_ts":${time},"ltp":1,"vol":}`,
  `{"symbol":"A","event_ts":${time},"ltp":1,"vol":1.0}`,
  `{"symbol":"A","event_ts":${time},"ltp":1e2,"vol":1}`,
  `{"symbol":"A","event_ts":${time},"ltp":1,"vol":1E1}`,
  `{"symbol":"A","event_ts":${time},"ltp":1.5.5,"vol":1}`,
  `{"symbol":"A","event_ts":${time},"ltp":-1,"vol":1}`,
  `{"symbol":"A","event_ts":${time},"ltp":1,"vol":-1}`,
  `{"symbol":"A","event_ts":${time}.5,"ltp":1,"vol":1}`,
  `{"symbol":"A","event_ts":9999999999999999999,"ltp":1,"vol":1}`,
  `{"symbol":"A","event_ts":0,"ltp":0,"vol":1}`,
  `{"symbol":"A","event_ts":${time},"ltp":0,"vol":9007199254740993}`,
  `{"vol":9007199254740993,"symbol":"A","event_ts":${time},"ltp":0}`,
  `{"symbol":"A","event_ts":${time},"ltp":9007199254740993,"vol":1}`,
  `{"symbol":"A","event_ts":${time},"ltp":900719.9254740993,"vol":1}`,
  `{"symbol":"A","event_ts":${time},"ltp":90071.992547409937,"vol":1}`,
  `{"symbol":"A","event_ts":${time},"ltp":0.0000000000000000001,"vol":1}`,
  `{"symbol":"A","event_ts":${time},"ltp":12345678.12345678,"vol":12345678}`,
  `{"symbol":"A","event_ts":${time},"ltp":123456789.1,"vol":123456789}`,
  `{"symbol":"A","event_ts":${time},"ltp":1234567.1234567,"vol":1234567}`,
  `{"symbol":"A","event_ts":${time},"ltp":1,"vol":1,"vol":2}`,
  `{"symbol":"A","symbol":"A","event_ts":${time},"ltp":1,"vol":1}`,
  `{"symbol":"A","event_ts":${time},"ltp":1,"ltp":1,"vol":1}`,
  `{"event_ts":1,"symbol":"A","event_ts":${time},"ltp":1,"vol":1}`,
  `{"symbol":"A","event_ts":${time},"ltp":1,"v\\u006fl":1}`,
  `{"symbol":"A","event_ts":${time},"ltp":1,"vol":1,"v\\u006fl":1}`,
  `{"symbol":"A","event_ts":${time},"ltp":1,"vol":1,"x":"\\u0041"}`,
  `{"symbol":"A","event_ts":${time},"ltp":1,"vol":1,"x":"\\q"}`,
  `{"symbol":"A","event_ts":${time},"ltp":1,"vol":1,"x\\q":1}`,
  `{"symbol":"A","event_ts":${time},"ltp":1,"vol":1,"x":"a\tb"}`,
  `{"symbol":"A","event_ts":${time},"ltp":1,"vol":1,"x":"\\""}`,
  `{"symbol":"A","event_ts":${time},"ltp":1,"vol":1,"x":tru}`,
  `{"symbol":"A","event_ts":${time},"ltp":1,"vol":1,"x":trueish}`,
  `{"symbol":"A","event_ts":${time},"ltp":1,"vol":1,"x":-}`,
  `{"symbol":"A","event_ts":${time},"ltp":1,"vol":1,"x":-01}`,
  `{"symbol":"A","event_ts":${time},"ltp":1,"vol":1,"x":-0.25}`,
  `{"symbol":"A","event_ts":${time},"ltp":1,"vol":1,"x":{"vol":2}}`,
  `{"symbol":"A","event_ts":${time},"ltp":1,"vol":1,}`,
  `{"symbol":"A","event_ts":${time},"ltp":1,"vol":1}}`,
  `{"symbol":"A","event_ts":${time},"ltp":1,"vol":1}{}`,
  `{"symbol":"A","event_ts":${time},"ltp":1,"vol":1} \n`,
  `{"symbol":"A" "event_ts":${time},"ltp":1,"vol":1}`,
  `{"symbol":"A","event_ts":${time},"ltp":1 "vol":1}`,
  `{"symbol":A","event_ts":${time},"ltp":1,"vol":1}`,
  `{"symbol":"A\\B","event_ts":${time},"ltp":1,"vol":1}`,
  `{"symbol":"A\\\\B","event_ts":${time},"ltp":1,"vol":1}`,
  `{"symbol":"A\\u0042","event_ts":${time},"ltp":1,"vol":1}`,
  `{"symbol":"ABCDEFG","event_ts":${time},"ltp":1,"vol":1}`,
  `{"symbol":"ABCDEFGH","event_ts":${time},"ltp":1,"vol":1}`,
  `{"symbol":"ABCDEFGHI","event_ts":${time},"ltp":1,"vol":1}`,
];

it.each(oddMessages)('gives the verdict of the oracle on %s', (text) => {
  const rig = createRig();
  const oracle = createIngestOracle({
    shards: 1,
    latenessNs: 100_000_000n,
    amendNs: 3_600_000_000_000n,
    latestNs: NOW_NS,
    ingestUs: (NOW_MS * 1000) % 2 ** 32,
    book: createInstrumentBook([]),
    isStrict: false,
    symbolCapacity: 64,
  });
  // Known before, so that the kernel may decide by itself.
  for (const target of [rig.ingest, oracle]) {
    for (const symbol of ['A', 'A\\B', 'AB', 'ABCDEFG', 'ABCDEFGH', 'ABCDEFGHI']) target.register({ ...A, symbol, partition: 0 });
  }
  const reason = oracle.offerJson(bytesOf(text), 0);
  expect(offer(rig, 'json', [bytesOf(text)]).rejected).toEqual(reason === 0 ? [] : [[0, -1, reason]]);
  rig.drain();
  expect(Buffer.from(rig.received[0] ?? [])).toEqual(Buffer.concat((oracle.shards[0] ?? []).map(encodeTickRecord)));
});

it('takes messages only while every ring has room, and goes on where it stopped', () => {
  const rig = createRig({ tickCapacity: 16 });
  const values = Array.from({ length: 100 }, (_, index) => bytesOf(jsonTick(`S${index % 5}`, 100 - index)));
  let consumed = 0;
  for (let turn = 0; consumed < values.length && turn < 200; turn += 1) {
    const result = offer(rig, 'json', values.slice(consumed));
    expect(result.rejected).toEqual([]);
    consumed += result.consumed;
    rig.drain(5);
  }
  expect(consumed).toBe(100);
  expect(rig.ingest.counts()).toMatchObject({ offered: 100, acceptedTrades: 100, acceptedLots: 300n });
});

it('takes more messages at once than the staging area holds', () => {
  const rig = createRig({ tickCapacity: 16384 });
  const values = Array.from({ length: 3000 }, (_, index) => bytesOf(jsonTick('A', 3000 - index)));
  expect(offer(rig, 'json', values).consumed).toBe(3000);
  expect(rig.ingest.counts().acceptedTrades).toBe(3000);
});

it('takes messages of up to 64 KiB, more than fit its memory at once', () => {
  const rig = createRig();
  const long = (length: number): Uint8Array =>
    bytesOf(jsonTick('A', 0).replace('}', `,"x":"${'y'.repeat(length - jsonTick('A', 0).length - 7)}"}`));
  expect(long(MESSAGE_BYTES_MAX).length).toBe(MESSAGE_BYTES_MAX);
  const values = [...Array.from({ length: 40 }, () => long(MESSAGE_BYTES_MAX)), long(MESSAGE_BYTES_MAX + 1)];
  expect(offer(rig, 'json', values)).toEqual({ consumed: 41, rejected: [[40, -1, REFUSAL.malformed]] });
});

it('refuses symbols of another partition, unknown ones under strict, and those beyond capacity', () => {
  const rig = createRig({ symbolCapacity: 1 });
  offer(rig, 'json', [bytesOf(jsonTick('A', 0))]);
  expect(offer(rig, 'json', [bytesOf(jsonTick('A', 0)), bytesOf(jsonTick('B', 0))], 1).rejected).toEqual([
    [1, -1, REFUSAL.capacity],
    [0, -1, REFUSAL.wrongPartition],
  ]);
  const strict = createRig({ isStrict: true });
  expect(offer(strict, 'json', [bytesOf(jsonTick('A', 0))]).rejected).toEqual([[0, -1, REFUSAL.unknownSymbol]]);
  expect(offer(strict, 'packed', [packedOf(2)]).rejected).toEqual([
    [0, 0, REFUSAL.unknownSymbol],
    [0, 1, REFUSAL.unknownSymbol],
  ]);
});

it('takes a packed message whole or not at all', () => {
  const rig = createRig({ tickCapacity: 64 });
  rig.ingest.register({ ...A, partition: 0 });
  rig.drain();
  expect(offer(rig, 'packed', [packedOf(20), packedOf(20), packedOf(20)]).consumed).toBe(2);
  expect(rig.ingest.counts().offered).toBe(40);
  rig.drain();
  expect(offer(rig, 'packed', [packedOf(33)]).consumed).toBe(0);
  expect(offer(rig, 'packed', [packedOf(32)]).consumed).toBe(1);
});

it('takes the largest packed message with the smallest queue', () => {
  const rig = createRig({ tickCapacity: 1024 });
  const message = packedOf(PACKED_RECORDS_MAX);
  for (let turn = 0; turn < 3; turn += 1) {
    expect(offer(rig, 'packed', [message])).toEqual({ consumed: 1, rejected: [] });
    expect(offer(rig, 'packed', [message]).consumed).toBe(0);
    rig.drain();
    // What did not fit beside the symbol's own record goes out now.
    rig.ingest.room();
    rig.drain();
  }
  expect(rig.ingest.counts().acceptedTrades).toBe(3 * PACKED_RECORDS_MAX);
});

it('converts packed quantities to the lots in force, and refuses what is no whole number of them', () => {
  const book = createInstrumentBook([
    { symbol: 'FINE', priceDecimals: 2, lotDecimals: 8 },
    { symbol: 'COARSE', priceDecimals: 2, lotDecimals: 0 },
  ]);
  const rig = createRig({ book });
  offer(rig, 'packed', [packedOf(1, { ...A, symbol: 'FINE', lotDecimals: 2 })]);
  expect(rig.ingest.counts().acceptedLots).toBe(100_000_000n);
  offer(rig, 'packed', [packedOf(1, { ...A, symbol: 'COARSE', lotDecimals: 2 })]);
  expect(rig.ingest.counts().acceptedLots).toBe(100_000_001n);
  expect(offer(rig, 'packed', [packedOf(1, { ...A, symbol: 'COARSE', lotDecimals: 3 })]).rejected).toEqual([
    [0, 0, REFUSAL.quantityOffLot],
  ]);
});

it('refuses a packed message that is none as a whole, and goes on with the next', () => {
  const rig = createRig();
  const { consumed, rejected } = offer(rig, 'packed', [new Uint8Array(3), packedOf(2), new Uint8Array(MESSAGE_BYTES_MAX + 1), packedOf(2)]);
  expect([consumed, rejected]).toEqual([
    4,
    [
      [0, -1, REFUSAL.malformed],
      [2, -1, REFUSAL.malformed],
    ],
  ]);
  expect(rig.ingest.counts()).toMatchObject({ offered: 6, acceptedTrades: 4 });
});
