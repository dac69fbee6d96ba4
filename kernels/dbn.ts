// Decodes order-by-order DBN records (kernels/lib/dbn-record.ts) into the columns of a book batch.
//
//   columns at `target`, `capacity` values each: time i64 | order u64 | price i32 | size i32 | symbol i32 | action u8 | side u8 | flags u8
import { LAYOUT_HASH } from "../schemas/layout.gen";
import { ORDER_LAYOUT_HASH } from "../schemas/order-layout.gen";
import {
  action, ACTION_CLEAR, HEADER_BYTES, lots, marks, placeInstruments, READ_BROKEN, READ_COUNTED, READ_MESSAGE, readRecord, side, symbol, ticks,
} from "./lib/dbn-record";

/** Why a call ended: all whole records are used up, or the columns are full; else READ_INSTRUMENT or READ_BROKEN. */
const STOP_DRAINED: i32 = 0;
const STOP_FULL: i32 = 1;

let consumed: u32 = 0;
let stop: i32 = 0;

export function layoutHash(): i32 {
  return LAYOUT_HASH;
}

export function orderLayoutHash(): i32 {
  return ORDER_LAYOUT_HASH;
}

/** To be called again when an instrument was added. */
export function place(instrumentsAt: usize, count: i32, countersAt: usize): void {
  placeInstruments(instrumentsAt, count, countersAt);
}

/** Bytes of the last call that are done with. */
export function consumedBytes(): u32 {
  return consumed;
}

/** Why the last call ended. */
export function stopReason(): i32 {
  return stop;
}

/**
 * Decodes records from `source` until one of the reasons to stop; returns how many messages were written.
 * The record that stopped it is not consumed.
 */
export function decode(source: usize, bytes: u32, target: usize, capacity: i32): i32 {
  const orders = target + (<usize>capacity << 3);
  const prices = orders + (<usize>capacity << 3);
  const quantities = prices + (<usize>capacity << 2);
  const symbols = quantities + (<usize>capacity << 2);
  const actions = symbols + (<usize>capacity << 2);
  const sides = actions + <usize>capacity;
  const flags = sides + <usize>capacity;
  let at: u32 = 0;
  let count = 0;
  stop = STOP_DRAINED;
  while (bytes - at >= HEADER_BYTES) {
    const record = source + at;
    const length = <u32>load<u8>(record) << 2;
    if (length < HEADER_BYTES) {
      stop = READ_BROKEN;
      break;
    }
    if (length > bytes - at) break;
    if (count == capacity) {
      stop = STOP_FULL;
      break;
    }
    const read = readRecord(record, length);
    if (read > READ_COUNTED) {
      stop = read;
      break;
    }
    at += length;
    if (read != READ_MESSAGE) continue;
    store<i64>(target + (<usize>count << 3), load<i64>(record, 8));
    store<i64>(orders + (<usize>count << 3), action == ACTION_CLEAR ? 0 : load<i64>(record, 16));
    store<i32>(prices + (<usize>count << 2), ticks);
    store<i32>(quantities + (<usize>count << 2), lots);
    store<i32>(symbols + (<usize>count << 2), symbol);
    store<u8>(actions + <usize>count, <u8>action);
    store<u8>(sides + <usize>count, <u8>side);
    store<u8>(flags + <usize>count, <u8>marks);
    count += 1;
  }
  consumed = at;
  return count;
}
