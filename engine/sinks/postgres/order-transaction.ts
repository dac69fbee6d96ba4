/**
 * One epoch of the exchange, one transaction: whether the lane is still ours, then orders, fills, audit, books, the journal's offset and what is
 * to be published.
 */
import { createHash } from 'node:crypto';
import { assert } from '../../core/errors.ts';
import type { BookSpec, Catalogue } from '../../execution/exchange/catalogue.ts';
import type { BookListing, ExchangeEpoch } from '../../execution/exchange/epoch.ts';
import {
  averagePrice,
  hasPrice,
  hasStop,
  type OrderRow,
  orderTypeName,
  priceOf,
  timeInForceName,
} from '../../execution/exchange/ledger.ts';
import type { Connection } from './connection.ts';
import { type LaneOwner, takeEpoch } from './lane-fence.ts';

/** What the columns of a stored book mean. Books of another version are not read. */
export const BOOK_VERSION = 1;
/** Where the fills of the exchange come from. */
export const VENUE = 'MATCHER';
const OUTBOX_PART_CHARACTERS = 1_048_576;

export interface OrderTransactionContext extends LaneOwner {
  readonly catalogue: Catalogue;
  readonly isPublishing: boolean;
}

/**
 * Commits the epoch.
 * @returns false when an earlier attempt had committed it already
 * @throws EngineError FENCED; errors of the server and the connection
 */
export async function commitOrders(client: Connection, context: OrderTransactionContext, epoch: ExchangeEpoch): Promise<boolean> {
  await client.query('begin');
  if (!(await takeEpoch(client, context, epoch.databaseEpoch, context.isPublishing))) {
    await client.query('rollback');
    return false;
  }
  await storeOrders(client, context.catalogue, epoch);
  await storeFills(client, context.catalogue, epoch);
  await storeAudit(client, epoch);
  await storeBooks(client, context.source, epoch);
  await storePosition(client, context.source, epoch);
  await storeFillLines(client, context, epoch);
  await client.query('commit');
  return true;
}

async function storeOrders(client: Connection, catalogue: Catalogue, { changes }: ExchangeEpoch): Promise<void> {
  const rows = changes.orders;
  if (rows.length === 0) return;
  const spec = (order: OrderRow): BookSpec => specOf(catalogue, order);
  await client.query(
    `insert into orders (order_id, ts_ns, ts, client_order_id, symbol, side, qty, order_type, limit_price, strategy, reason, risk_bucket, status,
       extra, updated_ns, last_update, audit_hash, time_in_force, price_ticks, stop_ticks, owner, cum_qty, leaves_qty, avg_px, notional_ticks, end_reason)
     select order_id, ts_ns, to_timestamp(ts_ns / 1e9), client_order_id, symbol, side, qty, order_type, limit_price, strategy, reason, risk_bucket,
       status, extra, updated_ns, to_timestamp(updated_ns / 1e9), audit_hash, time_in_force, price_ticks, stop_ticks, owner, cum_qty, leaves_qty,
       avg_px, notional_ticks, end_reason
     from unnest($1::bigint[], $2::bigint[], $3::text[], $4::text[], $5::text[], $6::integer[], $7::text[], $8::float8[], $9::text[], $10::text[],
       $11::text[], $12::text[], $13::jsonb[], $14::bigint[], $15::text[], $16::text[], $17::integer[], $18::integer[], $19::bigint[],
       $20::integer[], $21::integer[], $22::float8[], $23::numeric[], $24::integer[])
       as o (order_id, ts_ns, client_order_id, symbol, side, qty, order_type, limit_price, strategy, reason, risk_bucket, status, extra, updated_ns,
         audit_hash, time_in_force, price_ticks, stop_ticks, owner, cum_qty, leaves_qty, avg_px, notional_ticks, end_reason)
     on conflict (order_id) do update set qty = excluded.qty, limit_price = excluded.limit_price, status = excluded.status,
       updated_ns = excluded.updated_ns, last_update = excluded.last_update, price_ticks = excluded.price_ticks, stop_ticks = excluded.stop_ticks,
       cum_qty = excluded.cum_qty, leaves_qty = excluded.leaves_qty, avg_px = excluded.avg_px, notional_ticks = excluded.notional_ticks,
       end_reason = excluded.end_reason`,
    [
      rows.map(({ orderId }) => String(orderId)),
      rows.map(({ tsNs }) => String(tsNs)),
      rows.map(({ clientOrderId }) => clientOrderId),
      rows.map((order) => spec(order).symbol),
      rows.map(({ side }) => sideName(side)),
      rows.map(({ quantityLots }) => quantityLots),
      rows.map(({ type }) => orderTypeName(type)),
      rows.map((order) => (hasPrice(order) ? priceOf(order.priceTicks, spec(order)) : null)),
      rows.map(({ strategy }) => strategy),
      rows.map(({ why }) => (why === '' ? null : why)),
      rows.map(({ riskBucket }) => riskBucket),
      rows.map(({ status }) => status),
      rows.map(({ extra }) => extra),
      rows.map(({ updatedNs }) => String(updatedNs)),
      rows.map((order) => auditHash(order, spec(order))),
      rows.map(({ timeInForce }) => timeInForceName(timeInForce)),
      rows.map((order) => (hasPrice(order) ? order.priceTicks : null)),
      rows.map((order) => (hasStop(order) ? order.stopTicks : null)),
      rows.map(({ owner }) => owner),
      rows.map(({ cumLots }) => cumLots),
      rows.map(({ leavesLots }) => leavesLots),
      rows.map((order) => averagePrice(order, spec(order))),
      rows.map(({ notionalTicks }) => String(notionalTicks)),
      rows.map(({ endReason }) => endReason),
    ],
  );
}

