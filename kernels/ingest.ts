// The ingest kernel: one instance on the main thread, over a memory of its own. It decodes messages into staged tick records,
// and routes staged records to the output of each shard, from where the engine publishes them to the rings.
import { LAYOUT_HASH, TICK_SIZE } from "../schemas/layout.gen";
import { decodeJsonTick, placePowers } from "./lib/json-tick";
import { ENTRY_BYTES } from "./lib/record-batch";
import { REFERENCES_MAX, REFERENCE_BYTES, expandPacked, placeReferences } from "./lib/packed-tick";
import { PARTITION_BYTES, REFUSAL_BYTES, placeOutputs, placeRoute, setMaxEvent, setRules, setWatermark } from "./lib/route";
import { SYMBOL_BYTES, hashSlotsFor, internName, placeSymbols } from "./lib/symbol-table";

export { addSymbol, setPriceMax, setSessionDay, setSessionHours } from "./lib/symbol-table";
export {
  acceptedBars,
  acceptedLots,
  acceptedQuotes,
  acceptedTrades,
  beginBatch,
  maxEvent,
  refusedCount,
  route,
  setMaxEvent,
  setWatermark,
  watermark,
} from "./lib/route";
export { setReferenceCount } from "./lib/packed-tick";

// Below lies what the WASM runtime keeps for itself.
const BASE: usize = 1024;
// Decoding reads in words, up to this far past the end of a message.
const SLACK_BYTES: usize = 64;
const POWERS_BYTES: usize = 256;
const NAME_BYTES: usize = 64;
// A longer message is no tick.
const MESSAGE_BYTES_MAX: i32 = 65536;
// In the entry of a listed record.
const AT_VALUE: usize = 16;
const AT_VALUE_LENGTH: usize = 20;

let next: usize = 0;
let stagingAt: usize = 0;
let outputsAt: usize = 0;
let outputCountsAt: usize = 0;
let refusalsAt: usize = 0;
let nameAt: usize = 0;
let referencesAt: usize = 0;
let messageIndexAt: usize = 0;
let messagesAt: usize = 0;
let symbolsAt: usize = 0;
let hashAt: usize = 0;
let partitionsAt: usize = 0;
let powersAt: usize = 0;

export function layoutHash(): i32 {
  return LAYOUT_HASH;
}

function take(bytes: usize): usize {
  const at = next;
  next = (next + bytes + 63) & ~63;
  return at;
}

/** Lays everything out, without touching memory. Returns the bytes that the memory must have. */
export function plan(symbolCapacity: i32, partitionCapacity: i32, shardCount: i32, stagingCapacity: i32): i32 {
  next = BASE;
  stagingAt = take(<usize>stagingCapacity * TICK_SIZE);
  outputsAt = take(<usize>shardCount * <usize>stagingCapacity * 2 * TICK_SIZE);
  outputCountsAt = take(<usize>shardCount << 2);
  refusalsAt = take(<usize>stagingCapacity * REFUSAL_BYTES);
  symbolsAt = take(<usize>symbolCapacity * SYMBOL_BYTES);
  hashAt = take(<usize>hashSlotsFor(symbolCapacity) << 2);
  partitionsAt = take(<usize>partitionCapacity * PARTITION_BYTES);
  powersAt = take(POWERS_BYTES);
  nameAt = take(NAME_BYTES);
  referencesAt = take(<usize>REFERENCES_MAX * REFERENCE_BYTES);
  return <i32>next;
}

/** Adds room for messages to the plan: their bytes, and where each lies. Returns the bytes that the memory must have. */
export function planMessages(messageBytes: i32, messageCapacity: i32): i32 {
  messageIndexAt = take((<usize>messageCapacity + 1) << 2);
  messagesAt = take(<usize>messageBytes + SLACK_BYTES);
  return <i32>next;
}

/** Prepares a zeroed memory by the plan. */
export function format(symbolCapacity: i32, partitionCapacity: i32): void {
  placeSymbols(symbolsAt, hashAt, symbolCapacity);
  placeRoute(stagingAt, partitionsAt, refusalsAt);
  placeOutputs(outputsAt, outputCountsAt);
  placePowers(powersAt);
  placeReferences(referencesAt);
  for (let partition = 0; partition < partitionCapacity; partition += 1) {
    setWatermark(partition, i64.MIN_VALUE);
    setMaxEvent(partition, i64.MIN_VALUE);
  }
}

export function configure(shardCount: i32, stagingCapacity: i32, latenessNs: i64, amendNs: i64): void {
  setRules(shardCount, stagingCapacity, latenessNs, amendNs);
}

export function stagingAddress(): usize {
  return stagingAt;
}

/** Output of shard 0; that of shard s lies s x 2 x stagingCapacity records further. */
export function outputsAddress(): usize {
  return outputsAt;
}

/** i32 for each shard: records in its output. */
export function outputCountsAddress(): usize {
  return outputCountsAt;
}

export function refusalsAddress(): usize {
  return refusalsAt;
}

/** Where a name is put before `intern`. */
export function nameAddress(): usize {
  return nameAt;
}

export function referencesAddress(): usize {
  return referencesAt;
}

export function messagesAddress(): usize {
  return messagesAt;
}

/** u32 for each message and one more: offset of its first byte from `messagesAddress`; it ends where the next one begins. */
export function messageIndexAddress(): usize {
  return messageIndexAt;
}

/** Lets symbol `index` be found by the `length` bytes at `nameAddress`. */
export function intern(index: i32, length: i32): void {
  internName(index, nameAt, length);
}

/**
 * Decodes JSON messages `[from, end)` to staged records from `staged` on, one each. Returns `end`, or the index of the first that
 * JavaScript must look at.
 */
export function decodeJson(from: i32, end: i32, staged: i32): i32 {
  let record = stagingAt + <usize>staged * TICK_SIZE;
  for (let index = from; index < end; index += 1) {
    const at = messageIndexAt + (<usize>index << 2);
    const start = load<u32>(at);
    const length = load<u32>(at, 4) - start;
    if (!decodeJsonTick(messagesAt + <usize>start, <i32>length, record)) return index;
    record += TICK_SIZE;
  }
  return end;
}

/**
 * Decodes the JSON values of listed records `[from, end)` (kernels/lib/record-batch.ts), whose entries begin at `entries`, where they lie:
 * to staged records from `staged` on, one each. Returns `end`, or the index of the first that JavaScript must look at.
 */
export function decodeListed(entries: usize, from: i32, end: i32, staged: i32): i32 {
  let record = stagingAt + <usize>staged * TICK_SIZE;
  for (let index = from; index < end; index += 1) {
    const entry = entries + <usize>index * ENTRY_BYTES;
    const length = load<i32>(entry, AT_VALUE_LENGTH);
    if (length < 0 || length > MESSAGE_BYTES_MAX) return index;
    if (!decodeJsonTick(<usize>load<u32>(entry, AT_VALUE), length, record)) return index;
    record += TICK_SIZE;
  }
  return end;
}

/** Expands `count` packed records that lie at `at` to staged records from `staged` on. */
export function expandAt(at: usize, count: i32, staged: i32): i32 {
  return expandPacked(at, count, stagingAt + <usize>staged * TICK_SIZE);
}
