-- The view open_bars shows each open bucket of each timeframe as a whole. What open_state holds of one timeframe has not reached the longer
-- ones yet, so a provisional bar is its own open bucket merged with those of the timeframes it is built from.

-- One row for each timeframe of a TIMEFRAMES list and each that its bars are made of: itself, and its chain of parents, where the parent is
-- the longest shorter one that divides it (timeframeParents in engine/memory/region.ts).
create function timeframe_parts(timeframes text) returns table (tf_sec integer, part_sec integer)
language sql immutable as $$
  with recursive frames as (
    select left(name, -1)::integer * case right(name, 1) when 's' then 1 when 'm' then 60 when 'h' then 3600 else 86400 end as seconds
    from (select trim(item) as name from unnest(string_to_array(timeframes, ',')) as item) names
  ), parts as (
    select seconds, seconds as part from frames
    union all
    select parts.seconds, parent.seconds
    from parts
    cross join lateral (select max(f.seconds) as seconds from frames f where f.seconds < parts.part and parts.part % f.seconds = 0) parent
    where parent.seconds is not null
  )
  select seconds, part from parts
$$;

create or replace view open_bars as
select
  s.source, s.symbol, s.kind, p.tf_sec, to_timestamp(start_sec) as ts,
  -- Buckets of different timeframes never hold the same event time, so there is one first and one last.
  (array_agg(b.o order by b.first_ns))[1] as o, max(b.h) as h, min(b.l) as l, (array_agg(b.c order by b.last_ns desc))[1] as c,
  sum(b.vol)::bigint as vol, sum(b.n)::bigint as n, sum(b.late)::integer as late,
  case when count(b.notional) = count(*) then sum(b.notional) end as notional,
  (array_agg(b.ask_o order by b.first_ns))[1] as ask_o, max(b.ask_h) as ask_h, min(b.ask_l) as ask_l,
  (array_agg(b.ask_c order by b.last_ns desc))[1] as ask_c,
  min(b.first_ns) as first_ns, max(b.last_ns) as last_ns, s.run
from open_state s
join runs r using (run)
cross join lateral timeframe_parts(r.config ->> 'TIMEFRAMES') as p
cross join lateral unnest(
  s.tf_sec, s.ts_ns, s.o, s.h, s.l, s.c, s.vol, s.notional, s.n, s.late, s.first_ns, s.last_ns, s.ask_o, s.ask_h, s.ask_l, s.ask_c
) as b (tf_sec, ts_ns, o, h, l, c, vol, notional, n, late, first_ns, last_ns, ask_o, ask_h, ask_l, ask_c)
cross join lateral (select b.ts_ns / 1000000000 / p.tf_sec * p.tf_sec as start_sec) as bucket
where b.tf_sec = p.part_sec
group by s.source, s.symbol, s.kind, s.run, p.tf_sec, start_sec;
