import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { anyBar, BAR_NAMES, BAR_TIMEFRAMES, type Bar, PLAIN_BAR, putBar } from '../../test/bars.ts';
import { createBarEncoder } from '../kernel/encode.ts';
import type { BarInput } from '../kernel/encode-twin.ts';
import { allocateSymbols, openSymbols } from '../market/instruments.ts';
import { crc32c } from './crc32c.ts';
import type { Compression, ProducerIdentity } from './produce-batch.ts';
import { BATCH_INPUT_CAPACITY, type BarRoute, createBatchEncoder, type EncodedBatch } from './produce-encoder.ts';
import { createTwinBatches } from './produce-twin.ts';

const SEED = Number(process.env['SEED'] ?? Math.floor(Math.random() * 2 ** 31));
const IDENTITY: ProducerIdentity = { producerId: 4711n, epoch: 3, isTransactional: true };
const NOW_MS = 1_763_712_000_123;
const WORDS = 32;

/** Bars outside of the kernel's memory, as the committed ring holds them. */
function inputOf(bars: readonly Bar[]): BarInput {
  const buffer = new ArrayBuffer(Math.max(bars.length, 1) * WORDS * 4);
  const input = { i32: new Int32Array(buffer), f64: new Float64Array(buffer), i64: new BigInt64Array(buffer), inputI32Index: 0 };
  for (const [i, bar] of bars.entries()) putBar(input, i, bar);
  return input;
}

function setUp(names: readonly string[] = BAR_NAMES) {
  const symbols = openSymbols(allocateSymbols(16));
  for (const [index, name] of names.entries()) {
    symbols.write(index, { name, partition: 0, shard: 0, localIndex: index, priceDecimals: 2, lotDecimals: 0, isQuote: false });
  }
  return { symbols, encoder: createBatchEncoder(symbols, BAR_TIMEFRAMES), nameOf: (index: number) => names[index] ?? '?' };
}

function routesOf(route: Partial<BarRoute> = {}): BarRoute[] {
  return BAR_TIMEFRAMES.map(() => ({ partitions: 6, batchBytesMax: 1_000_000, ...route }));
}

/** What stands in a batch, read by its format alone. */
function readBatch(bytes: Buffer) {
  let at = 61;
  const varint = (): number => {
    let value = 0;
    for (let factor = 1; ; factor *= 128) {
      const byte = bytes[at++]!;
      value += (byte & 127) * factor;
      if (byte < 128) return value % 2 === 0 ? value / 2 : -(value + 1) / 2;
    }
  };
  const text = (): string => {
    const length = varint();
    at += length;
    return bytes.toString('utf8', at - length, at);
  };
  const records = Array.from({ length: bytes.readInt32BE(57) }, () => {
    const end = varint() + at;
    const record = {
      attributes: bytes[at++],
      timestampDelta: varint(),
      offsetDelta: varint(),
      key: text(),
      value: text(),
      headers: varint(),
    };
    expect(at).toBe(end);
    return record;
  });
  expect(at).toBe(bytes.length);
  expect(bytes.readInt32BE(8)).toBe(bytes.length - 12);
  expect(bytes.readUInt32BE(17)).toBe(crc32c(bytes.subarray(21)));
  return { sequence: bytes.readInt32BE(53), records };
}

const anyRoutes = fc.array(
  fc.record({
    partitions: fc.integer({ min: 1, max: 9 }),
    batchBytesMax: fc.oneof(fc.integer({ min: 961, max: 4000 }), fc.constant(1_000_000)),
  }),
  { minLength: BAR_TIMEFRAMES.length, maxLength: BAR_TIMEFRAMES.length },
);

const anyCompression = fc.constantFrom<Compression>('none', 'lz4');

