/** The decoder over its kernel against its readable twin: right sets, damaged ones, and nothing read or written beside them. */
import fc from 'fast-check';
import { beforeAll, describe, expect, it } from 'vitest';
import { type BatchPlan, FIRST_TIME_MS, makeBatch, makeMarker, seal } from '../../test/record-batches.ts';
import { createMemory } from '../kernel/host.ts';
import { readRecordSet, type TwinReading, type TwinRecord } from './batch-twin.ts';
import { CODEC, type LibraryCodecs, loadCodecs } from './codecs.ts';
import { createFetchKernel, ENTRY } from './fetch-kernel.ts';
import { type AbortedTransaction, createRecordDecoder, type RecordDecoder } from './record-decoder.ts';
import { readEntry } from './record-view.ts';

const seed = Number(process.env['SEED'] ?? Date.now() & 0x7fffffff);
const RUNS = Number(process.env['RUNS'] ?? 2000);
const GUARD = 0xa5;

let codecs: LibraryCodecs = new Map();
beforeAll(async () => {
  codecs = await loadCodecs();
});

interface SetPlan {
  readonly bytes: Buffer;
  readonly fromOffset?: number;
  readonly aborted?: readonly AbortedTransaction[];
  readonly isChecked?: boolean;
  readonly capacity?: number;
  /** Bytes of a chunk. */
  readonly chunk?: number;
}

function createDecoder(isChecked: boolean): RecordDecoder {
  return createRecordDecoder({ kernel: createFetchKernel(createMemory(65_536)), codecs, isChecked });
}

/** Reads a set by the decoder, in the form that the twin gives. */
function decode(decoder: RecordDecoder, plan: SetPlan): TwinReading {
  const { bytes, capacity = 1024, chunk = 1 << 16 } = plan;
  const chunks = Array.from({ length: Math.ceil(bytes.length / chunk) }, (_, index) => bytes.subarray(index * chunk, (index + 1) * chunk));
  decoder.load({ chunks, fromOffset: plan.fromOffset ?? 0, aborted: plan.aborted ?? [] });
  const records: TwinRecord[] = [];
  for (let count = decoder.next(capacity); count > 0; count = decoder.next(capacity)) {
    expect(count).toBeLessThanOrEqual(capacity);
    for (let index = 0; index < count; index += 1) records.push(readEntry(decoder, index));
  }
  const { trouble, nextOffset, cutBytes } = decoder;
  return { records, nextOffset, cutBytes, trouble: trouble && { code: trouble.code, offset: trouble.offset } };
}

function twin({ bytes, fromOffset = 0, aborted = [], isChecked = true }: SetPlan): TwinReading {
  return readRecordSet(bytes, { fromOffset, aborted, codecs, isChecked });
}

const text = (value: string): Buffer => Buffer.from(value);
const PACKED = ['encoding', text('tickwright-packed-1')] as const;

const piece = fc.option(
  fc.oneof(
    fc.uint8Array({ maxLength: 20 }),
    fc.string({ maxLength: 120 }).map((value) => text(value.repeat(3))),
  ),
  {
    freq: 6,
  },
);
const header = fc.oneof(
  { weight: 3, arbitrary: fc.tuple(fc.string({ maxLength: 9 }), piece) },
  { weight: 1, arbitrary: fc.constantFrom(PACKED, ['encoding', text('tickwright-packed-2')] as const, ['encoding', null] as const) },
);
const record = fc.record({
  gap: fc.oneof({ weight: 5, arbitrary: fc.constant(1) }, { weight: 1, arbitrary: fc.integer({ min: 1, max: 300 }) }),
  timeDelta: fc.integer({ min: -5000, max: 2 ** 40 }),
  key: piece,
  value: piece,
  headers: fc.oneof({ weight: 2, arbitrary: fc.constant([]) }, { weight: 1, arbitrary: fc.array(header, { maxLength: 3 }) }),
});
const batch = fc.record({
  gap: fc.integer({ min: 0, max: 3 }),
  records: fc.array(record, { maxLength: 12 }),
  tail: fc.integer({ min: 0, max: 2 }),
  codec: fc.constantFrom(CODEC.none, CODEC.none, CODEC.gzip, CODEC.snappy, CODEC.lz4),
  isStream: fc.boolean(),
  isAppendTime: fc.boolean(),
  /** Producer of the transaction that the batch is of; 0: of none. */
  producerId: fc.integer({ min: 0, max: 3 }),
  /** What ends the producer's transaction behind the batch, if anything does. */
  marker: fc.constantFrom(undefined, undefined, true, false),
});
type BatchArbitrary = typeof batch extends fc.Arbitrary<infer Value> ? Value : never;

