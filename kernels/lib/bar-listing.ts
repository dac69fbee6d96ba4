// Listing the open buckets of the symbols that were touched since the listing before: those whose buckets were opened, merged into or
// closed. Applied one after the other, the listings give all that is open at each barrier.
//
// The tick loops mark nothing. What they have merged shows in a 1 s bucket whose tradeCount is not the one it was listed with, and only
// slots that they have had in hand need that look. Whatever else changes a bucket marks its symbol.
import {
  BAR_FIRST_NS,
  BAR_LISTED_COUNT,
  BAR_PARTITION,
  BAR_SIZE,
  BAR_SYMBOL_INDEX,
  BAR_TRADE_COUNT,
  OUT_KIND_BAR_OPEN,
  OUT_KIND_SYMBOL_CLEAR,
  PARTITION_WATERMARK_NS,
  SHARD_LIST_LOCAL_INDEX,
  SHARD_LIST_STAGE,
  SHARD_SLOT_COUNT,
  SHARD_SLOTS_TAKEN,
  SHARD_SYMBOL_COUNT,
  SHARD_TIMEFRAME_COUNT,
  SYMBOL_META_IS_TOUCHED,
  SYMBOL_META_PARTITION,
  SYMBOL_META_SIZE,
  SYMBOL_META_SYMBOL_INDEX,
} from "../../schemas/layout.gen";
import { emitBar, emitEmpty, outHasRoom } from "./bar-out";
import { accumulatorRow, EMPTY, metaOf, NO_WATERMARK, partitionOf, slotOf, slotRow, touch } from "./bar-state";

const BAR_SHIFT: usize = 7;
const SLOT_BIT_MASK: i32 = 63;
const NO_LISTING: i32 = -1;
const LISTED: i32 = -1;

/** The tick loops have a second of this slot in hand from now on. */
export function takeSlot(header: usize, slot: i32): void {
  store<u64>(header, load<u64>(header, SHARD_SLOTS_TAKEN) | ((<u64>1) << (<u64>(slot & SLOT_BIT_MASK))), SHARD_SLOTS_TAKEN);
}

/** No slot has been in hand and no listing is under way. */
export function resetListing(header: usize): void {
  store<u64>(header, 0, SHARD_SLOTS_TAKEN);
  endListing(header);
}

/** The listing has been delivered together with its barrier. */
export function endListing(header: usize): void {
  store<i32>(header, NO_LISTING, SHARD_LIST_LOCAL_INDEX);
}

/** The bucket counts as listed as it stands. */
export function setListed(bucket: usize): void {
  store<i32>(bucket, load<i32>(bucket, BAR_TRADE_COUNT), BAR_LISTED_COUNT);
}

/**
 * Puts every open bucket of the touched symbols into the out ring, symbol by symbol, and a symbolClear for one that has none. False when
 * the ring is full; called again, it goes on, and nothing else may have run in between. The second in hand has to be taken anew afterwards.
 */
export function listTouched(header: usize): bool {
  const symbols = load<i32>(header, SHARD_SYMBOL_COUNT);
  let localIndex = load<i32>(header, SHARD_LIST_LOCAL_INDEX);
  let stage = load<i32>(header, SHARD_LIST_STAGE);
  if (localIndex == NO_LISTING) {
    touchTaken(header);
    localIndex = 0;
    stage = 0;
  }
  let meta = metaOf(header, localIndex);
  for (; localIndex < symbols; ++localIndex) {
    if (load<i32>(meta, SYMBOL_META_IS_TOUCHED) != 0) {
      stage = listSymbol(header, localIndex, meta, stage);
      if (stage != LISTED) {
        store<i32>(header, localIndex, SHARD_LIST_LOCAL_INDEX);
        store<i32>(header, stage, SHARD_LIST_STAGE);
        return false;
      }
      store<i32>(meta, 0, SYMBOL_META_IS_TOUCHED);
      stage = 0;
    }
    meta += SYMBOL_META_SIZE;
  }
  store<i32>(header, symbols, SHARD_LIST_LOCAL_INDEX);
  return true;
}

/** Touches the symbols whose 1 s buckets the tick loops have merged into. */
function touchTaken(header: usize): void {
  const slots = load<i32>(header, SHARD_SLOT_COUNT);
  const symbols = load<i32>(header, SHARD_SYMBOL_COUNT);
  const taken = load<u64>(header, SHARD_SLOTS_TAKEN);
  for (let slot = 0; slot < slots; ++slot) {
    if (((taken >> (<u64>(slot & SLOT_BIT_MASK))) & 1) == 0) continue;
    let bucket = slotRow(header, slot);
    for (let localIndex = 0; localIndex < symbols; ++localIndex) {
      if (load<i32>(bucket, BAR_TRADE_COUNT) != load<i32>(bucket, BAR_LISTED_COUNT)) touch(metaOf(header, localIndex));
      bucket += BAR_SIZE;
    }
  }
  store<u64>(header, 0, SHARD_SLOTS_TAKEN);
}

/**
 * Lists the buckets of one symbol from `stage` on: its 1 s buckets by slot from that of its watermark on, which is by time, then its
 * accumulators, then what it says when all are empty. Returns the stage for which the out ring had no room, or LISTED.
 */
function listSymbol(header: usize, localIndex: i32, meta: usize, stage: i32): i32 {
  const offset = (<usize>localIndex) << BAR_SHIFT;
  const slots = load<i32>(header, SHARD_SLOT_COUNT);
  const stages = slots + load<i32>(header, SHARD_TIMEFRAME_COUNT);
  const watermarkNs = load<i64>(partitionOf(header, load<i32>(meta, SYMBOL_META_PARTITION)), PARTITION_WATERMARK_NS);
  const firstSlot = watermarkNs == NO_WATERMARK ? 0 : slotOf(header, watermarkNs);
  // A listing that was cut short before `stages` goes on with an open bucket, so that this is right for it too.
  let isClear = true;
  for (; stage < stages; ++stage) {
    if (stage == slots) continue; // row 0 of the accumulators holds no buckets
    const isSlot = stage < slots;
    const bucket = offset + (isSlot ? slotRow(header, (firstSlot + stage) & (slots - 1)) : accumulatorRow(header, stage - slots));
    if (load<i64>(bucket, BAR_FIRST_NS) != EMPTY) {
      if (!outHasRoom(1)) return stage;
      emitBar(bucket, OUT_KIND_BAR_OPEN);
      isClear = false;
    }
    if (isSlot) setListed(bucket);
  }
  if (!isClear) return LISTED;
  if (!outHasRoom(1)) return stages;
  const record = emitEmpty(OUT_KIND_SYMBOL_CLEAR);
  store<i32>(record, load<i32>(meta, SYMBOL_META_SYMBOL_INDEX), BAR_SYMBOL_INDEX);
  store<i32>(record, load<i32>(meta, SYMBOL_META_PARTITION), BAR_PARTITION);
  return LISTED;
}
