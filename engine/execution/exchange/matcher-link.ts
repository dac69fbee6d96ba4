/** Main's end of the two rings: sends commands to the matcher's thread and gathers what came of each. */
import * as L from '../../../schemas/order-layout.gen.ts';
import type { Pause } from '../../core/clock.ts';
import { newCommand, type OrderCommand, type OrderEvent, readCommand, readEvent, writeCommand } from '../../market/order-command.ts';
import { ORDER_RING_KIND, ORDER_SLOT_BYTES, ORDER_SLOT_WORDS, type SlotRing } from '../../market/order-ring.ts';

export interface MatcherLink {
  /** The events of each command, in order. Rejects with what `failure` says. */
  run(commands: readonly OrderCommand[]): Promise<OrderEvent[][]>;
  /** The books of symbols. */
  list(symbols: readonly number[]): Promise<ListedBook[]>;
  /** Tells the thread that nothing more will come; false when the ring has no room for it. */
  stop(): boolean;
}

export interface ListedBook {
  readonly symbolIndex: number;
  /** Of the last trade; undefined before the first. */
  readonly lastTicks: number | undefined;
  /** `restore` commands, in the order of the books. */
  readonly orders: readonly OrderCommand[];
}

export interface MatcherLinkOptions {
  readonly orderRing: SlotRing;
  readonly eventRing: SlotRing;
  readonly pause: Pause;
  /** What has become of the matcher's thread, if it does not work any more. */
  failure(): Error | undefined;
}

/** Slots encoded before they are published. */
const BATCH = 256;
/** Empty looks with only a turn of the event loop between them; after that a millisecond. */
const QUICK_LOOKS = 64;

export function createMatcherLink({ orderRing, eventRing, pause, failure }: MatcherLinkOptions): MatcherLink {
  const staging = new DataView(new ArrayBuffer(BATCH * ORDER_SLOT_BYTES));
  const stagingWords = new Int32Array(staging.buffer);

  const send = (commands: readonly OrderCommand[], from: number): number => {
    const count = Math.min(BATCH, commands.length - from, orderRing.free());
    for (let index = 0; index < count; index += 1) writeCommand(staging, index * ORDER_SLOT_BYTES, commands[from + index]!);
    if (count > 0) orderRing.publish(stagingWords, 0, count);
    return count;
  };

  /** Sends all, and hands each answer's slots to `onSlot` until it is `done`, which goes to `onDone`. */
  const exchange = async (
    commands: readonly OrderCommand[],
    onSlot: (byteOffset: number, answer: number) => void,
    onDone: (byteOffset: number, answer: number) => void,
  ): Promise<void> => {
    let sent = 0;
    let answered = 0;
    let emptyLooks = 0;
    while (answered < commands.length) {
      const failed = failure();
      if (failed !== undefined) throw failed;
      sent += send(commands, sent);
      const ready = eventRing.run();
      const first = eventRing.tailIndex();
      for (let slot = 0; slot < ready; slot += 1) {
        const wordIndex = first + slot * ORDER_SLOT_WORDS;
        if (eventRing.words[wordIndex + L.ORDER_COMMAND_KIND_I32] === ORDER_RING_KIND.done) {
          onDone(wordIndex << 2, answered);
          answered += 1;
        } else onSlot(wordIndex << 2, answered);
      }
      if (ready > 0) {
        eventRing.release(ready);
        emptyLooks = 0;
      } else {
        emptyLooks += 1;
        await pause(emptyLooks < QUICK_LOOKS ? 0 : 1);
      }
    }
  };

  return {
    async run(commands) {
      const groups: OrderEvent[][] = commands.map(() => []);
      await exchange(
        commands,
        (offset, answer) => groups[answer]?.push(readEvent(eventRing.view, offset)),
        () => undefined,
      );
      return groups;
    },
    async list(symbols) {
      const orders: OrderCommand[][] = symbols.map(() => []);
      const last: number[] = [];
      await exchange(
        symbols.map((symbolIndex) => newCommand({ kind: ORDER_RING_KIND.list, symbolIndex })),
        (offset, answer) => orders[answer]?.push(readCommand(eventRing.view, offset)),
        (offset) => last.push(eventRing.view.getInt32(offset + L.ORDER_EVENT_PRICE_TICKS, true)),
      );
      return symbols.map((symbolIndex, index) => ({
        symbolIndex,
        lastTicks: last[index] === L.ORDER_LIMIT_PRICE_NONE ? undefined : last[index],
        orders: orders[index] ?? [],
      }));
    },
    stop: () => send([newCommand({ kind: ORDER_RING_KIND.stop })], 0) === 1,
  };
}