/** Lays batches out one behind the other, and says which transactions were aborted. */
function layOut(batches: readonly BatchArbitrary[]): { bytes: Buffer; aborted: AbortedTransaction[]; last: number } {
  const parts: Buffer[] = [];
  const open = new Map<number, number>();
  const aborted: AbortedTransaction[] = [];
  let offset = 0;
  for (const plan of batches) {
    offset += plan.gap;
    let delta = -1;
    const records = plan.records.map(({ gap, ...rest }) => {
      delta += gap;
      return { ...rest, offsetDelta: delta };
    });
    const lastDelta = Math.max(0, delta + plan.tail);
    const isTransactional = plan.producerId > 0;
    parts.push(makeBatch({ ...plan, records, firstOffset: offset, lastDelta, isTransactional, producerId: plan.producerId }));
    if (isTransactional && !open.has(plan.producerId)) open.set(plan.producerId, offset);
    offset += lastDelta + 1;
    const firstOffset = open.get(plan.producerId);
    if (!isTransactional || plan.marker === undefined || firstOffset === undefined) continue;
    parts.push(makeMarker(offset, plan.producerId, plan.marker));
    if (!plan.marker) aborted.push({ producerId: BigInt(plan.producerId), firstOffset: BigInt(firstOffset) });
    open.delete(plan.producerId);
    offset += 1;
  }
  return { bytes: Buffer.concat(parts), aborted, last: offset };
}

