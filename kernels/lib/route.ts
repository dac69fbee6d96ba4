// Validation, watermarks and routing of staged tick records. The readable twin is engine/ingest/ingest-oracle.ts.
//
//   partition (32 B)  0 watermark | 8 largest event time | 16 event time that crosses the next second | 24 ticks before this may be
//                     too late (i64 each)
//   output            for each shard room for two records per staged one: a watermark may come before each tick
//   refusal (8 B)     staged index | reason
import {
  INSTRUMENT_KIND_QUOTE,
  REFUSAL_BAR_INCONSISTENT,
  REFUSAL_EVENT_TIME_INVALID,
  REFUSAL_EVENT_TIME_IN_FUTURE,
  REFUSAL_OUT_OF_SESSION,
  REFUSAL_PRICE_NOT_FINITE,
  REFUSAL_PRICE_NOT_POSITIVE,
  REFUSAL_QUANTITY_NEGATIVE,
  REFUSAL_QUANTITY_OFF_LOT,
  REFUSAL_TOO_LATE,
  REFUSAL_UNKNOWN_SYMBOL,
  REFUSAL_WRONG_KIND,
  REFUSAL_WRONG_PARTITION,
  TICK_ASK,
  TICK_CLOSE,
  TICK_INGEST_US,
  TICK_KIND,
  TICK_KIND_BAR,
  TICK_KIND_LATE,
  TICK_KIND_QUOTE,
  TICK_KIND_TRADE,
  TICK_KIND_WATERMARK,
  TICK_LOW,
  TICK_PRICE,
  TICK_QUANTITY_LOTS,
  TICK_SIZE,
  TICK_SYMBOL_INDEX,
  TICK_TRADE_COUNT,
  TICK_TS_EVENT_NS,
} from "../../schemas/layout.gen";
import {
  SESSION_CLOSED,
  SESSION_UNKNOWN,
  kindOf,
  localIndexOf,
  partitionOf,
  priceMaxOf,
  sessionOf,
  shardOf,
  symbolEntry,
} from "./symbol-table";

export const PARTITION_BYTES: i32 = 32;
export const REFUSAL_BYTES: i32 = 8;

const AT_WATERMARK: usize = 0;
const AT_MAX_EVENT: usize = 8;
const AT_NEXT_CROSSING: usize = 16;
const AT_LATE_BEFORE: usize = 24;

const SECOND_NS: i64 = 1000000000;
// The start of the year 2200: later event times are nonsense, and sums of times below it cannot overflow.
const EVENT_TIME_LIMIT_NS: i64 = 7258118400000000000;
// A quantity above 2^53 lots is no quantity; below it a bar holds at least 1,024 of them.
const QUANTITY_MAX_LOTS: i64 = 9007199254740992;
// What `check` answers when the session's day must be set first.
const NEEDS_SESSION: i32 = -1;

let staging: usize = 0;
let partitions: usize = 0;
let outputs: usize = 0;
let outputBytes: usize = 0;
let outputCounts: usize = 0;
let refusals: usize = 0;
let shards: i32 = 0;
let lateness: i64 = 0;
let amend: i64 = 0;

let batchPartition: i32 = 0;
let batchLatest: i64 = 0;
let batchIngestUs: i32 = 0;
let isBatchStamped: bool = false;
let refused: i32 = 0;

let trades: i64 = 0;
let lots: i64 = 0;
let quotes: i64 = 0;
let bars: i64 = 0;

export function placeRoute(stagingAt: usize, partitionsAt: usize, refusalsAt: usize): void {
  staging = stagingAt;
  partitions = partitionsAt;
  refusals = refusalsAt;
}

export function placeOutputs(outputsAt: usize, countsAt: usize): void {
  outputs = outputsAt;
  outputCounts = countsAt;
}

export function setRules(shardCount: i32, stagingCapacity: i32, latenessNs: i64, amendNs: i64): void {
  shards = shardCount;
  outputBytes = (<usize>stagingCapacity * 2) * TICK_SIZE;
  lateness = latenessNs;
  amend = amendNs;
}

/** Sets the watermark of a partition: whole seconds, I64_MIN before the first, I64_MAX when all is closed. */
export function setWatermark(partition: i32, watermarkNs: i64): void {
  const at = partitions + <usize>partition * PARTITION_BYTES;
  store<i64>(at, watermarkNs, AT_WATERMARK);
  const isEdge = watermarkNs == i64.MIN_VALUE || watermarkNs == i64.MAX_VALUE;
  store<i64>(at, isEdge ? watermarkNs : watermarkNs + SECOND_NS + lateness, AT_NEXT_CROSSING);
  store<i64>(at, watermarkNs == i64.MIN_VALUE ? watermarkNs : watermarkNs - amend, AT_LATE_BEFORE);
}

