/** Messages read ahead of the engine: first in, first out, with what is needed to bound them and to tell which partitions wait. */
import type { Message } from '../sinks/kafka/rdkafka.ts';

/** Messages already taken are let go of in steps of this many. */
const COMPACT_AT = 4096;

export interface MessageQueue {
  readonly count: number;
  /** Bytes of the values held. */
  readonly bytes: number;
  push(message: Message): void;
  /** The message `index` places behind the oldest. */
  at(index: number): Message | undefined;
  /** Takes the oldest `count` away. */
  drop(count: number): void;
  countOf(partition: number): number;
  clear(): void;
}

export function createMessageQueue(): MessageQueue {
  const counts = new Map<number, number>();
  let messages: Message[] = [];
  let head = 0;
  let bytes = 0;

  return {
    get count() {
      return messages.length - head;
    },
    get bytes() {
      return bytes;
    },
    push(message) {
      messages.push(message);
      bytes += message.value?.length ?? 0;
      counts.set(message.partition, (counts.get(message.partition) ?? 0) + 1);
    },
    at: (index) => messages[head + index],
    drop(count) {
      for (let index = 0; index < count; index += 1) {
        const message = messages[head + index];
        if (!message) break;
        bytes -= message.value?.length ?? 0;
        counts.set(message.partition, (counts.get(message.partition) ?? 1) - 1);
      }
      head += count;
      if (head >= COMPACT_AT || head >= messages.length) {
        messages = messages.slice(head);
        head = 0;
      }
    },
    countOf: (partition) => counts.get(partition) ?? 0,
    clear() {
      messages = [];
      head = 0;
      bytes = 0;
      counts.clear();
    },
  };
}
