/** What the exchange's tests expect of what clients were told. */
import { expect } from 'vitest';
import type { Reply } from '../../engine/execution/exchange/reply.ts';
import { type Told, UNMATCHED } from '../order-client.ts';

/** What a client was told of its order is what the journal says came of it. */
export function expectReplies(told: readonly Told[], expected: ReadonlyMap<number, Reply>): void {
  const entered = told.filter(({ op, reply }) => (op === 'new' || op === 'exec') && !UNMATCHED.has(String(reply['err'])));
  expect(entered.length).toBeGreaterThan(100);
  for (const { reply } of entered) {
    const { id, ...rest } = reply;
    expect(rest).toEqual(expected.get(Number(rest['order_id'])));
  }
}
