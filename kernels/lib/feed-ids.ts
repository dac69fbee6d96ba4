// Finds the resting orders of a followed feed by their id. A group of twelve places is a cache line, and one comparison of its tags tells which
// places to look at, so that hardly any branch goes unforeseen, however the ids fall. The table lies in the id area of a book region that no matcher
// works on, twice the size of the matcher's own, where it is at most a third full.
//
//   group (64 B)   0 tags, 12 x u8: 0 free, else 128 + 7 bits of the hash
//                 12 orders that belong to this group or one before it and stand in one after it, as it was full: 0, else 2^31 + their number u32
//                 16 orders, 12 x u32
import { idMask, ids, ORDER_ID } from "./book-region";

const MIX: u64 = 0x9e3779b97f4a7c15;
/** A bit for each place, among those of the first 16 bytes of a group. */
export const PLACES: u32 = 0xfff;
const GROUP_SHIFT: usize = 6;
/** Room for eight of twice the matcher's entries is a group. */
const ENTRIES_SHIFT: u32 = 3;
const AT_PASSED: usize = 12;
const ONE_PASSED: u32 = 0x80000001;
const AT_PLACES: usize = 16;

let hashShift: u64 = 0;
let lastGroup: usize = 0;
/** Where the last order that was found stands. */
let foundGroup: usize = 0;
let foundPlace: u32 = 0;

/** Takes the id area of the region that was placed. */
export function placeFeedIds(): void {
  const groups = (idMask + 1) >> ENTRIES_SHIFT;
  hashShift = <u64>(64 - ctz(groups));
  lastGroup = ids + (<usize>(groups - 1) << GROUP_SHIFT);
}

export function hashOf(id: u64): u64 {
  return id * MIX;
}

/** The group that an id belongs to: the highest bits of the hash. */
export function groupOf(hash: u64): usize {
  return ids + (<usize>(hash >> hashShift) << GROUP_SHIFT);
}

function tagOf(hash: u64): i32 {
  return <i32>(hash >> 36) | 128;
}

/** Bits of the places of a group that may have the id of a hash; those above PLACES say nothing. */
export function likelyPlaces(group: usize, hash: u64): u32 {
  return i8x16.bitmask(i8x16.eq(v128.load(group), i8x16.splat(<i8>tagOf(hash))));
}

/** Bits of the places of a group that are taken; PLACES and more when all are, or when ids that belong to it may stand elsewhere. */
export function takenPlaces(group: usize): u32 {
  return i8x16.bitmask(v128.load(group));
}

/** Notes an order at the first place of a group that is not taken. */
export function fillPlace(group: usize, taken: u32, hash: u64, order: usize): void {
  const place = <usize>ctz(~taken);
  store<u8>(group + place, <u8>tagOf(hash));
  store<u32>(group + (place << 2), <u32>order, AT_PLACES);
}

function nextGroup(group: usize): usize {
  return group == lastGroup ? ids : group + (1 << GROUP_SHIFT);
}

/** The resting order with an id, 0 when there is none. */
export function findFeedOrder(id: u64): usize {
  const hash = hashOf(id);
  const home = groupOf(hash);
  let group = home;
  do {
    for (let likely = likelyPlaces(group, hash) & PLACES; likely != 0; likely &= likely - 1) {
      const place = ctz(likely);
      const order = <usize>load<u32>(group + (<usize>place << 2), AT_PLACES);
      if (load<u64>(order, ORDER_ID) == id) {
        foundGroup = group;
        foundPlace = place;
        return order;
      }
    }
    if (load<u32>(group, AT_PASSED) == 0) break;
    group = nextGroup(group);
  } while (group != home);
  return 0;
}

/** Notes an order under its id, which must not be there. There are more places than orders. */
export function addFeedOrder(id: u64, order: usize): void {
  const hash = hashOf(id);
  let group = groupOf(hash);
  let taken = takenPlaces(group) & PLACES;
  while (taken == PLACES) {
    const passed = load<u32>(group, AT_PASSED);
    store<u32>(group, passed == 0 ? ONE_PASSED : passed + 1, AT_PASSED);
    group = nextGroup(group);
    taken = takenPlaces(group) & PLACES;
  }
  fillPlace(group, taken, hash, order);
}

/** Forgets the order that was found last, which has this id. */
export function removeFoundOrder(id: u64): void {
  store<u8>(foundGroup + <usize>foundPlace, 0);
  for (let group = groupOf(hashOf(id)); group != foundGroup; group = nextGroup(group)) {
    const passed = load<u32>(group, AT_PASSED);
    store<u32>(group, passed == ONE_PASSED ? 0 : passed - 1, AT_PASSED);
  }
}
