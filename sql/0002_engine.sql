-- What the engine keeps beside the bars: runs, instruments, source positions, open buckets and ticks that came too late.

create table runs (
  run integer generated always as identity primary key,
  source text collate "C" not null,
  started_at timestamptz not null default now(),
  ended_at timestamptz,
  engine_version text not null,
  config jsonb not null,
  -- Epochs committed so far; the writer's transactions take the lock of this row first, so each epoch is committed once.
  epoch bigint not null default 0,
  -- The epoch that open_state and source_offsets belong to; open buckets are worth restoring only while it equals epoch.
  open_state_epoch bigint,
  conserved boolean,
  summary jsonb
);
create index runs_source_idx on runs (source, run);

create table instruments (
  symbol text collate "C" primary key,
  kind text not null check (kind in ('trade', 'quote')),
  price_decimals integer not null,
  lot_decimals integer not null,
  partition integer not null,
  first_seen timestamptz not null default now()
);

create table source_offsets (
  source text collate "C" not null,
  partition integer not null,
  next_offset bigint,
  watermark_ns bigint,
  run integer not null,
  epoch bigint not null,
  updated_at timestamptz not null default now(),
  primary key (source, partition)
);

-- One row per symbol; the arrays have one element per open bucket.
create table open_state (
  source text collate "C" not null,
  symbol text collate "C" not null,
  partition integer not null,
  kind text not null check (kind in ('trade', 'quote')),
  price_decimals integer not null,
  lot_decimals integer not null,
  tf_sec integer[] not null,
  ts_ns bigint[] not null,
  o double precision[] not null,
  h double precision[] not null,
  l double precision[] not null,
  c double precision[] not null,
  -- Trades: whole lots, and the sum of price units x lots, null where it is unknown. Quotes: null elements.
  vol bigint[] not null,
  notional numeric[] not null,
  n bigint[] not null,
  late integer[] not null,
  first_ns bigint[] not null,
  last_ns bigint[] not null,
  -- Quotes only; null elements for trades, whose bid columns are their prices.
  ask_o double precision[] not null,
  ask_h double precision[] not null,
  ask_l double precision[] not null,
  ask_c double precision[] not null,
  run integer not null,
  primary key (source, symbol)
);

-- The bars that were still open when the engine stopped: provisional, one row per bucket.
create view open_bars as
select
  s.source, s.symbol, s.kind, b.tf_sec, to_timestamp(b.ts_ns / 1000000000) as ts,
  b.o, b.h, b.l, b.c, b.vol, b.n, b.late, b.notional,
  b.ask_o, b.ask_h, b.ask_l, b.ask_c, b.first_ns, b.last_ns, s.run
from open_state s
cross join lateral unnest(
  s.tf_sec, s.ts_ns, s.o, s.h, s.l, s.c, s.vol, s.notional, s.n, s.late, s.first_ns, s.last_ns, s.ask_o, s.ask_h, s.ask_l, s.ask_c
) as b (tf_sec, ts_ns, o, h, l, c, vol, notional, n, late, first_ns, last_ns, ask_o, ask_h, ask_l, ask_c);

-- Ticks that did not join every bar. Bit i of missed: it did not join the bar of timeframe i of the run's TIMEFRAMES.
create table late_ticks (
  symbol text collate "C" not null,
  event_ns bigint not null,
  price double precision not null,
  ask double precision,
  quantity bigint not null,
  -- Trades it stands for: 1, or those of a source bar. Quotes: 1.
  n integer not null,
  missed integer not null,
  -- True when ingest had refused it as too late, so that it is not among the accepted ticks.
  is_refused boolean not null,
  partition integer not null,
  run integer not null,
  received_at timestamptz not null default now()
);
create index late_ticks_run_idx on late_ticks using brin (run);
