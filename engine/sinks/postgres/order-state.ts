/** What the database holds of an exchange: how far it came, its books, its live orders; and which names are taken. */
import { COMMAND_KIND, ORDER_TYPE, TIME_IN_FORCE } from '../../../schemas/order-records.ts';
import { EngineError } from '../../core/errors.ts';
import type { Catalogue } from '../../execution/exchange/catalogue.ts';
import type { BookListing, StoredExchange, TakenName } from '../../execution/exchange/epoch.ts';
import { type OrderRow, type OrderStatus, orderTypeName, timeInForceName } from '../../execution/exchange/ledger.ts';
import { newCommand } from '../../market/order-command.ts';
import type { Connection } from './connection.ts';
import { BOOK_VERSION } from './order-transaction.ts';

/**
 * Reads all of it at one moment.
 * @throws EngineError BOOK_VERSION, BOOK_MISSING when the catalogue lacks a symbol that has resting orders, BOOKS_DIFFER when books and orders
 *   do not tell of the same orders
 */
export async function readExchange(client: Connection, source: string, catalogue: Catalogue): Promise<StoredExchange> {
  await client.query('begin isolation level repeatable read read only');
  const { rows } = await client.query<{ journal: string; next_offset: string; next_trade_id: string; ts_ns: string }>(
    'select journal, next_offset, next_trade_id, ts_ns from order_positions where source = $1',
    [source],
  );
  const books = await readBooks(client, source, catalogue);
  const live = await readLive(client, catalogue);
  await client.query('commit');
  assertSame(books, live);
  const found = rows[0];
  return {
    position: found && { journal: found.journal, nextOffset: BigInt(found.next_offset), tsNs: BigInt(found.ts_ns) },
    nextTradeId: BigInt(found?.next_trade_id ?? 1),
    books,
    live,
  };
}

/** Which of these names an order has already. */
export async function readTakenNames(client: Connection, names: readonly string[]): Promise<TakenName[]> {
  const { rows } = await client.query<{ client_order_id: string; order_id: string; status: string }>(
    'select client_order_id, order_id, status from orders where client_order_id = any($1)',
    [names],
  );
  return rows.map((row) => ({ clientOrderId: row.client_order_id, orderId: BigInt(row.order_id), status: row.status }));
}

interface BookColumns {
  readonly symbol: string;
  readonly phase: number;
  readonly lower_ticks: number;
  readonly upper_ticks: number;
  readonly last_ticks: number | null;
  readonly calendar_ns: string;
  readonly version: number;
  readonly order_id: string[];
  readonly price_ticks: number[];
  readonly stop_ticks: number[];
  readonly leaves_lots: number[];
  readonly shown_lots: number[];
  readonly display_lots: number[];
  readonly trail_ticks: number[];
  readonly expiry_ns: string[];
  readonly owner: string[];
  readonly attributes: number[];
}

async function readBooks(client: Connection, source: string, catalogue: Catalogue): Promise<BookListing[]> {
  const { rows } = await client.query<BookColumns>('select * from order_books where source = $1 order by symbol', [source]);
  const books: BookListing[] = [];
  for (const row of rows) {
    if (row.version !== BOOK_VERSION) {
      throw new EngineError('BOOK_VERSION', `book of ${row.symbol}: stored in version ${row.version}, this engine reads ${BOOK_VERSION}`);
    }
    if (catalogue.find(row.symbol) !== undefined) books.push(listingOf(row, catalogue));
    else if (row.order_id.length > 0) {
      throw new EngineError(
        'BOOK_MISSING',
        `book of ${row.symbol}: ${row.order_id.length} orders rest in it, and BOOKS_FILE does not name it`,
      );
    }
  }
  return books;
}

