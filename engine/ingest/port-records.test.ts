/** Records that lie in the port's own memory against the same messages copied into it: the same ticks, refusals and order. */
import fc from 'fast-check';
import { beforeAll, describe, expect, it } from 'vitest';
import { type BatchRecord, makeBatch } from '../../test/record-batches.ts';
import { CODEC, type LibraryCodecs, loadCodecs } from '../kafka-direct/codecs.ts';
import { createFetchKernel, ENTRY } from '../kafka-direct/fetch-kernel.ts';
import { createRecordDecoder } from '../kafka-direct/record-decoder.ts';
import { createRig, NOW_NS, type Rig } from './ingest-harness.ts';
import { MESSAGE_BYTES_MAX } from './json-tick.ts';
import { encodePacked, PACKED_ENCODING } from './packed.ts';

const seed = Number(process.env['SEED'] ?? Date.now() & 0x7fffffff);

let codecs: LibraryCodecs = new Map();
beforeAll(async () => {
  codecs = await loadCodecs();
});

type Encoding = 'json' | 'packed';
type Rejection = readonly [message: number, record: number, refusal: number];

const symbol = fc.constantFrom('A', 'B', 'SIM0001', 'é', 'A-NAME-OF-20-LETTERS');
const tick = fc.record({
  symbol,
  ageNs: fc.bigInt({ min: -3_000_000_000n, max: 9_000_000_000n }),
  price: fc.constantFrom('1', '2500.05', '0', '1e2', '-4'),
  lots: fc.nat(9),
});
const json = fc.oneof(
  {
    weight: 6,
    arbitrary: tick.map(
      ({ symbol: name, ageNs, price, lots }) => `{"symbol":"${name}","event_ts":${NOW_NS - ageNs},"ltp":${price},"vol":${lots}}`,
    ),
  },
  {
    weight: 1,
    arbitrary: tick.map(({ symbol: name }) => `{ "symbol" : "${name}", "event_ts": ${NOW_NS}, "vol": 1, "ltp": 2.5, "x": "y" }`),
  },
  { weight: 1, arbitrary: fc.constantFrom('', '{', '[]', '{"symbol":"A"}', '{"symbol":"\\u0041","event_ts":5,"ltp":1,"vol":1}') },
  { weight: 1, arbitrary: fc.constant(`{"symbol":"A","x":"${'y'.repeat(MESSAGE_BYTES_MAX)}"}`) },
);
const SYMBOLS = ['A', 'B'].map((name) => ({ symbol: name, kind: 'trade' as const, priceDecimals: 2, lotDecimals: 0 }));
const packed = fc
  .array(fc.record({ symbolRef: fc.nat(1), price: fc.constantFrom(1, 2.5, -1), quantityLots: fc.bigInt({ min: -1n, max: 5n }) }), {
    minLength: 1,
    maxLength: 20,
  })
  .chain((ticks) =>
    fc.tuple(
      fc.constant(
        encodePacked(
          SYMBOLS,
          ticks.map((one) => ({ ...one, tsEventNs: NOW_NS, ask: 0 })),
        ),
      ),
      fc.nat(9),
    ),
  )
  .map(([bytes, cut]) => (cut === 0 ? bytes.subarray(0, bytes.length - 7) : bytes));
const messages = fc.oneof(
  fc
    .array(json, { minLength: 1, maxLength: 30 })
    .map((list) => ({ encoding: 'json' as Encoding, values: list.map((text) => Buffer.from(text)) })),
  fc
    .array(packed, { minLength: 1, maxLength: 5 })
    .map((values) => ({ encoding: 'packed' as Encoding, values: values.map((value) => Buffer.from(value)) })),
);

/** Offers the messages in calls of what there is room for, emptying the rings between them. */
function offerAll(rig: Rig, count: number, offer: (from: number) => number): number {
  let consumed = 0;
  for (let turn = 0; turn < 1000 && consumed < count; turn += 1) {
    consumed += offer(consumed);
    rig.drain();
  }
  return consumed;
}

describe("records in the port's own memory", () => {
  it('give what the same messages give when they are copied', () => {
    fc.assert(
      fc.property(
        messages,
        fc.constantFrom(CODEC.none, CODEC.lz4),
        fc.constantFrom(64, 4096),
        ({ encoding, values }, codec, tickCapacity) => {
          const copied = createRig({ tickCapacity });
          const copiedRejections: Rejection[] = [];
          offerAll(copied, values.length, (from) =>
            copied.ingest.commitMessages({
              encoding,
              partition: 0,
              count: values.length - from,
              values: values.slice(from),
              onRejected: (index, record, refusal) => copiedRejections.push([from + index, record, refusal]),
            }),
          );

          const placed = createRig({ tickCapacity });
          const { records } = placed.ingest;
          if (!records) throw new Error('the port takes no records');
          const headers = encoding === 'packed' ? ([['encoding', Buffer.from(PACKED_ENCODING)]] as const) : [];
          const batch = makeBatch({
            firstOffset: 0,
            codec,
            records: values.map((value, offsetDelta): BatchRecord => ({ offsetDelta, value, headers })),
          });
          const kernel = createFetchKernel(records.memory);
          const decoder = createRecordDecoder({ kernel, codecs, isChecked: true });
          decoder.load({ chunks: [batch], fromOffset: 0, aborted: [] });
          expect(decoder.next()).toBe(values.length);
          const placedRejections: Rejection[] = [];
          const { i32, u8 } = kernel.views;
          offerAll(placed, values.length, (from) => {
            const first = decoder.entriesI32 + from * ENTRY.words;
            return records.commit({
              encoding,
              partition: 0,
              count: values.length - from,
              entriesAt: first * 4,
              view: (index) => {
                const word = first + index * ENTRY.words;
                return u8.subarray(i32[word + ENTRY.valueAt]!, i32[word + ENTRY.valueAt]! + i32[word + ENTRY.valueLength]!);
              },
              onRejected: (index, record, refusal) => placedRejections.push([from + index, record, refusal]),
            });
          });

          expect(placedRejections).toEqual(copiedRejections);
          expect(placed.ingest.counts()).toEqual(copied.ingest.counts());
          expect(Buffer.compare(placed.received[0] ?? Buffer.alloc(0), copied.received[0] ?? Buffer.alloc(0))).toBe(0);
        },
      ),
      { seed, numRuns: 150 },
    );
  });
});
