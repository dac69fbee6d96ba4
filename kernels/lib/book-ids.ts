// Finds live orders by their id: open addressing with linear probing, at most half full. An entry is {high half of the hash, order}: the hash
// tells the home of an entry without looking at its order, and a wrong order is hardly ever looked at.
import { AT_LIVE, idMask, ids, idShift, ORDER_ID, region } from "./book-region";

const MIX: u64 = 0x9e3779b97f4a7c15;

function hashOf(id: u64): u32 {
  return <u32>((id * MIX) >> 32);
}

function entryAt(slot: u32): usize {
  return ids + (<usize>slot << 3);
}

/** The order whose entry stands where a search for an id begins: nearly always the right one. 0: none. */
export function orderAtHome(id: u64): usize {
  return <usize>load<u32>(entryAt(hashOf(id) >> idShift), 4);
}

/** The live order with an id, 0 when there is none. */
export function findOrder(id: u64): usize {
  const hash = hashOf(id);
  let slot = hash >> idShift;
  while (true) {
    const entry = load<u64>(entryAt(slot));
    const order = <usize>(entry >> 32);
    if (<u32>entry == hash) {
      if (load<u64>(order, ORDER_ID) == id) return order;
    }
    if (order == 0) return 0;
    slot = (slot + 1) & idMask;
  }
}

/** The same, which may be `noted`: what has the id is live, as orders lose theirs when they are freed. */
export function findNoted(id: u64, noted: usize): usize {
  return id != 0 && load<u64>(noted, ORDER_ID) == id ? noted : findOrder(id);
}

/** The entry of an id, or the empty one where it belongs. */
export function placeOfId(id: u64): usize {
  const hash = hashOf(id);
  let slot = hash >> idShift;
  while (true) {
    const at = entryAt(slot);
    const entry = load<u64>(at);
    const order = <usize>(entry >> 32);
    if (order == 0 || (<u32>entry == hash && load<u64>(order, ORDER_ID) == id)) return at;
    slot = (slot + 1) & idMask;
  }
}

/** The order of an entry, 0 when it is empty. */
export function orderAtPlace(place: usize): usize {
  return <usize>load<u32>(place, 4);
}

/** Fills an empty entry that is the place of the order's id. */
export function fillPlace(place: usize, order: usize): void {
  store<u64>(place, <u64>hashOf(load<u64>(order, ORDER_ID)) | (<u64>order << 32));
  store<i32>(region, load<i32>(region, AT_LIVE) + 1, AT_LIVE);
}

/** The id must not be in the table. */
export function addId(order: usize): void {
  const hash = hashOf(load<u64>(order, ORDER_ID));
  let slot = hash >> idShift;
  while (load<u32>(entryAt(slot), 4) != 0) slot = (slot + 1) & idMask;
  store<u64>(entryAt(slot), <u64>hash | (<u64>order << 32));
  store<i32>(region, load<i32>(region, AT_LIVE) + 1, AT_LIVE);
}

/** Takes the entry of a live order out; entries after it move up to where a search would find them. */
export function removeId(order: usize): void {
  let hole = hashOf(load<u64>(order, ORDER_ID)) >> idShift;
  while (load<u32>(entryAt(hole), 4) != <u32>order) hole = (hole + 1) & idMask;
  for (let slot = hole; ; ) {
    slot = (slot + 1) & idMask;
    const entry = load<u64>(entryAt(slot));
    if (entry >> 32 == 0) break;
    const home = <u32>entry >> idShift;
    // The entry may not move before its home.
    if (((slot - home) & idMask) >= ((slot - hole) & idMask)) {
      store<u64>(entryAt(hole), entry);
      hole = slot;
    }
  }
  store<u64>(entryAt(hole), 0);
  store<i32>(region, load<i32>(region, AT_LIVE) - 1, AT_LIVE);
}
