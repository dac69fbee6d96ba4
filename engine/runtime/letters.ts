/** Messages that the source refused, held until the barrier behind them: they are stored and published with that epoch. */
import type { Rejected } from '../ingest/source.ts';
import type { DeadLetter } from '../sinks/kafka/dlq.ts';

export interface Letter extends DeadLetter {
  readonly lane: number;
}

export interface Letters {
  /** Of the payloads held. */
  readonly bytes: number;
  /** How many were ever added. */
  readonly count: number;
  add(rejected: Rejected): void;
  /** Hands over what is held, in order. */
  take(): readonly Letter[];
}

export function createLetters(encode: (rejected: Rejected) => DeadLetter): Letters {
  let held: Letter[] = [];
  let bytes = 0;
  let count = 0;
  return {
    get bytes() {
      return bytes;
    },
    get count() {
      return count;
    },
    add(rejected) {
      const letter = encode(rejected);
      held.push({ lane: rejected.partition, ...letter });
      bytes += letter.json.length;
      count += 1;
    },
    take() {
      const taken = held;
      held = [];
      bytes = 0;
      return taken;
    },
  };
}
