/**
 * What a stream of messages must come to: every revision of every bar, what stays open, late ticks, dead letters, and how far each partition
 * was read. Worked out in order, one message at a time, by the readable twins of ingest and of the bar kernel.
 */
import { createIngestOracle, type IngestOracle } from '../../engine/ingest/ingest-oracle.ts';
import { decodeJsonTick } from '../../engine/ingest/json-tick.ts';
import { decodePacked, PACKED_RECORD_BYTES } from '../../engine/ingest/packed.ts';
import { type BarOracle, createBarOracle } from '../../engine/market/bar-oracle.ts';
import { bucketStart, mergeBar, vwapOf } from '../../engine/market/bar-values.ts';
import { createInstrumentBook } from '../../engine/market/instrument-book.ts';
import type { BarRecord, TickRecord } from '../../engine/market/ring-record.ts';
import type { Timeframe } from '../../engine/market/timeframes.ts';
import { timeframeParents } from '../../engine/memory/region.ts';
import { LETTER_RAW_BYTES_MAX } from '../../engine/sinks/kafka/dlq.ts';
import * as L from '../../schemas/layout.gen.ts';
import { REFUSAL } from '../../schemas/records.ts';
import { type BarFields, messageText, openText, rowText } from './bar-text.ts';

/** A message as its topic holds it. */
export interface TopicMessage {
  readonly offset: bigint;
  readonly value: Uint8Array | null;
  readonly isPacked: boolean;
}

export interface Semantics {
  readonly timeframes: readonly Timeframe[];
  readonly latenessMs: number;
  readonly amendSec: number;
  /** Latest event time that is not in the future. */
  readonly latestNs: bigint;
}

export interface ExpectedRevision {
  readonly row: string;
  /** Undefined for quotes, which are not published. */
  readonly message: string | undefined;
  /** Position among everything that came out for its timeframe and symbol: finals and amendments each keep their order. */
  readonly order: number;
  readonly isAmendment: boolean;
}

export interface ExpectedPartition {
  readonly nextOffset: bigint;
  readonly watermarkNs: bigint | undefined;
  readonly volumeLots: bigint;
  readonly tradeCount: bigint;
  readonly quoteCount: bigint;
}

/** Keys of bars are `<timeframe> <symbol> <start in seconds>`. */
export interface Expected {
  readonly bars: ReadonlyMap<string, readonly ExpectedRevision[]>;
  readonly open: ReadonlyMap<string, string>;
  /** As the view `open_bars` shows them: each with what its shorter timeframes still hold of it. */
  readonly openWhole: ReadonlyMap<string, string>;
  readonly lateTicks: readonly string[];
  /** Keys are `<partition> <offset> <record index>`, values by `letterText`. */
  readonly letters: ReadonlyMap<string, string>;
  readonly partitions: ReadonlyMap<number, ExpectedPartition>;
  readonly instruments: ReadonlyMap<string, string>;
}

interface Work {
  readonly semantics: Semantics;
  readonly ingest: IngestOracle;
  readonly oracle: BarOracle;
  /** By engine-wide index. */
  readonly names: string[];
  readonly revisions: Map<string, { bar: BarRecord; list: ExpectedRevision[] }>;
  readonly open: BarRecord[];
  readonly lateTicks: string[];
  readonly letters: Map<string, string>;
  order: number;
}

const REASONS: ReadonlyMap<number, string> = new Map(Object.entries(REFUSAL).map(([name, code]) => [code, name]));
const NS_PER_SECOND = 1_000_000_000n;

/** What a dead letter says: the reason, how many bytes were refused, and those of them that a letter holds. */
export function letterText(reason: string | undefined, byteCount: number, bytes: Uint8Array): string {
  return `${reason} ${byteCount} bytes ${Buffer.from(bytes.subarray(0, LETTER_RAW_BYTES_MAX)).toString('base64')}`;
}