export function setMaxEvent(partition: i32, tsEventNs: i64): void {
  store<i64>(partitions + <usize>partition * PARTITION_BYTES, tsEventNs, AT_MAX_EVENT);
}

export function watermark(partition: i32): i64 {
  return load<i64>(partitions + <usize>partition * PARTITION_BYTES, AT_WATERMARK);
}

/** Largest event time the partition delivered; I64_MIN before the first. */
export function maxEvent(partition: i32): i64 {
  return load<i64>(partitions + <usize>partition * PARTITION_BYTES, AT_MAX_EVENT);
}

export function acceptedTrades(): i64 {
  return trades;
}

export function acceptedLots(): i64 {
  return lots;
}

export function acceptedQuotes(): i64 {
  return quotes;
}

export function acceptedBars(): i64 {
  return bars;
}

/** Refusals since `beginBatch`. */
export function refusedCount(): i32 {
  return refused;
}

/** Starts a batch of one partition: empties the output and the list of refusals. `latestNs` is the latest event time allowed. */
export function beginBatch(partition: i32, latestNs: i64, ingestUs: i32, isStamped: i32): void {
  batchPartition = partition;
  batchLatest = latestNs;
  batchIngestUs = ingestUs;
  isBatchStamped = isStamped != 0;
  refused = 0;
  memory.fill(outputCounts, 0, <usize>shards << 2);
}

/**
 * Routes staged records `[from, end)`. Returns `end`, or the index of a record whose session's day is not known: the engine sets
 * it and calls again from there.
 */
export function route(from: i32, end: i32): i32 {
  const partitionAt = partitions + <usize>batchPartition * PARTITION_BYTES;
  for (let index = from; index < end; index += 1) {
    const record = staging + <usize>index * TICK_SIZE;
    const entry = symbolEntry(load<i32>(record, TICK_SYMBOL_INDEX));
    const reason = check(record, entry);
    if (reason == NEEDS_SESSION) return index;
    if (reason) {
      refuse(index, reason);
      continue;
    }
    const tsEventNs = load<i64>(record, TICK_TS_EVENT_NS);
    if (!isBatchStamped) store<i32>(record, batchIngestUs, TICK_INGEST_US);
    if (tsEventNs < load<i64>(partitionAt, AT_LATE_BEFORE) && isTooLate(partitionAt, tsEventNs)) {
      refuse(index, REFUSAL_TOO_LATE);
      append(record, entry, TICK_KIND_LATE);
      continue;
    }
    if (tsEventNs > load<i64>(partitionAt, AT_MAX_EVENT)) store<i64>(partitionAt, tsEventNs, AT_MAX_EVENT);
    if (tsEventNs >= load<i64>(partitionAt, AT_NEXT_CROSSING)) cross(floorSecond(tsEventNs - lateness));
    countAccepted(record);
    append(record, entry, load<i32>(record, TICK_KIND));
  }
  return end;
}

function floorSecond(ns: i64): i64 {
  const rest = ns % SECOND_NS;
  return rest < 0 ? ns - rest - SECOND_NS : ns - rest;
}

function isTooLate(partitionAt: usize, tsEventNs: i64): bool {
  return floorSecond(tsEventNs) + SECOND_NS <= load<i64>(partitionAt, AT_LATE_BEFORE);
}

/** The reason to refuse a record, 0 when there is none, or NEEDS_SESSION. */
function check(record: usize, entry: usize): i32 {
  if (!entry) return REFUSAL_UNKNOWN_SYMBOL;
  if (partitionOf(entry) != batchPartition) return REFUSAL_WRONG_PARTITION;
  const reason = checkValues(record, entry);
  if (reason) return reason;
  const tsEventNs = load<i64>(record, TICK_TS_EVENT_NS);
  if (tsEventNs <= 0 || tsEventNs >= EVENT_TIME_LIMIT_NS) return REFUSAL_EVENT_TIME_INVALID;
  if (tsEventNs > batchLatest) return REFUSAL_EVENT_TIME_IN_FUTURE;
  const session = sessionOf(entry, tsEventNs);
  if (session == SESSION_UNKNOWN) return NEEDS_SESSION;
  return session == SESSION_CLOSED ? REFUSAL_OUT_OF_SESSION : 0;
}

