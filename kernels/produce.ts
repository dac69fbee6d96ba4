// Encodes bars as Kafka record batches (format 2) of JSON payloads: key the symbol, partition by murmur2, CRC32C. The readable form is
// engine/kafka-direct/produce-twin.ts.
//
//   routes  ─ one entry a timeframe, 8 B: first slot, count of partitions
//   slots   ─ one entry a partition of a topic, 16 B: next sequence, most bytes of a batch, first and last bar of its chain
//   chain   ─ for each input bar the next one of its slot, -1 at the end
//   touched ─ slots that have bars, in the order of their first one
//   batches ─ what came of them, 16 B each: slot, offset in the output, bytes, records
//
// A call goes over the bars twice: `plan` chains them by slot, so that a bar without a name entry is found before any sequence has moved;
// `encode` writes the batches of one slot after the other, the bars of each in their order.
import { BAR_INSTRUMENT_KIND, BAR_SIZE, BAR_TIMEFRAME_INDEX, INSTRUMENT_KIND_TRADE, LAYOUT_HASH } from "../schemas/layout.gen";
import { placeCrc32c } from "./lib/crc32c";
import { NAME_HASH, nameOf, openPayloads } from "./lib/encode-payload";
import { BATCH_HEADER_BYTES, closeBatch, packBatch, writeRecord } from "./lib/produce-batch";

export {
  ESCAPED_BYTES, FRAGMENT_BYTES, FRAGMENTS, FRAME_BYTES, FRAME_COUNT, FRAME_TEXT, FRAMES, NAME_BYTES, NAME_ESCAPED_LENGTH, NAME_HASH,
  NAME_LENGTH, POWERS, POWERS_FIRST, POWERS_LAST, SLACK_BYTES,
} from "./lib/encode-payload";
export { BATCH_HEADER_BYTES, RECORD_BYTES_MAX } from "./lib/produce-batch";
export { setPacking, setProducer } from "./lib/produce-batch";
export { LZ4_SLACK_BYTES, LZ4_TABLE_BYTES, placeLz4, writeLz4 } from "./lib/lz4-write";
export { CRC32C_BYTES } from "./lib/crc32c";

export const ROUTE_BYTES: i32 = 8;
export const SLOT_BYTES: i32 = 16;
export const BATCH_BYTES: i32 = 16;

const SLOT_SEQUENCE: usize = 0;
const SLOT_LIMIT: usize = 4;
const SLOT_FIRST: usize = 8;
const SLOT_LAST: usize = 12;
const NONE: i32 = -1;
/** Sequences count from 0 to 2^31 - 1 and begin again. */
const SEQUENCE_MASK: i32 = 0x7fffffff;

let routes: usize = 0;
let slots: usize = 0;
let chain: usize = 0;
let touched: usize = 0;
let batches: usize = 0;
let touchedCount: i32 = 0;

export function layoutHash(): i32 {
  return LAYOUT_HASH;
}

export function configure(tablesAt: usize, namesAt: usize, escapedAt: usize, capacity: i32): void {
  openPayloads(tablesAt, namesAt, escapedAt, capacity);
}

export function setAreas(routesAt: usize, slotsAt: usize, chainAt: usize, touchedAt: usize, batchesAt: usize, crcAt: usize): void {
  routes = routesAt;
  slots = slotsAt;
  chain = chainAt;
  touched = touchedAt;
  batches = batchesAt;
  placeCrc32c(crcAt);
}

/** Forgets the chains of the last call. */
function unchain(): void {
  for (let i = 0; i < touchedCount; i++) {
    const slot = slots + <usize>load<i32>(touched + (<usize>i << 2)) * SLOT_BYTES;
    store<i32>(slot, NONE, SLOT_FIRST);
  }
  touchedCount = 0;
}

/** Chains the trade bars among the `count` bars at `input` by slot: 0, or -1 - i when the symbol of bar i has no name entry. */
export function plan(input: usize, count: i32): i32 {
  unchain();
  for (let i = 0, bar = input; i < count; i++, bar += BAR_SIZE) {
    if (load<i32>(bar, BAR_INSTRUMENT_KIND) != INSTRUMENT_KIND_TRADE) continue;
    const name = nameOf(bar);
    if (name == 0) return -1 - i;
    const route = routes + <usize>load<i32>(bar, BAR_TIMEFRAME_INDEX) * ROUTE_BYTES;
    const index = load<i32>(route) + <i32>(load<u32>(name, NAME_HASH) % load<u32>(route, 4));
    const slot = slots + <usize>index * SLOT_BYTES;
    store<i32>(chain + (<usize>i << 2), NONE);
    if (load<i32>(slot, SLOT_FIRST) == NONE) {
      store<i32>(slot, i, SLOT_FIRST);
      store<i32>(touched + (<usize>touchedCount << 2), index);
      touchedCount += 1;
    } else {
      store<i32>(chain + (<usize>load<i32>(slot, SLOT_LAST) << 2), i);
    }
    store<i32>(slot, i, SLOT_LAST);
  }
  return 0;
}

/** Writes the batches of the bars that `plan` has chained; returns how many there are. */
export function encode(input: usize, output: usize, timestampMs: i64): i32 {
  let p = output;
  let made = 0;
  for (let i = 0; i < touchedCount; i++) {
    const index = load<i32>(touched + (<usize>i << 2));
    const slot = slots + <usize>index * SLOT_BYTES;
    let next = load<i32>(slot, SLOT_FIRST);
    while (next != NONE) {
      const limit = p + <usize>load<i32>(slot, SLOT_LIMIT);
      const start = p;
      let records = 0;
      p += BATCH_HEADER_BYTES;
      while (next != NONE) {
        const bar = input + <usize>next * BAR_SIZE;
        const end = writeRecord(p, nameOf(bar), bar, records);
        // One that does not fit begins the next batch, as the first of it. A record larger than the limit is the host's to refuse.
        if (end > limit && records > 0) break;
        p = end;
        records += 1;
        next = load<i32>(chain + (<usize>next << 2));
      }
      p = packBatch(start, p);
      const sequence = load<i32>(slot, SLOT_SEQUENCE);
      closeBatch(start, <i32>(p - start), records, sequence, timestampMs);
      store<i32>(slot, (sequence + records) & SEQUENCE_MASK, SLOT_SEQUENCE);
      const batch = batches + <usize>made * BATCH_BYTES;
      store<i32>(batch, index);
      store<u32>(batch, <u32>(start - output), 4);
      store<u32>(batch, <u32>(p - start), 8);
      store<i32>(batch, records, 12);
      made += 1;
    }
  }
  return made;
}
