// Finds live orders by their id: open addressing with linear probing, at most half full. An entry is four bytes, so that the table of a book of a
// thousand orders is no more than half of the nearest cache: the order's address, whose lowest five bits say nothing, and in their stead how many
// places the entry stands after the one where a search for its id begins. That tells where an entry may move without looking at its order, and
// an order is only looked at when its entry stands as far from its home as the search has come.
import { AT_LIVE, idMask, ids, idShift, ORDER_ID, ORDER_SHIFT, REGION } from "./book-region";

const MIX: u64 = 0x9e3779b97f4a7c15;
const DISTANCE_BITS: u32 = <u32>ORDER_SHIFT;
/** Stands for itself and any farther. */
const FARTHEST: u32 = (1 << DISTANCE_BITS) - 1;
const DISTANCE_SHIFT: u32 = 32 - DISTANCE_BITS;

function homeOf(id: u64): u32 {
  return <u32>((id * MIX) >> idShift);
}

function entryAt(slot: u32): usize {
  return ids + (<usize>slot << 2);
}

function orderOf(entry: u32): usize {
  return <usize>(entry << DISTANCE_BITS);
}

/** How far the entry of a place is from its home. */
function distanceOf(entry: u32, slot: u32): u32 {
  const distance = entry >> DISTANCE_SHIFT;
  return distance < FARTHEST ? distance : (slot - homeOf(load<u64>(orderOf(entry), ORDER_ID))) & idMask;
}

function entryOf(order: usize, distance: u32): u32 {
  return <u32>(order >> ORDER_SHIFT) | (min(distance, FARTHEST) << DISTANCE_SHIFT);
}

/** The order whose entry stands where a search for an id begins: nearly always the right one. 0: none. */
export function orderAtHome(id: u64): usize {
  return orderOf(load<u32>(entryAt(homeOf(id))));
}

/** The live order with an id, 0 when there is none. */
export function findOrder(id: u64): usize {
  let slot = homeOf(id);
  let distance: u32 = 0;
  while (true) {
    const entry = load<u32>(entryAt(slot));
    if (entry == 0) return 0;
    const order = orderOf(entry);
    if (entry >> DISTANCE_SHIFT == distance && load<u64>(order, ORDER_ID) == id) return order;
    slot = (slot + 1) & idMask;
    distance = min(distance + 1, FARTHEST);
  }
}

/** The id must not be in the table. */
export function addId(order: usize): void {
  let slot = homeOf(load<u64>(order, ORDER_ID));
  let distance: u32 = 0;
  for (; load<u32>(entryAt(slot)) != 0; distance++) slot = (slot + 1) & idMask;
  store<u32>(entryAt(slot), entryOf(order, distance));
  store<i32>(REGION, load<i32>(REGION, AT_LIVE) + 1, AT_LIVE);
}

/** Takes the entry of a live order out; entries after it move up to where a search would find them. */
export function removeId(order: usize): void {
  let hole = homeOf(load<u64>(order, ORDER_ID));
  while (orderOf(load<u32>(entryAt(hole))) != order) hole = (hole + 1) & idMask;
  for (let slot = hole; ; ) {
    slot = (slot + 1) & idMask;
    const entry = load<u32>(entryAt(slot));
    if (entry == 0) break;
    const distance = distanceOf(entry, slot);
    const up = (slot - hole) & idMask;
    // The entry may not move before its home.
    if (distance < up) continue;
    store<u32>(entryAt(hole), entryOf(orderOf(entry), distance - up));
    hole = slot;
  }
  store<u32>(entryAt(hole), 0);
  store<i32>(REGION, load<i32>(REGION, AT_LIVE) - 1, AT_LIVE);
}
