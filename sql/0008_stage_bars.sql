-- Bars that a single stage has read and may still have to take back: a later revision of one replaces it, and the buckets that it lies in are
-- made anew of what is kept. Forgotten once nothing that they are part of may change (AMEND_SEC).
create table stage_bars (
  source text collate "C" not null,
  symbol text collate "C" not null,
  ts_ns bigint not null,
  partition integer not null,
  rev integer not null,
  o double precision not null,
  h double precision not null,
  l double precision not null,
  c double precision not null,
  vol bigint not null,
  n integer not null,
  late integer not null,
  first_ns bigint not null,
  last_ns bigint not null,
  -- Sum of price units x lots; null where it is unknown.
  notional bigint,
  -- Of the symbol, as this stage took it.
  price_decimals integer not null,
  lot_decimals integer not null,
  primary key (source, symbol, ts_ns)
);