function checkValues(record: usize, entry: usize): i32 {
  const kind = load<i32>(record, TICK_KIND);
  const isQuote = kindOf(entry) == INSTRUMENT_KIND_QUOTE;
  const priceMax = priceMaxOf(entry);
  let reason = checkPrice(load<f64>(record, TICK_PRICE), priceMax);
  if (kind == TICK_KIND_TRADE && !isQuote) return reason ? reason : checkLots(record);
  if (kind == TICK_KIND_QUOTE && isQuote) return reason ? reason : checkPrice(load<f64>(record, TICK_ASK), priceMax);
  if (kind != TICK_KIND_BAR || isQuote) return REFUSAL_WRONG_KIND;
  if (!reason) reason = checkPrice(load<f64>(record, TICK_ASK), priceMax);
  if (!reason) reason = checkPrice(load<f64>(record, TICK_LOW), priceMax);
  if (!reason) reason = checkPrice(load<f64>(record, TICK_CLOSE), priceMax);
  if (!reason) reason = checkLots(record);
  return reason ? reason : checkBar(record);
}

function checkPrice(price: f64, priceMax: f64): i32 {
  if (price <= 0.0 && price != -Infinity) return REFUSAL_PRICE_NOT_POSITIVE;
  // Also false for NaN.
  return price > 0.0 && price <= priceMax ? 0 : REFUSAL_PRICE_NOT_FINITE;
}

function checkLots(record: usize): i32 {
  const quantity = load<i64>(record, TICK_QUANTITY_LOTS);
  if (quantity < 0) return REFUSAL_QUANTITY_NEGATIVE;
  return quantity > QUANTITY_MAX_LOTS ? REFUSAL_QUANTITY_OFF_LOT : 0;
}

function checkBar(record: usize): i32 {
  const open = load<f64>(record, TICK_PRICE);
  const high = load<f64>(record, TICK_ASK);
  const low = load<f64>(record, TICK_LOW);
  const close = load<f64>(record, TICK_CLOSE);
  const isOrdered = low <= open && low <= close && open <= high && close <= high;
  const isWhole = load<i64>(record, TICK_TS_EVENT_NS) % SECOND_NS == 0;
  return isOrdered && isWhole && load<i32>(record, TICK_TRADE_COUNT) >= 0 ? 0 : REFUSAL_BAR_INCONSISTENT;
}

function refuse(index: i32, reason: i32): void {
  const at = refusals + <usize>refused * REFUSAL_BYTES;
  store<i32>(at, index);
  store<i32>(at, reason, 4);
  refused += 1;
}

/** Moves the watermark, and tells every shard before the tick that made it cross. */
function cross(watermarkNs: i64): void {
  setWatermark(batchPartition, watermarkNs);
  for (let shard = 0; shard < shards; shard += 1) {
    const out = nextOutput(shard);
    memory.fill(out, 0, TICK_SIZE);
    store<i32>(out, TICK_KIND_WATERMARK, TICK_KIND);
    store<i32>(out, batchPartition, TICK_SYMBOL_INDEX);
    store<i64>(out, watermarkNs, TICK_TS_EVENT_NS);
  }
}

function countAccepted(record: usize): void {
  const kind = load<i32>(record, TICK_KIND);
  if (kind == TICK_KIND_QUOTE) {
    quotes += 1;
    return;
  }
  lots += load<i64>(record, TICK_QUANTITY_LOTS);
  if (kind == TICK_KIND_TRADE) {
    trades += 1;
    return;
  }
  bars += 1;
  trades += <i64>load<i32>(record, TICK_TRADE_COUNT);
}

function nextOutput(shard: i32): usize {
  const countAt = outputCounts + (<usize>shard << 2);
  const used = load<i32>(countAt);
  store<i32>(countAt, used + 1);
  return outputs + <usize>shard * outputBytes + <usize>used * TICK_SIZE;
}

function append(record: usize, entry: usize, kind: i32): void {
  const out = nextOutput(shardOf(entry));
  v128.store(out, v128.load(record));
  v128.store(out, v128.load(record, 16), 16);
  v128.store(out, v128.load(record, 32), 32);
  v128.store(out, v128.load(record, 48), 48);
  store<i32>(out, kind, TICK_KIND);
  store<i32>(out, localIndexOf(entry), TICK_SYMBOL_INDEX);
}
