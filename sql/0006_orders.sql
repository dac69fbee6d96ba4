-- Orders, what became of them, and the books: written by the exchange, one transaction an epoch. Quantities are whole lots, as in the bars.

create table orders (
  -- From the order's place in the journal: reading the journal again gives the same number.
  order_id bigint primary key,
  ts timestamptz not null default now(),
  client_order_id text collate "C" not null unique,
  symbol text collate "C" not null,
  side text not null check (side in ('BUY', 'SELL')),
  qty integer not null check (qty > 0),
  order_type text not null default 'MKT',
  limit_price double precision,
  strategy text not null default 'UNKNOWN',
  -- Why the strategy sent it.
  reason text,
  risk_bucket text not null default 'MED' check (risk_bucket in ('LOW', 'MED', 'HIGH')),
  status text not null default 'NEW'
    check (status in ('NEW', 'ACK', 'PARTIAL', 'FILLED', 'CANCELED', 'EXPIRED', 'REJECTED')),
  extra jsonb not null default '{}',
  last_update timestamptz not null default now(),
  audit_hash text not null,
  time_in_force text not null,
  -- Whole ticks of the instrument; null where the order has none.
  price_ticks integer,
  stop_ticks integer,
  owner bigint not null default 0,
  cum_qty integer not null default 0,
  leaves_qty integer not null,
  avg_px double precision,
  -- Sum of price in ticks x lots over its fills.
  notional_ticks numeric not null default 0,
  -- ORDER_REASON of what ended it other than a fill, 0 for none.
  end_reason integer not null default 0,
  ts_ns bigint not null,
  updated_ns bigint not null,
  check (cum_qty >= 0 and leaves_qty >= 0),
  check (status not in ('FILLED', 'CANCELED', 'EXPIRED', 'REJECTED') or leaves_qty = 0),
  check (status <> 'FILLED' or cum_qty = qty)
) with (fillfactor = 70);
create index orders_ts_idx on orders (ts);
create index orders_symbol_ts_idx on orders (symbol, ts);
create index orders_status_idx on orders (status);

create table fills (
  -- Twice the trade's number, plus 1 for the seller.
  fill_id bigint primary key,
  order_id bigint not null references orders on delete cascade,
  ts timestamptz not null,
  qty integer not null check (qty > 0),
  price double precision not null,
  venue text not null,
  extra jsonb not null default '{}',
  symbol text collate "C" not null,
  side text not null check (side in ('BUY', 'SELL')),
  client_order_id text collate "C" not null,
  strategy text not null,
  risk_bucket text not null,
  trade_id bigint not null,
  liquidity text not null check (liquidity in ('maker', 'taker', 'auction')),
  price_ticks integer not null,
  ts_ns bigint not null,
  unique (trade_id, side)
);
create index fills_order_idx on fills (order_id);
create index fills_symbol_ts_idx on fills (symbol, ts);

-- One row for each change of an order's status, price or quantity.
create table order_audit (
  id bigint generated always as identity primary key,
  client_order_id text collate "C" not null,
  ts timestamptz not null,
  from_st text,
  to_st text not null,
  note text not null,
  meta jsonb not null default '{}',
  order_id bigint not null
);
create index order_audit_client_idx on order_audit (client_order_id, id);

-- The resting orders of each symbol, in the order of the books (docs/reference/matching.md): the arrays have one element per order.
create table order_books (
  source text collate "C" not null,
  symbol text collate "C" not null,
  phase integer not null,
  lower_ticks integer not null,
  upper_ticks integer not null,
  -- Price of the last trade; null before the first.
  last_ticks integer,
  order_id bigint[] not null,
  price_ticks integer[] not null,
  stop_ticks integer[] not null,
  leaves_lots integer[] not null,
  shown_lots integer[] not null,
  display_lots integer[] not null,
  trail_ticks integer[] not null,
  expiry_ns bigint[] not null,
  owner bigint[] not null,
  attributes integer[] not null,
  epoch bigint not null,
  version integer not null,
  primary key (source, symbol)
) with (fillfactor = 40);

-- How far the exchange has come.
create table order_positions (
  source text collate "C" primary key,
  -- Which journal the offset is of.
  journal text not null,
  next_offset bigint not null,
  next_trade_id bigint not null,
  -- The latest time of an order; times never go back.
  ts_ns bigint not null,
  epoch bigint not null
);

alter table outbox drop constraint outbox_kind_check, add constraint outbox_kind_check check (kind in ('bars', 'dlq', 'fills'));
