/** The matcher kernel against the plain book on recorded order flow: adds, cancels and changes as they came, trades as orders that take. */
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { loadProcessConfig } from '../config/load.ts';
import { PROJECT_ROOT } from '../engine/core/root.ts';
import { openBookFeed } from '../engine/ingest/book-feed/open.ts';
import { createMatcher } from '../engine/kernel/matcher.ts';
import { BOOK_ACTION, BOOK_SIDE, type BookBatch, createBookBatch } from '../engine/market/book-message.ts';
import { createBookOracle } from '../engine/market/book-oracle.ts';
import { attributesOf, newCommand, OPEN_INSTRUMENT, type OrderCommand } from '../engine/market/order-command.ts';
import * as L from '../schemas/order-layout.gen.ts';

const folder = join(PROJECT_ROOT, loadProcessConfig().config.DATA_DIR);
const isThere = existsSync(folder);
const FILES = [
  ['LOBSTER', 'lobster/AAPL_2012-06-21_34200000_57600000_message_10.csv', 900],
  ['ES', 'dbn/es-2024-05-08-two-seconds.mbo.dbn.zst', 13_000],
] as const;
const POOLS = { symbols: 1, orders: 40_000, pages: 400, owners: 1 };
/** Ids of orders that take: above those of the venues. */
const TAKER_BASE = 2n ** 63n;
/** The whole books are compared after so many messages. */
const LIST_EVERY = 4000;

/** What a message makes somebody send; a report that follows from an order sent already sends nothing. */
function commandsOf(batch: BookBatch, index: number, takerId: bigint): Partial<OrderCommand>[] {
  const [action, side] = [batch.action[index], batch.side[index]!];
  const place = { orderId: batch.orderId[index]!, priceTicks: batch.priceTicks[index]!, quantityLots: batch.quantityLots[index]! };
  const taker = (takingSide: number): Partial<OrderCommand> => ({
    ...place,
    orderId: takerId,
    attributes: attributesOf({ side: takingSide, timeInForce: L.TIME_IN_FORCE_IOC }),
  });
  if (action === BOOK_ACTION.add) return [{ ...place, attributes: attributesOf({ side }) }];
  if (action === BOOK_ACTION.cancel) return [{ kind: L.COMMAND_KIND_REDUCE, ...place }];
  if (action === BOOK_ACTION.modify) return [{ kind: L.COMMAND_KIND_REPLACE, ...place }];
  if (action === BOOK_ACTION.execute && side !== BOOK_SIDE.none) return [taker(1 - side)];
  if (action === BOOK_ACTION.trade && side !== BOOK_SIDE.none) return [taker(side)];
  if (action === BOOK_ACTION.clear) return [{ kind: L.COMMAND_KIND_MASS_CANCEL, attributes: L.MASS_SCOPE_BY_SYMBOL }];
  return [];
}

describe.skipIf(!isThere)(`matcher kernel on recorded orders${isThere ? '' : ' (skipped: no recorded data)'}`, () => {
  it.each(FILES)('agrees with the plain book on %s', { timeout: 300_000 }, async (_, path, least) => {
    const [oracle, matcher] = [createBookOracle(POOLS), createMatcher({ ...POOLS, commandCapacity: 64 })];
    for (const book of [oracle, matcher]) book.configure(0, OPEN_INSTRUMENT);
    const feed = await openBookFeed([join(folder, path)]);
    const batch = createBookBatch(1024);
    const counts = { messages: 0, trades: 0 };
    const compareBooks = (): void => {
      expect(matcher.list(0)).toEqual(oracle.list(0));
      for (const side of [0, 1] as const) expect(matcher.levels(0, side)).toEqual(oracle.levels(0, side));
    };
    for (let count = await feed.read(batch); count > 0; count = await feed.read(batch)) {
      for (let index = 0; index < count; index += 1) {
        counts.messages += 1;
        const takerId = TAKER_BASE + BigInt(counts.messages);
        for (const fields of commandsOf(batch, index, takerId)) {
          const command = newCommand({ ...fields, tsNs: batch.tsNs[index]! });
          const events = oracle.apply(command);
          expect(matcher.apply(command), `events of message ${counts.messages}`).toEqual(events);
          counts.trades += events.filter((event) => event.kind === L.EVENT_KIND_TRADE).length;
        }
        if (counts.messages % LIST_EVERY === 0) compareBooks();
      }
    }
    compareBooks();
    expect(counts.messages).toBeGreaterThan(least);
    expect(counts.trades).toBeGreaterThan(0);
  });
});
