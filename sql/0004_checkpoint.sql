-- The checkpoint: who owns which part of a source, what is open at each epoch, what has been accepted, and what is still to be published.

-- One number per claim; an owner is known by the number of its claim.
create sequence lane_claims;

-- The unit of ownership: a partition of a source whose partitions are shared out among engines, else lane 0 for all of them.
create table lanes (
  source text collate "C" not null,
  lane integer not null,
  -- The claim whose epochs are taken; null after a clean end.
  owner bigint,
  -- Of the owner's Kafka producer.
  transactional_id text,
  -- Producers of earlier owners that ended without a clean end; whoever publishes next has to fence them first.
  unfenced text[] not null default '{}',
  -- The last epoch that is committed. It only ever grows, also over fresh runs, since Kafka keeps what has been published by this number.
  epoch bigint not null,
  run integer not null,
  claimed_at timestamptz not null default now(),
  primary key (source, lane)
) with (fillfactor = 20);

-- Messages of committed epochs until they are known to be published, one to a line: read only when an engine takes over.
create table outbox (
  source text collate "C" not null,
  lane integer not null,
  epoch bigint not null,
  kind text not null check (kind in ('bars', 'dlq')),
  part integer not null,
  lines text not null,
  primary key (source, lane, epoch, kind, part)
);
-- Rows live for a second or so: compressing them costs more than it saves.
alter table outbox alter column lines set storage external;

-- Sums over what was accepted since the run began, each epoch's added by its transaction. So the verdict needs the database alone.
alter table source_offsets
  add column accepted_lots numeric not null default 0,
  add column accepted_trades bigint not null default 0,
  add column accepted_quotes bigint not null default 0;
alter table source_offsets set (fillfactor = 20);

-- An engine that was killed before there were checkpoints left open buckets of an earlier moment than its rows: they count for nothing.
delete from open_state s using runs r where r.run = s.run and r.open_state_epoch is distinct from r.epoch;
delete from open_state s where not exists (select from runs r where r.run = s.run);

-- A run that goes on starts from what it holds: sums over the bars of its first timeframe, its open buckets, and what came too late for a bar.
do $$
declare
  stored record;
  timeframe text;
begin
  for stored in
    select o.source, o.run, min(o.partition) as partition, split_part(r.config ->> 'TIMEFRAMES', ',', 1) as first_name
    from source_offsets o join runs r using (run)
    group by o.source, o.run, r.config
  loop
    timeframe := trim(stored.first_name);
    continue when timeframe is null or to_regclass(format('%I', 'bars_' || timeframe)) is null;
    execute format(
      'update source_offsets o set accepted_lots = h.lots, accepted_trades = h.trades, accepted_quotes = h.quotes
       from (
         select coalesce(sum(lots), 0) as lots, coalesce(sum(trades), 0) as trades, coalesce(sum(quotes), 0) as quotes
         from (
           select vol as lots, n_trades as trades, 0 as quotes from %I where run = $1
           union all select 0, 0, n from %I where run = $1
           union all select quantity, case when ask is null then n else 0 end, case when ask is null then 0 else n end
             from late_ticks where run = $1 and not is_refused and missed & 1 <> 0
           union all select coalesce(b.vol, 0), case s.kind when ''trade'' then b.n else 0 end, case s.kind when ''trade'' then 0 else b.n end
             from open_state s cross join lateral unnest(s.tf_sec, s.vol, s.n) as b (tf_sec, vol, n)
             where s.run = $1 and b.tf_sec = (select tf_sec from timeframe_parts($4) limit 1)
         ) parts
       ) h
       where o.source = $2 and o.partition = $3', 'bars_' || timeframe, 'quotes_' || timeframe)
    using stored.run, stored.source, stored.partition, timeframe;
  end loop;
end
$$;

-- since_offset: by open bucket, an offset that no tick of the bucket lies before. oldest_offset is the least of them: a source read again
-- from there yields every tick that is still open. Null where the source has no offsets.
alter table open_state add column since_offset bigint[], add column oldest_offset bigint;
update open_state s set since_offset = array_fill(0::bigint, array[cardinality(s.tf_sec)]), oldest_offset = 0
where exists (select from source_offsets o where o.source = s.source and o.partition = s.partition and o.next_offset is not null);
update open_state s set since_offset = array_fill(null::bigint, array[cardinality(s.tf_sec)]) where since_offset is null;
alter table open_state alter column since_offset set not null;
-- Rows are replaced at every epoch. With room on their page the new version stays there and no index changes; the arrays stay in the row.
alter table open_state set (fillfactor = 40, toast_tuple_target = 8160);

-- The lane's epoch takes the place of the run's.
alter table runs drop column epoch, drop column open_state_epoch;
