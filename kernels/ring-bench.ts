// Both ends of a tick ring for `bench/ring.bench.ts`: a producer that writes whole ticks and a consumer that reads them, each
// wholly in WASM on a thread of its own. `bench/cpp/ring.cpp` does the same.
import {
  LAYOUT_HASH, RING_CAPACITY, RING_HEAD, RING_TAIL, TICK_KIND, TICK_KIND_TRADE, TICK_LOW, TICK_PRICE, TICK_QUANTITY_LOTS, TICK_SIZE,
  TICK_SYMBOL_INDEX, TICK_TS_EVENT_NS,
} from "../schemas/layout.gen";
import { ringFree, ringPublish, ringReady, ringRelease, ringSlot } from "./lib/ring";

const TICK_SHIFT = 6;
const SYMBOLS: i32 = 500;
const FIRST_NS: i64 = 1700000000000000000;
/** Arithmetic steps after an empty or full look, before the shared line is touched again. */
const BACK_OFF: i32 = 100;

let backOffState: i32 = 1;
let symbolSum: i64 = 0;
let quantitySum: i64 = 0;
let timeSum: i64 = 0;
let priceSum: i64 = 0;

export function layoutHash(): i32 {
  return LAYOUT_HASH;
}

/** Sets the checksums, wrapping sums of four fields, to zero. */
export function reset(): void {
  symbolSum = 0;
  quantitySum = 0;
  timeSum = 0;
  priceSum = 0;
}

/** Puts the checksums of what this end has seen at `address`: four u64. */
export function checksums(address: usize): void {
  store<i64>(address, symbolSum);
  store<i64>(address, quantitySum, 8);
  store<i64>(address, timeSum, 16);
  store<i64>(address, priceSum, 24);
}

/** Both ends meet here before they start: `gate` is a word that is 0 before. */
export function meet(gate: usize): void {
  atomic.add<i32>(gate, 1);
  while (atomic.load<i32>(gate) < 2) backOff();
}

function backOff(): void {
  let state = backOffState;
  for (let i = 0; i < BACK_OFF; i++) state = state * 1664525 + 1013904223;
  backOffState = state;
}

/** Writes ticks number `first` to `first + total - 1`, published `batch` at a time. */
export function produce(ring: usize, first: i32, total: i32, batch: i32): void {
  const capacity = load<i32>(ring, RING_CAPACITY);
  const mask = capacity - 1;
  let position = load<i32>(ring, RING_HEAD);
  let symbol = first % SYMBOLS;
  let symbols = symbolSum, quantities = quantitySum, times = timeSum, prices = priceSum;
  let free = ringFree(ring);
  for (let number = first, end = first + total; number < end;) {
    const count = min(batch, end - number);
    while (free < count) {
      free = ringFree(ring);
      if (free < count) backOff();
    }
    free -= count;
    // One run of slots at a time, none across the end of the ring.
    for (let left = count; left > 0;) {
      const run = min(left, capacity - (position & mask));
      let slot = ringSlot(ring, position, TICK_SHIFT);
      for (const stop = slot + (<usize>run << TICK_SHIFT); slot != stop; slot += TICK_SIZE, number++) {
        const time = FIRST_NS + <i64>number;
        const price = 2500.0 + <f64>(number & 255) * 0.05;
        const quantity = <i64>(number & 7) + 1;
        // Four stores to a slot, which is one cache line: stores wait in a queue of limited length.
        v128.store(slot, i64x2.replace_lane(i64x2.splat(<i64>TICK_KIND_TRADE | (<i64>symbol << 32)), 1, time), TICK_KIND);
        v128.store(slot, f64x2.replace_lane(f64x2.splat(0), 0, price), TICK_PRICE);
        v128.store(slot, f64x2.splat(0), TICK_LOW);
        v128.store(slot, i64x2.replace_lane(i64x2.splat(1), 0, quantity), TICK_QUANTITY_LOTS);
        symbols += symbol;
        quantities += quantity;
        times += time;
        prices += reinterpret<i64>(price);
        symbol = symbol == SYMBOLS - 1 ? 0 : symbol + 1;
      }
      position += run;
      left -= run;
    }
    ringPublish(ring, position);
  }
  symbolSum = symbols;
  quantitySum = quantities;
  timeSum = times;
  priceSum = prices;
}

/** Reads `total` ticks, everything that is there at a time. */
export function consume(ring: usize, total: i32): void {
  const capacity = load<i32>(ring, RING_CAPACITY);
  const mask = capacity - 1;
  let position = load<i32>(ring, RING_TAIL);
  let symbols = symbolSum, quantities = quantitySum, times = timeSum, prices = priceSum;
  for (let done = 0; done < total;) {
    const ready = min(ringReady(ring), total - done);
    if (ready == 0) {
      backOff();
      continue;
    }
    const run = min(ready, capacity - (position & mask));
    let slot = ringSlot(ring, position, TICK_SHIFT);
    for (const stop = slot + (<usize>run << TICK_SHIFT); slot != stop; slot += TICK_SIZE) {
      symbols += load<i32>(slot, TICK_SYMBOL_INDEX);
      quantities += load<i64>(slot, TICK_QUANTITY_LOTS);
      times += load<i64>(slot, TICK_TS_EVENT_NS);
      prices += load<i64>(slot, TICK_PRICE);
    }
    position += run;
    ringRelease(ring, position);
    done += run;
  }
  symbolSum = symbols;
  quantitySum = quantities;
  timeSum = times;
  priceSum = prices;
}
