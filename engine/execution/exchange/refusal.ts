/** Refusals as data: each has a number and a word. Those of the matcher keep its numbers, those of the door begin at 101. */
import { ORDER_REASON } from '../../../schemas/order-records.ts';

/** Why the door or the desk refuses what never reaches a book. */
export const DOOR_REASON = {
  missingOp: 101,
  unknownOp: 102,
  badArgs: 103,
  noBook: 104,
  badJson: 105,
  lineTooLong: 106,
  duplicateClientOrderId: 107,
  busy: 108,
  stopping: 109,
  unknownOutcome: 110,
} as const;

/** A class, so that no JSON of a client can pass for one. */
export class Refusal {
  /** ORDER_REASON or DOOR_REASON. */
  readonly reason: number;
  /** What, the value and the limit. */
  readonly detail: string;

  constructor(reason: number, detail: string) {
    this.reason = reason;
    this.detail = detail;
  }
}

const WORDS = new Map<number, string>(
  [...Object.entries(ORDER_REASON), ...Object.entries(DOOR_REASON)].map(([name, reason]) => [
    reason,
    name.replace(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`),
  ]),
);

/** The word of a reason as the protocol says it, such as `no_book`. */
export function reasonWord(reason: number): string {
  return WORDS.get(reason) ?? `reason_${reason}`;
}

export function isRefusal(value: unknown): value is Refusal {
  return value instanceof Refusal;
}
