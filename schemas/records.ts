/**
 * Every binary record of ticks and bars, declared once (those of orders are in order-records.ts). `npm run gen` turns this table into `layout.gen.ts`: byte offsets and
 * typed-array indices that the kernels (asc) and the engine (tsc) both import, and the layout hash that both sides compare
 * when a kernel is loaded.
 *
 * All records are little-endian and naturally aligned. Times are nanoseconds since the Unix epoch, in UTC.
 */
import type { RecordType } from './record-type.ts';

/** What a slot of the tick ring carries. */
export const TICK_KIND = {
  trade: 1,
  quote: 2,
  bar: 3,
  watermark: 4,
  barrier: 5,
  symbol: 6,
  late: 7,
} as const;

/** What a slot of the out ring carries. */
export const OUT_KIND = {
  barFinal: 1,
  barAmend: 2,
  barOpen: 3,
  lateTick: 4,
  barrier: 5,
  symbolClear: 6,
} as const;

/**
 * What a stage that reads bars puts into the out ring beside those; no kernel knows them. barReplace: the next revision of a closed bucket, with
 * absolute values. barInput: a bar as it was read (revision and all), to be kept. barForget: of a symbol nothing before tsStartNs need be kept.
 */
export const STAGE_OUT_KIND = { barReplace: 7, barInput: 8, barForget: 9 } as const;

/** What an instrument's ticks are. */
export const INSTRUMENT_KIND = { trade: 0, quote: 1 } as const;

/**
 * Bits of a barrier record. With open state, the barrier is preceded by the open buckets of every symbol that was touched since the
 * last such barrier: all of them as barOpen, or one symbolClear (symbolIndex and partition, the rest 0) when none is open any more.
 */
export const BARRIER_FLAG = { withOpenState: 1, final: 2 } as const;

/** Bits of a bar record. */
export const BAR_FLAG = { notionalUnknown: 1 } as const;

/** Bits of a late tick's missedMask, above those of the timeframes: ingest had refused the tick, so it is not among the accepted. */
export const LATE_FLAG = { refused: 1 << 30 } as const;

/** Why a tick was refused before the rings. Zero is never a reason. */
export const REFUSAL = {
  unknownSymbol: 1,
  capacity: 2,
  priceNotFinite: 3,
  priceNotPositive: 4,
  quantityNegative: 5,
  quantityOffLot: 6,
  eventTimeInFuture: 7,
  eventTimeInvalid: 8,
  outOfSession: 9,
  wrongPartition: 10,
  wrongKind: 11,
  tooLate: 12,
  malformed: 13,
  barInconsistent: 14,
} as const;