/** @param partitions messages by partition, each in order of offsets */
export function expectOf(partitions: ReadonlyMap<number, readonly TopicMessage[]>, semantics: Semantics): Expected {
  const work = createWork(semantics);
  const places = new Map<number, ExpectedPartition>();
  const instruments = new Map<string, string>();
  for (const [partition, messages] of partitions) places.set(partition, takePartition(work, partition, messages, instruments));
  for (const out of work.oracle.push(barrier(L.BARRIER_FLAG_WITH_OPEN_STATE))) if (out.kind === L.OUT_KIND_BAR_OPEN) work.open.push(out);
  return {
    bars: new Map([...work.revisions].map(([key, { list }]) => [key, list])),
    open: new Map(work.open.map((bar) => [keyOf(work, bar), openText(fieldsOf(bar), notionalOf(bar))])),
    openWhole: openWhole(work),
    lateTicks: work.lateTicks,
    letters: work.letters,
    partitions: places,
    instruments,
  };
}

function createWork(semantics: Semantics): Work {
  const seconds = semantics.timeframes.map((timeframe) => timeframe.seconds);
  return {
    semantics,
    ingest: createIngestOracle({
      shards: 1,
      latenessNs: BigInt(semantics.latenessMs) * 1_000_000n,
      amendNs: BigInt(semantics.amendSec) * NS_PER_SECOND,
      latestNs: semantics.latestNs,
      ingestUs: 0,
      book: createInstrumentBook([]),
      isStrict: false,
      symbolCapacity: 65_536,
    }),
    oracle: createBarOracle({ shardIndex: 0, latePolicy: 'amend', timeframeSeconds: seconds, timeframeParents: timeframeParents(seconds) }),
    names: [],
    revisions: new Map(),
    open: [],
    lateTicks: [],
    letters: new Map(),
    order: 0,
  };
}

function takePartition(
  work: Work,
  partition: number,
  messages: readonly TopicMessage[],
  instruments: Map<string, string>,
): ExpectedPartition {
  const sums = { volumeLots: 0n, tradeCount: 0n, quoteCount: 0n };
  let watermarkNs: bigint | undefined;
  const records = work.ingest.shards[0] ?? [];
  for (const message of messages) {
    offer(work, partition, message, instruments);
    for (const record of records) {
      if (record.kind === L.TICK_KIND_WATERMARK) watermarkNs = record.tsEventNs;
      if (record.kind === L.TICK_KIND_QUOTE) sums.quoteCount += 1n;
      if (record.kind === L.TICK_KIND_TRADE) {
        sums.tradeCount += 1n;
        sums.volumeLots += record.quantityLots;
      }
      for (const out of work.oracle.push(record)) take(work, out);
    }
    records.length = 0;
  }
  return { nextOffset: (messages.at(-1)?.offset ?? -1n) + 1n, watermarkNs, ...sums };
}

/** Hands a message to the twin of ingest and writes down what it refuses. */
function offer(work: Work, partition: number, { offset, value, isPacked }: TopicMessage, instruments: Map<string, string>): void {
  const refuse = (recordIndex: number, refusal: number, raw: Uint8Array): void => {
    // A tick that is too late is whole: it stands in late_ticks.
    if (refusal === 0 || refusal === REFUSAL.tooLate) return;
    work.letters.set(`${partition} ${offset} ${recordIndex}`, letterText(REASONS.get(refusal), raw.length, raw));
  };
  const learn = (symbol: string, kind: 'trade' | 'quote', priceDecimals: number, lotDecimals: number): void => {
    const index = work.ingest.register({ symbol, kind, priceDecimals, lotDecimals, partition });
    if (index < 0 || work.names[index] !== undefined) return;
    work.names[index] = symbol;
    instruments.set(symbol, `${kind} ${priceDecimals} ${lotDecimals} ${partition}`);
  };
  if (value === null) {
    refuse(-1, REFUSAL.malformed, new Uint8Array());
  } else if (isPacked) {
    const header = decodePacked(value)?.header;
    for (const { symbol, kind, priceDecimals, lotDecimals } of header?.symbols ?? []) learn(symbol, kind, priceDecimals, lotDecimals);
    for (const [recordIndex, refusal] of work.ingest.offerPacked(value, partition)) {
      const at = (header?.recordsOffset ?? 0) + recordIndex * PACKED_RECORD_BYTES;
      refuse(recordIndex, refusal, recordIndex < 0 ? value : value.subarray(at, at + PACKED_RECORD_BYTES));
    }
  } else {
    const decoded = decodeJsonTick(value);
    const { tick } = decoded;
    if (tick) learn(tick.symbol, 'trade', 2, 0);
    refuse(-1, work.ingest.offerJson(value, partition, decoded), value);
  }
}

