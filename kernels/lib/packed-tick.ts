// Expands the records of a packed message (schemas/packed.md) into tick records. The engine has read the message's header and
// symbols, and gives one reference for each symbol:
//
//   reference (32 B)  0 engine-wide index, or minus the refusal code | 4 TICK_KIND | 8 multiply lots by i64 | 16 then divide by i64
import {
  REFUSAL_MALFORMED,
  REFUSAL_QUANTITY_OFF_LOT,
  TICK_ASK,
  TICK_CLOSE,
  TICK_KIND,
  TICK_KIND_QUOTE,
  TICK_LOW,
  TICK_PRICE,
  TICK_QUANTITY_LOTS,
  TICK_SIZE,
  TICK_SYMBOL_INDEX,
  TICK_TRADE_COUNT,
  TICK_TS_EVENT_NS,
} from "../../schemas/layout.gen";

export const REFERENCE_BYTES: i32 = 32;
export const REFERENCES_MAX: i32 = 512;
const PACKED_RECORD_BYTES: usize = 32;
// 2^53 lots is the most that a tick may carry; a quotient beyond it is refused, and no product with a multiplier overflows.
const QUANTITY_MAX_LOTS: i64 = 9007199254740992;

let references: usize = 0;
let referenceCount: u32 = 0;

export function placeReferences(at: usize): void {
  references = at;
}

export function setReferenceCount(count: i32): void {
  referenceCount = <u32>count;
}

/**
 * Expands `count` packed records at `source` to tick records at `target`. Where one cannot be, the tick record's kind becomes
 * minus the refusal code. Returns how many could be expanded.
 */
export function expandPacked(source: usize, count: i32, target: usize): i32 {
  let expanded = 0;
  for (let index = 0; index < count; index += 1) {
    const from = source + <usize>index * PACKED_RECORD_BYTES;
    const record = target + <usize>index * TICK_SIZE;
    const refusal = expand(from, record);
    if (refusal) store<i32>(record, -refusal, TICK_KIND);
    else expanded += 1;
  }
  return expanded;
}

function expand(from: usize, record: usize): i32 {
  const position = load<u32>(from);
  if (position >= referenceCount || load<u32>(from, 4) != 0) return REFUSAL_MALFORMED;
  const reference = references + <usize>position * REFERENCE_BYTES;
  const symbolIndex = load<i32>(reference);
  if (symbolIndex < 0) return -symbolIndex;
  const kind = load<i32>(reference, 4);
  store<i32>(record, kind, TICK_KIND);
  store<i32>(record, symbolIndex, TICK_SYMBOL_INDEX);
  store<i64>(record, load<i64>(from, 8), TICK_TS_EVENT_NS);
  store<f64>(record, load<f64>(from, 16), TICK_PRICE);
  store<f64>(record, 0.0, TICK_ASK);
  store<f64>(record, 0.0, TICK_LOW);
  store<f64>(record, 0.0, TICK_CLOSE);
  store<i64>(record, 0, TICK_QUANTITY_LOTS);
  store<i32>(record, 0, TICK_TRADE_COUNT);
  if (kind == TICK_KIND_QUOTE) {
    store<f64>(record, load<f64>(from, 24), TICK_ASK);
    return 0;
  }
  const lots = load<i64>(from, 24);
  const multiplier = load<i64>(reference, 8);
  const divisor = load<i64>(reference, 16);
  if (lots % divisor != 0 || lots / divisor > QUANTITY_MAX_LOTS / multiplier) return REFUSAL_QUANTITY_OFF_LOT;
  // A negative quantity only has to stay negative; route refuses it.
  store<i64>(record, lots < 0 ? -1 : lots / divisor * multiplier, TICK_QUANTITY_LOTS);
  return 0;
}
