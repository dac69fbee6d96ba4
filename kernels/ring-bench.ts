// Both ends of a tick ring for `bench/ring.bench.ts`: a producer that writes whole ticks and a consumer that reads them, each
// wholly in WASM on a thread of its own. `bench/cpp/ring.cpp` does the same.
import {
  LAYOUT_HASH, RING_CAPACITY, RING_HEAD, RING_TAIL, TICK_KIND, TICK_KIND_TRADE, TICK_LOW, TICK_PRICE, TICK_QUANTITY_LOTS, TICK_SIZE,
  TICK_SYMBOL_INDEX, TICK_TS_EVENT_NS,
} from "../schemas/layout.gen";
import { ringFree, ringPublish, ringReady, ringRelease, ringSlot } from "./lib/ring";

const TICK_SHIFT = 6;
const SYMBOLS: i32 = 500;
/** Slots of a run that the producer writes in one piece. */
const RUN_MAX: i32 = 16;
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

function priceOf(number: i32): f64 {
  return 2500.0 + <f64>(number & 255) * 0.05;
}

function quantityOf(number: i32): i64 {
  return <i64>(number & 7) + 1;
}

/** The first quarter of a tick: what it is, whose and when. */
function claimTick(slot: usize, number: i32, symbol: i32): void {
  v128.store(slot, i64x2.replace_lane(i64x2.splat(<i64>TICK_KIND_TRADE | (<i64>symbol << 32)), 1, FIRST_NS + <i64>number), TICK_KIND);
}

/** The rest of it. */
function fillTick(slot: usize, number: i32): void {
  v128.store(slot, f64x2.replace_lane(f64x2.splat(0), 0, priceOf(number)), TICK_PRICE);
  v128.store(slot, f64x2.splat(0), TICK_LOW);
  v128.store(slot, i64x2.replace_lane(i64x2.splat(1), 0, quantityOf(number)), TICK_QUANTITY_LOTS);
}

/**
 * Writes a run of slots, `stop` excluded, in two passes. A slot is a cache line that the other processor holds; stores wait for
 * it in a queue of limited length, and one store to each line first has more lines on their way at once than four would.
 * Four ticks a turn, since each turn of a loop in WASM also looks whether it has been interrupted.
 */
function writeRun(start: usize, stop: usize, first: i32): void {
  let symbol = first % SYMBOLS;
  let symbols: i64 = 0, quantities: i64 = 0, times: i64 = 0, prices: i64 = 0;
  for (let slot = start, number = first; slot != stop; slot += 4 * TICK_SIZE, number += 4) {
    claimTick(slot, number, symbol);
    claimTick(slot + TICK_SIZE, number + 1, symbol + 1);
    claimTick(slot + 2 * TICK_SIZE, number + 2, symbol + 2);
    claimTick(slot + 3 * TICK_SIZE, number + 3, symbol + 3);
    symbols += 4 * symbol + 6;
    times += 4 * (FIRST_NS + <i64>number) + 6;
    symbol = symbol == SYMBOLS - 4 ? 0 : symbol + 4;
  }
  for (let slot = start, number = first; slot != stop; slot += 4 * TICK_SIZE, number += 4) {
    fillTick(slot, number);
    fillTick(slot + TICK_SIZE, number + 1);
    fillTick(slot + 2 * TICK_SIZE, number + 2);
    fillTick(slot + 3 * TICK_SIZE, number + 3);
    quantities += quantityOf(number) + quantityOf(number + 1) + quantityOf(number + 2) + quantityOf(number + 3);
    prices += reinterpret<i64>(priceOf(number)) + reinterpret<i64>(priceOf(number + 1));
    prices += reinterpret<i64>(priceOf(number + 2)) + reinterpret<i64>(priceOf(number + 3));
  }
  symbolSum += symbols;
  quantitySum += quantities;
  timeSum += times;
  priceSum += prices;
}

/** Writes ticks number `first` to `first + total - 1`, published `batch` at a time; all three are multiples of four. */
export function produce(ring: usize, first: i32, total: i32, batch: i32): void {
  const capacity = load<i32>(ring, RING_CAPACITY);
  let position = load<i32>(ring, RING_HEAD);
  let free = ringFree(ring);
  for (let number = first, end = first + total; number < end;) {
    const count = min(batch, end - number);
    while (free < count) {
      free = ringFree(ring);
      if (free < count) backOff();
    }
    free -= count;
    for (let left = count; left > 0;) {
      // No run crosses the end of the ring, and none is longer than the store queue is good for.
      const run = min(min(left, RUN_MAX), capacity - (position & (capacity - 1)));
      const slot = ringSlot(ring, position, TICK_SHIFT);
      writeRun(slot, slot + (<usize>run << TICK_SHIFT), number);
      number += run;
      position += run;
      left -= run;
    }
    ringPublish(ring, position);
  }
}

/** Reads `total` ticks, everything that is there at a time; four a turn, as `produce` writes them. */
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
    for (const stop = slot + (<usize>run << TICK_SHIFT); slot != stop; slot += 4 * TICK_SIZE) {
      symbols += load<i32>(slot, TICK_SYMBOL_INDEX) + load<i32>(slot, TICK_SIZE + TICK_SYMBOL_INDEX);
      symbols += load<i32>(slot, 2 * TICK_SIZE + TICK_SYMBOL_INDEX) + load<i32>(slot, 3 * TICK_SIZE + TICK_SYMBOL_INDEX);
      quantities += load<i64>(slot, TICK_QUANTITY_LOTS) + load<i64>(slot, TICK_SIZE + TICK_QUANTITY_LOTS);
      quantities += load<i64>(slot, 2 * TICK_SIZE + TICK_QUANTITY_LOTS) + load<i64>(slot, 3 * TICK_SIZE + TICK_QUANTITY_LOTS);
      times += load<i64>(slot, TICK_TS_EVENT_NS) + load<i64>(slot, TICK_SIZE + TICK_TS_EVENT_NS);
      times += load<i64>(slot, 2 * TICK_SIZE + TICK_TS_EVENT_NS) + load<i64>(slot, 3 * TICK_SIZE + TICK_TS_EVENT_NS);
      prices += load<i64>(slot, TICK_PRICE) + load<i64>(slot, TICK_SIZE + TICK_PRICE);
      prices += load<i64>(slot, 2 * TICK_SIZE + TICK_PRICE) + load<i64>(slot, 3 * TICK_SIZE + TICK_PRICE);
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
