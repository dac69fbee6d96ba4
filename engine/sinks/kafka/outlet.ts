/** What the sender of an open transaction sees of it. */
import type { Header } from './rdkafka.ts';

/** Messages put between two turns of the event loop. */
const MESSAGES_PER_TURN = 256;

export interface Outgoing {
  readonly topic: string;
  readonly payload: Buffer;
  readonly key: Buffer | string;
  readonly headers?: readonly Header[];
}

export interface Outlet {
  /**
   * Hands a message to the client, which copies it. False: its queue is full, come again after `rest`.
   * @throws EngineError KAFKA_MESSAGE for a message that will never pass; anything else ends this attempt
   */
  put(message: Outgoing): boolean;
  /**
   * Offers `count` bar records from word `wordIndex` on; there only where the lane takes bars as they are. Returns how many it took of them, from the
   * first on; 0: its queue is full, come again after `rest`.
   * @throws EngineError KAFKA_MESSAGE
   */
  putBars?(words: Int32Array, wordIndex: number, count: number): number;
  /** Lets the event loop turn; with `isFull`, waits a moment too. */
  rest(isFull: boolean): Promise<void>;
}

/** Puts a message for each item, in order. Each is made when its turn comes. */
export async function putAll<Item>(outlet: Outlet, items: readonly Item[], toMessage: (item: Item) => Outgoing): Promise<void> {
  for (let index = 0; index < items.length; ) {
    const isTaken = outlet.put(toMessage(items[index]!));
    if (isTaken) index += 1;
    if (!isTaken || index % MESSAGES_PER_TURN === 0) await outlet.rest(!isTaken);
  }
}
