/** The work of the matcher's thread: takes commands from the order ring, runs the matcher, and puts what came of them into the event ring. */
import * as L from '../../schemas/order-layout.gen.ts';
import type { ThreadAgent } from '../core/agent.ts';
import { assert } from '../core/errors.ts';
import { ORDER_RING_KIND, ORDER_SLOT_WORDS } from '../market/order-ring.ts';
import type { Ring } from '../memory/ring.ts';
import { sleepMs } from '../memory/wait.ts';

const COMMANDS_PER_TURN = 256;
const BLOCKED_SLEEP_MS = 1;

/** What the agent needs of a matcher. */
export interface MatcherCore {
  readonly commands: { readonly bytes: Uint8Array };
  readonly events: { readonly bytes: Uint8Array };
  /** Events of the last run, from the beginning of `events`. */
  eventCount(): number;
  /** Takes `count` commands from `commands`. */
  run(count: number): number;
  /** Writes the resting orders of a symbol into `events`, as `restore` commands; returns how many. */
  listRestores(symbolIndex: number): number;
  lastTicks(symbolIndex: number): number;
}

export interface MatcherAgentOptions {
  readonly matcher: MatcherCore;
  readonly orderRing: Ring;
  readonly eventRing: Ring;
  /** One word that the agent counts up each time it looks for work. */
  readonly heartbeat: Int32Array;
}

/** Done once it was told to stop and everything has been said. */
export function createMatcherAgent({ matcher, orderRing, eventRing, heartbeat }: MatcherAgentOptions): ThreadAgent {
  const { words } = orderRing;
  const commandWords = new Int32Array(matcher.commands.bytes.buffer, matcher.commands.bytes.byteOffset, ORDER_SLOT_WORDS);
  const { bytes } = matcher.events;
  const eventWords = new Int32Array(bytes.buffer, bytes.byteOffset, bytes.byteLength >> 2);
  const doneWords = new Int32Array(ORDER_SLOT_WORDS);
  let isDone = false;
  /** Slots of the matcher's events that are not in the event ring yet; behind them comes `done`. */
  let saidFrom = 0;
  let saidTo = 0;
  let isAnswering = false;

  /** Moves on what is to be said; false when the event ring is full. */
  const flush = (): boolean => {
    if (!isAnswering) return true;
    const count = Math.min(saidTo - saidFrom, eventRing.free());
    if (count > 0) eventRing.publish(eventWords, saidFrom * ORDER_SLOT_WORDS, count);
    saidFrom += count;
    if (saidFrom < saidTo || eventRing.free() === 0) return false;
    eventRing.publish(doneWords, 0, 1);
    isAnswering = false;
    return true;
  };

  const answer = (count: number): void => {
    saidFrom = 0;
    saidTo = count;
    isAnswering = true;
  };

  const listBook = (symbolIndex: number): void => {
    doneWords[L.ORDER_EVENT_PRICE_TICKS >> 2] = matcher.lastTicks(symbolIndex);
    answer(matcher.listRestores(symbolIndex));
  };

  const take = (at: number): void => {
    const kind = words[at + L.ORDER_COMMAND_KIND_I32]!;
    doneWords[L.ORDER_EVENT_KIND >> 2] = ORDER_RING_KIND.done;
    if (kind === ORDER_RING_KIND.list) listBook(words[at + L.ORDER_COMMAND_SYMBOL_INDEX_I32]!);
    else if (kind === ORDER_RING_KIND.stop) isDone = true;
    else {
      for (let word = 0; word < ORDER_SLOT_WORDS; word += 1) commandWords[word] = words[at + word]!;
      const done = matcher.run(1);
      assert(done === 1, 'an emptied matcher does a command');
      answer(matcher.eventCount());
    }
  };

  return {
    name: 'matcher',
    doWork() {
      // Only this thread writes it; main looks whether it has changed, so that a plain store does.
      heartbeat[0]! += 1;
      let work = 0;
      while (flush() && work < COMMANDS_PER_TURN && !isDone && orderRing.run() > 0) {
        take(orderRing.tailIndex());
        orderRing.release(1);
        work += 1;
      }
      return work;
    },
    get isDone() {
      return isDone;
    },
    park(timeoutMs) {
      if (isAnswering) sleepMs(Math.min(BLOCKED_SLEEP_MS, timeoutMs));
      else orderRing.park(timeoutMs);
    },
    close: () => undefined,
  };
}
