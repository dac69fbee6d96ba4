/** A request as the journal holds it: its own JSON, with the time it was let in and a stamp that tells whom to answer. */

import type { JournalEntry } from './journal.ts';
import { DOOR_REASON, isRefusal, Refusal } from './refusal.ts';
import { type Fields, type OrderRequest, parseLine, readRequest } from './request.ts';

const TS_NS_MAX = 2n ** 63n - 1n;

export interface StampedRequest {
  readonly request: OrderRequest;
  /** When it was let in. */
  readonly tsNs: bigint;
  /** Whom to answer; known only to the process that let it in. */
  readonly stamp: string;
}

/** The text of an entry. `fields` are those of a request that was read without a fault. */
export function writeEntry(fields: Fields, tsNs: bigint, stamp: string): string {
  return JSON.stringify({ ...fields, ts_ns: String(tsNs), stamp });
}

/**
 * Reads an entry. One that cannot be read is refused like any request; it stays in its place. What others put into the topic as the contract has
 * it has no op: it is a new order, or with `order_type` CANCEL the cancel of one.
 */
export function readEntry({ text, tsNs: appendedNs }: JournalEntry): StampedRequest | Refusal {
  const fields = parseLine(text);
  if (isRefusal(fields)) return fields;
  const request = readRequest('op' in fields ? fields : { ...fields, op: fields['order_type'] === 'CANCEL' ? 'cancel' : 'new' });
  if (isRefusal(request)) return request;
  const { ts_ns: given, stamp } = fields;
  const tsNs = typeof given === 'string' && /^\d{1,19}$/.test(given) ? BigInt(given) : given === undefined ? appendedNs : undefined;
  if (tsNs === undefined || tsNs > TS_NS_MAX) {
    return new Refusal(DOOR_REASON.badArgs, `ts_ns: expected digits, found ${JSON.stringify(given)?.slice(0, 40)}`);
  }
  return { request, tsNs, stamp: typeof stamp === 'string' ? stamp : '' };
}