async function storeFills(client: Connection, catalogue: Catalogue, { changes }: ExchangeEpoch): Promise<void> {
  const rows = changes.fills;
  if (rows.length === 0) return;
  await client.query(
    `insert into fills (fill_id, order_id, ts, ts_ns, qty, price, venue, symbol, side, client_order_id, strategy, risk_bucket, trade_id, liquidity,
       price_ticks)
     select fill_id, order_id, to_timestamp(ts_ns / 1e9), ts_ns, qty, price, $13, symbol, side, client_order_id, strategy, risk_bucket, fill_id / 2,
       liquidity, price_ticks
     from unnest($1::bigint[], $2::bigint[], $3::bigint[], $4::integer[], $5::float8[], $6::text[], $7::text[], $8::text[], $9::text[], $10::text[],
       $11::text[], $12::integer[])
       as f (fill_id, order_id, ts_ns, qty, price, symbol, side, client_order_id, strategy, risk_bucket, liquidity, price_ticks)`,
    [
      rows.map(({ tradeId, order }) => String(fillIdOf(tradeId, order.side))),
      rows.map(({ order }) => String(order.orderId)),
      rows.map(({ tsNs }) => String(tsNs)),
      rows.map(({ quantityLots }) => quantityLots),
      rows.map(({ priceTicks, order }) => priceOf(priceTicks, specOf(catalogue, order))),
      rows.map(({ order }) => specOf(catalogue, order).symbol),
      rows.map(({ order }) => sideName(order.side)),
      rows.map(({ order }) => order.clientOrderId),
      rows.map(({ order }) => order.strategy),
      rows.map(({ order }) => order.riskBucket),
      rows.map(({ liquidity }) => liquidity),
      rows.map(({ priceTicks }) => priceTicks),
      VENUE,
    ],
  );
}

async function storeAudit(client: Connection, { changes }: ExchangeEpoch): Promise<void> {
  const rows = changes.audits;
  if (rows.length === 0) return;
  await client.query(
    `insert into order_audit (order_id, client_order_id, ts, from_st, to_st, note, meta)
     select order_id, client_order_id, to_timestamp(ts_ns / 1e9), from_st, to_st, note, meta
     from unnest($1::bigint[], $2::text[], $3::bigint[], $4::text[], $5::text[], $6::text[], $7::jsonb[]) with ordinality
       as a (order_id, client_order_id, ts_ns, from_st, to_st, note, meta, place)
     order by place`,
    [
      rows.map(({ orderId }) => String(orderId)),
      rows.map(({ clientOrderId }) => clientOrderId),
      rows.map(({ tsNs }) => String(tsNs)),
      rows.map(({ from }) => from),
      rows.map(({ to }) => to),
      rows.map(({ note }) => note),
      rows.map(({ meta }) => JSON.stringify(meta)),
    ],
  );
}

/** Books are one row each, their orders as arrays. An empty one has a row too: its phase and last price count. */
async function storeBooks(client: Connection, source: string, { listings, databaseEpoch }: ExchangeEpoch): Promise<void> {
  for (const listing of listings) await storeBook(client, listing, { source, databaseEpoch });
}

