// Looks at what the next commands will need, so that it is in the cache by then: with many orders a command waits longer for memory than it works.
// Loads that nothing waits for do it, as there is no other way in WASM; their sum goes to the region so that they are not left out. A block of
// commands is looked at in three rounds, as each round's addresses come from the one before, and the loads of a round wait side by side.
// What is looked at may be out of date when the command's turn comes, and a command may be nonsense: addresses are only ever taken from
// the region.
import {
  ORDER_COMMAND_ATTRIBUTES, ORDER_COMMAND_ORDER_ID, ORDER_COMMAND_PRICE_TICKS, ORDER_COMMAND_SIZE, ORDER_COMMAND_SYMBOL_INDEX,
} from "../../schemas/order-layout.gen";
import { orderAtHome } from "./book-ids";
import { likelyLevel } from "./book-levels";
import { AT_HAND, AT_LIVE, ATTRIBUTES, DISPLAYED, keyOf, LEVEL, NEXT, PREVIOUS, region, symbolAt, symbolCount } from "./book-region";

/** Commands of a block. */
export const BLOCK: i32 = 16;
/** With fewer live orders everything stays in the cache by itself. */
const MANY_ORDERS: i32 = 8192;

export function isWorthLooking(): bool {
  return load<i32>(region, AT_LIVE) >= MANY_ORDERS;
}

/** Looks at what `count` commands will need; returns a sum of what it saw. */
export function lookAhead(commands: usize, count: i32): u32 {
  const end = commands + <usize>count * ORDER_COMMAND_SIZE;
  let seen: u32 = 0;
  for (let command = commands; command < end; command += ORDER_COMMAND_SIZE) seen += <u32>orderOf(command);
  for (let command = commands; command < end; command += ORDER_COMMAND_SIZE) seen += load<u32>(orderOf(command), LEVEL);
  for (let command = commands; command < end; command += ORDER_COMMAND_SIZE) seen += lookAround(command);
  for (let command = commands; command < end; command += ORDER_COMMAND_SIZE) seen += load<u32>(<usize>load<u32>(levelOf(command), PREVIOUS));
  return seen;
}

/** The command's order; for a new one, or one that is not there, the order in hand, whose words lead nowhere. */
function orderOf(command: usize): usize {
  const order = orderAtHome(load<u64>(command, ORDER_COMMAND_ORDER_ID));
  return order != 0 ? order : region + AT_HAND;
}

/** The order's neighbours, the level where it stands, and the one where it will. */
function lookAround(command: usize): u32 {
  const order = orderOf(command);
  const neighbours = load<u32>(<usize>load<u32>(order, NEXT)) + load<u32>(<usize>load<u32>(order, PREVIOUS));
  return neighbours + load<u32>(<usize>load<u32>(order, LEVEL)) + load<u32>(levelOf(command));
}

/** The level where the command's order will stand. */
function levelOf(command: usize): usize {
  const order = orderOf(command);
  const index = load<u32>(command, ORDER_COMMAND_SYMBOL_INDEX);
  const side = load<u32>(order != region + AT_HAND ? order + ATTRIBUTES : command + ORDER_COMMAND_ATTRIBUTES) & 1;
  const book = symbolAt(index < symbolCount ? index : 0) + DISPLAYED;
  return likelyLevel(book, side, keyOf(load<i32>(command, ORDER_COMMAND_PRICE_TICKS), side));
}
