// Looks at what the next commands will need, so that it is in the nearest cache by then: with many orders a command waits longer for memory than it works.
// Loads that nothing waits for do it, as there is no other way in WASM; their sum goes to the region so that they are not left out. A block of
// commands is looked at in two rounds, their orders and then the orders before and behind these, so that the loads of a round wait side by side.
// Levels are not looked at: there are so few of them that finding them here costs more than it saves.
// What is looked at may be out of date when the command's turn comes, and a command may be nonsense: addresses are only ever taken from the region, and
// an order that was found is the command's only if it still has its id then.
import { ORDER_COMMAND_ORDER_ID, ORDER_COMMAND_SIZE } from "../../schemas/order-layout.gen";
import { orderAtHome } from "./book-ids";
import { AT_HAND, AT_SOON, NEXT, PREVIOUS, region, SOON_CAPACITY } from "./book-region";

/** Commands of a block. */
export const BLOCK: i32 = SOON_CAPACITY;

/** Looks at what `count` commands, at most a block, will need, and notes their orders; returns a sum of what it saw. */
export function lookAhead(commands: usize, count: i32): u32 {
  const first = region + AT_SOON;
  const end = first + (<usize>count << 2);
  let seen: u32 = 0;
  for (let soon = first, command = commands; soon < end; soon += 4, command += ORDER_COMMAND_SIZE) {
    const order = orderAtHome(load<u64>(command, ORDER_COMMAND_ORDER_ID));
    store<u32>(soon, <u32>order);
    seen += load<u32>(orHand(order), NEXT);
  }
  for (let soon = first; soon < end; soon += 4) {
    const order = orHand(<usize>load<u32>(soon));
    seen += load<u32>(<usize>load<u32>(order, NEXT)) + load<u32>(<usize>load<u32>(order, PREVIOUS));
  }
  return seen;
}

/** What was noted for a command of the block; 0: nothing. */
export function notedOrder(index: i32): usize {
  return <usize>load<u32>(region + (<usize>index << 2), AT_SOON);
}

/** For a new order, or one that is not there, the order in hand, whose words lead nowhere. */
function orHand(order: usize): usize {
  return select<usize>(order, region + AT_HAND, order != 0);
}