function take(work: Work, out: BarRecord): void {
  const key = keyOf(work, out);
  if (out.kind === L.OUT_KIND_LATE_TICK) {
    const name = work.names[out.symbolIndex];
    const isQuote = out.instrumentKind === L.INSTRUMENT_KIND_QUOTE;
    const missed = out.missedMask & ~L.LATE_FLAG_REFUSED;
    const isRefused = (out.missedMask & L.LATE_FLAG_REFUSED) !== 0;
    work.lateTicks.push(
      `${name} ${out.firstNs} ${out.open} ${isQuote ? out.close : null} ${out.volumeLots} ${out.tradeCount} ${missed} ${isRefused}`,
    );
  } else if (out.kind === L.OUT_KIND_BAR_FINAL) {
    add(work, key, { ...out, revision: 0 }, false);
  } else if (out.kind === L.OUT_KIND_BAR_AMEND) {
    const known = work.revisions.get(key);
    // Without a row there is nothing to amend: the delta is the bar.
    const next = known ? { ...known.bar, revision: known.bar.revision + 1 } : { ...out, revision: 0 };
    if (known) mergeBar(next, out);
    add(work, key, next, true);
  }
}

function add(work: Work, key: string, bar: BarRecord, isAmendment: boolean): void {
  const entry = work.revisions.get(key) ?? { bar, list: [] };
  entry.bar = bar;
  const isQuote = bar.instrumentKind === L.INSTRUMENT_KIND_QUOTE;
  const vwap = isQuote ? null : vwapOf(bar.notional, bar.volumeLots, bar.priceScale);
  const fields = fieldsOf(bar);
  entry.list.push({
    row: rowText(fields, vwap, notionalOf(bar)),
    message: isQuote ? undefined : messageText(fields, vwap),
    order: work.order,
    isAmendment,
  });
  work.order += 1;
  work.revisions.set(key, entry);
}

/** Each open bucket of each timeframe with what the timeframes it is built from still hold of it. */
function openWhole(work: Work): Map<string, string> {
  const { timeframes } = work.semantics;
  const parents = timeframeParents(timeframes.map((timeframe) => timeframe.seconds));
  const whole = new Map<string, BarRecord>();
  for (const [timeframeIndex, { seconds }] of timeframes.entries()) {
    for (let part = timeframeIndex; part >= 0; part = parents[part]!) {
      // In order of time: of equal times the first opens and the last closes, but no two buckets hold equal times.
      for (const bar of work.open.filter((open) => open.timeframeIndex === part)) {
        const start = { ...bar, timeframeIndex, tsStartNs: bucketStart(bar.tsStartNs, seconds) };
        const known = whole.get(keyOf(work, start));
        if (known) mergeBar(known, bar);
        else whole.set(keyOf(work, start), start);
      }
    }
  }
  return new Map([...whole].map(([key, bar]) => [key, openText(fieldsOf(bar), notionalOf(bar))]));
}

function keyOf({ semantics, names }: Work, bar: BarRecord): string {
  return `${semantics.timeframes[bar.timeframeIndex]?.name} ${names[bar.symbolIndex]} ${bar.tsStartNs / NS_PER_SECOND}`;
}

function notionalOf(bar: BarRecord): bigint | null {
  return bar.instrumentKind === L.INSTRUMENT_KIND_QUOTE ? null : bar.notional;
}

function fieldsOf(bar: BarRecord): BarFields {
  const { open, high, low, close, volumeLots, firstNs, lastNs } = bar;
  const isQuote = bar.instrumentKind === L.INSTRUMENT_KIND_QUOTE;
  const ask = isQuote ? [bar.askOpen, bar.askHigh, bar.askLow, bar.askClose] : undefined;
  return { open, high, low, close, ask, volumeLots, count: bar.tradeCount, late: bar.lateCount, firstNs, lastNs };
}

function barrier(flags: number): TickRecord {
  const none = { tsEventNs: 0n, price: 0, ask: 0, low: 0, close: 0, quantityLots: 0n, tradeCount: 0, ingestUs: 0 };
  return { ...none, kind: L.TICK_KIND_BARRIER, symbolIndex: flags };
}
