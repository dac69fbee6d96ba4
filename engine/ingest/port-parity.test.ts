import fc from 'fast-check';
import { expect, it } from 'vitest';
import * as L from '../../schemas/layout.gen.ts';
import { REFUSAL, TICK_KIND } from '../../schemas/records.ts';
import { createInstrumentBook } from '../market/instrument-book.ts';
import { createRig, NOW_MS, NOW_NS, type Rig } from './ingest-harness.ts';
import { createIngestOracle, encodeTickRecord, type IngestOracle, type TickRecord } from './ingest-oracle.ts';
import { encodePacked } from './packed.ts';
import type { InstrumentSpec } from './source.ts';

const SEED = process.env['SEED'];
const runs = (numRuns: number): { numRuns: number; seed?: number } => (SEED === undefined ? { numRuns } : { numRuns, seed: Number(SEED) });

const BOOK = createInstrumentBook([
  { symbol: 'EUR', kind: 'quote', priceDecimals: 5, lotDecimals: 0 },
  { symbol: 'COIN', priceDecimals: 2, lotDecimals: 8 },
  {
    symbol: 'DAY',
    kind: 'trade',
    priceDecimals: 2,
    lotDecimals: 0,
    session: { timezone: 'Asia/Kolkata', open: '09:15', close: '15:30' },
  },
]);
const NAMES = ['A', 'BB', 'EUR', 'COIN', 'DAY', 'LONGER-NAME', 'A-NAME-OF-JUST-FORTY-BYTES-IN-ALL-1234567', 'é'];
const MESSAGE_NAMES = ['A', 'COIN', 'DAY', 'LONGER-NAME', 'é', 'EUR', 'ELSEWHERE'];

function specOf(name: string, partition: number): InstrumentSpec {
  return { symbol: name, kind: name === 'EUR' ? 'quote' : 'trade', priceDecimals: 2, lotDecimals: 0, partition };
}

function pair(shards: number, latenessNs: number, amendSeconds: number): { rig: Rig; oracle: IngestOracle } {
  const amendNs = BigInt(amendSeconds) * 1_000_000_000n;
  const rig = createRig({ shards, latenessNs, amendNs, book: BOOK });
  const oracle = createIngestOracle({
    shards,
    latenessNs: BigInt(latenessNs),
    amendNs,
    latestNs: NOW_NS + 2_000_000_000n,
    ingestUs: (NOW_MS * 1000) % 2 ** 32,
    book: BOOK,
    isStrict: false,
    symbolCapacity: 64,
  });
  return { rig, oracle };
}

function expectSame(rig: Rig, oracle: IngestOracle): void {
  rig.drain();
  for (const [shard, records] of oracle.shards.entries()) {
    const expected = Buffer.concat(records.map(encodeTickRecord));
    expect(Buffer.compare(rig.received[shard] ?? new Uint8Array(), expected), `shard ${shard}`).toBe(0);
  }
  expectSameRefusals(rig, oracle);
}

/** As `expectSame`, but symbols may come earlier than in the oracle: those that are new in a batch of messages go out before it. */
function expectSameApartFromSymbols(rig: Rig, oracle: IngestOracle): void {
  rig.drain();
  for (const [shard, records] of oracle.shards.entries()) {
    const bytes = rig.received[shard] ?? new Uint8Array();
    const slots = Array.from({ length: bytes.length / L.TICK_SIZE }, (_, index) =>
      Buffer.from(bytes.subarray(index * L.TICK_SIZE, (index + 1) * L.TICK_SIZE)),
    );
    const expected = records.map((value) => Buffer.from(encodeTickRecord(value)));
    const isSymbol = (slot: Buffer): boolean => slot.readInt32LE(L.TICK_KIND) === TICK_KIND.symbol;
    for (const isWanted of [isSymbol, (slot: Buffer): boolean => !isSymbol(slot)]) {
      expect(slots.filter(isWanted), `shard ${shard}`).toEqual(expected.filter(isWanted));
    }
    let known = 0;
    for (const slot of slots) {
      const kind = slot.readInt32LE(L.TICK_KIND);
      const isTick = kind <= TICK_KIND.bar || kind === TICK_KIND.late;
      if (isSymbol(slot)) known += 1;
      else if (isTick) expect(slot.readInt32LE(L.TICK_SYMBOL_INDEX)).toBeLessThan(known);
    }
  }
  expectSameRefusals(rig, oracle);
}

function expectSameRefusals(rig: Rig, oracle: IngestOracle): void {
  const counts = rig.ingest.counts();
  for (const [name, code] of Object.entries(REFUSAL))
    expect([name, counts.refused.get(name)]).toEqual([name, oracle.refused.get(code) ?? 0]);
}

