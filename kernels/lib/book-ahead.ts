// Looks at what the next commands will need, so that it is in the nearest cache by then: with many orders a command waits longer for memory than it works.
// Loads that nothing waits for do it, as there is no other way in WASM; their sum goes to the region so that they are not left out. With many
// orders a block of commands is looked at in two rounds, its orders and then the orders before and behind these, so that the loads of a round wait
// side by side. Levels are not looked at: there are so few of them that finding them here costs more than it saves.
// What is looked at may be out of date when the command's turn comes, and a command may be nonsense: addresses are only ever taken from the region, and
// an order that was noted is the command's only if it has its id then.
import { ORDER_COMMAND_ORDER_ID, ORDER_COMMAND_SIZE } from "../../schemas/order-layout.gen";
import { orderAtHome } from "./book-ids";
import { AT_LIVE, AT_NOTES, NEXT, NOTES, PREVIOUS, REGION } from "./book-region";

const NOTE_BYTES: usize = 4;
/** So many lie in a near cache, with those before and behind them. */
const FEW_ORDERS: i32 = 4096;
/** Says of a command that nothing was noted: where it is, nothing stands. */
export const NO_NOTE: usize = 0;
/** Commands of a block, in bytes. */
export const BLOCK_BYTES: usize = NOTES * ORDER_COMMAND_SIZE;

/** The note of the first command of a block. */
export function firstNote(): usize {
  return REGION + AT_NOTES;
}

export function nextNote(note: usize): usize {
  return note + NOTE_BYTES;
}

/** The order that was noted for a command; 0, where nothing stands: none. */
export function notedOrder(note: usize): usize {
  return <usize>load<u32>(note);
}

/** Looks at what the commands up to `end`, at most a block, will need, and notes their orders; returns a sum of what it saw. */
export function lookAhead(commands: usize, end: usize): u32 {
  let seen: u32 = 0;
  let note = firstNote();
  for (let command = commands; command < end; command += ORDER_COMMAND_SIZE) {
    const order = orderAtHome(load<u64>(command, ORDER_COMMAND_ORDER_ID));
    store<u32>(note, <u32>order);
    seen += load<u32>(order, NEXT);
    note = nextNote(note);
  }
  return load<i32>(REGION, AT_LIVE) > FEW_ORDERS ? seen + lookAround(note) : seen;
}

/** Looks at the orders before and behind those that are noted up to `end`. */
function lookAround(end: usize): u32 {
  let seen: u32 = 0;
  for (let note = firstNote(); note < end; note = nextNote(note)) {
    const order = notedOrder(note);
    seen += load<u32>(<usize>load<u32>(order, NEXT)) + load<u32>(<usize>load<u32>(order, PREVIOUS));
  }
  return seen;
}

/** For a command that is run alone looking ahead comes too late; who runs some of many one by one has the next one behind it. */
export function lookAtNext(command: usize): u32 {
  return load<u32>(orderAtHome(load<u64>(command, ORDER_COMMAND_ORDER_ID)), NEXT);
}