describe('produce kernel', () => {
  it('writes batches byte for byte as the twin does, call after call', () => {
    const { encoder, nameOf } = setUp();
    const anyIdentity = fc.record({
      producerId: fc.bigInt({ min: -1n, max: 2n ** 63n - 1n }),
      epoch: fc.integer({ min: -1, max: 32767 }),
      isTransactional: fc.boolean(),
    });
    const anyCalls = fc.array(fc.array(anyBar, { maxLength: 40 }), { maxLength: 3 });
    fc.assert(
      fc.property(anyIdentity, anyRoutes, anyCalls, anyCompression, (identity, routes, calls, compression) => {
        encoder.begin(identity, routes, compression);
        const input = inputOf(calls.reduce((longest, bars) => (bars.length > longest.length ? bars : longest), []));
        const twin = createTwinBatches(input, BAR_TIMEFRAMES, nameOf);
        twin.begin(identity, routes, compression);
        for (const bars of calls) {
          for (const [i, bar] of bars.entries()) putBar(input, i, bar);
          const batches = encoder.encode(input.i32, 0, bars.length, NOW_MS);
          expect(batches.map(({ release: _, ...batch }) => batch)).toEqual(twin.encode(bars.length, NOW_MS));
          for (const { release } of batches) release?.();
        }
      }),
      { seed: SEED, numRuns: 500 },
    );
  });

  it('writes payload for payload what the encoder of the publisher writes', () => {
    const { encoder, symbols } = setUp();
    const plain = createBarEncoder(symbols, BAR_TIMEFRAMES);
    fc.assert(
      fc.property(fc.array(anyBar, { minLength: 1, maxLength: 60 }), (bars) => {
        encoder.begin(IDENTITY, routesOf({ partitions: 1 }));
        const input = inputOf(bars);
        plain.i32.set(input.i32, plain.inputI32Index);
        const { bytes, ends } = plain.json(bars.length);
        const expected = bars.flatMap((bar, i) => {
          const text = Buffer.from(bytes.subarray(i === 0 ? 0 : ends[i - 1]!, ends[i]!)).toString();
          return bar.isQuote ? [] : [`${bar.timeframeIndex} ${BAR_NAMES[bar.symbolIndex]} ${text}`];
        });
        const written = encoder
          .encode(input.i32, 0, bars.length, NOW_MS)
          .flatMap((batch) => readBatch(batch.bytes).records.map(({ key, value }) => `${batch.timeframeIndex} ${key} ${value}`));
        expect(written.sort()).toEqual(expected.sort());
      }),
      { seed: SEED, numRuns: 500 },
    );
  });

  it('counts the sequence of each partition on, and begins again for another producer', () => {
    const { encoder } = setUp();
    const sequencesOf = (batches: readonly EncodedBatch[]): number[] => batches.map(({ bytes }) => readBatch(bytes).sequence);
    const input = inputOf([PLAIN_BAR, PLAIN_BAR, { ...PLAIN_BAR, timeframeIndex: 1 }]);
    encoder.begin(IDENTITY, routesOf());
    expect(sequencesOf(encoder.encode(input.i32, 0, 3, NOW_MS))).toEqual([0, 0]);
    expect(sequencesOf(encoder.encode(input.i32, 0, 3, NOW_MS))).toEqual([2, 1]);
    encoder.begin({ ...IDENTITY, epoch: 4 }, routesOf());
    expect(sequencesOf(encoder.encode(input.i32, 0, 3, NOW_MS))).toEqual([0, 0]);
  });

  it('splits at what the topic takes, and keeps the order', () => {
    const { encoder } = setUp();
    const bars = Array.from({ length: 500 }, (_, i) => ({ ...PLAIN_BAR, tsSeconds: 1_700_000_000 + i }));
    encoder.begin(IDENTITY, routesOf({ batchBytesMax: 5000 }));
    const batches = encoder.encode(inputOf(bars).i32, 0, bars.length, NOW_MS);
    expect(batches.length).toBeGreaterThan(10);
    expect(Math.max(...batches.map(({ bytes }) => bytes.length))).toBeLessThanOrEqual(5000);
    expect(Math.min(...batches.slice(0, -1).map(({ bytes }) => bytes.length))).toBeGreaterThan(4700);
    const starts = batches.flatMap(({ bytes }) => readBatch(bytes).records.map(({ value }) => JSON.parse(value).ts));
    expect(starts).toEqual(bars.map(({ tsSeconds }) => tsSeconds));
    const next = batches.map(({ bytes, recordCount }) => readBatch(bytes).sequence + recordCount);
    expect(batches.slice(1).map(({ bytes }) => readBatch(bytes).sequence)).toEqual(next.slice(0, -1));
  });

  it('writes over a batch when it is released, and over no other', () => {
    const { encoder } = setUp();
    const bars = Array.from({ length: 40 }, (_, i) => ({ ...PLAIN_BAR, tsSeconds: 1_700_000_000 + i }));
    encoder.begin(IDENTITY, routesOf({ batchBytesMax: 5000 }));
    const encode = () => encoder.encode(inputOf(bars).i32, 0, bars.length, NOW_MS);
    const first = encode();
    const texts = first.map(({ bytes }) => bytes.toString('latin1'));
    expect(first.length).toBeGreaterThan(1);
    first[0]?.release?.();
    const again = encode();
    expect(again[0]?.bytes.buffer).toBe(first[0]?.bytes.buffer);
    expect(first.slice(1).map(({ bytes }) => bytes.toString('latin1'))).toEqual(texts.slice(1));
  });

  it('refuses a bar that a topic would never take', () => {
    const { encoder } = setUp();
    encoder.begin(IDENTITY, routesOf({ batchBytesMax: 200 }));
    expect(() => encoder.encode(inputOf([PLAIN_BAR]).i32, 0, 1, NOW_MS)).toThrow(
      /a bar of 1s in a batch of \d+ bytes: the topic takes 200/,
    );
  });

  it('encodes a full input area of the longest records, each a batch of its own', () => {
    const { encoder } = setUp();
    const longest = { ...PLAIN_BAR, symbolIndex: 5, notional: -(2n ** 127n), volumeLots: -(2n ** 63n), firstNs: -(2n ** 63n) };
    const bar = { ...longest, counts: [-(2 ** 31), -(2 ** 31), -(2 ** 31)], prices: Array(8).fill((-0.1 - 0.2) * 1e-300) };
    const one = inputOf([bar]).i32;
    const words = new Int32Array(BATCH_INPUT_CAPACITY * WORDS);
    for (let i = 0; i < BATCH_INPUT_CAPACITY; i += 1) words.set(one, i * WORDS);
    encoder.begin(IDENTITY, routesOf({ batchBytesMax: 900 }));
    const batches = encoder.encode(words, 0, BATCH_INPUT_CAPACITY, NOW_MS);
    expect(batches.length).toBe(BATCH_INPUT_CAPACITY);
    expect(readBatch(batches.at(-1)!.bytes).sequence).toBe(BATCH_INPUT_CAPACITY - 1);
  });

  it.each([3, 16, -1])('refuses a bar of symbol index %i that the dictionary does not have, and moves no sequence', (symbolIndex) => {
    const { encoder } = setUp(['A']);
    encoder.begin(IDENTITY, routesOf());
    const input = inputOf([
      { ...PLAIN_BAR, symbolIndex: 0 },
      { ...PLAIN_BAR, symbolIndex },
    ]);
    expect(() => encoder.encode(input.i32, 0, 2, NOW_MS)).toThrow(new RegExp(`symbol index ${symbolIndex}: .*0 to 15`));
    expect(readBatch(encoder.encode(input.i32, 0, 1, NOW_MS)[0]?.bytes ?? Buffer.alloc(0)).sequence).toBe(0);
  });

  it.each([[0], [8000]])('refuses topics of %i partitions', (partitions) => {
    const { encoder } = setUp();
    expect(() => encoder.begin(IDENTITY, routesOf({ partitions }))).toThrow(/partitions of the bar topics: .*at most 8192 together/);
  });
});