const price = fc.oneof(
  { weight: 20, arbitrary: fc.integer({ min: 1, max: 1_000_000 }).map((ticks) => ticks / 100) },
  { weight: 1, arbitrary: fc.constantFrom(0, -1, Number.NaN, Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY, 5e16, 1e300, -0) },
);
const quantity = fc.oneof(
  { weight: 20, arbitrary: fc.bigInt(0n, 1_000_000n) },
  { weight: 1, arbitrary: fc.constantFrom(-1n, 2n ** 53n, 2n ** 53n + 1n, 2n ** 63n - 1n, -(2n ** 63n)) },
);
// Around now, so that some lie beyond it; most within seconds of each other, some hours back.
const time = fc.oneof(
  { weight: 20, arbitrary: fc.bigInt(-20_000_000_000n, 3_000_000_000n).map((offset) => NOW_NS + offset) },
  { weight: 3, arbitrary: fc.bigInt(-172_800n, -1n).map((seconds) => NOW_NS + seconds * 1_000_000_000n) },
  { weight: 1, arbitrary: fc.constantFrom(0n, -1n, 1n, 999_999_999n, 2n ** 63n - 1n, -(2n ** 63n), NOW_NS + 2_000_000_001n) },
);
const record = fc.record({
  kind: fc.oneof({ weight: 15, arbitrary: fc.constantFrom(1, 1, 1, 2, 3) }, { weight: 1, arbitrary: fc.constantFrom(0, 4, 7, -1) }),
  symbolIndex: fc.oneof({ weight: 15, arbitrary: fc.nat(NAMES.length - 1) }, { weight: 1, arbitrary: fc.constantFrom(-1, 63, 1_000_000) }),
  tsEventNs: time,
  price,
  ask: price,
  low: price,
  close: price,
  quantityLots: quantity,
  tradeCount: fc.integer({ min: -1, max: 5 }),
  ingestUs: fc.constant(0),
  isSane: fc.boolean(),
});

/** Makes bars mostly consistent and quotes mostly of quote symbols, which chance alone would not. */
function settle({ isSane, ...raw }: TickRecord & { isSane: boolean }): TickRecord {
  if (!isSane) return raw;
  if (raw.symbolIndex === NAMES.indexOf('EUR')) return { ...raw, kind: TICK_KIND.quote };
  if (raw.kind !== TICK_KIND.bar) return { ...raw, kind: TICK_KIND.trade };
  const prices = [raw.price, raw.close, raw.ask, raw.low];
  const tsEventNs = raw.tsEventNs - (raw.tsEventNs % 1_000_000_000n);
  return { ...raw, tsEventNs, ask: Math.max(...prices), low: Math.min(...prices), tradeCount: Math.abs(raw.tradeCount) };
}

function stage(rig: Rig, index: number, value: TickRecord): void {
  const { ingest } = rig;
  ingest.u8.set(encodeTickRecord(value), (ingest.stagingI32Index << 2) + index * L.TICK_SIZE);
}

it('routes every stream as the oracle does, whatever the batches and the number of shards', () => {
  const run = fc.record({
    shards: fc.integer({ min: 1, max: 4 }),
    latenessNs: fc.constantFrom(0, 1, 100_000_000, 1_500_000_000),
    amendSeconds: fc.constantFrom(0, 5, 3600),
    batches: fc.array(fc.record({ partition: fc.nat(2), records: fc.array(record, { minLength: 1, maxLength: 40 }) }), { maxLength: 12 }),
  });
  fc.assert(
    fc.property(run, ({ shards, latenessNs, amendSeconds, batches }) => {
      const { rig, oracle } = pair(shards, latenessNs, amendSeconds);
      for (const [position, name] of NAMES.entries()) {
        const spec = specOf(name, position % 3);
        expect(rig.ingest.register(spec)).toBe(oracle.register(spec));
      }
      let offered = 0;
      for (const { partition, records } of batches) {
        const settled = records.map(settle);
        for (const [index, value] of settled.entries()) stage(rig, index, value);
        const accepted = rig.ingest.commit(settled.length, partition);
        expect(accepted).toBe(settled.filter((value) => oracle.offer(value, partition) === 0).length);
        offered += settled.length;
      }
      expectSame(rig, oracle);
      expect(rig.ingest.counts().offered).toBe(offered);
    }),
    runs(300),
  );
});

