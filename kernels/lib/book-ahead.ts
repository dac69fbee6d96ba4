// Looks at what commands to come will need, so that it is in the cache by then: memory that a command waits for costs more than all its work.
// Loads that nothing waits for do it, as there is no other way in WASM; their sum goes to the region so that they are not left out. What is
// looked at may be out of date when the command's turn comes, and a command may be nonsense: addresses are only ever taken from the region.
import {
  ORDER_COMMAND_ATTRIBUTES, ORDER_COMMAND_ORDER_ID, ORDER_COMMAND_PRICE_TICKS, ORDER_COMMAND_SIZE, ORDER_COMMAND_SYMBOL_INDEX,
} from "../../schemas/order-layout.gen";
import { homeEntry, orderAtHome } from "./book-ids";
import { likelyLevel } from "./book-levels";
import { ATTRIBUTES, DISPLAYED, keyOf, LEVEL, NEXT, PREVIOUS, symbolAt, symbolCount } from "./book-region";

/** Commands ahead: their entry in the id table, then their order, then its neighbours and the level where it will stand. */
const ENTRY_AHEAD: i32 = 12;
const ORDER_AHEAD: i32 = 8;
const PLACE_AHEAD: i32 = 4;
export const AHEAD: i32 = ENTRY_AHEAD;

/** Looks ahead of a command that at least AHEAD others follow; returns a sum of what it saw. */
export function lookAhead(command: usize): u32 {
  const entry = homeEntry(load<u64>(command + ENTRY_AHEAD * ORDER_COMMAND_SIZE, ORDER_COMMAND_ORDER_ID));
  const order = orderAtHome(load<u64>(command + ORDER_AHEAD * ORDER_COMMAND_SIZE, ORDER_COMMAND_ORDER_ID));
  return load<u32>(entry) + load<u32>(order, LEVEL) + lookAtPlace(command + PLACE_AHEAD * ORDER_COMMAND_SIZE);
}

function lookAtPlace(command: usize): u32 {
  const order = orderAtHome(load<u64>(command, ORDER_COMMAND_ORDER_ID));
  const index = load<u32>(command, ORDER_COMMAND_SYMBOL_INDEX);
  const side = load<u32>(order != 0 ? order + ATTRIBUTES : command + ORDER_COMMAND_ATTRIBUTES) & 1;
  const book = symbolAt(index < symbolCount ? index : 0) + DISPLAYED;
  const level = likelyLevel(book, side, keyOf(load<i32>(command, ORDER_COMMAND_PRICE_TICKS), side));
  const neighbours = load<u32>(<usize>load<u32>(order, NEXT)) + load<u32>(<usize>load<u32>(order, PREVIOUS));
  return neighbours + load<u32>(<usize>load<u32>(level, PREVIOUS)) + load<u32>(<usize>load<u32>(order, LEVEL));
}
