/** Compares what the exchange left in tables and in the topic fills, and what it told its clients, with what its journal comes to. Pure. */
import { isDeepStrictEqual } from 'node:util';
import type { Reply } from '../../engine/execution/exchange/reply.ts';
import { type Told, UNMATCHED } from '../order-client.ts';
import type { Expected, Lines, Tables } from '../order-journal.ts';
import { compareLists, compareMaps, type Difference, type Say } from './compare.ts';

/** A message of the topic fills; those of a partition come in its order. */
export interface FillFound {
  readonly text: string;
  readonly place: string;
}

export interface ExchangeFound extends Tables {
  readonly messages: readonly FillFound[];
  readonly told: readonly Told[];
}

export function compareExchange(expected: Expected, found: ExchangeFound): Difference[] {
  const differences: Difference[] = [];
  const say: Say = (what, wanted, got) => {
    differences.push({ what, expected: wanted ?? '(nothing)', found: got ?? '(nothing)' });
  };
  compareMaps('orders', byFirstWord(expected.orders), entriesOf(found.orders), say);
  compareMaps('fills', byFirstWord(expected.fills), entriesOf(found.fills), say);
  compareMaps('order_books', byFirstWord(expected.books), entriesOf(found.books), say);
  compareAudit(expected.audit, found.audit, say);
  compareFillMessages(expected.fillMessages, found.messages, say);
  compareReplies(expected.replies, found.told, say);
  return differences;
}

function entriesOf(lines: Lines): (readonly [key: string, text: string])[] {
  return lines.map((line) => {
    const at = line.indexOf(' ');
    return [line.slice(0, at), line.slice(at + 1)];
  });
}

function byFirstWord(lines: Lines): Map<string, string> {
  return new Map(entriesOf(lines));
}

/** Every change once, and in order. */
function compareAudit(expected: Lines, found: Lines, say: Say): void {
  let differences = 0;
  const count = (...args: Parameters<Say>): void => {
    differences += 1;
    say(...args);
  };
  compareLists('order_audit', expected, found, count);
  if (differences > 0) return;
  const at = expected.findIndex((line, index) => line !== found[index]);
  if (at >= 0) say(`order_audit row ${at} out of order`, expected[at], found[at]);
}

/** Each fill once, and the trades of a symbol in their order. */
function compareFillMessages(expected: ReadonlyMap<number, string>, found: readonly FillFound[], say: Say): void {
  const seen = new Map<number, string>();
  const last = new Map<string, number>();
  for (const { text, place } of found) {
    // A cast: what the engine wrote; a member that is missing shows as a difference.
    const { fill_id: id, trade_id: trade, symbol } = JSON.parse(text) as { fill_id: number; trade_id: number; symbol: string };
    const name = `topic fills ${id}`;
    const first = seen.get(id);
    if (first !== undefined) {
      say(`${name} again`, `once, at ${first}`, `${place}: ${text}`);
      continue;
    }
    seen.set(id, place);
    if (expected.get(id) !== text) say(name, expected.get(id), `${text} at ${place}`);
    const before = last.get(symbol) ?? 0;
    if (trade < before) say(`${name} out of order`, `before trade ${before} of ${symbol}`, `trade ${trade} at ${place}`);
    last.set(symbol, Math.max(trade, before));
  }
  for (const [id, text] of expected) if (!seen.has(id)) say(`topic fills ${id}`, text, undefined);
}

/** Whoever was told of an order that came to a book was told what the journal says. */
function compareReplies(expected: ReadonlyMap<number, Reply>, told: readonly Told[], say: Say): void {
  for (const { op, reply } of told) {
    const isNew = op === 'new' || op === 'exec';
    if (!isNew || reply['order_id'] === undefined || UNMATCHED.has(String(reply['err']))) continue;
    const { id, ...rest } = reply;
    const wanted = expected.get(Number(rest['order_id']));
    if (!isDeepStrictEqual(rest, wanted)) say(`reply ${rest['order_id']}`, JSON.stringify(wanted), JSON.stringify(rest));
  }
}