function listingOf(row: BookColumns, catalogue: Catalogue): BookListing {
  const symbolIndex = catalogue.find(row.symbol)?.symbolIndex ?? 0;
  return {
    symbol: row.symbol,
    phase: row.phase,
    lowerTicks: row.lower_ticks,
    upperTicks: row.upper_ticks,
    lastTicks: row.last_ticks ?? undefined,
    calendarNs: BigInt(row.calendar_ns),
    orders: row.order_id.map((id, index) =>
      newCommand({
        kind: COMMAND_KIND.restore,
        symbolIndex,
        orderId: BigInt(id),
        priceTicks: row.price_ticks[index]!,
        stopTicks: row.stop_ticks[index]!,
        quantityLots: row.leaves_lots[index]!,
        shownLots: row.shown_lots[index]!,
        displayLots: row.display_lots[index]!,
        trailTicks: row.trail_ticks[index]!,
        expiryNs: BigInt(row.expiry_ns[index]!),
        owner: Number(row.owner[index]!),
        attributes: row.attributes[index]!,
      }),
    ),
  };
}

interface OrderColumns {
  readonly order_id: string;
  readonly ts_ns: string;
  readonly client_order_id: string;
  readonly symbol: string;
  readonly side: string;
  readonly qty: number;
  readonly order_type: string;
  readonly time_in_force: string;
  readonly strategy: string;
  readonly reason: string | null;
  readonly risk_bucket: string;
  readonly status: OrderStatus;
  readonly extra: string;
  readonly updated_ns: string;
  readonly price_ticks: number | null;
  readonly stop_ticks: number | null;
  readonly owner: string;
  readonly cum_qty: number;
  readonly leaves_qty: number;
  readonly notional_ticks: string;
  readonly end_reason: number;
}

async function readLive(client: Connection, catalogue: Catalogue): Promise<OrderRow[]> {
  const { rows } = await client.query<OrderColumns>(
    `select order_id, ts_ns, client_order_id, symbol, side, qty, order_type, time_in_force, strategy, reason, risk_bucket, status, extra::text as extra,
       updated_ns, price_ticks, stop_ticks, owner, cum_qty, leaves_qty, notional_ticks, end_reason
     from orders where status in ('NEW', 'ACK', 'PARTIAL') order by order_id`,
  );
  return rows.map((row) => {
    const spec = catalogue.find(row.symbol);
    if (spec === undefined)
      throw new EngineError('BOOK_MISSING', `order ${row.order_id} of ${row.symbol} is live, and BOOKS_FILE has no such book`);
    return {
      orderId: BigInt(row.order_id),
      symbolIndex: spec.symbolIndex,
      clientOrderId: row.client_order_id,
      side: row.side === 'BUY' ? 0 : 1,
      type: codeOf(ORDER_TYPE, orderTypeName, row.order_type),
      timeInForce: codeOf(TIME_IN_FORCE, timeInForceName, row.time_in_force),
      owner: Number(row.owner),
      strategy: row.strategy,
      why: row.reason ?? '',
      riskBucket: row.risk_bucket,
      extra: row.extra,
      tsNs: BigInt(row.ts_ns),
      quantityLots: row.qty,
      priceTicks: row.price_ticks ?? 0,
      stopTicks: row.stop_ticks ?? 0,
      status: row.status,
      cumLots: row.cum_qty,
      leavesLots: row.leaves_qty,
      notionalTicks: BigInt(row.notional_ticks),
      endReason: row.end_reason,
      updatedNs: BigInt(row.updated_ns),
    };
  });
}

function codeOf(codes: Readonly<Record<string, number>>, nameOf: (code: number) => string, name: string): number {
  const code = Object.values(codes).find((candidate) => nameOf(candidate) === name);
  if (code === undefined) throw new EngineError('ORDER_INVALID', `stored order: type or time in force '${name}' is none of this engine`);
  return code;
}

/** The books and the table of orders are written together: each live order rests, with the same leaves. */
function assertSame(books: readonly BookListing[], live: readonly OrderRow[]): void {
  const resting = new Map(books.flatMap(({ orders }) => orders.map(({ orderId, quantityLots }) => [orderId, quantityLots] as const)));
  const differing = live.find(({ orderId, leavesLots }) => resting.get(orderId) !== leavesLots);
  if (differing === undefined && resting.size === live.length) return;
  const what = differing
    ? `order ${differing.orderId} has ${differing.leavesLots} left, its book ${resting.get(differing.orderId) ?? 'not'}`
    : '';
  throw new EngineError('BOOKS_DIFFER', `books hold ${resting.size} orders, ${live.length} are live${what === '' ? '' : `; ${what}`}`);
}