describe('the decoder of record sets', () => {
  it('reads what its twin reads, whatever the batches, the chunks, the runs and the offset it begins at', () => {
    const decoder = createDecoder(true);
    fc.assert(
      fc.property(
        fc.array(batch, { maxLength: 6 }),
        fc.record({
          chunk: fc.integer({ min: 1, max: 500 }),
          capacity: fc.integer({ min: 1, max: 20 }),
          from: fc.nat(100),
          cut: fc.nat(80),
        }),
        (batches, { chunk, capacity, from, cut }) => {
          const { bytes, aborted, last } = layOut(batches);
          const plan = {
            bytes: bytes.subarray(0, Math.max(0, bytes.length - cut)),
            fromOffset: from % (last + 1),
            aborted,
            chunk,
            capacity,
          };
          const reading = twin(plan);
          expect(reading.trouble).toBeUndefined();
          expect(decode(decoder, plan)).toEqual(reading);
        },
      ),
      { seed, numRuns: Math.ceil(RUNS / 5) },
    );
  });

  it('refuses or decodes damaged sets as its twin does, and touches nothing beside them', () => {
    const decoders = [createDecoder(false), createDecoder(true)];
    const change = fc.record({ at: fc.nat(), by: fc.integer({ min: 1, max: 255 }) });
    fc.assert(
      fc.property(
        fc.array(batch, { minLength: 1, maxLength: 3 }),
        fc.array(change, { minLength: 1, maxLength: 4 }),
        fc.nat(30),
        fc.boolean(),
        (batches, changes, cut, isChecked) => {
          const { bytes, aborted } = layOut(batches);
          for (const { at, by } of changes) bytes[at % bytes.length]! ^= by;
          const plan = { bytes: bytes.subarray(0, Math.max(1, bytes.length - cut)), aborted, isChecked };
          const decoder = decoders[isChecked ? 1 : 0]!;
          const { kernel } = decoder;
          decode(decoder, plan);
          const { set, expanded } = kernel;
          // What lies around the set decides nothing: once zeros, once ones.
          const readings = [0, GUARD].map((guard) => {
            const { u8 } = kernel.views;
            u8.fill(guard, set.at, set.at + (1 << 16));
            if (expanded.at > 0) u8.fill(guard, expanded.at, expanded.at + (1 << 16));
            const reading = decode(decoder, plan);
            const end = set.at + (plan.bytes.byteOffset & 7) + plan.bytes.length;
            expect(u8.subarray(end, end + 64).every((byte) => byte === guard)).toBe(true);
            return reading;
          });
          expect(readings[0]).toEqual(readings[1]);
          expect(readings[0]).toEqual(twin(plan));
        },
      ),
      { seed, numRuns: RUNS },
    );
  });

  it('marks packed ticks by their header alone', () => {
    const decoder = createDecoder(true);
    const headers = [[PACKED], [['encoding', text('tickwright-packed-2')]], [], [['a', null], PACKED]] as const;
    const records = headers.map((list, offsetDelta) => ({ offsetDelta, value: text('v'), headers: list }));
    decoder.load({ chunks: [makeBatch({ firstOffset: 5, records })], fromOffset: 0, aborted: [] });
    expect(decoder.next()).toBe(4);
    const { i32 } = decoder.kernel.views;
    const flags = records.map((_, index) => i32[decoder.entriesI32 + index * ENTRY.words + ENTRY.isPacked]);
    expect(flags).toEqual([1, 0, 0, 1]);
  });

  it('leaves out a transaction whose abortion is all that is seen of it, and takes the next one of its producer', () => {
    const value = text('kept');
    const plan = { firstOffset: 9, records: [{ offsetDelta: 0, value }], isTransactional: true, producerId: 4 };
    const bytes = Buffer.concat([makeMarker(8, 4, false), makeBatch(plan), makeMarker(10, 4, true)]);
    const reading = decode(createDecoder(true), { bytes, fromOffset: 8, aborted: [{ producerId: 4n, firstOffset: 2n }] });
    expect(reading.records.map(({ offset }) => offset)).toEqual([9]);
    expect(reading.nextOffset).toBe(11);
  });

  const cases: readonly (readonly [string, (batch: Buffer) => Buffer, string])[] = [
    ['another checksum', (bytes) => seal(bytes).fill(7, 70, 71), 'KAFKA_BATCH_CHECKSUM'],
    ['an older format', (bytes) => bytes.fill(1, 16, 17), 'KAFKA_BATCH_FORMAT'],
    ['a length of nothing', (bytes) => bytes.fill(0, 8, 12), 'KAFKA_BATCH_DAMAGED'],
    ['a record more than there are', (bytes) => seal(bytes.fill(4, 60, 61)), 'KAFKA_BATCH_DAMAGED'],
    ['a record less than there are', (bytes) => seal(bytes.fill(2, 60, 61)), 'KAFKA_BATCH_DAMAGED'],
    ['a codec that there is not', (bytes) => seal(bytes.fill(5, 22, 23)), 'KAFKA_BATCH_DAMAGED'],
    ['a codec that it is not of', (bytes) => seal(bytes.fill(CODEC.zstd, 22, 23)), 'KAFKA_BATCH_CODEC'],
  ];
  for (const [what, damage, code] of cases) {
    it(`ends with ${code} at the offset of a batch with ${what}`, () => {
      const records = [0, 1, 2].map((offsetDelta) => ({ offsetDelta, value: text('value of a record') }));
      const plan: BatchPlan = { firstOffset: 3, records };
      const whole = makeBatch({ firstOffset: 0, records });
      const reading = decode(createDecoder(true), { bytes: Buffer.concat([whole, damage(makeBatch(plan))]) });
      expect(reading.records.slice(0, 3).map(({ offset, timeMs }) => [offset, timeMs])).toEqual([0, 1, 2].map((at) => [at, FIRST_TIME_MS]));
      expect(reading.trouble).toEqual({ code, offset: 3 });
    });
  }

  it('takes sets larger than its areas are, batch by batch, plain and compressed', () => {
    const decoder = createDecoder(true);
    const value = Buffer.alloc(3000, 'a line of ticks; ');
    const records = Array.from({ length: 1100 }, (_, offsetDelta) => ({ offsetDelta, value }));
    for (const codec of [CODEC.none, CODEC.gzip, CODEC.snappy, CODEC.lz4]) {
      const bytes = makeBatch({ firstOffset: 0, records, codec });
      const reading = decode(decoder, { bytes, chunk: 65_536 });
      expect(reading.records.length).toBe(1100);
      expect(reading.records.every((entry) => entry.value?.equals(value))).toBe(true);
      expect(reading.trouble).toBeUndefined();
    }
  });
});