it('puts watermarks at the same places whatever the batches and the number of shards', () => {
  const stream = fc.array(record, { minLength: 1, maxLength: 120 });
  const cuts = fc.array(fc.integer({ min: 1, max: 30 }), { minLength: 1 });
  fc.assert(
    fc.property(stream, cuts, (records, sizes) => {
      const settled = records.map(settle);
      const sequences = [1, 1, 3].map((shards, attempt) => {
        const rig = createRig({ shards, book: BOOK });
        for (const name of NAMES) rig.ingest.register(specOf(name, 0));
        for (let from = 0, turn = 0; from < settled.length; turn += 1) {
          const size = attempt === 0 ? settled.length : sizes[turn % sizes.length]!;
          const batch = settled.slice(from, from + size);
          for (const [index, value] of batch.entries()) stage(rig, index, value);
          rig.ingest.commit(batch.length, 0);
          from += size;
        }
        rig.drain();
        return rig.received;
      });
      expect(sequences[1]).toEqual(sequences[0]);
      // In every shard each tick follows the same watermarks as with one shard.
      const expected = ticksByWatermark(sequences[0]?.slice(0, 1) ?? []);
      expect(ticksByWatermark(sequences[2] ?? [])).toEqual(expected);
    }),
    runs(60),
  );
});

/** For each shard's stream, every tick as its bytes without the symbol index, with the last watermark before it; sorted. */
function ticksByWatermark(streams: readonly Uint8Array[]): string[] {
  const found: string[] = [];
  for (const bytes of streams) {
    let watermark = '';
    for (let at = 0; at < bytes.length; at += L.TICK_SIZE) {
      const slot = Buffer.from(bytes.subarray(at, at + L.TICK_SIZE));
      const kind = slot.readInt32LE(L.TICK_KIND);
      if (kind === TICK_KIND.watermark) watermark = slot.toString('hex');
      else if (kind !== TICK_KIND.symbol) found.push(`${watermark} ${slot.subarray(L.TICK_TS_EVENT_NS).toString('hex')} ${kind}`);
    }
  }
  return found.sort();
}

const numberText = fc.oneof(
  { weight: 10, arbitrary: fc.nat(99_999_999).map((value) => String(value / 100)) },
  { weight: 3, arbitrary: fc.double({ noNaN: true, noDefaultInfinity: true }).map((value) => JSON.stringify(value)) },
  {
    weight: 3,
    arbitrary: fc.tuple(fc.bigInt(0n, 10n ** 20n), fc.nat(30)).map(([value, zeros]) => `${value}.${'0'.repeat(zeros % 5)}${zeros}`),
  },
  {
    weight: 1,
    arbitrary: fc.constantFrom('1e2', '5.0', '-0', '01', '1.', '.5', '+1', '1E-3', '0', '-3', '1e999', '9007199254740993', '"5"', 'null'),
  },
);
const timeText = fc.oneof(
  { weight: 10, arbitrary: fc.bigInt(-9_999_999_999n, 1_999_999_999n).map((offset) => String(NOW_NS + offset)) },
  {
    weight: 1,
    arbitrary: fc.constantFrom(
      '0',
      '-5',
      '1',
      '99999999999999999999',
      '9223372036854775808',
      '9999999999999999999',
      '1.7e18',
      '1.0',
      '"1"',
    ),
  },
);
const space = fc.constantFrom('', '', '', ' ', '\n', '\t \r', '\u00a0');
const extra = fc.oneof(
  fc.jsonValue({ maxDepth: 2 }).map((value): [string, string] => ['extra', JSON.stringify(value)]),
  fc.tuple(fc.constantFrom('symbol', 'vol', 'ltp', 'event_ts', 'vo', 'symbols', '\\u0076ol'), numberText),
);
const plainMessage = fc
  .record({ name: fc.constantFrom(...MESSAGE_NAMES), time: timeText, price: numberText, volume: fc.nat(9999).map(String) })
  .map(({ name, time: ts, price: ltp, volume }) => `{"symbol":"${name}","event_ts":${ts},"ltp":${ltp},"vol":${volume}}`);
const freeMessage = fc
  .record({
    fields: fc
      .tuple(fc.constantFrom(...MESSAGE_NAMES, 'A\\n', '\\u0041', '', 'x'.repeat(41), '\\ud800', 'A\\"'), timeText, numberText, numberText)
      .map(([name, ts, ltp, vol]): [string, string][] => [
        ['symbol', `"${name}"`],
        ['event_ts', ts],
        ['ltp', ltp],
        ['vol', vol],
      ]),
    extras: fc.array(extra, { maxLength: 2 }),
    order: fc.infiniteStream(fc.nat(100)),
    gap: space,
    tail: fc.constantFrom('', '', '', '\n', ' x', '}', '\0'),
  })
  .map(({ fields, extras, order, gap, tail }) => {
    const shuffled = [...fields, ...extras].map((entry) => ({ entry, key: order.next().value })).sort((a, b) => a.key - b.key);
    return `${gap}{${shuffled.map(({ entry: [key, value] }) => `${gap}"${key}"${gap}:${gap}${value}${gap}`).join(',')}}${gap}${tail}`;
  });
