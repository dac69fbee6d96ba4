-- Bars and quote bars, one table per timeframe. The columns are those of schemas/tables.ts, in that order: binary COPY relies on it.
-- Further timeframes are made by the same function when they are first asked for.

create function create_bar_tables(timeframe text) returns void
language plpgsql as $$
declare
  -- The contract has integer in bars_1s and bars_1m, and bigint in the longer ones.
  count_type text := case when timeframe in ('1s', '1m') then 'integer' else 'bigint' end;
  -- The short timeframes get most of the rows, in time order: a block range index costs COPY nothing.
  index_method text := case when timeframe in ('1s', '1m') then 'brin' else 'btree' end;
begin
  if timeframe !~ '^[1-9][0-9]{0,4}[smhd]$' then
    raise exception 'timeframe %: expected a number followed by s, m, h or d', timeframe;
  end if;

  execute format(
    'create table if not exists %I (
      symbol text collate "C" not null,
      ts timestamptz not null,
      o double precision not null,
      h double precision not null,
      l double precision not null,
      c double precision not null,
      vol bigint not null,
      n_trades %s not null,
      rev integer not null,
      late integer not null,
      vwap double precision,
      notional numeric,
      first_ns bigint not null,
      last_ns bigint not null,
      run integer not null,
      primary key (symbol, ts)
    )', 'bars_' || timeframe, count_type);
  execute format('create index if not exists %I on %I using %s (ts)',
    'bars_' || timeframe || '_ts_idx', 'bars_' || timeframe, index_method);

  execute format(
    'create table if not exists %I (
      symbol text collate "C" not null,
      ts timestamptz not null,
      bid_o double precision not null,
      bid_h double precision not null,
      bid_l double precision not null,
      bid_c double precision not null,
      ask_o double precision not null,
      ask_h double precision not null,
      ask_l double precision not null,
      ask_c double precision not null,
      n bigint not null,
      rev integer not null,
      late integer not null,
      first_ns bigint not null,
      last_ns bigint not null,
      run integer not null,
      primary key (symbol, ts)
    )', 'quotes_' || timeframe);
  execute format('create index if not exists %I on %I using %s (ts)',
    'quotes_' || timeframe || '_ts_idx', 'quotes_' || timeframe, index_method);
end
$$;

select create_bar_tables(timeframe) from unnest(array['1s', '1m', '3m', '5m', '15m']) as timeframe;