export const RECORDS: readonly RecordType[] = [
  {
    name: 'tick',
    sizeBytes: 64,
    doc: 'One slot of a tick ring: one cache line. Trades use price and quantity, quotes bid and ask, source bars all four prices.',
    fields: [
      { name: 'kind', type: 'i32', offset: 0, doc: 'TICK_KIND' },
      {
        name: 'symbolIndex',
        type: 'i32',
        offset: 4,
        doc: 'ingest: engine-wide index; ring: index within the shard; watermark: partition; barrier: flags',
      },
      { name: 'tsEventNs', type: 'i64', offset: 8, doc: 'event time; watermark: the new watermark, whole seconds; barrier: epoch' },
      { name: 'price', type: 'f64', offset: 16, doc: 'trade price, bid of a quote, open of a bar; symbol: price scale, 10^priceDecimals' },
      { name: 'ask', type: 'f64', offset: 24, doc: 'ask of a quote, high of a bar' },
      { name: 'low', type: 'f64', offset: 32, doc: 'low of a bar' },
      { name: 'close', type: 'f64', offset: 40, doc: 'close of a bar' },
      { name: 'quantityLots', type: 'i64', offset: 48, doc: 'quantity or volume in lots of the instrument' },
      { name: 'tradeCount', type: 'i32', offset: 56, doc: 'trades in a source bar, 0 where unknown; symbol: partition' },
      {
        name: 'ingestUs',
        type: 'u32',
        offset: 60,
        doc: 'monotonic microseconds modulo 2^32 at ingest; symbol: engine-wide index | kind << 31',
      },
    ],
  },
  {
    name: 'bar',
    sizeBytes: 128,
    doc: 'An accumulator in the shard state, and one slot of an out ring. Quote bars use bid in open..low and ask in the fields named ask.',
    fields: [
      { name: 'kind', type: 'i32', offset: 0, doc: 'OUT_KIND (out ring only); barrier: see flags' },
      { name: 'listedCount', type: 'i32', offset: 0, doc: '1 s bucket in the state: its tradeCount when it was last listed' },
      { name: 'symbolIndex', type: 'i32', offset: 4, doc: 'engine-wide index; barrier: shard index' },
      { name: 'tsStartNs', type: 'i64', offset: 8, doc: 'bucket start; late tick: its event time; barrier: epoch' },
      { name: 'firstNs', type: 'i64', offset: 16, doc: 'earliest event time in the bucket; accumulator: I64_MAX when empty' },
      { name: 'lastNs', type: 'i64', offset: 24, doc: 'latest event time in the bucket; accumulator: I64_MIN when empty' },
      { name: 'tradeCount', type: 'i32', offset: 32, doc: 'ticks merged (trades or quotes)' },
      { name: 'lateCount', type: 'i32', offset: 36, doc: 'ticks that came after their own finest bucket had closed' },
      { name: 'timeframeIndex', type: 'i32', offset: 40, doc: 'position in TIMEFRAMES' },
      { name: 'revision', type: 'i32', offset: 44, doc: '0 first final; set by the Postgres writer for amendments' },
      { name: 'open', type: 'f64', offset: 48, doc: 'open (bid); late tick: price (bid)' },
      { name: 'close', type: 'f64', offset: 56, doc: 'close (bid); late tick: ask' },
      { name: 'high', type: 'f64', offset: 64, doc: 'high (bid); accumulator: -Infinity when empty' },
      {
        name: 'low',
        type: 'f64',
        offset: 72,
        doc: 'low (bid); accumulator: minus the low, so that one pmax serves both; -Infinity when empty',
      },
      { name: 'volumeLots', type: 'i64', offset: 80, doc: 'trade bars: sum of lots' },
      { name: 'notionalLo', type: 'u64', offset: 88, doc: 'trade bars: low 64 bits of the sum of price units x lots' },
      { name: 'notionalHi', type: 'i64', offset: 96, doc: 'trade bars: high 64 bits' },
      { name: 'priceScale', type: 'f64', offset: 104, doc: 'trade bars: 10^priceDecimals of the instrument' },
      { name: 'askOpen', type: 'f64', offset: 80, doc: 'quote bars' },
      { name: 'askClose', type: 'f64', offset: 88, doc: 'quote bars' },
      { name: 'askHigh', type: 'f64', offset: 96, doc: 'quote bars; as high' },
      { name: 'askLow', type: 'f64', offset: 104, doc: 'quote bars; as low' },
      { name: 'flags', type: 'i32', offset: 112, doc: 'BAR_FLAG; barrier: BARRIER_FLAG' },
      { name: 'missedMask', type: 'i32', offset: 116, doc: 'late tick: one bit per timeframe that it did not join, and LATE_FLAG' },
      { name: 'partition', type: 'i32', offset: 120, doc: 'source partition of the symbol' },
      { name: 'instrumentKind', type: 'i32', offset: 124, doc: 'INSTRUMENT_KIND' },
    ],
  },
  {
    name: 'symbol',
    sizeBytes: 64,
    doc: 'One entry of the symbol dictionary: shared, written once by ingest before the symbol enters any ring.',
    fields: [
      { name: 'nameLength', type: 'i32', offset: 0, doc: 'bytes of the name, 1 to 40; 0: entry not in use' },
      { name: 'partition', type: 'i32', offset: 4, doc: 'source partition' },
      { name: 'decimals', type: 'i32', offset: 8, doc: 'priceDecimals | lotDecimals << 8 | INSTRUMENT_KIND << 16' },
      { name: 'shard', type: 'i32', offset: 12, doc: 'owning shard' },
      { name: 'localIndex', type: 'i32', offset: 16, doc: 'index within the shard' },
      { name: 'name', type: 'bytes', offset: 24, doc: 'UTF-8, zero padded, 40 bytes' },
    ],
  },
  {
    name: 'symbolMeta',
    sizeBytes: 32,
    doc: 'What a shard knows of a symbol, by index within the shard. Symbols of one partition form a list in order of registration.',
    fields: [
      { name: 'symbolIndex', type: 'i32', offset: 0, doc: 'engine-wide index' },
      { name: 'partition', type: 'i32', offset: 4, doc: 'source partition' },
      { name: 'nextLocalIndex', type: 'i32', offset: 8, doc: 'next symbol of the same partition, -1 at the end' },
      { name: 'instrumentKind', type: 'i32', offset: 12, doc: 'INSTRUMENT_KIND' },
      { name: 'priceScale', type: 'f64', offset: 16, doc: '10^priceDecimals' },
      {
        name: 'isTouched',
        type: 'i32',
        offset: 24,
        doc: '1: a bucket was merged into or closed since the symbol was last listed; ticks that the tick loops merge show in listedCount alone',
      },
    ],
  },
  {
    name: 'partition',
    sizeBytes: 64,
    doc: 'What a shard knows of a source partition.',
    fields: [
      { name: 'watermarkNs', type: 'i64', offset: 0, doc: 'closed up to here, whole seconds; I64_MIN before the first' },
      { name: 'firstLocalIndex', type: 'i32', offset: 8, doc: 'list of its symbols, -1 when empty' },
      { name: 'lastLocalIndex', type: 'i32', offset: 12, doc: 'tail of that list' },
    ],
  },
  {
    name: 'ring',
    sizeBytes: 512,
    doc: 'Header of a single-producer, single-consumer ring; slots follow it. Positions are i32, wrap at 2^32 and are masked for use.',
    fields: [
      { name: 'head', type: 'i32', offset: 0, doc: 'next position to write; producer stores it after the slots' },
      { name: 'tail', type: 'i32', offset: 128, doc: 'next position to read; consumer stores it after it has done with the slots' },
      { name: 'consumerWaiting', type: 'i32', offset: 256, doc: '1 while the consumer sleeps on this word' },
      { name: 'capacity', type: 'i32', offset: 384, doc: 'slots, a power of two' },
      { name: 'slotBytes', type: 'i32', offset: 388, doc: 'bytes of a slot' },
    ],
  },
  {
    name: 'shard',
    sizeBytes: 1024,
    doc: 'Header of a shard region: where everything lies, what is configured, where a sweep stands, and what has been counted.',
    fields: [
      { name: 'layoutHash', type: 'u32', offset: 0, doc: 'hash of this table' },
      { name: 'shardIndex', type: 'i32', offset: 4, doc: '' },
      { name: 'tickRing', type: 'i32', offset: 8, doc: 'address of the ring header' },
      { name: 'outRing', type: 'i32', offset: 12, doc: 'address of the ring header' },
      { name: 'symbolMeta', type: 'i32', offset: 16, doc: 'address of symbolMeta[symbolCapacity]' },
      { name: 'partitions', type: 'i32', offset: 20, doc: 'address of partition[partitionCapacity]' },
      {
        name: 'slots',
        type: 'i32',
        offset: 24,
        doc: 'address of bar[slotCount][symbolCapacity]: open 1 s buckets, slot = second & (slotCount - 1)',
      },
      {
        name: 'accumulators',
        type: 'i32',
        offset: 28,
        doc: 'address of bar[timeframeCount][symbolCapacity]: open buckets of timeframes 1 and up; entry 0 unused',
      },
      { name: 'stamps', type: 'i32', offset: 32, doc: 'address of {ingestUs u32, count i32}[stampCapacity]' },
      { name: 'symbolCapacity', type: 'i32', offset: 36, doc: '' },
      { name: 'partitionCapacity', type: 'i32', offset: 40, doc: '' },
      { name: 'slotCount', type: 'i32', offset: 44, doc: 'a power of two, more than lateness in seconds plus 2' },
      { name: 'timeframeCount', type: 'i32', offset: 48, doc: '1 to 12' },
      { name: 'stampCapacity', type: 'i32', offset: 52, doc: '' },
      { name: 'symbolCount', type: 'i32', offset: 56, doc: 'symbols registered' },
      { name: 'latePolicy', type: 'i32', offset: 60, doc: '0 amend, 1 side' },
      { name: 'amendNs', type: 'i64', offset: 64, doc: 'how far behind the watermark an amendment reaches; informative, ingest decides' },
      { name: 'timeframeSeconds', type: 'i32', offset: 80, doc: 'i32[12]' },
      { name: 'timeframeParent', type: 'i32', offset: 128, doc: 'i32[12]: index of the timeframe it is built from; -1 for the first' },
      { name: 'sweepPartition', type: 'i32', offset: 192, doc: '-1 when no sweep is under way' },
      { name: 'sweepStage', type: 'i32', offset: 196, doc: 'timeframe being swept' },
      { name: 'sweepLocalIndex', type: 'i32', offset: 200, doc: 'next symbol of the sweep' },
      { name: 'sweepFlags', type: 'i32', offset: 204, doc: 'kernel private' },
      { name: 'sweepTargetNs', type: 'i64', offset: 208, doc: 'watermark to reach' },
      { name: 'sweepBoundaryNs', type: 'i64', offset: 216, doc: 'boundary being closed' },
      { name: 'sweepFromNs', type: 'i64', offset: 224, doc: 'watermark before the boundary' },
      {
        name: 'slotsTaken',
        type: 'u64',
        offset: 232,
        doc: 'bit slot & 63: the tick loops have had a second of that slot in hand since the last listing',
      },
      { name: 'listLocalIndex', type: 'i32', offset: 240, doc: 'next symbol of the listing under way, -1 when there is none' },
      { name: 'listStage', type: 'i32', offset: 244, doc: 'next bucket of that symbol' },
      { name: 'stampCount', type: 'i32', offset: 256, doc: 'stamps written by the last poll' },
      { name: 'pollState', type: 'i32', offset: 260, doc: '0 idle, 1 more to do, 2 blocked on the out ring' },
      {
        name: 'heartbeat',
        type: 'u32',
        offset: 264,
        doc: 'goes up, and wraps, each time the worker looks for work, at least every 20 ms; one that stands still is wedged',
      },
      { name: 'ticksMerged', type: 'f64', offset: 320, doc: 'counter: trades, quotes and source bars merged' },
      { name: 'barsOut', type: 'f64', offset: 328, doc: 'counter: f64[12] final bars by timeframe' },
      { name: 'amendmentsOut', type: 'f64', offset: 424, doc: 'counter: f64[12] amendments by timeframe' },
      { name: 'lateTicks', type: 'f64', offset: 520, doc: 'counter: ticks that came after their own finest bucket had closed' },
      { name: 'lateRefused', type: 'f64', offset: 528, doc: 'counter: ticks passed on to late_ticks only' },
      { name: 'blockedPolls', type: 'f64', offset: 536, doc: 'counter: polls that found the out ring full' },
      { name: 'parks', type: 'f64', offset: 544, doc: 'counter: times the worker slept' },
      { name: 'openBars', type: 'f64', offset: 552, doc: 'gauge: f64[12] open buckets by timeframe at the last barrier' },
    ],
  },
];