const mutated = fc
  .tuple(plainMessage, fc.nat(), fc.nat(255), fc.constantFrom('set', 'cut', 'insert', 'drop'))
  .map(([text, place, byte, how]) => {
    const bytes = [...Buffer.from(text)];
    const at = place % bytes.length;
    if (how === 'set') bytes[at] = byte;
    if (how === 'cut') bytes.length = at;
    if (how === 'insert') bytes.splice(at, 0, byte);
    if (how === 'drop') bytes.splice(at, 1);
    return Uint8Array.from(bytes);
  });
const toBytes = (text: string): Uint8Array => new TextEncoder().encode(text);
const message = fc.oneof(
  { weight: 4, arbitrary: plainMessage.map(toBytes) },
  { weight: 3, arbitrary: freeMessage.map(toBytes) },
  { weight: 3, arbitrary: mutated },
  { weight: 1, arbitrary: fc.uint8Array({ maxLength: 80 }) },
);

it('decodes JSON messages, valid, mutated and random, to the verdicts and records of the oracle', () => {
  fc.assert(
    fc.property(fc.array(message, { minLength: 1, maxLength: 60 }), fc.integer({ min: 1, max: 4 }), (messages, shards) => {
      const { rig, oracle } = pair(shards, 100_000_000, 3600);
      for (const target of [rig.ingest, oracle]) target.register(specOf('ELSEWHERE', 1));
      const rejected: [number, number, number][] = [];
      const consumed = rig.ingest.commitMessages({
        encoding: 'json',
        partition: 0,
        count: messages.length,
        values: messages,
        onRejected: (...where) => rejected.push(where),
      });
      const expected = messages.map((bytes, index): [number, number, number] => [index, -1, oracle.offerJson(bytes, 0)]);
      expect(consumed).toBe(messages.length);
      expect(rejected.sort((a, b) => a[0] - b[0])).toEqual(expected.filter(([, , reason]) => reason !== 0));
      expectSameApartFromSymbols(rig, oracle);
    }),
    runs(600),
  );
});

const packedMessage = fc
  .record({
    names: fc.uniqueArray(fc.constantFrom('A', 'COIN', 'DAY', 'EUR', 'ELSEWHERE', 'NEW', 'é'), { minLength: 1 }),
    quoteFirst: fc.boolean(),
    lotDecimals: fc.constantFrom(0, 0, 8, 10, 15),
    ticks: fc.array(fc.record({ ref: fc.nat(), tsEventNs: time, price, ask: price, quantityLots: quantity }), {
      minLength: 1,
      maxLength: 40,
    }),
    damage: fc.option(fc.tuple(fc.nat(), fc.nat(255)), { freq: 3 }),
  })
  .map(({ names, quoteFirst, lotDecimals, ticks, damage }) => {
    const symbols = names.map((symbol, position) => {
      const kind = symbol === 'EUR' || (quoteFirst && position === 0) ? ('quote' as const) : ('trade' as const);
      return { symbol, kind, priceDecimals: 2, lotDecimals };
    });
    const bytes = encodePacked(
      symbols,
      ticks.map(({ ref, ...tick }) => ({ ...tick, symbolRef: ref % symbols.length })),
    );
    if (damage) bytes[damage[0] % bytes.length] = damage[1];
    return bytes;
  });

it('decodes packed messages, whole and damaged, to the verdicts and records of the oracle', () => {
  fc.assert(
    fc.property(fc.array(packedMessage, { minLength: 1, maxLength: 8 }), fc.integer({ min: 1, max: 3 }), (messages, shards) => {
      const { rig, oracle } = pair(shards, 100_000_000, 3600);
      for (const target of [rig.ingest, oracle]) target.register(specOf('ELSEWHERE', 1));
      // Twice, so that the second message of a table is read with the references of the first.
      const values = messages.flatMap((bytes) => [bytes, bytes]);
      const rejected: [number, number, number][] = [];
      const onRejected = (...where: [number, number, number]): number => rejected.push(where);
      const consumed = rig.ingest.commitMessages({ encoding: 'packed', partition: 0, count: values.length, values, onRejected });
      const expected = values.flatMap((bytes, index) => oracle.offerPacked(bytes, 0).map(([at, reason]) => [index, at, reason]));
      expect(consumed).toBe(values.length);
      expect(rejected.sort((a, b) => a[0] - b[0] || a[1] - b[1])).toEqual(expected);
      expectSameApartFromSymbols(rig, oracle);
    }),
    runs(300),
  );
});
