/**
 * What stands in the slots of an order ring and of its event ring, beside commands and events. All slots are 64 bytes and begin with their kind.
 *
 *   order ring, main to matcher:   commands, `list`, `stop`
 *   event ring, matcher to main:   the events of a command, then `done`; for `list` the orders of the book as `restore` commands, then `done`
 */
import * as L from '../../schemas/order-layout.gen.ts';
import { createRing, type Ring } from '../memory/ring.ts';

/** Kinds of slots; those of commands and events are below them. */
export const ORDER_RING_KIND = {
  /** The resting orders of `symbolIndex` are wanted. */
  list: 0x40,
  /** All that came of one command has been said; of a list: `priceTicks` is the last trade's price. */
  done: 0x41,
  /** Nothing more will come. */
  stop: 0x42,
} as const;

export const ORDER_SLOT_BYTES = L.ORDER_COMMAND_SIZE;
export const ORDER_SLOT_WORDS = ORDER_SLOT_BYTES >> 2;

/** A ring in a buffer of its own, read as slots: the consumer's side of `createRing`, with a view of each slot's bytes. */
export interface SlotRing extends Ring {
  readonly view: DataView;
}

export function openSlotRing(buffer: SharedArrayBuffer): SlotRing {
  return { ...createRing(buffer, 0), view: new DataView(buffer) };
}
