/** Messages that the source refused, held until the barrier behind them: they are stored and published with that epoch. */
import type { Rejected } from '../ingest/source.ts';

/** A dead letter: `json` is its payload, `key` the key of its message. */
export interface Letter {
  readonly lane: number;
  readonly key: string;
  readonly json: string;
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

/** @param encode makes the payload of a letter, @param keyOf its key */
export function createLetters(encode: (rejected: Rejected) => string, keyOf: (rejected: Rejected) => string): Letters {
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
      const json = encode(rejected);
      held.push({ lane: rejected.partition, key: keyOf(rejected), json });
      bytes += json.length;
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
