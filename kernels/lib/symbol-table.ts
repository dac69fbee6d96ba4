// What ingest knows of each symbol, and the table that finds a symbol by the bytes of its name.
//
//   entry (128 B)   0 shard | 4 index within the shard | 8 partition | 12 instrument kind | 16 largest price f64
//                  24 has a session | 28 bytes of the name | 32 window from | 40 window to | 48 open | 56 close (i64 each)
//                  64 name, zero padded to 40 B
//   hash slot (4 B) engine-wide index + 1, 0 when free; linear probing, at most half full
//
// A window is one local day of the symbol's session. Outside the window nothing is known until the engine has set the next one.

export const SYMBOL_BYTES: i32 = 128;
const NAME_BYTES_MAX: i32 = 40;
const AT_SHARD: usize = 0;
const AT_LOCAL_INDEX: usize = 4;
const AT_PARTITION: usize = 8;
const AT_KIND: usize = 12;
const AT_PRICE_MAX: usize = 16;
const AT_HAS_SESSION: usize = 24;
const AT_NAME_LENGTH: usize = 28;
const AT_WINDOW_FROM: usize = 32;
const AT_WINDOW_TO: usize = 40;
const AT_OPEN: usize = 48;
const AT_CLOSE: usize = 56;
const AT_NAME: usize = 64;

/** Answers of `sessionOf`. */
export const SESSION_OPEN: i32 = 0;
export const SESSION_CLOSED: i32 = 1;
export const SESSION_UNKNOWN: i32 = 2;

let entries: usize = 0;
let slots: usize = 0;
let slotMask: u32 = 0;
let slotShift: u32 = 0;
let count: i32 = 0;

/** Slots of the hash table: a power of two, at least twice the symbols. */
export function hashSlotsFor(symbolCapacity: i32): i32 {
  let slotsNeeded = 16;
  while (slotsNeeded < symbolCapacity * 2) slotsNeeded *= 2;
  return slotsNeeded;
}

export function placeSymbols(entriesAt: usize, slotsAt: usize, symbolCapacity: i32): void {
  entries = entriesAt;
  slots = slotsAt;
  slotMask = <u32>hashSlotsFor(symbolCapacity) - 1;
  slotShift = clz(slotMask);
  count = 0;
}

/** Address of the entry of an engine-wide index, 0 when there is no such symbol. */
export function symbolEntry(index: i32): usize {
  return <u32>index < <u32>count ? entries + <usize>index * SYMBOL_BYTES : 0;
}

export function shardOf(entry: usize): i32 {
  return load<i32>(entry, AT_SHARD);
}

export function localIndexOf(entry: usize): i32 {
  return load<i32>(entry, AT_LOCAL_INDEX);
}

export function partitionOf(entry: usize): i32 {
  return load<i32>(entry, AT_PARTITION);
}

export function kindOf(entry: usize): i32 {
  return load<i32>(entry, AT_KIND);
}

/** Largest price whose integer form, in the instrument's decimals, still fits the bar kernel. */
export function priceMaxOf(entry: usize): f64 {
  return load<f64>(entry, AT_PRICE_MAX);
}

/** The next symbol; entries are added in order of their engine-wide index. Returns that index. */
export function addSymbol(shard: i32, localIndex: i32, partition: i32, kind: i32): i32 {
  const entry = entries + <usize>count * SYMBOL_BYTES;
  store<i32>(entry, shard, AT_SHARD);
  store<i32>(entry, localIndex, AT_LOCAL_INDEX);
  store<i32>(entry, partition, AT_PARTITION);
  store<i32>(entry, kind, AT_KIND);
  count += 1;
  return count - 1;
}

export function setPriceMax(index: i32, priceMax: f64): void {
  store<f64>(symbolEntry(index), priceMax, AT_PRICE_MAX);
}

/** Says that the symbol has a session, and which local day `[from, to)` is known. */
export function setSessionDay(index: i32, from: i64, to: i64): void {
  const entry = symbolEntry(index);
  store<i32>(entry, 1, AT_HAS_SESSION);
  store<i64>(entry, from, AT_WINDOW_FROM);
  store<i64>(entry, to, AT_WINDOW_TO);
}

/** Open and close on the known day. An open after the close means overnight trading. */
export function setSessionHours(index: i32, open: i64, close: i64): void {
  const entry = symbolEntry(index);
  store<i64>(entry, open, AT_OPEN);
  store<i64>(entry, close, AT_CLOSE);
}

export function sessionOf(entry: usize, tsEventNs: i64): i32 {
  if (!load<i32>(entry, AT_HAS_SESSION)) return SESSION_OPEN;
  if (tsEventNs < load<i64>(entry, AT_WINDOW_FROM) || tsEventNs >= load<i64>(entry, AT_WINDOW_TO)) return SESSION_UNKNOWN;
  const isAfterOpen = tsEventNs >= load<i64>(entry, AT_OPEN);
  const isBeforeClose = tsEventNs < load<i64>(entry, AT_CLOSE);
  const isOvernight = load<i64>(entry, AT_OPEN) > load<i64>(entry, AT_CLOSE);
  const isOpen = isOvernight ? isAfterOpen || isBeforeClose : isAfterOpen && isBeforeClose;
  return isOpen ? SESSION_OPEN : SESSION_CLOSED;
}

/** Lets a symbol be found by its name: `length` bytes, 1 to 40, at `name`, followed by readable bytes. */
export function internName(index: i32, name: usize, length: i32): void {
  const entry = symbolEntry(index);
  store<i32>(entry, length, AT_NAME_LENGTH);
  memory.fill(entry + AT_NAME, 0, NAME_BYTES_MAX);
  memory.copy(entry + AT_NAME, name, length);
  let slot = hashName(name, length) >> slotShift;
  while (load<i32>(slots + (<usize>slot << 2))) slot = (slot + 1) & slotMask;
  store<i32>(slots + (<usize>slot << 2), index + 1);
}

/** Engine-wide index of the symbol with this name, -1 when there is none. Reads up to 7 bytes past the name. */
export function findName(name: usize, length: i32): i32 {
  if (<u32>(length - 1) >= <u32>NAME_BYTES_MAX) return -1;
  let slot = hashName(name, length) >> slotShift;
  while (true) {
    const index = load<i32>(slots + (<usize>slot << 2)) - 1;
    if (index < 0) return -1;
    const entry = entries + <usize>index * SYMBOL_BYTES;
    if (load<i32>(entry, AT_NAME_LENGTH) == length && isSameName(entry + AT_NAME, name, length)) return index;
    slot = (slot + 1) & slotMask;
  }
}

/** Eight bytes of a name from `offset`, with the bytes past its end zeroed. */
function nameWord(name: usize, offset: i32, length: i32): u64 {
  const word = load<u64>(name + <usize>offset);
  const left = length - offset;
  return left >= 8 ? word : word & ((<u64>1 << (<u64>left << 3)) - 1);
}

/** 32 bits of which the highest are the best mixed: every bit of the name reaches them. */
function hashName(name: usize, length: i32): u32 {
  let hash: u64 = <u64>length;
  for (let offset = 0; offset < length; offset += 8) {
    hash = (hash ^ nameWord(name, offset, length)) * 0x9e3779b97f4a7c15;
    hash ^= hash >> 32;
  }
  return <u32>(hash >> 32);
}

function isSameName(stored: usize, name: usize, length: i32): bool {
  for (let offset = 0; offset < length; offset += 8) {
    if (load<u64>(stored + <usize>offset) != nameWord(name, offset, length)) return false;
  }
  return true;
}
