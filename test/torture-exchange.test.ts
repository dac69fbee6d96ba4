import { describe, expect, it } from 'vitest';
import type { JournalEntry } from '../engine/execution/exchange/journal.ts';
import { replayJournal } from './order-journal.ts';
import { orderRequests, testCatalogue } from './order-requests.ts';
import { compareExchange, type ExchangeFound } from './torture/exchange-compare.ts';

const SEED = Number(process.env['SEED'] ?? 3);

const entries: JournalEntry[] = orderRequests({ seed: SEED, count: 400 }).map((request, index) => ({
  offset: BigInt(index),
  text: JSON.stringify({ ...request, ts_ns: String(1_700_000_000_000_000_000n + BigInt(index)), stamp: '' }),
}));
const expected = replayJournal(entries, testCatalogue());
/** What a faultless exchange leaves. */
const faultless: ExchangeFound = {
  orders: expected.orders,
  fills: expected.fills,
  audit: expected.audit,
  books: expected.books,
  messages: [...expected.fillMessages.values()].map((text, offset) => ({ text, place: `fills[0]@${offset}` })),
  told: [...expected.replies.values()].map((reply, id) => ({ op: 'new', reply: { id, ...reply } })),
};
const differencesOf = (change: Partial<ExchangeFound>): string[] =>
  compareExchange(expected, { ...faultless, ...change }).map(({ what }) => what);
const idOf = (text: string): number => JSON.parse(text).fill_id;

describe(`torture: what the exchange left (SEED=${SEED})`, () => {
  it('is the same as the journal comes to when nothing is wrong', () => {
    expect(expected.fills.length).toBeGreaterThan(50);
    expect(differencesOf({})).toEqual([]);
  });

  it('differs by a row that is missing, is there twice, or says something else', () => {
    const { orders, fills, books } = faultless;
    expect(differencesOf({ orders: orders.slice(1) })).toEqual(['orders 1']);
    expect(differencesOf({ fills: [...fills, fills[3]!] })).toEqual([`fills ${fills[3]!.split(' ')[0]} again`]);
    expect(differencesOf({ fills: [`${fills[0]} more`, ...fills.slice(1)] })).toEqual([`fills ${fills[0]!.split(' ')[0]}`]);
    expect(differencesOf({ orders: [...orders, '9999 never sent'] })).toEqual(['orders 9999']);
    expect(differencesOf({ books: [`${books[0]} 1:2:3:4`, ...books.slice(1)] })).toEqual(['order_books AAA']);
  });

  it('differs by a change of an order that is missing, is there twice, or stands in another place', () => {
    const { audit } = faultless;
    expect(differencesOf({ audit: audit.slice(1) })).toEqual(['order_audit']);
    expect(differencesOf({ audit: [...audit, audit[0]!] })).toEqual(['order_audit']);
    expect(differencesOf({ audit: audit.toReversed() })).toEqual(['order_audit row 0 out of order']);
  });

  it('differs by a fill that is published twice, not at all, late or otherwise', () => {
    const { messages } = faultless;
    const first = messages[0]!;
    const id = idOf(first.text);
    expect(differencesOf({ messages: [...messages, first] })).toEqual([`topic fills ${id} again`]);
    expect(differencesOf({ messages: messages.slice(1) })).toEqual([`topic fills ${id}`]);
    const changed = { ...first, text: first.text.replace('"qty":', '"qty":9') };
    expect(differencesOf({ messages: [changed, ...messages.slice(1)] })).toEqual([`topic fills ${id}`]);
    const ofSymbol = messages.filter(({ text }) => JSON.parse(text).symbol === JSON.parse(first.text).symbol);
    expect(differencesOf({ messages: [...messages.slice(1), first] })).toEqual([`topic fills ${id} out of order`]);
    expect(ofSymbol.length).toBeGreaterThan(2);
  });

  it('differs by a client that was told something else, and takes no notice of those who were told nothing of a book', () => {
    const [first, ...others] = faultless.told;
    const wrong = { op: 'new', reply: { ...first!.reply, status: 'LOST' } };
    expect(differencesOf({ told: [wrong, ...others] })).toEqual([`reply ${first!.reply['order_id']}`]);
    const unmatched = ['busy', 'duplicate_client_order_id', 'unknown_outcome'].map((err) => ({ op: 'new', reply: { ok: false, err } }));
    expect(differencesOf({ told: [...faultless.told, ...unmatched] })).toEqual([]);
  });
});