async function storeBook(
  client: Connection,
  listing: BookListing,
  { source, databaseEpoch }: { source: string; databaseEpoch: number },
): Promise<void> {
  const { orders } = listing;
  await client.query(
    `insert into order_books (source, symbol, phase, lower_ticks, upper_ticks, last_ticks, order_id, price_ticks, stop_ticks, leaves_lots, shown_lots,
       display_lots, trail_ticks, expiry_ns, owner, attributes, epoch, version, calendar_ns)
     values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18, $19)
     on conflict (source, symbol) do update set phase = excluded.phase, lower_ticks = excluded.lower_ticks, upper_ticks = excluded.upper_ticks,
       last_ticks = excluded.last_ticks, order_id = excluded.order_id, price_ticks = excluded.price_ticks, stop_ticks = excluded.stop_ticks,
       leaves_lots = excluded.leaves_lots, shown_lots = excluded.shown_lots, display_lots = excluded.display_lots, trail_ticks = excluded.trail_ticks,
       expiry_ns = excluded.expiry_ns, owner = excluded.owner, attributes = excluded.attributes, epoch = excluded.epoch, version = excluded.version,
       calendar_ns = excluded.calendar_ns`,
    [
      source,
      listing.symbol,
      listing.phase,
      listing.lowerTicks,
      listing.upperTicks,
      listing.lastTicks ?? null,
      orders.map(({ orderId }) => String(orderId)),
      orders.map(({ priceTicks }) => priceTicks),
      orders.map(({ stopTicks }) => stopTicks),
      orders.map(({ quantityLots }) => quantityLots),
      orders.map(({ shownLots }) => shownLots),
      orders.map(({ displayLots }) => displayLots),
      orders.map(({ trailTicks }) => trailTicks),
      orders.map(({ expiryNs }) => String(expiryNs)),
      orders.map(({ owner }) => owner),
      orders.map(({ attributes }) => attributes),
      databaseEpoch,
      BOOK_VERSION,
      String(listing.calendarNs),
    ],
  );
}

async function storePosition(client: Connection, source: string, { position, changes, databaseEpoch }: ExchangeEpoch): Promise<void> {
  await client.query(
    `insert into order_positions (source, journal, next_offset, next_trade_id, ts_ns, epoch) values ($1, $2, $3, $4, $5, $6)
     on conflict (source) do update set journal = excluded.journal, next_offset = excluded.next_offset, next_trade_id = excluded.next_trade_id,
       ts_ns = excluded.ts_ns, epoch = excluded.epoch`,
    [source, position.journal, String(position.nextOffset), String(changes.nextTradeId), String(position.tsNs), databaseEpoch],
  );
}

/** What the topic fills is to get, in lane 0; and away with what is published. */
async function storeFillLines(
  client: Connection,
  { source, lanes, isPublishing }: OrderTransactionContext,
  { messages, published, databaseEpoch }: ExchangeEpoch,
): Promise<void> {
  if (!isPublishing) return;
  for (const [part, text] of partsOf(messages).entries()) {
    await client.query(`insert into outbox (source, lane, epoch, kind, part, lines) values ($1, $2, $3, 'fills', $4, $5)`, [
      source,
      lanes[0],
      databaseEpoch,
      part,
      text,
    ]);
  }
  if (published === 0) return;
  await client.query('delete from outbox where source = $1 and lane = any($2) and epoch <= $3', [source, lanes, published]);
}

function partsOf(messages: ExchangeEpoch['messages']): string[] {
  const parts: string[] = [];
  let part: string[] = [];
  let characters = 0;
  for (const { line } of messages) {
    part.push(line);
    characters += line.length;
    if (characters < OUTBOX_PART_CHARACTERS) continue;
    parts.push(part.join('\n'));
    part = [];
    characters = 0;
  }
  if (part.length > 0) parts.push(part.join('\n'));
  return parts;
}

/** A trade has a buyer and a seller, and a fill for each. */
export function fillIdOf(tradeId: bigint, side: 0 | 1): bigint {
  return tradeId * 2n + BigInt(side);
}

export function sideName(side: 0 | 1): 'BUY' | 'SELL' {
  return side === 0 ? 'BUY' : 'SELL';
}

export function specOf(catalogue: Catalogue, { symbolIndex }: { readonly symbolIndex: number }): BookSpec {
  const spec = catalogue.books[symbolIndex];
  assert(spec !== undefined, `symbol index ${symbolIndex} has a book`);
  return spec;
}

/** As the contract has it: SHA-256 of compact JSON with sorted keys, its ts in whole seconds. */
function auditHash({ clientOrderId, tsNs, side, quantityLots, type, strategy, riskBucket }: OrderRow, { symbol }: BookSpec): string {
  const text = JSON.stringify({
    client_order_id: clientOrderId,
    order_type: orderTypeName(type),
    qty: quantityLots,
    risk_bucket: riskBucket,
    side: sideName(side),
    strategy,
    symbol,
    ts: Number(tsNs / 1_000_000_000n),
  });
  return createHash('sha256').update(text).digest('hex');
}
